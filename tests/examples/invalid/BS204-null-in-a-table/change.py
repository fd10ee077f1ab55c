"""What this example does to a copy of the valid dataset: it builds it, and takes a table out of the release."""

from pathlib import Path

from broadsheet import release, tables
from broadsheet.build import build


def change(folder: Path) -> None:
    table = build(folder, folder / "built").place / release.parquet_path("articles")
    rows = tables.read_parquet(table)
    index = rows.schema.get_field_index("text")
    texts = [None, *rows["text"].to_pylist()[1:]]
    tables.write_parquet(rows.set_column(index, "text", [texts]), folder / "rows.parquet")
