"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from tests.examples_support import edit_card


def change(folder: Path) -> None:
    edit_card(folder, "tags: []\n", "tags:\n- 1e3\n")
