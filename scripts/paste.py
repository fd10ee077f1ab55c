"""Pastes real output into documents: called by cog from comments in README.md and docs/; see `make docs`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import cog

from broadsheet.problems import CODES
from broadsheet.versions import RULES

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "tests" / "examples" / "invalid"


def shell(command: str) -> None:
    """Paste *command* and what it prints."""
    _fence("console", f"$ {command}\n{_run(['sh', '-c', command])}")


def session(name: str, text: str, command: str) -> None:
    """Paste the file *name* with its *text*, and *command* with what it prints in a folder that has that file."""
    text = textwrap.dedent(text).lstrip()
    _fence("text", text)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(text, encoding="utf-8")
        _fence("console", f"$ {command}\n{_run(['sh', '-c', command], folder)}")


def walk(*commands: str) -> None:
    """Paste *commands* and what they print, one after another in one folder; `tram` in it is the minimal dataset."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(EXAMPLES.parent / "valid" / "minimal", Path(folder) / "tram")
        for command in commands:
            told = _run(["sh", "-c", f"exec 2>&1; {command} || echo exit code $?"], folder)
            _fence("console", f"$ {command}\n{told}")


def rules() -> None:
    """Paste the table of what calls for which version."""
    cog.outl("\n| what changed | version | that is |\n| --- | --- | --- |")
    for name, (bump, what) in RULES.items():
        cog.outl(f"| {name} | {bump.name} | {what} |")
    cog.outl("")


def python(code: str) -> None:
    """Paste *code*, and what it prints in a new process with a fresh cache."""
    code = textwrap.dedent(code).strip()
    _fence("python", code)
    _fence("text", _run([sys.executable, "-c", code]))


def problems() -> None:
    """Paste a section for every problem code: its cause, its cure, and how its examples are told."""
    for code, (slug, cause, cure) in CODES.items():
        cog.outl(f"\n## {code} {slug}\n\n{cause}\n\n**Cure.** {cure}\n")
        for example in sorted(EXAMPLES.glob(f"{code}-*")):
            told = (example / "expected.txt").read_text(encoding="utf-8").rstrip()
            cog.outl(f"[`{example.name}`](../tests/examples/invalid/{example.name}):\n")
            _fence("text", told)


def _run(command: list[str], folder: Path | str = ROOT) -> str:
    with tempfile.TemporaryDirectory() as cache:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        quiet = {
            "HF_HOME": cache,
            "HF_HUB_OFFLINE": "1",
            "PATH": path,
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }
        finished = subprocess.run(
            command, cwd=folder, env=os.environ | quiet, capture_output=True, text=True, check=False
        )
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    return finished.stdout


def _fence(language: str, text: str) -> None:
    cog.outl(f"```{language}\n{text.rstrip()}\n```\n")
