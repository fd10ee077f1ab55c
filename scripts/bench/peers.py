"""The build benchmark's peers: takes a peer's name, a corpus and a folder, converts the corpus into the folder.

A peer is a whole process, so this file imports nothing that the peer would not. What it has to tell, such as a time it
took by its own clock, it prints as its last line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LEVEL = 3
#: What pyarrow parses at once: it is fastest so, and with its default of 1 MB each 150 rows would be a row group.
BLOCK = 16 << 20


def duckdb(corpus: Path, out: Path, _: Path) -> None:
    """Convert by SQL, as DuckDB infers the types."""
    import duckdb as sql  # noqa: PLC0415 - a process imports what its peer needs, and no more

    sql.sql(_copy(f"read_json('{corpus}', format = 'newline_delimited')", out))


def duckdb_told(corpus: Path, out: Path, shape: Path) -> None:
    """Convert by SQL, with the types of the Parquet file *shape*, but dates as dates."""
    import duckdb as sql  # noqa: PLC0415 - as above

    columns = sql.read_parquet(str(shape)).description
    types = {name: type_ for name, type_, *_ in columns} | {"published": "DATE"}
    told = ", ".join(f"'{name}': '{type_}'" for name, type_ in types.items())
    sql.sql(_copy(f"read_json('{corpus}', format = 'newline_delimited', columns = {{{told}}})", out))


def _copy(source: str, out: Path) -> str:
    form = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {LEVEL}"
    return f"COPY (SELECT * FROM {source}) TO '{out / 'articles.parquet'}' ({form})"  # noqa: S608 - a path of ours


def polars(corpus: Path, out: Path, shape: Path) -> None:
    """Convert by a stream, with the types of the Parquet file *shape*."""
    import polars as pl  # noqa: PLC0415 - as above

    rows = pl.scan_ndjson(corpus, schema=pl.read_parquet_schema(shape))
    rows.sink_parquet(out / "articles.parquet", compression="zstd", compression_level=LEVEL)


def pyarrow(corpus: Path, out: Path, shape: Path) -> None:
    """Convert block by block, with the types of the Parquet file *shape*."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    with (
        _blocks(corpus, shape) as blocks,
        pq.ParquetWriter(
            out / "articles.parquet", blocks.schema, compression="zstd", compression_level=LEVEL
        ) as writer,
    ):
        for block in blocks:
            writer.write_batch(block)


def _blocks(corpus: Path, shape: Path) -> Any:
    import pyarrow.json  # noqa: PLC0415 - as above
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    types = pyarrow.json.ParseOptions(explicit_schema=pq.read_schema(shape), unexpected_field_behavior="error")
    return pyarrow.json.open_json(corpus, pyarrow.json.ReadOptions(block_size=BLOCK), types)


def datasets(corpus: Path, out: Path, _: Path) -> None:
    """Convert by the hub's library, which infers the types."""
    _to_parquet(_load(corpus), out)


def today(corpus: Path, out: Path, _: Path, judged: str) -> None:
    """Do what people do: load, judge each row by the reference validator, and write both forms.

    The first rows are *judged*; what the others would take is told, by their bytes.
    """
    rows = _load(corpus)
    start = time.perf_counter()
    size = _judge(corpus, int(judged))
    seconds = time.perf_counter() - start
    _to_parquet(rows, out)
    rows.to_json(out / "articles.jsonl", force_ascii=False)
    _tell(extra=seconds * (corpus.stat().st_size / size - 1))


def _load(corpus: Path) -> Any:
    import datasets as hub  # noqa: PLC0415 - as above

    hub.disable_progress_bars()
    return hub.load_dataset("json", data_files=str(corpus), split="train")


def _to_parquet(rows: Any, out: Path) -> None:
    """Write *rows* as the library does, but zstd: it sets Snappy by column, and takes no other codec."""
    import datasets.io.parquet as writing  # noqa: PLC0415 - as above

    options = getattr(writing, "get_parquet_column_options", None)
    if options is None:
        rows.to_parquet(out / "articles.parquet", compression="zstd", compression_level=LEVEL)
        return

    def with_zstd(*given: Any) -> dict[str, Any]:
        chosen: dict[str, Any] = options(*given)
        codecs = {path: "zstd" if codec == "snappy" else codec for path, codec in chosen["compression"].items()}
        return chosen | {"compression": codecs}

    writing.get_parquet_column_options = with_zstd  # type: ignore[attr-defined,unused-ignore]
    rows.to_parquet(out / "articles.parquet", compression_level=LEVEL)


def _judge(corpus: Path, judged: int) -> int:
    """Judge the first rows, and give their size; the schema is the release's own file, complete in itself."""
    import jsonschema  # noqa: PLC0415 - as above

    from broadsheet import contract  # noqa: PLC0415 - as above

    schema = contract.table_schema("articles")
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    size = 0
    with corpus.open("rb") as lines:
        for number, line in enumerate(lines):
            if judged and number == judged:
                break
            validator.validate(json.loads(line))
            size += len(line)
    return size


def floor(corpus: Path, out: Path, shape: Path, rows: str) -> None:
    """Write what is in memory already: two processes, half of the *rows* each; tell the time of the slower one."""
    import multiprocessing  # noqa: PLC0415 - as above

    context = multiprocessing.get_context("spawn")
    barrier, times = context.Barrier(2), context.SimpleQueue()
    half = int(rows) // 2
    writers = [
        context.Process(target=_write_half, args=(corpus, out, shape, own, (barrier, times)), daemon=True)
        for own in (range(half), range(half, int(rows)))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        if writer.exitcode:
            raise SystemExit("a writer failed")
    _tell(seconds=max(times.get() for _ in writers))


def _write_half(corpus: Path, out: Path, shape: Path, half: range, meeting: tuple[Any, Any]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    barrier, times = meeting
    own, at = [], 0
    with _blocks(corpus, shape) as blocks:
        for block in blocks:
            own.append(
                block.slice(max(0, half.start - at), max(0, min(half.stop, at + len(block)) - max(half.start, at)))
            )
            at += len(block)
    table = pa.Table.from_batches(own)
    barrier.wait()
    start = time.perf_counter()
    pq.write_table(table, out / f"articles-{half.start}.parquet", compression="zstd", compression_level=LEVEL)
    times.put(time.perf_counter() - start)


def unvalidated(*arguments: str) -> None:
    """Run the command line with a schema's verdict taken away: whatever it judges, it accepts.

    Workers inherit this when they are forked; the benchmark shows each peer a wrong row, and would tell if not.
    """
    from broadsheet import cli, contract  # noqa: PLC0415 - as above

    made = contract.Judge.__init__

    def make(judge: contract.Judge, *given: Any, **named: Any) -> None:
        made(judge, *given, **named)
        judge.accepts = lambda _: True

    contract.Judge.__init__ = make  # type: ignore[method-assign,assignment]
    sys.argv = ["broadsheet", *arguments]
    cli.main()


def _tell(**told: float) -> None:
    print("\n" + json.dumps(told))


PEERS: dict[str, Callable[..., None]] = {
    peer.__name__: peer for peer in (duckdb, duckdb_told, polars, pyarrow, datasets, today, floor)
}

if __name__ == "__main__":
    if sys.argv[1] == unvalidated.__name__:
        unvalidated(*sys.argv[2:])
    else:
        corpus_, out_, shape_ = map(Path, sys.argv[2:5])
        PEERS[sys.argv[1]](corpus_, out_, shape_, *sys.argv[5:])
