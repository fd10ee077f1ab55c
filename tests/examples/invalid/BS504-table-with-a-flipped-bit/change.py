"""What this example does to a copy of the valid dataset: it builds it, and takes a table out of the release."""

from pathlib import Path

from broadsheet import release
from broadsheet.build import build


def change(folder: Path) -> None:
    table = build(folder, folder / "built").place / release.parquet_path("articles")
    data = bytearray(table.read_bytes())
    data[len(data) // 8] ^= 1
    (folder / "rows.parquet").write_bytes(data)
