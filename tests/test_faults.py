"""Whatever goes wrong, whenever: the old release is in place or the new one, and a problem says why (make test-faults).

The faults are real ones: system calls that fail or kill as strace has them (its option ``inject``), disks that are
full, folders that may not be written to.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from broadsheet import release, versions
from tests.conftest import REPOSITORY
from tests.corpora import articles, dataset_of
from tests.examples_support import MINIMAL, run

pytestmark = pytest.mark.faults

DAY = "2026-03-01"
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}"}
#: The command line, with names for passing files that are the same each time, so that strace can be told them.
COMMAND = """
import itertools, secrets
numbers = itertools.count()
secrets.token_hex = lambda size: f"{next(numbers):0{2 * size}x}"
from broadsheet.cli import main
main()
"""
WRITES = ("write", "pwrite64", "writev")
SYNCS = ("fsync", "fdatasync")
RENAMES = ("rename", "renameat", "renameat2")
FAULTS = {"KILL": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}


def _need(what: str, *command: str) -> None:
    """Skip a test where *command* fails, as *what* it shows is missing; in CI, nothing is skipped."""
    try:
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        said = found.stderr.strip() if found.returncode else None
    except OSError as error:
        said = str(error)
    if said is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what}: {said}")


# --- a fault at every call ---


class Call(NamedTuple):
    """A system call: its *name*, the *path* it is about, and the how-manieth of a thread it is about that path.

    Where two do the same (who makes a table has it on disk, and so has who finishes the release), the first is meant.
    """

    name: str
    path: str
    number: int


class Case(NamedTuple):
    """A *command* in a *folder*, as it is *before*."""

    folder: Path
    before: Path
    command: Sequence[str]

    def reset(self) -> None:
        """Have the folder as it was."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder)

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the command under strace with *options*."""
        command = ["strace", "-f", "-qqq", *options, sys.executable, "-c", COMMAND, *self.command]
        return subprocess.run(
            command, cwd=self.folder.parent, env=ENVIRONMENT, capture_output=True, text=True, check=False
        )

    def calls(self) -> list[Call]:
        """Give every call of the command that writes, syncs or renames in the folder."""
        self.reset()
        log = self.folder.parent / "strace.log"
        done = self.run("-y", "-o", str(log), "-e", f"trace={','.join(WRITES + SYNCS + RENAMES)}")
        assert done.returncode == 0, done.stderr
        counts: Counter[tuple[str, str, str]] = Counter()
        for line in log.read_text().splitlines():
            found = re.match(r'(\d+) +(\w+)\((?:AT_FDCWD<[^>]*>, )?(?:\d+<([^>]*)>|"([^"]*)")', line)
            path = found and self.folder.parent / (found[3] or found[4])
            if found and path and path.is_relative_to(self.folder):
                counts[found[1], found[2], str(path)] += 1
        calls = (Call(*key[1:], number) for key, count in counts.items() for number in range(1, count + 1))
        return [*dict.fromkeys(calls)]

    def strike(self, call: Call, fault: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the folder as it was, with *fault* at *call*."""
        self.reset()
        injected = f"inject={call.name}:{FAULTS[fault]}:when={call.number}"
        return self.run("-o", "/dev/null", "-P", call.path, "-e", f"trace={call.name}", "-e", injected)


@pytest.fixture
def strace() -> None:
    _need("strace is needed", "strace", "-o", "/dev/null", "true")


def _sums(place: Path) -> bytes | None:
    """Give the SHA256SUMS of the release at *place*, which is whole, or nothing if there is nothing at all."""
    if not place.exists():
        return None
    assert release.check_checksums(place) == []
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", release.CHECKSUMS], cwd=place, check=True)
    return (place / release.CHECKSUMS).read_bytes()


