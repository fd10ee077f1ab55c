"""The build's growth: takes numbers of rows, gives what builds of so many take, a model of it, and what it predicts.

Each build is a process of its own, on the same two cores, and tells of itself when its last shard was done. Lines are
fitted to what was measured by least squares; what is beyond the measured points is marked as predicted. Each corpus is
also built as one shard, as far as a shard may grow, since a worker's memory depends on its shard and nothing else. And
the end of a build is done alone, over the catalogue's entries of many more rows than there is time to build.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import harness
from build import CORES, dataset

HERE = Path(__file__).resolve().parent
ROWS = (10_000, 20_000, 50_000, 100_000)
WORKERS = (1, CORES)
#: So many entries the end is done over alone.
ENTRIES = (1_000_000, 5_000_000)
#: What is predicted: numbers of articles, and of cores.
ARTICLES, MACHINES = (1_000_000, 10_000_000, 100_000_000), (2, 16, 64, 256)
PACKAGES = ("broadsheet", "pyarrow", "duckdb")
#: On a machine that does nothing else, two workers have such an efficiency, and a build by one such a share of a core.
EFFICIENCY, OF_A_CORE = (0.75, 1.1), 0.75
START, END = "<!-- bench:scale -->", "<!-- /bench:scale -->"


@dataclass(frozen=True)
class Run:
    """What a build of *rows*, cut into so many *shards*, took with so many *workers*.

    *seconds* are those from its start to its end, *made* those of its shards, *ending* those after the last of them,
    *cpu* those of all processes. Bytes are those of the *input* and of what was written, *entries* those that the
    workers send to the coordinator for the catalogue. Memory, in MB, is that of the *coordinator*, the largest *worker*
    and the *largest* process of all.
    """

    rows: int
    workers: int
    shards: int
    seconds: float
    made: float
    ending: float
    cpu: float
    input: int
    parquet: int
    jsonl: int
    entries: int
    coordinator: float
    worker: float
    largest: float

    @property
    def before(self) -> float:
        """The seconds before the first shard, and after the build: a process starts, and ends."""
        return self.seconds - self.made - self.ending

    @property
    def share(self) -> float:
        """The rows of the worker that has most."""
        return share(self.rows, self.shards, self.workers)


@dataclass(frozen=True)
class Ending:
    """What the end of a build takes alone, over a catalogue of *rows*: *seconds*, and the *memory* of its process."""

    rows: int
    seconds: float
    memory: float


@dataclass(frozen=True)
class Line:
    """A line fitted to points: where it starts, how it grows; the *residual* is how far the farthest point is off."""

    start: float
    slope: float
    residual: float

    def at(self, x: float) -> float:
        """Give the line's value at *x*."""
        return self.start + self.slope * x


@dataclass(frozen=True)
class Model:
    """What a build takes: seconds *before* its shards; lines by rows, and those of memory and time of shards.

    *alone* and *together* are the seconds of the shards by the rows of the busiest worker: with one worker, and with as
    many as were measured. *worker* is a worker's memory by the rows of a shard. *row* has an input row's bytes.
    """

    before: float
    alone: Line
    together: Line
    ending: Line
    cpu: Line
    parquet: Line
    jsonl: Line
    entries: Line
    coordinator: Line
    worker: Line
    row: float

    @property
    def efficiency(self) -> float:
        """How much of one worker's speed each of several has."""
        return self.alone.slope / self.together.slope

    def made(self, rows: int, shards: int, workers: int) -> float:
        """Give the seconds that the shards take."""
        line = self.alone if workers == 1 else self.together
        return line.at(share(rows, shards, workers))

    def wall(self, rows: int, shards: int, workers: int) -> float:
        """Give the seconds that a build takes."""
        return self.before + self.made(rows, shards, workers) + self.ending.at(rows)


