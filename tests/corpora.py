"""Datasets of rows: takes rows, gives a dataset's folder that is made from them; and rows as the benchmark has them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterable, Mapping
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


def dataset_from(folder: Path, files: Mapping[str, str | bytes], sections: str, top: str = "") -> Path:
    """Make the dataset in *folder* whose recipe has *sections*, and keys at its *top*; its *files* are as they came."""
    shutil.copytree(MINIMAL / "annotations", folder / "annotations", ignore=shutil.ignore_patterns("*.jsonl", "stance"))
    head, rest = RECIPE.partition("[articles]")[0], RECIPE.partition("[rights]")[2]
    who = TARGET + ANNOTATOR if "[[" not in sections else ""
    recipe = f"{head}{top}\n{sections}\n{who}\n[rights]{rest}"
    (folder / "dataset.toml").write_text(recipe, encoding="utf-8")
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


#: What a recipe says of all articles, where its query does not.
DEFAULTS = """
[articles.defaults]
language = "en"

[articles.defaults.rights]
license = "CC0-1.0"
statement = "https://creativecommons.org/publicdomain/zero/1.0/"
usage_terms = "Anything."
"""
TARGET = """
[[targets]]
id = "harbour"
name = "Harbour"
definition = "The harbour's new wall."
"""
ANNOTATOR = """
[[annotators]]
id = "desk"
role = "source"
kind = "human"
description = "An invented desk."
"""


def of_query(sql: str, rest: str = "") -> str:
    """Give the sections of a recipe whose articles come of the query *sql*."""
    return f"[articles]\nsql = {json.dumps(sql, ensure_ascii=False)}\n{DEFAULTS}\n{rest}"


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
