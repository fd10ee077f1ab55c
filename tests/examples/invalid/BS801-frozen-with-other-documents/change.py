"""Freeze the version, and then change a document, and SHA256SUMS with it."""

from pathlib import Path

from tests.publications import allow, freeze

from broadsheet import release


def change(folder: Path) -> None:
    """Freeze the version, and then change a document, and SHA256SUMS with it."""
    allow(folder)
    freeze(folder)
    with (folder / "release" / "LICENSE").open("a") as licence:
        licence.write("And do what you like.\n")
    release.write_checksums(folder / "release")
