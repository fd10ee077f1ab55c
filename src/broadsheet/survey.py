"""Surveys: takes a file or a folder that somebody has, gives what is there: tables, texts, their columns and counts.

Every row is read once; what cannot be read is told as a build would tell it. Nothing is changed, and nothing decided.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from broadsheet import dialect, jsonl, reading, rows
from broadsheet.columns import Column, Tally, field_of, joined
from broadsheet.dialect import Dialect, Encoding
from broadsheet.problems import InvalidData, Problem, cannot_run

_TABLES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".psv": "csv",
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_TEXTS = {".txt", ".text", ".md"}
#: What files start with that are no text: archives and new spreadsheets, old ones.
_ARCHIVES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_WAY_OUT = "Save each sheet as CSV in UTF-8, or unpack the archive."
_HEAD = 1 << 12


@dataclass(frozen=True)
class Table:
    """A file of rows, or files alike: their *paths* from what was given on, the number of *rows*, the *columns*.

    *form* says how its rows lie: ``csv`` (by its *dialect*), ``parquet``, ``lines`` of JSON; or, in a JSON document, as
    an ``array``, under a key (``key``, its name is *key*), by their names (``map``), or ``one`` row alone.
    """

    paths: Sequence[str]
    size: int
    form: str
    rows: int
    columns: Sequence[Column]
    dialect: Dialect | None = None
    key: str = ""


@dataclass(frozen=True)
class Naming:
    """How a table names files of text: its *column* has their ``path``, ``name`` or ``stem`` (*part*).

    *unnamed* files are in no row.
    """

    column: Column
    part: str
    unnamed: int


@dataclass(frozen=True)
class Texts:
    """Files of which each is one article: what names them all (*patterns*), and how many are in which *folders*.

    *part* is what tells them apart: ``stem``, ``folder`` (and stem), or ``path``. *encodings* are those of files that
    are not UTF-8. *empty* ones have no text. *columns* are those of JSON documents, or there are none.
    """

    patterns: Sequence[str]
    files: int
    size: int
    folders: Mapping[str, int]
    part: str
    encodings: Mapping[str, Encoding]
    empty: Sequence[str]
    columns: Sequence[Column] = ()


@dataclass(frozen=True)
class Survey:
    """What is there: *files* with their paths from *root* on, *size* bytes together; *left* are those left out.

    Of *tables*, the first is what articles are made of, unless there are *texts*; *naming* tells how it names these.
    """

    root: Path
    files: Sequence[str]
    size: int
    left: Sequence[str] = ()
    texts: Texts | None = None
    tables: Sequence[Table] = ()
    naming: Naming | None = None


def look(given: Path) -> Survey:
    """Give what is at *given*, a file or a folder; raise `BroadsheetError` with what keeps it from being read."""
    if given.is_dir():
        return _folder(given)
    if not given.is_file():
        hint = "Name a file or a folder on this machine."
        raise cannot_run("BS603", given, "it is neither a file nor a folder", hint=hint)
    form = _form(given)
    form = "csv" if form == "text" and _is_table(given) else form
    size = given.stat().st_size
    if form == "text":
        return Survey(given.parent, [given.name], size, texts=_texts(given.parent, [given.name]))
    return Survey(given.parent, [given.name], size, tables=[_table(given.parent, given.name, form)])


def _folder(root: Path) -> Survey:
    there = sorted(path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    names = [path.relative_to(root).as_posix() for path in there]
    hidden = [name for name in names if any(part.startswith(".") for part in Path(name).parts)]
    left = [*hidden, *(name for name in names if name not in hidden and not (root / name).is_file())]
    files = [name for name in names if name not in set(left)]
    if not files:
        raise InvalidData([Problem("BS119", str(root), "the folder has no files")])
    forms = {name: _form(root / name) for name in files}
    size = sum((root / name).stat().st_size for name in files)
    survey = Survey(root, files, size, left)
    documents = [name for name, form in forms.items() if form == "json"]
    texts = [name for name, form in forms.items() if form == "text" and not _is_about(name)]
    tables = [name for name, form in forms.items() if form not in ("text", "json")]
    if len(documents) > 1 and len(documents) >= len(texts):
        return replace(survey, texts=_documents(root, documents))
    found = [_table(root, name, forms[name]) for name in [*tables, *documents]]
    if not texts or (len(texts) == 1 and found):
        if not found:
            texts = [name for name, form in forms.items() if form == "text"]
            return replace(survey, texts=_texts(root, texts))
        return replace(survey, tables=_joined(sorted(found, key=_promise, reverse=True)))
    survey = replace(survey, texts=_texts(root, texts))
    namings = [(table, naming) for table in found if (naming := _naming(root, table, texts))]
    if not namings:
        return replace(survey, tables=found)
    table, naming = max(namings, key=lambda one: -one[1].unnamed)
    return replace(survey, tables=[table, *(other for other in found if other is not table)], naming=naming)


def _is_about(name: str) -> bool:
    """Tell whether the file *name* is mostly about others, and no article."""
    return bool(re.fullmatch(r"(?i)(readme|licen[cs]e|copying|changelog)(\.\w+)?", Path(name).name))


def _promise(table: Table) -> tuple[bool, int]:
    return any(column.field == "text" for column in table.columns), table.size


def _joined(tables: Sequence[Table]) -> Sequence[Table]:
    """Give *tables* with those that are written as the first one, and have its columns, joined to it."""
    first = tables[0]
    alike = sorted(
        (table for table in tables if _likeness(table) == _likeness(first)), key=lambda table: list(table.paths)
    )
    if len(alike) == 1:
        return tables
    columns = [joined(group) for group in zip(*(table.columns for table in alike), strict=True)]
    paths = [path for table in alike for path in table.paths]
    size, count = sum(table.size for table in alike), sum(table.rows for table in alike)
    whole = replace(first, paths=paths, size=size, rows=count, columns=columns)
    return [whole, *(table for table in tables if not any(table is one for one in alike))]


def _likeness(table: Table) -> Any:
    options = table.dialect.options() if table.dialect else ""
    return table.form, table.key, options, [(column.name, column.steps) for column in table.columns]


def _form(path: Path) -> str:
    """Tell what the file at *path* has, by its name and its first bytes; raise `InvalidData` if it is no text."""
    shown = str(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(reading.LFS_POINTER):
        message = "the file is a pointer of Git LFS, not the data"
        raise InvalidData([Problem("BS115", shown, message, hint="Run `git lfs pull`.")])
    if head.startswith(_ARCHIVES):
        raise InvalidData([Problem("BS123", shown, "the file is a spreadsheet or an archive", hint=_WAY_OUT)])
    if head.startswith(b"%PDF"):
        hint = "Extract its text, and save it in UTF-8."
        raise InvalidData([Problem("BS123", shown, "the file is a PDF, not a text", hint=hint)])
    ending = reading.suffix(shown)
    return _TABLES.get(ending) or ("parquet" if head.startswith(b"PAR1") else "text")


def _is_table(path: Path) -> bool:
    """Tell whether a file whose name does not say so is a table: its first line has names that are known."""
    try:
        found = dialect.sniff(path)
    except InvalidData:
        return False
    return found.header and len(found.head) > 1 and any(field_of(name) for name in found.head)


def _table(root: Path, name: str, form: str) -> Table:
    path = root / name
    size = path.stat().st_size
    if size == 0:
        raise InvalidData([Problem("BS119", str(path), "the file is empty")])
    match form:
        case "csv":
            table = _csv(path)
        case "parquet":
            table = _parquet(path)
        case "json" if not _is_lines(path):
            table = _document(path)
        case _:
            columns, count = _tallied(_json_rows(rows.json_lines(reading.lines(str(path)), str(path)), path))
            table = Table((), 0, "lines", count, columns)
    if table.rows == 0:
        raise InvalidData([Problem("BS119", str(path), "the file has no rows")])
    return replace(table, paths=[name], size=size)


def _csv(path: Path) -> Table:
    found = dialect.sniff(path)
    tallies = [Tally(name if found.header else "") for name in found.head]
    count = longest = 0
    for row in dialect.rows(path, found):
        count += 1
        longest = max(longest, len("".join(row).encode(errors="replace")) + 3 * len(row))
        for tally, value in zip(tallies, row, strict=True):
            tally.add(value)
    found = replace(found, longest=longest)
    named = dialect.names(path, found)
    columns = [tally.column(name) for tally, name in zip(tallies, named, strict=False)]
    return Table((), 0, "csv", count, columns, found)


def _is_lines(path: Path) -> bool:
    """Tell whether a .json file has a JSON value on each line, and more than one."""
    found = [line for line in _first_lines(path) if line.data.strip()]
    try:
        return len(found) > 1 and all(isinstance(jsonl.loads(line.data), dict) for line in found)
    except (jsonl.Rejected, UnicodeDecodeError):
        return False


def _first_lines(path: Path) -> Iterator[reading.Line]:
    for line in reading.lines(str(path)):
        yield line
        if line.number > 1:
            return


def _document(path: Path) -> Table:
    ((_, value),) = _json_rows(rows.document(str(path), array_of_rows=False), path, dict | list)
    form, key = "array", ""
    found = value
    if isinstance(value, dict):
        lists = {name: len(item) for name, item in value.items() if _are_rows(item)}
        form, found = "one", [value]
        if lists:
            key = max(lists, key=lambda name: lists[name])
            form, found = "key", value[key]
        elif len(value) > 1 and _are_rows(list(value.values())):
            form, found = "map", list(value.values())
    counted = ((number, row) for number, row in enumerate(found, start=1))
    columns, count = _tallied(_json_rows(counted, path))
    if form == "map":
        tally = Tally("key")
        for name in value:
            tally.add(name)
        columns = [tally.column(), *columns]
    return Table((), 0, form, count, columns, key=key)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _json_rows(found: rows.Rows, path: Path, kind: Any = dict) -> Iterator[tuple[int, Any]]:
    """Give the rows of *found*, which are objects (or of another *kind*); raise `InvalidData` at what is wrong."""
    for one in found:
        if isinstance(one, Problem):
            if one.severity == "error":
                raise InvalidData([one])
        elif not isinstance(one[1], kind):
            raise InvalidData([Problem("BS204", str(path), "it is no object", line=one[0])])
        else:
            yield one


def _tallied(found: Iterator[tuple[int, Any]]) -> tuple[list[Column], int]:
    """Give the columns of rows that are objects, in the order in which they come first, and the number of rows."""
    tallies: dict[tuple[str, ...], Tally] = {}
    count = 0
    for _, row in found:
        count += 1
        for steps, value in _steps(row):
            if steps not in tallies:
                tallies[steps] = Tally(steps[0], steps)
            tallies[steps].add(value)
    return [tally.column() for tally in tallies.values()], count


def _steps(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Give the values of *row*; an object that only says of a value what it is, {"$date": …}, counts as that value."""
    for name, value in row.items():
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
            (inner,) = value
            yield (name, inner), value[inner]
        else:
            yield (name,), value


