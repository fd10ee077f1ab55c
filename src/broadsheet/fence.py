"""The fence: the process in which the SQL of a recipe runs, for the recipe may be a stranger's.

DuckDB can read the dataset's folder there, and nothing else: no other file, no network, no extension, no setting. What
would make it guess (types, dates, a CSV file's dialect) or lose rows in silence is switched off where the query does
not say otherwise, and what would differ from run to run is refused. Run as ``python -m broadsheet.fence TASK``, it
writes the rows to standard output as an Arrow stream, or what is wrong to standard error, as JSON.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import io
import json
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from broadsheet import disk, jsonl, reading
from broadsheet.problems import InvalidData, Problem
from broadsheet.sql import literal

#: How much memory a query may take; what needs more goes to disk.
MEMORY = "512MB"
#: The name under which a query finds the files of the recipe's `[texts]`.
TEXTS = "texts"
#: What marks a column of the result that holds JSON: each value is one, however their types differ.
JSON = b"json"
_BATCH_ROWS = 1024
_PEEK = 1 << 20

_CSV = {
    "delim": "','",
    "quote": "'\"'",
    "escape": "'\"'",
    "header": "true",
    "skip": "0",
    "comment": "''",
    "all_varchar": "true",
    "strict_mode": "true",
}
_JSON = {
    "sample_size": "-1",
    "maximum_sample_files": "1000000",
    "convert_strings_to_integers": "false",
    # No text has the form of such a date.
    "dateformat": "'never'",
    "timestampformat": "'never'",
}
_NONE: Mapping[str, str] = {}
#: The readers of files, with what they are told unless the query says otherwise.
_READERS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("read_csv", "read_csv_auto"), _CSV),
    **dict.fromkeys(("read_json", "read_json_auto", "read_ndjson", "read_ndjson_auto"), _JSON),
    **dict.fromkeys(("read_json_objects", "read_ndjson_objects", "read_parquet", "parquet_scan", "read_text"), _NONE),
}
_FUNCTIONS = {*_READERS, "unnest", "range", "generate_series", "json_each", "json_tree"}
#: Options that say the types of a CSV file's columns: with one of them, not all of them are text.
_TYPES = {"columns", "types", "dtypes", "column_types", "auto_type_candidates", "dateformat", "timestampformat"}
#: Options that name a CSV file's columns: whether it names them too must be said.
_NAMES = {"columns", "names", "column_names"}
_LOSES = ("ignore_errors", "store_rejects", "null_padding")
#: What of JSON's values DuckDB would take for another type than text, and write otherwise.
_GUESSED = ("UUID", "TIME", "TIMETZ", "TIME WITH TIME ZONE")
#: Functions that the database calls consistent, though they tell the time.
_CLOCKS = {"current_localtime", "current_localtimestamp"}
_NOW = ("current_timestamp", "current_time", "current_date", "localtime", "localtimestamp")
_OUTSIDE = "A query reads the dataset's folder, and nothing outside."
_WAY_OUT = "Save each sheet as CSV in UTF-8, or unpack the archive."

Tree = dict[str, Any]


class Refused(Exception):  # noqa: N818 - it says what happened
    """The query cannot be run, for the reason of *problem*; its path is empty where the query itself is to blame."""

    def __init__(self, code: str, message: str, hint: str = "", path: str = "", line: int | None = None) -> None:
        """Take the parts of the problem."""
        super().__init__(message)
        self.problem = Problem(code, path, message, line=line, hint=hint)


class Reader(NamedTuple):
    """A call of one of DuckDB's readers: its *name*, the *patterns* of its files, and the *options* it is told."""

    name: str
    patterns: Sequence[str]
    options: Mapping[str, str]

    @property
    def is_csv(self) -> bool:
        """Whether it reads CSV."""
        return "csv" in self.name

    def option(self, name: str) -> str:
        """Give the CSV option *name*, as told or by default."""
        default = self.option("quote") if name == "escape" else _CSV[name].strip("'")
        return self.options.get(name, default).replace("\\t", "\t")

    @property
    def has_header(self) -> bool:
        """Whether the first line of a CSV file is said to name its columns."""
        return self.option("header").lower() not in ("false", "f", "0")

    def files(self) -> Iterator[str]:
        """Give the files it reads, from the dataset's folder on."""
        for pattern in self.patterns:
            yield from sorted(filter(os.path.isfile, _glob(pattern)))


def _glob(pattern: str) -> list[str]:
    # As DuckDB does: its * stands for hidden names too.
    return glob.glob(pattern, recursive=True, include_hidden=True)  # noqa: PTH207


