"""Freeze the version; the target has a file of its own."""

from pathlib import Path

from tests.publications import allow, freeze


def change(folder: Path) -> None:
    """Freeze the version; the target has a file of its own."""
    allow(folder)
    freeze(folder)
