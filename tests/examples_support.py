"""Runs an example folder: takes one, gives what the command line prints about it, and its exit code."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typer.testing import CliRunner, Result

from broadsheet import release
from broadsheet.cli import app

EXAMPLES = Path(__file__).parent / "examples"
MINIMAL = EXAMPLES / "valid" / "minimal"
CONTROL = {"COMMAND", "REMOVED", "change.py", "expected.txt"}


def run(folder: Path, *arguments: str) -> Result:
    """Run the command line in *folder*."""
    with working_in(folder):
        return CliRunner().invoke(app, list(arguments))


def lay_out(example: Path, folder: Path) -> str:
    """Make *folder* the case that *example* describes, and give the command it is about.

    The valid minimal dataset is copied; where the command checks or publishes it or its release, it is built; the
    example's files are laid over it, those in REMOVED are removed, and what change.py does is done.
    """
    shutil.copytree(MINIMAL, folder)
    control = example / "COMMAND"
    command = control.read_text().strip() if control.exists() else "build ."
    if command.startswith(("check .", "check release", "publish")):
        built = run(folder, "build", ".")
        assert built.exit_code == 0, built.output
    for path in sorted(example.rglob("*")):
        name = path.relative_to(example)
        if path.is_file() and name.as_posix() not in CONTROL and "__pycache__" not in name.parts:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
    if (example / "REMOVED").exists():
        for removed in (example / "REMOVED").read_text().split():
            path = folder / removed
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if (example / "change.py").exists():
        _change(example / "change.py", folder)
    return command


def edit_card(folder: Path, old: str, new: str) -> None:
    """Replace the first *old* in the card of the release in the dataset's *folder*, and have SHA256SUMS match it."""
    path = folder / "release" / release.CARD
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    release.write_checksums(folder / "release")


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Have *folder* as the working directory for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _change(script: Path, folder: Path) -> None:
    spec = importlib.util.spec_from_file_location("change", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.change(folder)
