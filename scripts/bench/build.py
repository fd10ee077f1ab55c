"""The build's benchmark: takes a number of rows, gives a table of what the build and its peers take to publish them.

Each peer is a process of its own, timed from its start to its end, as a user waits for it; all have the same two cores,
and take turns over several rounds. Medians are printed. Before that, each peer is shown rows of which one is wrong, and
the report says who noticed. Then follow what a release is good for, and the targets. Ratios count; seconds are of a
machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import harness
from harness import Cost

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
EXAMPLE = REPOSITORY / "tests" / "examples" / "valid" / "minimal"
CORES = 2
#: Rows that jsonschema judges in earnest; the others' time is reckoned by their bytes.
JUDGED = 500
#: The run whose time for a row is compared with that of longer ones.
BASE_ROWS = 20_000
PACKAGES = ("broadsheet", "pyarrow", "duckdb", "polars", "datasets", "jsonschema")

OURS, ONE_WORKER, UNVALIDATED = "ours, two workers", "ours, one worker", "ours, every row accepted by the schema"
TODAY, FLOOR = "what people do today: datasets + jsonschema", "the floor: writing alone, two processes"
DUCKDB, TOLD, POLARS = "DuckDB", "DuckDB, told the types", "Polars, told the types"
PYARROW, DATASETS = "pyarrow, told the types", "datasets"

FASTER_THAN_TODAY, OF_TODAYS_MEMORY = 15, 1 / 3
FASTER_THAN_DATASETS, OF_DUCKDB, OF_FLOOR, OF_UNVALIDATED = 2.5, 1.4, 2, 1.1
PEAK_MB, FASTER_THAN_ONE = 400, 1.8
OF_LOADING, READ, SHARED, HELP_SECONDS, REBUILD_SECONDS = 1.05, 0.02, 0.7, 0.3, 3
OF_BASE = 1.1

SCHEMA, PLACE = "a value that is not of the list", "a quote that is not at its place"


@dataclass(frozen=True)
class Job:
    """What there is to convert: the *corpus*, and a *dataset* folder that holds it; *shape* has the types."""

    corpus: Path
    dataset: Path
    shape: Path
    rows: int
    judged: int


@dataclass(frozen=True)
class Peer:
    """One way to publish a corpus: the *command* that does a job into a folder."""

    name: str
    command: Callable[[Job, Path], Sequence[str]]


@dataclass(frozen=True)
class Output:
    """What a peer has written: bytes of Parquet, bytes in all, and in what its columns differ from the contract's."""

    parquet: int
    total: int
    differences: Sequence[str]


@dataclass(frozen=True)
class Result:
    """A peer's medians, its output, and which wrong rows it *noticed*; or why it was not run."""

    name: str
    seconds: float = 0
    cpu: float = 0
    largest_mb: float = 0
    together_mb: float = 0
    output: Output = field(default_factory=lambda: Output(0, 0, ()))
    noticed: Sequence[str] = ()
    failed: str = ""


@dataclass(frozen=True)
class Property:
    """What was *measured* of a release, for *what*, with something to *compare*; *value* is what a target is about."""

    what: str
    measured: str
    compare: str
    value: float


# --- the peers ---


def _ours(workers: int, job: Job, out: Path) -> Sequence[str]:
    return [sys.executable, "-m", "broadsheet", *_build(workers, job, out)]


def _unvalidated(job: Job, out: Path) -> Sequence[str]:
    return _script("peers", "unvalidated", *_build(CORES, job, out))


def _build(workers: int, job: Job, out: Path) -> Sequence[str]:
    return ["build", str(job.dataset), "--workers", f"{workers}", "--out", str(out)]


def _peer(name: str, job: Job, out: Path) -> Sequence[str]:
    return _script("peers", name, job.corpus, out, job.shape)


def _script(name: str, *arguments: object) -> Sequence[str]:
    return [sys.executable, str(HERE / f"{name}.py"), *map(str, arguments)]


