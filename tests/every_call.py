"""Has a command fail, or be killed, at every call that writes, syncs or renames in a dataset's folder.

Run by test_faults.py. What is asserted: what was there is there, or what is new, whole; a problem says why; and a plain
run of the same command makes it new, and leaves nothing else.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from broadsheet import cli, release, versions
from tests import forks
from tests.examples_support import MINIMAL

CALLS = "write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2"
FAULTS = {"KILL": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}


class Call(NamedTuple):
    """A system call: its *name*, the *path* it is about, and the how-manieth of a thread it is about that path.

    Where two do the same (who makes a table has it on disk, and so has who finishes the release), the first is meant.
    """

    name: str
    path: str
    number: int


class Case(NamedTuple):
    """What is done, by *command*, in a *folder* that is first as *before*."""

    folder: Path
    before: Path
    command: tuple[str, ...]

    def reset(self) -> None:
        """Have the folder as it was before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder)

    def run(self) -> tuple[int, str]:
        """Run the command; give its exit code and what it printed."""
        return forks.start(*self.command).wait()

    def traced(self, *options: str) -> tuple[int, str]:
        """Run the command in the folder as it was, under strace with *options*."""
        self.reset()
        read, write = os.pipe()

        def wait_and_run() -> None:
            # Any process may trace this one, where a system is strict about that.
            ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)
            os.close(write)
            os.read(read, 1)
            # Passing files have the same names each time, so that strace can be told them.
            numbers = itertools.count()
            secrets.token_hex = lambda size: f"{next(numbers):0{2 * size}x}"  # type: ignore[assignment,misc]
            sys.argv = ["broadsheet", *self.command]
            cli.main()

        fork = forks.call(wait_and_run)
        os.close(read)
        command = ["strace", "-f", *options, "-p", str(fork.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            while "attached" not in (said := strace.stderr.readline()):
                assert said, "strace could not attach itself"
            os.close(write)
            ended = fork.wait()
            # The fork's own processes end with it; so does strace then.
            strace.stderr.read()
        return ended

    def calls(self) -> list[Call]:
        """Give every call of the command that writes, syncs or renames in the folder."""
        log = self.folder.with_name("strace.log")
        code, said = self.traced("-y", "-o", str(log), "-e", f"trace={CALLS}")
        assert code == 0, said
        counts: Counter[tuple[str, str, str]] = Counter()
        for line in log.read_text().splitlines():
            found = re.match(r'(\d+) +(\w+)\((?:AT_FDCWD<[^>]*>, )?(?:\d+<([^>]*)>|"([^"]*)")', line)
            if found and Path(path := found[3] or found[4]).is_relative_to(self.folder):
                counts[found[1], found[2], path] += 1
        calls = (Call(*key[1:], number) for key, count in counts.items() for number in range(1, count + 1))
        return [*dict.fromkeys(calls)]

    def strike(self, call: Call, fault: str) -> tuple[int, str]:
        """Run the command in the folder as it was, with *fault* at *call*."""
        injected = f"inject={call.name}:{FAULTS[fault]}:when={call.number}"
        return self.traced("-o", "/dev/null", "-P", call.path, "-e", f"trace={call.name}", "-e", injected)

    def names(self) -> list[str]:
        """Give what there is in the folder."""
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*"))

    def sums(self) -> bytes | None:
        """Give the SHA256SUMS of the release, which is whole, or nothing if there is none at all."""
        return _sums(self.folder / "release")

    def ledger(self) -> bytes | None:
        """Give the ledger, or nothing if there is none."""
        path = self.folder / versions.LEDGER
        return path.read_bytes() if path.exists() else None


def main() -> None:
    """Do to the command that the first argument names what the second one says, in the folder that is the third."""
    what, fault, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    case = _case(what, folder)
    if fault == "EIO":
        not_confirmed(case)
    else:
        sys.stdout.write(f"{what}, {fault}: {every_call(case, fault)}\n")


def every_call(case: Case, fault: str) -> str:
    """Strike at every call; give what that led to, by exit code or problem."""
    calls = case.calls()
    new, names = (case.sums(), case.ledger()), case.names()
    case.reset()
    old = case.sums(), case.ledger()
    assert old != new
    assert {call.name for call in calls} >= {"write", "pwrite64", "fsync", "rename"}
    outcomes: Counter[str] = Counter()
    for call in calls:
        code, said = case.strike(call, fault)
        assert "Traceback" not in said, (call, said)
        there = case.sums(), case.ledger()
        assert there in (old, new), call
        if code == -signal.SIGKILL:
            outcome = "killed"
        else:
            assert code == 2, (call, code, said)
            (outcome,) = re.findall(r"\[(BS\d+)\]", said)
        # A name is written to disk after the commit.
        is_late = call == ("fsync", str(case.folder), call.number)
        expected = ("killed", "BS606") if fault == "KILL" else ("BS608",) if is_late else ("BS607",)
        assert outcome in expected, (call, said)
        assert there == old or is_late or outcome == "killed", call
        outcomes[outcome] += 1
        code, said = case.run()
        if case.command[0] == "release" and there == new:
            assert (code, "[BS701]" in said) == (1, True), (call, said)
        else:
            assert code == 0, (call, said)
        assert (case.sums(), case.ledger(), case.names()) == (*new, names), call
    return f"{len(calls)} calls, {dict(outcomes)}"


def not_confirmed(case: Case) -> None:
    """Have the disk fail when the release's new name is to be written."""
    case.reset()
    old = case.sums()
    # The release's name in it is all that is synced about the folder itself.
    code, said = case.strike(Call("fsync", str(case.folder), 1), "EIO")
    told = f"{case.folder}/release: it is in place, but the disk did not confirm it: input/output error [BS608]\n"
    assert (code, said.startswith(told)) == (2, True), said
    new = case.sums()
    assert new not in (None, old)
    beside = [path for path in case.folder.iterdir() if path.name.endswith(".staging")]
    assert [_sums(path) for path in beside] == ([old] if old else [])
    code, said = case.run()
    assert (code, case.sums()) == (0, new), said
    assert [path.name for path in case.folder.iterdir() if path.name.startswith(".")] == []


def _case(what: str, root: Path) -> Case:
    """Give a *first* build, the *next* one over an older release, or a release that is to be frozen (*freeze*)."""
    folder, before = root / "dataset", Path(shutil.copytree(MINIMAL, root / "before"))
    if what != "first":
        code, said = forks.start("build", str(before)).wait()
        assert code == 0, said
    if what == "next":
        labels = before / "annotations" / "stance" / "first.jsonl"
        labels.write_text(labels.read_text().replace('"confidence": "high"', '"confidence": "low"', 1))
    command = ("release", str(folder), "--date", "2026-03-01") if what == "freeze" else ("build", str(folder))
    return Case(folder, before, command)


def _sums(place: Path) -> bytes | None:
    if not place.exists():
        return None
    assert release.check_checksums(place) == []
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", release.CHECKSUMS], cwd=place, check=True)
    return (place / release.CHECKSUMS).read_bytes()


if __name__ == "__main__":
    main()
