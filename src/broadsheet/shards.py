"""Shards: takes a stretch of the input, gives its part of every table: judged, written, and read back.

A shard depends on the input alone. Whoever makes it, here or on another machine, once or again, makes the same bytes.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from broadsheet import contract, jsonl, labels, reading, release, rules, spans, storage, tables
from broadsheet.catalogue import Entries
from broadsheet.contract import Judge, Schema
from broadsheet.labels import NO_SCHEME, Scheme
from broadsheet.problems import MAX_ERRORS, Problem
from broadsheet.rows import Rows, json_lines
from broadsheet.rules import Given, Record
from broadsheet.sidecar import Sidecar
from broadsheet.summary import Tally

#: How many bytes of rows are judged and turned into Arrow at once.
BLOCK = 1 << 20
#: The tables that a record may carry along, as lists under these names.
CARRIED = ("paragraphs", "stances")


@dataclass(frozen=True)
class Stretch:
    """The lines of the file at *path* that start in the bytes *start* to *end*; *shown* is its name in messages.

    The lines *skipped*, counted from the start of the stretch, are left out.
    """

    number: int
    path: str
    shown: str
    start: int
    end: int
    skipped: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Shard:
    """Shard *number* (from 0) of *total* of a *split*, and the *stretches* of the input that it is made of."""

    split: str
    number: int
    total: int
    stretches: Sequence[Stretch] = ()

    @property
    def size(self) -> int:
        """How many bytes of the input it is made of."""
        return sum(stretch.end - stretch.start for stretch in self.stretches)

    def place(self, table: str) -> tuple[str, str, int, int]:
        """Give what tells the path of *table*'s part."""
        return table, self.split, self.number, self.total


@dataclass(frozen=True)
class Part:
    """One table's part in a shard: its *rows*, their size in memory, and the digest and size of each file by name."""

    rows: int
    num_bytes: int
    files: Mapping[str, tuple[str, int]]


@dataclass
class Made:
    """What was made of a shard: *parts* by table, catalogue *entries*, a *tally*; and what is wrong, by stretch.

    *lines* says how many lines each stretch has; problems and entries count them from the start of the stretch.
    *given* says how many rows there were, those left out among them, and *joined* how many rows of the sidecar have
    found their article.
    """

    shard: Shard
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    lines: dict[int, int] = field(default_factory=dict)
    given: int = 0
    joined: int = 0
    parts: dict[str, Part] = field(default_factory=dict)
    entries: dict[str, bytes] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    @property
    def errors(self) -> int:
        """How many errors were found."""
        return sum(problem.severity == "error" for _, problem in self.problems) if self.problems else 0


@dataclass(frozen=True)
class Index:
    """What joins records by their id: the *path* of the sidecar, and how many *entries* it has.

    Labels among them are judged by *scheme*; *rows* says how many rows of each table there are among them.
    """

    path: str
    entries: int
    scheme: Scheme
    rows: Mapping[str, int] = field(default_factory=dict)


#: That of a dataset whose records have all that belongs to them.
NO_INDEX = Index("", 0, NO_SCHEME)


@dataclass(frozen=True)
class Job:
    """A *shard* to be made: into the folder *stage*, by way of *scratch*, by the *schemas* of the tables.

    What lies in files of its own joins by the *index*. After *limit* errors it is given up.
    """

    shard: Shard
    stage: str
    scratch: str
    schemas: Mapping[str, Schema]
    index: Index
    limit: int = MAX_ERRORS


class Sink(Protocol):
    """Where one table's rows of a shard go."""

    def write(self, batch: pa.RecordBatch, rows: Sequence[Given]) -> None:
        """Take *rows*, which are those of *batch*, and keep their contract."""

    def close(self) -> Part:
        """End, and tell what there was."""


def make(job: Job) -> Made:
    """Do *job*: write the shard's part of every table that has rows in it, and give what is to be known of it.

    Every row is judged by its schema and by the rules beyond it; after the first error, nothing more is written.
    """
    made = Made(job.shard)
    with ExitStack() as stack:
        sinks = _Sinks(job, stack)
        pass_through(_records(job, made), made, job.schemas, sinks)
        made.parts = {table: sink.close() for table, sink in sinks.items()}
    # While the disk is at work, what was written is read back.
    with ThreadPoolExecutor(1) as disk:
        synced = [disk.submit(storage.sync, job.stage, name) for part in made.parts.values() for name in part.files]
        if not made.errors:
            for table, sink in sinks.items():
                made.problems += [(-1, problem) for problem in _read_back(job, table, sink.traces)]
        for future in synced:
            future.result()
    return made


def make_empty(job: Job, table: str) -> Part:
    """Write the part of a *table* that has no rows in the shard of *job*, but has rows in others."""
    with ExitStack() as stack:
        return _Sinks(job, stack)[table].close()


