"""Drafts of recipes: takes a survey of what somebody has, gives a commented ``dataset.toml`` to begin with.

It builds as it is where that can be, says in comments what it rests on, and marks what only a person can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from broadsheet import dialect
from broadsheet.columns import FIELDS, Column, quoted, rank
from broadsheet.survey import Survey, Table, Texts

#: What marks a place that only a person can fill.
OPEN = "TO FILL IN"
_GAP = f'"{OPEN}: the column that has the text"'
_INDENT = "  "
_READERS = {"csv": "read_csv", "parquet": "read_parquet", "lines": "read_ndjson_objects"}
#: How large a JSON document may be that DuckDB reads unasked.
_MAX_OBJECT = 16 << 20
#: How large a source file may be that every article names: its digest is taken again by each build.
_MAX_HASHED = 1 << 28
_STANCES = ("favor", "against", "neutral", "not_addressed", "unclear")
_MOST_NOTES = 50
_FORMS = {
    "csv": "CSV",
    "parquet": "Parquet",
    "lines": "JSON Lines",
    "array": "a JSON array",
    "key": "a JSON document",
    "map": "a JSON object, a row a key",
    "one": "a JSON object, one row",
}
_ID_PARTS = {"stem": "{}stem", "folder": "{0}folder || '/' || {0}stem", "path": "substr({}path, 8)"}
_UNMAPPED = {
    "id": "not every row has one of its own",
    "published": "not all are dates of ISO 8601, see below",
    "language": "not all are tags of BCP 47",
    "label": "see below",
}


@dataclass(frozen=True)
class Draft:
    """A recipe's *text*; what was *found*, line by line, for people; and whether articles have the field ``url``."""

    text: str
    found: Sequence[str]
    has_url: bool


@dataclass
class _Plan:
    """How rows become articles: the SQL of each field, the source of the rows, which column gives which field."""

    select: dict[str, str] = field(default_factory=dict)
    rows: str = ""
    order: str = ""
    columns: Sequence[Column] = ()
    total: int = 0
    taken: dict[str, Column] = field(default_factory=dict)
    sql_of: dict[str, str] = field(default_factory=dict)

    def sql(self) -> str:
        """Give the query."""
        fields = f",\n{_INDENT}".join(f"{value} AS {name}" for name, value in self.select.items())
        return f"SELECT\n{_INDENT}{fields}\nFROM {self.rows}\n" + (f"ORDER BY {self.order}\n" if self.order else "")


def empty(name: str) -> Draft:
    """Give the recipe of a dataset called *name* of which nothing is there yet."""
    plan = _Plan({"id": '"id"', "title": '"title"', "text": '"text"'}, f"read_csv('source/{OPEN}.csv')")
    notes = [
        "Put what the dataset is made from into source/, as it came, and say here how to read it: with read_csv,",
        "read_json, read_ndjson_objects or read_parquet, or with [texts], for files of which each is one article.",
        "`broadsheet init ANOTHER_FOLDER --from FILE_OR_FOLDER` looks at what is there, and drafts this.",
    ]
    return Draft(
        "\n".join([*_head(name, "nothing yet"), "", *_comment(notes), *_articles(plan)]) + "\n", [], has_url=False
    )


def draft(name: str, survey: Survey, given: str) -> Draft:
    """Give the recipe of a dataset called *name* of what *survey* found, which was *given* under that name."""
    plan = _texts_plan(survey, survey.texts) if survey.texts else _table_plan(survey.tables[0])
    found = list(_found(survey, plan))
    lines = [*_head(name, given), "", *_comment(found)]
    if survey.texts:
        lines += ["", *_texts_section(survey.texts)]
    lines += ["", *_comment(_notes(plan)), *_articles(plan), *_dates(plan), *_labels(plan)]
    return Draft("\n".join(lines) + "\n", found, "url" in plan.taken)


