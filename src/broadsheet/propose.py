"""Proposing: takes a raw page, gives a draft of its segments and of each line's role, with the cue each rests on.

A draft is a guess to be reviewed, never a fact: its rows carry a `cue`, and a build refuses a row that still has one.
The rules are deterministic, and look at each line a bounded number of times.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, zip_longest
from pathlib import Path
from typing import NamedTuple

from broadsheet import contract, jsonl, reading, rows, shape
from broadsheet.contract import Row
from broadsheet.problems import InvalidData, Problem, cannot_run, raise_if
from broadsheet.segment import split_lines
from broadsheet.shape import Shape

#: The largest page that is read, in bytes.
MAX_PAGE = 64 << 20
#: The files of a draft.
SEGMENTS, ROLES = "segments.jsonl", "roles.jsonl"

#: Why an article is said to start where it does.
BOUNDARY_CUES: Mapping[str, str] = {
    "first line": "The page starts here.",
    "byline": "The line above, below prose, says who wrote it: `By Ada Brook`, `Author: Ada Brook`.",
    "credit line": "The line above, below prose, is a name and where it belongs, or a name after a dash: "
    "`Ada Brook, The Quay Gazette`.",
    "source line": "The line above, below prose, is a site's name or has a source's label: `gazette.example`, "
    "`Source: The Quay Gazette`.",
    "url line": "The line above, below prose, is a URL and no more.",
    "reference list": "A list with markers, `[1]`, `[2]` and so on, ends above.",
    "separator": "The line above only divides: `-----`. Up to five asterisks or dots divide parts of an article, and a "
    "line under a heading underlines it: they are no cue.",
    "blank lines": "More blank lines stand above than mostly do on the page.",
    "title over a byline": "A short line, with a byline below it.",
    "title over a date": "A short line, with a date below it: `12 May 2021`, `Updated: May 12, 2021`.",
    "wire lead": "The line, or the one below its title or byline, opens with a place and an agency or a dash: "
    "`LISBON, May 3 (Reuters) - `.",
    "two headings": "Two short lines in a row, below prose: a title, and what stands under it.",
    "repeated title": "A short line that stands again, word for word, within the next three.",
}
#: Why a line is said to have its role.
ROLE_CUES: Mapping[str, str] = {
    "prose": "No cue: what nothing else claims is body.",
    "wire lead": "Body, and opens as agencies' reports do.",
    "heading shape": "Few words, no full stop: a title where an article opens, a heading elsewhere.",
    "short lines": "Three or more short lines in a row, in an article that has prose: a box or a menu.",
    "repeated title": "A short line that its article has had already.",
    "repeated line": "Prose that its article has again, word for word, further down.",
    "byline below": "The one line of prose between a title and a byline.",
    "byline": "A label such as `By`, and a name.",
    "credit line": "A name and where it belongs.",
    "date line": "A date, and no more than a label or a place beside it.",
    "source line": "A site's name, or a source's label.",
    "url line": "A URL and no more.",
    "caption label": "A label such as `Photo:`.",
    "notice": "A publisher's set phrase, such as `All rights reserved`.",
    "reference list": "A marker such as `[1]`, or what carries on the entry above.",
    "heading over references": "A short line right above the marker `[1]`.",
    "separator": "Marks that only divide.",
    "blank line": "Nothing, or white space.",
    "nothing else": "Its article would have no text otherwise.",
}

_ROLES: Mapping[str, tuple[str, str]] = {
    "blank": ("separator", "blank line"),
    "separator": ("separator", "separator"),
    "dinkus": ("separator", "separator"),
    "reference": ("reference", "reference list"),
    "carried on": ("reference_url", "reference list"),
    "over references": ("other", "heading over references"),
    "url": ("source_line", "url line"),
    "site": ("source_line", "source line"),
    "source": ("source_line", "source line"),
    "byline": ("byline", "byline"),
    "credit": ("byline", "credit line"),
    "date": ("dateline", "date line"),
    "caption": ("caption", "caption label"),
    "notice": ("disclaimer", "notice"),
    "wire": ("body", "wire lead"),
    "short": ("heading", "heading shape"),
    "box": ("infobox", "short lines"),
    "prose": ("body", "prose"),
}
#: What ends an article when it stands below prose, and the cue it is for the next one.
_ENDS: Mapping[str, str] = {
    "byline": "byline",
    "credit": "credit line",
    "site": "source line",
    "source": "source line",
    "url": "url line",
    "reference": "reference list",
    "carried on": "reference list",
    "separator": "separator",
}
#: What still belongs to an article that has ended.
_FOOT = {*_ENDS, "over references", "date", "notice", "dinkus"}
_OPENERS = {"byline": "title over a byline", "date": "title over a date", "wire": "wire lead"}
_PROSE = ("prose", "wire")
_BOX = 3
_OVERHANG = 3
_REPEATED_WITHIN = 3
_MAX_STANDFIRST = 300
_WRAPPED_AT = 100


class Guess(NamedTuple):
    """What a line is said to be: its *role*, the *cue* that rests on, and a *note* where the role needs one."""

    role: str
    cue: str
    note: str | None = None


class Segment(NamedTuple):
    """The lines, counted from 1, that are said to be one article, and the *cue* for its start."""

    start_line: int
    end_line: int
    cue: str


@dataclass(frozen=True)
class Draft:
    """What is proposed for a page: *segments* that tile it, and a *guess* for each of its *lines*."""

    segments: Sequence[Segment]
    lines: Sequence[Guess]


def read(path: str) -> list[str]:
    """Give the lines of the page at *path*, a file, a URL, or - for standard input; raise `BroadsheetError`."""
    data = reading.whole(path, MAX_PAGE, "Cut the page into files that a person can review.")
    if pointer := rows.lfs_pointer(data, path):
        raise InvalidData([pointer])
    text, problems = jsonl.decode(data, path)
    raise_if(problems)
    if not text.strip():
        raise InvalidData([Problem("BS304", path, "the page has no text")])
    return [line.text for line in split_lines(data)]


def propose(lines: Sequence[str]) -> Draft:
    """Give the draft for a page of *lines*."""
    kinds = _kinds(lines)
    segments = _segments(lines, kinds)
    guesses = [guess for segment in segments for guess in _guesses(lines, kinds, segment)]
    return Draft(segments, guesses)


def draft_rows(draft: Draft, source_file: str, language: str) -> tuple[list[Row], list[Row]]:
    """Give *draft* as the rows of ``segments.jsonl`` and ``roles.jsonl``, each with its cue; raise `InvalidData`.

    Identifiers are the source's name with a number, for the reviewer to replace before anything refers to them.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", Path(source_file).stem.lower()).strip("-")[:200] or "page"
    segments, roles = [], []
    for number, (start, end, cue) in enumerate(draft.segments, start=1):
        name = {"article_id": f"{stem}-{number}"}
        place = {"start_line": start, "end_line": end}
        segments.append(name | {"source_file": source_file} | place | {"language": language, "cue": cue})
        roles += [name | run for run in _runs(draft.lines[start - 1 : end], start)]
    found = [v for row in segments[:1] for v in contract.violations(row, contract.definition("segment"))]
    raise_if([Problem(v.code, source_file, v.message, pointer=v.pointer, hint=v.hint) for v in found])
    return segments, roles


