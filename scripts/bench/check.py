"""The gate's benchmark: takes a number of rows, gives a table of what the gate and its peers take to check them.

The peers read the same generated file, each in a child process of its own pinned to one core, in turns over several
rounds; medians are printed. What is timed is the whole work after the imports. Before that, each peer is shown rows
that are broken in one way each, and the report says which of them it lets pass. Ratios count; seconds are of a machine.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import harness

# This process imports nothing heavy: Linux gives a child its parent's peak memory to start from.

OURS, YARDSTICK, LOADS = "ours, by a schema", "orjson + jsonschema-rs, bare loop", "orjson alone"
WHOLE = "ours, every rule of the contract"
FAST, REFERENCE, TWO_CORES = "fastjsonschema + orjson", "jsonschema + json", "ours, every rule, two cores"
REFERENCE_ROWS = 500
PACKAGES = ("broadsheet", "orjson", "jsonschema-rs", "fastjsonschema", "jsonschema")
SLOWER_THAN_YARDSTICK, FASTER_THAN_FAST, FASTER_THAN_REFERENCE, PEAK_MB = 1.6, 1.2, 20, 400
NEAR_TWICE = 1.7
TWICE = "an identifier that two rows have"
HERE = Path(__file__).parent

Row = dict[str, Any]
#: A file → whether every row in it is right; raises if the work cannot be done.
Check = Callable[[Path], bool]


@dataclass(frozen=True)
class Peer:
    """One way to check a file: *prepare* imports, and gives the work that is timed; with *rows*, of a part."""

    name: str
    prepare: Callable[..., Check]
    workers: int = 1
    rows: int | None = None


@dataclass(frozen=True)
class Task:
    """What a child does: the *files* one after another, with the *modules* it is to import before the clock starts."""

    peer: str
    options: Sequence[str]
    files: Sequence[str]
    modules: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """What a child says: a verdict a file, seconds, peak memory, and which modules it has; or why it *failed*."""

    verdicts: Sequence[bool] = ()
    seconds: float = 0
    peak_mb: float = 0
    modules: Sequence[str] = ()
    failed: str = ""


@dataclass(frozen=True)
class Result:
    """A peer's medians over the whole file, and what it lets pass; or why it was not run."""

    peer: Peer
    seconds: float = 0
    peak_mb: float = 0
    passed: Sequence[str] = ()
    failed: str = ""


@dataclass(frozen=True)
class Corpus:
    """The generated *file*, its size, and the files with one row *broken* in one way, by what is wrong with it."""

    file: Path
    rows: int
    size: int
    broken: Mapping[str, Path]


# --- the peers, in the child ---


def _ours_by_schema(workers: str) -> Check:
    """Give the gate, told to judge by a schema in a file, as somebody with a contract of their own does."""
    file = Path(tempfile.mkdtemp()) / "row.schema.json"
    file.write_text(json.dumps(_schema()), encoding="utf-8")
    return _gate(str(file), int(workers))


def _ours(workers: str) -> Check:
    """Give the gate as it is for somebody who names no schema: the contract, and every rule beyond it."""
    return _gate(None, int(workers))


def _gate(schema: str | None, workers: int) -> Check:
    from broadsheet.check import check as problems  # noqa: PLC0415 - a child imports what its peer needs, and no more

    return lambda file: not list(problems([str(file)], schema, workers=workers))


def _yardstick() -> Check:
    orjson, jsonschema_rs = _import("orjson"), _import("jsonschema_rs", "jsonschema-rs")

    def check(file: Path) -> bool:
        validator, fine = jsonschema_rs.validator_for(_schema()), True
        with file.open("rb") as lines:
            for line in lines:
                fine &= validator.is_valid(orjson.loads(line))
        return fine

    _schema()
    return check


def _loads() -> Check:
    orjson = _import("orjson")

    def check(file: Path) -> bool:
        with file.open("rb") as lines:
            for line in lines:
                orjson.loads(line)
        return True

    return check


def _fast() -> Check:
    orjson, fastjsonschema = _import("orjson"), _import("fastjsonschema")

    def check(file: Path) -> bool:
        validate, fine = fastjsonschema.compile(draft_7(_schema()), use_default=False), True
        with file.open("rb") as lines:
            for line in lines:
                try:
                    validate(orjson.loads(line))
                except fastjsonschema.JsonSchemaValueException:
                    fine = False
        return fine

    _schema()
    return check


