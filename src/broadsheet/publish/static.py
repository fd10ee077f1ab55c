"""A static host as a target: a folder here, or any URL that fsspec can write to.

A version's files lie under ``v<version>/``; ``latest.json`` points to the last one, and is swapped at the very end. Who
reads from the pointer follows, who reads from the folder pins. Of a version, SHA256SUMS is the last file to arrive:
where it is, the version is whole.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from broadsheet import reading, release, storage
from broadsheet.problems import InvalidData, Problem
from broadsheet.progress import Tell
from broadsheet.publish import target
from broadsheet.publish.plan import Plan
from broadsheet.publish.ready import Card, Held, Ready, card_of, digest_of
from broadsheet.publish.target import There
from broadsheet.versions import Version

POINTER = "latest.json"
# Where files of a local folder lie until they are whole.
_PASSING = ".sending"
_VERSION = re.compile(r"v\d+\.\d+\.\d+[\w.+-]*")


@dataclass(frozen=True)
class Static:
    """The host whose files lie in *root*, a path or a URL; *address* is what the user calls it.

    *private* is what the user says of it: nothing here can tell who is let in.
    """

    root: str
    address: str
    private: bool = False

    def look(self, own: Ready) -> There:
        """Give the version that the pointer names, and what lies where the new one will."""
        with self._asking():
            at = self._pointed_at()
            folder = _folder(own)
            files = dict(self._held(folder))
            named = files if release.CHECKSUMS in files else None
            if named is None and (left := sorted(files.keys() - own.files.keys())):
                message = f"{folder}/ was begun, with files that this release has not: {', '.join(left[:5])}"
                raise InvalidData([Problem("BS804", self.address, message, hint="Remove that folder, if it may go.")])
            names = self._names()
            versions_there = sorted(name for name in names if _VERSION.fullmatch(name))
            card = self._card(at or (versions_there[-1] if versions_there else None))
            known = {POINTER, _PASSING, *(versions_there if card else [])}
            leads = at is not None and Version.parse(at[1:])[:3] >= Version.parse(own.card.version)[:3]
            return There(
                at,
                card,
                self._listed(at) if at else [],
                files,
                named,
                strange=[name for name in sorted(names) if name not in known and at is None],
                is_private=self.private,
                is_done=named is not None and leads,
            )

    def send(self, own: Ready, there: There, plan: Plan, tell: Tell) -> str:  # noqa: ARG002 - not all targets need all
        """Put each file there that is not there yet, SHA256SUMS last."""
        folder = _folder(own)
        with self._asking():
            for number, name in enumerate(sorted(plan.sent, key=lambda name: name == release.CHECKSUMS), start=1):
                tell(f"sending file {number} of {len(plan.sent)}")
                self._put(f"{folder}/{name}", own.files[name].path)
        return folder

    @contextmanager
    def opened(self, name: str, where: str) -> Iterator[IO[bytes]]:
        """Give the file as it lies there; what goes wrong while it is read is told as well."""
        with self._asking(), self._opened(f"{where}/{name}") as stream:
            yield stream

    def name(self, own: Ready, there: There, where: str) -> None:
        """Have the pointer name the version, unless it names this or a later one already."""
        if there.is_done:
            return
        with self._asking():
            if self._pointed_at() != there.at:
                hint = "Look at what is there now (--dry-run), and decide again."
                message = f"somebody else published there meanwhile; {POINTER} was not touched"
                raise InvalidData([Problem("BS806", self.address, message, hint=hint)])
            sums = own.files[release.CHECKSUMS].sha256
            value = {"dataset": own.card.name, "version": own.card.version, "digest": own.card.digest}
            self._swap(json.dumps({**value, "path": f"{where}/", "sha256sums": sums}, indent=2).encode() + b"\n")

    # --- what is there ---

    def _pointed_at(self) -> str | None:
        try:
            with self._opened(POINTER) as stream:
                value = json.loads(stream.read())
        except FileNotFoundError:
            return None
        except ValueError:
            value = None
        version = value.get("version") if isinstance(value, dict) else None
        if not (isinstance(version, str) and _VERSION.fullmatch(f"v{version}")):
            raise InvalidData([Problem("BS804", self.address, f"its {POINTER} names no version")])
        return f"v{version}"

    def _card(self, folder: str | None) -> Card | None:
        try:
            with self._opened(f"{folder}/{release.CARD}") as stream:
                return card_of(stream.read().decode("utf-8", "replace"))
        except FileNotFoundError:
            return None

    def _names(self) -> list[str]:
        found, path = self._found()
        if not found.exists(path):
            return []
        return [name.rstrip("/").rsplit("/", 1)[-1] for name in found.ls(path, detail=False)]

    def _held(self, folder: str) -> Iterator[tuple[str, Held]]:
        """Give the files under *folder*, with the digests of what was read from there."""
        for name in self._listed(folder):
            with self._opened(f"{folder}/{name}") as stream:
                sha256 = digest_of(stream)
            yield name, Held(storage.size(f"{self.root}/{folder}/{name}"), sha256)

    def _listed(self, folder: str) -> list[str]:
        found, path = self._found(folder)
        if not found.exists(path):
            return []
        return sorted(full.removeprefix(path).lstrip("/") for full in found.find(path))

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        with storage.opened(self.root, name) as stream:
            yield stream

    # --- what is put there ---

    def _put(self, name: str, path: Path) -> None:
        if reading.is_url(self.root):
            found, place = self._found(name)
            # An upload of a file appears whole or not at all at an object store, which has no folders to make.
            found.put_file(str(path), place)
            return
        with self._passing() as passing, path.open("rb") as source, storage.created(self.root, name, passing) as file:
            shutil.copyfileobj(source, file, 1 << 20)
        storage.sync(self.root, name)

    def _swap(self, data: bytes) -> None:
        """Write the pointer; readers find the old one or the new one."""
        if reading.is_url(self.root):
            found, place = self._found(POINTER)
            found.pipe_file(place, data)
            return
        with self._passing() as passing, storage.created(self.root, POINTER, passing) as file:
            file.write(data)
        storage.sync(self.root, POINTER)

    @contextmanager
    def _passing(self) -> Iterator[str]:
        folder = Path(self.root, _PASSING)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _found(self, name: str = "") -> tuple[Any, str]:
        """Give the file system and the path of *name*; what others did meanwhile is seen."""
        found, path = storage.filesystem(f"{self.root}/{name}".rstrip("/"))
        found.invalidate_cache()
        return found, path

    @contextmanager
    def _asking(self) -> Iterator[None]:
        # A folder's errors are the system's, and told as such.
        if not reading.is_url(self.root):
            yield
            return
        with target.reaching(self.address):
            yield


def _folder(own: Ready) -> str:
    return f"v{own.card.version}"
