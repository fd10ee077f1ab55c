"""What this example does to a copy of the valid dataset that has been built."""

import os
from pathlib import Path


def change(folder: Path) -> None:
    os.mkfifo(folder / "release" / "data" / "pipe.parquet")
