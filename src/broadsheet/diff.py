"""The diff: takes two releases, gives what changed from one to the other, and the smallest version that says so.

Rows are read from the JSON Lines, one after another; what must be remembered of each is its key, its digest and its
place, on disk. DuckDB joins these in bounded memory, and only rows that changed are read again, to name their fields.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from broadsheet import contract, evolution, jsonl, reading, release, storage, tables
from broadsheet.contract import Row, Schema
from broadsheet.evolution import SchemaChange, Tree
from broadsheet.fetch import Fetched, fetch
from broadsheet.problems import InvalidData, Problem
from broadsheet.sql import literal
from broadsheet.versions import IDENTITY, RULES, Bump

#: So many rows that were added, removed or changed are named, of each table and kind; all are counted.
SHOWN = 100
#: The split of a row is no field of it; where it changed, this is named among the fields.
SPLIT = "(split)"
MEMORY = "160MB"
_BATCH = 10_000
_TEXTS = ("text", "title")
_JSONL = re.compile(
    r"jsonl/(?P<table>[a-z]+)(-(?P<one>[A-Za-z0-9_.]+)|/(?P<split>[A-Za-z0-9_.]+)-\d{5}-of-\d{5})?\.jsonl"
)


@dataclass(frozen=True)
class Side:
    """One of two releases: how it is *shown*, the *root* its tables lie under, its *schemas*, and its *checksums*.

    Its *version* and *digest* are what it says of itself, if it does.
    """

    shown: str
    root: str
    schemas: Mapping[str, Schema]
    checksums: Mapping[str, str]
    version: str | None = None
    digest: str | None = None

    def files(self, table: str) -> dict[str, str]:
        """Give the JSON Lines files of *table*, in order, each with its split."""
        found = {}
        for name in sorted(self.checksums):
            match = _JSONL.fullmatch(name)
            if match is not None and match["table"] == table:
                found[name] = match["one"] or match["split"] or "train"
        return found


class RowChange(NamedTuple):
    """A row that is in both releases, by its *key*, and the *fields* that differ (dotted)."""

    key: Sequence[Any]
    fields: Sequence[str]


class LabelChange(NamedTuple):
    """How many *rows* of *table* had the label *old* for *target*, and now have *new*; *is_gold* of stances only."""

    table: str
    target: str | None
    is_gold: bool | None
    old: str | None
    new: str | None
    rows: int


class DocumentChange(NamedTuple):
    """A document that was added, removed or changed: that is *what* became of it."""

    name: str
    what: str


class Finding(NamedTuple):
    """One reason for a bump: the rule of `RULES`, and what was found, in words."""

    rule: str
    detail: str

    @property
    def bump(self) -> Bump:
        """What it calls for."""
        return RULES[self.rule].bump


@dataclass
class TableDiff:
    """How the rows of a table differ: how many there were and are, and how many were added, removed or changed.

    *fields* says in how many rows a field changed, *rules* how many rows fall under which of `RULES`; of each kind, the
    first rows are named.
    """

    rows_old: int = 0
    rows_new: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    added_keys: list[Sequence[Any]] = field(default_factory=list)
    removed_keys: list[Sequence[Any]] = field(default_factory=list)
    changed_rows: list[RowChange] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether no row differs."""
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Diff:
    """All that differs between the releases *old* and *new*; *files* are those that hold the same rows otherwise."""

    old: Side
    new: Side
    schema: Sequence[SchemaChange]
    tables: Mapping[str, TableDiff]
    labels: Sequence[LabelChange]
    documents: Sequence[DocumentChange]
    files: Sequence[str]

    @property
    def findings(self) -> list[Finding]:
        """Every reason for a bump, the weightiest first."""
        found = [Finding(change.rule, change.detail) for change in self.schema]
        for table, rows in self.tables.items():
            found += [Finding(rule, f"{table}: {_rows(count)}") for rule, count in rows.rules.items()]
        if self.documents:
            found.append(Finding("documents changed", ", ".join(change.name for change in self.documents)))
        if self.files:
            found.append(Finding("reserialised", ", ".join(self.files)))
        return sorted(found, key=lambda finding: [*RULES].index(finding.rule))

    @property
    def bump(self) -> Bump:
        """The smallest bump that is honest."""
        return max((finding.bump for finding in self.findings), default=Bump.NONE)

    @property
    def reasons(self) -> str:
        """What calls for the required bump, in words."""
        details: dict[str, list[str]] = {}
        for finding in self.findings:
            if finding.bump is self.bump:
                details.setdefault(finding.rule, []).append(finding.detail)
        return "; ".join(f"{rule} ({', '.join(own)})" for rule, own in details.items())


