"""What the benchmarks share: takes a command, gives what it costs; takes facts, puts them into a document."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# The processes that import this measure memory: it imports nothing heavy, for Linux gives a child its parent's peak
# memory to start from.

SAMPLED = 0.05


@dataclass(frozen=True)
class Cost:
    """What a command took: *seconds*, those of its *cpu*, and peak memory, and what it *said*.

    Memory is that of its *largest* process, and of all *together*; *failed* says why it did, if it did.
    """

    seconds: float
    cpu: float
    largest_mb: float
    together_mb: float
    said: str
    failed: str = ""


def spend(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run *command* as a process, and give what it cost, with all processes that it starts."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        with _Watch(process.pid) as watch:
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, err):
            file.seek(0)
        said, told = out.read(), err.read()
    largest = max(watch.largest, used.ru_maxrss)
    failed = (_reason(told) or f"it ended with {process.returncode}") if process.returncode else ""
    together = max(largest, watch.together)
    return Cost(seconds, used.ru_utime + used.ru_stime, largest * 1024 / 1e6, together * 1024 / 1e6, said, failed)


def _reason(told: str) -> str:
    """Give the line of *told* that says best what went wrong."""
    lines = [line.strip(" │") for line in told.splitlines() if line.strip(" ─╭╮╰╯│")]
    return next((line for line in reversed(lines) if re.search("error|problem|no such", line, re.IGNORECASE)), "") or (
        lines[-1] if lines else ""
    )


class _Watch:
    """Looks at a process and all below it, again and again, as long as its block runs; memory is in KiB."""

    def __init__(self, pid: int) -> None:
        self.largest = self.together = 0
        self._pid, self._stopped = pid, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(SAMPLED):
            pids = list(_tree(self._pid))
            statuses = [_fields(pid, "status") for pid in pids]
            self.largest = max([self.largest, *(status.get("VmHWM", 0) for status in statuses)])
            # What several processes share must count once; to tell it costs time, so a single one is not asked.
            own = [_fields(pid, "smaps_rollup").get("Pss", 0) for pid in pids] if len(pids) > 1 else []
            self.together = max(self.together, sum(own))


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text(encoding="ascii").split():
                yield from _tree(int(child))


def _fields(pid: int, file: str) -> dict[str, int]:
    """Give the numbers of a file about the process; none if it is gone."""
    try:
        text = Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}


def met(fulfilled: bool) -> str:  # noqa: FBT001 - a verdict is a boolean
    """Give a target's verdict."""
    return "met" if fulfilled else "**not met**"


def machine(packages: Sequence[str]) -> str:
    """Give the line that says what machine this is, and which versions the *packages* have."""
    versions = ", ".join(f"{package} {_version(package)}" for package in packages)
    cores = f"{os.cpu_count()} cores ({platform.machine()}), {platform.python_implementation()}"
    return f"{cores} {platform.python_version()}; {versions}."


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def paste(text: str, document: Path, name: str, rows: int) -> None:
    """Put *text* between the marks for a run of the benchmark *name* over so many *rows* in *document*."""
    start, end = _marks(name, rows)
    known = document.read_text(encoding="utf-8")
    before, opened, rest = known.partition(start)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise SystemExit(f"{document} has no {start} … {end}")
    document.write_text(f"{before}{start}\n{text.strip()}\n{end}{after}", encoding="utf-8")


def pasted(document: Path, name: str, rows: int) -> str:
    """Give what stands between the marks in *document*, or nothing."""
    start, end = _marks(name, rows)
    return document.read_text(encoding="utf-8").partition(start)[2].partition(end)[0]


def _marks(name: str, rows: int) -> tuple[str, str]:
    return f"<!-- bench:{name}:{rows} -->", f"<!-- /bench:{name}:{rows} -->"
