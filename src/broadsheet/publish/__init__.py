"""Publication: takes a dataset's folder and a target's address, puts the release there, and reads it back.

verified → what is there → refused, or planned → sent → read back → named

Up to "sent" nothing is changed at the target. A version gets its name (a hub's tag, the pointer of a static host) only
after every file was read back from the target, as a name is for ever. At whatever point the work stops, the public sees
the old version or the new one; the same command goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from broadsheet import recipe, release
from broadsheet.problems import Problem, raise_if
from broadsheet.progress import Tell, silent
from broadsheet.publish import refusals, versions
from broadsheet.publish.plan import Plan
from broadsheet.publish.ready import Ready, digest_of, prepared
from broadsheet.publish.target import Target, There
from broadsheet.publish.targets import named
from broadsheet.recipe import Recipe


@dataclass(frozen=True)
class Published:
    """What a publication did: its *plan*, and *where* the version is at the target; None if nothing was sent."""

    plan: Plan
    where: str | None


def publish(
    folder: Path,
    address: str,
    tell: Tell = silent,
    *,
    private: bool = False,
    create_pr: bool = False,
    dry_run: bool = False,
) -> Published:
    """Publish the release of the dataset in *folder* at *address*: ``hf://datasets/NAMESPACE/NAME``, a folder, a URL.

    Raise `InvalidData` for what may not be published, before anything is sent; `CannotRun` where the target does not
    answer. *private* makes a new repository of a hub private, and of a static host it says that it is; *create_pr*
    proposes the version instead of committing it, and *dry_run* looks but sends nothing. *tell* hears of each step.
    """
    dataset = recipe.read(folder)
    tell("verifying the release")
    own = prepared(dataset, tell)
    target = named(address, private=private, create_pr=create_pr)
    tell(f"looking at {address}")
    there = target.look(own)
    raise_if(list(refusals.all_of(dataset, own, target, there)))
    plan = _plan(dataset, own, target, there)
    raise_if(list(refusals.of_bump(own, plan, address)))
    if dry_run:
        return Published(plan, None)
    where = target.send(own, there, plan, tell)
    raise_if(list(_read_back(own, target, where, tell)))
    target.name(own, there, where)
    return Published(plan, where)


def _plan(dataset: Recipe, own: Ready, target: Target, there: There) -> Plan:
    """Compare the release with what is there; what the data demand of its version is judged by the files alone."""
    required = None
    if there.at is not None and there.card is not None and not there.holds(own):
        with TemporaryDirectory(prefix="broadsheet-") as old:
            for name in filter(versions.is_compared, there.current):
                with target.opened(name, there.at) as stream:
                    release.write(Path(old), name, stream.read())
            required = versions.required_bump(Path(old), dataset.release)
    return Plan.of(target.address, own, there, required)


def _read_back(own: Ready, target: Target, where: str, tell: Tell) -> Iterator[Problem]:
    for number, (name, file) in enumerate(own.files.items(), start=1):
        tell(f"reading back: file {number} of {len(own.files)}")
        place = f"{target.address}: {name}"
        try:
            with target.opened(name, where) as stream:
                found = digest_of(stream)
        except FileNotFoundError:
            yield Problem("BS807", place, "it was sent, but is not there")
            continue
        if found != file.sha256:
            yield Problem("BS807", place, f"its SHA-256 is {found} there, SHA256SUMS says {file.sha256}")
