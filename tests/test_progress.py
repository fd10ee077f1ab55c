"""Progress is for a terminal: a bar with bytes and time there, and nothing of it elsewhere."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broadsheet.build import build
from tests.corpora import articles, dataset_of
from tests.examples_support import MINIMAL

COMMAND = [sys.executable, "-m", "broadsheet"]


def _on_a_terminal(command: list[str], seconds: float = 60) -> tuple[int, str]:
    """Run *command* with a terminal as its standard error; give its exit code, and what that showed."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    data = os.read(ours, 65536)
                except OSError:
                    break
                shown += data
            elif process.poll() is not None:
                break
        os.close(ours)
    return process.returncode, shown.decode(errors="replace")


def test_a_terminal_sees_steps_and_bytes(tmp_path: Path) -> None:
    folder = dataset_of(articles(300), tmp_path / "dataset")
    code, shown = _on_a_terminal([*COMMAND, "build", str(folder)])
    assert code == 0
    assert "articles" in shown
    assert "%" in shown
    assert "kB" in shown or "MB" in shown
    # The bar is gone at the end: the last thing the terminal did with its line was to clear it.
    assert shown.rstrip().endswith(("\x1b[2K", "\x1b[?25h", "\x1b[1A\x1b[2K"))


def test_who_has_no_terminal_sees_nothing_of_it(tmp_path: Path) -> None:
    folder = dataset_of(articles(20), tmp_path / "dataset")
    finished = subprocess.run([*COMMAND, "build", str(folder)], capture_output=True, text=True, check=True)
    assert finished.stderr == ""


def test_the_bytes_that_are_told_grow_to_their_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadsheet.sources.SMALLEST", 1 << 14)
    folder = dataset_of(articles(60), tmp_path / "dataset")
    told: list[tuple[int, int]] = []
    build(folder, tell=lambda _, done=0, total=0: told.append((done, total)) if total else None)
    size = (folder / "source" / "articles.jsonl").stat().st_size
    assert [total for _, total in told] == [size] * len(told)
    assert sorted(done for done, _ in told) == [done for done, _ in told]
    assert len(told) > 2
    assert told[-1] == (size, size)


@pytest.mark.parametrize("wait", [0, 0.5, 1])
def test_an_interrupted_query_leaves_nothing(wait: float, tmp_path: Path) -> None:
    folder, temporary = tmp_path / "dataset", tmp_path / "tmp"
    (folder / "annotations").mkdir(parents=True)
    temporary.mkdir()
    for name in ("codebook.md", "datasheet.toml"):
        shutil.copyfile(MINIMAL / "annotations" / name, folder / "annotations" / name)
    text = (MINIMAL.parent.parent / "invalid" / "BS122-row-too-short" / "dataset.toml").read_text()
    query = "SELECT range::text AS id, 'a' AS text FROM range(100000000)"
    start, end = text.index("SELECT"), text.index('"""', text.index("SELECT"))
    (folder / "dataset.toml").write_text(f"{text[:start]}{query}\n{text[end:]}")
    before = sorted(folder.rglob("*"))
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [*COMMAND, "build", str(folder)], stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and not children.read_text():
        time.sleep(0.02)
    time.sleep(wait)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    said = process.communicate(timeout=30)[1].decode()
    assert (process.returncode, said) == (130, "interrupted; nothing was changed\n")
    assert sorted(folder.rglob("*")) == before
    assert list(temporary.iterdir()) == []