def pass_through(
    records: Iterator[Record], made: Made, schemas: Mapping[str, Schema], sinks: Mapping[str, Sink]
) -> None:
    """Judge *records*, whose rows keep their *schemas*, enter and count them in *made*, and write them to *sinks*."""
    entries = Entries(made.shard.split)
    arrow = {table: contract.arrow_schema(schema) for table, schema in schemas.items()}
    with _without_collector():
        for block in _blocks(records):
            batches = _judge(block, made, arrow)
            if batches is None:
                continue
            for table, (rows, batch, more) in batches.items():
                sinks[table].write(batch, rows)
                entries.add(table, batch, rows, more)
            made.tally.add(block, batches["articles"][1])
        made.entries = entries.encoded()


class _Sinks(dict[str, "_Files"]):
    """The sinks of a shard that is made, by table; a table's files are begun with its first row."""

    def __init__(self, job: Job, stack: ExitStack) -> None:
        super().__init__()
        self._job, self._stack = job, stack

    def __missing__(self, table: str) -> _Files:
        """Begin the files of *table*."""
        job = self._job
        names = (release.parquet_path(*job.shard.place(table)), release.jsonl_path(*job.shard.place(table)))
        parquet, lines = [self._stack.enter_context(storage.created(job.stage, name, job.scratch)) for name in names]
        self[table] = _Files(names, parquet, lines, contract.arrow_schema(job.schemas[table]))
        return self[table]


class _Files:
    """One table's files in a shard: Parquet, and beside it JSON Lines in canonical form."""

    def __init__(self, names: Sequence[str], parquet: storage.Hashed, lines: storage.Hashed, schema: pa.Schema) -> None:
        self._names, self._parquet, self._lines = names, parquet, lines
        self._writer = tables.Writer(parquet, schema)
        self.traces = self._writer.traces

    def write(self, batch: pa.RecordBatch, rows: Sequence[Given]) -> None:
        """Write *rows*, which are those of *batch*."""
        self._writer.write(batch)
        self._lines.write(b"\n".join([*(row.canonical for row in rows), b""]))

    def close(self) -> Part:
        """End the files, and tell what they hold."""
        self._writer.close()
        files = {
            name: (file.sha256, file.size) for name, file in zip(self._names, (self._parquet, self._lines), strict=True)
        }
        return Part(self._writer.rows, sum(trace.num_bytes for trace in self.traces), files)


def _read_back(job: Job, table: str, written: Sequence[tables.Trace]) -> Iterator[Problem]:
    """Read a table's Parquet file, and give a problem if it does not hold what was judged and *written*."""
    name = release.parquet_path(*job.shard.place(table))
    with storage.opened(job.stage, name) as file:
        try:
            found = tables.trace_file(file)
        except (pa.ArrowException, OSError) as error:
            yield Problem("BS504", name, f"it was written, but cannot be read: {error}")
            return
    if found != list(written):
        yield Problem("BS506", name, "what was written is not what is read back", hint="Check disk and memory.")


def _records(job: Job, made: Made) -> Iterator[Record]:
    """Give the records of the shard's stretches that keep their schemas, and note what is wrong with the others."""
    judges = {table: contract.judge(schema) for table, schema in job.schemas.items()}
    accepts = judges["articles"].accepts
    sidecar = Sidecar(storage.local(job.index.path)) if job.index.path else None
    for stretch in made.shard.stretches:
        made.lines[stretch.number] = 0
        for found in _kept(stretch, made):
            if isinstance(found, Problem):
                made.problems.append((stretch.number, found))
                if made.errors >= job.limit:
                    return
                continue
            line, (value, form) = found
            record = _split(Given(value, form, stretch.shown, line, "", stretch.number))
            if sidecar is not None and isinstance(value, dict):
                record = _joined(record, sidecar, job.index.scheme, made)
            if accepts(record.article.value) and not record.paragraphs and not record.stances:
                yield record
            elif wrong := list(_violations(record, judges)):
                made.problems += [(row.stretch, problem) for row, problem in wrong]
                if made.errors >= job.limit:
                    return
            else:
                yield record


def _kept(stretch: Stretch, made: Made) -> Rows:
    """Give the rows of *stretch* and the problems in their places, but for the lines to be skipped; count all rows."""
    last: int | None = None
    for found in json_lines(_counted(stretch, made), stretch.shown, jsonl.loads_canonical):
        line = found.line if isinstance(found, Problem) else found[0]
        if line != last and not (isinstance(found, Problem) and found.severity == "warning"):
            last = line
            made.given += 1
        if line not in stretch.skipped:
            yield found


def _counted(stretch: Stretch, made: Made) -> Iterator[reading.Line]:
    for line in reading.lines(stretch.path, stretch.start, stretch.end):
        made.lines[stretch.number] = line.number
        yield line