def _head(name: str, given: str) -> Iterator[str]:
    yield from _comment(
        [
            f"A dataset to begin with, drafted from {quoted(given, 200)[1:-1]}. All of it is a proposal: read it, and correct it.",
            f"What says {OPEN} is a placeholder that only you can fill; the build takes it as it is.",
        ]
    )
    yield from (
        "",
        f"name = {_toml(name)}",
        f"title = {_toml(f'{OPEN}: the title for people')}",
        'version = "0.1.0"',
        f"summary = {_toml(f'{OPEN}: what the dataset is, in two or three sentences')}",
        "",
        "# What may be done with the release; what is known of the rights in each text stands in [articles.defaults.rights].",
        "[rights]",
        'license = "other"',
        f"license_name = {_toml(f'{OPEN}: a short name for the licence of the release')}",
        f'annotations_license = "CC-BY-4.0"  # {OPEN}: this, or CC0-1.0, for what you add: labels and metadata',
        f"attribution = {_toml(f'{OPEN}: whom to name')}",
        "",
        "[maintenance]",
        f"maintainer = {_toml(f'{OPEN}: who answers for the dataset')}",
        f"contact = {_toml(f'{OPEN}: where to ask, report an error, or ask for a withdrawal')}",
    )


def _articles(plan: _Plan) -> Iterator[str]:
    yield from ("[articles]", f'sql = """\n{_multiline(plan.sql())}"""', "", "[articles.defaults]")
    if "language" not in plan.select:
        yield from _comment(
            [
                "Nobody guesses a language: und is BCP 47 for undetermined. Say en, if all is English; or, if texts differ,",
                "give a column `language` in the query.",
            ]
        )
        yield f'language = "und"  # {OPEN}: the tag of the language'
    yield from (
        "",
        *_comment(["What is known of the rights in the texts: nothing yet (CNE: copyright not evaluated)."]),
    )
    yield from (
        "[articles.defaults.rights]",
        f'license = "LicenseRef-unknown"  # {OPEN}: the SPDX identifier of the texts\' licence, where there is one',
        'statement = "http://rightsstatements.org/vocab/CNE/1.0/"',
        'usage_terms = "Nothing is known of the rights; ask who holds them before you use the text."',
    )


def _table_plan(table: Table) -> _Plan:
    plan = _Plan(columns=table.columns, total=table.rows)
    plan.rows, base = _rows_of(table)
    plan.order = "key" if table.form == "map" else ""
    _take(plan, table.columns, table.form, base)
    text = plan.select.get("text", _GAP)
    plan.select.setdefault("id", f"left(sha256({text}), 12)")
    plan.select.setdefault("text", _GAP)
    if len(table.paths) == 1 and table.size <= _MAX_HASHED:
        plan.select["source_file"] = dialect.literal(f"source/{table.paths[0]}")
    _in_order(plan)
    return plan


def _texts_plan(survey: Survey, texts: Texts) -> _Plan:
    plan = _Plan(columns=texts.columns, total=texts.files, rows="texts")
    prefix = ""
    if texts.columns:
        _take(plan, texts.columns, "lines", "text")
        plan.select.setdefault("text", _GAP)
    elif survey.naming:
        prefix, table = "t.", survey.tables[0]
        plan.columns, plan.total = table.columns, table.rows
        _, base = _rows_of(table)
        key = _sql(survey.naming.column, table.form, f"m.{base}" if base else "m")
        rows = _rows_of(table)[0]
        plan.rows = f"texts t FULL JOIN {rows} m ON {key} = t.{survey.naming.part}"
        if survey.naming.part == "path":
            plan.rows = f"texts t FULL JOIN {rows} m ON 'source/' || ({key}) = t.path"
        plan.order = "t.path"
        _take(plan, [one for one in table.columns if one.field != "text"], table.form, f"m.{base}" if base else "m")
        if "id" in plan.taken and plan.taken["id"] is survey.naming.column:
            del plan.select["id"]
    if not texts.columns:
        plan.select["text"] = f"{prefix}text"
    plan.select.setdefault("id", _ID_PARTS[texts.part].format(prefix))
    plan.select |= {"source_file": f"{prefix}path", "source_sha256": f"{prefix}sha256"}
    _in_order(plan)
    return plan


def _in_order(plan: _Plan) -> None:
    """Bring the fields of the query into the order of the contract."""
    order = ["id", "title", "text", "language", "publisher", "author", "published", "url"]
    plan.select = {name: plan.select[name] for name in [*order, *plan.select] if name in plan.select}


