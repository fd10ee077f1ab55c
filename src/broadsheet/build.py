"""The build: takes a dataset's folder, gives a verified release in its place.

source → articles → joined with annotations → validated → tables → documents → checksums → verified → in place
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from broadsheet import (
    contract,
    documents,
    jsonl,
    labels,
    recipe,
    release,
    shards,
    sources,
    spread,
    storage,
    summary,
    verify,
)
from broadsheet.catalogue import Catalogue
from broadsheet.contract import Row, Schema
from broadsheet.documents import Facts
from broadsheet.merge import Merged
from broadsheet.problems import Problem, raise_if
from broadsheet.recipe import Recipe
from broadsheet.shards import Job
from broadsheet.sources import Given


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
    targets = [target.id for target in dataset.targets]
    schemas = {table: contract.table_schema(table) for table in contract.TABLES}
    goal = place or dataset.release
    with release.staged(goal) as stage, TemporaryDirectory(prefix="broadsheet-") as own:
        given = sources.gather(dataset, stage.scratch)
        merged = Merged(Catalogue(Path(own)))
        with spread.executor(workers and min(workers, len(given.shards)), scheduler) as pool:
            tell("joining")
            index = sources.join(dataset, given.shards, stage.scratch, pool)
            scheme = labels.scheme(dataset) if given.articles == () else labels.NO_SCHEME
            jobs = [Job(shard, stage.data, stage.scratch, schemas, index.path, scheme) for shard in given.shards]
            for made in spread.results(pool, shards.make, jobs):
                merged.take(made)
                tell(f"building: {merged.rows('articles'):,} articles")
        raise_if(merged.problems)
        raise_if([*merged.problems, *(found := list(merged.judge(schemas, targets, index.path, index.entries)))])
        for number, table in merged.missing():
            merged.shards[number][table] = shards.make_empty(jobs[number], table)
        tell("writing documents")
        facts = _facts(dataset, stage.data, merged, given, schemas)
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
    return Built(
        goal,
        dataset.version,
        facts.digest,
        {t: n for t, n in facts.summary.rows.items() if n},
        [*merged.problems, *found],
    )


def _facts(dataset: Recipe, stage: str, merged: Merged, given: Given, schemas: Mapping[str, Schema]) -> Facts:
    """Give what the documents may say; the tables without rows are no tables any more."""
    sizes = {
        table: documents.Size(
            [
                documents.Split(split, sum(p.rows for p in own), sum(p.num_bytes for p in own), len(own))
                for split, own in splits.items()
            ],
            sum(p.files[name][1] for own in splits.values() for p in own for name in p.files if name.endswith("t")),
        )
        for table, splits in merged.parts().items()
    }
    few = merged.rows("articles") <= documents.SHOWN
    return Facts(
        recipe=dataset,
        summary=summary.summarize(merged.catalogue, merged.tally, [target.id for target in dataset.targets]),
        digest=merged.digest(),
        sizes=sizes,
        schemas={table: schema for table, schema in schemas.items() if table in sizes},
        articles=list(_rows(stage, merged, "articles")) if few else [],
        gold=[row for row in _rows(stage, merged, "stances") if row["is_gold"]] if few else [],
        notes=documents.line_notes(given.articles),
    )


def _rows(stage: str, merged: Merged, table: str) -> Iterator[Row]:
    """Read the rows of *table* back; for few of them."""
    for splits in merged.parts().get(table, {}).values():
        for part in splits:
            for name in part.files:
                if name.endswith(".jsonl"):
                    with storage.opened(stage, name) as file:
                        yield from (line.value for line in jsonl.parse(file.read(), name)[0])


def _schema_files(schemas: Mapping[str, Schema]) -> Iterator[tuple[str, bytes]]:
    for table, schema in schemas.items():
        yield release.schema_path(contract.TABLES[table]), contract.schema_text(schema)
