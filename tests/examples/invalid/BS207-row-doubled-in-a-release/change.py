"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from broadsheet import contract, jsonl, release, tables


def change(folder: Path) -> None:
    place = folder / "release"
    rows = tables.from_arrow(tables.read_parquet(place / release.parquet_path("stances")))
    rows.insert(1, rows[0])
    tables.write_parquet(
        tables.to_arrow(rows, contract.table_schema("stances")), place / release.parquet_path("stances")
    )
    release.write(place, release.jsonl_path("stances"), jsonl.serialize(rows))
    release.write_checksums(place)