def _rows_of(table: Table) -> tuple[str, str]:
    """Give the SQL of where the rows of *table* come from, and the column of it that holds a row, if one does."""
    paths = [dialect.literal(dialect.escaped(f"source/{path}")) for path in table.paths]
    place = paths[0] if len(paths) == 1 else f"[{', '.join(paths)}]"
    if table.dialect:
        place += table.dialect.options()
    if table.form in _READERS:
        return f"{_READERS[table.form]}({place})", "json" if table.form == "lines" else ""
    if table.form == "array":
        return f"read_json_objects({place}, format = 'array')", "json"
    if table.size > _MAX_OBJECT:
        place += f", maximum_object_size = {table.size}"
    document = f"read_json_objects({place}, format = 'unstructured')"
    if table.form == "key":
        found = f"unnest(CAST(json->{_json_path([table.key])} AS JSON[]))"
        return f"(SELECT {found} AS json FROM {document})", "json"
    if table.form == "map":
        return (
            f"(SELECT entry.key, entry.value AS json FROM {document} AS whole, json_each(whole.json) AS entry)",
            "json",
        )
    return document, "json"


def _take(plan: _Plan, columns: Sequence[Column], form: str, base: str) -> None:
    """Have each field of the contract taken from the column whose name and values fit it first."""
    for column in columns:
        plan.sql_of[column.name] = _sql(column, form, base)
    for name in FIELDS:
        fitting = [one for one in columns if one.field == name and _fits(name, one, plan.total)]
        if fitting:
            column = min(fitting, key=lambda one: rank(one.name))
            plan.taken[name] = column
            if name != "label":
                plan.select[name] = _value(name, column, plan.sql_of[column.name], plan.total)


def _fits(name: str, column: Column, total: int) -> bool:
    if not column.filled or not column.is_plain:
        return False
    match name:
        case "id":
            return "key" in column.forms and column.filled == total
        case "published":
            return bool(column.forms & {"date", "datetime"})
        case "language":
            return "language" in column.forms
        case "label":
            return column.counts is not None
        case "text" | "title":
            return "text" in column.kinds
        case _:
            return True


def _value(name: str, column: Column, sql: str, total: int) -> str:
    if name == "published" and "datetime" in column.forms:
        is_time = any(kind.startswith("timestamp") for kind in column.kinds)
        sql = f"strftime({sql}, '%Y-%m-%d')" if is_time else f"left({sql}, 10)"
    if name in ("id", "text") or column.filled == total:
        return sql
    return f"coalesce(nullif({sql}, ''), 'und')" if name == "language" else f"nullif({sql}, '')"


_PARQUET_TEXTS = {"string", "large_string", "string_view"}


def _sql(column: Column, form: str, base: str) -> str:
    """Give the SQL of a *column*'s value as text, in rows of the *form*, which are the column *base* if there is one."""
    if form == "csv":
        return _dotted(base, [column.name])
    if form == "parquet":
        sql = _dotted(base, column.steps)
        plain = column.kinds & _PARQUET_TEXTS or any(kind.startswith("timestamp") for kind in column.kinds)
        return sql if plain else f"CAST({sql} AS VARCHAR)"
    if not column.steps:
        return "key"
    return f"{base}->>{_json_path(column.steps)}"


def _dotted(base: str, names: Sequence[str]) -> str:
    quoted_names = ['"' + name.replace('"', '""') + '"' for name in names]
    return ".".join([*([base] if base else []), *quoted_names])


def _json_path(steps: Sequence[str]) -> str:
    keys = "".join('."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"' for step in steps)
    return dialect.literal(f"${keys}")


