"""Verification: takes a release's folder, judges it from its files alone, gives what is wrong.

It trusts no builder: what can be computed from the rows is computed again here, from the rows. They are read from the
JSON Lines, shard by shard, and the Parquet files must hold the same.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq

from broadsheet import card_rules, contract, jsonl, reading, release, spread, tables
from broadsheet.catalogue import Catalogue
from broadsheet.contract import Judge, Schema
from broadsheet.problems import MAX_ERRORS, Problem, cannot_run
from broadsheet.progress import Tell, silent
from broadsheet.rows import PARQUET_BOMB_RATIO, PARQUET_BOMB_SIZE, PARQUET_ROWS, json_lines
from broadsheet.rules import Given, Record, short
from broadsheet.shards import Made, Part, Shard, pass_through
from broadsheet.versions import IDENTITY, identity_problems

_PARQUET_NAME = re.compile(r"data/([a-z]+)/([A-Za-z0-9_.]+)-(\d{5})-of-(\d{5})\.parquet")


def verify(folder: Path, workers: int | None = None, tell: Tell = silent) -> list[Problem]:
    """Give every problem of the release in *folder*; raise `CannotRun` if it is none.

    *workers* processes share the shards; *tell* hears of the progress.
    """
    if not (folder / release.CHECKSUMS).is_file():
        raise cannot_run("BS601", folder, f"it has no {release.CHECKSUMS}", hint="Name a release's folder.")
    # What comes later rests on what comes before: each step is taken only if all before it found nothing.
    problems = release.check_checksums(folder)
    if problems:
        return problems
    schemas, problems = _read_schemas(folder)
    shards, found = _find_shards(folder, schemas)
    if problems := problems + found + _check_files(folder):
        return problems
    return _check_rows(folder, shards, schemas, workers, tell)


def _check_files(folder: Path) -> list[Problem]:
    names = [release.CARD, release.DATASHEET, release.CROISSANT, release.LICENSE, IDENTITY]
    return [Problem("BS501", name, "a release must have it") for name in names if not (folder / name).is_file()]


def _read_schemas(folder: Path) -> tuple[dict[str, Schema], list[Problem]]:
    """Give the schemas of the tables there are: a table has a schema, or is not there; the first is always there."""
    schemas: dict[str, Schema] = {}
    problems: list[Problem] = []
    for table, file in contract.TABLES.items():
        name = release.schema_path(file)
        if not (folder / name).is_file():
            if table == next(iter(contract.TABLES)) or (folder / "data" / table).is_dir():
                problems.append(Problem("BS501", name, "a release must have it"))
            continue
        schema, wrong = _read_schema(folder / name, table)
        if wrong:
            problems.append(Problem("BS505", name, wrong))
        else:
            schemas[table] = schema
    return schemas, problems


def _read_schema(path: Path, table: str) -> tuple[Schema, str]:
    """Give the schema of *table* that is at *path*, or why it can't be that: all that is asked of it later is tried."""
    try:
        schema: Schema = jsonl.loads(path.read_bytes())
        contract.check_schema(schema)
        contract.judge(schema)
        contract.arrow_schema(schema)
        contract.hub_features(schema)
        own = contract.table_schema(table)
        missing = own["properties"].keys() - schema["properties"].keys()
        is_keyed = contract.primary_key(schema) == contract.primary_key(own)
    except jsonschema.SchemaError as error:
        return {}, f"it is no JSON Schema of draft 2020-12: {error.message}"
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        return {}, f"it is no JSON Schema of a table: {error!r}"
    if missing or not is_keyed:
        what = f"columns: {', '.join(sorted(missing))}" if missing else "x-primary-key"
        return {}, f"it lacks what the contract has of {what}"
    return schema, ""


def _find_shards(folder: Path, schemas: Mapping[str, Schema]) -> tuple[list[Shard], list[Problem]]:
    """Give the shards of the release, told by the names of its files, each complete: all tables, both formats."""
    totals: dict[str, int] = {}
    for path in sorted((folder / "data").rglob("*.parquet")):
        if (name := _PARQUET_NAME.fullmatch(path.relative_to(folder).as_posix())) is not None:
            totals.setdefault(name[2], int(name[4]))
    shards = [
        Shard(split, number, total) for split, total in (totals or {"train": 1}).items() for number in range(total)
    ]
    expected = {
        name
        for shard in shards
        for table in schemas
        for name in (release.parquet_path(*shard.place(table)), release.jsonl_path(*shard.place(table)))
    }
    there = {path.relative_to(folder).as_posix() for part in ("data", "jsonl") for path in (folder / part).rglob("*.*")}
    problems = [Problem("BS501", name, "a release must have it") for name in sorted(expected - there)]
    problems += [Problem("BS502", name, "it is no shard of any table") for name in sorted(there - expected)]
    return shards, problems


