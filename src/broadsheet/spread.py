"""Spreading work: takes a function and tasks, gives their results in the tasks' order, made by several processes.

The processes are this machine's, or those of a Dask cluster; both are a ``concurrent.futures.Executor``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_all_start_methods, get_context, parent_process
from multiprocessing.context import BaseContext
from typing import TypeVar
from urllib.parse import urlsplit

from broadsheet.problems import cannot_run

Task = TypeVar("Task")
Result = TypeVar("Result")

#: How often a task is tried again when the worker of a cluster that had it is lost.
RETRIES = 3
#: How long a scheduler may take to answer, in seconds.
TIMEOUT = 10


def cores() -> int:
    """Give how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def executor(workers: int | None, scheduler: str | None = None) -> Iterator[Executor | None]:
    """Give an executor of *workers* processes of this machine, or of the Dask cluster whose *scheduler* is named.

    Without either there is none, and the work is done in this process. If the block ends badly, processes here are
    stopped at once.
    """
    if scheduler is not None:
        with _cluster(scheduler) as cluster:
            yield cluster
        return
    if workers is None:
        yield None
        return
    before = active_children()
    pool = ProcessPoolExecutor(workers, _context(), initializer=_settle)
    try:
        yield pool
    except BaseException:
        for process in active_children():
            if process not in before:
                process.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def fork_once() -> None:
    """Let the first executor fork this process: for a program that has just begun, and has done nothing in threads.

    That is fast. Later, Arrow and DuckDB have threads, and what a forked process holds of them may hang; so have
    programs that this package is used in. A server that forks for them, or a new process, is always safe.
    """
    global _may_fork  # noqa: PLW0603 - a process has one state, and this is about it
    _may_fork = "fork" in get_all_start_methods()


_may_fork = False


def _context() -> BaseContext:
    global _may_fork  # noqa: PLW0603 - as above
    if _may_fork:
        _may_fork = False
        return get_context("fork")
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    found = get_context("forkserver")
    found.set_forkserver_preload(["broadsheet.shards", "broadsheet.gate"])
    return found


def results(pool: Executor | None, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Give what *function* gives for each of *tasks*, in their order; raise `CannotRun` if a process dies."""
    if pool is None:
        yield from map(function, tasks)
        return
    futures = [pool.submit(function, task) for task in tasks]
    futures.reverse()
    try:
        while futures:
            yield futures.pop().result()
    except BrokenProcessPool:
        hint = "Mostly memory is full: take fewer workers. Nothing was changed."
        raise cannot_run("BS606", "build", "a worker process died", hint=hint) from None
    except CancelledError:
        raise cannot_run("BS606", "build", "the cluster gave a task up", hint="Is its scheduler still there?") from None
    except Exception as error:
        # Dask's own errors are known only where its library is.
        if type(error).__module__.startswith("distributed"):
            raise cannot_run("BS606", "build", f"the cluster gave a task up: {error}") from None
        raise


def _settle() -> None:
    """Make a worker of this process: it stops without a word, and keeps the memory that it is done with."""
    # Ctrl-C reaches the workers too; the main process says what there is to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # What a block of rows took is needed for the next one. glibc would give it back to the system each time, and get it
    # again page by page.
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_TRIM_THRESHOLD, KEPT)
        libc.mallopt(_MMAP_THRESHOLD, KEPT)


def _end_with_parent() -> None:
    """End this process when the one it works for does, however that comes: nobody would tell it to stop."""
    parent = parent_process()
    assert parent is not None  # noqa: S101 - it is a worker
    parent.join()
    os._exit(1)


#: How much freed memory a worker keeps at the most, in bytes.
KEPT = 256 << 20
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


@contextmanager
def _cluster(scheduler: str) -> Iterator[Executor]:
    try:
        from distributed import Client  # noqa: PLC0415 - an extra: `broadsheet[cluster]`
    except ImportError:
        hint = "pip install 'broadsheet[cluster]'"
        raise cannot_run("BS606", scheduler, "the library for clusters is not installed", hint=hint) from None
    _knock(scheduler)
    try:
        client = Client(scheduler, timeout=f"{TIMEOUT}s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise cannot_run("BS606", scheduler, f"it is no scheduler: {error}") from None
    with client:
        yield client.get_executor(retries=RETRIES, pure=False)


def _knock(scheduler: str) -> None:
    """Raise `CannotRun` if nobody listens there; Dask's own client would try for long, and leave threads behind."""
    address = urlsplit(scheduler)
    try:
        if address.scheme in ("tcp", "tls"):
            socket.create_connection((address.hostname or "", address.port or 8786), TIMEOUT).close()
    except OSError:
        raise cannot_run("BS606", scheduler, "nobody listens there", hint="Start it: dask scheduler") from None