def _split(row: Given) -> Record:
    """Give the record that *row* is: what it carries under the names of other tables becomes rows of them."""
    if not isinstance(row.value, dict) or not ("paragraphs" in row.value or "stances" in row.value):
        return Record(row, (), ())
    carried = {
        name: [
            row._replace(value=item, canonical=jsonl.canonical(item), pointer=f"/{name}/{index}")
            for index, item in enumerate(row.value.pop(name))
        ]
        for name in CARRIED
        if isinstance(row.value.get(name), list)
    }
    return Record(
        row._replace(canonical=jsonl.canonical(row.value)), carried.get("paragraphs", ()), carried.get("stances", ())
    )


def _joined(record: Record, sidecar: Sidecar, scheme: Scheme, made: Made) -> Record:
    """Give *record* with what the *sidecar* has for it; labels become stances, a gold one the article's columns."""
    article, row = record.article, record.article.value
    found = sidecar.of(str(row.get("id")))
    made.joined += found.entries
    stances = [*record.stances, *found.stances]
    columns: dict[str, Any] = {}
    if found.duplicate_of is not None and row.get("duplicate_of") is None:
        columns["duplicate_of"] = found.duplicate_of
    if isinstance(row.get("text"), str) and isinstance(row.get("id"), str):
        if scheme.passes:
            own, problems = labels.stances(scheme, labels.Plain(row["id"], row["text"]), found.labels)
            made.problems += [(-1, problem) for problem in problems]
            stances += [article._replace(value=label, canonical=jsonl.canonical(label)) for label in own]
        if found.spans:
            stances, problems = spans.joined(stances, found.spans, row["text"], scheme)
            made.problems += [(-1, problem) for problem in problems]
        gold = [label.value for label in stances if label not in record.stances and _is_gold(label.value, scheme)]
        if gold and row.get("stance") is None:
            columns |= {"stance": gold[0]["stance"], "stance_intensity": gold[0]["intensity"]}
            columns["stance_target"] = scheme.targets[0]
    if columns:
        row.update(columns)
        article = article._replace(canonical=jsonl.canonical(row))
    return Record(article, [*record.paragraphs, *found.paragraphs], stances)


def _is_gold(label: Mapping[str, Any], scheme: Scheme) -> bool:
    """Tell whether *label* is the gold label for the primary target."""
    return bool(label["is_gold"] and [label["target_id"]] == list(scheme.targets[:1]))


def _violations(record: Record, judges: Mapping[str, Judge]) -> Iterator[tuple[Given, Problem]]:
    article = record.article
    if isinstance(article.value, dict):
        # What is carried along as anything but a list is still there.
        for name in [name for name in CARRIED if name in article.value]:
            yield article, article.problem("BS204", "expected array", f"/{name}")
            del article.value[name]
    for table, rows in zip(contract.TABLES, ([article], record.paragraphs, record.stances), strict=True):
        for row in rows:
            yield from ((row, problem) for problem in row.problems(judges[table]))


def _blocks(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Give *records* in blocks of about `BLOCK` bytes: enough for Arrow, few enough for a processor's cache."""
    block: list[Record] = []
    size = 0
    for record in records:
        block.append(record)
        size += len(record.article.canonical)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


_Batches = dict[str, tuple[Sequence[Given], pa.RecordBatch, Mapping[str, pa.Array]]]


def _judge(block: Sequence[Record], made: Made, arrow: Mapping[str, pa.Schema]) -> _Batches | None:
    """Judge *block* by the rules beyond the schemas; give it as record batches, or None once an error was found."""
    articles = [record.article for record in block]
    batch = tables.to_batch([row.value for row in articles], arrow["articles"])
    for record, counts in zip(block, rules.count(batch.column("text")), strict=True):
        made.problems += [(row.stretch, problem) for row, problem in rules.of_record(record, counts)]
    if made.errors:
        return None
    rights = [batch.column("rights").field(name) for name in ("license", "statement")]
    batches: _Batches = {
        "articles": (articles, batch, {"rights": pc.binary_join_element_wise(*rights, " ")}),
    }
    paragraphs = [row for record in block for row in record.paragraphs]
    stances = [row for record in block for row in record.stances]
    if paragraphs:
        batch = tables.to_batch([row.value for row in paragraphs], arrow["paragraphs"])
        batches["paragraphs"] = (paragraphs, batch, {})
    if stances:
        batch = tables.to_batch([row.value for row in stances], arrow["stances"])
        publishers = [record.article.value["publisher"] for record in block for _ in record.stances]
        batches["stances"] = (stances, batch, {"publisher": pa.array(publishers, pa.string())})
    return batches


@contextmanager
def _without_collector() -> Iterator[None]:
    """Switch the cyclic garbage collector off: rows have no cycles, and looking for them costs a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
