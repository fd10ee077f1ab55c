"""The build: takes a dataset's folder, gives a verified release in its place.

source → articles → joined with annotations → validated → tables → documents → checksums → verified → in place
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from broadsheet import contract, documents, extensions, recipe, release, shards, sources, spread, verify
from broadsheet.catalogue import Catalogue
from broadsheet.contract import Schema
from broadsheet.merge import Merged
from broadsheet.problems import Problem, raise_if
from broadsheet.shards import Job


@dataclass(frozen=True)
class Built:
    """What a build made: the release's *place*, *version* and logical *digest*, and the number of *rows* by table."""

    place: Path | str
    version: str
    digest: str
    rows: Mapping[str, int]
    warnings: Sequence[Problem] = ()


def build(
    folder: Path,
    place: Path | str | None = None,
    tell: Callable[[str], None] = lambda _: None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Built:
    """Build the release of the dataset in *folder* into *place*, by default the folder's own ``release/``.

    *tell* hears of each step. *workers* processes share the work, or those of the Dask cluster whose *scheduler* is
    named, or it is done in this process; the release does not depend on it. It appears whole or not at all: on
    `BroadsheetError`, what was in *place* stays as it was. The copies of the datasheet that the recipe names are
    written when the place is the default.
    """
    tell("reading")
    dataset = recipe.read(folder)
    schemas = extensions.schemas(dataset)
    goal = place or dataset.release
    with release.staged(goal) as stage, TemporaryDirectory(prefix="broadsheet-") as own:
        given = sources.gather(dataset, schemas, stage.scratch, Path(own))
        merged = Merged(Catalogue(Path(own)))
        with spread.executor(workers and min(workers, len(given.shards)), scheduler) as pool:
            tell("joining")
            index = sources.join(dataset, given, schemas, stage.scratch, pool)
            jobs = [Job(shard, stage.data, stage.scratch, schemas, index) for shard in given.shards]
            for made in spread.results(pool, shards.make, jobs):
                merged.take(made)
                tell(f"building: {merged.rows('articles'):,} articles")
        merged.finish(schemas, dataset, index)
        raise_if(merged.problems)
        for number, table in merged.missing():
            merged.shards[number][table] = shards.make_empty(jobs[number], table)
        tell("writing documents")
        facts = documents.gather(dataset, stage.data, merged, schemas, given.articles)
        texts = documents.render(facts)
        for name, data in [*texts.items(), *_schema_files(facts.schemas)]:
            release.write(stage.folder, name, data)
        release.write_checksums(stage.folder, merged.checksums())
        tell("verifying")
        raise_if(list(verify.check_sources(stage.data, given.shards, facts.schemas)))
        raise_if(list(verify.check_documents(stage.folder, facts.digest, merged.parts(), facts.schemas)))
    if place is None:
        for copy in dataset.datasheet_copies:
            copy.write_bytes(texts[release.DATASHEET])
    rows = {table: n for table, n in facts.summary.rows.items() if n}
    return Built(goal, dataset.version, facts.digest, rows, merged.problems)


def _schema_files(schemas: Mapping[str, Schema]) -> Iterator[tuple[str, bytes]]:
    for table, schema in schemas.items():
        yield release.schema_path(contract.TABLES[table]), contract.schema_text(schema)