def diff(old: str, new: str, shown: int = SHOWN) -> Diff:
    """Give what changed from the release called *old* to *new*, named as `fetch.fetch` takes them.

    Of the rows of each kind the first *shown* are named. Raises `CannotRun` and `InvalidData` as `fetch` does.
    """
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as scratch:
        before = side(fetch(old, Path(scratch, "old"), is_wanted))
        after = side(fetch(new, Path(scratch, "new"), is_wanted))
        return compare(before, after, shown)


def is_wanted(name: str) -> bool:
    """Tell whether the file *name* of a release must be there for a diff; of the others, the digest will do."""
    return name == IDENTITY or name.startswith("schema/") or _JSONL.fullmatch(name) is not None


def side(found: Fetched) -> Side:
    """Give the release that was *found* as a side of a diff."""
    schemas = {}
    for table, file in contract.TABLES.items():
        name = release.schema_path(file)
        if name in found.checksums:
            schemas[table] = _object(found, name)
    identity = _object(found, IDENTITY) if IDENTITY in found.checksums else {}
    version, digest = identity.get("version"), identity.get("digest")
    return Side(found.shown, str(found.folder), schemas, found.checksums, version, digest)


def counts(own: Side) -> dict[str, int]:
    """Give how many rows each table of *own* has."""
    return {table: sum(_count(own, name) for name in own.files(table)) for table in own.schemas}


def compare(old: Side, new: Side, shown: int = SHOWN) -> Diff:
    """Give what changed from *old* to *new*, as `diff` does."""
    schema, rows, labels, files = list[SchemaChange](), dict[str, TableDiff](), list[LabelChange](), list[str]()
    for table, file in contract.TABLES.items():
        before, after = old.schemas.get(table), new.schemas.get(table)
        if before is None and after is None:
            continue
        changes = evolution.changes(table, before, after)
        name = release.schema_path(file)
        if not changes and old.checksums.get(name) != new.checksums.get(name):
            changes = [SchemaChange(table, "", "described", f"the schema of {table} is written otherwise")]
        schema += changes
        rows[table], found = _compare_rows(table, old, new, shown)
        labels += found
        if rows[table].is_empty and all(change.bump is Bump.PATCH for change in changes):
            files += [name for name in _differing(old, new) if _table_of(name) == table]
    documents = [change for name in _differing(old, new) if (change := _document(name, old, new)) is not None]
    return Diff(old, new, schema, rows, labels, documents, files)


def _object(found: Fetched, name: str) -> Mapping[str, Any]:
    try:
        value = jsonl.loads((found.folder / name).read_bytes())
    except ValueError as error:
        raise InvalidData([Problem("BS505", f"{found.shown}/{name}", f"it is no JSON document: {error}")]) from None
    if not isinstance(value, dict):
        raise InvalidData([Problem("BS505", f"{found.shown}/{name}", "it is no JSON object")])
    return value


def _differing(old: Side, new: Side) -> list[str]:
    names = sorted({*old.checksums, *new.checksums})
    return [name for name in names if old.checksums.get(name) != new.checksums.get(name)]


def _table_of(name: str) -> str | None:
    found = re.match(r"(?:data|jsonl)/([a-z]+)", name)
    return found[1] if found else None


def _document(name: str, old: Side, new: Side) -> DocumentChange | None:
    schemas = {release.schema_path(file) for file in contract.TABLES.values()}
    if name == IDENTITY or name in schemas or _table_of(name) in contract.TABLES:
        return None
    what = "added" if name not in old.checksums else "removed" if name not in new.checksums else "changed"
    return DocumentChange(name, what)


# --- the rows of one table ---


def _compare_rows(table: str, old: Side, new: Side, shown: int) -> tuple[TableDiff, list[LabelChange]]:
    tree = None
    if table in old.schemas and table in new.schemas:
        fields, is_all = evolution.shared(old.schemas[table], new.schemas[table])
        tree = None if is_all else fields
    files = [{name: own.checksums[name] for name in own.files(table)} for own in (old, new)]
    if tree is None and files[0] == files[1]:
        rows = counts(old)[table]
        return TableDiff(rows, rows), []
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as scratch:
        return _Join(table, old, new, tree, Path(scratch)).compared(shown)


