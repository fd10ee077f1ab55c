"""Drafts of recipes: takes a survey of what somebody has, gives a commented ``dataset.toml`` to begin with.

It builds as it is where that can be, says in comments what it rests on, and marks what only a person can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from broadsheet import dialect
from broadsheet.columns import Column, quoted, rank, unprintable
from broadsheet.plan import GAP, MAX_OBJECT, OPEN, Plan, plan
from broadsheet.survey import Survey, Table, Texts

_INDENT = "  "
_STANCES = ("favor", "against", "neutral", "not_addressed", "unclear")
#: How many names are listed at most, on a line and line by line.
_FEW, _MANY = 5, 50
_FORMS = {
    "csv": "CSV",
    "parquet": "Parquet",
    "lines": "JSON Lines",
    "array": "a JSON array",
    "key": "a JSON document",
    "map": "a JSON object, a row a key",
    "one": "a JSON object, one row",
}
_UNMAPPED = {
    "id": "not every row has one of its own",
    "published": "not all are dates of ISO 8601, see below",
    "language": "not all are tags of BCP 47",
    "label": "see below",
}
_HEAD = f"""\
# A dataset to begin with, drafted from {{given}}.
# All of it is a proposal: read it, and correct it. What says {OPEN} is a place that only you can fill; the build
# takes it as it is.

name = {{name}}
title = "{OPEN}: the title for people"
version = "0.1.0"
summary = "{OPEN}: what the dataset is, in two or three sentences"

# What may be done with the release; what is known of the rights in each text stands in [articles.defaults.rights].
[rights]
license = "other"
license_name = "{OPEN}: a short name for the licence of the release"
annotations_license = "CC-BY-4.0"  # {OPEN}: this or CC0-1.0, for what you add: labels and metadata
attribution = "{OPEN}: whom to name"

[maintenance]
maintainer = "{OPEN}: who answers for the dataset"
contact = "{OPEN}: where to ask, report an error, or ask for a withdrawal"
"""
_NOTHING = """\
# Put what the dataset is made from into source/, as it came, and say here how to read it: with read_csv, read_json,
# read_ndjson_objects or read_parquet, or with [texts], for files of which each is one article.
# `broadsheet init ANOTHER_FOLDER --from FILE_OR_FOLDER` looks at what is there, and drafts this.
"""
_LANGUAGE = f"""\
# Nobody guesses a language: und is BCP 47 for undetermined. Say en, if all is English; or, if texts differ, give a
# column `language` in the query.
language = "und"  # {OPEN}: the tag of the language
"""
_RIGHTS = f"""\
# What is known of the rights in the texts: nothing yet (CNE: copyright not evaluated).
[articles.defaults.rights]
license = "LicenseRef-unknown"  # {OPEN}: the SPDX identifier of the texts' licence, where there is one
statement = "http://rightsstatements.org/vocab/CNE/1.0/"
usage_terms = "Nothing is known of the rights; ask who holds them before you use the text."
"""
_DATES = """\
Dates: {name} has {shown}.
Whether a day or a month comes first, only you can tell. Say it, and give the column in the query:
  {sql} AS published
[articles.dates]
published = {{ format = "%d{mark}%m{mark}%Y" }}  # or "%m{mark}%d{mark}%Y", …
"""
_LABELS = f"""\
Labels: {{name}} has {{count}}.
To release them as stances, say towards what they are, who gave them, and what each is called here:
{", ".join(_STANCES)}. Whose stance it is may be author, quoted or outlet.
[[targets]]
id = "target"
name = "{OPEN}"
definition = "{OPEN}: what belongs to the target, and what does not"

[[annotators]]
id = "source"
role = "source"
kind = "{OPEN}: human, model or rule"
description = "{OPEN}: who gave the labels, and how"

[stances]
sql = \"\"\"
{{sql}}\"\"\"

[stances.defaults]
holder = "author"

[stance.labels]
{{labels}}
"""


@dataclass(frozen=True)
class Draft:
    """A recipe's *text*; what was *found*, line by line, for people; and whether articles have the field ``url``."""

    text: str
    found: Sequence[str]
    has_url: bool


def empty(name: str) -> Draft:
    """Give the recipe of a dataset called *name* of which nothing is there yet."""
    columns = {column: f'"{column}"' for column in ("id", "title", "text")}
    nothing = Plan(f"read_csv('source/{OPEN}.csv')", select=columns)
    parts = [_HEAD.format(name=_toml(name), given="nothing yet"), _NOTHING + _articles(nothing), _RIGHTS]
    return Draft("\n".join(parts), [], has_url=False)


