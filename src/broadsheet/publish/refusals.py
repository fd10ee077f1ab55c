"""Refusals: takes a release and what is at the target, gives why the one may not go to the other."""

from __future__ import annotations

from collections.abc import Iterator

from broadsheet import recipe, release
from broadsheet.problems import Problem
from broadsheet.publish import rights, versions
from broadsheet.publish.plan import Plan
from broadsheet.publish.ready import Ready
from broadsheet.publish.target import Target, There
from broadsheet.recipe import Recipe

_NAMED_AT_MOST = 20


def all_of(dataset: Recipe, own: Ready, target: Target, there: There) -> Iterator[Problem]:
    """Give every reason but its version's number not to publish *own*, the release of *dataset*, at *target*."""
    yield from _not_frozen(dataset, own)
    yield from _another_dataset(own, target.address, there)
    yield from _version_taken(own, target.address, there)
    yield from _rights(dataset, own, there)


def _not_frozen(dataset: Recipe, own: Ready) -> Iterator[Problem]:
    entry = versions.frozen(dataset.folder, own.card.version)
    if entry is None or entry.digest != own.card.digest:
        message = f"it does not have version {own.card.version} with the data digest {own.card.digest}"
    elif entry.release != own.files[release.CHECKSUMS].sha256:
        message = f"it has version {own.card.version} with other files (the rows are the same)"
    else:
        return
    yield Problem("BS801", versions.LEDGER, message, hint="Only a frozen version is published, as it stays.")


def _another_dataset(own: Ready, address: str, there: There) -> Iterator[Problem]:
    if there.card is not None and there.card.name != own.card.name:
        yield Problem("BS804", address, f"it holds the dataset '{there.card.name}', and this is '{own.card.name}'")
    if there.card is None and there.strange:
        names = ", ".join(there.strange[:_NAMED_AT_MOST])
        yield Problem("BS804", address, f"it holds something, but no dataset that was published so: {names}")


def _version_taken(own: Ready, address: str, there: There) -> Iterator[Problem]:
    version, current = own.card.version, there.card
    hint = "A published version never changes, nor is it signed afterwards: publish the changes under a new version."
    if current is None or current.name != own.card.name:
        return
    if there.named is not None and not there.holds(own):
        yield Problem("BS802", address, f"version {version} is there, and is another", hint=hint)
    # A commit may have lost its tag on the way; what it holds is that version all the same.
    if there.named is None and current.version == version and current.digest != own.card.digest:
        message = f"version {version} is there, with the data digest {current.digest}"
        yield Problem("BS802", address, message, hint=hint)


def _rights(dataset: Recipe, own: Ready, there: There) -> Iterator[Problem]:
    if there.is_private or "redistribution" in dataset.rights:
        return
    closed = list(rights.closed(own))
    if closed:
        names = ", ".join(closed[:_NAMED_AT_MOST])
        more = f" and {len(closed) - _NAMED_AT_MOST:,} more" if len(closed) > _NAMED_AT_MOST else ""
        count = "1 article has" if len(closed) == 1 else f"{len(closed):,} articles have"
        message = f"{count} a text whose rights are not open: {names}{more}"
        hint = "State in redistribution on what basis they may be published, or publish with --private."
        line = recipe.line_of(dataset.text, "/rights")
        yield Problem("BS805", recipe.RECIPE, message, line=line, pointer="/rights", hint=hint)


def of_bump(own: Ready, plan: Plan, address: str) -> Iterator[Problem]:
    """Give the reason not to publish that the version says less than the data do."""
    if plan.old is None or plan.required is None or plan.old.version == own.card.version:
        return
    offered = versions.offered_bump(plan.old.version, own.card.version)
    if offered < plan.required:
        step = f"{plan.old.version} to {own.card.version}"
        said = f"{step} is no step forward"
        if offered:
            said = f"{step} is a {offered.name.lower()} bump, and the data demand a {plan.required.name.lower()} one"
        hint = "Rows or fields that go, and types that change, are major; new data are minor; the rest is a patch."
        yield Problem("BS803", address, said, hint=hint)