class _Join:
    """The rows of one *table* in two releases, indexed in a folder of its own and joined by their keys."""

    def __init__(self, table: str, old: Side, new: Side, tree: Tree | None, scratch: Path) -> None:
        self._table, self._sides, self._tree, self._scratch = table, (old, new), tree, scratch
        self._labels = {
            name
            for own in self._sides
            for name, prop in own.schemas.get(table, {}).get("properties", {}).items()
            if prop.get("x-class-label")
        }
        self._database = duckdb.connect(
            config={
                "memory_limit": MEMORY,
                "temp_directory": str(scratch / "spill"),
                "threads": 2,
                "preserve_insertion_order": False,
            }
        )

    def compared(self, shown: int) -> tuple[TableDiff, list[LabelChange]]:
        """Give how the rows differ, the first *shown* of each kind by name, and how labels went over into others."""
        with self._database:
            old, new = self._sides
            found = TableDiff(self._index(old, "old"), self._index(new, "new"))
            self._match()
            found.added, found.added_keys = self._only("new", "old", shown)
            found.removed, found.removed_keys = self._only("old", "new", shown)
            found.rules += Counter({"rows added": found.added, "rows removed": found.removed})
            for change in self._changes():
                found.changed += 1
                found.fields.update(change.fields)
                found.rules.update({self._rule(name) for name in change.fields})
                if len(found.changed_rows) < shown:
                    found.changed_rows.append(change)
            return found, list(self._relabelled())

    def _index(self, own: Side, name: str) -> int:
        """Write what must be remembered of each row of *own* to disk, and give how many there are."""
        rows = 0
        with pq.ParquetWriter(self._scratch / f"{name}.parquet", _INDEX, compression="zstd") as writer:
            for batch in _batches(_entries(self._table, own, self._tree)):
                writer.write_batch(batch)
                rows += len(batch)
        self._database.execute(f"CREATE VIEW {name} AS FROM read_parquet({self._path(name)})")
        twice = self._database.execute(
            f"SELECT key FROM {name} GROUP BY key HAVING count(*) > 1 ORDER BY key LIMIT 1"
        ).fetchone()
        if twice is not None:
            where = f"{own.shown}/jsonl/{self._table}"
            raise InvalidData([Problem("BS207", where, f"two rows have the key {twice[0]}")])
        return rows

    def _match(self) -> None:
        columns = ", ".join(f"{side}.{column} AS {side}_{column}" for side in ("old", "new") for column in _INDEX.names)
        sql = f"""
            COPY (
                SELECT {columns} FROM old FULL OUTER JOIN new ON old.key = new.key
                WHERE old.digest IS DISTINCT FROM new.digest OR old.split IS DISTINCT FROM new.split
            ) TO {self._path("changes")} (FORMAT parquet)
        """
        self._database.execute(sql)
        self._database.execute(f"CREATE VIEW changes AS FROM read_parquet({self._path('changes')})")

    def _only(self, side: str, other: str, shown: int) -> tuple[int, list[Sequence[Any]]]:
        where = f"FROM changes WHERE {other}_key IS NULL"
        (count,) = self._database.execute(f"SELECT count(*) {where}").fetchone() or (0,)
        sql = f"SELECT {side}_key {where} ORDER BY {side}_file, {side}_start LIMIT {shown}"
        return count, [json.loads(key) for (key,) in self._database.execute(sql).fetchall()]

    def _changes(self) -> Iterator[RowChange]:
        """Give the rows that are in both and differ, in the order of the new ones."""
        places = ", ".join(
            f"{side}_{column}" for side in ("old", "new") for column in ("split", "file", "start", "size")
        )
        sql = f"""
            SELECT new_key, {places} FROM changes WHERE old_key IS NOT NULL AND new_key IS NOT NULL
            ORDER BY new_file, new_start
        """
        with ExitStack() as stack:
            before, after = (_Rows(own, self._table, stack) for own in self._sides)
            # Another connection runs while this one is read from: a cursor.
            for batch in self._database.cursor().sql(sql).to_arrow_reader(_BATCH):
                for row in batch.to_pylist():
                    old, new = (
                        self._seen(rows.row(row[f"{side}_file"], row[f"{side}_start"], row[f"{side}_size"]))
                        for side, rows in (("old", before), ("new", after))
                    )
                    fields = list(_differences(old, new)) + [SPLIT] * (row["old_split"] != row["new_split"])
                    # Lines that only write the same row otherwise are no change.
                    if fields:
                        yield RowChange(json.loads(row["new_key"]), fields)

    def _seen(self, row: Row) -> Any:
        """Give *row* with the fields that both releases have."""
        return row if self._tree is None else evolution.project(row, self._tree)

    def _relabelled(self) -> Iterator[LabelChange]:
        """Give how labels changed; gold labels are joined by article and target, whoever they came from."""
        if self._table not in _LABELS:
            return
        sql = """
            SELECT b.new_target, b.new_is_gold, a.old_label, b.new_label, count(*) AS n
            FROM changes a JOIN changes b ON a.old_label_key = b.new_label_key AND a.old_is_gold = b.new_is_gold
            WHERE a.old_label IS DISTINCT FROM b.new_label GROUP BY ALL ORDER BY n DESC, 1, 2, 3, 4
        """
        for target, is_gold, old, new, rows in self._database.execute(sql).fetchall():
            yield LabelChange(self._table, target, is_gold if self._table == "stances" else None, old, new, rows)

    def _rule(self, name: str) -> str:
        if name == SPLIT:
            return "rows moved"
        top = name.split(".", maxsplit=1)[0]
        return "texts changed" if name in _TEXTS else "labels changed" if top in self._labels else "values changed"

    def _path(self, name: str) -> str:
        return literal(str(self._scratch / f"{name}.parquet"))


