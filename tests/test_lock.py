"""One process at a time has a place, and the others hear who; what is dead has nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from broadsheet import lock
from broadsheet.problems import CannotRun

HOLDER = """
import sys
from pathlib import Path
from broadsheet import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _text(pid: int, host: str = "") -> str:
    return json.dumps({"pid": pid, "host": host or socket.gethostname(), "since": "2026-03-01T10:00:00+00:00"})


@pytest.fixture
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@pytest.mark.parametrize("end", ["ends", "is killed"])
def test_a_place_is_one_process_s_until_it_ends(end: str, tmp_path: Path) -> None:
    place, file = tmp_path / "release", tmp_path / ".release.lock"
    command = [sys.executable, "-c", HOLDER, str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        owner = f"release: process {process.pid} on {socket.gethostname()}, since 20"
        with pytest.raises(CannotRun, match=owner) as refused, lock.held(place):
            pytest.fail("two have it")
        assert refused.value.problems[0].code == "BS609"
        if end == "is killed":
            process.kill()
        process.communicate()
    assert file.exists() == (end == "is killed")
    with lock.held(place):
        assert json.loads(file.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_held_against_this_process_too(tmp_path: Path) -> None:
    place = tmp_path / "release"
    refused = pytest.raises(CannotRun, match=f"process {os.getpid()} on")
    with lock.held(place), refused, lock.held(place):
        pytest.fail("it has it twice")
    with lock.held(place):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 99999999999999999999}'])
def test_what_says_nothing_is_nobody_s(text: str, tmp_path: Path) -> None:
    (tmp_path / ".release.lock").write_text(text)
    with lock.held(tmp_path / "release"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_another_process_s_by_now_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".release.lock").write_text(_text(os.getppid()))
    with lock.held(tmp_path / "release"):
        assert json.loads((tmp_path / ".release.lock").read_text())["pid"] == os.getpid()


def test_another_machine_s_lock_is_never_taken(tmp_path: Path, dead: int) -> None:
    file = tmp_path / ".release.lock"
    file.write_text(_text(dead, "elsewhere.example"))
    with (
        pytest.raises(CannotRun, match=f"process {dead} on elsewhere.example") as refused,
        lock.held(tmp_path / "release"),
    ):
        pytest.fail("it was taken")
    assert str(file) in refused.value.problems[0].hint
    assert file.read_text() == _text(dead, "elsewhere.example")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".release.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic link"), lock.held(tmp_path / "release"):
        pytest.fail("it was taken")
    assert (tmp_path / "mine").read_text() == "mine"


def test_where_the_file_system_has_no_locks_the_file_tells(
    tmp_path: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    file = tmp_path / ".release.lock"
    file.write_text(_text(os.getppid()))
    with pytest.raises(CannotRun, match="BS609"), lock.held(tmp_path / "release"):
        pytest.fail("it was taken")
    file.write_text(_text(dead))
    with lock.held(tmp_path / "release"):
        pass
    assert not file.exists()
