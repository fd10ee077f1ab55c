"""What this example does to a copy of the valid dataset: it builds it."""

from pathlib import Path

from broadsheet.build import build


def change(folder: Path) -> None:
    build(folder)
