"""What this example does to a copy of the valid dataset."""

from pathlib import Path


def change(folder: Path) -> None:
    with (folder / "rows.jsonl").open("w") as file:
        file.write('{"id": 1, "text": "one"}\n{"id": 2, "text": "')
        for _ in range(20):
            file.write("x" * (1 << 20))
        file.write('"}\n{"id": "3", "text": "three"}\n')