def _check_rows(
    folder: Path,
    shards: Sequence[Shard],
    schemas: Mapping[str, Schema],
    workers: int | None,
    tell: Tell,
) -> list[Problem]:
    parts: dict[str, dict[str, list[Part]]] = {table: {} for table in schemas}
    problems: list[Problem] = []
    rows = done = 0
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as scratch:
        catalogue = Catalogue(Path(scratch))
        check = partial(_check_shard, folder, schemas)
        with spread.executor(workers if len(shards) > 1 else None) as pool:
            for made in spread.results(pool, check, shards):
                problems += [problem for _, problem in made.problems]
                catalogue.enter(made.entries)
                for table, part in made.parts.items():
                    parts[table].setdefault(made.shard.split, []).append(part)
                rows += made.parts["articles"].rows if made.parts else 0
                done += 1
                tell(f"verifying: {rows:,} articles, {done} of {len(shards)} shards")
                if problems:
                    return problems
        for step in (_check_keys(catalogue, schemas), check_sources(str(folder), shards, schemas)):
            if problems := list(step):
                return problems
        digest = tables.fold(catalogue.digests())
        catalogue.close()
    names, _ = release.listed(folder)
    return [*check_documents(folder, digest, parts, schemas), *card_rules.of_pages(folder, names)]


# --- one shard ---


def _check_shard(folder: Path, schemas: Mapping[str, Schema], shard: Shard) -> Made:
    """Judge the rows of *shard*, and compare the two formats they are in."""
    made = Made(shard)
    with ExitStack() as stack:
        sinks = {}
        for table, schema in schemas.items():
            name = release.parquet_path(*shard.place(table))
            sink = _Compared(name, release.jsonl_path(*shard.place(table)), made)
            stack.enter_context(sink.opened(folder / name, contract.arrow_schema(schema)))
            sinks[table] = sink
        if not made.errors:
            pass_through(_records(str(folder), shard, schemas, made), made, schemas, sinks)
            made.parts = {table: sink.close() for table, sink in sinks.items()}
    return made


@dataclass
class _Compared:
    """A sink that compares what it is given with what the Parquet file *name* holds, some rows at a time."""

    name: str
    twin: str
    made: Made
    rows: int = 0
    num_bytes: int = 0
    size: int = 0
    _batches: Iterator[pa.RecordBatch] = field(default_factory=lambda: iter(()))
    _waiting: list[pa.RecordBatch] = field(default_factory=list)

    def opened(self, path: Path, expected: pa.Schema) -> Any:
        """Open the file at *path*, and note a problem if it is no Parquet, or has other columns than *expected*."""
        try:
            file = pq.ParquetFile(path, page_checksum_verification=True)
            differences = list(contract.column_differences(file.schema_arrow, expected, exactly=True))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            self._note(Problem("BS504", self.name, f"it cannot be read: {error}"))
            return ExitStack()
        for message in differences:
            self._note(Problem("BS505", self.name, message))
        self.size = path.stat().st_size
        self._batches = _bounded(file, self.size)
        return file

    def write(self, batch: pa.RecordBatch, rows: Sequence[Given]) -> None:
        """Compare *rows*, which are those of *batch*, with as many rows of the file."""
        found = self._take(len(batch))
        expected = pa.Table.from_batches([batch])
        self.rows += len(batch)
        self.num_bytes += tables.trace(expected).num_bytes
        if found is None or found.equals(expected):
            return
        if len(found) < len(batch):
            message = f"it has more rows than {self.name}, which ends here"
            self._note(Problem("BS506", self.twin, message, line=rows[len(found)].line))
            return
        try:
            others = tables.from_arrow(found)
        except UnicodeDecodeError as error:
            self._note(Problem("BS504", self.name, f"it cannot be read: {error}"))
            return
        for row, other in zip(rows, others, strict=True):
            if row.value != other:
                keys = [key for key in other if row.value.get(key) != other[key]] or ["(more keys)"]
                message = f"it differs from {self.name} in {', '.join(keys)}"
                self._note(Problem("BS506", self.twin, message, line=row.line))

    def close(self) -> Part:
        """See that the file has no further rows."""
        if not self.made.errors:
            found = self._take(1)
            if found is not None and len(found):
                self._note(Problem("BS506", self.twin, f"{self.name} has more rows than its {self.rows}"))
        return Part(self.rows, self.num_bytes, {self.name: ("", self.size)})

    def _take(self, n: int) -> pa.Table | None:
        """Give the next *n* rows of the file, or fewer at its end; None if it can't be read."""
        waiting = sum(len(batch) for batch in self._waiting)
        try:
            while waiting < n and (batch := next(self._batches, None)) is not None:
                self._waiting.append(batch)
                waiting += len(batch)
        except (pa.ArrowException, OSError, UnicodeDecodeError, ValueError) as error:
            self._note(Problem("BS504", self.name, f"it cannot be read: {error}"))
            return None
        if not self._waiting:
            return pa.table({})
        table = pa.Table.from_batches(self._waiting)
        self._waiting = table.slice(n).to_batches()
        return table.slice(0, n)

    def _note(self, problem: Problem) -> None:
        self.made.problems.append((-1, problem))


