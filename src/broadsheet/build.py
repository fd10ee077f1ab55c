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
from broadsheet.shards import Job
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
    past = succession.past(dataset, against)
    rejects = Rejects(wanted=keep_going)
    while True:
        try:
            return _build(dataset, place, tell, (workers, scheduler), rejects, past=past)
        except InvalidData as error:
            if not rejects.take(error.problems):
                raise
            tell(f"{len(rejects):,} rows are left out: starting again")


def _build(
    dataset: Recipe,
    place: Path | str | None,
    tell: Tell,
    crew: tuple[int | None, str | None],
    rejects: Rejects,
    *,
    past: Past,
) -> Built:
    schemas = extensions.schemas(dataset)
    goal, (workers, scheduler) = place or dataset.release, crew
    with release.staged(goal) as stage, TemporaryDirectory(prefix="broadsheet-") as own:
        given = sources.gather(dataset, schemas, (stage.scratch, Path(own)), rejects, tell)
        dataset = dataset.without(len(rejects))
        with spread.executor(workers and min(workers, len(given.shards)), scheduler) as pool:
            tell("joining")
            index = sources.join(dataset, given, stage.scratch, pool)
            jobs = [Job(shard, stage.data, stage.scratch, schemas, index, given.limit) for shard in given.shards]
            if rejects.wanted and index.rows:
                # A row that joins two articles of one id would look wrong itself: articles are left out first.
                alone = [replace(job, stage=own, index=shards.NO_INDEX) for job in jobs]
                with TemporaryDirectory(prefix="broadsheet-") as first:
                    merged = Merged(Catalogue(Path(first)), given.limit)
                    _make(alone, pool, merged, tell)
                    merged.finish(schemas, dataset, shards.NO_INDEX, rejects)
                raise_if(merged.problems)
            merged = Merged(Catalogue(Path(own)), given.limit)
            _make(jobs, pool, merged, tell)
        merged.finish(schemas, dataset, index, rejects)
        raise_if(merged.problems)
        for number, table in merged.missing():
            merged.shards[number][table] = shards.make_empty(jobs[number], table)
        tell("writing documents")
        facts = documents.gather(dataset, stage.data, merged, schemas, given.articles)
        texts = documents.render(facts)
        for name, data in [*texts.items(), *_schema_files(facts.schemas)]:
            release.write(stage.folder, name, data)
        identity = versions.identity(dataset.name, dataset.version, facts.digest, past.ledger)
        release.write(stage.folder, versions.IDENTITY, identity)
        checksums = release.write_checksums(stage.folder, merged.checksums())
        made = Side(str(goal), stage.data, facts.schemas, checksums, dataset.version, facts.digest)
        merged.problems += succession.judge(dataset, past, made, release.sha256(stage.folder / release.CHECKSUMS))
        raise_if(merged.problems)
        tell("verifying")
        raise_if(list(verify.check_sources(stage.data, given.shards, facts.schemas)))
        raise_if(list(verify.check_documents(stage.folder, facts.digest, merged.parts(), facts.schemas)))
        rejects.write(dataset.rejects)
    if place is None:
        for copy in dataset.datasheet_copies:
            copy.write_bytes(texts[release.DATASHEET])
    rows = {table: n for table, n in facts.summary.rows.items() if n}
    problems, left_out = [*rejects.problems(), *merged.problems], rejects.counts()
    beside = {table: index.rows.get(table, 0) + left_out.get(table, 0) for table in {**index.rows, **left_out}}
    return Built(goal, dataset.version, facts.digest, rows, problems, {**beside, "articles": merged.given}, left_out)


def _make(jobs: Sequence[Job], pool: Executor | None, merged: Merged, tell: Tell) -> None:
    done, total = 0, sum(job.shard.size for job in jobs)
    for made in spread.results(pool, shards.make, jobs):
        merged.take(made)
        done += made.shard.size
        tell(f"building: {merged.rows('articles'):,} articles", done, total)


def _schema_files(schemas: Mapping[str, Schema]) -> Iterator[tuple[str, bytes]]:
    for table, schema in schemas.items():
        yield release.schema_path(contract.TABLES[table]), contract.schema_text(schema)