PEERS = (
    Peer(OURS, partial(_ours, CORES)),
    Peer(ONE_WORKER, partial(_ours, 1)),
    Peer(UNVALIDATED, _unvalidated),
    Peer(DUCKDB, partial(_peer, "duckdb")),
    Peer(TOLD, partial(_peer, "duckdb_told")),
    Peer(POLARS, partial(_peer, "polars")),
    Peer(PYARROW, partial(_peer, "pyarrow")),
    Peer(DATASETS, partial(_peer, "datasets")),
    Peer(TODAY, lambda job, out: [*_peer("today", job, out), f"{job.judged}"]),
    Peer(FLOOR, lambda job, out: [*_peer("floor", job, out), f"{job.rows}"]),
)


# --- the runs ---


def measure(peers: Sequence[Peer], job: Job, wrong: Mapping[str, Job], place: Path, repeat: int) -> list[Result]:
    """Give the result of each of *peers*: which *wrong* jobs it refuses, then *repeat* rounds of the *job* in turns.

    The last outputs of those whose releases are looked at later stay in *place*.
    """
    noticed: dict[str, Sequence[str]] = {}
    costs: dict[str, list[Cost]] = {peer.name: [] for peer in peers}
    outputs: dict[str, Output] = {}
    for peer in peers:
        refused = [what for what, spoilt in wrong.items() if run(peer, spoilt, place / "wrong").failed]
        noticed[peer.name] = [] if peer.name == FLOOR else refused
    for number in range(1, repeat + 1):
        for peer in peers:
            if any(cost.failed for cost in costs[peer.name]):
                continue
            cost = run(peer, job, out := folder(place, peer.name))
            if not cost.failed and number == 1:
                outputs[peer.name], cost = _looked(out, job, cost)
            costs[peer.name].append(cost)
            print(f"round {number}: {peer.name}: {cost.failed or f'{cost.seconds:.2f} s'}", file=sys.stderr)
            if peer.name not in (OURS, DATASETS):
                shutil.rmtree(out, ignore_errors=True)
    return [_result(name, costs[name], outputs.get(name), noticed[name]) for name in costs]


