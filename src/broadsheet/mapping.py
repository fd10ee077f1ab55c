"""Mapping: takes what a query gives, gives rows of the contract: labels by their names here, dates, what follows.

What a source calls otherwise is said in the recipe; what follows from a text is computed; what nobody said is null.
Nothing is guessed, and no row is left out: one that cannot be mapped is a problem.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from broadsheet import contract, fence, jsonl
from broadsheet.contract import Row, Schema
from broadsheet.jsonl import Rejected
from broadsheet.problems import Problem
from broadsheet.query import Query
from broadsheet.recipe import Annotator, Recipe
from broadsheet.rows import as_json
from broadsheet.rules import PRECISION

#: What labels of known schemes are called here, in lower case.
PRESETS: Mapping[str, Mapping[str, str]] = {
    # Mohammad et al. 2016: NONE is that neither side can be read from the text, whether it speaks of the target or not.
    "semeval-2016": {"favor": "favor", "against": "against", "none": "unclear"},
    # Pomerleau and Rao 2017: the stance of a body towards its headline.
    "fnc-1": {"agree": "favor", "disagree": "against", "discuss": "neutral", "unrelated": "not_addressed"},
    "left-center-right": {"left": "left", "center": "center", "right": "right"},
}
#: Columns whose labels the recipe's sections of the same name map.
LABELLED = ("stance", "leaning")
#: Columns of a query that are fields of a struct in the contract.
NESTED = {"source_file": "provenance", "source_sha256": "provenance"}


class Mapper:
    """Maps rows of a *table* by its *schema*, as *recipe* says; notes how many *rows* there were, and *problems*."""

    def __init__(self, recipe: Recipe, table: str, schema: Schema, shown: str) -> None:
        """Take what tells how to map."""
        section: Mapping[str, Any] = getattr(recipe, table) or {}
        completes: dict[str, Callable[[Row], None]] = {
            "articles": _complete_article,
            "paragraphs": _Paragraphs(),
            "stances": _Stances(recipe),
        }
        self.rows = 0
        self.problems: list[Problem] = []
        self._schema, self._table, self._path = schema, table, shown
        self._json: Sequence[str] = ()
        self._defaults, self._dates = section.get("defaults", {}), section.get("dates", {})
        self._complete = completes.get(table, _nothing)
        self._maps = {name: _labels(recipe, name) for name in LABELLED if name in schema["properties"]}
        self._folder, self._digests = recipe.folder, dict[str, str | None]()
        self._known = {*schema["properties"], *(NESTED if table == "articles" else ())}

    def map(self, query: Query, batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
        """Give the rows of the *batches* that came of *query*.

        A row that cannot be mapped is given as far as it can; its problem has its number as the line, from 1.
        """
        for number, batch in enumerate(batches):
            if number == 0:
                self.problems += self._unknown(query, batch.schema.names)
                if self.problems:
                    return
            self._json = [field.name for field in batch.schema if fence.JSON in (field.metadata or {})]
            for given in batch.to_pylist():
                self.rows += 1
                row = {**self._defaults}
                self.problems += [replace(problem, line=self.rows) for problem in self._mapped(row, given)]
                yield row

    def _mapped(self, row: Row, given: Row) -> Iterator[Problem]:
        """Map *given* into *row*; give what is wrong."""
        try:
            texts = {name: given[name].encode() for name in self._json if given[name] is not None}
            row |= as_json(given | {name: jsonl.loads(text) for name, text in texts.items()})
        except Rejected as error:
            yield Problem(error.code, self._path, str(error))
        for name, named in self._maps.items():
            yield from _label(row, name, named, self._path)
        for name, written in self._dates.items():
            yield from _date(row, name, written, self._path)
        yield from _undeclared(row, self._dates, self._path)
        if self._table == "articles" and not row.get("text"):
            yield Problem("BS201", self._path, "the row has no text", pointer="/text")
        yield from self._source(row)
        self._complete(row)
        _fill(row, self._schema, self._schema)

    def _source(self, row: Row) -> Iterator[Problem]:
        """Add the digest of the source file that *row* names, if it does."""
        file = row.get("source_file")
        if not isinstance(file, str) or row.get("source_sha256") is not None:
            return
        if file not in self._digests:
            path = self._folder / file
            inside = path.resolve().is_relative_to(self._folder.resolve()) and path.is_file()
            self._digests[file] = hashlib.sha256(path.read_bytes()).hexdigest() if inside else None
        row["source_sha256"] = self._digests[file]
        if self._digests[file] is None:
            message = f"there is no file {file!r} in the dataset's folder"
            yield Problem("BS101", self._path, message, pointer="/provenance/source_file")

    def _unknown(self, query: Query, columns: Sequence[str]) -> Iterator[Problem]:
        names = ", ".join(self._schema["properties"])
        hint = f"The contract has {names}; a field of your own is described in schema/."
        for name in columns:
            if name not in self._known:
                near = contract.did_you_mean(name, self._known)
                yield query.problem("BS202", f"the query gives a column '{name}', which is not known", near or hint)


def told_once(problems: Sequence[Problem]) -> list[Problem]:
    """Give *problems*, those of labels that are not mapped once each, with how many rows have it."""
    counts: dict[str, int] = {}
    for problem in problems:
        if problem.code == "BS211":
            counts[problem.message] = counts.get(problem.message, 0) + 1
    told = []
    for problem in problems:
        if problem.code != "BS211":
            told.append(problem)
        elif count := counts.pop(problem.message, 0):
            rows_ = "1 row has it" if count == 1 else f"{count:,} rows have it, this is the first"
            told.append(replace(problem, message=f"{problem.message}; {rows_}"))
    return told


def _labels(recipe: Recipe, column: str) -> Callable[[str], str | None] | None:
    """Give what maps the labels of *column*, or None where the recipe says nothing of it."""
    section = getattr(recipe, column)
    if section is None:
        return None
    preset = PRESETS.get(section.get("preset", ""), {})
    own = section.get("labels", {})
    return lambda label: own.get(label, preset.get(label.casefold()))


def _label(row: Row, column: str, named: Callable[[str], str | None] | None, path: str) -> Iterator[Problem]:
    given = row.get(column)
    if named is None or not isinstance(given, str):
        return
    label = named(given)
    if label is not None:
        row[column] = label
    else:
        hint = f"Say what it is called here, in [{column}.labels]."
        yield Problem(
            "BS211", path, f"{given!r} is a label that the recipe does not map", pointer=f"/{column}", hint=hint
        )


def _date(row: Row, column: str, written: Mapping[str, str], path: str) -> Iterator[Problem]:
    given = row.get(column)
    if "raw" in written:
        row[written["raw"]] = given
    if not isinstance(given, str):
        return
    form = written["format"]
    try:
        date = datetime.datetime.strptime(given, form).date().isoformat()  # noqa: DTZ007 - a day has no zone here
    except ValueError:
        yield Problem("BS205", path, f"{given!r} is no date of the form {form}", pointer=f"/{column}")
        return
    row[column] = date if re.search("%[dxcj]", form) else date[:7] if re.search("%[mbB]", form) else date[:4]


def _nothing(_: Row) -> None:
    """Add nothing to a span."""


def _undeclared(row: Row, dates: Mapping[str, Any], path: str) -> Iterator[Problem]:
    given = row.get("published")
    if isinstance(given, str) and "published" not in dates and not contract.is_partial_date(given):
        hint = "Say how dates are written: [articles.dates] published = { format = '%d.%m.%Y' }."
        yield Problem("BS205", path, f"{given!r} is no date of ISO 8601", pointer="/published", hint=hint)


def _complete_article(row: Row) -> None:
    """Add to *row* what follows from its text and its date, and what it says of its source."""
    text, published = row.get("text"), row.get("published")
    if isinstance(text, str):
        row.setdefault("n_chars", len(text))
        row.setdefault("n_words", len(text.split()))
        row.setdefault("n_paragraphs", text.count("\n") + 1)
        row.setdefault("text_sha256", hashlib.sha256(text.encode(errors="replace")).hexdigest())
    if published is None:
        row.setdefault("published_precision", "unknown")
    elif contract.is_partial_date(published) and isinstance(published, str):
        row.setdefault("published_precision", PRECISION[len(published)])
        row["published"] = (published + "-01-01")[:10]
    row.setdefault("status", "active")
    for name, struct in NESTED.items():
        if name in row:
            row[struct] = {**(row.get(struct) or {}), name: row.pop(name)}
    row.setdefault("provenance", {})


class _Paragraphs:
    """Adds to each line where it stands in its article's text; lines come in order, article by article."""

    def __init__(self) -> None:
        self._article: Any = None
        self._index = self._offset = 0

    def __call__(self, row: Row) -> None:
        """Complete *row*."""
        if row.get("article_id") != self._article:
            self._article, self._index, self._offset = row.get("article_id"), 0, 0
        row.setdefault("index", self._index)
        self._index += 1
        if row.setdefault("role", "body") in contract.TEXT_ROLES and isinstance(row.get("text"), str):
            row.setdefault("start", self._offset)
            row.setdefault("end", self._offset + len(row["text"]))
            self._offset += len(row["text"]) + 1


