"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from broadsheet import release


def change(folder: Path) -> None:
    path = folder / "release" / release.DATASHEET
    path.write_text(path.read_text().replace("sha256:", "sha256:0"))
    release.write_checksums(folder / "release")
