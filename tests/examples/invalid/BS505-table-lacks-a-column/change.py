"""What this example does to a copy of the valid dataset: it builds it, and takes a table out of the release."""

from pathlib import Path

from broadsheet import release, tables
from broadsheet.build import build


def change(folder: Path) -> None:
    table = build(folder, folder / "built").place / release.parquet_path("articles")
    tables.write_parquet(tables.read_parquet(table).drop_columns(["author"]), folder / "rows.parquet")
