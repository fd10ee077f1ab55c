"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from broadsheet import release, tables


def change(folder: Path) -> None:
    path = folder / "release" / release.parquet_path("paragraphs")
    table = tables.read_parquet(path)
    index = table.schema.get_field_index("index")
    tables.write_parquet(table.set_column(index, "index", table["index"].cast("int32")), path)
    release.write_checksums(folder / "release")
