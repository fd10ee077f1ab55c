"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path

from broadsheet import release


def change(folder: Path) -> None:
    path = folder / "release" / release.jsonl_path("stances")
    path.write_bytes(path.read_bytes().replace(b'"confidence":"high"', b'"confidence":"low"', 1))
    release.write_checksums(folder / "release")
