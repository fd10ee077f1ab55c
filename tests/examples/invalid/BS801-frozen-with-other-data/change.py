"""Freeze the version, and then build other data under it."""

from pathlib import Path

from tests.publications import allow, freeze

from broadsheet.build import build


def change(folder: Path) -> None:
    """Freeze the version, and then build other data under it."""
    allow(folder)
    freeze(folder)
    labels = folder / "annotations" / "stance" / "first.jsonl"
    labels.write_text(labels.read_text().replace("By the rules.", "By other words.", 1))
    ledger = folder / "versions.jsonl"
    frozen = ledger.read_bytes()
    ledger.unlink()
    build(folder)
    ledger.write_bytes(frozen)
