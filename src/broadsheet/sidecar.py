"""Sidecar: takes files of rows that name their article, gives the rows of each article, however many there are.

The rows lie in an index on disk (SQLite), which every process that makes shards reads.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import orjson

from broadsheet import contract, jsonl, reading, standoff
from broadsheet.contract import Schema
from broadsheet.problems import MAX_ERRORS, Problem
from broadsheet.rows import json_lines
from broadsheet.rules import Given

_BATCH = 10_000
#: The kind of an entry that is no row, but says what an article is a near-duplicate of.
DUPLICATE = "duplicate_of"
#: How the kind of an entry starts that is an annotator's label, in stand-off form.
LABEL = "label:"


#: The kinds of rows that may lie beside the articles: those of tables, and spans that labels rest on.
TABLES = ("paragraphs", "stances", "evidence")
#: The schema of a span.
SPAN: Schema = contract.package_schema("annotations.schema.json")["$defs"]["span"]


class Source(NamedTuple):
    """A file of rows of a *kind* at *path*: a table's, or an annotator's labels; *shown* is its name in messages.

    The lines *skipped* are left out.
    """

    kind: str
    path: str
    shown: str
    skipped: frozenset[int] = frozenset()


def write(
    index: Path, sources: Sequence[Source], schemas: Mapping[str, Schema], limit: int = MAX_ERRORS
) -> tuple[Counter[str], list[Problem]]:
    """Write the *index* of the rows of *sources*, by the *schemas* of tables; give how many of each kind, and problems.

    After *limit* problems it is given up.
    """
    problems: list[Problem] = []
    with sqlite3.connect(index) as database:
        # The index is made anew by every build: nothing has to survive a crash.
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;")
        database.execute("CREATE TABLE rows (article TEXT, kind TEXT, path TEXT, line INTEGER, form BLOB)")
        rows = _rows(sources, schemas, problems, limit)
        while batch := list(islice(rows, _BATCH)):
            database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", batch)
        database.execute("CREATE INDEX by_article ON rows (article)")
        counts = Counter(dict(database.execute("SELECT kind, count(*) FROM rows GROUP BY kind ORDER BY min(rowid)")))
    database.close()
    return counts, problems


def note_duplicates(index: Path, duplicates: Iterable[tuple[str, str]]) -> int:
    """Enter into *index* which articles are *duplicates*, each with the article it is like; give how many."""
    with sqlite3.connect(index) as database:
        before = database.total_changes
        rows = ((article, DUPLICATE, "", 0, first.encode()) for article, first in duplicates)
        database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", rows)
        count = database.total_changes - before
    database.close()
    return count


def _rows(
    sources: Sequence[Source], schemas: Mapping[str, Schema], problems: list[Problem], limit: int
) -> Iterator[tuple[str, str, str, int, bytes]]:
    for source in sources:
        judged = _judged_by(source.kind, schemas)
        for found in json_lines(reading.lines(source.path), source.shown, jsonl.loads_canonical):
            line = found.line if isinstance(found, Problem) else found[0]
            if line in source.skipped:
                continue
            if isinstance(found, Problem):
                problems.append(found)
            else:
                line, (value, form) = found
                kept, wrong = judged(Given(value, form, source.shown, line))
                problems += wrong
                if not wrong:
                    yield value["article_id"], source.kind, source.shown, line, kept
            if len(problems) >= limit:
                return


def _judged_by(kind: str, schemas: Mapping[str, Schema]) -> Callable[[Given], tuple[bytes, list[Problem]]]:
    """Give what judges a row of *kind*: it gives the row's form, a label's with its defaults, and what is wrong."""

    def label(row: Given) -> tuple[bytes, list[Problem]]:
        found, problems = standoff.judged(row.value, "stance", row.path, row.line)
        return jsonl.canonical(found.fields) if found else b"", problems

    if kind.startswith(LABEL):
        return label
    judge = contract.judge(schemas[kind] if kind in schemas else contract.definition("span"))
    return lambda row: (row.canonical, row.problems(judge))


class Joined(NamedTuple):
    """What belongs to an article: *paragraphs*, *stances*, *spans* that these rest on, *labels* by annotator.

    *duplicate_of* is the article it is a near-duplicate of, if it is one.
    """

    paragraphs: list[Given]
    stances: list[Given]
    spans: list[Given]
    labels: dict[str, list[standoff.Row]]
    duplicate_of: str | None

    @property
    def entries(self) -> int:
        """How many entries of the index this is."""
        labels = sum(map(len, self.labels.values()))
        rows = len(self.paragraphs) + len(self.stances) + len(self.spans)
        return rows + labels + (self.duplicate_of is not None)


class Sidecar:
    """The index at *path*, to be read."""

    def __init__(self, path: str) -> None:
        """Open the index."""
        self._database = sqlite3.connect(f"{Path(path).as_uri()}?mode=ro&immutable=1", uri=True)

    def of(self, article: str) -> Joined:
        """Give what belongs to *article*, rows in the order of the files."""
        sql = "SELECT kind, form, path, line FROM rows WHERE article = ? ORDER BY rowid"
        found: dict[str, list[Given]] = {}
        labels: dict[str, list[standoff.Row]] = {}
        duplicate_of = None
        for kind, form, path, line in self._database.execute(sql, (article,)):
            if kind == DUPLICATE:
                duplicate_of = form.decode()
            elif kind.startswith(LABEL):
                row = standoff.Row(path, line, orjson.loads(form))
                labels.setdefault(kind.removeprefix(LABEL), []).append(row)
            else:
                found.setdefault(kind, []).append(Given(orjson.loads(form), form, path, line))
        paragraphs, stances, spans = (found.get(table, []) for table in TABLES)
        return Joined(paragraphs, stances, spans, labels, duplicate_of)

    def unknown(self, articles: Iterator[str]) -> Iterator[Problem]:
        """Give a problem for the first row of each article that is not among *articles*, which come sorted."""
        known = next(articles, None)
        sql = "SELECT article, path, line FROM rows WHERE path <> '' ORDER BY article, rowid"
        for article, rows in groupby(self._database.execute(sql), key=lambda row: str(row[0])):
            while known is not None and known < article:
                known = next(articles, None)
            if known != article:
                _, path, line = next(rows)
                yield Problem("BS208", path, f"there is no article '{article}'", line=line, pointer="/article_id")

    def close(self) -> None:
        """Close the index."""
        self._database.close()
