"""The command line's own promises: exit codes, streams, no traceback, a quick start."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from broadsheet import __version__, cli
from tests.examples_support import run

COMMAND = [sys.executable, "-m", "broadsheet"]


def test_version(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").output == f"broadsheet {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], *([name, "--help"] for name in ("init", "build", "check", "diff", "release", "segment"))]
)
def test_help_needs_nothing_heavy(arguments: list[str]) -> None:
    probe = (
        "import sys\nfrom broadsheet.cli import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('pyarrow', 'numpy', 'jinja2') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert finished.stdout.endswith("[]\n")


def test_what_is_made_goes_to_stdout_and_problems_to_stderr(minimal: Path) -> None:
    built = run(minimal, "build", ".")
    assert built.stdout.startswith("release: version 0.1.0, 2 articles, 11 paragraphs, 12 stances\ndata digest sha256:")
    assert built.stderr == ""
    (minimal / "source" / "page.txt").unlink()
    failed = run(minimal, "build", ".")
    assert failed.stdout == ""
    assert "[BS101]" in failed.stderr


def test_the_defaults_are_the_dataset_folder_here(minimal: Path) -> None:
    minimal.rename(minimal.parent / "dataset")
    assert run(minimal.parent, "build").exit_code == 0
    assert run(minimal.parent, "check").output == "dataset: no problems\n"


def test_a_usage_error_is_exit_code_2(tmp_path: Path) -> None:
    assert run(tmp_path, "build", "--nonsense").exit_code == 2
    assert run(tmp_path, "publish").exit_code == 2
    assert run(tmp_path, "check", "nowhere").exit_code == 2


def test_there_is_no_progress_where_there_is_no_terminal(minimal: Path) -> None:
    finished = subprocess.run([*COMMAND, "build", "."], cwd=minimal, capture_output=True, text=True, check=True)
    assert "\x1b" not in finished.stdout + finished.stderr
    assert "…" not in finished.stderr


@pytest.mark.parametrize("step", ["reading", "building: 2 articles", "writing documents", "verifying"])
def test_an_interrupt_at_any_step_leaves_the_old_release_and_nothing_else(
    step: str, minimal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(minimal, "build", ".").exit_code == 0
    before = _contents(minimal)

    def interrupting(said: str, *_: int) -> None:
        if said == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_progress", lambda: nullcontext(interrupting))
    interrupted = run(minimal, "build", ".")
    assert (interrupted.exit_code, interrupted.stderr) == (130, "interrupted; nothing was changed\n")
    assert _contents(minimal) == before


def test_a_real_interrupt_leaves_a_whole_release_or_none(minimal: Path) -> None:
    process = subprocess.Popen([*COMMAND, "build", "."], cwd=minimal, stderr=subprocess.PIPE, text=True)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    there = {path.name for path in minimal.iterdir()}
    assert there - {"release"} == {"annotations", "dataset.toml", "source"}
    if "release" in there:
        assert run(minimal, "check", ".").exit_code == 0


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_what_cannot_be_printed_is_told() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "broadsheet", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "the output: no space left on device [BS603]\n1 problem\n")