def _parquet(path: Path) -> Table:
    try:
        schema = pq.read_schema(path)
        names = schema.names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidData([Problem("BS504", str(path), f"it cannot be read: {error}")]) from None
    columns, count = _tallied(_json_rows(rows.parquet(str(path), lambda _: []), path))
    types = {name: str(kind) for name, kind in zip(names, schema.types, strict=True)}
    known = [replace(column, kinds=column.kinds | {types[column.steps[0]]}) for column in columns]
    return Table((), 0, "parquet", count, known)


def _texts(root: Path, names: Sequence[str]) -> Texts:
    found: dict[str, Encoding] = {}
    empty = []
    for name in names:
        encoding = dialect.encoding_of(root / name)
        if encoding.name != "utf-8":
            found[name] = encoding
        if (root / name).stat().st_size == 0:
            empty.append(name)
    return _named(root, names, found, empty)


def _documents(root: Path, names: Sequence[str]) -> Texts:
    """Give the JSON documents *names*, each one article."""

    def all_rows() -> Iterator[tuple[int, Any]]:
        for name in names:
            yield from _json_rows(rows.document(str(root / name), array_of_rows=False), root / name)

    columns, _ = _tallied(all_rows())
    return replace(_named(root, names, {}, []), columns=columns)


def _named(root: Path, names: Sequence[str], encodings: Mapping[str, Encoding], empty: Sequence[str]) -> Texts:
    size = sum((root / name).stat().st_size for name in names)
    folders = Counter(Path(name).parent.as_posix() for name in names)
    stems = {Path(name).stem for name in names}
    pairs = {(Path(name).parent.name, Path(name).stem) for name in names}
    part = "stem" if len(stems) == len(names) else "folder" if len(pairs) == len(names) else "path"
    everywhere = "**/" if set(folders) - {"."} else ""
    patterns = sorted({f"{everywhere}*{Path(name).suffix}" for name in names})
    if not all(Path(name).suffix for name in names):
        patterns = [f"{everywhere}*"]
    if len(names) == 1:
        patterns = [dialect.escaped(names[0])]
    return Texts(patterns, len(names), size, dict(sorted(folders.items())), part, encodings, empty)


