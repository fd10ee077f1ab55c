"""State a basis; freeze nothing."""

from pathlib import Path

from tests.publications import allow


def change(folder: Path) -> None:
    """State a basis; freeze nothing."""
    allow(folder)
