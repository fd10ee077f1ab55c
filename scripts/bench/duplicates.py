"""The benchmark of near-duplicates: takes a number of texts, gives a table of what finding their clusters takes.

The texts are invented, of the lengths of real articles; near-duplicates are planted among them at declared edit rates,
some with a site's boilerplate added, and texts that only share a paragraph. Each peer has the same texts, the same
shingles and the same threshold, in a child process of its own pinned to one core, in turns over several rounds; medians
are printed. What is timed is the work from the texts in memory to the clusters. What is true is told by the exact
Jaccard index of the same shingles. Ratios count; seconds are of a machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import corpus
import harness
import numpy as np

from broadsheet import minhash

OURS, YARDSTICK = "ours", "datasketch, hashing with xxHash"
SHA, RENSA = "datasketch, hashing with SHA-1 (its default)", "rensa's Python API"
GIVEN = "datasketch, given our shingles' hashes"
PACKAGES = ("broadsheet", "rensa", "datasketch", "xxhash", "numpy", "pyarrow")
THRESHOLD = 0.8
FASTER = 10
SEED = 1
#: The edit rates: which share of the words is replaced, deleted, or followed by another one.
RATES = (0.02, 0.05, 0.10, 0.20)
#: One row in so many is planted, of each kind.
SHARE = 40
#: How many sites there are, each with boilerplate of its own of about so many bytes, before and after a text.
SITES, BOILERPLATE = 12, (80, 240)
#: How many texts' shingles are held at once by peers that take them in bulk.
BATCH = 256

#: Texts → for each the index of the first of its cluster.
Find = Callable[[Sequence[str]], Sequence[int]]


@dataclass(frozen=True)
class Peer:
    """One way to find clusters: *prepare* imports, and gives the work that is timed."""

    name: str
    prepare: Callable[[], Find]


@dataclass(frozen=True)
class Planted:
    """Two texts by their indices, the *kind* of their likeness, and the exact Jaccard index of their shingles."""

    one: int
    other: int
    kind: str
    likeness: float


@dataclass(frozen=True)
class Task:
    """What a child does: find the clusters of the texts in *file*."""

    peer: str
    file: str


@dataclass(frozen=True)
class Outcome:
    """What a child says: for each text the *first* of its cluster, and seconds; or why it *failed*."""

    first: Sequence[int] = ()
    seconds: float = 0
    failed: str = ""


@dataclass(frozen=True)
class Result:
    """A peer's median seconds, which planted pairs it has *found*, and how many of its links are *right*."""

    name: str
    seconds: float = 0
    found: Sequence[Planted] = ()
    right: int = 0
    links: int = 0
    failed: str = ""


# --- the peers, in the child ---


def _ours() -> Find:
    def find(texts: Sequence[str]) -> Sequence[int]:
        first: list[int] = minhash.clusters(minhash.signatures(texts), THRESHOLD).tolist()
        return first

    return find


def _datasketch() -> Find:
    import xxhash  # noqa: PLC0415 - a child imports what its peer needs, and no more

    return _sketch(xxhash.xxh32_intdigest, _encoded)


def _datasketch_sha() -> Find:
    from datasketch.hashfunc import sha1_hash32  # noqa: PLC0415 - as above

    return _sketch(sha1_hash32, _encoded)


def _datasketch_given() -> Find:
    """Give datasketch without what it leaves to its user: it only permutes, and finds."""

    def hashes(texts: Sequence[str]) -> Iterator[list[int]]:
        room = minhash._room(max(map(len, texts)))  # noqa: SLF001 - only to compare
        for text in texts:
            found, _, _ = minhash._shingles(text, np.array([len(text)]), room)  # noqa: SLF001 - as above
            yield np.unique(found >> np.uint64(32)).tolist()

    return _sketch(int, hashes)


def _encoded(texts: Sequence[str]) -> Iterator[list[bytes]]:
    return ([shingle.encode() for shingle in shingles(text)] for text in texts)


