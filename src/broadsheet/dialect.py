"""Dialects: takes a file of text, gives its encoding, and how a CSV file of it is written; what is wrong is told.

Nothing here changes a file, and what is found is only ever proposed: the recipe says it in so many words.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from broadsheet import columns, reading
from broadsheet.problems import InvalidData, Problem
from broadsheet.query import Query, batches
from broadsheet.sql import literal

#: How much of a file tells its dialect, how long a field may be, and the longest line that DuckDB reads unasked.
_SAMPLE = 1 << 20
_MAX_FIELD = 64 << 20
_MAX_LINE = 2_000_000
_DELIMITERS = (",", ";", "\t", "|")
#: Quote and escape, in the order in which they are tried: the first that fits is taken.
_MARKS = (('"', '"'), ("'", "'"), ('"', "\\"))
_NAMES_OF_MARKS = {"\t": "tab", " ": "space"}
#: Bytes that are control characters in latin-1; in cp1252, curly quotes among others; and those that it has not.
_C1, _NOT_CP1252 = rb"[\x80-\x9f]", rb"[\x81\x8d\x8f\x90\x9d]"
_AROUND = 20


@dataclass(frozen=True)
class Encoding:
    """A file's encoding, by its *name* in recipes; *bom* tells of a byte order mark.

    Where it is not UTF-8, the name is a proposal: *why* says which byte is not, *sample* shows the text around it.
    """

    name: str = "utf-8"
    bom: bool = False
    why: str = ""
    sample: str = ""

    def __str__(self) -> str:
        """Say it for people."""
        mark = " with a byte order mark" if self.bom else ""
        return f"{'UTF-8' if self.name == 'utf-8' else self.name}{mark}"


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written; *longest* is the number of bytes of its longest row, where that is known.

    *head* is its first row.
    """

    delimiter: str
    quote: str
    escape: str
    header: bool
    encoding: Encoding
    head: Sequence[str]
    longest: int = 0

    def options(self) -> str:
        """Give what ``read_csv`` must be told beside the file's name, each option after a comma."""
        told = []
        if self.delimiter != ",":
            told.append("delim = '\t'" if self.delimiter == "\t" else f"delim = '{self.delimiter}'")
        if self.quote != '"':
            told.append(f"quote = {literal(self.quote)}")
        if self.escape != '"':
            told.append(f"escape = {literal(self.escape)}")
        if not self.header:
            told.append("header = false")
        if self.encoding.name != "utf-8":
            told.append(f"encoding = '{self.encoding.name}'")
        if self.longest > _MAX_LINE:
            told.append(f"max_line_size = {2 * self.longest}")
        return "".join(f", {option}" for option in told)

    def __str__(self) -> str:
        """Say it for people."""
        delimiter = _NAMES_OF_MARKS.get(self.delimiter, self.delimiter)
        escape = "" if self.escape == self.quote else f", escape {self.escape}"
        header = "a header" if self.header else "no header"
        return f"delimiter {delimiter}, quote {self.quote}{escape}, {header}, {self.encoding}"


