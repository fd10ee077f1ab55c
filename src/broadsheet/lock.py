"""Locks: takes a place, gives it to one process at a time, and says who has it.

The lock is a file beside the place, which says whose it is. The kernel holds it (``flock``) for a process, and lets go
when that ends, however it ends: so a lock that was left behind is known, even if its process's number is another's now.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from broadsheet.problems import CannotRun, cannot_run

#: How often to look, and after how many seconds again, where who has a lock has just begun or just died.
_TRIES, _PAUSE = 100, 0.05


class Owner(NamedTuple):
    """Who has a lock: the process *pid* of a *host*, *since* a moment in UTC."""

    pid: int
    host: str
    since: str

    @property
    def is_here(self) -> bool:
        """Whether it is of this machine."""
        return self.host == socket.gethostname()

    @property
    def is_gone(self) -> bool:
        """Whether it is of this machine, and has ended."""
        with suppress(PermissionError):
            try:
                os.kill(self.pid, 0)
            except (ProcessLookupError, OverflowError):
                return self.is_here
        return False


@contextmanager
def held(place: Path) -> Iterator[None]:
    """Hold *place* while the block runs; raise `CannotRun`, with its owner, if another process does.

    What a process of this machine left behind is taken over. What one of another machine did is not, as nobody here
    can tell whether it still runs.
    """
    path = place.parent / f".{place.name}.lock"
    descriptor = _take(place, path)
    try:
        yield
    finally:
        # It is removed while it is held, so that it is nobody else's.
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _take(place: Path, path: Path) -> int:
    """Give the descriptor of the file at *path*, locked, and with this process as its owner."""
    for _ in range(_TRIES):
        # Where somebody else's dataset has a link of that name, it is not followed.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            is_ours, owner = _claim(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        if is_ours:
            return descriptor
        os.close(descriptor)
        if owner is not None and not owner.is_gone:
            raise _taken(place, path, owner)
        time.sleep(_PAUSE)
    raise _taken(place, path)


def _claim(descriptor: int, path: Path) -> tuple[bool, Owner | None]:
    """Lock the file at *path* if that can be; tell whether it is, and otherwise whose it is, if it says so."""
    is_locked, owner = _lock(descriptor), _read(descriptor)
    if is_locked and not _is_at(path, descriptor):
        return False, None
    if is_locked and (owner is None or owner.is_here):
        _write(descriptor, path)
        return True, None
    return False, owner


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # The file system knows no locks: what the file says must do.
        owner = _read(descriptor)
        return owner is None or owner.is_gone
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Tell whether the file of *descriptor* is still at *path*: who had it may have removed it meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> Owner | None:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return Owner(int(found["pid"]), str(found["host"]), str(found["since"]))
    except (ValueError, TypeError, KeyError):
        return None


def _write(descriptor: int, path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    text = json.dumps(Owner(os.getpid(), socket.gethostname(), now)._asdict()) + "\n"
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError:
        path.unlink()
        raise


def _taken(place: Path, path: Path, owner: Owner | None = None) -> CannotRun:
    who = "another process" if owner is None else f"process {owner.pid} on {owner.host}, since {owner.since},"
    hint = "Wait until it is done, and run the command again."
    if owner is not None and not owner.is_here:
        hint = f"It is on another machine. If it runs no longer, which nobody can tell from here, remove {path}."
    return cannot_run("BS609", place, f"{who} is at work on it", hint=hint)
