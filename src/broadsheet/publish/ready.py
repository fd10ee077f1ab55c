"""What goes out: takes a dataset whose release verifies, gives its files, and what its card says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import yaml

from broadsheet import release
from broadsheet.problems import InvalidData, Problem, raise_if
from broadsheet.progress import Tell
from broadsheet.recipe import Recipe
from broadsheet.verify import verify


@dataclass(frozen=True)
class Card:
    """What a dataset card says by which releases are compared.

    The dataset's *name* is its identity: titles change. *columns* are the features of each table, as the card has them.
    """

    name: str
    version: str
    digest: str
    rows: Mapping[str, int]
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class File:
    """A file to publish: its *path* here, *size* in bytes, and the hexadecimal *sha256* that SHA256SUMS says."""

    path: Path
    size: int
    sha256: str

    @cached_property
    def blob(self) -> str:
        """What git calls the same bytes, which is all that a hub tells of a small file."""
        data = self.path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Held:
    """A file at a target, by its *size* and the *sha256* of its bytes, or else by its *blob*, git's name for them."""

    size: int
    sha256: str | None = None
    blob: str | None = None

    def is_same(self, file: File) -> bool:
        """Tell whether it has the bytes of *file*."""
        return self.size == file.size and (self.sha256 == file.sha256 if self.sha256 else self.blob == file.blob)


@dataclass(frozen=True)
class Ready:
    """A release that verifies: its *card*, and its *files* by name; *warnings* are what was found that is no error.

    The files are what SHA256SUMS lists, that file itself, and its signature, if there is one.
    """

    card: Card
    files: Mapping[str, File]
    warnings: Sequence[Problem] = ()


def prepared(dataset: Recipe, tell: Tell) -> Ready:
    """Give the release of *dataset* as it goes out; raise `BroadsheetError` if it does not verify."""
    folder = dataset.release
    warnings = verify(folder, tell=tell)
    raise_if(warnings)
    # The list, and not the folder, says what goes out: nothing that came to lie there by chance does. Two files cannot
    # be listed.
    checksums, problems = release.listed(folder)
    raise_if(problems)
    unlisted = [name for name in (release.CHECKSUMS, release.SIGNATURE) if (folder / name).is_file()]
    listed = {**checksums, **{name: release.sha256(folder / name) for name in unlisted}}
    files = {name: File(folder / name, (folder / name).stat().st_size, sha256) for name, sha256 in listed.items()}
    card = card_of((folder / release.CARD).read_text(encoding="utf-8"))
    if card is None:
        hint = "Run `broadsheet build`: it was made before cards said so."
        raise InvalidData([Problem("BS509", release.CARD, "it does not say which dataset it is of", hint=hint)])
    return Ready(card, files, warnings)


def card_of(text: str) -> Card | None:
    """Give what the dataset card *text* says; None if it is not that of a release of this program."""
    front = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    try:
        data: Any = yaml.safe_load(front[1]) if front else None
        config = data["configs"][0]
        found = re.search(r"sha256:[0-9a-f]{64}", config["description"])
        return Card(
            name=str(data["broadsheet"]["dataset"]),
            version=str(config["version"]),
            digest=found[0] if found else "",
            rows={one["config_name"]: sum(s["num_examples"] for s in one["splits"]) for one in data["dataset_info"]},
            columns={one["config_name"]: one["features"] for one in data["dataset_info"]},
        )
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        return None


def digest_of(stream: IO[bytes]) -> str:
    """Give the hexadecimal SHA-256 of what is left of *stream*."""
    found = hashlib.sha256()
    while data := stream.read(1 << 20):
        found.update(data)
    return found.hexdigest()


def is_same(files: Mapping[str, Held], own: Ready) -> bool:
    """Tell whether *files* are those of *own*: all of them, and no others."""
    return files.keys() == own.files.keys() and all(files[name].is_same(file) for name, file in own.files.items())
