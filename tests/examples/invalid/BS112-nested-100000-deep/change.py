"""What this example does to a copy of the valid dataset."""

from pathlib import Path


def change(folder: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    (folder / "rows.jsonl").write_text('{"id": 1, "text": "one"}\n{"id": 2, "text": "two", "more": ' + deep + "}\n")