def _bounded(file: pq.ParquetFile, size: int) -> Iterator[pa.RecordBatch]:
    """Give the rows of *file*, few at a time; raise `ValueError` where they outgrow its *size* beyond all measure."""
    expanded = 0
    for batch in file.iter_batches(batch_size=PARQUET_ROWS):
        expanded += batch.nbytes
        if expanded > PARQUET_BOMB_SIZE and expanded > PARQUET_BOMB_RATIO * size:
            raise ValueError(f"{size:,} bytes grew to more than {expanded:,}")
        yield batch


def _records(root: str, shard: Shard, schemas: Mapping[str, Schema], made: Made) -> Iterator[Record]:
    """Give the records of *shard* from its JSON Lines; the lines and labels of an article follow in its order."""
    streams = {
        table: _Stream(_good_rows(root, release.jsonl_path(*shard.place(table)), contract.judge(schema), made))
        for table, schema in schemas.items()
    }
    known: set[str] = set()
    for article in streams["articles"].rows:
        known.add(article.value["id"])
        own = {
            table: list(streams[table].of(article.value["id"])) if table in streams else []
            for table in ("paragraphs", "stances")
        }
        yield Record(article, own["paragraphs"], own["stances"])
    for table, stream in streams.items():
        for row in islice(stream.rows, MAX_ERRORS) if table != "articles" else ():
            there = row.value["article_id"] in known
            message = "it does not stand with the other rows of its article" if there else "its article is not there"
            made.problems.append((-1, row.problem("BS208", f"'{row.value['article_id']}': {message}", "/article_id")))


class _Stream:
    """Rows one after another, with a look at the next one."""

    def __init__(self, rows: Iterator[Given]) -> None:
        self._rows, self._next = rows, next(rows, None)

    @property
    def rows(self) -> Iterator[Given]:
        """All rows that are left."""
        while self._next is not None:
            row, self._next = self._next, next(self._rows, None)
            yield row

    def of(self, article: str) -> Iterator[Given]:
        """Give the rows that come next and name *article*."""
        while self._next is not None and self._next.value["article_id"] == article:
            row, self._next = self._next, next(self._rows, None)
            yield row


def _good_rows(root: str, name: str, judge: Judge, made: Made) -> Iterator[Given]:
    for found in json_lines(reading.lines(f"{root}/{name}"), name, jsonl.loads_canonical):
        if isinstance(found, Problem):
            made.problems.append((-1, found))
            continue
        line, (value, form) = found
        row = Given(value, form, name, line)
        if wrong := row.problems(judge):
            made.problems += [(-1, problem) for problem in wrong]
            if made.errors >= MAX_ERRORS:
                return
        else:
            yield row


# --- all shards together ---


def _check_keys(catalogue: Catalogue, schemas: Mapping[str, Schema]) -> Iterator[Problem]:
    for table, schema in schemas.items():
        for first, second in catalogue.repeated(table, contract.primary_key(schema)):
            message = f"the key is that of {first.path}:{first.line} too"
            yield Problem("BS207", second.path, message, line=second.line)
    for value, place in catalogue.missing("articles", "duplicate_of"):
        yield Problem("BS208", place.path, f"duplicate_of is '{value}', but there is no such article", line=place.line)