def _reference() -> Check:
    jsonschema, referencing = _import("jsonschema"), _import("referencing")
    formats = jsonschema.FormatChecker()

    def check(file: Path) -> bool:
        validator = jsonschema.Draft202012Validator(_schema(), registry=referencing.Registry(), format_checker=formats)
        fine = True
        with file.open("rb") as lines:
            for line, _ in zip(lines, range(REFERENCE_ROWS), strict=False):
                fine &= validator.is_valid(json.loads(line))
        return fine

    _schema()
    return check


PEERS = (
    Peer(OURS, _ours_by_schema),
    Peer(WHOLE, _ours),
    Peer(YARDSTICK, _yardstick),
    Peer(LOADS, _loads),
    Peer(FAST, _fast),
    Peer(REFERENCE, _reference, rows=REFERENCE_ROWS),
    Peer(TWO_CORES, _ours, workers=2),
)


def draft_7(schema: Any) -> Any:
    """Give *schema* in draft 7, complete in itself, with the same meaning.

    Draft 7 ignores what stands beside a ``$ref``, so both go into an ``allOf``; an embedded schema is referred to by
    its place, since its ``$id`` goes.
    """
    if isinstance(schema, list):
        return [draft_7(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    node = {key: draft_7(item) for key, item in schema.items() if key not in ("$schema", "$id")}
    if isinstance(reference := node.pop("$ref", None), str):
        if reference.startswith("urn:"):
            reference = f"#/$defs/{reference.split(':')[3]}"
        node = {"allOf": [{"$ref": reference}, node]} if node else {"$ref": reference}
    return node


def _schema() -> Any:
    from broadsheet import contract  # noqa: PLC0415 - as above

    return contract.table_schema("articles")


def _import(module: str, package: str = "") -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RuntimeError(f"`pip install {package or module}` first: {error}") from None


# --- the child ---


def child(task: Task) -> Outcome:
    """Do *task* in this process, and say what it took."""
    peer = next(peer for peer in PEERS if peer.name == task.peer)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: peer.workers])
    try:
        check = peer.prepare(*task.options)
        for module in task.modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        start = time.perf_counter()
        verdicts = [check(Path(file)) for file in task.files]
        seconds = time.perf_counter() - start
    except Exception as error:  # noqa: BLE001 - whatever it is, the report tells it and the other peers go on
        return Outcome(failed=f"{error}" if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}")
    return Outcome(verdicts, seconds, _peak_mb(peer.workers), [name for name in sys.modules if name != "__main__"])


def _peak_mb(workers: int) -> float:
    """Give this process's peak memory, and as much as its largest child's for each of its *workers*."""
    own, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + workers * largest) * 1024 / 1e6


# --- the parent ---


