"""Release folders: takes a place, gives a staging folder, checksums over it, and its move into place as a whole."""

from __future__ import annotations

import glob
import hashlib
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory, gettempdir
from typing import IO

from broadsheet import disk, lock, reading, storage
from broadsheet.jsonl import decode
from broadsheet.problems import Problem, cannot_run

CHECKSUMS = "SHA256SUMS"
#: The signature of SHA256SUMS, if there is one: see `signature`. It is the one file that SHA256SUMS cannot list.
SIGNATURE = "SHA256SUMS.sig"
CARD = "README.md"
DATASHEET = "DATASHEET.md"
CODEBOOK = "CODEBOOK.md"
CROISSANT = "croissant.json"
LICENSE = "LICENSE"


def parquet_path(table: str, split: str = "train", number: int = 0, total: int = 1) -> str:
    """Where shard *number* of *total* of *table*'s *split* lies in a release; the names are those the hub knows."""
    return f"data/{table}/{split}-{number:05d}-of-{total:05d}.parquet"


def parquet_pattern(table: str, split: str, total: int) -> str:
    """Give what matches all *total* shards of *table*'s *split*, and none of another number of them."""
    return parquet_path(table, split) if total == 1 else f"data/{table}/{split}-*-of-{total:05d}.parquet"


def jsonl_path(table: str, split: str = "train", number: int = 0, total: int = 1) -> str:
    """Where the same rows lie as JSON Lines; a split of one shard is one file, named after its table."""
    if total == 1:
        return f"jsonl/{table}.jsonl" if split == "train" else f"jsonl/{table}-{split}.jsonl"
    return f"jsonl/{table}/{split}-{number:05d}-of-{total:05d}.jsonl"


def is_data(name: str) -> bool:
    """Tell whether the file *name* of a release is a table that ``load_dataset`` loads, and not its twin."""
    return name.endswith(".parquet")


def schema_path(name: str) -> str:
    """Where the schema with the file name *name* lies in a release."""
    return f"schema/{name}"


@dataclass(frozen=True)
class Stage:
    """Where a release is made: its documents in the *folder*, its tables in *data*, and what nobody keeps in *scratch*.

    All who share the work must reach *data* and *scratch*, by path or by URL; the folder is this process's own.
    """

    folder: Path
    data: str
    scratch: str


@contextmanager
def claimed(place: Path | str) -> Iterator[None]:
    """Have *place* for this process alone while the block runs, without what a killed one has left beside it.

    Raises `CannotRun`, and says who has it, if another one does. Nothing can be held at a URL.
    """
    if isinstance(place, str) and reading.is_url(place):
        yield
        return
    place = Path(place)
    with disk.watched(place.parent, gettempdir()):
        place.parent.mkdir(parents=True, exist_ok=True)
        with lock.held(place):
            _tidy(place)
            yield


