"""The build benchmark's probes: takes a probe's name and files, looks at the files, prints what it found as JSON."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import os
import random
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from broadsheet import contract

Row = dict[str, Any]

#: A content-defined chunk, as the hub's storage (Xet) cuts it: 64 KiB on average, within these bounds.
SMALLEST, LARGEST, AVERAGE = 8 << 10, 128 << 10, 64 << 10
#: A gear hash looks back as far as it has bits; where its upper bits are nil, a chunk may end.
WINDOW, UPPER = 32, np.uint32((AVERAGE - 1) << 16)
PIECE = 32 << 20
EDITED = 0.001
CONTEXT = 32


def shape(out: str) -> None:
    """Write a Parquet file with no rows and the articles' types, but dates as strings, which is what JSON has."""
    own = _contract()
    at = own.get_field_index("published")
    pq.write_table(own.set(at, own.field(at).with_type(pa.string())).empty_table(), out)


def _contract() -> pa.Schema:
    return contract.arrow_schema(contract.table_schema("articles"))


def look(*files: str) -> dict[str, Any]:
    """Give how many rows Parquet *files* have, and in what their columns differ from the contract's."""
    metadata = [pq.read_metadata(file) for file in files]
    found = metadata[0].schema.to_arrow_schema()
    return {
        "rows": sum(own.num_rows for own in metadata),
        "differences": contract.column_differences(found, _contract()),
    }


def load(*files: str) -> float:
    """Give how long the hub's library takes to load Parquet *files*; its cache is the environment's."""
    import datasets  # noqa: PLC0415 - only this probe needs it

    datasets.disable_progress_bars()
    start = time.perf_counter()
    datasets.load_dataset("parquet", data_files=list(files), split="train")
    return time.perf_counter() - start


class _Counted(io.FileIO):
    """A file that counts the bytes read from it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self.taken += len(data)
        return data


def select(*files: str) -> dict[str, int]:
    """Give how many rows of *files* have a publisher and a date of this century, and how many bytes it took to tell."""
    rows = taken = 0
    wanted = pc.field("publisher").is_valid() & (pc.field("published") >= datetime.date(2001, 1, 1))
    for path in files:
        with _Counted(path) as file:
            rows += len(pq.read_table(file, columns=["publisher", "published"], filters=wanted))
            taken += file.taken
    return {"rows": rows, "taken": taken, "size": sum(Path(path).stat().st_size for path in files)}


def rewrite(out: str, *files: str) -> None:
    """Write *files* anew into the folder *out* with pyarrow's defaults, but the same row groups and codec."""
    for path in files:
        with (
            pq.ParquetFile(path) as old,
            pq.ParquetWriter(
                Path(out, Path(path).name), old.schema_arrow, compression="zstd", compression_level=3
            ) as new,
        ):
            for group in range(old.num_row_groups):
                new.write_table(old.read_row_group(group))


def shared(old: str, new: str, *names: str) -> float:
    """Give the share of the bytes of the files with these *names* in the folder *new* that those in *old* have too."""
    known = {digest for name in names for digest, _ in _chunks(Path(old, name))}
    sizes = [(size, digest in known) for name in names for digest, size in _chunks(Path(new, name))]
    return sum(size for size, is_known in sizes if is_known) / sum(size for size, _ in sizes)


def _chunks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Give the digest and the size of each content-defined chunk of the file at *path*."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        ends = list(_candidates(file))
        size = file.seek(0, io.SEEK_END)
        file.seek(start := 0)
        while start < size:
            at = bisect_left(ends, start + SMALLEST)
            end = min(ends[at] if at < len(ends) else size, start + LARGEST, size)
            yield hashlib.blake2b(file.read(end - start), digest_size=16).digest(), end - start
            start = end


