"""Publish the version, and then freeze other data under it."""

from pathlib import Path

from tests.publications import allow, freeze

from broadsheet.publish import publish


def change(folder: Path) -> None:
    """Publish the version, and then freeze other data under it."""
    allow(folder)
    freeze(folder)
    publish(folder, str(folder / "site"))
    labels = folder / "annotations" / "stance" / "first.jsonl"
    labels.write_text(labels.read_text().replace("By the rules.", "By other words.", 1))
    freeze(folder)