class _Rows:
    """The rows of one table of a release, by their places; its files stay open."""

    def __init__(self, own: Side, table: str, stack: ExitStack) -> None:
        self._own, self._names, self._stack = own, list(own.files(table)), stack.enter_context(ExitStack())
        self._open: tuple[int, IO[bytes]] | None = None

    def row(self, number: int, start: int, size: int) -> Row:
        """Give the row whose line starts at byte *start* of file *number*."""
        if self._open is None or self._open[0] != number:
            # Rows come in the order of one side's files; the other's mostly go along.
            self._stack.close()
            self._open = number, self._stack.enter_context(storage.opened(self._own.root, self._names[number]))
        file = self._open[1]
        file.seek(start)
        value: Row = jsonl.loads(file.read(size))
        return value


#: What is remembered of a row. A label is that of an article for its target, or of a row of stances.
_INDEX = pa.schema(
    [
        ("key", pa.string()),
        ("digest", pa.binary()),
        ("split", pa.string()),
        ("file", pa.int32()),
        ("start", pa.int64()),
        ("size", pa.int32()),
        ("label_key", pa.string()),
        ("target", pa.string()),
        ("is_gold", pa.bool_()),
        ("label", pa.string()),
    ]
)
_LABELS = ("articles", "stances")


def _entries(table: str, own: Side, tree: Tree | None) -> Iterator[tuple[Any, ...]]:
    columns = contract.primary_key(contract.table_schema(table))
    for number, (name, split) in enumerate(own.files(table).items()):
        start = 0
        with storage.opened(own.root, name) as file:
            for line_number, line in enumerate(file, start=1):
                bare = line.rstrip(b"\n")
                try:
                    row = jsonl.loads(bare)
                    key = jsonl.canonical([row[column] for column in columns]).decode()
                except (ValueError, KeyError, TypeError) as error:
                    message = f"it is no row of {table}: {error}"
                    raise InvalidData([Problem("BS504", f"{own.shown}/{name}", message, line=line_number)]) from None
                known = bare if tree is None else jsonl.canonical(evolution.project(row, tree))
                yield key, tables.row_digest(known), split, number, start, len(bare), *_label(table, row, key)
                start += len(line)


def _label(table: str, row: Row, key: str) -> tuple[str | None, str | None, bool | None, str | None]:
    if table == "articles":
        return key, row.get("stance_target"), False, row.get("stance")
    if table == "stances":
        is_gold = bool(row.get("is_gold"))
        item = jsonl.canonical([row["article_id"], row["target_id"]]).decode()
        return item if is_gold else key, row["target_id"], is_gold, row.get("stance")
    return None, None, None, None


def _batches(entries: Iterator[tuple[Any, ...]]) -> Iterator[pa.RecordBatch]:
    waiting: list[tuple[Any, ...]] = []
    for entry in entries:
        waiting.append(entry)
        if len(waiting) == _BATCH:
            yield _batch(waiting)
            waiting = []
    if waiting:
        yield _batch(waiting)


def _batch(entries: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    columns = zip(*entries, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, _INDEX.types, strict=True)]
    return pa.record_batch(arrays, schema=_INDEX)


def _count(own: Side, name: str) -> int:
    lines = 0
    with storage.opened(own.root, name) as file:
        while data := file.read(reading.BLOCK):
            lines += data.count(b"\n")
    return lines


def _differences(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    """Give the dotted names of the fields in which two objects differ; a list is looked at as a whole."""
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _differences(before, after, f"{prefix}{name}.")
        elif (name in old) != (name in new) or jsonl.canonical(before) != jsonl.canonical(after):
            yield prefix + name


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"
