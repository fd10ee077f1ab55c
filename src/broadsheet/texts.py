"""Texts: takes files of which each is one article, gives a table of them, for queries to read."""

from __future__ import annotations

import codecs
import fnmatch
import glob
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
    with pq.ParquetWriter(place, SCHEMA, compression="zstd") as table:
        for batch in _batches(_files(folder, patterns, problems), encodings, problems):
            table.write_batch(batch)
    return problems


def _files(folder: Path, patterns: Sequence[str], problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    """Give the name and the path of each file that *patterns* match, once."""
    here, seen = folder.resolve(), set[str]()
    for pattern in patterns:
        names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 - Path.glob refuses some
        names = [name for name in names if (folder / name).is_file()]
        if not names:
            problems.append(Problem("BS101", pattern, "no file is there that the recipe names so"))
        for name in names:
            if any("\udc80" <= letter <= "\udcff" for letter in name):
                problems.append(Problem("BS102", os.fsencode(name).decode(errors="replace"), "its name is not UTF-8"))
            elif not (folder / name).resolve().is_relative_to(here):
                problems.append(Problem("BS121", name, "it lies outside the dataset's folder"))
            elif name not in seen:
                seen.add(name)
                yield name, folder / name


def _batches(
    files: Iterator[tuple[str, Path]], encodings: Mapping[str, str], problems: list[Problem]
) -> Iterator[pa.RecordBatch]:
    rows: list[Mapping[str, Any]] = []
    size = 0
    for name, path in files:
        data = path.read_bytes()
        found = _text(data, name, encodings)
        if isinstance(found, Problem):
            problems.append(found)
            continue
        parts = {"path": name, "folder": Path(name).parent.name, "name": path.name, "stem": path.stem}
        rows.append({**parts, "text": found, "sha256": hashlib.sha256(data).hexdigest()})
        size += len(found)
        if size >= _BATCH:
            yield pa.RecordBatch.from_pylist(rows, SCHEMA)
            rows, size = [], 0
    yield pa.RecordBatch.from_pylist(rows, SCHEMA)


def _text(data: bytes, name: str, encodings: Mapping[str, str]) -> str | Problem:
    if data.startswith(reading.LFS_POINTER):
        return Problem("BS115", name, "the file is a pointer of Git LFS, not the data", hint="Run `git lfs pull`.")
    encoding = next((encodings[pattern] for pattern in encodings if fnmatch.fnmatchcase(name, pattern)), None)
    if encoding is None:
        text, problems = jsonl.decode(data.removeprefix(codecs.BOM_UTF8), name)
        hint = "Convert the file, or say what it is in: [texts.encodings]."
        return Problem(**{**vars(problems[0]), "hint": hint}) if problems else text
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
        text.encode()
    except UnicodeEncodeError as error:
        return Problem("BS102", name, f"in {encoding}, character {error.start} is half of a pair")
    except LookupError:
        return Problem("BS105", name, f"there is no encoding {encoding!r}", hint="Say latin-1, cp1252, utf-16, …")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not valid {encoding}: {error.reason}"
        return Problem("BS102", name, message)
    except ValueError as error:
        return Problem("BS105", name, f"{encoding!r} reads no text: {error}")
    return text
