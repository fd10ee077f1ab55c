"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path


def change(folder: Path) -> None:
    path = folder / "release" / "SHA256SUMS"
    lines = [f"{'0' * 64}  ../../secret.txt", f"{'0' * 64}  /etc/passwd"]
    path.write_text(path.read_text() + "".join(line + "\n" for line in lines))
