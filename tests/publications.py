"""Datasets to publish: takes a folder, gives a dataset in it whose versions grow, built and frozen."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from broadsheet.build import build
from broadsheet.progress import Tell
from broadsheet.versions import Ledger
from tests.examples_support import MINIMAL

BASIS = 'redistribution = "The texts are invented, by those who publish them."\n'


def dataset_in(folder: Path, version: str = "1.0.0", articles: int = 1, *, basis: str = BASIS) -> Path:
    """Make, in *folder*, the dataset of the first *articles* of the minimal example, frozen; give the folder.

    It is of rows, so that a version can have more of them than the last one.
    """
    recipe = (MINIMAL / "dataset.toml").read_text(encoding="utf-8")
    recipe = recipe.replace('version = "0.1.0"', f'version = "{version}"').replace('"nobody"\n', f'"nobody"\n{basis}')
    head, rest = recipe.split("[[sources]]")
    tables = '[articles]\nfiles = ["source/articles.jsonl"]\n\n'
    shutil.copytree(MINIMAL / "annotations", folder / "annotations", ignore=shutil.ignore_patterns("*.jsonl"))
    (folder / "source").mkdir(parents=True)
    (folder / "dataset.toml").write_text(head + tables + rest[rest.index("[[targets]]") :], encoding="utf-8")
    rows = _articles()[:articles]
    (folder / "source" / "articles.jsonl").write_text("".join(rows), encoding="utf-8")
    ids = {json.loads(row)["id"] for row in rows}
    for labels in (MINIMAL / "annotations" / "stance").iterdir():
        kept = [row for row in labels.read_text(encoding="utf-8").splitlines() if json.loads(row)["article_id"] in ids]
        path = folder / "annotations" / "stance" / labels.name
        path.write_text("".join(f"{row}\n" for row in kept), encoding="utf-8")
    freeze(folder)
    return folder


def freeze(folder: Path) -> None:
    """Build the dataset in *folder*, and write its version down as frozen, the first one there is."""
    ledger = folder / "versions.jsonl"
    ledger.unlink(missing_ok=True)
    built = build(folder)
    sums = hashlib.sha256((folder / "release" / "SHA256SUMS").read_bytes()).hexdigest()
    ledger.write_bytes(Ledger().grown(built.version, "2024-01-01", built.digest, sums).text)


def allow(folder: Path) -> None:
    """Have the recipe of the dataset in *folder* state on what basis its texts are published."""
    recipe = folder / "dataset.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("[rights]\n", f"[rights]\n{BASIS}"), encoding="utf-8")


def rename(folder: Path, old: str, new: str) -> None:
    """Replace *old* by *new* in the recipe of the dataset in *folder*, and freeze what that gives."""
    recipe = folder / "dataset.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    freeze(folder)


def at(start: str, action: Callable[[], object]) -> Tell:
    """Give what does *action* when it hears of a step whose words begin with *start*."""

    def tell(step: str, done: int = 0, total: int = 0) -> None:  # noqa: ARG001 - as all who hear of progress
        if step.startswith(start):
            action()

    return tell


def contents(folder: Path) -> dict[str, bytes]:
    """Give all files under *folder*, by their names in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@cache
def _articles() -> list[str]:
    with TemporaryDirectory() as folder:
        build(MINIMAL, Path(folder, "release"))
        text = Path(folder, "release", "jsonl", "articles.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        # The quotes of claims stand in lines that these datasets have not.
        row["provenance"]["claims"] = []
    return [json.dumps(row) + "\n" for row in rows]