def check_sources(root: str, shards: Sequence[Shard], schemas: Mapping[str, Schema]) -> Iterator[Problem]:
    """See that the lines of the release at *root* give its source files, as far as its articles are whole files.

    Articles whose bytes follow one another from a file's first byte on are taken for all of it. A dataset without
    lines, or of pieces, does not say that it gives its sources back.
    """
    if "paragraphs" not in schemas:
        return
    name = release.parquet_path(*shards[0].place("paragraphs")) if len(shards) == 1 else "data/paragraphs"
    made = Made(shards[0])
    sources: dict[tuple[str, str], _Source] = {}
    for shard in shards:
        for record in _records(root, shard, schemas, made):
            place = record.article.value["provenance"]
            if place["start_byte"] is None or place["end_byte"] is None:
                continue
            source = sources.setdefault((place["source_file"], place["source_sha256"]), _Source())
            source.extend(place["start_byte"], segment_bytes(record))
    for (file, sha256), source in sources.items():
        if source.is_whole and source.hash.hexdigest() != sha256:
            yield Problem("BS508", name, f"the lines give a '{file}' whose SHA-256 is not {sha256}")


def segment_bytes(record: Record) -> bytes:
    """Give the bytes of the article's stretch of its source, put together from its lines.

    What lies between two lines, and after the last one up to the end of the article, is a line feed; what no line
    covers is NUL, so that the digest tells.
    """
    place = record.article.value["provenance"]
    start = place["start_byte"]
    data = bytearray(max(0, place["end_byte"] - start))
    for line in record.paragraphs:
        row = line.value
        text = row["text"].encode()
        data[row["start_byte"] - start : row["end_byte"] - start] = text
        if row["start_byte"] + len(text) < place["end_byte"]:
            data[row["end_byte"] - start : row["end_byte"] - start + 1] = b"\n"
    return bytes(data)


class _Source:
    """A source file as far as it was put together."""

    def __init__(self) -> None:
        self.hash, self.is_whole, self._size = hashlib.sha256(), True, 0

    def extend(self, start: int, data: bytes) -> None:
        """Take the *data* that starts at byte *start*."""
        self.is_whole = self.is_whole and start == self._size
        self.hash.update(data)
        self._size += len(data)


# --- the documents ---


def check_documents(
    folder: Path, digest: str, parts: Mapping[str, Mapping[str, Sequence[Part]]], schemas: Mapping[str, Schema]
) -> Iterator[Problem]:
    """Judge what the documents and the identity say of the data: the *digest*, and the *parts* by table and split."""
    if digest.encode() not in (folder / release.DATASHEET).read_bytes():
        yield Problem("BS509", release.DATASHEET, f"it does not name the data's digest, {digest}")
    checksums, _ = release.listed(folder)
    front, problems = card_rules.read((folder / release.CARD).read_bytes())
    problems += card_rules.judge(front, checksums, digest, parts, schemas) if front and not problems else []
    yield from problems
    if front and not any(problem.severity == "error" for problem in problems):
        version = front.value["configs"][0]["version"]
        yield from identity_problems((folder / IDENTITY).read_bytes(), version, digest)
        yield from _croissant_problems(folder, checksums, schemas, version, digest)


def _croissant_problems(
    folder: Path, listed: Mapping[str, str], schemas: Mapping[str, Schema], version: str, digest: str
) -> Iterator[Problem]:
    """Judge croissant.json: version and digest, the digests of the data files *listed*, the fields of the tables."""
    name = release.CROISSANT
    checksums = {file: sha256 for file, sha256 in listed.items() if file.startswith(("data/", "jsonl/"))}
    try:
        found: Any = jsonl.loads((folder / name).read_bytes())
        files = {file["contentUrl"]: file["sha256"] for file in found["distribution"] if "sha256" in file}
        fields = {one["@id"]: one["field"] for one in found["recordSet"]}
    except (ValueError, KeyError, TypeError) as error:
        yield Problem("BS509", name, f"it is no Croissant document: {error!r}")
        return
    for what, got, expected in [
        ("version", found.get("version"), version),
        ("identifier", found.get("identifier"), digest),
        *((f"sha256 of {file}", files.get(file), sha256) for file, sha256 in sorted(checksums.items())),
        ("the number of files", len(files), len(checksums)),
    ]:
        if got != expected:
            yield Problem("BS509", name, f"{what}: {short(got)}, but the release has {short(expected)}")
    for table, schema in schemas.items():
        wanted = contract.croissant_fields(schema, table, f"{table}-files")
        got = fields.get(table)
        if not isinstance(got, list) or got[: len(wanted)] != wanted:
            yield Problem("BS509", name, f"the fields of {table} are not those of its schema")
