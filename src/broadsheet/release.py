"""Release folders: takes a place, gives a staging folder, checksums over it, and its move into place as a whole."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from broadsheet.jsonl import decode
from broadsheet.problems import Problem, cannot_run

CHECKSUMS = "SHA256SUMS"
CARD = "README.md"
DATASHEET = "DATASHEET.md"
CODEBOOK = "CODEBOOK.md"


def parquet_path(table: str, split: str = "train", number: int = 0, total: int = 1) -> str:
    """Where shard *number* of *total* of *table*'s *split* lies in a release; the names are those the hub knows."""
    return f"data/{table}/{split}-{number:05d}-of-{total:05d}.parquet"


def parquet_pattern(table: str, split: str, total: int) -> str:
    """Give what matches all *total* shards of *table*'s *split*, and none of another number of them."""
    return parquet_path(table, split) if total == 1 else f"data/{table}/{split}-*-of-{total:05d}.parquet"


def jsonl_path(table: str, split: str = "train", number: int = 0, total: int = 1) -> str:
    """Where the same rows lie as JSON Lines; a table that is one shard of the split `train` is one file of its name."""
    if (split, total) == ("train", 1):
        return f"jsonl/{table}.jsonl"
    return f"jsonl/{table}/{split}-{number:05d}-of-{total:05d}.jsonl"


def schema_path(name: str) -> str:
    """Where the schema with the file name *name* lies in a release."""
    return f"schema/{name}"


@contextmanager
def staged(place: Path) -> Iterator[Path]:
    """Give an empty folder beside *place*; when the block ends well, it takes *place* over, and otherwise vanishes.

    A release that is there is replaced; anything else that is there is refused (`CannotRun`), and never touched.
    """
    _check_place(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    stage = place.parent / f".{place.name}.{secrets.token_hex(4)}.staging"
    stage.mkdir()
    try:
        yield stage
        _sync(stage)
        _swap(stage, place)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write(folder: Path, name: str, data: bytes) -> None:
    """Write *data* to the file *name* of the release in *folder*, whose parents are made."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def remove(folder: Path, name: str) -> None:
    """Remove the file *name* of the release in *folder*, and the folder it was in if that is empty now."""
    path = folder / name
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def write_checksums(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write SHA256SUMS: a line for each file of the release, as coreutils' ``sha256sum -c`` reads it.

    *known* digests, of files that were hashed as they were written, are taken as they are.
    """
    known = known or {}
    lines = [f"{known.get(name) or _sha256(folder / name)}  {name}\n" for name in _files(folder)]
    write(folder, CHECKSUMS, "".join(lines).encode())


def check_checksums(folder: Path) -> list[Problem]:
    """Check that SHA256SUMS lists the files there are, all of them, with their digests."""
    irregular = [path for path in sorted(folder.rglob("*")) if not path.is_dir() or path.is_symlink()]
    irregular = [path for path in irregular if not stat.S_ISREG(path.lstat().st_mode)]
    if irregular:
        names = [path.relative_to(folder).as_posix() for path in irregular]
        return [Problem("BS502", name, "it is no regular file, and was not opened") for name in names]
    checksums, problems = listed(folder)
    if problems:
        return problems
    there = _files(folder)
    problems = [
        Problem("BS501", name, "SHA256SUMS lists it, but it is not there") for name in checksums if name not in there
    ]
    for name in there:
        if name not in checksums:
            problems.append(Problem("BS502", name, "SHA256SUMS does not list it"))
        elif (found := _sha256(folder / name)) != checksums[name]:
            message = f"its SHA-256 is {found}, SHA256SUMS says {checksums[name]}"
            hint = "Nobody edits a release: restore the file, or build anew."
            problems.append(Problem("BS503", name, message, hint=hint))
    return problems


def listed(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    """Give the digests by file name that SHA256SUMS lists, or what is wrong with it.

    A name must lie in the release: no absolute path, no ``..``, no backslash. Nothing it names is opened before that.
    """
    checksums: dict[str, str] = {}
    problems = []
    text, found = decode((folder / CHECKSUMS).read_bytes(), CHECKSUMS)
    for number, line in enumerate(text.splitlines(), start=1):
        checksum, _, name = line.partition("  ")
        parts = PurePosixPath(name).parts
        if not name:
            problems.append(Problem("BS503", CHECKSUMS, "the line is not '<digest>  <file>'", line=number))
        elif name.startswith("/") or ".." in parts or "\\" in name:
            problems.append(Problem("BS502", CHECKSUMS, f"{name!r} lies outside the release", line=number))
        checksums[name] = checksum
    return checksums, found + problems


def compare(expected: Path, found: Path) -> list[Problem]:
    """Give a problem for each file in which the release *found* differs from the release *expected*."""
    hint = "Run `broadsheet build`, read what changed, and commit it."
    problems = []
    for name in sorted({*_files(expected), *_files(found), CHECKSUMS}):
        built, kept = expected / name, found / name
        if not kept.is_file():
            problems.append(Problem("BS510", name, "the inputs build this file, but the release lacks it", hint=hint))
        elif not built.is_file():
            problems.append(Problem("BS510", name, "the inputs do not build this file", hint=hint))
        elif _sha256(kept) != _sha256(built):
            is_text = name != CHECKSUMS and not name.endswith(".parquet")
            line = _first_difference(kept.read_bytes(), built.read_bytes()) if is_text else None
            problems.append(Problem("BS510", name, "it is not what the inputs build", line=line, hint=hint))
    return problems


def _first_difference(old: bytes, new: bytes) -> int:
    pairs = zip(old.split(b"\n"), new.split(b"\n"), strict=False)
    shorter = min(old.count(b"\n"), new.count(b"\n")) + 1
    return next((number for number, (a, b) in enumerate(pairs, start=1) if a != b), shorter)


def _files(folder: Path) -> list[str]:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in names if name != CHECKSUMS)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_place(place: Path) -> None:
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise cannot_run("BS602", place, "it is no folder")
    if place.is_dir() and any(place.iterdir()) and not (place / CHECKSUMS).is_file():
        hint = "A release is replaced, anything else is not: name another folder, or empty this one."
        raise cannot_run("BS602", place, f"it is no release: it has no {CHECKSUMS}", hint=hint)


def _sync(folder: Path) -> None:
    """Have everything in *folder* written to disk."""
    for path in [*folder.rglob("*"), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _swap(stage: Path, place: Path) -> None:
    """Rename *stage* to *place*; what was there goes aside first, and comes back if the rename fails."""
    aside = None
    if place.exists():
        aside = stage.with_suffix(".replaced")
        place.rename(aside)
    try:
        stage.rename(place)
    except BaseException:
        if aside is not None:
            aside.rename(place)
        raise
    if aside is not None:
        shutil.rmtree(aside)