def run(task: Task) -> Outcome:
    """Do *task* in a child process; its last line is its outcome, whatever the peer prints before."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child"]
    done = subprocess.run(command, input=json.dumps(asdict(task)), capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    said = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode or not lines:
        return Outcome(failed=f"the child ended with {done.returncode}: {' '.join(said[-1:])}")
    outcome = Outcome(**json.loads(lines[-1]))
    return Outcome(failed=": ".join([outcome.failed, *said[:1]])) if outcome.failed else outcome


def measure(peers: Mapping[Peer, Sequence[str]], corpus: Corpus, repeat: int) -> list[Result]:
    """Give the result of every peer with its options: first what it lets pass, then *repeat* rounds in turns."""
    broken = [str(file) for file in corpus.broken.values()]
    proofs = {peer.name: run(Task(peer.name, options, broken)) for peer, options in peers.items()}
    rounds: dict[str, list[Outcome]] = {peer.name: [] for peer in peers}
    for number in range(1, repeat + 1):
        for peer, options in peers.items():
            if any(outcome.failed for outcome in [proofs[peer.name], *rounds[peer.name]]):
                continue
            outcome = run(Task(peer.name, options, [str(corpus.file)], proofs[peer.name].modules))
            if not outcome.failed and not all(outcome.verdicts):
                outcome = Outcome(failed="it found problems in a corpus that has none")
            rounds[peer.name].append(outcome)
            print(f"round {number}: {peer.name}: {outcome.failed or f'{outcome.seconds:.2f} s'}", file=sys.stderr)
    return [_result(peer, proofs[peer.name], rounds[peer.name], corpus) for peer in peers]


def _result(peer: Peer, proof: Outcome, rounds: Sequence[Outcome], corpus: Corpus) -> Result:
    for outcome in [proof, *rounds]:
        if outcome.failed:
            return Result(peer, failed=re.sub(re.escape(str(corpus.file.parent)) + r"/*", "", outcome.failed))
    passed = [what for what, fine in zip(corpus.broken, proof.verdicts, strict=True) if fine]
    if peer.name != LOADS and len(passed) == len(corpus.broken):
        return Result(peer, failed="it lets every broken row pass, so it validates nothing")
    scale = corpus.size / _size(corpus.file, peer.rows) if peer.rows else 1.0
    seconds = statistics.median(outcome.seconds for outcome in rounds) * scale
    return Result(peer, seconds, statistics.median(outcome.peak_mb for outcome in rounds), passed)


def _size(file: Path, rows: int) -> int:
    with file.open("rb") as lines:
        return sum(len(line) for line, _ in zip(lines, range(rows), strict=False))


def make(folder: Path, rows: int) -> Corpus:
    """Give a corpus of *rows* rows in *folder*; a process of its own makes it, so that this one stays small."""
    file = folder / "articles.jsonl"
    command = [sys.executable, str(HERE / "corpus.py"), "--rows", str(rows), "--out", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    broken = {}
    for number, (what, text) in enumerate(_broken(_rich(file))):
        broken[what] = folder / f"broken-{number:02d}.jsonl"
        broken[what].write_text(text, encoding="utf-8")
    return Corpus(file, rows, file.stat().st_size, broken)


def _rich(file: Path) -> str:
    """Give the first line of *file* that has all that the breaking below needs."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            url = any(reference["url"] for reference in row["references"])
            if row["published"] and url and _stated(row):
                return line
    raise SystemExit("no row has a date, a reference's URL and a stated claim; take more --rows")


def _stated(row: Row) -> Row | None:
    return next((claim for claim in row["provenance"]["claims"] if claim["basis"] == "stated"), None)


def _broken(line: str) -> Iterator[tuple[str, str]]:
    """Give what is wrong and a file's text, for the row in *line* broken in one way after another."""
    for what, spoil in {**_AGAINST_SCHEMA, **_BEYOND_SCHEMA}.items():
        row = json.loads(line)
        spoil(row, _stated(row))
        yield what, json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"
    yield TWICE, line + line


_AGAINST_SCHEMA: Mapping[str, Callable[[Row, Any], Any]] = {
    "a missing field": lambda row, _: row.pop("title"),
    "an unknown field": lambda row, _: row.update(titel=""),
    "a string for an integer, in a quote": lambda _, claim: claim["evidence"][0].update(start="1"),
    "a value that is not of the list": lambda row, _: row.update(status="lost"),
    "a digest of the wrong form": lambda row, _: row["provenance"].update(source_sha256="0"),
    "a stated claim without a quote": lambda _, claim: claim.update(evidence=[]),
    "a date that is not in the calendar": lambda row, _: row.update(published="2012-02-31"),
    "a URL that is no URI": lambda row, _: [reference.update(url="no uri") for reference in row["references"]],
}
#: What no JSON Schema can say.
_BEYOND_SCHEMA: Mapping[str, Callable[[Row, Any], Any]] = {
    "a number of characters that is not the text's": lambda row, _: row.update(n_chars=row["n_chars"] + 1),
    "a digest that is not the text's": lambda row, _: row.update(text_sha256="0" * 64),
    "a quote that is not at its place": lambda _, claim: claim["evidence"][0].update(exact="¡nowhere!"),
}


def _peers() -> dict[Peer, Sequence[str]]:
    """Give the peers that can run here, each with its options."""
    cores = len(os.sched_getaffinity(0))
    return {
        peer: (str(peer.workers),) if peer.prepare in (_ours, _ours_by_schema) else ()
        for peer in PEERS
        if peer.workers <= cores
    }


# --- the report ---

