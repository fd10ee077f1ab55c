"""Versions: takes version numbers and the ledger of a dataset, gives their order, the next ones, and what is wrong.

The ledger, ``versions.jsonl`` in a dataset's folder, has a line for each version that was released. It only grows: each
line holds the SHA-256 of the one before it, so that no line can be edited or taken out unnoticed.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from broadsheet import jsonl
from broadsheet.problems import Problem

LEDGER = "versions.jsonl"
#: The file of a release that says which one it is.
IDENTITY = "release.json"


class Bump(IntEnum):
    """How much of a version number changes; the larger, the more a reader must look at."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


class Rule(NamedTuple):
    """One way in which a release can differ from another: the *bump* it calls for, and *what* it is."""

    bump: Bump
    what: str


#: Every way in which two releases can differ, and what it calls for; nothing else decides on a version.
RULES: Mapping[str, Rule] = {
    "rows removed": Rule(Bump.MAJOR, "A row is gone."),
    "texts changed": Rule(Bump.MAJOR, "A row that was there has another text, or another title."),
    "labels changed": Rule(Bump.MAJOR, "A row that was there has another label: a field with `x-class-label`."),
    "values changed": Rule(
        Bump.MAJOR, "A row that was there has another value in any other field: a selection made of it may be another."
    ),
    "rows moved": Rule(Bump.MAJOR, "A row is in another split."),
    "table removed": Rule(Bump.MAJOR, "A table is gone."),
    "field removed": Rule(Bump.MAJOR, "A field is gone."),
    "type changed": Rule(
        Bump.MAJOR,
        "A field has another type or format, or its labels other numbers (the hub's ClassLabel counts them).",
    ),
    "narrowed": Rule(
        Bump.MAJOR, "A schema allows less: an enumeration without a value it had, no null any more, a new rule."
    ),
    "required field added": Rule(Bump.MAJOR, "There is a new field that can be neither null nor missing."),
    "table added": Rule(Bump.MINOR, "There is a new table."),
    "rows added": Rule(Bump.MINOR, "There is a new row."),
    "field added": Rule(Bump.MINOR, "There is a new field that can be null or missing."),
    "widened": Rule(Bump.MINOR, "A schema allows more: another value in an enumeration, null, a rule fewer."),
    "described": Rule(Bump.PATCH, "A schema describes a field otherwise, or orders its fields otherwise."),
    "documents changed": Rule(Bump.PATCH, "A document is new, gone, or says something else."),
    "reserialised": Rule(Bump.PATCH, "The same rows are in other files, or in files with other bytes."),
}


class Version(NamedTuple):
    """A version by Semantic Versioning 2.0.0, without build metadata."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Give the version that *text* is; raise `ValueError` if it is none."""
        found = _VERSION.fullmatch(text)
        if found is None:
            raise ValueError(f"'{text}' is no version")
        return cls(int(found[1]), int(found[2]), int(found[3]), found[4] or "")

    def __str__(self) -> str:
        """Write it: ``1.2.0-rc.1``."""
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{self.prerelease}" if self.prerelease else core

    def after(self, bump: Bump) -> Version:
        """Give the smallest version that is this one with *bump*."""
        match bump:
            case Bump.MAJOR:
                return Version(self.major + 1, 0, 0)
            case Bump.MINOR:
                return Version(self.major, self.minor + 1, 0)
            case Bump.PATCH:
                return Version(self.major, self.minor, self.patch + 1)
        return self

    def follows(self, old: Version, bump: Bump) -> bool:
        """Tell whether this version, no pre-release, says of the step from *old* what *bump* calls for, or more."""
        return self[:3] >= old.after(max(bump, Bump.PATCH))[:3]


_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(?:-([0-9A-Za-z.-]+))?", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """A released version: the *date*, the logical *digest* of its rows, and the SHA-256 of its SHA256SUMS (*release*).

    *predecessor* is the version before it, and *previous* the SHA-256 of that one's line; the first entry has none.
    """

    version: str
    date: str
    digest: str
    release: str
    predecessor: str | None
    previous: str | None

    @property
    def line(self) -> bytes:
        """The entry as it stands in the ledger, in canonical form (RFC 8785), without the line feed."""
        return jsonl.canonical(asdict(self))


@dataclass(frozen=True)
class Ledger:
    """The *entries* of a dataset's ledger, oldest first."""

    entries: Sequence[Entry] = ()

    @property
    def last(self) -> Entry | None:
        """The version that was released last."""
        return self.entries[-1] if self.entries else None

    def entry(self, version: str) -> Entry | None:
        """Give the entry of *version*, if it was released."""
        return next((entry for entry in self.entries if entry.version == version), None)

    def before(self, version: str) -> Entry | None:
        """Give the entry that *version* follows: the last one that is no later, and not its own."""
        core = Version.parse(version)[:3]
        earlier = [e for e in self.entries if Version.parse(e.version)[:3] <= core and e.version != version]
        return earlier[-1] if earlier else None

    def grown(self, version: str, date: str, digest: str, release: str) -> Ledger:
        """Give the ledger with one more entry."""
        last = self.last
        more = Entry(
            *(version, date, digest, release),
            predecessor=None if last is None else last.version,
            previous=_link(last),
        )
        return Ledger((*self.entries, more))

    @property
    def text(self) -> bytes:
        """The whole file."""
        return b"".join(entry.line + b"\n" for entry in self.entries)


