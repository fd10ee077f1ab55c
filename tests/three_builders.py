"""Has three builders build one dataset at once, fifty times; run by test_faults.py.

A file of the dataset is a pipe, so who reads it waits until it is fed: the one builder that has the place holds it
for as long as it takes the others to be refused. What is asserted: one of three builds, the others say who it is, and
the release in place is whole each time.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from broadsheet import release
from tests import forks

ROUNDS, FREE_ROUNDS = 50, 10


def main() -> None:
    """Do it with the dataset that the argument names."""
    dataset = Path(sys.argv[1])
    pipe = dataset / "annotations" / "segments.jsonl"
    text = pipe.read_bytes()
    for _ in range(FREE_ROUNDS):
        _race(dataset)
    pipe.unlink()
    os.mkfifo(pipe)
    for _ in range(ROUNDS):
        _round(dataset, pipe, text)
    _take_over(dataset, pipe, text)


def _round(dataset: Path, pipe: Path, text: bytes) -> None:
    builders = {fork.pid: fork for fork in _three(dataset)}
    refused = []
    for _ in range(2):
        pid, status = os.wait()
        refused.append((os.waitstatus_to_exitcode(status), builders.pop(pid).printed()))
    # There is nobody but the winner left; the pipe opens when it does.
    pipe.write_bytes(text)
    ((pid, winner),) = builders.items()
    code, said = winner.wait()
    assert code == 0, said
    for code, said in refused:
        assert code == 2, said
        assert f"release: process {pid} on {socket.gethostname()}, since 20" in said
        assert said.count("[BS609]") == 1
        assert "Traceback" not in said
    _judge(dataset)


def _race(dataset: Path) -> None:
    """Let three run as they like: each builds or is refused."""
    ended = [fork.wait() for fork in _three(dataset)]
    assert 0 in [code for code, _ in ended], ended
    for code, said in ended:
        assert code == 0 or (code == 2 and "[BS609]" in said), (code, said)
        assert "Traceback" not in said
    _judge(dataset)


def _take_over(dataset: Path, pipe: Path, text: bytes) -> None:
    """Kill one that has the place: the next one has it."""
    first = forks.start("build", str(dataset))
    # It is read by the first, which is killed at the end of what it waits for.
    with pipe.open("wb"):
        os.kill(first.pid, signal.SIGKILL)
        assert first.wait()[0] == -signal.SIGKILL
    assert (dataset / ".release.lock").exists()
    second = forks.start("build", str(dataset))
    pipe.write_bytes(text)
    code, said = second.wait()
    assert code == 0, said
    _judge(dataset)


def _three(dataset: Path) -> list[forks.Fork]:
    return [forks.start("build", str(dataset)) for _ in range(3)]


def _judge(dataset: Path) -> None:
    assert release.check_checksums(dataset / "release") == []
    assert sorted(path.name for path in dataset.iterdir()) == ["annotations", "dataset.toml", "release", "source"]


if __name__ == "__main__":
    main()
