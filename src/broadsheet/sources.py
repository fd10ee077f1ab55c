"""Sources: takes a recipe, gives the files of records it is made from, and cuts them into shards.

A record is an article's row with its paragraphs and stances beside it, as lists. The input is cut by its own bytes:
how many workers there are does not matter.
"""

from __future__ import annotations

import glob
import hashlib
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from broadsheet import contract, jsonl, labels, reading, segment, sidecar, storage
from broadsheet.annotations import annotate
from broadsheet.assemble import assemble
from broadsheet.problems import InvalidData, Problem, raise_if
from broadsheet.recipe import Recipe
from broadsheet.segment import Article
from broadsheet.shards import NO_INDEX, Index, Shard, Stretch

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
    """What a dataset is made from: *shards* of records; and the *articles* of its pages, if it has pages."""

    shards: Sequence[Shard]
    articles: Sequence[Article] = ()


def gather(recipe: Recipe, scratch: str) -> Given:
    """Give the records of the dataset; raise `InvalidData` with what is wrong.

    What is not a plain file of records becomes one in *scratch*: those made from pages, and what is compressed.
    """
    if recipe.articles is None:
        return _from_pages(recipe, scratch)
    return Given(cut(_files(recipe, scratch)))


def join(recipe: Recipe, given: Given, scratch: str, pool: Executor | None) -> Index:
    """Write the index of what joins the records *given* by their id into *scratch*; raise `InvalidData`.

    That are rows in files of their own, and which articles are near-duplicates, where the recipe asks for that; *pool*
    shares the work of finding these.
    """
    named = _sidecars(recipe)
    if not named and recipe.duplicates is None:
        return NO_INDEX
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as folder:
        path = Path(folder) / "sidecar.sqlite"
        entries, problems = sidecar.write(path, named)
        raise_if(problems)
        if recipe.duplicates is not None:
            # Only who asks for it pays for the import.
            from broadsheet import duplicates  # noqa: PLC0415

            found = duplicates.find(given.shards, recipe.duplicates["threshold"], Path(folder), pool)
            entries += sidecar.note_duplicates(path, found)
        scheme = labels.scheme(recipe) if recipe.articles is not None else labels.NO_SCHEME
        if not entries and not scheme.passes:
            return NO_INDEX
        return Index(storage.unpack(str(path), scratch, path.name)[0], entries, scheme)


def _from_pages(recipe: Recipe, scratch: str) -> Given:
    articles = segment.segment(recipe)
    with storage.created(scratch, "records.jsonl", scratch) as file:
        for record in assemble(recipe, articles, annotate(recipe, articles)):
            file.write(jsonl.serialize([record]))
    return Given(cut([File(f"{scratch}/records.jsonl", "articles", "train", file.size)]), articles)


def _files(recipe: Recipe, scratch: str) -> list[File]:
    named = recipe.articles["files"] if recipe.articles else []
    files: list[File] = []
    problems: list[Problem] = []
    for split, patterns in (named if isinstance(named, Mapping) else {"train": named}).items():
        paths, found = _expanded(recipe, patterns)
        problems += found
        files += [_plain(path, split, recipe, scratch) for path in paths]
    raise_if(problems)
    return files


def _sidecars(recipe: Recipe) -> list[sidecar.Source]:
    found: list[sidecar.Source] = []
    for table, section in (("paragraphs", recipe.paragraphs), ("stances", recipe.stances)):
        paths, problems = _expanded(recipe, section["files"] if section else ())
        raise_if(problems)
        found += [sidecar.Source(table, path, _shown(path, recipe)) for path in paths]
    return [*found, *(_passes(recipe) if recipe.articles is not None else [])]


def _passes(recipe: Recipe) -> list[sidecar.Source]:
    """Give the files of the annotators who label; the passes over pages are joined to these already."""
    sources = []
    for annotator in recipe.labellers:
        path = recipe.annotations(labels.file(annotator))
        if not path.is_file():
            raise InvalidData([recipe.missing(path)])
        sources.append(sidecar.Source(f"{sidecar.LABEL}{annotator.id}", str(path), recipe.shown(path)))
    return sources


def _shown(path: str, recipe: Recipe) -> str:
    return path if reading.is_url(path) else recipe.shown(Path(path))


def _expanded(recipe: Recipe, patterns: Sequence[str]) -> tuple[list[str], list[Problem]]:
    """Give the files that *patterns* match, in the patterns' order and by name; one that matches none is wrong."""
    paths: list[str] = []
    problems = []
    for pattern in patterns:
        if reading.is_url(pattern):
            found = storage.matching(pattern)
        else:
            # Any text is a pattern here; Path.glob refuses some.
            names = glob.glob(pattern, root_dir=recipe.folder, recursive=True)  # noqa: PTH207
            found = sorted(str(recipe.folder / name) for name in names if (recipe.folder / name).is_file())
        if not found:
            there = (path.name for path in (recipe.folder / pattern).parent.glob("*"))
            near = "" if reading.is_url(pattern) else contract.did_you_mean(Path(pattern).name, there)
            problems.append(Problem("BS101", pattern, "no file is there that the recipe names so", hint=near))
        paths += [path for path in found if path not in paths]
    return paths, problems


def _plain(path: str, split: str, recipe: Recipe, scratch: str) -> File:
    shown = _shown(path, recipe)
    if reading.is_seekable(path):
        # Workers elsewhere have other working directories.
        place = path if reading.is_url(path) else str(Path(path).absolute())
        return File(place, shown, split, storage.size(path))
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