def identity(name: str, version: str, digest: str, ledger: Ledger) -> bytes:
    """Give the text of `IDENTITY`: what release this is, and which one it follows, by version and logical digest."""
    before = ledger.before(version)
    return jsonl.indented(
        {
            "name": name,
            "version": version,
            "digest": digest,
            "predecessor": before and {"version": before.version, "digest": before.digest},
        }
    )


def identity_problems(data: bytes, version: str, digest: str) -> list[Problem]:
    """Give what is wrong with the text *data* of `IDENTITY` in the release of *version* whose rows have *digest*."""
    try:
        value = jsonl.loads(data)
        before = value["predecessor"]
        well_formed = isinstance(value["name"], str) and set(value) == {"name", "version", "digest", "predecessor"}
        well_formed &= before is None or bool(
            set(before) == {"version", "digest"}
            and Version.parse(before["version"])[:3] <= Version.parse(version)[:3]
            and before["version"] != version
            and _DIGEST.fullmatch(before["digest"])
        )
        found = {key: value[key] for key in ("version", "digest")}
    except (ValueError, TypeError, KeyError) as error:
        return [Problem("BS509", IDENTITY, f"it does not say which release this is: {error!r}")]
    expected = {"version": version, "digest": digest}
    problems = [
        Problem("BS509", IDENTITY, f"the {key} is {jsonl.canonical(found[key]).decode()}, but it is {expected[key]}")
        for key in found
        if found[key] != expected[key]
    ]
    if not problems and not well_formed:
        problems = [Problem("BS509", IDENTITY, "it has other keys, or its predecessor is no earlier release")]
    return problems


def read(folder: Path) -> tuple[Ledger, list[Problem]]:
    """Give the ledger of the dataset in *folder*, empty if there is none, and what is wrong with it."""
    path = folder / LEDGER
    if not path.is_file():
        return Ledger(), []
    return parse(path.read_bytes())


def parse(data: bytes) -> tuple[Ledger, list[Problem]]:
    """Give the ledger with the text *data*, and what is wrong with it: the first line that does not hold, and why."""
    entries: list[Entry] = []
    lines = data.split(b"\n")
    if lines.pop():
        return Ledger(), [_broken(len(lines) + 1, "the last line is cut short")]
    for number, line in enumerate(lines, start=1):
        entry, wrong = _entry(line)
        if entry is None or (wrong := _misplaced(entry, entries)):
            return Ledger(tuple(entries)), [_broken(number, wrong)]
        entries.append(entry)
    return Ledger(tuple(entries)), []


def outgrown(old: bytes, new: bytes) -> list[Problem]:
    """Give the problem that the ledger's text *new* does not go on from *old*, an earlier one that was committed."""
    if new.startswith(old):
        return []
    lines = zip(old.split(b"\n"), [*new.split(b"\n"), b""], strict=False)
    number = next((n for n, (before, after) in enumerate(lines, start=1) if before != after), 1)
    return [_broken(number, "the line is not the one that was committed")]


def today() -> str:
    """Give the date of a release that names none: that of SOURCE_DATE_EPOCH (reproducible-builds.org), or today's."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = (
        datetime.datetime.now(datetime.UTC)
        if epoch is None
        else datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
    )
    return moment.date().isoformat()


def is_date(text: str) -> bool:
    """Tell whether *text* is a calendar date as YYYY-MM-DD."""
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_DIGEST = re.compile("sha256:[0-9a-f]{64}")
_SHA256 = re.compile("[0-9a-f]{64}")


def _entry(line: bytes) -> tuple[Entry | None, str]:
    try:
        value = jsonl.loads(line)
        entry = Entry(**value)
        version = Version.parse(entry.version)
    except (ValueError, TypeError) as error:
        return None, f"it is no entry: {error}"
    if not _has_form(value) or version.prerelease:
        return None, "it is no entry: a value has not the form it must have"
    return (entry, "") if entry.line == line else (None, "it is not in canonical form, so it was edited")


def _has_form(value: Mapping[str, Any]) -> bool:
    forms = {"digest": _DIGEST, "release": _SHA256, "previous": _SHA256}
    right = all(form.fullmatch(str(value[key])) for key, form in forms.items() if value[key] is not None)
    return right and None not in (value["digest"], value["release"]) and is_date(str(value["date"]))


def _misplaced(entry: Entry, before: Sequence[Entry]) -> str:
    """Give why *entry* cannot come after those *before* it, or nothing."""
    last = before[-1] if before else None
    if entry.previous != _link(last):
        return "it does not hold the SHA-256 of the line before it, so one of the two was edited or taken out"
    if entry.predecessor != (None if last is None else last.version):
        return f"its predecessor is {entry.predecessor}, but the line before it is another version's"
    if last is not None and Version.parse(entry.version)[:3] <= Version.parse(last.version)[:3]:
        return f"version {entry.version} does not come after {last.version}"
    return ""


def _link(last: Entry | None) -> str | None:
    return None if last is None else hashlib.sha256(last.line).hexdigest()


def _broken(line: int, message: str) -> Problem:
    hint = "The ledger only grows, and nobody edits it: restore it from its history."
    return Problem("BS703", LEDGER, message, line=line, hint=hint)
