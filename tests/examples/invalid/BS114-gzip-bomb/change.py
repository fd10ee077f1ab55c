"""What this example does to a copy of the valid dataset."""

import gzip
from pathlib import Path


def change(folder: Path) -> None:
    with gzip.open(folder / "rows.jsonl.gz", "wb") as file:
        for _ in range(100):
            file.write(b" " * (1 << 20))