def source_name(path: str) -> str:
    """Give the name of the source file that the page at *path* is."""
    return "stdin" if path == "-" else Path(path.split("?", maxsplit=1)[0] if reading.is_url(path) else path).name


def printed(segments: Sequence[Row], roles: Sequence[Row]) -> bytes:
    """Give the rows of a draft as JSON Lines for a reader: each segment, and below it its runs of roles."""
    of = {name: list(runs) for name, runs in groupby(roles, lambda run: run["article_id"])}
    return jsonl.serialize(row for segment in segments for row in (segment, *of[segment["article_id"]]))


def write(folder: Path, segments: Sequence[Row], roles: Sequence[Row]) -> None:
    """Write the rows of a draft into *folder*; raise `CannotRun` if annotations are there already."""
    files = {folder / SEGMENTS: segments, folder / ROLES: roles}
    for path in files:
        if path.exists():
            hint = "A draft replaces nothing: name another folder."
            raise cannot_run("BS602", path, "there are annotations already", hint)
    for path, written in files.items():
        path.write_bytes(jsonl.serialize(written))


def _runs(guesses: Sequence[Guess], start: int) -> Iterator[Row]:
    for guess, run in groupby(guesses):
        end = start + len(list(run)) - 1
        note = {} if guess.note is None else {"note": guess.note}
        yield {"start_line": start, "end_line": end, "role": guess.role} | note | {"cue": guess.cue}
        start = end + 1


# --- what each line is, seen among its neighbours ---


def _kinds(lines: Sequence[str]) -> list[str]:
    """Give the kind of each of *lines*: its shape, or what its neighbours make of it."""
    shapes = _unwrapped(lines, [shape.of(line) for line in lines])
    kinds: list[str] = list(shapes)
    _mark_references(lines, kinds)
    seen = _seen(kinds)
    for before, n in zip([None, *seen], seen, strict=False):
        if kinds[n] == "credit" and (before is None or kinds[before] not in _PROSE):
            kinds[n] = "short"
    for run, below in _short_runs(kinds):
        if len(run) >= _BOX and not list(_repeated(lines, run)):
            for n in run[:-1] if below in _PROSE or below in _OPENERS else run:
                kinds[n] = "box"
    return kinds


