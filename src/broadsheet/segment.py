"""Segmentation: takes raw pages and stand-off boundaries, gives articles; nothing of the page is lost.

Every line of a page belongs to exactly one article and has exactly one role. Lines end with a line feed and with
nothing else; whatever else they hold, a carriage return too, is theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from broadsheet import contract, jsonl, labels, standoff
from broadsheet.problems import Problem, raise_if
from broadsheet.recipe import Recipe, Source


class Line(NamedTuple):
    """A line of a source file: its *text* and the half-open byte range it stands in, line feed not counted."""

    text: str
    start_byte: int
    end_byte: int


class Paragraph(NamedTuple):
    """A line of an article with its *role*, and its offsets in the article's text if the role is one of the text's."""

    line: Line
    role: str
    note: str | None
    start: int | None
    end: int | None


class Reference(NamedTuple):
    """An entry of an article's list of references; *url* is put together from the lines it is broken over."""

    marker: str
    text: str
    url: str | None


@dataclass(frozen=True)
class Article:
    """A stretch of a source file that is one article: the lines *start_line* to *end_line*, counted from 1."""

    id: str
    source: Source
    language: str
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    paragraphs: Sequence[Paragraph]
    references: Sequence[Reference]

    @cached_property
    def segment(self) -> str:
        """All the article's lines as they stand in the source, joined by line feeds."""
        return "\n".join(paragraph.line.text for paragraph in self.paragraphs)

    @cached_property
    def text(self) -> str:
        """The article's prose: its headings, standfirst and body, joined by line feeds."""
        return "\n".join(p.line.text for p in self.paragraphs if p.role in contract.TEXT_ROLES)

    def outside(self, exact: str) -> str:
        """Say which line the words *exact* stand in, if it is one that is kept out of the text."""
        if exact not in self.segment:
            return ""
        line = self.source_line("segment", self.segment.index(exact))
        role = self.paragraphs[line - self.start_line].role
        return f"The words are in the source's line {line}, whose role {role} keeps it out of the text."

    def source_line(self, string: str, offset: int) -> int:
        """Give the line of the source file that holds the code point *offset* of *string*: `text` or `segment`."""
        index = (self.segment if string == "segment" else self.text).count("\n", 0, offset)
        lines = [n for n, p in enumerate(self.paragraphs) if string == "segment" or p.role in contract.TEXT_ROLES]
        return self.start_line + lines[index]


#: The file of the lines' roles; without it, every line is body.
ROLES = "roles.jsonl"


def split_lines(data: bytes) -> list[Line]:
    """Give the lines of UTF-8 *data*, without their line feeds.

    Joined by line feeds they give *data* again, except that a line feed at the very end starts no further line.
    """
    lines, start = [], 0
    pieces = data.split(b"\n")
    if pieces[-1] == b"":
        pieces.pop()
    for piece in pieces:
        lines.append(Line(piece.decode("utf-8"), start, start + len(piece)))
        start += len(piece) + 1
    return lines


def segment(recipe: Recipe) -> list[Article]:
    """Give the articles of the recipe's sources, in source order; raise `InvalidData` with all that is wrong."""
    pages, problems = _read_pages(recipe)
    segments, found = standoff.read(recipe, "segments.jsonl", "segment")
    runs, more = standoff.read_optional(recipe, ROLES, "role")
    raise_if(problems + found + more)
    raise_if(_drafts([*segments, *runs]))
    segments, problems = _by_lines(recipe, segments, pages)
    raise_if(problems)
    if not recipe.annotations(ROLES).exists():
        runs = [replace(row, fields={**row.fields, "role": "body", "note": None}) for row in segments]
    raise_if(_check_segments(recipe, segments, pages))
    raise_if(_check_runs(segments, runs))
    articles, problems = [], []
    for row in sorted(segments, key=lambda row: (list(pages).index(row["source_file"]), row["start_line"])):
        article, found = _article(recipe, row, [run for run in runs if run["article_id"] == row["article_id"]], pages)
        articles.append(article)
        problems += found
    raise_if(problems)
    return articles


def _read_pages(recipe: Recipe) -> tuple[dict[str, list[Line]], list[Problem]]:
    pages: dict[str, list[Line]] = {}
    problems: list[Problem] = []
    for source in recipe.sources:
        data, found = recipe.read_source(source)
        if not found:
            found = jsonl.decode(data, recipe.shown(recipe.source(source.file)))[1]
        problems += found
        pages[source.file] = [] if found else split_lines(data)
    return pages, problems


