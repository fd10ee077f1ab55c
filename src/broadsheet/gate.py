"""The gate: takes a file of rows and the schema they must follow, gives what is wrong, in bounded memory.

Rows come as JSON Lines, as a JSON document, or as Parquet. What is judged row by row is told as it is found; what needs
all rows, at the end.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from broadsheet import contract, jsonl, reading, rules, spread
from broadsheet.contract import Judge, Row, Schema, Violation
from broadsheet.jsonl import MAX_DEPTH
from broadsheet.problems import Problem, cannot_run
from broadsheet.progress import Tell, silent
from broadsheet.reading import Line
from broadsheet.rows import Rows, document, json_lines, parquet

#: From what size on several processes share a file, and how many bytes of it one judges at once.
LARGE = 16 << 20
PART = 4 << 20
#: How many stances' quotes are held at once while the articles are read for them.
QUOTED_ROWS = 50_000
#: A split's name in a file's name, as the hub finds it.
_SPLIT = re.compile(r"(?:^|[\W_])(train|test|validation|valid|dev)(?=[\W_]|$)", re.IGNORECASE)


@dataclass
class Gate:
    """What is known over all files that are checked together: keys and texts seen, and how many rows.

    *schema* is the user's own, or None: then the contract is told by the columns. *tell* hears of the progress.
    *workers* processes share a large plain file of JSON Lines; what they find does not depend on how many they are.
    """

    schema: Schema | None = None
    tell: Tell = silent
    workers: int = 1
    rows: int = 0
    keys: dict[str, Seen] = field(default_factory=dict)
    references: dict[str, Seen] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    texts: Seen = field(default_factory=lambda: Seen())  # noqa: PLW0108 - the class stands below

    def check(self, path: str, *, array_of_rows: bool = False) -> Iterator[Problem]:
        """Judge the file at *path*, told by its ending; a JSON document is one value, or an *array_of_rows*."""
        judged = _Judged(self, path)
        match reading.suffix(path):
            case ".parquet":
                rows = parquet(path, judged.check_columns)
            case ".json":
                rows = document(path, array_of_rows=array_of_rows)
            case ".jsonl" | ".ndjson" if self.workers > 1 and _is_large(path):
                yield from self._check_in_parts(path)
                return
            case ".jsonl" | ".ndjson":
                rows = json_lines(reading.lines(path), path)
            case _ if path == "-":
                rows = json_lines(reading.lines(path), path)
            case ending:
                raise cannot_run("BS604", path, f"what it holds can't be told by its ending '{ending}'")
        yield from judged.run(rows)

    def finish(self) -> Iterator[Problem]:
        """Give what only all rows of all files together can tell: keys and texts that are there twice."""
        for seen in self.keys.values():
            for first, second in seen.repeated():
                yield Problem("BS207", second.path, f"the key is that of {first} too", line=second.line)
        for table, seen in self.references.items():
            known = self.keys.get(contract.package_schema(contract.TABLES[table])["$id"])
            for place in seen.missing_from(known) if known else ():
                yield Problem("BS208", place.path, f"it refers to a row that the {table} do not have", line=place.line)
        if "articles" in self.files and "stances" in self.files:
            yield from _misplaced_quotes(self.files["articles"], self.files["stances"])
        for first, second in self.texts.repeated():
            splits = [_SPLIT.search(place.path) for place in (first, second)]
            names = [found[1].lower() for found in splits if found]
            leaks = len(set(names)) == len(names) == len(splits)
            message = f"the text of {first} stands in another split" if leaks else f"the text is that of {first} too"
            yield Problem("BS210" if leaks else "BS209", second.path, message, line=second.line, severity="warning")

    def _check_in_parts(self, path: str) -> Iterator[Problem]:
        """Judge a large plain file of JSON Lines, stretch after stretch, in several processes."""
        schema = self.schema or _schema_told_by_first_row(path)
        by = contract.table_of(schema) or schema
        if isinstance(by, str):
            self.files.setdefault(by, []).append(path)
        contract.judge(schema)  # forked processes find it made
        size = Path(path).stat().st_size
        lines = done = 0
        judge = partial(_judge_part, path, by)
        parts = [(start, min(start + PART, size)) for start in range(0, size, PART)]
        with spread.executor(self.workers) as pool:
            for part in spread.results(pool, judge, parts):
                yield from (replace(found, line=found.line and found.line + lines) for found in part.problems)
                self._take(part.gate, lines)
                lines += part.lines
                done = min(done + PART, size)
                self.tell(f"checking {path}: {self.rows:,} rows", done, size)

    def _take(self, other: Gate, lines: int) -> None:
        """Take over what another gate has seen in a stretch of a file that starts after *lines*."""
        self.rows += other.rows
        for mine, theirs in ((self.keys, other.keys), (self.references, other.references)):
            for name, seen in theirs.items():
                mine.setdefault(name, Seen()).extend(seen, lines)
        self.texts.extend(other.texts, lines)


class _Part(NamedTuple):
    """What was found in a stretch of a file: *problems* and a *gate*'s memory, both with lines counted from 1."""

    problems: list[Problem]
    gate: Gate
    lines: int


