"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from broadsheet import release


def change(folder: Path) -> None:
    path = folder / "release" / release.CARD
    path.write_text(path.read_text().replace("\nconfigs:\n", "\nconfiguration:\n", 1))
    release.write_checksums(folder / "release")