def run(peer: Peer, job: Job, out: Path) -> Cost:
    """Have *peer* do *job* into the folder *out*, which is made anew; what it tells of its own time is heeded."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    cost = _spend(peer.command(job, out))
    told = _told(cost) if peer.name in (TODAY, FLOOR) and not cost.failed else {}
    extra = told.get("extra", 0)
    return replace(cost, seconds=told.get("seconds", cost.seconds + extra), cpu=cost.cpu + extra)


def folder(place: Path, name: str) -> Path:
    """Give where in *place* the peer with this *name* writes to."""
    return place / re.sub(r"\W+", "-", name)


def _spend(command: Sequence[str]) -> Cost:
    """Run *command* with caches of its own, and after what earlier ones wrote has come to rest."""
    with tempfile.TemporaryDirectory(prefix="broadsheet-cache-") as cache:
        quiet = {"HF_HOME": cache, "HF_DATASETS_CACHE": f"{cache}/datasets", "HF_HUB_OFFLINE": "1"}
        os.sync()
        return harness.spend(command, os.environ | quiet | {"POLARS_MAX_THREADS": f"{CORES}"})


def _told(cost: Cost) -> Any:
    return json.loads(cost.said.splitlines()[-1])


def _looked(out: Path, job: Job, cost: Cost) -> tuple[Output, Cost]:
    """Give what is in *out*, and *cost*, which fails if that is not all rows."""
    files = _articles(out)
    found: dict[str, Any] = _probe("look", *files) if files else {"rows": 0, "differences": []}
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    output = Output(sum(path.stat().st_size for path in files), total, found["differences"])
    if found["rows"] != job.rows:
        cost = replace(cost, failed=f"it gave {found['rows']} rows of {job.rows}")
    return output, cost


def _articles(out: Path) -> Sequence[Path]:
    """Give the Parquet files of articles in *out*, a release's folder or a peer's."""
    return sorted((out / "data" / "articles").glob("*.parquet")) or sorted(out.glob("*.parquet"))


def _probe(name: str, *arguments: object) -> Any:
    cost = _spend(_script("probes", name, *arguments))
    if cost.failed:
        raise RuntimeError(f"{name}: {cost.failed}")
    return _told(cost)


def _result(name: str, costs: Sequence[Cost], output: Output | None, noticed: Sequence[str]) -> Result:
    failed = next((cost.failed for cost in costs if cost.failed), "")
    if failed or output is None:
        return Result(name, failed=re.sub(re.escape(tempfile.gettempdir()) + r"/[^/\s]*/*", "", failed))
    figures = [(cost.seconds, cost.cpu, cost.largest_mb, cost.together_mb) for cost in costs]
    seconds, cpu, largest, together = (statistics.median(column) for column in zip(*figures, strict=True))
    return Result(name, seconds, cpu, largest, together, output, noticed)


# --- what there is to convert ---


def make(place: Path, rows: int, judged: int, given: Path | None = None) -> tuple[Job, dict[str, Job]]:
    """Give the job of *rows* rows, *given* or made in *place*, and the small ones in which a row is wrong."""
    corpus, shape = place / "articles.jsonl", place / "shape.parquet"
    if given is None:
        _must(_script("corpus", "--rows", rows, "--out", corpus))
    else:
        os.link(given, corpus)
    _must(_script("probes", "shape", shape))
    spoilt = {SCHEMA: place / "wrong-schema.jsonl", PLACE: place / "wrong-place.jsonl"}
    _must(_script("probes", "spoil", corpus, *spoilt.values()))
    wrong = {what: Job(file, dataset(file), shape, 0, 0) for what, file in spoilt.items()}
    return Job(corpus, dataset(corpus), shape, rows, judged), wrong


def _must(command: Sequence[str]) -> None:
    cost = _spend(command)
    if cost.failed:
        raise SystemExit(cost.failed)


def dataset(corpus: Path) -> Path:
    """Give a dataset's folder, beside *corpus*, whose articles are those of *corpus*."""
    place = corpus.with_suffix("")
    (place / "source").mkdir(parents=True)
    os.link(corpus, place / "source" / "articles.jsonl")
    (place / "dataset.toml").write_text(_recipe(), encoding="utf-8")
    (place / "annotations").mkdir()
    for name in ("codebook.md", "datasheet.toml"):
        shutil.copy(EXAMPLE / "annotations" / name, place / "annotations")
    return place


def _recipe() -> str:
    """Give the example's recipe, but with rows that are there already, and their target."""
    parts = re.split(r"\n(?=\[)", (EXAMPLE / "dataset.toml").read_text(encoding="utf-8"))
    kept = [part.strip() for part in parts if not part.startswith(("[[sources]]", "[[targets]]", "[[annotators]]"))]
    articles = '[articles]\nfiles = ["source/articles.jsonl"]'
    target = '[[targets]]\nid = "harbour-plan"\nname = "The harbour plan"\ndefinition = "An invented plan."'
    annotator = (
        '[[annotators]]\nid = "generator"\nrole = "curator"\nkind = "rule"\ndescription = "The generator."\n'
        'guideline_version = "1.0"\nannotated_on = 2021-06-01'
    )
    return "\n\n".join([*kept, articles, target, annotator]) + "\n"


# --- what a release is good for ---


def properties(job: Job, place: Path, repeat: int) -> Iterator[Property | str]:
    """Give what was measured of the release that *job* gave in *place*; or, in words, why something could not be."""
    probes: Sequence[Callable[[], Property]] = (
        lambda: _loading(_articles(folder(place, OURS)), _articles(folder(place, DATASETS)), repeat),
        lambda: _selection(_articles(folder(place, OURS))),
        lambda: _next_version(job, place),
        lambda: _command("`broadsheet --help`", ["--help"], repeat),
        lambda: _command(
            "`broadsheet build dataset`", ["build", str(REPOSITORY / "dataset"), "--out", str(place / "own")], repeat
        ),
    )
    for probe in probes:
        try:
            found = probe()
        except (RuntimeError, OSError) as error:
            yield f"{error}"
        else:
            print(f"{found.what}: {found.measured}; {found.compare}", file=sys.stderr)
            yield found