def _cases(tmp_path: Path) -> Iterator[tuple[str, Case]]:
    """Give, by name, a build where nothing was built, one over an older release, and a release that is frozen."""
    before = Path(shutil.copytree(MINIMAL, tmp_path / "first"))
    yield "first", Case(tmp_path / "dataset", before, ["build", str(tmp_path / "dataset")])
    built = Path(shutil.copytree(MINIMAL, tmp_path / "built"))
    assert run(built, "build", ".").exit_code == 0
    yield "freeze", Case(tmp_path / "dataset", built, ["release", str(tmp_path / "dataset"), "--date", DAY])
    changed = Path(shutil.copytree(built, tmp_path / "changed"))
    recipe = changed / "dataset.toml"
    recipe.write_text(recipe.read_text().replace('version = "0.1.0"', 'version = "0.2.0"'))
    yield "next", Case(tmp_path / "dataset", changed, ["build", str(tmp_path / "dataset")])


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("fault", ["KILL", "ENOSPC"])
@pytest.mark.parametrize("name", ["first", "next"])
def test_a_fault_at_any_call_of_a_build_leaves_the_old_release_or_the_new_one(
    name: str, fault: str, tmp_path: Path
) -> None:
    case = dict(_cases(tmp_path))[name]
    place = case.folder / "release"
    calls = case.calls()
    new, names = _sums(place), _names(case.folder)
    case.reset()
    old = _sums(place)
    assert old != new
    assert {call.name for call in calls} >= {"write", "fsync", "rename", *(["renameat2"] if old else [])}
    found: Counter[str] = Counter()
    for call in calls:
        struck = case.strike(call, fault)
        said = struck.stdout + struck.stderr
        assert struck.returncode != 0, call
        assert "Traceback" not in said, (call, said)
        there = _sums(place)
        assert there in (old, new), call
        if struck.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
            assert fault == "KILL", call
            found["killed"] += 1
        else:
            assert struck.returncode == 2, (call, said)
            codes = re.findall(r"\[(BS\d+)\]", said)
            expected = "BS606" if fault == "KILL" else "BS607" if there == old else "BS608"
            assert codes == [expected], (call, said)
            found[expected] += 1
        again = run(case.folder.parent, *case.command)
        assert again.exit_code == 0, (call, again.output)
        assert (_sums(place), _names(case.folder)) == (new, names), call
    print(name, fault, len(calls), dict(found))  # noqa: T201 - shown with -s
    assert set(found) == ({"killed", "BS606"} if fault == "KILL" else {"BS607", "BS608"})


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.usefixtures("strace")
def test_a_fault_at_any_call_of_a_freeze_leaves_the_ledger_that_was_or_the_new_one(tmp_path: Path) -> None:
    case = dict(_cases(tmp_path))["freeze"]
    calls = case.calls()
    ledger = case.folder / versions.LEDGER
    new, names = ledger.read_bytes(), _names(case.folder)
    for call in calls:
        for fault in ("KILL", "ENOSPC"):
            struck = case.strike(call, fault)
            assert struck.returncode != 0, call
            assert "Traceback" not in struck.stderr, struck.stderr
            assert fault == "KILL" or re.search(r"\[BS60[78]\]", struck.stderr), struck.stderr
            was_frozen = ledger.exists()
            assert not was_frozen or ledger.read_bytes() == new
            again = run(case.folder.parent, *case.command)
            assert again.exit_code == (1 if was_frozen else 0), again.output
            assert ("[BS701]" in again.output) == was_frozen
            assert (ledger.read_bytes(), _names(case.folder)) == (new, names), call


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("name", ["first", "next"])
def test_a_disk_that_does_not_confirm_the_new_release_is_told_and_the_next_run_is_clean(
    name: str, tmp_path: Path
) -> None:
    case = dict(_cases(tmp_path))[name]
    case.reset()
    old = _sums(case.folder / "release")
    # The only thing about the folder itself that is synced is the release's name in it.
    struck = case.strike(Call("fsync", str(case.folder), 1), "EIO")
    assert struck.returncode == 2
    assert struck.stderr.startswith(
        f"{case.folder}/release: it is in place, but the disk did not confirm it: input/output error [BS608]\n"
    )
    new = _sums(case.folder / "release")
    assert new is not None
    beside = [path for path in case.folder.iterdir() if path.name.endswith(".staging")]
    assert [_sums(path) for path in beside] == ([old] if old else [])
    again = run(case.folder.parent, *case.command)
    assert again.exit_code == 0, again.output
    assert _sums(case.folder / "release") == new
    assert [path.name for path in case.folder.iterdir() if path.name.startswith(".")] == []


# --- disks that are full ---


@pytest.mark.parametrize("name", ["empty", "replacing", "temporary", "large", "library"])
def test_on_a_disk_of_any_size_a_build_is_whole_or_says_that_the_disk_is_full(name: str, tmp_path: Path) -> None:
    namespace = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.geteuid() else [])]
    _need("mounting is needed", *namespace, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path))
    if name in ("large", "library"):
        dataset = dataset_of(articles(3000), tmp_path / "dataset")
    else:
        dataset = Path(shutil.copytree(MINIMAL, tmp_path / "dataset"))
        assert run(dataset, "build", ".").exit_code == 0
    (tmp_path / "disk").mkdir()
    command = [*namespace, sys.executable, "-m", "tests.small_disk", name, str(dataset), str(tmp_path / "disk")]
    done = subprocess.run(command, cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > 1, "no disk was too small"


# --- a target that may not be written to ---


@pytest.fixture
def others() -> Iterator[Path]:
    """A folder that other users may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("is_built", [False, True])
def test_a_target_that_may_not_be_written_to_is_told(is_built: bool, others: Path) -> None:
    # Another user, who may read everything, as the environment may lie where only this one may look.
    powers = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    user = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *powers]
    _need("another user is needed", *user, "true")
    dataset = Path(shutil.copytree(MINIMAL, others / "dataset"))
    if is_built:
        assert run(dataset, "build", ".").exit_code == 0
    before = _names(dataset), _sums(dataset / "release")
    dataset.chmod(0o555)
    try:
        command = [*user, sys.executable, "-m", "broadsheet", "build", str(dataset)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    finally:
        dataset.chmod(0o755)
    assert done.returncode == 2
    assert re.fullmatch(rf"{dataset}/\S+: permission denied \[BS603\]\n1 problem\n", done.stderr)
    assert (_names(dataset), _sums(dataset / "release")) == before


# --- several at once ---


def test_of_three_builders_one_builds_and_the_others_say_who_it_is(tmp_path: Path) -> None:
    dataset = shutil.copytree(MINIMAL, tmp_path / "dataset")
    command = [sys.executable, "-m", "tests.three_builders", str(dataset)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
