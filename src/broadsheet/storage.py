"""Storage: takes a folder, a path or a URL that fsspec knows, gives files in it, written whole and hashed."""

from __future__ import annotations

import atexit
import hashlib
import io
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

from broadsheet import disk, reading
from broadsheet.problems import cannot_run


def filesystem(url: str) -> tuple[Any, str]:
    """Give the fsspec file system of *url*, and the path in it."""
    # Only who names a URL pays for the import.
    import fsspec.core  # noqa: PLC0415

    try:
        found, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError, OSError) as error:
        raise cannot_run("BS605", url, f"it cannot be reached: {error}") from None
    return found, path


def size(place: str) -> int:
    """Give the size of the file at *place* in bytes."""
    if not reading.is_url(place):
        return Path(place).stat().st_size
    found, path = filesystem(place)
    try:
        return int(found.size(path))
    except OSError as error:
        raise cannot_run("BS605", place, f"it cannot be read: {error}") from None


def matching(pattern: str) -> list[str]:
    """Give the URLs of the files that *pattern* matches, a URL with * in it, sorted; one without is given as it is."""
    if "*" not in pattern:
        return [pattern]
    found, path = filesystem(pattern)
    return sorted(found.unstrip_protocol(name) for name in found.glob(path))


class Hashed(io.RawIOBase):
    """A binary file to be written; knows the *sha256* and the *size* of what went into it."""

    def __init__(self, file: IO[bytes]) -> None:
        """Take the open *file*; who opened it closes it."""
        super().__init__()
        self._file, self._hash, self.size = file, hashlib.sha256(), 0

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of all that was written."""
        return self._hash.hexdigest()

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def tell(self) -> int:
        """Give how much was written."""
        return self.size

    def write(self, data: Any) -> int:
        """Write *data*."""
        view = memoryview(data)
        self._hash.update(view)
        self._file.write(view)
        self.size += view.nbytes
        return view.nbytes


@contextmanager
def created(folder: str, name: str, scratch: str) -> Iterator[Hashed]:
    """Give the new file *name* in *folder*; it is there when the block ends well, whole, or not at all.

    Until then it lies in *scratch*, on the same file system, and so does what a killed process leaves. Two that write
    the same file at once, as when a task is tried again, do not meet: the last one to end wins.
    """
    if reading.is_url(folder):
        found, path = filesystem(f"{folder}/{name}")
        found.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        with found.open(path, "wb") as file:
            yield Hashed(file)
        return
    final = Path(folder, name)
    final.parent.mkdir(parents=True, exist_ok=True)
    passing = Path(scratch, f"{final.name}.{secrets.token_hex(4)}")
    try:
        with passing.open("wb", buffering=1 << 20) as file:
            yield Hashed(file)
        passing.replace(final)
    finally:
        passing.unlink(missing_ok=True)


def sync(folder: str, name: str) -> None:
    """Have the file *name* in *folder* written to disk; elsewhere it is in safe hands."""
    if not reading.is_url(folder):
        disk.sync(Path(folder, name))


@contextmanager
def opened(folder: str, name: str) -> Iterator[IO[bytes]]:
    """Give the file *name* in *folder* to be read, from any place in it."""
    if reading.is_url(folder):
        found, path = filesystem(f"{folder}/{name}")
        with found.open(path, "rb") as file:
            yield file
    else:
        with Path(folder, name).open("rb") as file:
            yield file


def exists(url: str) -> bool:
    """Tell whether there is anything at *url*."""
    found, path = filesystem(url)
    return bool(found.exists(path))


def remove_all(url: str) -> None:
    """Remove all that lies under *url*, if there is anything."""
    found, path = filesystem(url)
    found.invalidate_cache()
    if found.exists(path):
        found.rm(path, recursive=True)


def local(place: str) -> str:
    """Give the path of the file at *place* on this machine; what is elsewhere is fetched, once in a process."""
    return _fetched(place) if reading.is_url(place) else place


@cache
def _fetched(url: str) -> str:
    found, path = filesystem(url)
    folder = tempfile.mkdtemp(prefix="broadsheet-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    found.get_file(path, f"{folder}/file")
    return f"{folder}/file"


def unpack(path: str, folder: str, name: str) -> tuple[str, int]:
    """Write the bytes of *path*, decompressed, to the file *name* in *folder*; give its place and its size."""
    with reading.opened(path) as stream, created(folder, name, folder) as file:
        while data := stream.read(reading.BLOCK):
            file.write(data)
    return f"{folder}/{name}", file.size
