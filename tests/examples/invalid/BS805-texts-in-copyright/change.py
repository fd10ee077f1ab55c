"""Freeze the version; no basis is stated."""

from pathlib import Path

from tests.publications import freeze


def change(folder: Path) -> None:
    """Freeze the version; no basis is stated."""
    freeze(folder)
