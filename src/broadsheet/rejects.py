"""Rejects: rows that a build leaves out when it is told to keep going, each with what is wrong with it.

Nothing disappears: a row is built, or it is written here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from broadsheet import disk, jsonl, reading
from broadsheet.problems import MAX_ERRORS, Problem


class Input(NamedTuple):
    """A file of rows of a *table* at *path*."""

    table: str
    path: str


class Rejects:
    """The rows that are left out, by the name that messages have for their file, and by line."""

    def __init__(self, *, wanted: bool) -> None:
        """Take whether rows may be left out at all."""
        self.wanted = wanted
        self.inputs: dict[str, Input] = {}
        self._found: dict[str, dict[int, list[Problem]]] = {}

    @property
    def limit(self) -> int:
        """After how many errors to give up: where rows may be left out, all of them are told."""
        return sys.maxsize if self.wanted else MAX_ERRORS

    def __len__(self) -> int:
        """Give the number of rows that are left out."""
        return sum(map(len, self._found.values()))

    def lines(self, shown: str) -> frozenset[int]:
        """Give the lines that are left out of the file that messages call *shown*."""
        return frozenset(self._found.get(shown, ()))

    def take(self, problems: Sequence[Problem]) -> bool:
        """Leave out the rows that *problems* lie on; tell whether that mends anything: all errors lie on rows."""
        errors = [problem for problem in problems if problem.severity == "error"]
        if not self.wanted or any(problem.line is None or problem.path not in self.inputs for problem in errors):
            return False
        before = len(self)
        for problem in errors:
            self._found.setdefault(problem.path, {}).setdefault(problem.line or 0, []).append(problem)
        return len(self) > before

    def problems(self) -> list[Problem]:
        """Give what is wrong with the rows that are left out, in the files' order."""
        return [problem for lines in self._found.values() for _, found in sorted(lines.items()) for problem in found]

    def counts(self) -> dict[str, int]:
        """Give the number of rows that are left out, by table."""
        counts: dict[str, int] = {}
        for shown, lines in self._found.items():
            table = self.inputs[shown].table
            counts[table] = counts.get(table, 0) + len(lines)
        return counts

    def given(self, built: Mapping[str, int]) -> dict[str, int]:
        """Give the number of rows in the input, by table: those that were *built*, and those that are left out."""
        counts = self.counts()
        return {table: built.get(table, 0) + counts.get(table, 0) for table in {**built, **counts}}

    def write(self, folder: Path) -> list[Path]:
        """Write a file of rejects for each table into *folder*, and remove those of earlier builds; give the files.

        A line has the row as it was read (as text, if it is no JSON), where it stood, and its problems.
        """
        tables = {table: folder / f"{table}.jsonl" for table in ("articles", "paragraphs", "stances", "evidence")}
        written = []
        for table, place in tables.items():
            rows = b"".join(jsonl.serialize([row]) for row in self._rows(table))
            if rows:
                folder.mkdir(exist_ok=True)
                disk.put(place, rows)
                written.append(place)
            else:
                disk.remove(place)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        return written

    def _rows(self, table: str) -> Iterator[dict[str, Any]]:
        for shown, lines in self._found.items():
            if self.inputs[shown].table != table:
                continue
            for line in reading.lines(self.inputs[shown].path):
                if line.number in lines:
                    problems = [_told(problem) for problem in lines[line.number]]
                    yield {"path": shown, "line": line.number, "problems": problems, "row": _value(line.data)}


#: Those of a build that leaves out nothing.
NO_REJECTS = Rejects(wanted=False)


def lines_before(path: str, offset: int) -> int:
    """Give how many lines of the file at *path* start before the byte *offset*."""
    if offset == 0:
        return 0
    count, left = 1, offset - 1
    with reading.opened(path) as file:
        while left and (data := file.read(min(left, 1 << 20))):
            count += data.count(b"\n")
            left -= len(data)
    return count


def _told(problem: Problem) -> dict[str, str]:
    return {name: getattr(problem, name) for name in ("code", "pointer", "message", "hint")}


def _value(data: bytes) -> Any:
    try:
        return jsonl.loads(data)
    except (jsonl.Rejected, UnicodeDecodeError):
        return os.fsdecode(data).encode(errors="replace").decode().rstrip("\n")
