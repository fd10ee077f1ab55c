"""Publish the dataset, and then call it by another name."""

from pathlib import Path

from tests.publications import allow, freeze, rename

from broadsheet.publish import publish


def change(folder: Path) -> None:
    """Publish the dataset, and then call it by another name."""
    allow(folder)
    freeze(folder)
    publish(folder, str(folder / "site"))
    rename(folder, 'name = "harbour-tram"', 'name = "tramway"')