def _naming(root: Path, table: Table, names: Sequence[str]) -> Naming | None:
    """Tell how *table* names the files *names*: by the column that has most of them, if it has half of them."""
    parts = {
        "path": set(names),
        "name": {Path(name).name for name in names},
        "stem": {Path(name).stem for name in names},
    }
    met: dict[tuple[int, str], set[str]] = {}
    for row in _values(root, table):
        for index, value in enumerate(row):
            for part, known in parts.items():
                if isinstance(value, str) and value in known:
                    met.setdefault((index, part), set()).add(value)
    if not met:
        return None
    (index, part), found = max(met.items(), key=lambda one: len(one[1]))
    unnamed = len(parts[part]) - len(found)
    return Naming(table.columns[index], part, unnamed) if 2 * len(found) >= len(names) else None


def _values(root: Path, table: Table) -> Iterator[Sequence[Any]]:
    """Give the values of each row of *table*, in the order of its columns."""
    path = root / table.paths[0]
    if table.dialect is not None:
        yield from dialect.rows(path, table.dialect)
        return
    if table.form not in ("lines", "parquet"):
        return
    lines = table.form == "lines"
    found = rows.json_lines(reading.lines(str(path)), str(path)) if lines else rows.parquet(str(path), lambda _: [])
    for _, row in _json_rows(found, path):
        values = dict(_steps(row))
        yield [values.get(tuple(column.steps)) for column in table.columns]
