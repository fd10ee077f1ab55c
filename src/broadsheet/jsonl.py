"""JSON Lines: takes bytes, gives values with their line numbers, or problems; and the way back.

The grammar is RFC 8259's, read strictly: NaN and Infinity are errors, and so is a key that an object has twice, which
the RFC only discourages (section 4). orjson does the work; what it lets pass, or explains badly, is judged here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

import ahocorasick_rs
import orjson

from broadsheet.problems import Problem

#: The deepest nesting of arrays and objects that is read.
MAX_DEPTH = 64


class Numbered(NamedTuple):
    """A *value* and the *line* it stands on, counted from 1."""

    line: int
    value: Any


class Rejected(ValueError):  # noqa: N818 - it says what happened to the line
    """A line is not one JSON value that can be kept: *code* and message of the problem it is."""

    def __init__(self, code: str, message: str) -> None:
        """Take the problem's *code* and *message*."""
        super().__init__(message)
        self.code = code


def loads(line: bytes) -> Any:
    """Give the one JSON value of *line*; raise `Rejected` with what is wrong, `UnicodeDecodeError` if it is no UTF-8.

    How deep the value is nested is not looked at beyond orjson's own limit of 1024; see `depth`.
    """
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _explained(line, str(error)) from None
    # What gives the same bytes again has lost nothing, no second key either; most lines that a program wrote do.
    if orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE) != line and _may_repeat_a_key(line.strip(), value):
        _decode_strictly(line)
    return value


def loads_canonical(line: bytes) -> tuple[Any, bytes]:
    """Give the one JSON value of *line*, as `loads` does, and its canonical form; integers written as floats are made
    integers (JSON Schema takes 2.0 for one, and RFC 8785 writes it as 2).
    """  # noqa: D205 - one sentence, which does not fit on a line
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _explained(line, str(error)) from None
    form = canonical(value)
    has_floats = _FLOATS.find_matches_as_indexes(form)
    # Nothing but a float is ever longer in canonical form, and a key that was lost makes it shorter.
    if (has_floats or len(form) + line.endswith(b"\n") != len(line)) and _may_repeat_a_key(line.strip(), value):
        _decode_strictly(line)
    if has_floats:
        value = _with_integers(value)
        form = canonical(value)
    return value, form


def depth(value: Any) -> int:
    """Give how deep arrays and objects are nested in *value*: 0 for a plain value."""
    level, deep = [value], 0
    while level := [item for item in level if isinstance(item, (dict, list))]:
        deep += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return deep


def too_deep() -> Rejected:
    """Give the rejection of a value that is nested too deeply."""
    return Rejected("BS112", f"arrays and objects are nested more than {MAX_DEPTH} levels deep")


def parse(data: bytes, path: str) -> tuple[list[Numbered], list[Problem]]:
    """Give the values of JSON Lines *data*, in order, and a problem for each line that is not one.

    Lines end with a line feed; empty lines are skipped, and the last one need not end. For small files: all is held.
    """
    text, problems = decode(data, path)
    values = []
    for number, line in enumerate(data.split(b"\n") if text else [], start=1):
        if not line.strip():
            continue
        try:
            value = loads(line)
            if depth(value) > MAX_DEPTH:
                raise too_deep()
            values.append(Numbered(number, value))
        except Rejected as error:
            problems.append(Problem(error.code, path, str(error), line=number))
    return values, problems


def decode(data: bytes, path: str) -> tuple[str, list[Problem]]:
    """Give the text of UTF-8 *data*, or the problem with the offset of the first byte that is not UTF-8."""
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", [not_utf8(data, error, path, line, 0)]


def not_utf8(data: bytes, error: UnicodeDecodeError, path: str, line: int, offset: int) -> Problem:
    """Give the problem of an *error* in *data*, which starts at byte *offset* of the file *path*."""
    message = f"byte {offset + error.start} (0x{data[error.start]:02x}) is not valid UTF-8: {error.reason}"
    return Problem("BS102", path, message, line=line, hint="Convert the file to UTF-8.")


def canonical(value: Any) -> bytes:
    """Give *value* in the canonical form of RFC 8785, for the types the tables have.

    They have strings, 64-bit integers, booleans, null, arrays, and objects with ASCII keys; for these, sorted keys
    and orjson's own number and string forms are the RFC's.
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def indented(value: Any) -> bytes:
    """Give *value* as a JSON document for people to read, keys in their own order."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def serialize(rows: Iterable[Any]) -> bytes:
    """Give *rows* as JSON Lines: one object a line, keys in their own order, each line ended by a line feed."""
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _may_repeat_a_key(line: bytes, value: Any) -> bool:
    r"""Tell whether an object in *line* may have a key twice; False is certain, True is not.

    orjson keeps the last of two. A quote followed by a colon ends a key, or stands in a string; written anew, strings
    are the same, and a lost key is missing from the count. What could hide a key from it, or make up for one (white
    space before the colon, a quote or a colon written as ``\u0022`` or ``\u003a``), leaves the question open.
    """
    again = orjson.dumps(value)
    if again == line:
        return False
    return _HIDES_A_KEY.search(line) is not None or line.count(b'":') != again.count(b'":')


def _with_integers(value: Any) -> Any:
    match value:
        case dict():
            return {key: _with_integers(item) for key, item in value.items()}
        case list():
            return [_with_integers(item) for item in value]
        case float() if value.is_integer() and abs(value) < 2**63:
            return int(value)
        case _:
            return value


# What is in orjson's form of a float that is an integer, or that was shorter than its form; in a string, the same is
# looked at in vain.
_FLOATS = ahocorasick_rs.BytesAhoCorasick(
    [*(b".0" + mark for mark in (b",", b"}", b"]")), *(b"e+%d" % digit for digit in range(1, 10))]
    + [mark + b"0.00" for mark in (b":", b",", b"[", b"-")],
    matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
)
_HIDES_A_KEY = re.compile(rb'\\u00(?:22|3[aA])|"[ \t\r\n]+:')


def _explained(line: bytes, message: str) -> Rejected:
    """Give the rejection of a *line* that orjson refuses, in words a person can act on."""
    if "depth limit" in message:
        return too_deep()
    line.decode("utf-8")
    try:
        _decode_strictly(line)
    except Rejected as error:
        return error
    return Rejected("BS107", f"not one JSON value: {message}")


def _decode_strictly(line: bytes) -> None:
    try:
        _strict_decoder.decode(line.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise Rejected("BS107", f"not one JSON value: {error.msg.lower()} (column {error.colno})") from None
    except RecursionError:
        raise too_deep() from None


def _no_constant(name: str) -> NoReturn:
    raise Rejected("BS107", f"not one JSON value: {name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise Rejected("BS107", f"not one JSON value: the key {key!r} stands twice in an object")
        value[key] = item
    return value


_strict_decoder = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
