"""The fence: the process in which the SQL of a recipe runs, for the recipe may be a stranger's.

DuckDB can read the dataset's folder there, and nothing else: no other file, no network, no extension, no setting. What
would make it guess (types, dates, a CSV file's dialect) or lose rows in silence is switched off where the query does
not say otherwise, and what would differ from run to run is refused. Run as ``python -m broadsheet.fence TASK``, it
writes the rows to standard output as an Arrow stream, or what is wrong to standard error, as JSON.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from broadsheet import jsonl, reading
from broadsheet.problems import Problem

#: How much memory a query may take; what needs more goes to disk.
MEMORY = "512MB"
#: The name under which a query finds the files of the recipe's `[texts]`.
TEXTS = "texts"
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
        return self.options.get(name, _CSV[name].strip("'"))

    def files(self) -> Iterator[str]:
        """Give the files it reads, from the dataset's folder on."""
        for pattern in self.patterns:
            yield from sorted(filter(os.path.isfile, glob.glob(pattern, recursive=True)))  # noqa: PTH207 - as DuckDB


def main() -> None:
    """Do the task that is the program's argument: run ``sql`` in ``folder``; see `query.batches`."""
    task = json.loads(sys.argv[1])
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # nothing else may write among the rows
        try:
            os.chdir(task["folder"])
            _run(_fenced(task["scratch"], task["texts"]), task["sql"], out)
        except Refused as refused:
            fields = {name: getattr(refused.problem, name) for name in ("code", "path", "message", "line", "hint")}
            sys.stderr.write(json.dumps(fields))
            sys.exit(1)
        except (KeyboardInterrupt, BrokenPipeError):
            os._exit(130)


def _fenced(scratch: str, texts: str | None) -> duckdb.DuckDBPyConnection:
    """Give a database that can read the working directory and *scratch*, and nothing else."""
    database = duckdb.connect()
    if texts is not None:
        database.execute(f"CREATE VIEW {TEXTS} AS FROM read_parquet({_literal(texts)})")
    settings = {
        "threads": "1",  # the order of the rows would depend on them
        "memory_limit": _literal(MEMORY),
        "temp_directory": _literal(scratch),
        "TimeZone": "'UTC'",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "allowed_directories": f"['./', {_literal(scratch)}]",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    for name, value in settings.items():
        database.execute(f"SET {name} = {value}")
    return database


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _run(database: duckdb.DuckDBPyConnection, sql: str, out: Any) -> None:
    readers: list[Reader] = []
    try:
        tree = _parsed(database, sql)
        _allow(database, tree)
        for call in _calls(tree):
            readers.append(_reader(call))
            _look_into(readers[-1])
            call["arguments"] += _defaults(database, readers[-1])
        ((told,),) = database.execute("SELECT json_deserialize_sql($1)", [json.dumps(tree)]).fetchall()
        rows = database.sql(told).to_arrow_reader(_BATCH_ROWS)
        with pa.ipc.new_stream(out, rows.schema) as stream:
            for batch in rows:
                stream.write_batch(batch)
    except (duckdb.Error, pa.ArrowException) as error:
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


def _nodes(tree: Any) -> Iterator[Tree]:
    if isinstance(tree, dict):
        yield tree
    for item in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(item)


def _allow(database: duckdb.DuckDBPyConnection, tree: Tree) -> None:
    """Refuse what reads otherwise than by a reader, and what is not the same in every run."""
    rows = database.sql("SELECT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'").fetchall()
    changing = {name for (name,) in rows}
    tables = {TEXTS, *(entry["key"] for node in _nodes(tree) for entry in node.get("cte_map", {}).get("map", ()))}
    for node in _nodes(tree):
        if node.get("sample"):
            raise Refused("BS121", "it takes a sample, which differs from run to run")
        match node.get("type"):
            case "TABLE_FUNCTION" if (name := node["function"]["function_name"]) not in _FUNCTIONS:
                hint = _WAY_OUT if "xls" in name else f"It may call {', '.join(sorted(_FUNCTIONS))}."
                raise Refused("BS121", f"it calls {name}", hint)
            case "BASE_TABLE" if (name := node["table_name"]) not in tables:
                hint = f"Name a reader: read_csv({_literal(name)}), read_json(…), read_parquet(…)."
                raise Refused("BS120", f"there is no table '{name}'", hint)
            case "FUNCTION" if (name := node["function_name"]) in changing:
                raise Refused("BS121", f"it calls {name}(), which differs from run to run")
            case "COLUMN_REF" if (name := node["column_names"][-1].lower()) in _NOW:
                raise Refused("BS121", f"it asks for {name}, which differs from run to run")


def _calls(tree: Tree) -> list[Tree]:
    """Give the calls of readers in *tree*."""
    functions = (node["function"] for node in _nodes(tree) if node.get("type") == "TABLE_FUNCTION")
    return [function for function in functions if function["function_name"] in _READERS]


def _reader(call: Tree) -> Reader:
    named, *others = [(argument["name"], argument["expression"]) for argument in call["arguments"]] or [("", {})]
    listed = [argument["expression"] for argument in named[1].get("arguments", ())] or [named[1]]
    patterns = [one.get("literal", {}).get("text") for one in listed]
    if not all(isinstance(pattern, str) for pattern in patterns):
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
    for option in _LOSES:
        if reader.options.get(option, "false").lower() not in ("false", "f", "0"):
            raise Refused("BS121", f"{reader.name} is told {option}, which loses in silence", "Mend the file.")
    if reader.is_csv and _NAMES & told and "header" not in told:
        hint = "Say `header = true` if its first line has names too, or else `header = false`."
        raise Refused("BS122", f"{reader.name} is told the names of columns", hint)
    if _TYPES & told:
        told.add("all_varchar")
    arguments = []
    for option, value in _READERS[reader.name].items():
        if option not in told:
            ((text,),) = database.execute("SELECT json_serialize_sql($1)", [f"SELECT {value}"]).fetchall()
            constant = json.loads(text)["statements"][0]["node"]["select_list"][0]
            arguments.append({"name": option, "expression": constant})
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
            with Path(file).open("rb") as stream:
                _look_at(reader, file, stream.read(_PEEK))


def _look_at(reader: Reader, file: str, head: bytes) -> None:
    if head.startswith(reading.LFS_POINTER):
        raise Refused("BS115", "the file is a pointer of Git LFS, not the data", "Run `git lfs pull`.", file)
    if head.startswith(b"PK\x03\x04"):
        raise Refused("BS123", "the file is a spreadsheet or an archive", _WAY_OUT, file)
    if not reader.is_csv or "quote" in reader.options:
        return
    rows = list(_rows(reader, head.decode(errors="replace")))
    first = 0 if reader.option("header").lower() in ("false", "f", "0") else 1
    last = len(rows) - (len(head) == _PEEK)  # it may be cut
    for column in zip(*rows[first:last], strict=False):
        if len(column) > 1 and all(len(field) > 1 and field[0] == field[-1] == "'" for field in column):
            hint = "Say which marks it has: quote = '''', or quote = '\"' where these are part of the values."
            raise Refused("BS122", "every value of a column stands between ' marks", hint, file, first + 1)


def _rows(reader: Reader, text: str) -> Iterator[list[str]]:
    """Give the rows of a CSV file's *text* in the dialect of *reader*, as Python reads them."""
    quote, delimiter = reader.option("quote"), reader.option("delim")
    if len(delimiter) == 1:
        dialect: Any = {"quotechar": quote} if len(quote) == 1 else {"quoting": csv.QUOTE_NONE}
        csv.field_size_limit(len(text) + 1)
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, **dialect)


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
