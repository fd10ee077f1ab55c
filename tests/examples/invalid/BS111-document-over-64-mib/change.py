"""What this example does to a copy of the valid dataset."""

from pathlib import Path


def change(folder: Path) -> None:
    (folder / "rows.json").write_text('["' + "x" * (65 << 20) + '"]')
