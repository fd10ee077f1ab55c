"""Columns: takes a column's name and its values one by one, gives what can be known of it in bounded memory."""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broadsheet.contract import is_partial_date

#: How many different values are counted, and how long they may be; how many are shown, and of each how much.
MOST, LONGEST = 50, 100
_SHOWN, _SHOWN_CHARS = 3, 40
#: The longest identifier that the contract takes.
_MAX_ID = 256
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")

#: What columns of such names mostly hold, in the order in which they are taken.
FIELDS: Mapping[str, str] = {
    "id": "id _id nr no doc_id docid document_id article_id articleid body_id uid uuid guid key",
    "title": "title headline heading titel",
    "text": "text body content article_text articlebody article_body full_text fulltext maintext main_text document "
    "tweet",
    "published": "published date published_at publishedat publication_date date_published datepublished pub_date "
    "pubdate publish_date",
    "author": "author authors byline creator",
    "publisher": "publisher source outlet publication newspaper",
    "language": "language lang",
    "label": "stance label",
    "url": "url link source_url",
}
_RANKS = {name: (field, rank) for field, names in FIELDS.items() for rank, name in enumerate(names.split())}


@dataclass(frozen=True)
class Column:
    """What is known of a column: its *name*, how to reach it (*steps*, keys of nested objects), and its values.

    *filled* rows have one. *counts* has how often each is there, or is None where they are many or long; *samples* are
    the first ones. *kinds* are the types of JSON or Parquet. *forms* are those that all values have: ``date`` (ISO
    8601, a year, month or day), ``datetime``, ``language`` (BCP 47), ``key`` (unique, and short enough for an id).
    """

    name: str
    steps: Sequence[str]
    filled: int
    counts: Mapping[str, int] | None
    samples: Sequence[str]
    kinds: frozenset[str]
    forms: frozenset[str]
    chars: int

    @property
    def field(self) -> str | None:
        """The field that a column of such a name mostly holds."""
        return field_of(self.name)

    @property
    def is_plain(self) -> bool:
        """Whether its values are texts or numbers, and no lists or objects."""
        return not self.kinds & {"list", "object"}

    def shown(self) -> str:
        """Give the first values, on one line that any file of text can hold."""
        return ", ".join(quoted(sample) for sample in self.samples) or "no value"


class Tally:
    """Takes the values of the column *name* one by one."""

    def __init__(self, name: str, steps: Sequence[str] = ()) -> None:
        """Start with no value."""
        self._name, self._steps = name, steps
        self._filled = self._chars = 0
        self._counts: dict[str, int] | None = {}
        self._samples: list[str] = []
        self._kinds = set[str]()
        self._forms = {"date", "datetime", "language", *(("key",) if field_of(name) == "id" else ())}
        self._keys = set[int]()

    def add(self, value: Any) -> None:
        """Take one more *value*; null and the empty text are none."""
        if value is None or value == "":
            return
        self._filled += 1
        kind, text = _told(value)
        self._kinds.add(kind)
        self._chars += len(text)
        if len(self._samples) < _SHOWN and (clipped := text[: _SHOWN_CHARS + 1]) not in self._samples:
            self._samples.append(clipped)
        self._count(text)
        self._forms -= {form for form in self._forms if not self._has(form, text)}

    def column(self, name: str = "") -> Column:
        """Give what is known of the column by now; a query may know it by another *name*."""
        forms = frozenset(self._forms if self._filled else ())
        kinds = frozenset(self._kinds)
        told = (self._filled, self._counts, self._samples, kinds, forms, self._chars)
        return Column(name or self._name, self._steps, *told)

    def _count(self, text: str) -> None:
        if self._counts is None:
            return
        self._counts[text] = self._counts.get(text, 0) + 1
        if len(text) > LONGEST or len(self._counts) > MOST:
            self._counts = None

    def _has(self, form: str, text: str) -> bool:
        if form == "key":
            fresh = len(text) <= _MAX_ID and hash(text) not in self._keys
            self._keys.add(hash(text))
            return fresh
        if form == "language":
            return _LANGUAGE.fullmatch(text) is not None
        return is_partial_date(text) if form == "date" else _is_datetime(text)


def joined(columns: Sequence[Column]) -> Column:
    """Give what is known of columns of one name in several files, taken as one.

    A value that is there in two files is not looked for: it stays a key if it is one in each.
    """
    first, kinds = columns[0], frozenset[str]().union(*(column.kinds for column in columns))
    forms = frozenset.intersection(*(column.forms for column in columns))
    samples = list(dict.fromkeys(sample for column in columns for sample in column.samples))[:_SHOWN]
    counts: Counter[str] | None = Counter()
    for column in columns:
        counts = None if counts is None or column.counts is None else counts + Counter(column.counts)
    if counts is not None and len(counts) > MOST:
        counts = None
    filled, chars = sum(column.filled for column in columns), sum(column.chars for column in columns)
    return Column(first.name, first.steps, filled, counts, samples, kinds, forms, chars)


def field_of(name: str) -> str | None:
    """Give the field that a column called *name* mostly holds, a name of `FIELDS`, or None."""
    return _RANKS.get(_plain(name), (None, 0))[0]


def rank(name: str) -> int:
    """Give how late *name* comes among the names of its field."""
    return _RANKS[_plain(name)][1]


def quoted(text: str, limit: int = _SHOWN_CHARS) -> str:
    """Give *text* in double quotes on one line: cut at *limit* characters, with what cannot be printed escaped."""
    printable = unprintable(json.dumps(text[:limit], ensure_ascii=False))
    return printable[:-1] + '…"' if len(text) > limit else printable


def unprintable(text: str) -> str:
    """Give *text* with each character that cannot be printed escaped, as TOML reads it."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().casefold())


def _told(value: Any) -> tuple[str, str]:
    """Give the kind of *value*, and how it reads."""
    match value:
        case str():
            return "text", value
        case bool():
            return "boolean", json.dumps(value)
        case int() | float():
            return "number", json.dumps(value)
        case list():
            return "list", json.dumps(value, ensure_ascii=False)
        case _:
            return "object", json.dumps(value, ensure_ascii=False)


def _is_datetime(text: str) -> bool:
    """Tell whether *text* is a date and time of ISO 8601 that starts with a whole day."""
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]", text):
        return False
    try:
        datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
