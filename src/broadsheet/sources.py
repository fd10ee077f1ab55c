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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from broadsheet import contract, jsonl, labels, mapping, reading, segment, sidecar, storage, texts
from broadsheet.annotations import annotate
from broadsheet.assemble import assemble
from broadsheet.contract import Schema
from broadsheet.problems import MAX_ERRORS, InvalidData, Problem, raise_if
from broadsheet.progress import Tell, silent
from broadsheet.query import batches as run_query
from broadsheet.recipe import Recipe
from broadsheet.rejects import NO_REJECTS, Input, Rejects, lines_before
from broadsheet.segment import Article
from broadsheet.shards import NO_INDEX, Index, Shard, Stretch
from broadsheet.sidecar import SPAN
from broadsheet.sql import literal

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
    """What a dataset is made from: *shards* of records, and files of rows beside them, the *sidecars*.

    Both are judged by the *schemas* of the tables, and given up after *limit* errors. There are the *articles* of its
    pages, if it has pages. *own* is a folder for what only this process reads.
    """

    shards: Sequence[Shard]
    schemas: Mapping[str, Schema]
    own: Path
    articles: Sequence[Article] = ()
    sidecars: Sequence[sidecar.Source] = ()
    limit: int = MAX_ERRORS


def gather(
    recipe: Recipe, schemas: Mapping[str, Schema], places: tuple[str, Path], rejects: Rejects, tell: Tell = silent
) -> Given:
    """Give the records of the dataset without its *rejects*; raise `InvalidData` with what is wrong.

    What is not a plain file of records becomes one: in the first of *places*, which workers read too, what they read;
    in the second, what only this process does. *tell* hears of the progress.
    """
    scratch, own = places
    if not recipe.is_made_from_rows:
        return _from_pages(recipe, schemas, places)
    maker = _Maker(recipe, schemas, own, tell)
    section = recipe.articles or {}
    if "files" in section:
        files = _files(recipe, scratch)
    else:
        queries = section.get("sql", maker.default)
        splits = queries if isinstance(queries, Mapping) else {"train": queries}
        files = [maker.make("articles", sql, split, scratch) for split, sql in splits.items()]
    beside = [*_beside(recipe, maker, own), *_passes(recipe)]
    for file in files:
        rejects.inputs[file.shown] = Input("articles", file.path)
    for source in beside:
        if source.kind in sidecar.TABLES:
            rejects.inputs[source.shown] = Input(source.kind, source.path)
    found = [problem for problem in maker.problems if problem.line not in rejects.lines(problem.path)]
    if not rejects.take(found):
        raise_if(mapping.told_once(found))
    sidecars = [source._replace(skipped=rejects.lines(source.shown)) for source in beside]
    return Given(cut(files, rejects), schemas, own, (), sidecars, rejects.limit)


def join(recipe: Recipe, given: Given, scratch: str, pool: Executor | None) -> Index:
    """Write the index of what joins the records *given* by their id into *scratch*; raise `InvalidData`.

    That are rows in files of their own, and which articles are near-duplicates, where the recipe asks for that; *pool*
    shares the work of finding these.
    """
    if not given.sidecars and recipe.duplicates is None:
        return NO_INDEX
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as folder:
        path = Path(folder) / "sidecar.sqlite"
        kinds, problems = sidecar.write(path, given.sidecars, given.schemas, given.limit)
        raise_if(problems)
        entries = kinds.total()
        if recipe.duplicates is not None:
            # Only who asks for it pays for the import.
            from broadsheet import duplicates  # noqa: PLC0415

            found = duplicates.find(given.shards, recipe.duplicates["threshold"], Path(folder), pool)
            entries += sidecar.note_duplicates(path, found)
        scheme = labels.scheme(recipe) if recipe.is_made_from_rows else labels.NO_SCHEME
        if not entries and not scheme.passes:
            return NO_INDEX
        beside = {kind: count for kind, count in kinds.items() if kind in sidecar.TABLES}
        return Index(storage.unpack(str(path), scratch, path.name)[0], entries, scheme, beside)