def main() -> None:
    """Do the task that is the program's argument: run ``sql`` in ``folder``; see `query.batches`."""
    task = json.loads(sys.argv[1])
    threading.Thread(target=_end_with_input, daemon=True).start()
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # nothing else may write among the rows
        try:
            os.chdir(task["folder"])
            _run(_fenced(task["scratch"], task["texts"]), task, out)
        except Refused as refused:
            fields = {name: getattr(refused.problem, name) for name in ("code", "path", "message", "line", "hint")}
            sys.stderr.write(json.dumps(fields))
            sys.exit(1)
        except (KeyboardInterrupt, BrokenPipeError):
            os._exit(130)


def _end_with_input() -> None:
    """End this process when its standard input does: who asked for the rows is there no longer."""
    while os.read(0, 1):
        pass
    os._exit(130)


def _fenced(scratch: str, texts: str | None) -> duckdb.DuckDBPyConnection:
    """Give a database that can read the working directory and *scratch*, and nothing else."""
    database = duckdb.connect()
    if texts is not None:
        database.execute(f"CREATE VIEW {TEXTS} AS FROM read_parquet({literal(texts)})")
    settings = {
        "threads": "1",  # the order of the rows would depend on them
        "memory_limit": literal(MEMORY),
        "temp_directory": literal(scratch),
        "TimeZone": "'UTC'",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "allowed_directories": f"['./', {literal(scratch)}]",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    for name, value in settings.items():
        database.execute(f"SET {name} = {value}")
    return database


def _run(database: duckdb.DuckDBPyConnection, task: Mapping[str, str], out: Any) -> None:
    readers: list[Reader] = []
    try:
        tree = _parsed(database, task["sql"])
        _allow(database, tree)
        for call in _calls(tree):
            readers.append(_reader(call))
            _look_into(readers[-1])
            call["arguments"] += _defaults(database, readers[-1])
            if "json" in readers[-1].name and not {"columns", "objects"} & {*readers[-1].options}:
                call["arguments"] += _types(database, call)
        told = database.sql(_sql(database, tree))
        _check_names(tree, told.columns, readers)
        nested = [name for name, kind in zip(told.columns, told.types, strict=True) if _holds_json(kind)]
        if nested:
            values = ", ".join(f"to_json({_name(name)}) AS {_name(name)}" for name in nested)
            told = told.project(f"* REPLACE ({values})")
        rows = told.to_arrow_reader(_BATCH_ROWS)
        marks = {name: {JSON: b""} for name in nested}
        schema = pa.schema([field.with_metadata(marks.get(field.name)) for field in rows.schema])
        with pa.ipc.new_stream(out, schema) as stream:
            for batch in rows:
                stream.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    except (duckdb.Error, pa.ArrowException) as error:
        if full := disk.full(error, task["scratch"]):
            raise Refused(full.code, full.message, full.hint, full.path) from None
        raise _explained(str(error), readers) from None


def _parsed(database: duckdb.DuckDBPyConnection, sql: str) -> Tree:
    """Give the syntax tree of *sql*, which is one query."""
    ((text,),) = database.execute("SELECT json_serialize_sql($1)", [sql]).fetchall()
    tree: Tree = json.loads(text)
    if tree["error"] and tree["error_type"] == "not implemented":
        raise Refused("BS121", "it is not a query", "The SQL of a recipe is one SELECT.")
    if tree["error"]:
        line = sql.count("\n", 0, int(tree.get("position", 0))) + 1
        raise Refused("BS120", f"{tree['error_message']}, in its line {line}")
    if len(tree["statements"]) != 1:
        raise Refused("BS121", f"it has {len(tree['statements'])} statements", "The SQL of a recipe is one SELECT.")
    return tree


def _sql(database: duckdb.DuckDBPyConnection, tree: Tree) -> str:
    ((sql,),) = database.execute("SELECT json_deserialize_sql($1)", [json.dumps(tree)]).fetchall()
    return str(sql)


def _expression(database: duckdb.DuckDBPyConnection, sql: str) -> Tree:
    """Give the syntax tree of the expression *sql*."""
    expression: Tree = _parsed(database, f"SELECT {sql}")["statements"][0]["node"]["select_list"][0]
    return expression


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _holds_json(kind: Any) -> bool:
    if str(kind) == "JSON":
        return True
    return kind.id in ("list", "struct", "map") and any(_holds_json(inner) for _, inner in kind.children)


def _types(database: duckdb.DuckDBPyConnection, call: Tree) -> list[Tree]:
    """Give the argument that makes a reader of JSON leave text as it is, where it would take it for something else."""
    tree = _parsed(database, "FROM range(1)")
    tree["statements"][0]["node"]["from_table"]["function"] = call
    found = database.sql(_sql(database, tree))
    types = {name: _as_written(kind) for name, kind in zip(found.columns, found.types, strict=True)}
    if all(types[name] == str(kind) for name, kind in zip(found.columns, found.types, strict=True)):
        return []
    known = {name.casefold() for name in types}
    for name in types:
        if (stem := re.sub(r"_\d+$", "", name)) != name and stem.casefold() in known:
            raise Refused("BS120", f"the keys {stem!r} and {name!r} may be told apart by case only", "Name `columns`.")
    told = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items())
    return [{"name": "columns", "expression": _expression(database, f"{{{told}}}")}]


