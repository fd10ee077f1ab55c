"""What this example does to a copy of the valid dataset: it builds it over a release that nobody kept."""

from pathlib import Path

from broadsheet.build import build


def change(folder: Path) -> None:
    build(folder)
