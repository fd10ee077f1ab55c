"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from tests.examples_support import edit_card


def change(folder: Path) -> None:
    edit_card(folder, "path: data/articles/train-00000-of-00001.parquet\n", "path: data/articles\n")
