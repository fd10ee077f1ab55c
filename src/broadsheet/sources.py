"""Sources: takes a recipe, gives the files of records it is made from, and cuts them into shards.

A record is an article's row with its paragraphs and stances beside it, as lists. The input is cut by its own bytes:
how many workers there are does not matter.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from broadsheet import contract, jsonl, reading, segment, sidecar, storage
from broadsheet.annotations import annotate
from broadsheet.assemble import assemble
from broadsheet.problems import Problem, raise_if
from broadsheet.recipe import Recipe
from broadsheet.segment import Article
from broadsheet.shards import Shard, Stretch

#: How many bytes of input make a shard: so many that the shards are about `SHARDS`, and within these bounds. The upper
#: one keeps a shard's files under 500 MB.
SHARDS = 64
SMALLEST, LARGEST = 32 << 20, 448 << 20


@dataclass(frozen=True)
class File:
    """A plain file of records of one *split*, JSON Lines; *shown* is its name in messages."""

    path: str
    shown: str
    split: str
    size: int


@dataclass(frozen=True)
class Given:
    """What a dataset is made from: *files* of records; and the *articles* of its pages, if it has pages.

    *index* is where the sidecar lies, if there is one, and *joined* how many rows it has.
    """

    files: Sequence[File]
    articles: Sequence[Article] = ()
    index: str | None = None
    joined: int = 0


def gather(recipe: Recipe, scratch: str) -> Given:
    """Give the records of the dataset; raise `InvalidData` with what is wrong.

    What is not a plain file of records becomes one in *scratch*: those made from pages, and what is compressed.
    """
    if recipe.articles is None:
        return _from_pages(recipe, scratch)
    named = recipe.articles["files"]
    files, problems = [], []
    for split, patterns in (named if isinstance(named, Mapping) else {"train": named}).items():
        paths, found = _expanded(recipe, patterns)
        problems += found
        files += [_plain(path, split, recipe, scratch) for path in paths]
    sidecars = []
    for table, section in (("paragraphs", recipe.paragraphs), ("stances", recipe.stances)):
        paths, found = _expanded(recipe, section["files"] if section else ())
        problems += found
        sidecars += [sidecar.Source(table, path, recipe.shown(Path(path))) for path in paths]
    raise_if(problems)
    if not sidecars:
        return Given(files)
    index = f"{scratch}/sidecar.sqlite"
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as folder:
        rows, problems = sidecar.write(Path(folder) / "sidecar.sqlite", sidecars)
        raise_if(problems)
        storage.unpack(f"{folder}/sidecar.sqlite", scratch, "sidecar.sqlite")
    return Given(files, (), index, rows)


def _from_pages(recipe: Recipe, scratch: str) -> Given:
    articles = segment.segment(recipe)
    with storage.created(scratch, "records.jsonl") as file:
        for record in assemble(recipe, articles, annotate(recipe, articles)):
            file.write(jsonl.serialize([record]))
    return Given([File(f"{scratch}/records.jsonl", "articles", "train", file.size)], articles)


def _expanded(recipe: Recipe, patterns: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """Give the files that *patterns* match, in the patterns' order and by name; one that matches none is wrong."""
    paths: list[str] = []
    problems = []
    for pattern in patterns:
        if storage.is_remote(pattern):
            found = storage.matching(pattern)
        else:
            found = sorted(str(path) for path in recipe.folder.glob(pattern) if path.is_file())
        if not found:
            near = contract.did_you_mean(
                Path(pattern).name, (p.name for p in (recipe.folder / pattern).parent.glob("*"))
            )
            problems.append(Problem("BS101", pattern, "no file is there that the recipe names so", hint=near))
        paths += [path for path in found if path not in paths]
    return paths, problems


def _plain(path: str, split: str, recipe: Recipe, scratch: str) -> File:
    shown = path if storage.is_remote(path) else recipe.shown(Path(path))
    if reading.is_seekable(path):
        return File(path, shown, split, storage.size(path))
    name = f"{hashlib.sha256(path.encode()).hexdigest()[:16]}.jsonl"
    place, size = storage.unpack(path, scratch, name)
    return File(place, shown, split, size)


def cut(files: Sequence[File]) -> list[Shard]:
    """Cut *files* into shards, split by split: equal stretches of their bytes, as if they were one file."""
    size = min(max(sum(file.size for file in files) / SHARDS, SMALLEST), LARGEST)
    shards: list[Shard] = []
    first = 0
    for split, own in _by_split(files).items():
        whole = sum(file.size for file in own)
        total = max(1, math.ceil(whole / size))
        for number in range(total):
            stretches = list(_stretches(own, number * whole // total, (number + 1) * whole // total, first))
            first += len(stretches)
            shards.append(Shard(split, number, total, stretches))
    return shards


def _by_split(files: Sequence[File]) -> Mapping[str, list[File]]:
    splits: dict[str, list[File]] = {}
    for file in files:
        splits.setdefault(file.split, []).append(file)
    return splits


def _stretches(files: Sequence[File], start: int, end: int, first: int) -> Iterator[Stretch]:
    """Give the stretches of *files* from byte *start* to *end* of all of them together, numbered from *first* on."""
    offset = 0
    for file in files:
        low, high = max(start - offset, 0), min(end - offset, file.size)
        if low < high:
            yield Stretch(first, file.path, file.shown, low, high)
            first += 1
        offset += file.size