def _found(survey: Survey, plan: _Plan) -> Iterator[str]:
    """Tell what is there, line by line, for people and for the draft's comments."""
    if survey.texts:
        yield from _texts_found(survey.texts)
    for number, table in enumerate(survey.tables):
        how = f"; {table.dialect}" if table.dialect else ""
        paths = ", ".join(f"source/{path}" for path in table.paths[:3]) + (", …" if len(table.paths) > 3 else "")
        where = f", under the key {quoted(table.key)}" if table.key else ""
        yield f"{paths}: {_FORMS[table.form]}{where}, {_count(table.rows, 'row')}, {_bytes(table.size)}{how}"
        if table.dialect and table.dialect.encoding.why:
            encoding = table.dialect.encoding
            yield f"{_INDENT}{encoding.why}; {encoding.name} is proposed: {quoted(encoding.sample)}. Look whether it reads well."
        if table.dialect and not table.dialect.header:
            yield f"{_INDENT}its first line seems to be a row, and no names: {', '.join(map(quoted, table.dialect.head[:5]))}"
        mapped = plan.taken if number == 0 and (survey.naming or not survey.texts) else {}
        yield from _columns_found(table.columns, table.rows, mapped)
        if survey.naming and number == 0:
            without = f"; {_count(survey.naming.unnamed, 'file')} in no row" if survey.naming.unnamed else ""
            yield f"{_INDENT}{quoted(survey.naming.column.name)} names the texts, by their {survey.naming.part}{without}"
        elif number or survey.texts:
            yield f"{_INDENT}nothing is taken from it yet: join it in the query, or remove it from source/"
    if survey.texts and survey.texts.columns:
        yield from _columns_found(survey.texts.columns, survey.texts.files, plan.taken)
    if survey.left:
        names = ", ".join(quoted(name)[1:-1] for name in survey.left[:5]) + (", …" if len(survey.left) > 5 else "")
        yield f"left out, for they are hidden or no files: {names}"


def _texts_found(texts: Texts) -> Iterator[str]:
    what = "JSON document, each one article" if texts.columns else "file of text, each one article"
    patterns = ", ".join(f"source/{pattern}" for pattern in texts.patterns)
    yield f"{patterns}: {_count(texts.files, what)}, {_bytes(texts.size)}"
    if len(texts.folders) > 1:
        yield f"{_INDENT}by folder; if folders are classes, `folder` is their column:"
        folders = list(texts.folders.items())
        yield from (f"{_INDENT * 2}{quoted(name)}: {_count(number, 'file')}" for name, number in folders[:_MOST_NOTES])
        if len(folders) > _MOST_NOTES:
            yield f"{_INDENT * 2}and {len(folders) - _MOST_NOTES} more"
    if texts.empty:
        yield f"{_INDENT}empty, and the build will refuse them: {', '.join(map(quoted, texts.empty[:5]))}"


def _columns_found(columns: Sequence[Column], total: int, taken: Mapping[str, Column]) -> Iterator[str]:
    width = max((len(quoted(column.name)) for column in columns), default=0)
    for column in columns:
        goal = next((name for name, one in taken.items() if one is column and name != "label"), "")
        kind = "" if column.is_plain else f", {' or '.join(sorted(column.kinds & {'list', 'object'}))}s"
        field_ = column.field or ""
        why = f" ({_UNMAPPED[field_]})" if field_ in _UNMAPPED and not goal and taken else ""
        goal = f"→ {goal}" if goal else f"not mapped{why}" if taken else ""
        filled = "every row" if column.filled == total else f"{column.filled:,} of {total:,} rows"
        yield f"{_INDENT}{quoted(column.name):{width}} {goal + ': ' if goal else ''}{filled}{kind}, {column.shown()}"


def _notes(plan: _Plan) -> Iterator[str]:
    """Say what the query rests on, where that is not plain."""
    sql = plan.select["id"]
    if "sha256" in sql:
        yield "No column has an id for every row. An id must stay the same for ever, so it is made of the text itself: two"
        yield "rows with the same text are refused (BS207), and a text that changes is another article."
    elif "folder ||" in sql:
        yield "Files of the same name lie in several folders, so a folder is part of the id."
    if plan.select["text"] == _GAP:
        longest = max(plan.columns, key=lambda one: one.chars / max(one.filled, 1), default=None)
        yield f"{OPEN}: no column can be taken for the text by its name, so the build will refuse this query. There are"
        yield f"{', '.join(quoted(column.name) for column in plan.columns)}."
        if longest:
            yield f"The longest values has {quoted(longest.name)}."
    text = plan.taken.get("text")
    if text and text.filled < plan.total:
        yield f"{_count(plan.total - text.filled, 'row')} without a text: the build will refuse them. To leave them out"
        yield f"knowingly, end the query with WHERE {plan.select['text']} <> ''."
    published = plan.taken.get("published")
    if published and "datetime" in published.forms:
        yield f"Of the date and time in {quoted(published.name)}, the day is taken, as it is written there."
    if "url" in plan.taken:
        yield "`url` is a field of this dataset's own, described in schema/articles.schema.json; so may others be."


