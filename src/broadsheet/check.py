"""The check: takes a dataset's folder or a release's, gives what is wrong with it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from broadsheet import recipe, release
from broadsheet.build import build
from broadsheet.problems import InvalidData, Problem, cannot_run
from broadsheet.verify import verify


def check(folder: Path) -> list[Problem]:
    """Give every problem of the dataset or release in *folder*; raise `CannotRun` if it is neither."""
    if (folder / recipe.RECIPE).is_file():
        return check_dataset(folder)
    if (folder / release.CHECKSUMS).is_file():
        return verify(folder)
    hint = f"A dataset's folder has a {recipe.RECIPE}, a release has {release.CHECKSUMS}."
    raise cannot_run("BS601", folder, "it is neither a dataset's folder nor a release", hint=hint)


def check_dataset(folder: Path) -> list[Problem]:
    """Build the dataset aside, and give what is wrong with its inputs, or where the release kept differs from it."""
    dataset = recipe.read(folder)
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as scratch:
        fresh = Path(scratch) / "release"
        try:
            build(folder, fresh)
        except InvalidData as error:
            return list(error.problems)
        problems = release.compare(fresh, dataset.release) if dataset.release.is_dir() else [_no_release()]
        sheet = (fresh / release.DATASHEET).read_bytes()
    for copy in dataset.datasheet_copies:
        if not copy.is_file() or copy.read_bytes() != sheet:
            message = f"it is not the same as the {release.DATASHEET} the inputs build"
            problems.append(Problem("BS509", dataset.shown(copy), message, hint="Run `broadsheet build`."))
    return problems


def _no_release() -> Problem:
    return Problem("BS501", "release", "there is no release yet", hint="Run `broadsheet build`.")
