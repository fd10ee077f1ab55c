"""The build: takes a dataset's folder, gives a verified release in its place.

source → articles → joined with annotations → validated → tables → documents → checksums → verified → in place
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from broadsheet import (
    contract,
    disk,
    documents,
    extensions,
    recipe,
    release,
    shards,
    sources,
    spread,
    succession,
    verify,
    versions,
)
from broadsheet.catalogue import Catalogue
from broadsheet.contract import Schema
from broadsheet.diff import Side
from broadsheet.merge import Merged
from broadsheet.problems import InvalidData, Problem, raise_if
from broadsheet.progress import Tell, silent
from broadsheet.recipe import Recipe
from broadsheet.rejects import Rejects
from broadsheet.release import Stage
from broadsheet.shards import Index, Job
from broadsheet.sources import Given
from broadsheet.succession import Past


@dataclass(frozen=True)
class Built:
    """What a build made: the release's *place*, *version* and logical *digest*, and the number of *rows* by table.

    *given* is the number of rows in the input, by table, *rejects* that of those that were left out, and *problems* are
    warnings, and what is wrong with those rows.
    """

    place: Path | str
    version: str
    digest: str
    rows: Mapping[str, int]
    problems: Sequence[Problem] = ()
    given: Mapping[str, int] = field(default_factory=dict)
    rejects: Mapping[str, int] = field(default_factory=dict)


def build(
    folder: Path,
    place: Path | str | None = None,
    tell: Tell = silent,
    workers: int | None = None,
    scheduler: str | None = None,
    *,
    keep_going: bool = False,
    against: str | None = None,
) -> Built:
    """Build the release of the dataset in *folder* into *place*, by default the folder's own ``release/``.

    *tell* hears of each step. *workers* processes share the work, or those of the Dask cluster whose *scheduler* is
    named, or it is done in this process; the release does not depend on it. It appears whole or not at all: on
    `BroadsheetError`, what was in *place* stays as it was. The copies of the datasheet that the recipe names are
    written when the place is the default.

    One bad row stops the build; with *keep_going*, rows with problems go to the folder's ``rejects/``, and the others
    are built, under a version that says so. What hangs on a row that was left out is left out in turn.

    Where versions were released, this one must be honest: see `succession.judge`. The last release is looked for, or it
    is the one called *against*.
    """
    tell("reading")
    dataset = recipe.read(folder)
    rejects = Rejects(wanted=keep_going)
    with release.claimed(place or dataset.release):
        order = _Order(place or dataset.release, tell, workers, scheduler, succession.past(dataset, against))
        while True:
            try:
                built, texts = _build(dataset, order, rejects)
                break
            except InvalidData as error:
                if not rejects.take(error.problems):
                    raise
                tell(f"{len(rejects):,} rows are left out: starting again")
        if place is None:
            for copy in dataset.datasheet_copies:
                disk.put(copy.resolve(), texts[release.DATASHEET])
    return built


@dataclass(frozen=True)
class _Order:
    """What was asked of a build, see `build`; and what was released before."""

    place: Path | str
    tell: Tell
    workers: int | None
    scheduler: str | None
    past: Past


def _build(dataset: Recipe, order: _Order, rejects: Rejects) -> tuple[Built, Mapping[str, bytes]]:
    """Build *dataset* without *rejects*; give what was made, and the documents."""
    schemas = extensions.schemas(dataset)
    with TemporaryDirectory(prefix="broadsheet-") as own, release.staged(order.place) as stage:
        given = sources.gather(dataset, schemas, (stage.scratch, Path(own)), rejects, order.tell)
        dataset = dataset.without(len(rejects))
        merged, index = _tables(dataset, given, stage, order, rejects)
        order.tell("writing documents")
        facts = documents.gather(dataset, stage.data, merged, schemas, given.articles)
        texts = documents.render(facts)
        identity = versions.identity(dataset.name, dataset.version, facts.digest, order.past.ledger)
        for name, data in [*texts.items(), *_schema_files(facts.schemas), (versions.IDENTITY, identity)]:
            release.write(stage.folder, name, data)
        checksums = release.write_checksums(stage.folder, merged.checksums())
        made = Side(str(order.place), stage.data, facts.schemas, checksums, dataset.version, facts.digest)
        merged.problems += succession.judge(dataset, order.past, made, release.sha256(stage.folder / release.CHECKSUMS))
        raise_if(merged.problems)
        order.tell("verifying")
        raise_if(list(verify.check_sources(stage.data, given.shards, facts.schemas)))
        merged.problems += verify.check_documents(stage.folder, facts.digest, merged.parts(), facts.schemas)
        raise_if(merged.problems)
        rejects.write(dataset.rejects)
    rows = {table: n for table, n in facts.summary.rows.items() if n}
    problems = [*rejects.problems(), *merged.problems]
    rows_in = {**rejects.given(index.rows), "articles": merged.given}
    return Built(order.place, dataset.version, facts.digest, rows, problems, rows_in, rejects.counts()), texts


def _tables(dataset: Recipe, given: Given, stage: Stage, order: _Order, rejects: Rejects) -> tuple[Merged, Index]:
    """Make the tables' files from what was *given*; give what is known of them, and the index that joined them."""
    with spread.executor(order.workers and min(order.workers, len(given.shards)), order.scheduler) as pool:
        order.tell("joining")
        index = sources.join(dataset, given, stage.scratch, pool)
        jobs = [Job(shard, stage.data, stage.scratch, given.schemas, index, given.limit) for shard in given.shards]
        if rejects.wanted and index.rows:
            # A row that joins two articles of one id would look wrong itself: articles are left out first.
            with TemporaryDirectory(prefix="broadsheet-") as aside:
                alone = [replace(job, stage=aside, index=shards.NO_INDEX) for job in jobs]
                merged = _make(alone, pool, Merged(Catalogue(Path(aside)), given.limit), order.tell)
                merged.finish(given.schemas, dataset, shards.NO_INDEX, rejects)
            raise_if(merged.problems)
        merged = _make(jobs, pool, Merged(Catalogue(given.own), given.limit), order.tell)
    merged.finish(given.schemas, dataset, index, rejects)
    raise_if(merged.problems)
    for number, table in merged.missing():
        merged.shards[number][table] = shards.make_empty(jobs[number], table)
    return merged, index


def _make(jobs: Sequence[Job], pool: Executor | None, merged: Merged, tell: Tell) -> Merged:
    done, total = 0, sum(job.shard.size for job in jobs)
    for made in spread.results(pool, shards.make, jobs):
        merged.take(made)
        done += made.shard.size
        tell(f"building: {merged.rows('articles'):,} articles", done, total)
    return merged


def _schema_files(schemas: Mapping[str, Schema]) -> Iterator[tuple[str, bytes]]:
    for table, schema in schemas.items():
        yield release.schema_path(contract.TABLES[table]), contract.schema_text(schema)