def share(rows: int, shards: int, workers: int) -> float:
    """Give the rows of the busiest of *workers*: whole shards, of which one has as many rows as another."""
    return rows / shards * math.ceil(shards / workers)


def line(points: Sequence[tuple[float, float]]) -> Line:
    """Fit a line to *points* by least squares; points at one place are taken to be on a line from zero."""
    if len({x for x, _ in points}) == 1:
        points = [(0, 0), *points]
    slope, start = statistics.linear_regression(*zip(*points, strict=True))
    return Line(start, slope, max(abs(y - start - slope * x) for x, y in points))


def fit(runs: Sequence[Run], whole: Sequence[Run], endings: Sequence[Ending]) -> Model:
    """Fit the model to *runs*.

    A worker's memory is fitted to them and to the *whole* ones, which are of one shard; the coordinator's to *endings*.
    """

    def by_rows(value: Callable[[Run], float]) -> Line:
        return line([(run.rows, value(run)) for run in runs])

    return Model(
        before=statistics.mean(run.before for run in runs),
        alone=line([(run.share, run.made) for run in runs if run.workers == 1]),
        together=line([(run.share, run.made) for run in runs if run.workers > 1]),
        ending=by_rows(lambda run: run.ending),
        cpu=by_rows(lambda run: run.cpu),
        parquet=by_rows(lambda run: run.parquet),
        jsonl=by_rows(lambda run: run.jsonl),
        entries=by_rows(lambda run: run.entries),
        coordinator=line([(ending.rows, ending.memory) for ending in endings]),
        worker=line([(run.rows / run.shards, run.worker) for run in [*runs, *whole]]),
        row=statistics.mean(run.input / run.rows for run in runs),
    )


# --- the runs ---