_NOTES = f"""\
What is timed is the whole work after the imports. The yardstick is `{YARDSTICK}`. `{REFERENCE}` reads the first
{REFERENCE_ROWS} rows, and its seconds are scaled up by bytes. `{FAST}` has the schema rewritten for draft 7.
Peak MB is of the main process and, where there are workers, as much as the largest of them for each."""


def report(results: Sequence[Result], corpus: Corpus, repeat: int) -> str:
    """Give the report in Markdown."""
    measured = {result.peer.name: result for result in results if not result.failed}
    beyond = [*_BEYOND_SCHEMA, TWICE]
    return "\n".join(
        [
            f"{corpus.rows:,} rows, {corpus.size / 1e6:.1f} MB; median of {repeat}; one core unless it says otherwise.",
            harness.machine(PACKAGES),
            "",
            "| peer | seconds | MB/s | peak MB | time, relative to the yardstick |",
            "| --- | ---: | ---: | ---: | ---: |",
            *(_line(result, corpus, measured.get(YARDSTICK)) for result in results),
            "",
            _NOTES,
            "",
            "| target | measured | |",
            "| --- | ---: | --- |",
            *_targets(measured),
            "",
            f"Each was also shown {len(corpus.broken)} files that are broken in one way each; no JSON Schema can say",
            f"what is wrong in {len(beyond)} of them ({'; '.join(beyond)}). They let pass:",
            "",
            *(f"- `{name}`: {_passed(result.passed, corpus)}" for name, result in measured.items()),
            "",
        ]
    )


def _line(result: Result, corpus: Corpus, yardstick: Result | None) -> str:
    name = f"{result.peer.name} (scaled up)" if result.peer.rows else result.peer.name
    if result.failed:
        return f"| {name} | not run: {result.failed.replace('|', '/')} | | | |"
    speed = corpus.size / 1e6 / result.seconds
    relative = f"{result.seconds / yardstick.seconds:.2f}" if yardstick else ""
    return f"| {name} | {result.seconds:.2f} | {speed:.1f} | {result.peak_mb:.0f} | {relative} |"


def _targets(measured: Mapping[str, Result]) -> Iterator[str]:
    ours = measured.get(OURS)
    for what, other, limit in [
        (f"ours takes at most {SLOWER_THAN_YARDSTICK} times the yardstick's time", YARDSTICK, SLOWER_THAN_YARDSTICK),
        (f"ours is at least {FASTER_THAN_FAST} times faster than {FAST}", FAST, FASTER_THAN_FAST),
        (f"ours is at least {FASTER_THAN_REFERENCE} times faster than {REFERENCE}", REFERENCE, FASTER_THAN_REFERENCE),
    ]:
        if ours is None or other not in measured:
            yield f"| {what} | | not measured |"
            continue
        slower = ours.seconds / measured[other].seconds
        ratio, met = (slower, slower <= limit) if other == YARDSTICK else (1 / slower, 1 / slower >= limit)
        yield f"| {what} | {ratio:.2f} | {harness.met(met)} |"
    if WHOLE in measured and TWO_CORES in measured:
        ratio = measured[WHOLE].seconds / measured[TWO_CORES].seconds
        what = f"two cores are near twice as fast as one (at least {NEAR_TWICE} times)"
        yield f"| {what} | {ratio:.2f} | {harness.met(ratio >= NEAR_TWICE)} |"
    what = f"ours takes less than {PEAK_MB} MB of memory"
    yield (
        f"| {what} | {ours.peak_mb:.0f} | {harness.met(ours.peak_mb < PEAK_MB)} |"
        if ours
        else f"| {what} | | not measured |"
    )


def _passed(passed: Sequence[str], corpus: Corpus) -> str:
    if not passed:
        return "none"
    return "all" if len(passed) == len(corpus.broken) else "; ".join(passed)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Compare the gate with its peers.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the report into this document")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print("\n" + json.dumps(asdict(child(Task(**json.load(sys.stdin))))))
        return
    with tempfile.TemporaryDirectory(prefix="broadsheet-bench-") as folder:
        corpus = make(Path(folder), options.rows)
        text = report(measure(_peers(), corpus, options.repeat), corpus, options.repeat)
    print(text)
    if options.write:
        harness.paste(text, options.write, "check", options.rows)


if __name__ == "__main__":
    main()
