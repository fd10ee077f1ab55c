"""JSON Lines: takes a file's bytes, gives its values with their line numbers, or problems; and the way back.

The grammar is RFC 8259's, read strictly: NaN and Infinity are errors, and so is a key that an object has twice,
which the RFC only discourages (section 4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import orjson

from broadsheet.problems import Problem


class Numbered(NamedTuple):
    """A *value* and the *line* it stands on, counted from 1."""

    line: int
    value: Any


def decode(data: bytes, path: str) -> tuple[str, list[Problem]]:
    """Give the text of UTF-8 *data*, or the problem with the offset of the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} (0x{data[error.start]:02x}) is not valid UTF-8: {error.reason}"
        return "", [Problem("BS102", path, message, line=line, hint="Convert the file to UTF-8.")]


def parse(data: bytes, path: str) -> tuple[list[Numbered], list[Problem]]:
    """Give the values of JSON Lines *data*, in order, and a problem for each line that is not one.

    Lines end with a line feed; empty lines are skipped, and the last one need not end.
    """
    text, problems = decode(data, path)
    values = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = _strict_decoder.decode(line)
            canonical(value)  # refuses what no table can hold: a lone surrogate, an integer beyond 64 bits
            values.append(Numbered(number, value))
        except RecursionError:
            problems.append(Problem("BS107", path, "the value is nested too deeply", line=number))
        except json.JSONDecodeError as error:
            message = f"not one JSON value: {error.msg.lower()} (column {error.colno})"
            problems.append(Problem("BS107", path, message, line=number))
        except (ValueError, TypeError) as error:
            problems.append(Problem("BS107", path, f"not one JSON value: {error}", line=number))
    return values, problems


def canonical(value: Any) -> bytes:
    """Give *value* in the canonical form of RFC 8785, for the types the tables have.

    They have strings, 64-bit integers, booleans, null, arrays, and objects with ASCII keys; for these, sorted keys
    and orjson's own number and string forms are the RFC's.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def serialize(rows: Iterable[Any]) -> bytes:
    """Give *rows* as JSON Lines: one object a line, keys in their own order, each line ended by a line feed."""
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f"the key {key!r} stands twice in an object")
        value[key] = item
    return value


_strict_decoder = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
