"""Texts: takes files of which each is one article, gives a table of them, for queries to read."""

from __future__ import annotations

import codecs
import fnmatch
import glob
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from broadsheet import jsonl, reading
from broadsheet.problems import Problem

#: What is known of a file: its path from the dataset's folder on, the parts of that, its text, the digest of its bytes.
SCHEMA = pa.schema([(name, pa.string()) for name in ("path", "folder", "name", "stem", "text", "sha256")])
#: How many characters of text are held at once.
_BATCH = 4 << 20


def write(folder: Path, patterns: Sequence[str], encodings: Mapping[str, str], place: Path) -> list[Problem]:
    """Write the table of the files in *folder* that *patterns* name to *place*, as Parquet; give what is wrong.

    Files come by pattern, then by path. They are UTF-8, or what *encodings* says of the path, or of a pattern of it. A
    byte order mark is no part of the text; nothing else is changed.
    """
    problems: list[Problem] = []
    # It is read once, and soon: to compress it would take longer than to write it.
    with pq.ParquetWriter(place, SCHEMA, compression="none", use_dictionary=False, write_statistics=False) as table:
        for batch in _batches(folder, _files(folder, patterns, problems), encodings, problems):
            table.write_batch(batch)
    return problems


def _files(folder: Path, patterns: Sequence[str], problems: list[Problem]) -> Iterator[str]:
    """Give the name of each file in *folder* that *patterns* match, once."""
    # Strings and few system calls: thousands of files are nothing special.
    here, seen, parents = os.path.realpath(folder), set[str](), dict[str, bool]()
    for pattern in patterns:
        found = False
        for name in sorted(glob.glob(pattern, root_dir=folder, recursive=True)):  # noqa: PTH207 - Path.glob refuses some
            place = f"{here}/{name}"
            mode = os.lstat(place).st_mode
            if stat.S_ISDIR(mode) or (stat.S_ISLNK(mode) and not Path(place).is_file()):
                continue
            found = True
            parent = name.rpartition("/")[0]
            if parent not in parents:
                parents[parent] = _is_in(f"{here}/{parent}", here)
            if not name.isascii() and any("\udc80" <= letter <= "\udcff" for letter in name):
                problems.append(Problem("BS102", os.fsencode(name).decode(errors="replace"), "its name is not UTF-8"))
            elif not parents[parent] or (stat.S_ISLNK(mode) and not _is_in(place, here)):
                problems.append(Problem("BS121", name, "it lies outside the dataset's folder"))
            elif name not in seen:
                seen.add(name)
                yield name
        if not found:
            problems.append(Problem("BS101", pattern, "no file is there that the recipe names so"))


def _is_in(place: str, folder: str) -> bool:
    return Path(os.path.realpath(place)).is_relative_to(folder)


def _batches(
    folder: Path, names: Iterator[str], encodings: Mapping[str, str], problems: list[Problem]
) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[str, ...]] = []
    size = 0
    for name in names:
        with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - thousands of them
            data = file.read()
        found = _text(data, name, encodings)
        if isinstance(found, Problem):
            problems.append(found)
            continue
        parent, _, last = name.rpartition("/")
        stem = os.path.splitext(last)[0]  # noqa: PTH122 - as above
        rows.append((name, parent.rpartition("/")[2], last, stem, found, hashlib.sha256(data).hexdigest()))
        size += len(found)
        if size >= _BATCH:
            yield _batch(rows)
            rows, size = [], 0
    yield _batch(rows)


def _batch(rows: Sequence[tuple[str, ...]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True) if rows else [()] * len(SCHEMA)
    return pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], schema=SCHEMA)


def _text(data: bytes, name: str, encodings: Mapping[str, str]) -> str | Problem:
    if data.startswith(reading.LFS_POINTER):
        return Problem("BS115", name, "the file is a pointer of Git LFS, not the data", hint="Run `git lfs pull`.")
    encoding = next((encodings[pattern] for pattern in encodings if fnmatch.fnmatchcase(name, pattern)), None)
    if encoding is not None:
        return _decoded(data, name, encoding)
    text, problems = jsonl.decode(data.removeprefix(codecs.BOM_UTF8), name)
    hint = "Convert the file, or say what it is in: [texts.encodings]."
    return Problem(**{**vars(problems[0]), "hint": hint}) if problems else text


def _decoded(data: bytes, name: str, encoding: str) -> str | Problem:
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
        text.encode()
    except UnicodeEncodeError as error:
        return Problem("BS102", name, f"in {encoding}, character {error.start} is half of a pair")
    except LookupError:
        return Problem("BS105", name, f"there is no encoding {encoding!r}", hint="Say latin-1, cp1252, utf-16, …")
    except UnicodeDecodeError as error:
        return Problem("BS102", name, f"byte {error.start} is not valid {encoding}: {error.reason}")
    except ValueError as error:
        return Problem("BS105", name, f"{encoding!r} reads no text: {error}")
    return text
