"""Queries: takes the SQL of a recipe, gives its rows as Arrow record batches, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from broadsheet import fence
from broadsheet.problems import CannotRun, InvalidData, Problem


class Query(NamedTuple):
    """The SQL of a recipe: the *sql*, and where it stands: the *path* of the recipe, the *line*, the *pointer*."""

    sql: str
    path: str
    line: int
    pointer: str

    def problem(self, code: str, message: str, hint: str = "") -> Problem:
        """Give a problem that lies on this query."""
        return Problem(code, self.path, message, line=self.line, pointer=self.pointer, hint=hint)


def batches(query: Query, folder: Path, scratch: Path, texts: Path | None = None) -> Iterator[pa.RecordBatch]:
    """Give the rows of *query*, whose paths start from *folder*; raise `InvalidData` with what is wrong with it.

    *texts* is a Parquet file that the query sees as a table of that name. What does not fit in memory goes to
    *scratch*. A batch without rows tells the columns of a result that has none. The rows come in the same order every
    time. The query runs in a process of its own, see `fence`, so that nothing it does harms this one.
    """
    task = {"sql": query.sql, "folder": str(folder.absolute()), "scratch": str(scratch), "texts": texts and str(texts)}
    # -P: modules come from where ours do, and not from the folder of a stranger.
    command = [sys.executable, "-P", "-m", fence.__name__, json.dumps(task)]
    pipe = subprocess.PIPE
    # Nothing goes into it: it ends with this process, and the query ends then too.
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:  # noqa: S603 - it is our own
        try:
            yield from _received(process.stdout)
            said = process.stderr.read() if process.stderr else b""
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        problem = _problem(query, said, process.returncode)
        raise (CannotRun if problem.code == "BS607" else InvalidData)([problem])


def _received(stream: Any) -> Iterator[pa.RecordBatch]:
    """Give the batches of *stream*, up to its end, wherever that comes: the caller hears why the process ended."""
    try:
        with pa.ipc.open_stream(stream) as reader:
            yield pa.RecordBatch.from_pylist([], reader.schema)
            yield from reader
    except (pa.ArrowInvalid, OSError):
        return


def _problem(query: Query, said: bytes, code: int) -> Problem:
    try:
        problem = json.loads(said)
    except ValueError:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        ended = f"was killed by signal {-code}" if code < 0 else f"failed: {last}"
        return query.problem("BS120", f"the process that ran it {ended}")
    if problem["path"]:
        return Problem(**problem)
    return query.problem(problem["code"], problem["message"], problem["hint"])