def measure(rows: Sequence[int], repeat: int) -> tuple[list[Run], list[Run]]:
    """Give the runs over so many *rows*, by each number of workers; and those in which all rows are one shard.

    Of *repeat* rounds, the one with the median time counts.
    """
    runs: list[Run] = []
    whole: list[Run] = []
    for count in rows:
        with tempfile.TemporaryDirectory(prefix="broadsheet-bench-") as given:
            place = Path(given)
            corpus = place / "articles.jsonl"
            # It has a process of its own: what this one holds, its children's memory would start from.
            _must([sys.executable, str(HERE / "corpus.py"), "--rows", f"{count}", "--out", str(corpus)])
            folder = dataset(corpus)
            rounds = [[_run(folder, count, workers, one=False) for workers in WORKERS] for _ in range(repeat)]
            for same in zip(*rounds, strict=True):
                runs.append(sorted(same, key=lambda run: run.seconds)[repeat // 2])
                print(runs[-1], file=sys.stderr)
            if runs[-1].shards > 1 and (alone := _run(folder, count, 1, one=True)).shards == 1:
                whole.append(alone)
                print(alone, file=sys.stderr)
    return runs, whole


def measure_endings(rows: Sequence[int]) -> list[Ending]:
    """Give what the end takes over so many *rows*, whose entries are those of a small build with other keys."""
    found = []
    with tempfile.TemporaryDirectory(prefix="broadsheet-bench-") as given:
        corpus = Path(given) / "articles.jsonl"
        _must([sys.executable, str(HERE / "corpus.py"), "--rows", "10000", "--out", str(corpus)])
        folder = str(dataset(corpus))
        for count in rows:
            cost = _must([sys.executable, __file__, "--probe", json.dumps({"folder": folder, "rows": count})])
            found.append(Ending(count, **json.loads(cost.said.splitlines()[-1])))
            print(found[-1], file=sys.stderr)
    return found


def _must(command: Sequence[str]) -> harness.Cost:
    os.sync()
    cost = harness.spend(command, os.environ)
    if cost.failed:
        raise SystemExit(cost.failed)
    return cost


def _run(folder: Path, rows: int, workers: int, *, one: bool) -> Run:
    out = folder.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    asked = json.dumps({"folder": str(folder), "out": str(out), "workers": workers, "one": one})
    cost = _must([sys.executable, __file__, "--probe", asked])
    return Run(
        rows=rows,
        workers=workers,
        shards=len([*(out / "data" / "articles").iterdir()]),
        seconds=cost.seconds,
        cpu=cost.cpu,
        input=(folder / "source" / "articles.jsonl").stat().st_size,
        parquet=_size(out / "data"),
        jsonl=_size(out / "jsonl"),
        largest=cost.largest_mb,
        **json.loads(cost.said.splitlines()[-1]),
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def probe(folder: str, out: str, workers: int, *, one: bool) -> Mapping[str, float]:
    """Build the dataset in *folder* into *out* as the command does, and give what can only be seen from inside.

    With *one*, all its rows are one shard, if a shard may be as large.
    """
    from broadsheet import catalogue, sources, spread  # noqa: PLC0415 - as below
    from broadsheet.build import build  # noqa: PLC0415 - it is heavy, and who measures memory must be light

    told: list[tuple[str, float]] = []
    entries = 0

    def tell(step: str, done: int = 0, total: int = 0) -> None:  # noqa: ARG001 - it is a `Tell`
        told.append((step.partition(":")[0], time.perf_counter()))

    def enter(self: catalogue.Catalogue, given: Mapping[str, bytes]) -> None:
        nonlocal entries
        entries += sum(map(len, given.values()))
        entered(self, given)

    entered = catalogue.Catalogue.enter
    smallest = sources.LARGEST if one else sources.SMALLEST
    spread.fork_once()
    with mock.patch.object(catalogue.Catalogue, "enter", enter), mock.patch.object(sources, "SMALLEST", smallest):
        build(Path(folder), Path(out), tell, workers)
    end = time.perf_counter()
    began = next(at for step, at in told if step == "joining")
    last = max(at for step, at in told if step == "building")
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "made": last - began,
        "ending": end - last,
        "entries": entries,
        "coordinator": _peak() * 1024 / 1e6,
        "worker": children * 1024 / 1e6,
    }


def probe_end(folder: str, rows: int) -> Mapping[str, float]:
    """Build the dataset in *folder*, multiply its entries to *rows*, and give what the end takes over them."""
    import pyarrow as pa  # noqa: PLC0415 - it is heavy, and who measures memory must be light
    import pyarrow.parquet as pq  # noqa: PLC0415 - as above

    from broadsheet import catalogue, contract, merge, rejects, shards, sources, summary, tables  # noqa: PLC0415 - as above
    from broadsheet import recipe as recipes  # noqa: PLC0415 - as above

    schemas = {table: contract.table_schema(table) for table in contract.TABLES}
    with tempfile.TemporaryDirectory(prefix="broadsheet-bench-") as given:
        recipe = recipes.read(Path(folder))
        targets = [target.id for target in recipe.targets]
        (shard, *_) = sources.gather(recipe, schemas, (given, Path(given)), rejects.NO_REJECTS).shards
        made = shards.make(shards.Job(shard, given, given, schemas, shards.NO_INDEX))
        entries = pq.read_table(pa.BufferReader(made.entries["articles"]))
        own = Path(given) / "catalogue"
        own.mkdir()
        full = catalogue.Catalogue(own)
        for number in range(rows // len(entries)):
            full.enter({"articles": tables.to_parquet_bytes(_other(entries, number))})
        merged = merge.Merged(full, given=rows, shards=[{table: shards.Part(rows, 0, {}) for table in schemas}])
        # From here on, peak memory is the end's own.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        start = time.perf_counter()
        merged.finish(schemas, recipe, shards.NO_INDEX, rejects.NO_REJECTS)
        merged.digest()
        summary.summarize(full, summary.Tally(), targets)
        seconds = time.perf_counter() - start
        full.close()
    return {"seconds": seconds, "memory": _peak() * 1024 / 1e6}


def _other(entries: Any, number: int) -> Any:
    """Give *entries* with keys and digests that depend on *number* too."""
    import pyarrow as pa  # noqa: PLC0415 - it is heavy, and who measures memory must be light

    digests = [hashlib.sha256(digest + b"%d" % number) for digest in entries["digest"].to_pylist()]
    columns = {name: entries[name] for name in entries.column_names} | {
        "id": pa.array([f"{id_}-{number}" for id_ in entries["id"].to_pylist()]),
        "text_sha256": pa.array([digest.hexdigest() for digest in digests]),
        "digest": pa.array([digest.digest() for digest in digests], pa.binary(32)),
    }
    return pa.table(columns)


def _peak() -> int:
    """Give this process's peak memory in KiB, without that of the process it was forked from."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM:"))


# --- the report ---

_NOTES = """\
The model: a build takes a constant, the shards of the busiest worker one after another, and the end in the coordinator,
in which no worker helps: judging what only all rows can tell, figures, documents, waiting for the disk.

    wall = before + start + rows / shards * ceil(shards / cores) * seconds a row / efficiency + end + rows * its seconds

The lines of memory, bytes and seconds are least squares over all measured points; a residual is that of the farthest
point. Efficiency is that of two workers against one, and is taken to be the same for more of them.

What the model leaves out:

- the network, and how long an object store takes to answer;
- stragglers: a worker that is slower than the others, or lost, and its shard made again;
- near-duplicates, which are an option, and rows in files of their own;
- compressed sources, which the coordinator unpacks, one after another, before the first shard;
- what grows faster than rows: the end sorts, and beyond its share of memory DuckDB sorts on disk;
- other articles: generated ones stand for real ones, and a longer text takes longer."""


def report(
    runs: Sequence[Run],
    whole: Sequence[Run],
    endings: Sequence[Ending],
    model: Model,
    *,
    price: float | None,
    how: str,
) -> str:
    """Give the report in Markdown; a *price* of a core-hour gives a column of money; *how* says how it was measured."""
    return "\n".join(
        [
            f"Builds of {', '.join(f'{rows:,}' for rows in sorted({run.rows for run in runs}))} generated rows; {how}.",
            harness.machine(PACKAGES),
            "",
            *_disturbed(runs, model),
            *_measured(runs, model),
            "",
            *(_whole(whole) if whole else ()),
            *_endings(endings),
            *_constants(model),
            "",
            *_by_articles(model),
            "",
            *_by_cores(model, price),
            "",
            *_caveats(runs),
            "",
            _NOTES,
        ]
    )


def _disturbed(runs: Sequence[Run], model: Model) -> Iterator[str]:
    """Say so if what was measured tells that this machine did something else meanwhile."""
    of_a_core = min(run.cpu / run.seconds for run in runs if run.workers == 1)
    low, high = EFFICIENCY
    if not low <= model.efficiency <= high or of_a_core < OF_A_CORE:
        yield f"**Other programs ran meanwhile: one worker had a share of its core as small as {of_a_core:.2f}, and two"
        yield f"had an efficiency of {model.efficiency:.2f}. Do not trust seconds and core-hours here, nor what they"
        yield "predict. Bytes and memory do not depend on it.**"
        yield ""


def _measured(runs: Sequence[Run], model: Model) -> Iterator[str]:
    columns = (
        *("rows", "workers", "", "shards", "wall, s", "by the model, s", "of it after the last shard, s"),
        *("CPU, s", "Parquet, MB", "JSONL, MB", "entries, MB", "coordinator, MB", "worker, MB", "largest process, MB"),
    )
    yield from _table(
        columns,
        [
            [
                *(f"{run.rows:,}", f"{run.workers}", "**measured**", f"{run.shards}", f"{run.seconds:.2f}"),
                *(f"{model.wall(run.rows, run.shards, run.workers):.2f}", f"{run.ending:.2f}", f"{run.cpu:.2f}"),
                *(f"{size / 1e6:.1f}" for size in (run.parquet, run.jsonl, run.entries)),
                *(f"{memory:.0f}" for memory in (run.coordinator, run.worker, run.largest)),
            ]
            for run in runs
        ],
    )


def _whole(whole: Sequence[Run]) -> Iterator[str]:
    yield "The same rows as one shard, with one worker, for the memory of a worker:"
    yield ""
    rows = [(f"{run.rows:,}", "**measured**", f"{run.input / 1e6:.0f}", f"{run.worker:.0f}") for run in whole]
    yield from _table(("rows of the shard", "", "input, MB", "worker, MB"), rows)
    yield ""


def _endings(endings: Sequence[Ending]) -> Iterator[str]:
    yield "The end alone, over the entries of a small build, multiplied; without documents, and without waiting for the"
    yield "disk:"
    yield ""
    rows = [
        (f"{e.rows:,}", "**measured**", f"{e.seconds:.1f}", f"{e.seconds / e.rows * 1e6:.1f}", f"{e.memory:.0f}")
        for e in endings
    ]
    yield from _table(("rows", "", "seconds", "µs a row", "memory, MB"), rows)
    yield ""


def _constants(model: Model) -> Iterator[str]:
    lines = (
        ("shards, one worker", model.alone, 1, "s", 1e6, "µs a row"),
        ("shards, two workers, by the rows of the busier", model.together, 1, "s", 1e6, "µs a row"),
        ("after the last shard", model.ending, 1, "s", 1e6, "µs a row"),
        ("CPU of all processes", model.cpu, 1, "s", 1e6, "µs a row"),
        ("Parquet", model.parquet, 1e-6, "MB", 1, "bytes a row"),
        ("JSONL", model.jsonl, 1e-6, "MB", 1, "bytes a row"),
        ("entries for the catalogue", model.entries, 1e-6, "MB", 1, "bytes a row"),
        ("the coordinator's memory, by the end alone", model.coordinator, 1, "MB", 1e6, "bytes a row"),
        ("a worker's memory, by the rows of a shard", model.worker, 1, "MB", 1e6, "bytes a row"),
    )
    rows = [
        [
            *(what, f"{found.start * scale:z.2f} {unit}", f"{found.slope * by_row:,.1f} {row}"),
            f"{found.residual * scale:.2f} {unit}",
        ]
        for what, found, scale, unit, by_row, row in lines
    ]
    rows[:0] = [
        ["before the shards, and the process", f"{model.before:.2f} s", "", ""],
        ["efficiency of two workers", f"{model.efficiency:.2f}", "", ""],
    ]
    yield from _table(("fitted", "constant", "grows by", "largest residual"), rows)


def _by_articles(model: Model) -> Iterator[str]:
    columns = (
        *("articles", "", "input, GB", "shards", "rows of a shard", "core-hours of work", "Parquet, GB", "JSONL, GB"),
        *("output, GB", "entries, GB", "coordinator, MB", "worker, MB"),
    )
    rows = []
    for count in ARTICLES:
        shards = _shards(round(count * model.row))
        parquet, jsonl = model.parquet.at(count), model.jsonl.at(count)
        sizes = (parquet, jsonl, parquet + jsonl, model.entries.at(count))
        rows.append(
            [
                *(f"{count:,}", "**predicted**", f"{count * model.row / 1e9:.1f}", f"{shards:,}"),
                *(f"{count // shards:,}", f"{model.cpu.at(count) / 3600:.2f}"),
                *(f"{size / 1e9:.1f}" for size in sizes),
                f"{model.coordinator.at(count):,.0f}",
                f"{model.worker.at(count / shards):,.0f}",
            ]
        )
    yield from _table(columns, rows)


def _by_cores(model: Model, price: float | None) -> Iterator[str]:
    columns = ["articles", "cores", "", "cores with a shard", "wall", "of it after the last shard", "core-hours held"]
    if price is not None:
        columns.append(f"at {price:g} a core-hour")
    rows = []
    for count in ARTICLES:
        shards = _shards(round(count * model.row))
        for cores in MACHINES:
            wall = model.wall(count, shards, cores)
            held = cores * wall / 3600
            row = [f"{count:,}", f"{cores}", "**predicted**", f"{min(cores, shards)}", _time(wall)]
            row += [_time(model.ending.at(count)), f"{held:,.2f}"]
            rows.append(row if price is None else [*row, f"{held * price:,.2f}"])
    yield from _table(columns, rows)
    yield ""
    yield "Core-hours held are cores times wall time: what is paid for, also while a core has no shard."
    if price is not None:
        yield f"{price:g} a core-hour is the price that was given to the script, in whatever currency."


def _caveats(runs: Sequence[Run]) -> Iterator[str]:
    from broadsheet import sources  # noqa: PLC0415 - it is heavy, and who measures memory must be light

    most = max(run.rows for run in runs)
    yield f"The largest measured build has {most:,} rows; {ARTICLES[-1]:,} are {ARTICLES[-1] / most:,.0f} times that."
    yield f"Shards are {sources.SMALLEST / 2**20:.0f} to {sources.LARGEST / 2**20:.0f} MiB of input, and"
    yield f"about {sources.SHARDS} where that fits; more cores than shards do not help. Entries lie on the"
    yield "coordinator's disk; if a shard is late, those of later ones lie in its memory until then, which is not"
    yield "predicted."


def _shards(size: int) -> int:
    """Give into how many shards an input of *size* bytes is cut, by the arithmetic of the build itself."""
    from broadsheet import sources  # noqa: PLC0415 - it is heavy, and who measures memory must be light

    return len(sources.cut([sources.File("articles.jsonl", "articles.jsonl", "train", size)]))


def _time(seconds: float) -> str:
    minute, hour = 60, 3600
    if seconds < 2 * minute:
        return f"{seconds:.0f} s"
    return f"{seconds / minute:.1f} min" if seconds < 2 * hour else f"{seconds / hour:.1f} h"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    figures = [bool(column) and row[:1].isdigit() for column, row in zip(columns, rows[-1], strict=True)]
    yield f"| {' | '.join('---:' if figure else '---' for figure in figures)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _paste(text: str, document: Path) -> None:
    """Put *text* between the marks in *document*; a section of all sizes together has no number of rows."""
    before, opened, rest = document.read_text(encoding="utf-8").partition(START)
    _, closed, after = rest.partition(END)
    if not opened or not closed:
        raise SystemExit(f"{document} has no {START} … {END}")
    document.write_text(f"{before}{START}\n{text.strip()}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Measure builds of several sizes, and predict larger ones.")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--entries", type=int, nargs="+", default=ENTRIES, help="rows that the end is done over alone")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--core-hour", type=float, metavar="PRICE", help="what a core costs for an hour")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the report into this document")
    parser.add_argument("--probe", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        asked: Any = options.probe
        print(json.dumps(probe_end(**asked) if "rows" in asked else probe(**asked)))
        return
    if min(len(set(options.rows)), len(set(options.entries))) < 2:  # noqa: PLR2004 - a line has two points
        parser.error("a line needs two numbers of rows at least")
    busy = os.getloadavg()[0]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    runs, whole = measure(sorted(set(options.rows)), options.repeat)
    how = f"median of {options.repeat}; two cores; load {busy:.1f} before"
    endings = measure_endings(sorted(set(options.entries)))
    model = fit(runs, whole, endings)
    text = report(runs, whole, endings, model, price=options.core_hour, how=how)
    print(text)
    if options.write:
        _paste(text, options.write)


if __name__ == "__main__":
    main()