def _dates(plan: _Plan) -> Iterator[str]:
    columns = [column for column in plan.columns if column.field == "published" and column.filled and column.is_plain]
    if "published" in plan.taken or not columns:
        return
    column = min(columns, key=lambda one: rank(one.name))
    sample = next(iter(column.samples))
    found = re.fullmatch(r"\d{1,2}([./-])\d{1,2}[./-]\d{4}", sample)
    mark = found[1] if found else "."
    yield from (
        "",
        *_comment(
            [
                f"Dates: {quoted(column.name)} has {column.shown()}. Whether a day or a month comes first, only you can tell. Say it,",
                f"and give the column in the query: {plan.sql_of[column.name]} AS published",
                "[articles.dates]",
                f'published = {{ format = "%d{mark}%m{mark}%Y" }}  # or "%m{mark}%d{mark}%Y", …',
            ]
        ),
    )


def _labels(plan: _Plan) -> Iterator[str]:
    column = plan.taken.get("label")
    if column is None or column.counts is None:
        return
    sql = plan.sql_of[column.name]
    query = f"SELECT {plan.select['id']} AS article_id, {sql} AS stance\nFROM {plan.rows}\nWHERE {sql} <> ''\n"
    mapped = [
        f"{_toml(label)} = {_toml(label.casefold() if label.casefold() in _STANCES else OPEN)}  # {_count(n, 'row')}"
        for label, n in sorted(column.counts.items())
    ]
    yield from (
        "",
        *_comment(
            [
                f"Labels: {quoted(column.name)} has {_count(len(column.counts), 'label')}. To release them as stances, say towards what",
                f"they are, who gave them, and what each is called here ({', '.join(_STANCES)}).",
                "[[targets]]",
                'id = "target"',
                f'name = "{OPEN}"',
                f'definition = "{OPEN}: what belongs to the target, and what does not"',
                "",
                "[[annotators]]",
                'id = "source"',
                'role = "source"',
                f'kind = "{OPEN}: human, model or rule"',
                f'description = "{OPEN}: who gave the labels, and how"',
                "",
                "[stances]",
                f'sql = """\n{_multiline(query)}"""',
                "",
                "[stances.defaults]",
                'holder = "author"',
                "",
                "[stance.labels]",
                *mapped,
            ]
        ),
    )


def _texts_section(texts: Texts) -> Iterator[str]:
    patterns = [dialect.escaped(p) if texts.files == 1 else p for p in texts.patterns]
    yield from ("[texts]", f"files = [{', '.join(_toml(f'source/{pattern}') for pattern in patterns)}]")
    if not texts.encodings:
        return
    yield ""
    names = {encoding.name for encoding in texts.encodings.values()}
    first = next(iter(texts.encodings.items()))
    yield from _comment(
        [
            f"{_count(len(texts.encodings), 'file')} not in UTF-8. What stands here is a proposal: look whether it reads well.",
            f"source/{first[0]}: {first[1].why}",
            *(f"as {name}: {quoted(_sample(texts, name))}" for name in sorted(names)),
        ]
    )
    yield "[texts.encodings]"
    if len(texts.encodings) == texts.files and len(names) == 1:
        yield f'"source/*" = {_toml(names.pop())}'
    else:
        for path, encoding in texts.encodings.items():
            yield f"{_toml(dialect.escaped(f'source/{path}'))} = {_toml(encoding.name)}"


def _sample(texts: Texts, name: str) -> str:
    return next(encoding.sample for encoding in texts.encodings.values() if encoding.name == name)


def _comment(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield from (f"# {part}".rstrip() for part in line.split("\n"))


def _toml(text: str) -> str:
    """Give *text* as a string of TOML, on one line."""
    return "".join(char if char.isprintable() else _unprintable(char) for char in json.dumps(text, ensure_ascii=False))


def _multiline(text: str) -> str:
    r"""Give *text* as it stands between the marks of a TOML string of several lines."""
    plain = text.replace("\\", "\\\\").replace('"""', '""\\"')
    return "".join(char if char.isprintable() or char == "\n" else _unprintable(char) for char in plain)


def _unprintable(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"


def _count(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    noun, comma, rest = what.partition(",")
    first, of, second = noun.partition(" of ")
    return f"{number:,} {first}s{of}{second}{comma}{rest}"


def _bytes(size: int) -> str:
    for unit, width in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= width:
            return f"{size / width:.1f} {unit}"
    return _count(size, "byte")
