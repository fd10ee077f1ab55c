"""Releases made by hand: takes rows, gives a release's folder with them, as a build would, without judging anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from broadsheet import contract, jsonl, release, tables, versions
from broadsheet.contract import Row, Schema
from broadsheet.versions import Ledger

Rows = Mapping[str, Sequence[Row]]


def write(
    folder: Path,
    rows: Rows,
    version: str = "1.0.0",
    *,
    schemas: Mapping[str, Schema] | None = None,
    shards: int = 1,
    compression: str = "zstd",
) -> Path:
    """Write the release with *rows*, by table or by ``table/split``, to *folder*, and give it."""
    used: dict[str, Schema] = {}
    for name, own in rows.items():
        table, _, split = name.partition("/")
        used[table] = (schemas or {}).get(table, contract.table_schema(table))
        for number in range(shards):
            place = (table, split or "train", number, shards)
            part = own[number * len(own) // shards : (number + 1) * len(own) // shards]
            release.write(folder, release.jsonl_path(*place), lines(part))
            path = folder / release.parquet_path(*place)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(tables.to_arrow(part, used[table]), path, compression=compression)
    for table, schema in used.items():
        release.write(folder, release.schema_path(contract.TABLES[table]), contract.schema_text(schema))
    digest = "sha256:" + hashlib.sha256(json.dumps([*map(list, rows.values())], sort_keys=True).encode()).hexdigest()
    release.write(folder, versions.IDENTITY, versions.identity("made-by-hand", version, digest, Ledger()))
    release.write(folder, release.CARD, b"The same card, whatever the rows.\n")
    release.write_checksums(folder)
    return folder


def lines(rows: Iterable[Row]) -> bytes:
    """Give *rows* as the JSON Lines of a release."""
    return b"".join(jsonl.canonical(row) + b"\n" for row in rows)