def _candidates(file: BinaryIO) -> Iterator[int]:
    """Give where chunks may end: after the bytes at which the gear hash of the last few is nil in its upper bits."""
    gear = np.random.default_rng(0).integers(0, 1 << 32, 256, dtype=np.uint32)
    at, before = 0, b""
    while piece := file.read(PIECE):
        hashes = gear[np.frombuffer(before + piece, dtype=np.uint8)]
        # A window's hash is that of its right half, and that of its left half shifted by the right one's length.
        length = 1
        while length < WINDOW:
            hashes[length:] += hashes[:-length] << np.uint32(length)
            length *= 2
        yield from (np.flatnonzero(hashes[len(before) :] & UPPER == 0) + (at + 1)).tolist()
        at += len(piece)
        before = (before + piece)[-WINDOW:]


def edit(corpus: str, out: str, rows: str) -> int:
    """Write *corpus*, lightly edited, to *out*: words in a few rows, one row less, one row more; give how many."""
    one, count = random.Random(1), int(rows)  # noqa: S311 - an edition keeps no secret
    edited = set(one.sample(range(count), max(1, round(count * EDITED))))
    with Path(corpus).open("rb") as old, Path(out).open("wb") as new:
        for number, line in enumerate(old):
            if number == count // 3:
                continue
            if number in edited:
                new.write(_dumped(_edited(orjson.loads(line), one)))
            else:
                new.write(line)
            if number == 2 * count // 3:
                row = _edited(orjson.loads(line), one)
                new.write(_dumped(row | {"id": row["id"] + "-new"}))
    return len(edited)


def _edited(row: Row, one: random.Random) -> Row:
    """Give *row* with three of its text's words said twice, and with what follows from that; quotes stay whole."""
    for _ in range(3):
        places = _free(row, one)
        if places:
            at, word = one.choice(places)
            _insert(row, at, f"{word} ")
    row["n_chars"], row["n_words"] = len(row["text"]), len(row["text"].split())
    row["text_sha256"] = hashlib.sha256(row["text"].encode()).hexdigest()
    return row


def _free(row: Row, one: random.Random) -> list[tuple[int, str]]:
    """Give a few words of the text of *row*, with their places, that no quote and no quote's context touches."""
    text = row["text"]
    taken = [(quote["start"] - CONTEXT, quote["end"] + CONTEXT) for quote in _quotes(row)]
    found = []
    for _ in range(20):
        at = text.find(" ", one.randrange(len(text))) + 1
        word = text[at:].split(" ", 1)[0]
        if at and word.isalpha() and not any(start <= at <= end for start, end in taken):
            found.append((at, word))
    return found


def _insert(row: Row, at: int, words: str) -> None:
    row["text"] = row["text"][:at] + words + row["text"][at:]
    row["provenance"]["end_byte"] += len(words.encode())
    for quote in _quotes(row):
        if quote["start"] >= at:
            quote["start"] += len(words)
            quote["end"] += len(words)


def _quotes(row: Row) -> Sequence[Row]:
    return [quote for claim in row["provenance"]["claims"] for quote in claim["evidence"] if quote["source"] == "text"]


def _dumped(row: Row) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def spoil(corpus: str, schema: str, place: str) -> None:
    """Write the first rows of *corpus*, one of them wrong: by the *schema*, and in a quote's *place*."""
    with Path(corpus).open("rb") as lines:
        rows = [orjson.loads(line) for line, _ in zip(lines, range(500), strict=False)]
    at = next(number for number, row in enumerate(rows) if any(_quotes(row)))
    right = _dumped(rows[at])
    rows[at]["status"] = "lost"
    Path(schema).write_bytes(b"".join(map(_dumped, rows)))
    rows[at] = orjson.loads(right)
    _quotes(rows[at])[0]["exact"] = "¡nowhere!"
    Path(place).write_bytes(b"".join(map(_dumped, rows)))


PROBES = {probe.__name__: probe for probe in (shape, look, load, select, rewrite, shared, edit, spoil)}

if __name__ == "__main__":
    print("\n" + json.dumps(PROBES[sys.argv[1]](*sys.argv[2:])), flush=True)
    # Arrow's threads, reading from Python's files, sometimes outlive the interpreter, which aborts it at the very end.
    os._exit(0)