def draft(name: str, survey: Survey, given: str) -> Draft:
    """Give the recipe of a dataset called *name* of what *survey* found, which was *given* under that name."""
    made = plan(survey)
    found = list(_found(survey, made))
    parts = [
        _HEAD.format(name=_toml(name), given=quoted(given, len(given))),
        _comment(found),
        _texts_section(survey.texts) if survey.texts else "",
        _comment(_notes(made)) + _articles(made),
        _RIGHTS,
        _comment(_dates(made)),
        _comment(_labels(made)),
    ]
    return Draft("\n".join(filter(None, parts)), found, "url" in made.taken)


def _articles(made: Plan) -> str:
    language = "" if "language" in made.select else f"\n[articles.defaults]\n{_LANGUAGE}"
    return f'[articles]\nsql = """\n{_multiline(made.sql())}"""\n{language}'


def _found(survey: Survey, made: Plan) -> Iterator[str]:
    """Tell what is there, line by line, for people and for the draft's comments."""
    is_joined = survey.naming is not None
    if survey.texts:
        yield from _texts_found(survey.texts)
        yield from _columns_found(survey.texts.columns, survey.texts.files, made.taken)
    for number, table in enumerate(survey.tables):
        is_taken = number == 0 and (is_joined or not survey.texts)
        yield from _table_found(table)
        yield from _columns_found(table.columns, table.rows, made.taken if is_taken else None)
        if not is_taken:
            yield f"{_INDENT}nothing is taken from it yet: join it in the query, or remove it from source/"
    if survey.naming:
        without = f"; {_count(survey.naming.unnamed, 'file')} in no row" if survey.naming.unnamed else ""
        yield f"{quoted(survey.naming.column.name)} names the texts, by their {survey.naming.part}{without}"
    if survey.left:
        yield f"left out, for they are hidden or no files: {_listed(survey.left)}"


def _table_found(table: Table) -> Iterator[str]:
    paths = _listed([f"source/{path}" for path in table.paths])
    key = f", under the key {quoted(table.key)}" if table.key else ""
    how = f"; {table.dialect}" if table.dialect else ""
    yield f"{paths}: {_FORMS[table.form]}{key}, {_count(table.rows, 'row')}, {_bytes(table.size)}{how}"
    if table.form in ("key", "map", "one") and table.size > MAX_OBJECT:
        yield f"{_INDENT}so large a document may need more memory than a query has: then write its rows as JSON Lines"
    if table.dialect is None:
        return
    encoding = table.dialect.encoding
    if encoding.why:
        yield f"{_INDENT}{encoding.why}"
    if encoding.sample:
        yield f"{_INDENT}{encoding.name} is proposed; look whether it reads well: {quoted(encoding.sample)}"
    if not table.dialect.header:
        yield f"{_INDENT}its first line seems to be a row, and no names: {_listed(table.dialect.head)}"


def _texts_found(texts: Texts) -> Iterator[str]:
    what = "JSON document" if texts.columns else "file"
    patterns = ", ".join(f"source/{pattern}" for pattern in texts.patterns)
    yield f"{patterns}: {_count(texts.files, what)}, each one article, {_bytes(texts.size)}"
    if len(texts.folders) > 1:
        yield f"{_INDENT}by folder; if folders are classes, `folder` is their column:"
        for name, number in list(texts.folders.items())[:_MANY]:
            yield f"{_INDENT * 2}{quoted(name)}: {_count(number, 'file')}"
        if len(texts.folders) > _MANY:
            yield f"{_INDENT * 2}and {len(texts.folders) - _MANY} more"
    if texts.encodings:
        names = ", ".join(sorted({encoding.name for encoding in texts.encodings.values()}))
        yield f"{_INDENT}not in UTF-8, look whether they read well as {names}: {_listed(list(texts.encodings))}"
    if texts.empty:
        yield f"{_INDENT}empty, and the build will refuse them: {_listed(texts.empty)}"


def _columns_found(columns: Sequence[Column], total: int, taken: Mapping[str, Column] | None) -> Iterator[str]:
    """Tell of each column which field it gives, or why none, how many of the *total* rows have it, and samples."""
    width = max((len(quoted(column.name)) for column in columns), default=0)
    for column in columns:
        filled = "every row" if column.filled == total else f"{column.filled:,} of {total:,} rows"
        kinds = "".join(f", {kind}s" for kind in sorted(column.kinds & {"list", "object"}))
        goal = "" if taken is None else f"{_goal(column, taken)}: "
        yield f"{_INDENT}{quoted(column.name):{width}} {goal}{filled}{kinds}, {column.shown()}"


def _goal(column: Column, taken: Mapping[str, Column]) -> str:
    goal = next((name for name, one in taken.items() if one is column and name != "label"), "")
    if goal:
        return f"→ {goal}"
    why = _UNMAPPED.get(column.field or "") if column.field not in taken or column.field == "label" else ""
    return f"not mapped ({why})" if why and column.is_plain else "not mapped"


