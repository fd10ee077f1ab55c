"""A cluster makes the same bytes as this machine's own processes do, also where a worker is killed on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client

from broadsheet import sources
from broadsheet.build import build
from broadsheet.check import check
from broadsheet.verify import verify
from tests.corpora import articles, dataset_of

pytestmark = pytest.mark.xdist_group("cluster")
ROWS = 600


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of generated articles that makes several shards, if these are small."""
    return dataset_of(articles(ROWS), tmp_path_factory.mktemp("cluster") / "dataset")


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SMALLEST", 400_000)


@contextmanager
def _cluster(workers: int, folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers in processes of their own, on a free port; they stop at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    environment = os.environ | {"DASK_DISTRIBUTED__ADMIN__LOG_FORMAT": "%(message)s"}
    common = ["--no-dashboard"]
    commands = [["scheduler", "--host", "127.0.0.1", "--port", str(port), *common]]
    commands += [
        ["worker", address, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder / f"w{n}"), *common]
        for n in range(workers)
    ]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        with Client(address, timeout="60s", set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=30)


@pytest.mark.usefixtures("small_shards")
def test_a_cluster_makes_the_same_bytes_and_survives_the_loss_of_a_worker(dataset: Path, tmp_path: Path) -> None:
    here = build(dataset, tmp_path / "here")
    expected = _contents(tmp_path / "here")
    assert sum(name.startswith("data/articles") for name in expected) > 4
    with _cluster(2, tmp_path) as (address, workers):
        there = build(dataset, tmp_path / "there", scheduler=address)
        assert (there.digest, _contents(tmp_path / "there")) == (here.digest, expected)

        def kill_one(step: str, done: int = 0, total: int = 0) -> None:  # noqa: ARG001 - it is a `Tell`
            if step.startswith("building") and workers[0].poll() is None:
                workers[0].send_signal(signal.SIGKILL)

        build(dataset, tmp_path / "again", kill_one, scheduler=address)
        assert workers[0].poll() is not None
        assert _contents(tmp_path / "again") == expected

        # Sources and targets by URL: what every worker can reach.
        text = (dataset / "dataset.toml").read_text()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "annotations").symlink_to(dataset / "annotations")
        url = (dataset / "source").as_uri()
        (elsewhere / "dataset.toml").write_text(text.replace('"source/', f'"{url}/'))
        build(elsewhere, (tmp_path / "by-url").as_uri(), scheduler=address)
        assert _contents(tmp_path / "by-url") == expected
    assert verify(tmp_path / "again") == []
    assert list(check([(tmp_path / "by-url").as_uri()])) == []
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("w")) == [
        *("again", "by-url", "elsewhere", "here", "there")
    ]


def test_a_scheduler_that_is_gone_is_told_at_once(dataset: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    command = [sys.executable, "-m", "broadsheet", "build", str(dataset), "--scheduler", "tcp://127.0.0.1:1"]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tcp://127.0.0.1:1: nobody listens there [BS606]\n")
    assert time.monotonic() - started < 30
    assert not list(tmp_path.iterdir())


def _contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
