"""Plans: takes a survey of what somebody has, gives the query that makes articles of it.

A column is taken for a field of the contract where its name says so and its values fit, and never otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from broadsheet import dialect
from broadsheet.columns import FIELDS, Column, rank
from broadsheet.sql import literal
from broadsheet.survey import Naming, Survey, Table, Texts

#: What marks a place that only a person can fill, and such a place in a query.
OPEN = "TO FILL IN"
GAP = f'"{OPEN}: the column that has the text"'
_INDENT = "  "
_READERS = {"csv": "read_csv", "parquet": "read_parquet", "lines": "read_ndjson_objects"}
#: How large a JSON document may be that DuckDB reads unasked.
MAX_OBJECT = 16 << 20
#: How large a source file may be that every article names: its digest is taken again by each build.
_MAX_HASHED = 1 << 28
_ID_PARTS = {"stem": "{}stem", "folder": "{0}folder || '/' || {0}stem", "path": "substr({}path, 8)"}
_PARQUET_TEXTS = {"string", "large_string", "string_view"}
#: The fields of the query, in the order of the contract.
_ORDER = ("id", "title", "text", "language", "publisher", "author", "published", "url")


@dataclass
class Plan:
    """How rows become articles: *select* has the SQL of each field, *rows* that of where the rows come from.

    There are *total* rows with *columns*; *taken* tells which of these gives which field, *sql_of* how each is reached.
    """

    rows: str
    columns: Sequence[Column] = ()
    total: int = 0
    order: str = ""
    select: dict[str, str] = field(default_factory=dict)
    taken: dict[str, Column] = field(default_factory=dict)
    sql_of: dict[str, str] = field(default_factory=dict)

    def sql(self) -> str:
        """Give the query."""
        names = [*_ORDER, *(name for name in self.select if name not in _ORDER)]
        fields = f",\n{_INDENT}".join(f"{self.select[name]} AS {name}" for name in names if name in self.select)
        order = f"ORDER BY {self.order}\n" if self.order else ""
        return f"SELECT\n{_INDENT}{fields}\nFROM {self.rows}\n{order}"


def plan(survey: Survey) -> Plan:
    """Give the query for what *survey* found; where no column has the text, it has a marked gap."""
    if survey.texts is None:
        made = _of_table(survey.tables[0])
    elif survey.texts.columns:
        made = _of_documents(survey.texts)
    else:
        made = _of_texts(survey.texts, survey.tables, survey.naming)
    made.select.setdefault("text", GAP)
    made.select.setdefault("id", f"left(sha256({made.select['text']}), 12)")
    return made


def _of_table(table: Table) -> Plan:
    rows, base = _rows_of(table)
    made = Plan(rows, table.columns, table.rows)
    _take(made, table.columns, table.form, base)
    if len(table.paths) == 1 and table.size <= _MAX_HASHED:
        made.select["source_file"] = literal(f"source/{table.paths[0]}")
    return made


def _of_documents(texts: Texts) -> Plan:
    made = Plan("texts", texts.columns, texts.files)
    _take(made, texts.columns, "lines", "text")
    _take_files(made, texts, "")
    return made


def _of_texts(texts: Texts, tables: Sequence[Table], naming: Naming | None) -> Plan:
    if naming is None:
        made = Plan("texts", (), texts.files)
        _take_files(made, texts, "")
    else:
        table = tables[0]
        rows, base = _rows_of(table)
        base = f"m.{base}" if base else "m"
        key, part = _sql(naming.column, table.form, base), f"t.{naming.part}"
        joined = f"'source/' || ({key}) = {part}" if naming.part == "path" else f"{key} = {part}"
        # What has no match on the other side is there too, and is refused.
        made = Plan(f"texts t FULL JOIN {rows} m ON {joined}", table.columns, table.rows, "t.path")
        columns = [column for column in table.columns if column.field != "text" and column is not naming.column]
        _take(made, columns, table.form, base)
        _take_files(made, texts, "t.")
    made.select["text"] = "t.text" if naming else "text"
    return made


def _take_files(made: Plan, texts: Texts, prefix: str) -> None:
    """Have the files themselves tell what no column does: the id, and where an article comes from."""
    made.select.setdefault("id", _ID_PARTS[texts.part].format(prefix))
    made.select |= {"source_file": f"{prefix}path", "source_sha256": f"{prefix}sha256"}


def _rows_of(table: Table) -> tuple[str, str]:
    """Give the SQL of where the rows of *table* come from, and the column of it that holds a row, if one does."""
    paths = [literal(dialect.escaped(f"source/{path}")) for path in table.paths]
    place = paths[0] if len(paths) == 1 else f"[{', '.join(paths)}]"
    if table.form in _READERS:
        options = table.dialect.options() if table.dialect else ""
        return f"{_READERS[table.form]}({place}{options})", "json" if table.form == "lines" else ""
    if table.form == "array":
        return f"read_json_objects({place}, format = 'array')", "json"
    size = f", maximum_object_size = {table.size}" if table.size > MAX_OBJECT else ""
    document = f"read_json_objects({place}, format = 'unstructured'{size})"
    if table.form == "key":
        listed = f"unnest(json->{_json_path([table.key], '[*]')}) AS json"
        return f"(SELECT {listed} FROM {document})", "json"  # noqa: S608 - it runs behind the fence
    if table.form == "map":
        listed = "unnest(json_keys(json)) AS key, unnest(json->'$.*') AS json"
        return f"(SELECT {listed} FROM {document})", "json"  # noqa: S608 - the same
    return document, "json"


def _take(made: Plan, columns: Sequence[Column], form: str, base: str) -> None:
    """Have each field of the contract taken from the first of the *columns* whose name and values fit it."""
    made.sql_of |= {column.name: _sql(column, form, base) for column in columns}
    for name in FIELDS:
        fitting = [one for one in columns if one.field == name and _fits(name, one, made.total)]
        if fitting:
            column = min(fitting, key=lambda one: rank(one.name))
            made.taken[name] = column
            if name != "label":
                made.select[name] = _value(name, column, made.sql_of[column.name], made.total)


def _fits(name: str, column: Column, total: int) -> bool:
    needed: Mapping[str, bool] = {
        "id": "key" in column.forms and column.filled == total,
        "published": bool(column.forms & {"date", "datetime"}),
        "language": "language" in column.forms,
        "label": column.counts is not None,
        "text": "text" in column.kinds,
        "title": "text" in column.kinds,
    }
    return column.filled > 0 and column.is_plain and needed.get(name, True)


def _value(name: str, column: Column, sql: str, total: int) -> str:
    if name == "published" and "datetime" in column.forms:
        is_time = any(kind.startswith("timestamp") for kind in column.kinds)
        sql = f"strftime({sql}, '%Y-%m-%d')" if is_time else f"left({sql}, 10)"
    if name in ("id", "text") or column.filled == total:
        return sql
    return f"coalesce(nullif({sql}, ''), 'und')" if name == "language" else f"nullif({sql}, '')"


def _sql(column: Column, form: str, base: str) -> str:
    """Give the SQL of a *column*'s value as text, in rows of the *form*, held by the column *base* if by one."""
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


def _json_path(steps: Sequence[str], end: str = "") -> str:
    keys = "".join('."' + step.replace("\\", "\\\\").replace('"', '\\"') + '"' for step in steps)
    return literal(f"${keys}{end}")
