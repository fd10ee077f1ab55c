"""Cut the last line feed off."""

from pathlib import Path


def change(folder: Path) -> None:
    """Cut the last line feed off."""
    path = folder / "release" / "SHA256SUMS"
    path.write_bytes(path.read_bytes()[:-1])