def _unwrapped(lines: Sequence[str], shapes: list[Shape]) -> list[Shape]:
    """Give *shapes*; where paragraphs are broken over lines, what looks short in a paragraph is prose.

    Only what stands right above a byline, a date or a wire lead is not.
    """
    pairs = [n for n in range(1, len(lines)) if "blank" not in (shapes[n - 1], shapes[n])]
    carried = sum(shape.starts_small(lines[n]) for n in pairs)
    if 3 * carried < len(pairs) or max(map(len, lines), default=0) > _WRAPPED_AT:
        return shapes
    result: list[Shape] = []
    for is_blank, block in groupby(shapes, lambda found: found == "blank"):
        found = list(block)
        broken = not is_blank and "prose" in found
        for one, below in zip(found, [*found[1:], ""], strict=True):
            result.append("prose" if broken and one in ("short", "credit") and below not in _OPENERS else one)
    return result


def _mark_references(lines: Sequence[str], kinds: list[str]) -> None:
    """Mark in *kinds* what carries on a reference, and what heads a list; a marker that is in no list is prose."""
    last, above = 0, None
    for n, kind in enumerate(kinds):
        if kind == "blank":
            continue
        if kind == "reference":
            number = shape.marker(lines[n]) or 0
            if number == 1 and above is not None and shape.heads_references(lines[above]):
                kinds[above] = "over references" if kinds[above] in ("short", "prose") else kinds[above]
            if number == 1 or 0 < last < number:
                last = number
            else:
                kinds[n], last = "prose", 0
        elif last and _carries_on(lines, kinds, n):
            kinds[n] = "carried on"
        else:
            last = 0
        above = n


def _carries_on(lines: Sequence[str], kinds: Sequence[str], n: int) -> bool:
    """Tell whether line *n* carries on the reference right above it: one word, or words with the next marker below."""
    if kinds[n - 1] not in ("reference", "carried on"):
        return False
    if kinds[n] in ("separator", "dinkus"):
        return False
    between = kinds[n - 1] == "reference" and n + 1 < len(kinds) and kinds[n + 1] == "reference"
    return shape.is_one_word(lines[n]) or between


# --- where articles start ---


@dataclass
class _Article:
    """The article the walk is in: whether a title opens it, how much prose it has, and what has *ended* it, if so."""

    titled: bool = False
    prose: int = 0
    signed: bool = False
    ended: str = ""


def _segments(lines: Sequence[str], kinds: Sequence[str]) -> list[Segment]:
    seen = _seen(kinds)
    opens, gaps = _openings(lines, kinds), _long_gaps(seen)
    starts = [(0, "first line")]
    article = _Article()
    for before, n in zip([0, *seen], seen, strict=False):
        if article.prose and n in gaps:
            article.ended = article.ended or "blank lines"
        cue = article.ended or opens.get(n)
        if article.prose and cue and (n in opens or kinds[n] not in _FOOT):
            starts.append((n, cue))
            article = _Article()
        _carry(article, kinds[n], lines[before], underlines=_underlines(lines, kinds, n))
    if len(starts) > 1 and not article.prose:
        starts.pop()  # what no prose follows is the last article's
    ends = [*(n for n, _ in starts[1:]), len(lines)]
    return [Segment(n + 1, end, cue) for (n, cue), end in zip(starts, ends, strict=True)] if lines else []


def _carry(article: _Article, kind: str, before: str, *, underlines: bool) -> None:
    """Carry *article* on by a line of this *kind*, with the line *before* it."""
    if kind in _PROSE:
        article.prose += 1
    elif kind == "short" and not article.prose:
        article.titled = True
    elif article.prose and kind in _ENDS and not underlines and not _is_below_standfirst(article, kind, before):
        article.ended = article.ended if kind == "separator" and article.ended else _ENDS[kind]
    article.signed = article.signed or kind == "byline"


def _is_below_standfirst(article: _Article, kind: str, before: str) -> bool:
    """Tell whether a line of this *kind* is a byline that opens *article*, with one line of prose below the title."""
    opens = article.titled and article.prose == 1 and not article.signed and not article.ended
    return opens and kind == "byline" and len(before) <= _MAX_STANDFIRST


def _underlines(lines: Sequence[str], kinds: Sequence[str], n: int) -> bool:
    """Tell whether line *n* underlines the heading right above it."""
    is_rule = n > 0 and kinds[n] == "separator" and kinds[n - 1] == "short"
    return is_rule and len(lines[n].strip()) <= len(lines[n - 1].strip()) + _OVERHANG


