"""Where the time of a build goes: takes a number of rows, gives a table of what each library call takes for a row.

The calls are those that a build cannot do without: each is timed alone, over all rows, in one process on one core, with
no code of ours between. What the build takes beyond their sum is ours. The least of several rounds counts.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from broadsheet import contract, shards, sources, tables

HERE = Path(__file__).parent
BLOCK = 160  # rows; about a megabyte, as in a build
PACKAGES = ("broadsheet", "pyarrow", "orjson", "jsonschema-rs")


@dataclass(frozen=True)
class Stage:
    """One library *call*, *why* a build needs it, and the *work* that is timed."""

    call: str
    why: str
    work: Callable[[], Any]


def stages(lines: Sequence[bytes]) -> list[Stage]:
    """Give the stages over *lines*, which are rows of articles."""
    schema = contract.table_schema("articles")
    arrow = contract.arrow_schema(schema)
    accepts = contract.judge(schema).accepts
    rows = [orjson.loads(line) for line in lines]
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    texts = [row["text"].encode() for row in rows]
    batches = [tables.to_batch(block, arrow) for block in blocks]
    table = pa.Table.from_batches(batches).combine_chunks()
    parquet = _written(table)

    def load() -> None:
        for line in lines:
            orjson.loads(line)

    def dump() -> None:
        for row in rows:
            orjson.dumps(row, option=orjson.OPT_SORT_KEYS)

    def judge() -> None:
        for row in rows:
            accepts(row)

    def digest(values: Sequence[bytes]) -> None:
        for value in values:
            hashlib.sha256(value).digest()

    return [
        Stage("orjson.loads", "every row is parsed", load),
        Stage("jsonschema-rs is_valid", "every row is validated", judge),
        Stage("orjson.dumps, keys sorted", "the canonical form: the twin, the digest, no key lost", dump),
        Stage("sha256 of the text", "`text_sha256` is checked", lambda: digest(texts)),
        Stage("sha256 of the row", "the logical digest", lambda: digest(lines)),
        Stage("sha256 of the twin", "SHA256SUMS", lambda: hashlib.sha256(b"".join(lines)).digest()),
        Stage("pyarrow.array, 21 columns", "Arrow", lambda: [tables.to_batch(block, arrow) for block in blocks]),
        Stage("ParquetWriter, zstd-3", "the floor of the benchmark", lambda: _written(table)),
        Stage(
            "ParquetFile, read back",
            "what was written is what was judged",
            lambda: tables.trace_file(io.BytesIO(parquet)),
        ),
    ]


def _written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=3)
    return sink.getvalue()


def measure(file: Path, rounds: int) -> str:
    """Give the table for the rows of *file* in Markdown."""
    lines = file.read_bytes().splitlines(keepends=True)
    gc.disable()  # as in a build: rows have no cycles
    known = stages(lines)
    least = {stage.call: min(_seconds(stage.work) for _ in range(rounds)) for stage in known}
    del known
    whole = min(_seconds(lambda: _build(file)) for _ in range(rounds))
    micro = {call: 1e6 * seconds / len(lines) for call, seconds in least.items()}
    total, build, floor = sum(micro.values()), 1e6 * whole / len(lines), micro["ParquetWriter, zstd-3"]
    return "\n".join(
        [
            f"{len(lines):,} rows, one process, one core; least of {rounds}. {harness.machine(PACKAGES)}",
            "",
            "| library call | why | µs a row | of the floor |",
            "| --- | --- | ---: | ---: |",
            *(f"| {s.call} | {s.why} | {micro[s.call]:.1f} | {micro[s.call] / floor:.2f} |" for s in stages(lines[:1])),
            f"| **all of them** | | {total:.1f} | {total / floor:.2f} |",
            f"| **the same on two cores, at the least** | half of that | {total / 2:.1f} | {total / 2 / floor:.2f} |",
            f"| the build of a shard | with all that is ours | {build:.1f} | {build / floor:.2f} |",
            "",
        ]
    )


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _build(file: Path) -> None:
    schemas = {table: contract.table_schema(table) for table in contract.TABLES}
    with tempfile.TemporaryDirectory() as folder:
        for shard in sources.cut([sources.File(str(file), file.name, "train", file.stat().st_size)]):
            made = shards.make(shards.Job(shard, f"{folder}/stage", folder, schemas, shards.NO_INDEX))
            if made.errors:
                raise SystemExit(str(made.problems[0]))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Show where the time of a build goes.")
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    with tempfile.TemporaryDirectory(prefix="broadsheet-bench-") as folder:
        file = Path(folder) / "articles.jsonl"
        command = [sys.executable, str(HERE / "corpus.py"), "--rows", str(options.rows), "--out", str(file)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        text = measure(file, options.rounds)
    print(text)
    if options.write:
        harness.paste(text, options.write, "stages", options.rows)


if __name__ == "__main__":
    main()
