"""Near-duplicates of a dataset: takes its shards, gives the articles that are like an earlier one, with that one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import orjson

from broadsheet import minhash, reading, spread
from broadsheet.problems import Problem
from broadsheet.rows import json_lines
from broadsheet.shards import Shard


def find(shards: Sequence[Shard], threshold: float, folder: Path, pool: Executor | None) -> Iterator[tuple[str, str]]:
    """Give the id of each article of *shards* that is a near-duplicate of an earlier one, and the id of that one.

    Near means a Jaccard index of *threshold* or more, as `minhash.clusters` estimates it; the same text always is.
    Signatures lie in *folder* meanwhile, 512 bytes an article; *pool* shares the work of making them.
    """
    ids: list[str] = []
    with (folder / "signatures").open("wb") as file:
        for names, rows in spread.results(pool, sign, shards):
            ids += names
            file.write(rows)
    if not ids:
        return
    signatures = np.memmap(folder / "signatures", np.uint32, "r", shape=(len(ids), minhash.PERMUTATIONS))
    first = minhash.clusters(signatures, threshold)
    for index in np.flatnonzero(first != np.arange(len(ids))).tolist():
        yield ids[index], ids[first[index]]


def sign(shard: Shard) -> tuple[list[str], bytes]:
    """Give the ids of *shard*'s articles and their signatures; what can't be read is told when the shard is made."""
    # One core is this process's; the library would take them all.
    os.environ.setdefault("RAYON_NUM_THREADS", "1")
    ids, texts = [], []
    for stretch in shard.stretches:
        for found in json_lines(reading.lines(stretch.path, stretch.start, stretch.end), stretch.shown, orjson.loads):
            if isinstance(found, Problem) or found[0] in stretch.skipped:
                continue
            if isinstance(found[1], dict):
                id_, text = found[1].get("id"), found[1].get("text")
                if isinstance(id_, str) and isinstance(text, str):
                    ids.append(id_)
                    texts.append(text)
    return ids, minhash.signatures(texts).tobytes()