def _openings(lines: Sequence[str], kinds: Sequence[str]) -> dict[int, str]:
    """Give the lines that look like the first of an article, each with its cue."""
    seen = _seen(kinds)
    opens: dict[int, str] = {}
    for n, following in pairwise(seen):
        if kinds[n] in ("byline", "date") and kinds[following] == "wire":
            opens[n] = "wire lead"
    opens |= {n: "wire lead" for n in seen if kinds[n] == "wire"}
    for run, below in _short_runs(kinds):
        if cue := _OPENERS.get(below, "two headings" if len(run) > 1 and below in _PROSE else ""):
            opens[run[0]] = cue
    return opens | {n: "repeated title" for n in _repeated(lines, seen) if kinds[n] == "short"}


def _short_runs(kinds: Sequence[str]) -> Iterator[tuple[list[int], str]]:
    """Give each run of short lines, empty ones between them not counted, and the kind of the line below it."""
    runs = [(short, list(run)) for short, run in groupby(_seen(kinds), lambda n: kinds[n] == "short")]
    for (short, run), after in zip_longest(runs, runs[1:]):
        if short:
            yield run, kinds[after[1][0]] if after else ""


def _repeated(lines: Sequence[str], seen: Sequence[int]) -> Iterator[int]:
    """Give those of the lines *seen* that stand again, word for word, very soon."""
    texts = [shape.bare(lines[n]) for n in seen]
    for at, n in enumerate(seen):
        if texts[at] in texts[at + 1 : at + 1 + _REPEATED_WITHIN]:
            yield n


def _long_gaps(seen: Sequence[int]) -> set[int]:
    """Give the lines that more empty lines stand above than mostly do; of what is as frequent, the smaller counts."""
    gaps = {n: n - before - 1 for before, n in pairwise(seen) if n - before > 1}
    usual = min(Counter(gaps.values()).items(), key=lambda item: (-item[1], item[0]), default=(0, 0))[0]
    return {n for n, gap in gaps.items() if gap > usual}


def _seen(kinds: Sequence[str]) -> list[int]:
    return [n for n, kind in enumerate(kinds) if kind != "blank"]


# --- what each line of an article is ---


def _guesses(lines: Sequence[str], kinds: Sequence[str], segment: Segment) -> list[Guess]:
    """Give the guess for each line of *segment*."""
    own = range(segment.start_line - 1, segment.end_line)
    special = _standfirst(lines, kinds, own) | _repeated_prose(lines, kinds, own) | _title(lines, kinds, own)
    guesses = [special.get(n) or _guess(kinds[n]) for n in own]
    if any(guess.role in contract.TEXT_ROLES for guess in guesses):
        return guesses
    return [Guess("body", "nothing else") if lines[n].strip() else guess for n, guess in zip(own, guesses, strict=True)]


def _guess(kind: str) -> Guess:
    role, cue = _ROLES[kind]
    return Guess(role, cue, "Heads the list of references." if kind == "over references" else None)


def _title(lines: Sequence[str], kinds: Sequence[str], own: range) -> dict[int, Guess]:
    """Give the guesses for the title, a short line above all prose, and for lines that say it again."""
    shorts = [n for n in own if kinds[n] == "short"]
    prose = next((n for n in own if kinds[n] in _PROSE), own.stop)
    if not shorts or shorts[0] > prose:
        return {}
    title, *others = shorts
    again = [n for n in others if shape.bare(lines[n]) == shape.bare(lines[title])]
    repeats = Guess("other", "repeated title", f"Repeats line {title + 1}.")
    return {title: Guess("title", "heading shape")} | dict.fromkeys(again, repeats)


def _standfirst(lines: Sequence[str], kinds: Sequence[str], own: range) -> dict[int, Guess]:
    """Give the guess for the one line of prose between a title and a byline, where more prose follows."""
    seen = [n for n in own if kinds[n] != "blank"]
    for above, n, below in zip(seen, seen[1:], seen[2:], strict=False):
        if kinds[n] in _PROSE:
            opens = kinds[above] == "short" and kinds[below] == "byline" and len(lines[n]) <= _MAX_STANDFIRST
            more = any(kinds[m] in _PROSE for m in range(below, own.stop))
            return {n: Guess("standfirst", "byline below")} if opens and more else {}
    return {}


def _repeated_prose(lines: Sequence[str], kinds: Sequence[str], own: range) -> dict[int, Guess]:
    """Give the guesses for prose that stands again further down, word for word: there it is body."""
    last = {shape.bare(lines[n]): n for n in own if kinds[n] in _PROSE}
    lifted = (n for n in own if kinds[n] in _PROSE and last[shape.bare(lines[n])] > n)
    return dict.fromkeys(lifted, Guess("pull_quote", "repeated line"))