def escaped(path: str) -> str:
    """Give a pattern that matches the file at *path* alone, also where its name has marks of patterns."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)


def encoding_of(path: Path) -> Encoding:
    """Give the encoding of the text at *path*; raise `InvalidData` if it is none, or nothing can be proposed."""
    shown = str(path)
    decoder = codecs.getincrementaldecoder("utf-8")()
    read, bom = 0, False
    with reading.opened(shown) as stream:
        while data := stream.read(reading.BLOCK):
            if read == 0 and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return Encoding("utf-16", bom=True, why="the file starts with a byte order mark of UTF-16")
            if b"\0" in data:
                raise InvalidData([Problem("BS123", shown, f"it is no text: byte {read + data.index(0)} is 0")])
            bom |= read == 0 and data.startswith(codecs.BOM_UTF8)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(data)
            except UnicodeDecodeError as error:
                return _other(path, read - pending + error.start, error)
            read += len(data)
    pending = len(decoder.getstate()[0])
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return _other(path, read - pending + error.start, error)
    return Encoding(bom=bom)


def _other(path: Path, offset: int, error: UnicodeDecodeError) -> Encoding:
    """Propose an encoding for a file that is not UTF-8 at byte *offset*."""
    why = f"byte {offset:,} (0x{error.object[error.start]:02x}) is not valid UTF-8: {error.reason}"
    name = "latin-1"
    with reading.opened(str(path)) as stream:
        while data := stream.read(reading.BLOCK):
            if re.search(_NOT_CP1252, data):
                hint = "It is neither latin-1 nor cp1252: find out what it is, and convert it to UTF-8."
                raise InvalidData([Problem("BS102", str(path), why, hint=hint)])
            if re.search(_C1, data):
                name = "cp1252"
    with reading.opened(str(path)) as stream:
        start = max(offset - _AROUND, 0)
        stream.read(start)
        around = stream.read(2 * _AROUND)
    return Encoding(name, why=why, sample=around.decode(name))


def sniff(path: Path) -> Dialect:
    """Give the dialect of the CSV file at *path*; raise `InvalidData` with what is wrong with it."""
    encoding = encoding_of(path)
    if encoding.name == "cp1252":
        # DuckDB's queries read utf-8, utf-16 and latin-1 only, which has control characters where this has quotes.
        hint = "It may be cp1252, which queries do not read: iconv -f WINDOWS-1252 -t UTF-8, and look at the result."
        raise InvalidData([Problem("BS102", str(path), encoding.why, hint=hint)])
    with _text(path, encoding) as text:
        sample = text.read(_SAMPLE)
    cut = len(sample) == _SAMPLE
    if not sample.strip():
        raise InvalidData([Problem("BS119", str(path), "the file is empty")])
    return _best(sample, encoding, cut=cut)


def rows(path: Path, dialect: Dialect) -> Iterator[Sequence[str]]:
    """Give the rows of the CSV file at *path*, without its header and empty lines.

    A row that has more or fewer fields than there are columns is a problem, raised as `InvalidData`.
    """
    width = 0
    csv.field_size_limit(_MAX_FIELD)
    with _text(path, dialect.encoding) as text:
        reader = csv.reader(text, **_format(dialect.delimiter, dialect.quote, dialect.escape))
        line = 1
        try:
            for number, row in enumerate(reader):
                width = width or len(row)
                if row and len(row) != width:
                    hint = f"It was read with {dialect}. Mend the file; or leave --from out, and write the query."
                    message = f"the row has {len(row)} fields, the first one {width}"
                    raise InvalidData([Problem("BS122", str(path), message, line=line, hint=hint)])
                line = reader.line_num + 1
                if row and not (number == 0 and dialect.header):
                    yield row
        except csv.Error as error:
            raise InvalidData([Problem("BS122", str(path), f"it cannot be read: {error}", line=line)]) from None


def names(path: Path, dialect: Dialect) -> Sequence[str]:
    """Give the names of the columns as a query knows them: DuckDB has its own for those that lack one or share one.

    Raise `InvalidData` with what DuckDB says of the file.
    """
    pattern = literal(escaped(path.name))
    query = Query(f"SELECT * FROM read_csv({pattern}{dialect.options()}) LIMIT 0", str(path), 1, "")  # noqa: S608
    with TemporaryDirectory(prefix="broadsheet-") as scratch:
        try:
            return [
                name for batch in batches(query, path.absolute().parent, Path(scratch)) for name in batch.schema.names
            ]
        except InvalidData as error:
            found = [Problem(**{**vars(problem), "path": str(path)}) for problem in error.problems]
            raise InvalidData(found) from None


def _text(path: Path, encoding: Encoding) -> Any:
    """Open the file at *path* as text, decompressed; line ends stay as they are."""
    name = "utf-8-sig" if encoding.name == "utf-8" else encoding.name
    return _Text(path, name)


class _Text:
    """A file of text as a context manager: `reading.opened`, decoded."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._opened, self._encoding = reading.opened(str(path)), encoding

    def __enter__(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(self._opened.__enter__(), encoding=self._encoding, newline="")

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(*error)  # type: ignore[arg-type]


def _format(delimiter: str, quote: str, escape: str) -> dict[str, Any]:
    doubled = escape == quote
    told: dict[str, Any] = {"delimiter": delimiter, "quotechar": quote, "doublequote": doubled}
    return told if doubled else {**told, "escapechar": escape}


def _best(sample: str, encoding: Encoding, *, cut: bool) -> Dialect:
    """Give the dialect that cuts *sample* into the most columns, the same number in every row.

    If none does, that which comes nearest: what does not fit is told with its line, when the rows are read.
    """
    csv.field_size_limit(_MAX_FIELD)
    found = []
    for order, (quote, escape) in enumerate(_MARKS):
        for delimiter in _DELIMITERS:
            try:
                parsed = list(csv.reader(io.StringIO(sample, newline=""), **_format(delimiter, quote, escape)))
            except csv.Error:
                continue
            whole = [row for row in (parsed[:-1] if cut and len(parsed) > 1 else parsed) if row]
            width, fitting = Counter(map(len, whole)).most_common(1)[0]
            share = fitting / len(whole) if width > 1 else 0.5
            found.append(((share, not _all_marked(whole, quote), -order, width), delimiter, quote, escape, whole))
    _, delimiter, quote, escape, whole = max(found, key=lambda one: one[0])
    return Dialect(delimiter, quote, escape, _is_header(whole), encoding, whole[0])


def _all_marked(rows_: Sequence[Sequence[str]], quote: str) -> bool:
    """Tell whether every value of a column stands between ' marks, which are no part of the values then."""
    columns = zip(*rows_[1:], strict=False)
    return quote != "'" and any(all(len(f) > 1 and f[0] == f[-1] == "'" for f in column) for column in columns)


def _is_header(rows_: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first of *rows_* has names: each something else, short, no number and no date."""
    first = [name.strip() for name in rows_[0]]
    if any(columns.field_of(name) for name in first):
        return True
    names = all(re.fullmatch(r"[^\W\d][^\n]{0,63}", name) and not re.search(r"[.!?]$", name) for name in first)
    return names and len(set(first)) == len(first)
