"""Shape: takes one line of a page, gives what its form alone says it may be: a byline, a date, a separator, a heading.

No line is read twice and no pattern can backtrack: what is matched has a bounded length. Labels are English first, with
a few of other languages; the rest (capitals, digits, marks, length) holds wherever letters have cases.
"""

from __future__ import annotations

import re
from typing import Literal

Shape = Literal[
    "blank",
    "separator",
    "dinkus",
    "reference",
    "url",
    "site",
    "source",
    "byline",
    "credit",
    "date",
    "caption",
    "notice",
    "wire",
    "short",
    "prose",
]

#: What is longer, in code points, is no heading, byline, date or label.
MAX_SHORT = 90
MAX_WORDS = 14
#: What is longer is an article's own prose, and no publisher's notice.
MAX_NOTICE = 400
#: How far into a line its dateline may reach.
MAX_DATELINE = 80


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RULES = frozenset("-‐‑‒–—―_=*~#+•·")
_DINKUS = frozenset("*•·")
_MAX_DINKUS = 5
_MIN_RULE = 3
_BULLETS = ("- ", "* ", "• ", "· ", "– ", "+ ")
_DASHES = (" - ", " – ", " — ", " -- ", "— ", "– ")
_CLOSING = ")\"'”’»«“]"
_END_OF_SENTENCE = ".…。．｡"
_CARRIES_ON = (":", ",", ";", "-", "，", "：", "、")
#: A word that opens a byline, and how many words of a name must follow: where it is a rare opening otherwise, one.
_BY = {"by": 1, "por": 2, "par": 2, "von": 2, "di": 2, "door": 2, "av": 2}
_BYLINE_LABELS = ("author", "authors", "written by", "byline", "autor", "autora", "auteur", "autore")
_SOURCE_LABELS = ("source", "via", "originally published at", "quelle", "fuente", "fonte", "bron")
_CAPTION_LABELS = ("photo", "photograph", "photo credit", "image", "picture", "caption", "foto")
_DATE_LABELS = ("updated", "last updated", "last modified", "published", "first published", "posted", "date")
_NOTICES = (
    "©",
    "copyright",
    "all rights reserved",
    "not responsible for",
    "views expressed",
    "not endorse",
    "terms of use",
    "disclaimer",
)
_PARTICLES = _words(
    "and & de del della da do dos du la le van von der den ter al el bin bint ibn y e und et en og och of for the in at"
)
_ARTICLES = _words("The A An")
_MONTHS = _words(
    "january february march april may june july august september october november december"
    " jan feb mar apr jun jul aug sep sept oct nov dec"
)
_WITH_DATES = _words(
    "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun"
    " at on of am pm a.m p.m gmt utc est edt cet bst"
)
_REFERENCE = re.compile(r"\[(\d{1,4})\]")
_SITE = re.compile(r"(?:[A-Za-z0-9-]{2,63}\.){1,5}[a-z]{2,24}")
_DAY = re.compile(r"\d{1,2}(?:st|nd|rd|th)?")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_NUMERIC_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_TIME = re.compile(r"\d{1,2}[:.]\d\d(?:am|pm)?")


def of(line: str) -> Shape:
    """Give the shape of *line*, white space around it not counted."""
    text = bare(line)
    if not text:
        return "blank"
    if mark := _rule(text):
        return mark
    if marker(line) is not None:
        return "reference"
    if len(text) <= MAX_SHORT and (found := _labelled(text)):
        return found
    return _unlabelled(text)


def bare(line: str) -> str:
    """Give *line* without the white space around it, and without a byte order mark."""
    return line.strip().removeprefix("\ufeff").lstrip()


def marker(line: str) -> int | None:
    """Give the number of the marker that *line* starts with, such as 3 of ``[3] Council, "Minutes"``, if it has one."""
    found = _REFERENCE.match(line.lstrip())
    return int(found[1]) if found else None


def is_one_word(line: str) -> bool:
    """Tell whether *line* has no white space inside, as a piece of a broken URL has none."""
    return len(line.split(maxsplit=1)) == 1


def heads_references(line: str) -> bool:
    """Tell whether *line* may be the heading of a list that comes below it: a heading, with or without a colon."""
    return marker(line) is None and _is_short(bare(line).removesuffix(":"))


def starts_small(line: str) -> bool:
    """Tell whether *line* starts with a lower-case letter, as one does that carries on the line above it."""
    return bare(line)[:1].islower()


def _rule(text: str) -> Shape | None:
    marks = [mark for mark in text[: MAX_NOTICE + 1] if not mark.isspace()]
    if len(text) > MAX_NOTICE or len(marks) < _MIN_RULE or not _RULES.issuperset(marks):
        return None
    return "dinkus" if len(marks) <= _MAX_DINKUS and _DINKUS.issuperset(marks) else "separator"


def _labelled(text: str) -> Shape | None:
    """Give the shape of a short *text* that a label, an address, a name or a date makes plain."""
    shapes: list[tuple[Shape, bool]] = [
        ("url", is_one_word(text) and text.casefold().startswith(("http://", "https://", "www."))),
        ("site", _SITE.fullmatch(text) is not None),
        ("date", _is_date(text)),
        ("byline", _is_byline(text)),
        ("source", _has_label(text, _SOURCE_LABELS)),
        ("caption", _has_label(text, _CAPTION_LABELS)),
        ("credit", _is_credit(text)),
    ]
    return next((shape for shape, fits in shapes if fits), None)