def _judge_part(path: str, by: Schema | str, part: tuple[int, int]) -> _Part:
    """Judge the lines of *path* that start in a *part* of its bytes *by* a schema, or a table's contract."""
    gate = Gate(schema=contract.table_schema(by) if isinstance(by, str) else by)
    count = 0

    def counted() -> Iterator[Line]:
        nonlocal count
        for line in reading.lines(path, *part):
            count = line.number
            yield line

    problems = list(_Judged(gate, path).run(json_lines(counted(), path)))
    gate.schema = None
    return _Part(problems, gate, count)


def _schema_told_by_first_row(path: str) -> Schema:
    """Give the contract that the first row of *path* that can be read tells."""
    for found in json_lines(reading.lines(path), path):
        if not isinstance(found, Problem):
            return _schema_told_by(found[1], path)
    return _schema_told_by(None, path)


def _schema_told_by(value: Any, path: str) -> Schema:
    table = contract.told_by(value if isinstance(value, dict) else ())
    if table is None:
        hint = f"Name a schema with --schema: a file, or one of {', '.join(contract.TABLES)}."
        raise cannot_run("BS604", path, "its columns are those of no contract", hint=hint)
    return contract.table_schema(table)


def _misplaced_quotes(articles: Sequence[str], stances: Sequence[str]) -> Iterator[Problem]:
    """Give a problem for each quote of the *stances* files that is not at its place in the *articles* files' texts.

    Neither side is held: so many stances' quotes at once, and the articles are read again for them.
    """
    waiting: dict[str, list[tuple[str, int, str, Row]]] = {}
    count = 0
    for path in stances:
        for line, row in _good_rows(path, "stances"):
            for index, quote in enumerate(row["evidence"]):
                if quote["source"] == "text":
                    place = (path, line, f"/evidence/{index}", quote)
                    waiting.setdefault(row["article_id"], []).append(place)
            count += 1
            if count % QUOTED_ROWS == 0:
                yield from _settle(waiting, articles)
                waiting = {}
    yield from _settle(waiting, articles)


def _settle(waiting: Mapping[str, list[tuple[str, int, str, Row]]], articles: Sequence[str]) -> Iterator[Problem]:
    for file in articles if waiting else ():
        for _, row in _good_rows(file, "articles"):
            for path, line, pointer, quote in waiting.get(row["id"], ()):
                there = row["text"][quote["start"] : quote["end"]]
                if there != quote["exact"]:
                    message = f"text[{quote['start']}:{quote['end']}] of '{row['id']}' is {there!r}"
                    yield Problem("BS401", path, f"{message}, not {quote['exact']!r}", line=line, pointer=pointer)


def _good_rows(path: str, table: str) -> Iterator[tuple[int, Row]]:
    """Read *path* once more, and give the rows that the *table*'s contract accepts."""
    accepts = contract.judge(contract.table_schema(table)).accepts
    match reading.suffix(path):
        case ".parquet":
            rows = parquet(path, lambda _: [])
        case ".json":
            rows = document(path, array_of_rows=True)
        case _:
            rows = json_lines(reading.lines(path), path)
    for found in rows:
        if not isinstance(found, Problem) and accepts(found[1]):
            yield found


def _is_large(path: str) -> bool:
    is_plain = not reading.is_url(path) and Path(path).suffix not in reading.COMPRESSIONS
    return is_plain and Path(path).stat().st_size > LARGE


@dataclass(frozen=True)
class Place:
    """A row of a file: *line* counts from 1."""

    path: str
    line: int

    def __str__(self) -> str:
        """Say it as messages do."""
        return f"{self.path}:{self.line}"