def _as_written(kind: Any) -> str:
    """Give the type *kind* with text in place of what was guessed."""
    if str(kind) in _GUESSED:
        return "VARCHAR"
    match kind.id:
        case "list":
            return f"{_as_written(kind.children[0][1])}[]"
        case "struct":
            return f"STRUCT({', '.join(f'{_name(name)} {_as_written(inner)}' for name, inner in kind.children)})"
        case "map":
            return f"MAP({', '.join(_as_written(inner) for _, inner in kind.children)})"
    return str(kind)


def _nodes(tree: Any) -> Iterator[Tree]:
    if isinstance(tree, dict):
        yield tree
    for item in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(item)


def _allow(database: duckdb.DuckDBPyConnection, tree: Tree) -> None:
    """Refuse what reads otherwise than by a reader, and what is not the same in every run."""
    changing = _changing(database)
    tables = {TEXTS}
    for entry in (entry for node in _nodes(tree) for entry in node.get("cte_map", {}).get("map", ())):
        if not re.fullmatch(r"\w+", entry["key"]):
            # Elsewhere in the query, a file would be read by this name.
            raise Refused("BS121", f"it has a WITH by the name of {entry['key']!r}", "Letters, digits and _ name one.")
        tables.add(entry["key"].casefold())
    calls = {node["function_name"] for node in _nodes(tree) if node.get("type") == "FUNCTION"}
    for node in _nodes(tree):
        if node.get("sample"):
            raise Refused("BS121", "it takes a sample, which differs from run to run")
        if node.get("type") == "FUNCTION" and node["function_name"] == "age" and len(node["arguments"]) == 1:
            raise Refused("BS121", "it calls age() with one date, which differs from run to run")
        match node.get("type"):
            case "TABLE_FUNCTION" if (name := node["function"]["function_name"]) not in _FUNCTIONS:
                hint = _WAY_OUT if "xls" in name else f"It may call {', '.join(sorted(_FUNCTIONS))}."
                raise Refused("BS121", f"it calls {name}", hint)
            case "BASE_TABLE" if (
                (name := node["table_name"]).casefold() not in tables or node["schema_name"] or node["catalog_name"]
            ):
                hint = f"Name a reader: read_csv({literal(name)}), read_json(…), read_parquet(…)."
                raise Refused("BS120", f"there is no table '{name}'", hint)
            case "FUNCTION" if (name := node["function_name"]) in changing:
                raise Refused("BS121", f"it calls {name}(), which differs from run to run")
            case "COLUMN_REF" if (name := node["column_names"][-1].lower()) in _NOW or (
                name == "last_modified" and "read_text" in calls
            ):
                raise Refused("BS121", f"it asks for {name}, which differs from run to run")


def _changing(database: duckdb.DuckDBPyConnection) -> set[str]:
    """Give the functions that are not the same in every run, and those that are written in terms of them."""
    functions = database.sql("SELECT function_name, stability, macro_definition FROM duckdb_functions()").fetchall()
    changing = {name for name, stability, _ in functions if stability not in (None, "CONSISTENT")}
    changing = changing - {"error"} | _CLOCKS | {*_NOW}  # an error is one in every run
    while more := {
        name
        for name, _, written in functions
        if written and name not in changing and changing & {*re.findall(r"\w+", written)}
    }:
        changing |= more
    return changing


def _calls(tree: Tree) -> list[Tree]:
    """Give the calls of readers in *tree*."""
    functions = (node["function"] for node in _nodes(tree) if node.get("type") == "TABLE_FUNCTION")
    return [function for function in functions if function["function_name"] in _READERS]