class _Stances:
    """Adds to each label what the recipe says of who gave it, and that it came with the source."""

    def __init__(self, recipe: Recipe) -> None:
        self._annotators = {annotator.id: annotator for annotator in recipe.annotators}
        sources = [annotator.id for annotator in recipe.annotators if annotator.role == "source"]
        self._defaults = {"annotator_id": sources[0]} if len(sources) == 1 else {}
        if len(recipe.targets) == 1:
            self._defaults["target_id"] = recipe.targets[0].id

    def __call__(self, row: Row) -> None:
        """Complete *row*."""
        for name, value in self._defaults.items():
            row.setdefault(name, value)
        annotator: Annotator | None = self._annotators.get(row.get("annotator_id", ""))
        if annotator is not None:
            row.setdefault("annotator_kind", annotator.kind)
            row.setdefault("guideline_version", annotator.guideline_version)
            row.setdefault("annotated_on", annotator.annotated_on)
        if row.setdefault("is_gold", True):
            row.setdefault("aggregation", "external")
        else:
            row.setdefault("aggregation", "none")
            row.setdefault("n_annotators", 1)
        row.setdefault("basis", "stated" if row.get("evidence") else "external")


def _fill(row: Row, node: Schema, root: Schema) -> None:
    """Add to *row* what is missing of the properties of *node*, where that can be: null, no elements, an object."""
    for name, raw in node["properties"].items():
        prop = contract.resolve(raw, root)
        types = [prop["type"]] if isinstance(prop["type"], str) else prop["type"]
        if name not in row and "null" in types:
            row[name] = None
        elif name not in row and "array" in types:
            row[name] = []
        if isinstance(row.get(name), dict) and "properties" in prop:
            _fill(row[name], prop, root)