class Seen:
    """The 128-bit digests (XXH3) of what was seen and where: 26 bytes a row, so that ten million fit in memory."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._digests, self._line, self._file = bytearray(), array("Q"), array("H")
        self._paths: list[str] = []

    def add(self, value: str, path: str, line: int) -> None:
        """Note *value* at *line* of *path*."""
        if not self._paths or self._paths[-1] != path:
            self._paths.append(path)
        self._digests += xxhash.xxh3_128_digest(value.encode())
        self._line.append(line)
        self._file.append(len(self._paths) - 1)

    def extend(self, other: Seen, lines: int) -> None:
        """Note what *other* has seen, all in one file, whose lines count from *lines* on."""
        if not other._line:
            return
        self._digests += other._digests
        self._line.extend(array("Q", (line + lines for line in other._line)))
        for path in other._paths[:1]:
            if not self._paths or self._paths[-1] != path:
                self._paths.append(path)
        self._file.extend(array("H", [len(self._paths) - 1]) * len(other._line))

    def repeated(self) -> Iterator[tuple[Place, Place]]:
        """Give each place of a value that was seen before, after the place it was first seen at."""
        digests = self._array()
        order = np.argsort(digests, kind="stable")
        again = np.flatnonzero(digests[order[1:]] == digests[order[:-1]]) + 1
        first: dict[bytes, Place] = {}
        for index in sorted({*order[again].tolist(), *order[again - 1].tolist()}):
            place = self._place(index)
            if first.setdefault(bytes(digests[index]), place) is not place:
                yield first[bytes(digests[index])], place

    def missing_from(self, others: Seen) -> Iterator[Place]:
        """Give the place of each value that *others* have not."""
        for index in np.flatnonzero(~np.isin(self._array(), others._array())).tolist():
            yield self._place(index)

    def _array(self) -> Any:
        # Strings of 16 bytes: NumPy compares and sorts them as such.
        return np.frombuffer(bytes(self._digests), dtype="S16")

    def _place(self, index: int) -> Place:
        return Place(self._paths[self._file[index]], self._line[index])


def _no_rules(_: Row) -> Sequence[Violation]:
    return ()


#: What is judged beyond the schema, by the `$id` of a contract.
_RULES: Mapping[str, Callable[[Row], Iterable[Violation]]] = {
    contract.package_schema(contract.TABLES["articles"])["$id"]: rules.of_text
}


class _Judged:
    """The rows of one file, judged one after another."""

    def __init__(self, gate: Gate, path: str) -> None:
        self._gate, self._path = gate, path
        self._row_rules: Callable[[Row], Iterable[Violation]] = _no_rules
        self._judge: Judge | None = None
        self._noted: list[tuple[Sequence[str], Seen]] = []
        self._texts: Seen | None = None
        self._is_open, self._has_rules = True, False
        if gate.schema is not None:
            self._use(gate.schema)

    def run(self, rows: Rows) -> Iterator[Problem]:
        """Give the problems of *rows*."""
        count, accepts = 0, None
        for found in rows:
            if isinstance(found, Problem):
                yield found
                continue
            line, value = found
            count += 1
            if accepts is None:
                judge = self._judge or self._use(_schema_told_by(value, self._path))
                accepts, is_open, has_rules = judge.accepts, self._is_open, self._has_rules
            if count % 4096 == 0:
                self._gate.tell(f"checking {self._path}: {count:,} rows")
            if is_open and jsonl.depth(value) > MAX_DEPTH:
                yield Problem("BS112", self._path, str(jsonl.too_deep()), line=line)
            elif not accepts(value):
                yield from self._violations(judge, value, line)
            elif has_rules:
                yield from self._judge_beyond(value, line)
        self._gate.rows += count

    def _violations(self, judge: Judge, value: Any, line: int) -> Iterator[Problem]:
        for found in judge.violations(value):
            yield Problem(found.code, self._path, found.message, line=line, pointer=found.pointer, hint=found.hint)

    def _judge_beyond(self, value: Row, line: int) -> list[Problem]:
        """Judge what no schema can say, and note what only all rows together can tell."""
        for columns, seen in self._noted:
            key = value[columns[0]] if len(columns) == 1 else "\0".join(str(value[column]) for column in columns)
            seen.add(key, self._path, line)
        if self._texts is not None and value["duplicate_of"] is None:
            self._texts.add(value["text_sha256"], self._path, line)
        return [Problem(found.code, self._path, found.message, line=line) for found in self._row_rules(value)]

    def check_columns(self, columns: pa.Schema) -> list[Problem]:
        """Give what is wrong with the *columns* of a Parquet file: missing, not in the contract, of another type."""
        judge = self._judge or self._use(_schema_told_by(dict.fromkeys(columns.names), self._path))
        try:
            expected = contract.arrow_schema(judge.schema)
        except (KeyError, ValueError):
            return []  # a schema that says no types, or several: its rows are judged all the same
        return [Problem("BS505", self._path, message) for message in contract.column_differences(columns, expected)]

    def _use(self, schema: Schema) -> Judge:
        name = schema.get("$id", "")
        self._judge = contract.judge(schema)
        self._is_open = not contract.is_closed(schema)
        table = contract.table_of(schema)
        if table is None:
            return self._judge  # the user's own schema: its rows are judged by it alone
        if self._path != "-":
            self._gate.files.setdefault(table, []).append(self._path)
        self._has_rules = True
        self._row_rules = _RULES.get(name, _no_rules)
        self._texts = self._gate.texts if name in _RULES else None
        if key := schema.get("x-primary-key"):
            self._noted.append((key, self._gate.keys.setdefault(name, Seen())))
        for foreign in schema.get("x-foreign-keys", ()):
            self._noted.append((foreign["columns"], self._gate.references.setdefault(foreign["table"], Seen())))
        return self._judge