def _drafts(rows: Sequence[standoff.Row]) -> list[Problem]:
    """Give the problem of each of *rows* that is still a proposal: it names the cue it rests on."""
    hint = "Compare it with the page, correct it, and remove its `cue`."
    return [
        row.problem("BS306", f"a proposal that nobody has reviewed (it rests on: {row['cue']})", "/cue", hint)
        for row in rows
        if "cue" in row.fields
    ]


def _by_lines(
    recipe: Recipe, segments: Sequence[standoff.Row], pages: Mapping[str, list[Line]]
) -> tuple[list[standoff.Row], list[Problem]]:
    """Give *segments* by their lines, those too that are given by offsets; these lie between lines."""
    unit = recipe.offset_unit
    rows: list[standoff.Row] = []
    problems = []
    bounds = {file: _bounds(lines, unit, recipe.source(file).stat().st_size) for file, lines in pages.items()}
    for row in segments:
        if "start" not in row.fields or row["source_file"] not in bounds:
            rows.append(row)
            continue
        starts, ends = bounds[row["source_file"]]
        wrong = [name for name, known in (("start", starts), ("end", ends)) if row[name] not in known]
        for name in wrong:
            near = min(starts if name == "start" else ends, key=lambda offset: abs(offset - row[name]), default=0)
            message = f"{name} {row[name]} ({unit}) is not where a line of {row['source_file']} {name}s"
            problems.append(row.problem("BS301", message, f"/{name}", f"The nearest place is {near}."))
        if not wrong:
            lines = {"start_line": starts[row["start"]], "end_line": ends[row["end"]]}
            rows.append(replace(row, fields={**row.fields, **lines}))
    return rows, problems


def _bounds(lines: Sequence[Line], unit: str, size: int) -> tuple[dict[int, int], dict[int, int]]:
    """Give where *lines* start in *unit*, and where they end, each with the line's number; the file has *size* bytes.

    A line ends before its line feed, or after it: an empty line that starts there is not yet part of it.
    """
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    offset = 0
    for number, line in enumerate(lines, start=1):
        starts[offset] = number
        offset += labels.length(line.text, unit)
        ends.setdefault(offset, number)
        offset += 1
        if line.end_byte < size:
            ends[offset] = number
    return starts, ends


def _check_segments(recipe: Recipe, segments: Sequence[standoff.Row], pages: Mapping[str, list[Line]]) -> list[Problem]:
    problems: list[Problem] = []
    first: dict[str, int] = {}
    for row in segments:
        if row["source_file"] not in pages:
            message = f"the recipe has no source '{row['source_file']}'"
            hint = contract.did_you_mean(row["source_file"], pages)
            problems.append(row.problem("BS208", message, "/source_file", hint))
        if (known := first.setdefault(row["article_id"], row.line)) != row.line:
            message = f"the identifier '{row['article_id']}' is taken by line {known}"
            problems.append(row.problem("BS207", message, "/article_id", "An identifier names one article for ever."))
    if problems:
        return problems
    for source in recipe.sources:
        rows = [row for row in segments if row["source_file"] == source.file]
        lines = pages[source.file]
        if not rows:
            shown = recipe.shown(recipe.annotations("segments.jsonl"))
            problems.append(Problem("BS303", shown, f"no segment covers {source.file} (lines 1 to {len(lines)})"))
            continue
        problems += _check_tiling(rows, 1, len(lines), source.file)
    return problems


def _check_runs(segments: Sequence[standoff.Row], runs: Sequence[standoff.Row]) -> list[Problem]:
    problems = []
    ids = {row["article_id"] for row in segments}
    for run in runs:
        if run["article_id"] not in ids:
            hint = contract.did_you_mean(run["article_id"], ids)
            problems.append(run.problem("BS208", f"there is no article '{run['article_id']}'", "/article_id", hint))
    for row in segments:
        own = [run for run in runs if run["article_id"] == row["article_id"]]
        first, last = row["start_line"], row["end_line"]
        if own:
            problems += _check_tiling(own, first, last, f"article '{row['article_id']}'")
        else:
            message = f"no role is given to lines {first} to {last} of article '{row['article_id']}'"
            problems.append(row.problem("BS303", message))
    return problems