@contextmanager
def staged(place: Path | str) -> Iterator[Stage]:
    """Give the stage of a release; when the block ends well, the release is in *place*, and otherwise nothing is.

    On this machine's disks, the stage lies beside *place*, which is `claimed`, and takes it over as a whole; a release
    that is there is replaced, and its signature stays if it holds for the new one, too. At a URL, the tables are
    written in place, and SHA256SUMS, which makes them a release, comes last; what is there already is not replaced.
    Anything that is no release is refused (`CannotRun`), and never touched.
    """
    token = secrets.token_hex(4)
    if isinstance(place, str) and reading.is_url(place):
        with _staged_elsewhere(place.rstrip("/"), token) as stage:
            yield stage
        return
    place = Path(place)
    _check_place(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    folder, scratch, aside = (place.parent / f".{place.name}.{token}.{what}" for what in _BESIDE)
    try:
        # Asked before all is removed: a disk may be full.
        with disk.watched(place.parent, gettempdir()):
            folder.mkdir()
            scratch.mkdir()
            yield Stage(folder, str(folder.absolute()), str(scratch.absolute()))
            _keep_signature(place, folder)
            _sync(folder)
            _swap(folder, place, aside)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    # What was there before stays beside it until this holds.
    disk.confirm(place)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(aside, ignore_errors=True)


#: What lies beside a place meanwhile: the release that is made, what is made on the way, and the release before it,
#: where two folders can't change places in one step.
_BESIDE = ("staging", "scratch", "replaced")


@contextmanager
def _staged_elsewhere(place: str, token: str) -> Iterator[Stage]:
    if storage.exists(place):
        hint = "A release elsewhere than on this machine's disks is not replaced: name another place."
        raise cannot_run("BS602", place, "something is there already", hint=hint)
    scratch = f"{place}.{token}.scratch"
    done = False
    try:
        with TemporaryDirectory(prefix="broadsheet-") as folder:
            yield Stage(Path(folder), place, scratch)
            for name in [*_files(Path(folder)), CHECKSUMS]:
                with storage.created(place, name, scratch) as file:
                    file.write((Path(folder) / name).read_bytes())
        done = True
    finally:
        storage.remove_all(scratch)
        if not done:
            storage.remove_all(place)


def write(folder: Path, name: str, data: bytes) -> None:
    """Write *data* to the file *name* of the release in *folder*, whose parents are made."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def write_checksums(folder: Path, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Write SHA256SUMS, and give it: a line for each file of the release, as coreutils' ``sha256sum -c`` reads it.

    *known* digests, of files that were hashed as they were written (and may lie elsewhere), are taken as they are.
    """
    known = known or {}
    names = sorted({*_files(folder), *known})
    checksums = {name: known.get(name) or sha256(folder / name) for name in names}
    write(folder, CHECKSUMS, "".join(f"{digest}  {name}\n" for name, digest in checksums.items()).encode())
    return checksums


def sha256(path: Path) -> str:
    """Give the SHA-256 of the file at *path*, in hexadecimal digits."""
    with path.open("rb") as file:
        return sha256_of(file)


def sha256_of(file: IO[bytes]) -> str:
    """Give the SHA-256 of what is left in *file*."""
    hasher = hashlib.sha256()
    while data := file.read(reading.BLOCK):
        hasher.update(data)
    return hasher.hexdigest()


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
            hint = "What git or a download put there is no part of a release: remove it." if name[0] == "." else ""
            problems.append(Problem("BS502", name, "SHA256SUMS does not list it", hint=hint))
        elif (found := sha256(folder / name)) != checksums[name]:
            message = f"its SHA-256 is {found}, SHA256SUMS says {checksums[name]}"
            hint = "Nobody edits a release: restore the file, or build anew."
            problems.append(Problem("BS503", name, message, hint=hint))
    return problems


def listed(folder: Path) -> tuple[dict[str, str], list[Problem]]:
    """Give the digests by file name that SHA256SUMS lists, or what is wrong with it.

    It has the one form that `write_checksums` gives it, so that no bit of it can change unnoticed. A name must lie in
    the release: no absolute path, no ``..``, no backslash. Nothing it names is opened before that.
    """
    checksums: dict[str, str] = {}
    text, problems = decode((folder / CHECKSUMS).read_bytes(), CHECKSUMS)
    *lines, rest = text.split("\n")
    last = ""
    for number, line in enumerate(lines, start=1):
        found = _LISTED.fullmatch(line)
        name = found[2] if found else ""
        if found is None:
            message = "the line is not '<digest>  <file>', with 64 lower-case hexadecimal digits"
            problems.append(Problem("BS503", CHECKSUMS, message, line=number))
        elif name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name:
            problems.append(Problem("BS502", CHECKSUMS, f"{name!r} lies outside the release", line=number))
        elif name <= last:
            message = f"{name!r} does not come after {last!r}: each file is listed once, by the order of names"
            problems.append(Problem("BS503", CHECKSUMS, message, line=number))
        else:
            checksums[name], last = found[1], name
    if rest:
        problems.append(Problem("BS503", CHECKSUMS, "the last line is cut short", line=len(lines) + 1))
    return checksums, problems


_LISTED = re.compile(r"([0-9a-f]{64})  (.+)")


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
        elif sha256(kept) != sha256(built):
            is_text = name != CHECKSUMS and not is_data(name)
            line = _first_difference(kept.read_bytes(), built.read_bytes()) if is_text else None
            problems.append(Problem("BS510", name, "it is not what the inputs build", line=line, hint=hint))
    return problems


def _first_difference(old: bytes, new: bytes) -> int:
    pairs = zip(old.split(b"\n"), new.split(b"\n"), strict=False)
    shorter = min(old.count(b"\n"), new.count(b"\n")) + 1
    return next((number for number, (a, b) in enumerate(pairs, start=1) if a != b), shorter)


def _files(folder: Path) -> list[str]:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in names if name not in {CHECKSUMS, SIGNATURE})


def _check_place(place: Path) -> None:
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise cannot_run("BS602", place, "it is no folder")
    if place.is_dir() and any(place.iterdir()) and not (place / CHECKSUMS).is_file():
        hint = "A release is replaced, anything else is not: name another folder, or empty this one."
        raise cannot_run("BS602", place, f"it is no release: it has no {CHECKSUMS}", hint=hint)


def _keep_signature(place: Path, stage: Path) -> None:
    """Copy the signature of the release in *place*, if it has one, to the one in *stage* if that has the same bytes."""
    signature, signed, own = place / SIGNATURE, place / CHECKSUMS, stage / CHECKSUMS
    if signature.is_file() and own.is_file() and own.read_bytes() == signed.read_bytes():
        write(stage, SIGNATURE, signature.read_bytes())


def _sync(folder: Path) -> None:
    """Have everything in *folder* written to disk."""
    for path in [*folder.rglob("*"), folder]:
        disk.sync(path)


def _swap(stage: Path, place: Path, aside: Path) -> None:
    """Rename *stage* to *place*; what was there takes its name, or goes *aside*, and is back if the rename fails."""
    if not place.exists():
        stage.rename(place)
    elif not disk.exchange(stage, place):
        place.rename(aside)
        try:
            stage.rename(place)
        except BaseException:
            aside.rename(place)
            raise


def _tidy(place: Path) -> None:
    """Remove what killed builds have left beside *place*; a release that one had just put aside is put back."""
    name = f".{glob.escape(place.name)}.{'[0-9a-f]' * 8}"
    if not place.exists():
        for aside in [*place.parent.glob(f"{name}.replaced")][:1]:
            aside.rename(place)
    for left in [path for what in _BESIDE for path in place.parent.glob(f"{name}.{what}")]:
        shutil.rmtree(left, ignore_errors=True)
