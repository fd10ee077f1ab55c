"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from tests.examples_support import edit_card


def change(folder: Path) -> None:
    edit_card(folder, "dataset_info:\n- config_name: articles\n", "dataset_info:\n- config_name: article\n")
