"""The tutorial runs from top to bottom, and shows what its commands print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
#: A block of commands, whether it fails, and what the page says that it prints.
BLOCK = re.compile(r"```sh( fails)?\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)


def _run_page(programs: Path, folder: Path) -> None:
    """Run the page's commands in *folder*, with those of the package in *programs*."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PATH"] = f"{programs}{os.pathsep}{environment['PATH']}"
    blocks = BLOCK.findall(PAGE)
    assert len(blocks) == PAGE.count("```sh")
    for fails, commands, printed in blocks:
        finished = subprocess.run(
            ["bash", "-eu", "-c", commands],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (finished.returncode != 0) == bool(fails), finished.stdout
        assert finished.stdout == printed, commands


@pytest.mark.slow
def test_it_runs_from_a_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    script = str(REPOSITORY / "scripts" / "dist.sh")
    subprocess.run(["sh", script, sys.executable, str(tmp_path)], check=True)
    (built,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    programs = tmp_path / "venv" / "bin"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([programs / "pip", "install", "--quiet", str(built)], cwd=tmp_path, env=environment, check=True)
    told = subprocess.run([programs / "broadsheet", "--version"], env=environment, capture_output=True, check=True)
    assert told.stdout.decode() == f"broadsheet {built.name.split('-')[1]}\n"
    folder = tmp_path / "empty"
    folder.mkdir()
    _run_page(programs, folder)
