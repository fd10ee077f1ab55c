"""What this example does to a copy of the valid dataset."""

from pathlib import Path


def change(folder: Path) -> None:
    rows = [f'{{"id": {n}, "text": "row"}}\n' for n in range(1, 20_001)]
    (folder / "rows.jsonl").write_text("".join(rows) + '{"id": 20001, "text": "row", "note": "new"}\n')
