"""Fetching: takes the name of a release (a path, a URL, a git revision), gives its files on this machine's disks.

Only files that its SHA256SUMS lists are fetched, of these only those that are asked for, and each must have the digest
it is listed with.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from broadsheet import reading, release
from broadsheet.problems import Problem, cannot_run, raise_if

#: What the name of a revision starts with: ``git:v1.0.0`` or ``git:v1.0.0:dataset/release``.
GIT = "git:"

Wanted = Callable[[str], bool]
_Opener = Callable[[str], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class Fetched:
    """A release as messages show it, its *folder* here, and the *checksums* that it lists, by file name."""

    shown: str
    folder: Path
    checksums: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """The SHA-256 of its SHA256SUMS, which stands for the bytes of all its files."""
        return release.sha256(self.folder / release.CHECKSUMS)


def fetch(name: str, scratch: Path, wanted: Wanted) -> Fetched:
    """Give the release called *name*, with the files that are *wanted*, in *scratch* if it is on no disk here.

    *name* is a folder (a release's, or a dataset's that holds one), a URL (of a web server, or of what fsspec knows, as
    ``hf://datasets/NAMESPACE/NAME@TAG``), or ``git:REV`` or ``git:REV:PATH`` in the repository around the working
    directory. Raises `CannotRun` if there is none, and `InvalidData` if a file is not what its SHA256SUMS says.
    """
    if name.startswith(GIT):
        revision, _, path = name.removeprefix(GIT).partition(":")
        here = Path()
        commit = _commit(here, revision)
        return _from_git(name, here, commit, _folder_in(here, name, commit, path), scratch, wanted=wanted)
    if reading.is_url(name):
        url = name.rstrip("/")
        return _copied(name, scratch, wanted, lambda file: reading.fetched(f"{url}/{file}"))
    return _checked(name, _folder(Path(name)), wanted)


def fetch_released(folder: Path, sha256: str, scratch: Path, wanted: Wanted) -> Fetched | None:
    """Give the release whose SHA256SUMS has the digest *sha256*, as it is in *folder* or was in a commit of it.

    Nothing is given if it is in neither, or if *folder* is in no git repository.
    """
    checksums = folder / release.CHECKSUMS
    if checksums.is_file() and release.sha256(checksums) == sha256:
        return _checked(str(folder), folder, wanted)
    try:
        log = _git(folder.parent, "log", "--format=%H", "--", f"{folder.name}/{release.CHECKSUMS}").decode().split()
        prefix = _git(folder.parent, "rev-parse", "--show-prefix").decode().rstrip("\n")
    except (subprocess.CalledProcessError, OSError):
        return None
    for commit in log:
        # A commit that removed the file is in the log too.
        with _blob(folder.parent, f"{commit}:{prefix}{folder.name}/{release.CHECKSUMS}") as file:
            found = release.sha256_of(file)
        if found == sha256:
            path = f"{prefix}{folder.name}"
            return _from_git(f"{GIT}{commit[:12]}:{path}", folder.parent, commit, path, scratch, wanted=wanted)
    return None


def committed(path: Path) -> bytes | None:
    """Give the file at *path* as it is in the last commit of its repository, or nothing if it is in none."""
    try:
        return _git(path.parent, "cat-file", "blob", f"HEAD:./{path.name}")
    except (subprocess.CalledProcessError, OSError):
        return None


def _folder(folder: Path) -> Path:
    for place in (folder, folder / "release"):
        if (place / release.CHECKSUMS).is_file():
            return place
    hint = f"Name a release's folder, which has {release.CHECKSUMS}, or a dataset's folder that holds one."
    raise cannot_run("BS601", folder, "there is no release", hint=hint)


def _copied(shown: str, scratch: Path, wanted: Wanted, opener: _Opener) -> Fetched:
    _copy(opener, release.CHECKSUMS, scratch)
    names, problems = release.listed(scratch)
    raise_if(problems)
    for file in filter(wanted, names):
        _copy(opener, file, scratch)
    return _checked(shown, scratch, wanted)


def _copy(opener: _Opener, file: str, scratch: Path) -> None:
    path = scratch / PurePosixPath(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with opener(file) as source, path.open("wb") as copy:
        shutil.copyfileobj(source, copy, reading.BLOCK)


def _checked(shown: str, folder: Path, wanted: Wanted) -> Fetched:
    checksums, problems = release.listed(folder)
    raise_if(problems)
    differences = (_difference(f"{shown}/{file}", folder / file, checksums[file]) for file in checksums if wanted(file))
    raise_if([found for found in differences if found is not None])
    return Fetched(shown, folder, checksums)


def _difference(where: str, path: Path, listed: str) -> Problem | None:
    if not path.is_file():
        return Problem("BS501", where, "SHA256SUMS lists it, but it is not there")
    found = release.sha256(path)
    if found == listed:
        return None
    with path.open("rb") as file:
        if file.read(len(reading.LFS_POINTER)) == reading.LFS_POINTER:
            return Problem("BS115", where, "it is a pointer of Git LFS, not the data")
    return Problem("BS503", where, f"its SHA-256 is {found}, SHA256SUMS says {listed}")


# --- git ---


def _from_git(shown: str, repository: Path, commit: str, path: str, scratch: Path, *, wanted: Wanted) -> Fetched:
    inside = f"{path}/" if path else ""
    return _copied(shown, scratch, wanted, lambda file: _blob(repository, f"{commit}:{inside}{file}"))


def _commit(repository: Path, revision: str) -> str:
    try:
        # Nothing that a revision is called is taken for an option.
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return _git(repository, *asked).decode().strip()
    except (subprocess.CalledProcessError, OSError):
        hint = "Name a commit, a branch or a tag of the repository around the working directory."
        raise cannot_run("BS601", f"{GIT}{revision}", "there is no such revision here", hint=hint) from None


def _folder_in(repository: Path, shown: str, commit: str, path: str) -> str:
    """Give the folder of the release in *commit*: at *path*, or, if that is empty, the dataset's, or the only one."""
    files = _git(repository, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).decode().split("\0")
    releases = [str(PurePosixPath(file).parent) for file in files if PurePosixPath(file).name == release.CHECKSUMS]
    prefix = _git(repository, "rev-parse", "--show-prefix").decode().rstrip("\n")
    usual = (f"{prefix}release", f"{prefix}dataset/release", "dataset/release")
    named = [str(PurePosixPath(path)), str(PurePosixPath(path) / "release")]
    for folder in named if path else [*usual, *(releases if len(releases) == 1 else ())]:
        if folder in releases:
            return "" if folder == "." else folder
    hint = f"Name it: {GIT}REV:PATH. There are releases at {', '.join(releases)}." if releases else ""
    raise cannot_run("BS601", shown, "there is no release in it", hint=hint)


@contextmanager
def _blob(repository: Path, name: str) -> Iterator[IO[bytes]]:
    """Give the file that git calls *name*, as it is stored; one that is not there is empty."""
    command = ["git", "-C", str(repository), "cat-file", "blob", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - git
        assert process.stdout is not None  # noqa: S101 - it was asked for
        yield process.stdout


def _git(folder: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - git, by arguments of ours