def _loading(ours: Sequence[Path], theirs: Sequence[Path], repeat: int) -> Property:
    if not ours or not theirs:
        raise RuntimeError("loading: there are no two outputs to compare")
    # It writes a cache, and how long that takes varies.
    times = [[_probe("load", *files) for files in (ours, theirs)] for _ in range(max(5, repeat))]
    own, other = (statistics.median(column) for column in zip(*times, strict=True))
    return Property(LOADING, f"{own:.2f} s", f"that of `{DATASETS}`: {other:.2f} s", own / other)


def _selection(files: Sequence[Path]) -> Property:
    if not files:
        raise RuntimeError("selection: there is no release")
    found = _probe("select", *files)
    share = found["taken"] / found["size"]
    return Property(
        SELECTION, f"{found['taken'] / 1e3:.0f} kB read", f"of {found['size'] / 1e6:.1f} MB ({share:.2%})", share
    )


def _next_version(job: Job, place: Path) -> Property:
    """Build the edited corpus, and compare what it gives with what was there, by content-defined chunks."""
    if not _articles(folder(place, OURS)):
        raise RuntimeError("next version: there is no release")
    edited = place / "edited.jsonl"
    count = _probe("edit", job.corpus, edited, job.rows)
    new = place / "next"
    cost = run(PEERS[0], Job(edited, dataset(edited), job.shape, job.rows, job.judged), new)
    if cost.failed:
        raise RuntimeError(f"next version: {cost.failed}")
    old = folder(place, OURS)
    ours = _shared(old, new, _articles)
    whole = _shared(old, new, lambda out: [path for path in sorted(out.rglob("*")) if path.is_file()])
    rewritten = [place / f"rewritten-{release.name}" for release in (old, new)]
    for release, plain in zip((old, new), rewritten, strict=True):
        plain.mkdir()
        _probe("rewrite", plain, *_articles(release))
    plainly = _shared(rewritten[0], rewritten[1], _articles)
    compare = f"the whole release {whole:.0%}; the tables rewritten with pyarrow's defaults {plainly:.0%}"
    return Property(f"{NEXT} ({count} rows edited, one gone, one new)", f"{ours:.0%} of its Parquet", compare, ours)


def _shared(old: Path, new: Path, files: Callable[[Path], Sequence[Path]]) -> float:
    names = sorted({path.relative_to(out).as_posix() for out in (old, new) for path in files(out)})
    return float(_probe("shared", old, new, *names))


def _command(what: str, arguments: Sequence[str], repeat: int) -> Property:
    costs = [_spend([sys.executable, "-m", "broadsheet", *arguments]) for _ in range(max(3, repeat))]
    if failed := costs[0].failed:
        raise RuntimeError(f"{what}: {failed}")
    seconds = statistics.median(cost.seconds for cost in costs)
    return Property(what, f"{seconds:.2f} s", f"{costs[0].largest_mb:.0f} MB", seconds)


LOADING = '`load_dataset("parquet")` of the release'
SELECTION = "a selection by publisher and date"
NEXT = "what the next version has of the last"


# --- the report ---

_NOTES = f"""\
A peer is a process, timed from its start to its end, imports included; all have the same two cores. Ours validates
every row, checks every quote, writes Parquet and its twin in JSON Lines, verifies both, and waits until they are on the
disk; the plain conversions do none of that, and write Parquet alone. All write zstd at level 3 (`{DATASETS}` can only
write Snappy, so its codec is changed by this benchmark). Before each run the caches of `{DATASETS}` are new, and what
earlier runs wrote is on the disk. Who is told the types is told that dates are strings, unless its reader of JSON makes
dates of them. `{FLOOR}` is timed inside: each process has half of the rows in memory, as Arrow,
and what counts is only how long the slower one writes. `{UNVALIDATED}` is the same build whose
validator says yes to everything.
The largest process is the one with the highest peak; all processes are the peak of their sum, in which what they share
counts once. Memory has what is mapped from files. CPU seconds are of all processes; on a busy machine they say more."""

