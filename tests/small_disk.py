"""Builds on disks of every size, from 64 KB to enough; run in a mount namespace of its own by test_faults.py.

What is asserted: with too little room, the build says which disk is full, and what was there is there, and nothing
else; with room made, the next one is fine.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from broadsheet import release
from broadsheet.build import build
from broadsheet.disk import full
from broadsheet.problems import CannotRun, Problem
from tests import forks

Contents = dict[str, bytes]


def main() -> None:
    """Run the sweep that the first argument names, of the dataset in a folder, on a disk at another one."""
    name, dataset, disk = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    sys.stdout.write(f"{SWEEPS[name](dataset, disk)}\n")


def sweep_empty(dataset: Path, disk: Path) -> int:
    """Build to a disk that has nothing else on it."""
    return _sweep(disk, range(64, 4096, 8), lambda: forks.start("build", str(dataset), "--out", str(disk / "release")))


def sweep_replacing(dataset: Path, disk: Path) -> int:
    """Build to a disk that has room for the release it has, and for some more."""
    shutil.copytree(dataset / "release", disk.parent / "old")
    used = _kib(dataset / "release")
    sizes = range(used + 64, used + 4096, 8)
    return _sweep(
        disk, sizes, lambda: forks.start("build", str(dataset), "--out", str(disk / "release")), disk.parent / "old"
    )


def sweep_temporary(dataset: Path, disk: Path) -> int:
    """Build with a disk for temporary files alone."""
    return _sweep_temporary(dataset, disk, range(4, 4096, 4))


def sweep_temporary_rows(dataset: Path, disk: Path) -> int:
    """Build the same way what has many kinds of them: rows of queries, and an index that joins them."""
    return _sweep_temporary(dataset, disk, range(4, 4096, 32))


def _sweep_temporary(dataset: Path, disk: Path, sizes: Iterable[int]) -> int:
    place = disk.parent / "release"
    return _sweep(disk, sizes, lambda: forks.start("build", str(dataset), "--out", str(place), temporary=disk))


def sweep_large(dataset: Path, disk: Path) -> int:
    """Build what Arrow writes piece by piece, as it would abort the process that has no room for one."""
    return _sweep(
        disk, range(256, 65536, 1024), lambda: forks.start("build", str(dataset), "--out", str(disk / "release"))
    )


def sweep_library(dataset: Path, disk: Path) -> int:
    """Build the same in the process that asks for it."""

    def run() -> None:
        try:
            build(dataset, disk / "release")
        except CannotRun as error:
            sys.stdout.write(f"{error}\n")
            sys.exit(2)

    return _sweep(disk, range(256, 65536, 1024), lambda: forks.call(run))


def sweep_libraries(_: Path, disk: Path) -> int:
    """See that a full disk is known by what each library says that writes to one; give how many were asked."""
    _mount(disk, 8192)

    def spill() -> None:
        config = {"memory_limit": "32MB", "temp_directory": str(disk / "spill"), "threads": "1"}
        sql = "SELECT range::varchar || repeat('x', 200) AS a FROM range(400000) ORDER BY a DESC"
        duckdb.connect(config=config).execute(sql).fetchall()

    def copy() -> None:
        duckdb.sql("SELECT random() FROM range(4000000)").to_parquet(f"{disk}/rows.parquet")

    def insert() -> None:
        with sqlite3.connect(disk / "rows.sqlite") as database:
            database.execute("CREATE TABLE rows (row)")
            database.executemany("INSERT INTO rows VALUES (?)", itertools.repeat(("x" * 1000,), 20000))

    def write() -> None:
        rows = pa.table({"row": [os.urandom(500).hex() for _ in range(40000)]})
        pq.write_table(rows, disk / "arrow.parquet")

    asked = (spill, copy, insert, write)
    for function in asked:
        problem = _said(function, disk)
        assert str(problem) == f"{disk}: the disk is full [BS607]", function
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return len(asked)


def _said(function: Callable[[], object], disk: Path) -> Problem | None:
    try:
        function()
    except Exception as error:  # noqa: BLE001 - each library has its own
        return full(error, disk)
    return None


SWEEPS = {name.removeprefix("sweep_"): function for name, function in globals().items() if name.startswith("sweep_")}


def _sweep(disk: Path, sizes: Iterable[int], start: Callable[[], forks.Fork], old: Path | None = None) -> int:
    """Start builds with the disk of each of *sizes*, in KiB, until one has enough room; give how many had not."""
    for failed, size in enumerate(sizes):
        _mount(disk, size)
        if old is not None:
            shutil.copytree(old, disk / "release")
        before = _contents(disk)
        code, said = start().wait()
        if code == 0:
            _judge(disk)
            _run("umount", str(disk))
            return failed
        assert code == 2, (size, code, said)
        assert f"{disk}: the disk is full [BS607]" in said, (size, said)
        assert "Traceback" not in said, (size, said)
        assert _contents(disk) == before, size
        _run("mount", "-o", "remount,size=64m", str(disk))
        code, said = start().wait()
        assert code == 0, (size, said)
        _judge(disk)
        _run("umount", str(disk))
    raise AssertionError("the disk never had enough room")


def _judge(disk: Path) -> None:
    """See that there is a release, whole, and nothing else; or nothing, on a disk for temporary files."""
    names = [path.name for path in disk.iterdir()]
    assert names in ([], ["release"])
    if names:
        assert release.check_checksums(disk / "release") == []


def _mount(disk: Path, size: int) -> None:
    _run("mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk))


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _contents(folder: Path) -> Contents:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def _kib(folder: Path) -> int:
    """Give what *folder* takes of a disk with pages of 4 KiB."""
    return sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
