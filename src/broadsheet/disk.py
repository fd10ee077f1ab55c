"""The disk: takes files and folders of this machine, has them in place, whole and for good; tells when it is full."""

from __future__ import annotations

import ctypes
import errno
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broadsheet.problems import CannotRun, Problem, cannot_run

#: A disk with less room than this, in bytes, is what a process died of that did not say why.
LITTLE = 1 << 20


def sync(path: Path) -> None:
    """Have the file or folder at *path* written to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def confirm(path: Path) -> None:
    """Have the name *path*, which was given just now, written to disk; raise `CannotRun` if the disk can't say so."""
    try:
        sync(path.parent)
    except OSError as error:
        message = f"it is in place, but the disk did not confirm it: {reason(error)}"
        hint = "A loss of power may undo it. Look at the disk, and run the command again."
        raise cannot_run("BS608", path, message, hint=hint) from None


def put(path: Path, data: bytes) -> None:
    """Have *data* at *path*, on disk, or what was there before; one process at a time writes there."""
    passing = _passing(path)
    with watched(path.parent):
        # What a killed process left goes first; where somebody else's dataset has a link of that name, so does that.
        passing.unlink(missing_ok=True)
        try:
            with passing.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(passing, path)  # noqa: PTH105 - what tests have fail, as a disk would
        finally:
            passing.unlink(missing_ok=True)
    confirm(path)


def remove(path: Path) -> None:
    """Remove the file at *path*, if there is one, and what a process left that was killed while it put it there."""
    path.unlink(missing_ok=True)
    _passing(path).unlink(missing_ok=True)


def _passing(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def exchange(one: Path, other: Path) -> bool:
    """Have two folders change places in one step; tell whether that can be done there: nothing is done if not."""
    libc = ctypes.CDLL(None, use_errno=True)
    paths = os.fsencode(one), os.fsencode(other)
    if hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _EXCHANGE)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*paths, _EXCHANGE)
    else:
        return False
    if failed and (number := ctypes.get_errno()) not in _CANNOT:
        raise OSError(number, os.strerror(number), str(one), None, str(other))
    return not failed


# Of Linux's fcntl.h and fs.h (RENAME_EXCHANGE), and of macOS's stdio.h (RENAME_SWAP).
_AT_FDCWD, _EXCHANGE = -100, 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def watched(*folders: Path | str) -> Iterator[None]:
    """Raise `CannotRun` if the block fails because a disk is full, and say that of the fullest of *folders*."""
    try:
        yield
    except Exception as error:
        problem = full(error, *folders)
        if problem is None:
            raise
        raise CannotRun([problem]) from None


def full(error: Exception, *folders: Path | str) -> Problem | None:
    """Give the problem that the disk of one of *folders* is full, the one with least room, if *error* says so.

    A process that died says nothing: then the disk is asked.
    """
    room, folder = min((_room(folder), str(folder)) for folder in folders)
    died = isinstance(error, CannotRun) and error.problems[0].code == "BS606"
    if not (_is_full(error) or (died and room < LITTLE)):
        return None
    return Problem("BS607", folder, "the disk is full", hint="Make room there, and run the command again.")


def _room(folder: Path | str) -> float:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return math.inf


def reason(error: OSError) -> str:
    """Give what the system says in *error*."""
    return (error.strerror or str(error)).lower()


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    # The libraries that write to disk have errors of their own, which are known only where they are.
    is_theirs = type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb", "sqlite3", "pyarrow")
    return is_theirs and any(words in str(error) for words in _FULL_IN_WORDS)


_FULL = (errno.ENOSPC, errno.EDQUOT)
#: The system's words, those of DuckDB (which takes no more than most of what is free), and those of SQLite.
_FULL_IN_WORDS = (*map(os.strerror, _FULL), "max_temp_directory_size", "disk is full")