def _reader(call: Tree) -> Reader:
    named, *others = [(argument["name"], argument["expression"]) for argument in call["arguments"]] or [("", {})]
    is_list = named[1].get("function_name") == "list_value"
    listed = [argument["expression"] for argument in named[1]["arguments"]] if is_list else [named[1]]
    patterns = [one.get("literal", {}).get("text") for one in listed]
    if not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise Refused("BS121", f"{call['function_name']} does not name its files as plain text")
    options = {}
    for name, value in others:
        if not name and value.get("type") == "COMPARE_EQUAL" and value["left"].get("type") == "COLUMN_REF":
            name, value = value["left"]["column_names"][-1], value["right"]  # noqa: PLW2901 - the older way to write it
        name = {"sep": "delim", "delimiter": "delim"}.get(name.lower(), name.lower())  # noqa: PLW2901
        options[name] = str(value.get("literal", {}).get("text", ""))
    return Reader(call["function_name"], patterns, options)


def _defaults(database: duckdb.DuckDBPyConnection, reader: Reader) -> list[Tree]:
    """Give the arguments that *reader* gets beside its own, so that nothing is guessed and no row is lost."""
    told = set(reader.options)
    arguments: list[Tree] = []
    for option in _LOSES:
        if reader.options.get(option, "false").lower() not in ("false", "f", "0"):
            raise Refused("BS121", f"{reader.name} is told {option}, which loses in silence", "Mend the file.")
    if reader.is_csv and "quote" in told - {"escape"} and "escape" not in told:
        arguments = [{"name": "escape", "expression": _expression(database, literal(reader.option("escape")))}]
        told.add("escape")
    if reader.is_csv and _NAMES & told and "header" not in told:
        hint = "Say `header = true` if its first line has names too, or else `header = false`."
        raise Refused("BS122", f"{reader.name} is told the names of columns", hint)
    if _TYPES & told:
        told.add("all_varchar")
    for option, value in _READERS[reader.name].items():
        if option not in told:
            arguments.append({"name": option, "expression": _expression(database, value)})
    return arguments


def _look_into(reader: Reader) -> None:
    """Refuse files that are elsewhere, are not there, or are not what *reader* reads."""
    here = Path.cwd().resolve()
    for pattern in reader.patterns:
        if reading.is_url(pattern):
            raise Refused("BS121", f"it reads {pattern}", "Nothing is fetched: put the file into the dataset's folder.")
        files = list(reader._replace(patterns=[pattern]).files())
        if not all(Path(name).resolve().is_relative_to(here) for name in (pattern, *files)):
            raise Refused("BS121", f"it reads {pattern}", _OUTSIDE)
        if not files:
            raise Refused("BS101", "no file is there that the query names so", path=pattern)
        for file in files:
            _look_at(reader, file)


def _look_at(reader: Reader, file: str) -> None:
    with Path(file).open("rb") as stream:
        start = stream.read(len(reading.LFS_POINTER))
    if start == reading.LFS_POINTER:
        raise Refused("BS115", "the file is a pointer of Git LFS, not the data", "Run `git lfs pull`.", file)
    if start.startswith(b"PK\x03\x04"):
        raise Refused("BS123", "the file is a spreadsheet or an archive", _WAY_OUT, file)
    if not reader.is_csv or "quote" in reader.options:
        return
    text, is_cut = _peeked(reader, file)
    rows = list(_rows(reader, text))
    first = int(reader.has_header)
    for column in zip(*rows[first : len(rows) - is_cut], strict=False):
        marked = [len(field) > 1 and field[0] == field[-1] == "'" for field in column]
        if any(marked) and (all(marked) or any(map(_DOUBLED.fullmatch, column))):
            hint = "Say which marks it has: quote = '''', or quote = '\"' where these are part of the values."
            said = "every value of a column stands" if all(marked) else "values stand"
            raise Refused("BS122", f"{said} between ' marks", hint, file, first + 1)


#: A value between ' marks with another one in it, written twice.
_DOUBLED = re.compile(r"'(?=.*'')(?:[^']|'')*'", re.DOTALL)


def _peeked(reader: Reader, file: str) -> tuple[str, bool]:
    """Give the start of a CSV *file* as text, and whether there may be more of it."""
    try:
        with reading.opened(file) as stream:
            head = stream.read(_PEEK)
    except InvalidData as error:
        problem = error.problems[0]
        raise Refused(problem.code, problem.message, problem.hint, file, problem.line) from None
    encoding = reader.options.get("encoding", "utf-8")
    try:
        text = head.decode(encoding, errors="replace")
    except LookupError:
        text = head.decode(errors="replace")
    return text.removeprefix("\ufeff"), len(head) == _PEEK


