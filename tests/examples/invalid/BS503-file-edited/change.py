"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path


def change(folder: Path) -> None:
    path = folder / "release" / "jsonl" / "stances.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"against"', b'"neutral"'))