_COLUMNS = (
    "peer",
    "seconds",
    "µs a row",
    "CPU seconds",
    "MB/s",
    "largest process, MB",
    "all processes, MB",
    "Parquet, MB",
    "all output, MB",
    "time, relative to ours",
)


def report(results: Sequence[Result], found: Sequence[Property | str], job: Job, how: str, base: float) -> str:
    """Give the report in Markdown; *how* says how it was measured, *base* is a row's time at `BASE_ROWS`, if known."""
    measured = {result.name: result for result in results if not result.failed}
    size = job.corpus.stat().st_size
    ours = measured.get(OURS)
    judged = f"judges the first {job.judged:,} rows, and the others' time is reckoned by their bytes."
    return "\n".join(
        [
            f"{job.rows:,} rows, {size / 1e6:.1f} MB; {how}.",
            harness.machine(PACKAGES),
            "",
            f"| {' | '.join(_COLUMNS)} |",
            f"| --- {'| ---: ' * (len(_COLUMNS) - 1)}|",
            *(_line(result, job.rows, size, ours) for result in results),
            "",
            _NOTES,
            *([f"`{TODAY}` {judged}"] if 0 < job.judged < job.rows else []),
            "",
            "Each was also shown 500 rows of which one is wrong. These noticed:",
            "",
            *(f"- {what}: {_who(what, measured)}" for what in (SCHEMA, PLACE)),
            "",
            "What their columns have other than the contract's:",
            "",
            *(f"- `{name}`: {'; '.join(own.output.differences) or 'nothing'}" for name, own in measured.items()),
            "",
            "| what a release is good for | measured | compare |",
            "| --- | ---: | --- |",
            *(
                f"| {one.what} | {one.measured} | {one.compare} |"
                if isinstance(one, Property)
                else f"| | | not measured: {_cell(one)} |"
                for one in found
            ),
            "",
            "What two versions share is told by content-defined chunks of 64 KiB on average, as the hub's storage cuts",
            "them. Loading is timed inside, with a new cache each time; commands are timed as a whole.",
            "",
            "| target | measured | |",
            "| --- | ---: | --- |",
            *_targets(measured, [one for one in found if isinstance(one, Property)], job.rows, base),
            "",
        ]
    )


def _line(result: Result, rows: int, size: int, ours: Result | None) -> str:
    if result.failed:
        return f"| {result.name} | not run: {_cell(result.failed)} {'| ' * (len(_COLUMNS) - 1)}|"
    inside = result.name == FLOOR
    memory = "| | |" if inside else f"| {result.largest_mb:.0f} | {result.together_mb:.0f} |"
    cpu = "" if inside else f"{result.cpu:.2f}"
    relative = f"{result.seconds / ours.seconds:.2f}" if ours else ""
    name = f"{result.name} (scaled up)" if result.name == TODAY else result.name
    output = f"{result.output.parquet / 1e6:.1f} | {result.output.total / 1e6:.1f}"
    row, speed = result.seconds / rows * 1e6, size / 1e6 / result.seconds
    return f"| {name} | {result.seconds:.2f} | {row:.1f} | {cpu} | {speed:.1f} {memory} {output} | {relative} |"


def _cell(text: str) -> str:
    return text.replace("|", "/")


def _who(what: str, measured: Mapping[str, Result]) -> str:
    return ", ".join(f"`{name}`" for name, result in measured.items() if what in result.noticed) or "none"