def _sketch(hashed: Callable[[Any], int], split: Callable[[Sequence[str]], Iterator[Any]]) -> Find:
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415 - as above

    def find(texts: Sequence[str]) -> Sequence[int]:
        index = MinHashLSH(threshold=THRESHOLD, num_perm=minhash.PERMUTATIONS)
        sketches = MinHash.generator(split(texts), num_perm=minhash.PERMUTATIONS, hashfunc=hashed)
        pairs = []
        for number, sketch in enumerate(sketches):
            pairs += [(number, other) for other in index.query(sketch)]
            index.insert(number, sketch, check_duplication=False)
        return connected(len(texts), pairs)

    return find


def _rensa() -> Find:
    import rensa  # noqa: PLC0415 - as above

    bands = minhash.banding(THRESHOLD).bands

    def find(texts: Sequence[str]) -> Sequence[int]:
        permutations = minhash.PERMUTATIONS
        sketches = []
        for start in range(0, len(texts), BATCH):
            sets = [[*shingles(text)] for text in texts[start : start + BATCH]]
            sketches += rensa.RMinHash.from_token_sets(sets, permutations, SEED)
        # Its bands must divide the slots.
        index = rensa.RMinHashLSH(THRESHOLD, permutations, max(n for n in range(1, bands + 1) if permutations % n == 0))
        index.insert_many(sketches)
        found = enumerate(index.query_all(sketches))
        return connected(len(texts), [(number, other) for number, others in found for other in others])

    return find


PEERS = (
    Peer(OURS, _ours),
    Peer(YARDSTICK, _datasketch),
    Peer(SHA, _datasketch_sha),
    Peer(GIVEN, _datasketch_given),
    Peer(RENSA, _rensa),
)
_FOLDING: dict[int, int] = {}


def shingles(text: str) -> set[str]:
    """Give the shingles of *text* as `minhash` defines them, by Python's own means."""
    if not _FOLDING:
        _FOLDING.update((point, to) for point, to in enumerate(minhash.folding().tolist()) if point != to)
    folded = " ".join(text.translate(_FOLDING).split())
    return {folded[at : at + minhash.SHINGLE] for at in range(max(1, len(folded) - minhash.SHINGLE + 1))}


def connected(size: int, pairs: Sequence[tuple[int, int]]) -> Sequence[int]:
    """Give for each of *size* rows the lowest that *pairs* connect it to."""
    parents = [*range(size)]

    def root(row: int) -> int:
        while parents[row] != row:
            parents[row] = row = parents[parents[row]]
        return row

    for one, other in pairs:
        left, right = root(one), root(other)
        parents[max(left, right)] = min(left, right)
    return [root(row) for row in range(size)]


# --- the child ---


def child(task: Task) -> Outcome:
    """Do *task* in this process, and say what it took."""
    peer = next(peer for peer in PEERS if peer.name == task.peer)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    texts = json.loads(Path(task.file).read_text(encoding="utf-8"))
    try:
        find = peer.prepare()
        start = time.perf_counter()
        first = find(texts)
        return Outcome(first, time.perf_counter() - start)
    except Exception as error:  # noqa: BLE001 - whatever it is, the report tells it and the other peers go on
        return Outcome(failed=f"{type(error).__name__}: {error}")


# --- the texts ---


