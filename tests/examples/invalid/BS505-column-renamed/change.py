"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from broadsheet import release, tables


def change(folder: Path) -> None:
    path = folder / "release" / release.parquet_path("articles")
    table = tables.read_parquet(path)
    tables.write_parquet(table.rename_columns({"author": "writer"}), path)
    release.write_checksums(folder / "release")
