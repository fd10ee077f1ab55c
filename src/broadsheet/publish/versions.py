"""Versions: whether one is frozen, and how far apart two must be; what freezes and compares them plugs in here."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path

from broadsheet import jsonl, release
from broadsheet.problems import raise_if
from broadsheet.publish.ready import Card, card_of

#: The ledger in a dataset's folder: a JSON object a line, with `version` and the data's `digest` of each frozen one.
LEDGER = "versions.jsonl"


class Bump(IntEnum):
    """How far one version is from another (Semantic Versioning 2.0.0, items 6 to 8)."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3

    def __str__(self) -> str:
        """Give the word for it."""
        return self.name.lower()


def is_frozen(folder: Path, version: str, digest: str) -> bool:
    """Tell whether the ledger of the dataset in *folder* has *version*, with that *digest*."""
    path = folder / LEDGER
    if not path.is_file():
        return False
    rows, problems = jsonl.parse(path.read_bytes(), LEDGER)
    raise_if(problems)
    return any(
        isinstance(row.value, dict) and (row.value.get("version"), row.value.get("digest")) == (version, digest)
        for row in rows
    )


def is_compared(name: str) -> bool:
    """Tell whether `required_bump` reads the file *name* of a release; of the last version, only these are fetched."""
    return name == release.CARD


def required_bump(old: Path, new: Path) -> Bump:
    """Give the smallest bump that leads from the release in *old* to that in *new*.

    It goes by what the cards tell: a table or column that is gone or is another, or fewer rows, is major; other data
    are minor; the same data are a patch. So it is a lower bound: a text that changed under its id looks minor to it.
    """
    before, after = _card(old), _card(new)
    if before is None or after is None:
        return Bump.MAJOR
    if before.digest == after.digest:
        return Bump.PATCH
    return Bump.MAJOR if _is_less(before, after) else Bump.MINOR


def offered_bump(old: str, new: str) -> Bump:
    """Give how far the version *new* is from *old*; NONE if it is not greater. What follows a hyphen is no bump."""
    before, after = order(old), order(new)
    if after <= before:
        return Bump.NONE
    first = next(index for index in range(3) if after[index] != before[index])
    return Bump(3 - first)


def order(version: str) -> tuple[int, int, int]:
    """Give the numbers of *version*, by which versions are in order; raise `ValueError` if it has none."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        raise ValueError(version)
    return int(found[1]), int(found[2]), int(found[3])


def _card(folder: Path) -> Card | None:
    path = folder / release.CARD
    return card_of(path.read_text(encoding="utf-8")) if path.is_file() else None


def _is_less(before: Card, after: Card) -> bool:
    if any(after.rows.get(table, 0) < rows for table, rows in before.rows.items()):
        return True
    for table, columns in before.columns.items():
        kept = {column["name"]: column for column in after.columns.get(table, [])}
        if any(kept.get(column["name"]) != column for column in columns):
            return True
    return False
