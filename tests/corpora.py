"""Datasets of rows: takes rows, gives a dataset's folder that is made from them; and rows as the benchmark has them."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

import orjson

from broadsheet.contract import Row
from tests.examples_support import EXAMPLES, MINIMAL

#: A recipe that is made from rows; its files are ``source/*.jsonl``.
RECIPE = (EXAMPLES / "invalid" / "BS119-no-rows" / "dataset.toml").read_text(encoding="utf-8")


def articles(n: int, seed: int = 1) -> list[Row]:
    """Give *n* generated articles that keep the contract."""
    return list(_corpus().corpus(n, seed))


def dataset_of(rows: Iterable[Row], folder: Path) -> Path:
    """Make the dataset in *folder* that is made from *rows*, and give it."""
    shutil.copytree(MINIMAL / "annotations", folder / "annotations", ignore=shutil.ignore_patterns("*.jsonl", "stance"))
    (folder / "source").mkdir()
    (folder / "source" / "articles.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    (folder / "dataset.toml").write_text(RECIPE, encoding="utf-8")
    return folder


@cache
def _corpus() -> ModuleType:
    path = Path(__file__).parent.parent / "scripts" / "bench" / "corpus.py"
    spec = importlib.util.spec_from_file_location("corpus", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["corpus"] = module
    spec.loader.exec_module(module)
    return module
