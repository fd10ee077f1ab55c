"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from broadsheet import release


def change(folder: Path) -> None:
    path = folder / "release" / release.parquet_path("articles")
    path.write_bytes(path.read_bytes()[:-100])
    release.write_checksums(folder / "release")