def _notes(made: Plan) -> Iterator[str]:
    """Say what the query rests on, where that is not plain."""
    if "sha256" in made.select["id"]:
        yield "No column has an id for every row. An id must stay the same for ever, so it is made of the text itself:"
        yield "two rows with the same text are refused (BS207), and a text that changes is another article."
    elif "folder ||" in made.select["id"]:
        yield "Files of the same name lie in several folders, so a folder is part of the id."
    if made.select["text"] == GAP:
        longest = max(made.columns, key=lambda one: one.chars / max(one.filled, 1), default=None)
        yield "No column can be taken for the text by its name, so the build will refuse this query. The columns are"
        yield f"{', '.join(quoted(column.name) for column in made.columns)}."
        if longest:
            yield f"{quoted(longest.name)} has the longest values."
    text = made.taken.get("text")
    if text and text.filled < made.total:
        yield f"{_count(made.total - text.filled, 'row')} without a text: the build will refuse them. To leave them out"
        yield f"knowingly, end the query with WHERE {made.select['text']} <> ''."
    published = made.taken.get("published")
    if published and "datetime" in published.forms:
        yield f"Of the date and time in {quoted(published.name)}, the day is taken, as it is written there."
    if "url" in made.taken:
        yield "`url` is a field of this dataset's own, described in schema/articles.schema.json; so may others be."


def _dates(made: Plan) -> Iterator[str]:
    """Give what to do about a column of dates that are not ISO 8601."""
    columns = [column for column in made.columns if column.field == "published" and column.filled and column.is_plain]
    if "published" not in made.taken and columns:
        column = min(columns, key=lambda one: rank(one.name))
        found = re.fullmatch(r"\d{1,2}([./-])\d{1,2}[./-]\d{4}", column.samples[0])
        name, sql = quoted(column.name), made.sql_of[column.name]
        yield _DATES.format(name=name, shown=column.shown(), sql=sql, mark=found[1] if found else ".")


def _labels(made: Plan) -> Iterator[str]:
    """Give what to do about a column of labels."""
    column = made.taken.get("label")
    if column is None or column.counts is None:
        return
    sql = made.sql_of[column.name]
    query = f"SELECT {made.select['id']} AS article_id, {sql} AS stance\nFROM {made.rows}\nWHERE {sql} <> ''\n"
    labels = [
        f"{_toml(label)} = {_toml(label.casefold() if label.casefold() in _STANCES else OPEN)}  # {_count(n, 'row')}"
        for label, n in sorted(column.counts.items())
    ]
    count = _count(len(column.counts), "label")
    yield _LABELS.format(name=quoted(column.name), count=count, sql=_multiline(query), labels="\n".join(labels))


def _texts_section(texts: Texts) -> str:
    patterns = ", ".join(_toml(f"source/{pattern}") for pattern in texts.patterns)
    section = f"[texts]\nfiles = [{patterns}]\n"
    if not texts.encodings:
        return section
    proposed = {encoding.name: (path, encoding) for path, encoding in reversed(list(texts.encodings.items()))}
    notes = [f"{_count(len(texts.encodings), 'file')} not in UTF-8. This is a proposal: look whether it reads well."]
    for name, (path, encoding) in sorted(proposed.items()):
        notes.append(f"source/{path}: {encoding.why}")
        notes += [f"{_INDENT}as {name}: {quoted(encoding.sample)}"] * bool(encoding.sample)
    if len(texts.encodings) == texts.files and len(proposed) == 1:
        lines = [f'"source/*" = {_toml(next(iter(proposed)))}\n']
    else:
        lines = [
            f"{_toml(dialect.escaped(f'source/{path}'))} = {_toml(encoding.name)}\n"
            for path, encoding in texts.encodings.items()
        ]
    return f"{section}\n{_comment(notes)}[texts.encodings]\n{''.join(lines)}"


def _comment(blocks: Iterable[str]) -> str:
    """Give *blocks* of lines as comments."""
    lines = [line for block in blocks for line in block.removesuffix("\n").split("\n")]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def _toml(text: str) -> str:
    """Give *text* as a string of TOML, on one line."""
    return unprintable(json.dumps(text, ensure_ascii=False))


def _multiline(text: str) -> str:
    """Give *text* as it stands between the marks of a TOML string of several lines."""
    plain = text.replace("\\", "\\\\").replace('"""', '""\\"')
    return "\n".join(unprintable(line) for line in plain.split("\n"))


def _listed(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _FEW else ""
    return ", ".join(quoted(name)[1:-1] for name in names[:_FEW]) + more


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _bytes(size: int) -> str:
    for unit, width in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= width:
            return f"{size / width:.1f} {unit}"
    return _count(size, "byte")
