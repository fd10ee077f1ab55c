"""What this example does to a copy of the valid dataset: it releases it."""

from pathlib import Path

from broadsheet.build import build
from broadsheet.freeze import freeze


def change(folder: Path) -> None:
    build(folder)
    freeze(folder, "2021-07-01")