def _check_tiling(rows: Sequence[standoff.Row], first: int, last: int, what: str) -> list[Problem]:
    """Check that *rows* cover the lines *first* to *last* of *what*, each exactly once."""
    problems: list[Problem] = []
    for row in rows:
        start, end = row["start_line"], row["end_line"]
        if end < start:
            problems.append(
                row.problem("BS301", f"it ends at line {end}, before it starts at line {start}", "/end_line")
            )
        elif start < first or end > last:
            message = f"it covers lines {start} to {end}, but {what} has the lines {first} to {last}"
            problems.append(row.problem("BS301", message, "/end_line" if end > last else "/start_line"))
    if problems:
        return problems
    ordered = sorted(rows, key=lambda row: (row["start_line"], row["end_line"]))
    covered, before = first - 1, ordered[0]
    for row in ordered:
        if row["start_line"] <= covered:
            message = f"{_span(row['start_line'], min(covered, row['end_line']))} of {what}: covered already"
            hint = f"Line {before.line} of this file covers up to line {covered}."
            problems.append(row.problem("BS302", message, "/start_line", hint))
        elif row["start_line"] > covered + 1:
            message = f"{_span(covered + 1, row['start_line'] - 1)} of {what}, right before this: not covered"
            problems.append(row.problem("BS303", message, "/start_line"))
        if row["end_line"] > covered:
            covered, before = row["end_line"], row
    if covered < last:
        message = f"{_span(covered + 1, last)} of {what}, right after this: not covered"
        problems.append(before.problem("BS303", message, "/end_line"))
    return problems


def _span(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first} to {last}"


def _article(
    recipe: Recipe, row: standoff.Row, runs: Sequence[standoff.Row], pages: Mapping[str, list[Line]]
) -> tuple[Article, list[Problem]]:
    lines = pages[row["source_file"]]
    start, end = row["start_line"], row["end_line"]
    paragraphs: list[Paragraph] = []
    offset = 0
    for run in sorted(runs, key=lambda run: run["start_line"]):
        for line in lines[run["start_line"] - 1 : run["end_line"]]:
            if run["role"] in contract.TEXT_ROLES:
                place = (offset, offset + len(line.text))
                offset = place[1] + 1
                paragraphs.append(Paragraph(line, run["role"], run["note"], *place))
            else:
                paragraphs.append(Paragraph(line, run["role"], run["note"], None, None))
    references, problems = _references(row, paragraphs)
    # The line feed after an article's last line is the article's, so that articles tile the file.
    end_byte = lines[end].start_byte if end < len(lines) else recipe.source(row["source_file"]).stat().st_size
    (source,) = [source for source in recipe.sources if source.file == row["source_file"]]
    article = Article(
        id=row["article_id"],
        source=source,
        language=row["language"],
        start_line=start,
        end_line=end,
        start_byte=lines[start - 1].start_byte,
        end_byte=end_byte,
        paragraphs=paragraphs,
        references=references,
    )
    if not article.text.strip():
        problems.append(row.problem("BS304", f"article '{article.id}' has no line with a role that makes up its text"))
    return article, problems


def _references(row: standoff.Row, paragraphs: Sequence[Paragraph]) -> tuple[list[Reference], list[Problem]]:
    """Give the references of the lines with the roles reference and reference_url, broken URLs put together."""
    entries: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for index, paragraph in enumerate(paragraphs):
        text = paragraph.line.text
        where = f"line {row['start_line'] + index} of {row['source_file']}"
        if paragraph.role == "reference":
            found = re.match(r"\s*(\[[^\]]+\])\s*(.*)", text, re.DOTALL)
            if found is None:
                problems.append(row.problem("BS305", f"{where} is a reference without a marker such as [1]"))
                continue
            entries.append((found[1], found[2].strip()))
        elif paragraph.role == "reference_url":
            if not entries or paragraphs[index - 1].role not in ("reference", "reference_url"):
                problems.append(row.problem("BS305", f"{where} is a reference's URL, and follows no reference"))
                continue
            marker, entry = entries[-1]
            glue = "" if re.search(r"https?://", entry) else " "
            entries[-1] = (marker, entry + glue + text.strip())
    return [_split_url(marker, entry) for marker, entry in entries], problems


def _split_url(marker: str, entry: str) -> Reference:
    found = re.search(r"https?://\S+$", entry)
    if found is None:
        return Reference(marker, entry, None)
    return Reference(marker, entry[: found.start()].strip(), found[0].removesuffix("."))
