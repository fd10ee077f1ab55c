"""Publish the version, and then freeze an older one."""

from pathlib import Path

from tests.publications import allow, freeze, rename

from broadsheet.publish import publish


def change(folder: Path) -> None:
    """Publish the version, and then freeze an older one."""
    allow(folder)
    freeze(folder)
    publish(folder, str(folder / "site"))
    rename(folder, '"0.1.0"', '"0.0.9"')
