"""Succession: takes what a build gives and a dataset's ledger, tells whether its version is an honest one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from broadsheet import diff, versions
from broadsheet.diff import Diff, Side
from broadsheet.fetch import Fetched, committed, fetch, fetch_released
from broadsheet.problems import InvalidData, Problem, Severity, raise_if
from broadsheet.recipe import RECIPE, Recipe, line_of
from broadsheet.versions import Bump, Entry, Ledger, Version


class Past(NamedTuple):
    """What was released of a dataset before: its *ledger*, and what the last release is called, if somebody says."""

    ledger: Ledger
    against: str | None = None


def past(dataset: Recipe, against: str | None = None) -> Past:
    """Give the past of *dataset*; raise `InvalidData` if its ledger does not hold.

    A ledger holds if its own chain does, and if it goes on from the one in the last commit, where there is one.
    """
    found, problems = versions.read(dataset.folder)
    path = dataset.folder / versions.LEDGER
    before = committed(path)
    if not problems and before is not None:
        problems = versions.outgrown(before, path.read_bytes() if path.is_file() else b"")
    raise_if(problems)
    return Past(found, against)


@dataclass(frozen=True)
class Step:
    """From the version released last, *before*, to a build: what changed, if that one is at hand."""

    before: Entry
    found: Diff | None

    @property
    def least(self) -> str:
        """The smallest version that is honest, in words."""
        last = Version.parse(self.before.version)
        if self.found is None:
            return f"{last.after(Bump.MAJOR)} would do in any case"
        return f"{last.after(max(self.found.bump, Bump.PATCH))} would do"


def step(dataset: Recipe, past: Past, build: Side) -> Step | None:
    """Give the step from the last release to *build*; there is none from nothing.

    The last release is the one that *past* names, or is looked for in the dataset's folder, and in the commits of it.
    """
    last = past.ledger.last
    if last is None:
        return None
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as scratch:
        old = _at_hand(dataset, last, Path(scratch), past.against)
        return Step(last, None if old is None else diff.compare(diff.side(old), build))


def judge(dataset: Recipe, past: Past, build: Side, sha256: str) -> list[Problem]:
    """Give what is wrong with the version of *build*, whose SHA256SUMS has the digest *sha256*.

    A version that was released keeps its bytes; another one comes after all of them, by as much as what changed calls
    for. A pre-release promises nothing, and is not judged.
    """
    version = Version.parse(dataset.version)
    own = past.ledger.entry(dataset.version)
    if past.ledger.last is None or version.prerelease or (own is not None and own.release == sha256):
        return []
    taken = step(dataset, past, build)
    assert taken is not None  # noqa: S101 - there is a last release
    last = Version.parse(taken.before.version)
    if own is not None:
        what = "data" if own.digest != build.digest else "files (the rows are the same)"
        message = f"version {dataset.version} was released on {own.date} with other {what}"
        return [_problem(dataset, "BS701", message, taken)]
    if version[:3] <= last[:3]:
        message = f"version {dataset.version} does not come after {last}, which was released last"
        return [_problem(dataset, "BS702", message, taken)]
    if taken.found is not None:
        if version.follows(last, taken.found.bump):
            return []
        reason = taken.found.reasons
        message = f"from {last} to {dataset.version} is too small a step for what changed: {reason}"
        return [_problem(dataset, "BS702", message, taken)]
    return _judge_blindly(dataset, version, taken, build)


def _judge_blindly(dataset: Recipe, version: Version, taken: Step, build: Side) -> list[Problem]:
    """Judge without the last release at hand: what its digest tells, and a warning about the rest."""
    last = Version.parse(taken.before.version)
    if version.follows(last, Bump.MAJOR):
        return []
    if not version.follows(last, Bump.MINOR) and taken.before.digest != build.digest:
        message = f"from {last} to {dataset.version} is too small a step, as the data are others"
        return [_problem(dataset, "BS702", message, taken)]
    message = f"the release {last} is not at hand, so it can't be told whether {dataset.version} is a large enough step"
    return [not_at_hand(dataset, message, "warning")]


def not_at_hand(dataset: Recipe, message: str, severity: Severity = "error") -> Problem:
    """Give the problem that the last release would be needed, and is not there."""
    hint = "Name it with --against: a folder, a URL, hf://…@TAG, or git:REV."
    line = line_of(dataset.text, "/version")
    return Problem("BS705", RECIPE, message, line=line, pointer="/version", hint=hint, severity=severity)


def _at_hand(dataset: Recipe, last: Entry, scratch: Path, against: str | None) -> Fetched | None:
    if against is None:
        return fetch_released(dataset.release, last.release, scratch, diff.is_wanted)
    found = fetch(against, scratch, diff.is_wanted)
    if found.sha256 != last.release:
        message = f"{against} is not the release {last.version}, by the ledger's digest of its SHA256SUMS"
        raise InvalidData([not_at_hand(dataset, message)])
    return found


def _problem(dataset: Recipe, code: str, message: str, taken: Step) -> Problem:
    line = line_of(dataset.text, "/version")
    hint = f"Version {taken.least}: set it in {RECIPE}."
    return Problem(code, RECIPE, message, line=line, pointer="/version", hint=hint)