def _unlabelled(text: str) -> Shape:
    if len(text) <= MAX_NOTICE and any(notice in text.casefold() for notice in _NOTICES):
        return "notice"
    if _has_dateline(text):
        return "wire"
    return "short" if _is_short(text) else "prose"


def _has_label(text: str, labels: tuple[str, ...]) -> bool:
    label, colon, rest = text.partition(":")
    return bool(colon and rest.strip()) and label.strip().casefold() in labels


def _is_byline(text: str) -> bool:
    if _has_label(text, _BYLINE_LABELS):
        return True
    first, *names = text.split()
    needed = _BY.get(first.casefold())
    return needed is not None and len(names) >= needed and _is_name(names) and not _ends_a_sentence(text)


def _is_credit(text: str) -> bool:
    """Tell whether *text* is a name and where it belongs (``Ada Brook, The Quay Gazette``), or a name after a dash."""
    if text.startswith(("—", "–", "--")):
        names = text.lstrip("—–- ").split()
        return 2 <= len(names) <= 4 and _is_name(names) and not _ends_a_sentence(text)  # noqa: PLR2004 - names
    name, comma, place = text.partition(", ")
    names, where = name.split(), place.split()
    return (
        bool(comma and where)
        and "," not in place
        and 2 <= len(names) <= 3  # noqa: PLR2004 - a first name, perhaps a second, a last one
        and len(where) <= 4  # noqa: PLR2004 - the longest names of outlets
        and names[0] not in _ARTICLES
        and _is_name(names)
        and _is_name(where)
        and not _ends_a_sentence(text)
    )


def _is_name(words: list[str]) -> bool:
    """Tell whether *words* are those of a name: each with a capital, but for particles; the first is none."""
    plain = [word.strip(".,()'’") for word in words]
    return plain[0] not in _PARTICLES and all(
        word in _PARTICLES or (word[:1].isalpha() and not word[:1].islower()) for word in plain
    )


def _is_date(text: str) -> bool:
    """Tell whether *text* is a date and no more: after a label, or after a place and a comma, or alone."""
    if any(text.casefold().startswith((f"{label}:", f"{label} on ", f"{label} ")) for label in _DATE_LABELS):
        rest = text.partition(":")[2] or text
        return any(letter.isdigit() for letter in rest)
    words = [word.strip("(),.|").casefold() for word in text.split()]
    place, comma, rest = text.partition(",")
    if _is_plain_date(words):
        return True
    return bool(comma) and _is_name(place.split() or ["-"]) and _is_plain_date([w.strip("(),.|") for w in rest.split()])


def _is_plain_date(words: list[str]) -> bool:
    words = [word.casefold() for word in words if word]
    kinds = [_date_part(word) for word in words]
    whole = "date" in kinds or ("month" in kinds and ("day" in kinds or "year" in kinds))
    return whole and None not in kinds


def _date_part(word: str) -> str | None:
    if word in _MONTHS:
        return "month"
    if word in _WITH_DATES or _TIME.fullmatch(word):
        return "more"
    for part, pattern in (("day", _DAY), ("year", _YEAR), ("date", _NUMERIC_DATE)):
        if pattern.fullmatch(word):
            return part
    return None


def _has_dateline(text: str) -> bool:
    """Tell whether *text* opens as agencies' reports do: ``LISBON, May 3 (Reuters) - ``, ``LISBON — ``."""
    start = text[:MAX_DATELINE]
    ends = [at for dash in _DASHES if (at := start.find(dash)) > 0]
    if not ends:
        return False
    head = start[: min(ends)].rstrip()
    place, bracket, agency = head.partition("(")
    words = place.replace(",", " ").split()
    if not words or not _is_name(words[:1]):
        return False
    if bracket:
        return agency.endswith(")") and all(_is_of_dateline(word) for word in words)
    return words[0].isupper() and len(words[0]) > 1 and all(w.isupper() or _is_of_dateline(w) for w in words)


def _is_of_dateline(word: str) -> bool:
    return _is_name([word]) or word in _PARTICLES or _date_part(word.strip(".").casefold()) is not None


def _is_short(text: str) -> bool:
    """Tell whether *text* has the shape of a heading: few words, an opening that is not small, no end of a sentence."""
    return (
        0 < len(text) <= MAX_SHORT
        and len(text.split()) <= MAX_WORDS
        and any(letter.isalnum() for letter in text)
        and not next(letter for letter in text if letter.isalnum()).islower()
        and not text.startswith(_BULLETS)
        and not text.endswith(_CARRIES_ON)
        and not _ends_a_sentence(text)
    )


def _ends_a_sentence(text: str) -> bool:
    """Tell whether a full stop ends *text*; a mark such as ``[3]`` or ``[..]`` after it is not counted."""
    if text.endswith("]"):
        text = text[: max(text.rfind("["), 0)].rstrip()
    return text.rstrip(_CLOSING).endswith(tuple(_END_OF_SENTENCE))
