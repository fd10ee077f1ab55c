"""The benchmark of texts: takes a number of small files, gives a table of what a table of them costs.

Each file is one article, as archives of texts are laid out: folders by month, UTF-8, a few kilobytes. Side by side, in
turns over several rounds, they are read plainly (open, read, SHA-256), and made into the table that queries see. Both
find the files in cache. Ratios count; seconds are of a machine.
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import harness

from broadsheet import texts

PLAIN, OURS = "open, read, SHA-256", "ours: decoded, checked, a table in Parquet"
PATTERN = "**/*.txt"
#: Ours takes at most so many times what reading takes.
LIMIT = 5
WORDS = (
    *("harbour", "tide", "library", "ferry", "weather", "council", "fog", "Fähre", "lighthouse", "gale", "quay"),
    *("reader", "shelf", "evening,", "report.", "🚢"),
)


def write(folder: Path, files: int, seed: int) -> int:
    """Write so many *files* into *folder*, and give how many bytes they have."""
    chance = random.Random(seed)  # noqa: S311 - nobody must not guess it
    size = 0
    for number in range(files):
        path = folder / f"{number % 120:03}" / f"{number:06}.txt"
        path.parent.mkdir(exist_ok=True)
        size += path.write_bytes(" ".join(chance.choices(WORDS, k=chance.randrange(100, 700))).encode())
    return size


def _plain(folder: Path, _: Path) -> None:
    for name in sorted(glob.glob(PATTERN, root_dir=folder, recursive=True)):  # noqa: PTH207 - as ours finds them
        with (folder / name).open("rb") as file:
            hashlib.sha256(file.read()).hexdigest()


def _ours(folder: Path, place: Path) -> None:
    if problems := texts.write(folder, [PATTERN], {}, place):
        raise SystemExit(f"the texts have problems: {problems[0]}")


PEERS: Mapping[str, Callable[[Path, Path], None]] = {PLAIN: _plain, OURS: _ours}


def main() -> None:
    """Run the benchmark, print its table, and paste it into a document if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=14_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="DOCUMENT")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in PEERS}
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own) / "texts"
        folder.mkdir()
        size = write(folder, options.files, 1)
        for _ in range(options.repeat):
            for name, work in PEERS.items():
                start = time.perf_counter()
                work(folder, Path(own) / "texts.parquet")
                seconds[name].append(time.perf_counter() - start)
    table = _table(options.files, size, options.repeat, {name: statistics.median(own) for name, own in seconds.items()})
    print(table)
    if options.write:
        harness.paste(table, options.write, "texts", options.files)


def _table(files: int, size: int, repeat: int, seconds: Mapping[str, float]) -> str:
    ratio = seconds[OURS] / seconds[PLAIN]
    rows = [
        f"| {name} | {own:.2f} | {own / files * 1e6:.0f} | {own / seconds[PLAIN]:.2f} |"
        for name, own in seconds.items()
    ]
    return "\n".join(
        [
            f"{files:,} files, {size / 1e6:.1f} MB; median of {repeat}; one process; the files are in cache.",
            harness.machine(("broadsheet", "pyarrow")),
            "",
            "| peer | seconds | µs a file | time, relative to reading |",
            "| --- | ---: | ---: | ---: |",
            *rows,
            "",
            "| target | measured | |",
            "| --- | ---: | --- |",
            f"| at most {LIMIT} times the time of reading them | {ratio:.2f} | {harness.met(ratio <= LIMIT)} |",
        ]
    )


if __name__ == "__main__":
    main()