class _Maker:
    """Makes files of rows from the queries of a recipe, and notes the *problems* of rows that cannot be mapped."""

    def __init__(self, recipe: Recipe, schemas: Mapping[str, Schema], own: Path, tell: Tell) -> None:
        self.problems: list[Problem] = []
        self._recipe, self._schemas, self._own, self._tell = recipe, schemas, own, tell
        self._texts: Path | None = None
        if recipe.texts is not None:
            self._texts = own / "texts.parquet"
            raise_if(texts.write(recipe.folder, recipe.texts["files"], recipe.texts["encodings"], self._texts))

    @property
    def default(self) -> str:
        """The query of a dataset that has texts, and says nothing more of its articles."""
        metadata = (self._recipe.texts or {}).get("metadata")
        return _TEXTS if metadata is None else _joined(metadata)

    def make(self, table: str, sql: str, split: str, folder: str) -> File:
        """Write the rows of *table* that *sql* gives for a *split* into *folder*, as JSON Lines."""
        query = self._recipe.query(sql, table, "sql")
        batches = run_query(query, self._recipe.folder, self._own, self._texts)
        # Rows are told, and left out, by this name and their number in it: each query has its own.
        shown = f"{table} (sql)" if split in ("train", "all") else f"{table} (sql, {split})"
        mapper = mapping.Mapper(self._recipe, table, self._schemas.get(table, SPAN), shown)
        name = f"{table}-{split}.jsonl"
        with storage.created(folder, name, folder) as file:
            for row in mapper.map(query, batches):
                file.write(jsonl.serialize([row]))
                if mapper.rows % _TOLD == 0:
                    self._tell(f"reading {table}: {mapper.rows:,} rows")
        self.problems += mapper.problems
        return File(f"{folder}/{name}", shown, split, file.size)


#: After so many rows of a query the progress is told.
_TOLD = 4096
_TEXTS = "SELECT stem AS id, text, path AS source_file, sha256 AS source_sha256 FROM texts"


def _joined(metadata: str) -> str:
    """Give the query that joins each text to its row of *metadata*; what has no match is there too, and is refused."""
    readers = {".tsv": "read_csv({}, delim = '\t')", ".jsonl": "read_json({})", ".parquet": "read_parquet({})"}
    reader = readers.get(Path(metadata).suffix, "read_csv({})").format(literal(metadata))
    return f"""
        WITH keys AS (SELECT DISTINCT path, unnest([path, name, stem]) AS key FROM texts)
        SELECT m.* EXCLUDE (file), t.text, t.path AS source_file, t.sha256 AS source_sha256
        FROM {reader} m LEFT JOIN keys k ON k.key = m.file FULL JOIN texts t ON t.path = k.path
        ORDER BY coalesce(t.path, m.file)"""  # noqa: S608 - it runs behind the fence


def _from_pages(recipe: Recipe, schemas: Mapping[str, Schema], places: tuple[str, Path]) -> Given:
    scratch, own = places
    articles = segment.segment(recipe)
    with storage.created(scratch, "records.jsonl", scratch) as file:
        for record in assemble(recipe, articles, annotate(recipe, articles)):
            file.write(jsonl.serialize([record]))
    return Given(cut([File(f"{scratch}/records.jsonl", "articles", "train", file.size)]), schemas, own, articles)


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


def _beside(recipe: Recipe, maker: _Maker, own: Path) -> Iterator[sidecar.Source]:
    """Give the files of rows that lie beside the articles, or come from queries of their own."""
    for table in sidecar.TABLES:
        section: Mapping[str, Any] = getattr(recipe, table) or {}
        paths, problems = _expanded(recipe, section.get("files", ()))
        raise_if(problems)
        yield from (sidecar.Source(table, path, _shown(path, recipe)) for path in paths)
        if "sql" in section:
            made = maker.make(table, section["sql"], "all", str(own))
            yield sidecar.Source(table, made.path, made.shown)


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


def cut(files: Sequence[File], rejects: Rejects = NO_REJECTS) -> list[Shard]:
    """Cut *files* into shards, split by split: equal stretches of their bytes, as if they were one file.

    The lines that *rejects* has are left out.
    """
    size = min(max(sum(file.size for file in files) / SHARDS, SMALLEST), LARGEST)
    shards: list[Shard] = []
    first = 0
    for split, own in _by_split(files).items():
        whole = sum(file.size for file in own)
        total = max(1, math.ceil(whole / size))
        for number in range(total):
            parts = _stretches(own, number * whole // total, (number + 1) * whole // total, first)
            stretches = [_without(part, rejects.lines(part.shown)) for part in parts]
            first += len(stretches)
            shards.append(Shard(split, number, total, stretches))
    return shards


def _without(part: Stretch, lines: frozenset[int]) -> Stretch:
    """Give *part* without the *lines*, which are counted from the start of the file."""
    if not lines:
        return part
    before = lines_before(part.path, part.start)
    return replace(part, skipped=frozenset(line - before for line in lines if line > before))


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