def _targets(measured: Mapping[str, Result], found: Sequence[Property], rows: int, base: float) -> Iterator[str]:
    known = {name: result.seconds for name, result in measured.items()}

    def ratio(one: str, other: str) -> float | None:
        return known[one] / known[other] if one in known and other in known else None

    ours, now = measured.get(OURS), measured.get(TODAY)
    largest = ours.largest_mb / now.largest_mb if ours and now else None
    memory = ours.together_mb / now.together_mb if ours and now else None
    yield _least(f"at least {FASTER_THAN_TODAY} times faster than `{TODAY}`", ratio(TODAY, OURS), FASTER_THAN_TODAY)
    yield _most("at most a third of its memory, the largest process of each", largest, OF_TODAYS_MEMORY)
    yield _most("the same, all processes together", memory, OF_TODAYS_MEMORY)
    for name in (POLARS, PYARROW):
        yield _most(f"faster than `{name}`: a part of its time", ratio(OURS, name), 1)
    yield _least(
        f"at least {FASTER_THAN_DATASETS} times faster than `{DATASETS}`", ratio(DATASETS, OURS), FASTER_THAN_DATASETS
    )
    for name in (DUCKDB, TOLD):
        yield _most(f"at most {OF_DUCKDB} times the time of `{name}`", ratio(OURS, name), OF_DUCKDB)
    yield _most(f"at most {OF_FLOOR} times the floor", ratio(OURS, FLOOR), OF_FLOOR)
    yield _most(f"at most {OF_UNVALIDATED} times the unvalidated build", ratio(OURS, UNVALIDATED), OF_UNVALIDATED)
    yield _least(f"two workers at least {FASTER_THAN_ONE} times faster", ratio(ONE_WORKER, OURS), FASTER_THAN_ONE)
    yield _most(f"the largest process under {PEAK_MB} MB", ours.largest_mb if ours else None, PEAK_MB)
    if rows != BASE_ROWS:
        growth = ours.seconds / rows / base if ours and base else None
        yield _most(f"time for a row at most {OF_BASE} times that at {BASE_ROWS:,} rows", growth, OF_BASE)
    for what, start, limit, verdict in (
        (f"loading takes at most {OF_LOADING} times that of `{DATASETS}`' own", LOADING, OF_LOADING, _most),
        (f"a selection reads under {READ:.0%} of the bytes", SELECTION, READ, _most),
        (f"the next version has {SHARED:.0%} of its Parquet from the last", NEXT, SHARED, _least),
        (f"`--help` within {HELP_SECONDS} s", "`broadsheet --help`", HELP_SECONDS, _most),
        (f"`dataset/` is built within {REBUILD_SECONDS} s", "`broadsheet build", REBUILD_SECONDS, _most),
    ):
        yield verdict(what, next((one.value for one in found if one.what.startswith(start)), None), limit)


def _most(what: str, value: float | None, limit: float) -> str:
    return _target(what, value, fulfilled=value is not None and value <= limit)


def _least(what: str, value: float | None, limit: float) -> str:
    return _target(what, value, fulfilled=value is not None and value >= limit)


def _target(what: str, value: float | None, *, fulfilled: bool) -> str:
    return f"| {what} | | not measured |" if value is None else f"| {what} | {value:.3g} | {harness.met(fulfilled)} |"


def _base(document: Path | None) -> float:
    """Give the seconds that a row took in the shorter run that *document* tells of; 0 if it tells of none."""
    text = harness.pasted(document, "build", BASE_ROWS) if document else ""
    found = re.search(rf"^\| {re.escape(OURS)} \| [\d.]+ \| ([\d.]+) \|", text, re.MULTILINE)
    return float(found[1]) / 1e6 if found else 0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Compare the build with its peers.")
    parser.add_argument("--rows", type=int, default=BASE_ROWS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--judged", type=int, default=JUDGED, help="rows that jsonschema judges; 0 for all")
    parser.add_argument("--only", metavar="NAME", action="append", help="peers whose names start so, and no properties")
    parser.add_argument("--corpus", type=Path, metavar="FILE", help="a corpus of so many rows that is there already")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the report into this document")
    options = parser.parse_args()
    base = _base(options.write)
    busy = os.getloadavg()[0]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory(prefix="broadsheet-bench-") as own:
        place = Path(own)
        job, wrong = make(place, options.rows, options.judged, options.corpus)
        peers = [peer for peer in PEERS if options.only is None or peer.name.startswith(tuple(options.only))]
        results = measure(peers, job, wrong, place, options.repeat)
        found = [] if options.only else list(properties(job, place, options.repeat))
        text = report(results, found, job, f"median of {options.repeat}; two cores; load {busy:.1f} before", base)
    print(text)
    if options.write:
        harness.paste(text, options.write, "build", options.rows)


if __name__ == "__main__":
    main()
