"""Versions, as publication asks of them: whether one is frozen, and whether a step says what the data demand."""

from __future__ import annotations

from pathlib import Path

from broadsheet import diff, release, versions
from broadsheet.problems import raise_if
from broadsheet.versions import LEDGER, Bump, Entry, Version

__all__ = ["LEDGER", "Bump", "Entry", "Version", "frozen", "is_compared", "offered_bump", "required_bump"]


def frozen(folder: Path, version: str) -> Entry | None:
    """Give the entry of *version* in the ledger of the dataset in *folder*, if it was released."""
    ledger, problems = versions.read(folder)
    raise_if(problems)
    return ledger.entry(version)


def is_compared(name: str) -> bool:
    """Tell whether `required_bump` reads the file *name* of a release; of the last version, only these are fetched."""
    return name == release.CHECKSUMS or diff.is_wanted(name)


def required_bump(old: Path, new: Path) -> Bump:
    """Give the smallest bump that leads from the release in *old* to that in *new*; another version is a patch, too."""
    return max(diff.diff(str(old), str(new)).bump, Bump.PATCH)


def offered_bump(old: str, new: str) -> Bump:
    """Give how far the version *new* is from *old*; NONE if it is not greater. What follows a hyphen is no bump."""
    before, after = Version.parse(old)[:3], Version.parse(new)[:3]
    if after <= before:
        return Bump.NONE
    return Bump(3 - next(index for index in range(3) if after[index] != before[index]))