def make(rows: int) -> tuple[list[str], list[Planted]]:
    """Give *rows* texts in a random order, and what is planted among them."""
    one = random.Random(SEED)  # noqa: S311 - a corpus keeps no secret
    many = np.random.default_rng(SEED)
    words = corpus.vocabulary(one)
    sites = [[corpus.prose(size, words, many) for size in BOILERPLATE] for _ in range(SITES)]
    kinds = [*_kinds(words, sites, one)]
    per_kind = max(1, rows // SHARE)
    texts = [_text(words, many) for _ in range(max(1, rows - per_kind * len(kinds)))]
    pairs = []
    originals = iter(one.sample(range(len(texts)), min(len(texts), per_kind * len(kinds))))
    for kind, change in kinds:
        for original, _ in zip(originals, range(per_kind), strict=False):
            pairs.append((original, len(texts), kind))
            texts.append(change(texts[original], _text(words, many)))
    order = one.sample(range(len(texts)), len(texts))
    place = {old: new for new, old in enumerate(order)}
    texts = [texts[old] for old in order]
    return texts, [
        Planted(place[old], place[new], kind, likeness(texts[place[old]], texts[place[new]]))
        for old, new, kind in pairs
    ]


def _text(words: corpus.Words, many: np.random.Generator) -> str:
    size = max(corpus.SHORTEST, int(many.lognormal(np.log(corpus.MEDIAN), corpus.SIGMA)))
    return corpus.prose(size, words, many)


def _kinds(
    words: corpus.Words, sites: Sequence[Sequence[str]], one: random.Random
) -> Iterator[tuple[str, Callable[[str, str], str]]]:
    """Give each kind of likeness, and what makes a text of that kind of another text and a fresh one."""

    def edited(text: str, rate: float) -> str:
        return " ".join(_edited(text.split(" "), rate, words.plain, one))

    def framed(text: str) -> str:
        before, after = one.choice(sites)
        return f"{before}\n{text}\n{after}"

    def sharing(text: str, fresh: str) -> str:
        lines = fresh.split("\n")
        lines.insert(one.randint(0, len(lines)), one.choice(text.split("\n")))
        return "\n".join(lines)

    yield "the same", lambda text, _: text
    for rate in RATES:
        yield f"{rate:.0%} of the words edited", lambda text, _, rate=rate: edited(text, rate)  # type: ignore[misc]
        yield f"{rate:.0%} edited, boilerplate added", lambda text, _, rate=rate: framed(edited(text, rate))  # type: ignore[misc]
    yield "a shared paragraph only", sharing


def _edited(text: Sequence[str], rate: float, plain: Sequence[str], one: random.Random) -> Iterator[str]:
    for word in text:
        way = one.choice(("replaced", "deleted", "followed")) if one.random() < rate else ""
        if way in ("", "followed"):
            yield word
        if way in ("replaced", "followed"):
            yield plain[int(one.paretovariate(0.5)) % len(plain)]


def likeness(one: str, other: str) -> float:
    """Give the exact Jaccard index of two texts' shingles."""
    left, right = shingles(one), shingles(other)
    return len(left & right) / len(left | right)


# --- the parent ---


def run(task: Task) -> Outcome:
    """Do *task* in a child process; its last line is its outcome, whatever the peer prints before."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child"]
    # The order of a set of strings, and so what it costs to go through it, depends on the hash seed.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(
        command, input=json.dumps(asdict(task)), capture_output=True, text=True, check=False, env=environment
    )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return Outcome(failed=f"the child ended with {done.returncode}: {' '.join(done.stderr.splitlines()[-1:])}")
    return Outcome(**json.loads(lines[-1]))


def measure(texts: Sequence[str], planted: Sequence[Planted], repeat: int) -> list[Result]:
    """Give the result of every peer over *repeat* rounds in turns."""
    rounds: dict[str, list[Outcome]] = {peer.name: [] for peer in PEERS}
    with tempfile.TemporaryDirectory(prefix="broadsheet-bench-") as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts), encoding="utf-8")
        for number in range(1, repeat + 1):
            for name, outcomes in rounds.items():
                outcomes.append(outcome := run(Task(name, str(file))))
                print(f"round {number}: {name}: {outcome.failed or f'{outcome.seconds:.2f} s'}", file=sys.stderr)
    return [_result(name, outcomes, texts, planted) for name, outcomes in rounds.items()]


def _result(name: str, outcomes: Sequence[Outcome], texts: Sequence[str], planted: Sequence[Planted]) -> Result:
    if failed := [outcome.failed for outcome in outcomes if outcome.failed]:
        return Result(name, failed=failed[0])
    first = outcomes[0].first
    if any(outcome.first != first for outcome in outcomes):
        return Result(name, failed="it does not find the same each time")
    found = [pair for pair in planted if first[pair.one] == first[pair.other]]
    links = [(row, to) for row, to in enumerate(first) if row != to]
    right = sum(likeness(texts[row], texts[to]) >= THRESHOLD for row, to in links)
    return Result(name, statistics.median(outcome.seconds for outcome in outcomes), found, right, len(links))


# --- the report ---


def report(results: Sequence[Result], texts: Sequence[str], planted: Sequence[Planted], repeat: int) -> str:
    """Give the report in Markdown."""
    measured = {result.name: result for result in results if not result.failed}
    size = sum(len(text.encode()) for text in texts) / 1e6
    cut = minhash.banding(THRESHOLD)
    return "\n".join(
        [
            f"{len(texts):,} texts, {size:.1f} MB; a threshold of {THRESHOLD}; median of {repeat}; one core.",
            f"Shingles of {minhash.SHINGLE} characters; {minhash.PERMUTATIONS} permutations, of which ours cuts",
            f"{cut.bands} bands of {cut.rows}.",
            harness.machine(PACKAGES),
            "",
            "| peer | seconds | texts a second | times as fast as the yardstick | recall | precision |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *(_line(result, len(texts), planted, measured.get(YARDSTICK)) for result in results),
            "",
            f"The yardstick is `{YARDSTICK}`; `{GIVEN}` is spared shingling and hashing in Python.",
            f"Recall is the share of the planted pairs with an exact Jaccard index of {THRESHOLD} or more that are in",
            "one cluster; precision, the share of links from a text to the first of its cluster with such an index.",
            "",
            "| target | measured | |",
            "| --- | ---: | --- |",
            *_targets(measured, planted),
            "",
            f"| planted | pairs | mean Jaccard | at least {THRESHOLD} | {' | '.join(measured)} |",
            f"| --- | ---: | ---: | ---: |{' ---: |' * len(measured)}",
            *_kinds_found(measured, planted),
            "",
            "The last columns say how many of all pairs of the kind each peer put into one cluster.",
            "",
        ]
    )


def _line(result: Result, texts: int, planted: Sequence[Planted], yardstick: Result | None) -> str:
    if result.failed:
        return f"| {result.name} | not run: {result.failed.replace('|', '/')} | | | | |"
    faster = f"{yardstick.seconds / result.seconds:.1f}" if yardstick else ""
    precision = f"{result.right / result.links:.3f}" if result.links else ""
    speed = f"{result.seconds:.2f} | {texts / result.seconds:,.0f} | {faster}"
    return f"| {result.name} | {speed} | {recall(result, planted):.3f} | {precision} |"


def recall(result: Result, planted: Sequence[Planted]) -> float:
    """Give the share of the *planted* pairs that are alike enough which *result* has found."""
    alike = sum(pair.likeness >= THRESHOLD for pair in planted)
    return sum(pair.likeness >= THRESHOLD for pair in result.found) / max(1, alike)


def _targets(measured: Mapping[str, Result], planted: Sequence[Planted]) -> Iterator[str]:
    speed, completeness = f"at least {FASTER} times datasketch's speed", "recall no lower than datasketch's"
    if OURS not in measured or YARDSTICK not in measured:
        yield from (f"| {what} | | not measured |" for what in (speed, completeness))
        return
    ours, yardstick = measured[OURS], measured[YARDSTICK]
    ratio = yardstick.seconds / ours.seconds
    yield f"| {speed} | {ratio:.1f} | {harness.met(ratio >= FASTER)} |"
    mine, theirs = recall(ours, planted), recall(yardstick, planted)
    yield f"| {completeness} | {mine:.3f} to {theirs:.3f} | {harness.met(mine >= theirs)} |"


def _kinds_found(measured: Mapping[str, Result], planted: Sequence[Planted]) -> Iterator[str]:
    for kind in dict.fromkeys(pair.kind for pair in planted):
        pairs = [pair for pair in planted if pair.kind == kind]
        mean = statistics.mean(pair.likeness for pair in pairs)
        alike = sum(pair.likeness >= THRESHOLD for pair in pairs)
        found = (str(sum(pair.kind == kind for pair in result.found)) for result in measured.values())
        yield f"| {kind} | {len(pairs)} | {mean:.3f} | {alike} | {' | '.join(found)} |"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Compare the search for near-duplicates with its peers.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the report into this document")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print("\n" + json.dumps(asdict(child(Task(**json.load(sys.stdin))))))
        return
    texts, planted = make(options.rows)
    text = report(measure(texts, planted, options.repeat), texts, planted, options.repeat)
    print(text)
    if options.write:
        harness.paste(text, options.write, "duplicates", options.rows)


if __name__ == "__main__":
    main()
