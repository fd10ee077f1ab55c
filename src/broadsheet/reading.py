"""Reading: takes a path, a URL or standard input, gives its bytes, line by line or whole, in bounded memory.

Compressed files (.gz, .zst) are decompressed on the way. Nothing is decoded or changed.
"""

from __future__ import annotations

import io
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from broadsheet.problems import InvalidData, Problem, cannot_run

#: How many bytes are read at once, and how long a line may be.
BLOCK = 1 << 20
MAX_LINE = 16 << 20
#: A stream that is larger than this, and this many times its file's size, is no text that somebody compressed.
BOMB_SIZE = 64 << 20
BOMB_RATIO = 200
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
TIMEOUT = 60


class Line(NamedTuple):
    """A line with its line feed (the last one may have none), its *number* from 1, and the byte *offset* it starts at.

    Of a line that is too long only the first bytes are there, and *cut* is set.
    """

    data: bytes
    number: int
    offset: int
    cut: bool


def suffix(path: str) -> str:
    """Give the ending that tells what *path* holds, that of a compression left out: ``.jsonl`` of ``a.jsonl.gz``."""
    name = Path(path.split("?", maxsplit=1)[0]) if is_url(path) else Path(path)
    return (name.with_suffix("") if name.suffix in COMPRESSIONS else name).suffix.lower()


def is_url(path: str) -> bool:
    """Tell whether *path* is a URL: an http or https one, or one that fsspec knows."""
    return "://" in path


def _is_web(path: str) -> bool:
    return path.startswith(("http://", "https://"))


def is_seekable(path: str) -> bool:
    """Tell whether any stretch of *path* can be read without reading what comes before: plain, and no web server's."""
    return not _is_web(path) and Path(path).suffix not in COMPRESSIONS


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """Give *path* as a buffered binary stream, decompressed; raise `InvalidData` or `CannotRun` where it can't be."""
    compression = COMPRESSIONS.get(Path(path).suffix)
    with _raw(path) as raw:
        if compression is None:
            yield raw
            return
        with pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), compression) as stream:
            yield io.BufferedReader(_Guarded(stream, raw, path), BLOCK)


def lines(path: str, start: int = 0, end: int | None = None) -> Iterator[Line]:
    """Give the lines of *path*; of one that is longer than `MAX_LINE` only the start, the rest is passed over.

    Of a plain file, those that start at byte *start* or later and before byte *end* can be asked for; they are
    numbered from 1 all the same.
    """
    with opened(path) as stream:
        readline, number, offset = stream.readline, 0, 0
        if start:
            stream.seek(start - 1)
            offset = start - 1 + _rest_of_line(readline)
        while (end is None or offset < end) and (data := readline(MAX_LINE + 1)):
            number += 1
            cut = len(data) > MAX_LINE
            yield Line(data, number, offset, cut)
            offset += len(data)
            if cut and not data.endswith(b"\n"):
                offset += _rest_of_line(readline)


def _rest_of_line(readline: Callable[[int], bytes]) -> int:
    """Read to the end of the line, and give how many bytes that took."""
    size = 0
    while data := readline(BLOCK):
        size += len(data)
        if data.endswith(b"\n"):
            break
    return size


def whole(path: str, limit: int, hint: str) -> bytes:
    """Give the bytes of *path*; raise `InvalidData`, with *hint*, if there are more than *limit*."""
    with opened(path) as stream:
        data: bytes = stream.read(limit + 1)
    if len(data) > limit:
        raise InvalidData([Problem("BS111", path, f"it is longer than {limit >> 20} MiB", hint=hint)])
    return data


@contextmanager
def _raw(path: str) -> Iterator[Any]:
    if path == "-":
        yield sys.stdin.buffer
    elif is_url(path):
        with fetched(path) as response:
            yield response
    else:
        with Path(path).open("rb", buffering=BLOCK) as file:
            yield file


@contextmanager
def _remote(url: str) -> Iterator[Any]:
    # Only who names such a URL pays for the import.
    import fsspec  # noqa: PLC0415

    try:
        with fsspec.open(url, "rb") as file:
            yield file
    except (OSError, ImportError, ValueError) as error:
        raise cannot_run("BS605", url, f"it cannot be read: {error}") from None


@contextmanager
def fetched(url: str) -> Iterator[Any]:
    """Give the file at *url*, a web server's from its start on; raise `CannotRun` if there is none."""
    if not _is_web(url):
        with _remote(url) as file:
            yield file
        return
    try:
        # Only http and https come here (`is_url`).
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310
            yield response
    except urllib.error.URLError as error:
        raise cannot_run("BS605", url, f"it cannot be fetched: {error.reason}") from None


class _Guarded(io.RawIOBase):
    """A decompressed *stream* that stops where it grows out of all proportion to the *raw* one."""

    def __init__(self, stream: Any, raw: Any, path: str) -> None:
        super().__init__()
        self._stream, self._raw, self._path, self._size = stream, raw, path, 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill *buffer*; raise `InvalidData` for a bomb, or for what can't be decompressed."""
        try:
            data: bytes = self._stream.read(len(buffer))
        except (OSError, pa.ArrowException) as error:
            raise InvalidData([Problem("BS504", self._path, f"it cannot be decompressed: {error}")]) from None
        buffer[: len(data)] = data
        self._size += len(data)
        compressed = max(1, self._raw.tell()) if self._raw.seekable() else self._size
        if self._size > BOMB_SIZE and self._size > BOMB_RATIO * compressed:
            message = f"{compressed:,} compressed bytes grew to more than {self._size:,}"
            raise InvalidData([Problem("BS114", self._path, message)])
        return len(data)
