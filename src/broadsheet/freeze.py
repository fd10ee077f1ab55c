"""The freeze: takes a dataset's folder whose release is right, gives its version for good: changelog and ledger.

Nothing is built here. The changelog is renamed into place first, the ledger last, and it alone makes a version a
released one: what is broken off before that is done again by the next run, to the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from broadsheet import changelog, diff, disk, recipe, release, succession, versions
from broadsheet.check import check_dataset
from broadsheet.diff import Diff, Side
from broadsheet.fetch import fetch
from broadsheet.problems import InvalidData, Problem, cannot_run, raise_if
from broadsheet.progress import Tell, silent
from broadsheet.recipe import Recipe
from broadsheet.succession import Past
from broadsheet.versions import Entry, Version


@dataclass(frozen=True)
class Frozen:
    """What was released: its *entry* in the ledger, and what it is against the release before it, if there is one."""

    entry: Entry
    found: Diff | None


def freeze(
    folder: Path,
    date: str | None = None,
    against: str | None = None,
    workers: int | None = None,
    tell: Tell = silent,
) -> Frozen:
    """Release the version that the dataset in *folder* has; raise `InvalidData` with what keeps it from being one.

    The release in place must be what the inputs build, and its version new and large enough for what changed since the
    last one, which is looked for as `succession.step` says, or is the one called *against*. *date* is by default the
    recipe's `published`, or that of SOURCE_DATE_EPOCH, or today's. The changelog gets an entry and the ledger a line;
    both, or none.
    """
    dataset = recipe.read(folder)
    day = date or dataset.published or versions.today()
    if not versions.is_date(day):
        raise cannot_run("BS601", day, "it is no date", hint="Write it as YYYY-MM-DD.")
    # No build may replace meanwhile what is judged here.
    with release.claimed(dataset.release):
        past = succession.past(dataset, against)
        raise_if(_unfit(dataset, past))
        raise_if(check_dataset(folder, workers, tell, against))
        tell("comparing")
        found = fetch(str(dataset.release), dataset.release, diff.is_wanted)
        own = diff.side(found)
        step = succession.step(dataset, past, own)
        if step is not None and step.found is None:
            message = f"the release {step.before.version} is not at hand, and this one must be compared with it"
            raise InvalidData([succession.not_at_hand(dataset, message)])
        grown = past.ledger.grown(dataset.version, day, own.digest or "", found.sha256)
        changed = None if step is None else step.found
        _write(dataset, grown.entries[-1], changed, own, grown.text)
        return Frozen(grown.entries[-1], changed)


def _unfit(dataset: Recipe, past: Past) -> list[Problem]:
    """Give why the version of *dataset* can't be released whatever the data are."""
    line = recipe.line_of(dataset.text, "/version")
    if Version.parse(dataset.version).prerelease:
        message = f"{dataset.version} is a pre-release"
        hint = "Set a version without a hyphen, and build."
        return [Problem("BS704", recipe.RECIPE, message, line=line, pointer="/version", hint=hint)]
    taken = past.ledger.entry(dataset.version)
    if taken is not None:
        message = f"version {dataset.version} was released on {taken.date} already"
        hint = "A version is released once. For other data, set another one and build."
        return [Problem("BS701", recipe.RECIPE, message, line=line, pointer="/version", hint=hint)]
    return []


def _write(dataset: Recipe, entry: Entry, found: Diff | None, own: Side, ledger: bytes) -> None:
    place = dataset.folder / changelog.CHANGELOG
    before = place.read_text(encoding="utf-8") if place.is_file() else ""
    section = changelog.entry(found, entry, diff.counts(own), dataset.name)
    after = changelog.with_entry(before, section, entry.version, entry.digest)
    disk.put(place, after.encode())
    disk.put(dataset.folder / versions.LEDGER, ledger)