def _check_names(tree: Tree, columns: Sequence[str], readers: Iterable[Reader]) -> None:
    """Refuse a result that has one of its *columns* twice, and one that takes a row for names, or names for a row."""
    for name in columns:
        if columns.count(name) > 1:
            raise Refused("BS120", f"it gives the column '{name}' twice")
    named = {name.casefold() for name in [*columns, *_names(tree)]}
    for reader in readers:
        for file in reader.files() if reader.is_csv and "normalize_names" not in reader.options else ():
            text, _ = _peeked(reader, file)
            first = {name.strip().casefold() for name in next(_rows(reader, text), ())}
            if reader.has_header and first and not first & named:
                hint = "If it is a row, say header = false; if its names are not to be used, skip = 1 too."
                raise Refused("BS122", "the query uses no name that is in the first line", hint, file, 1)
            if not reader.has_header and len(first & {name.casefold() for name in columns}) >= min(2, len(first)) > 0:
                hint = "Say header = true; or else skip = 1, to pass over it."
                raise Refused("BS122", "the first line has names of columns, and is read as a row", hint, file, 1)


def _names(tree: Tree) -> Iterator[str]:
    """Give the names of columns that the query *tree* uses."""
    for node in _nodes(tree):
        if node.get("type") != "TABLE_FUNCTION":
            yield from (*node.get("column_names", ()), *node.get("using_columns", ()), *node.get("exclude_list", ()))


def _rows(reader: Reader, text: str) -> Iterator[list[str]]:
    """Give the rows of a CSV file's *text* in the dialect of *reader*, as Python reads them."""
    quote, escape, delimiter = (reader.option(name) for name in ("quote", "escape", "delim"))
    skip = reader.option("skip")
    lines = io.StringIO(text.split("\n", int(skip))[-1] if skip.isdecimal() else text, newline="")
    if len(delimiter) == 1:
        dialect: Any = {"quotechar": quote} if len(quote) == 1 else {"quoting": csv.QUOTE_NONE}
        if len(escape) == 1 and escape != quote:
            dialect |= {"escapechar": escape, "doublequote": False}
        csv.field_size_limit(len(text) + 1)
        with contextlib.suppress(csv.Error):
            yield from csv.reader(lines, delimiter=delimiter, **dialect)
    elif delimiter:
        yield from (line.rstrip("\r\n").split(delimiter) for line in lines)


def _explained(said: str, readers: Iterable[Reader]) -> Refused:
    """Give what DuckDB *said* as a problem, with the file and line that are to blame where they can be told."""
    first = " ".join(re.split(r"\n\n|\n *LINE \d|The search space|Possible ", said)[0].split())
    if "Permission Error" in said:
        return Refused("BS121", first, _OUTSIDE)
    if "Out of Memory" in said:
        return Refused("BS120", f"it needs more than {MEMORY}", "Many small files are read by [texts], a file a row.")
    files = [(reader, file) for reader in readers for file in reader.files()]
    if re.search(r"utf-?8|unicode", said, re.IGNORECASE):
        for reader, file in files:
            _, problems = jsonl.decode(Path(file).read_bytes(), file)
            if problems and "encoding" not in reader.options:
                cure = "Convert it, or say what it is in: encoding = 'latin-1'."
                return Refused("BS102", problems[0].message, cure, file, problems[0].line)
    for reader, file in files:
        if reader.is_csv and file in said:
            return _malformed(reader, file, said, first)
    return Refused("BS120", first)


def _malformed(reader: Reader, file: str, said: str, first: str) -> Refused:
    """Give the problem of a CSV *file* that does not fit the dialect of *reader*, with the line if it can be told."""
    options = ", ".join(f"{name} = {reader.option(name)}" for name in ("delim", "quote", "header"))
    hint = f"It was read with {options}: if the file has others, the query must say so."
    text = Path(file).read_bytes().decode(reader.options.get("encoding", "utf-8"), errors="replace")
    line, width = 1, 0
    for row in _rows(reader, text):
        width = width or len(row)
        if row and len(row) != width:
            return Refused("BS122", f"the row has {len(row)} fields, the first one {width}", hint, file, line)
        line += 1 + sum(field.count("\n") for field in row)
    if {"\r\n", "\n"} <= set(re.findall(r"\r?\n", text)):
        hint += " Its lines end in LF and in CR LF: let them end alike."
    found = re.search(r"CSV Error on Line: (\d+)", said)
    return Refused("BS122", first, hint, file, int(found[1]) if found else None)


if __name__ == "__main__":
    main()
