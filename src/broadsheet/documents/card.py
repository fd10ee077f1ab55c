"""The dataset card: takes the facts, gives the hub's README.md, YAML front matter and text."""

from __future__ import annotations

from typing import Any

import yaml

from broadsheet import contract, release
from broadsheet.documents.facts import Facts
from broadsheet.documents.markdown import environment, without_double_blanks

#: The hub's size categories, by the number of rows they end below.
SIZE_CATEGORIES = {
    1_000: "n<1K",
    10_000: "1K<n<10K",
    100_000: "10K<n<100K",
    1_000_000: "100K<n<1M",
    10_000_000: "1M<n<10M",
    100_000_000: "10M<n<100M",
    1_000_000_000: "100M<n<1B",
}


def render(facts: Facts) -> str:
    """Give the release's README.md."""
    front = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True, width=120)
    text = environment().get_template("README.md.jinja").render(f=facts, s=facts.summary)
    return f"---\n{front}---\n\n{without_double_blanks(text)}"


def front_matter(facts: Facts) -> dict[str, Any]:
    """Give the card's YAML as a value: what the hub shows, and what ``load_dataset`` reads."""
    recipe = facts.recipe
    rows = facts.summary.rows[next(iter(contract.TABLES))]
    return {
        "pretty_name": recipe.title,
        "language": [count.value for count in facts.summary.by_language if isinstance(count.value, str)],
        "license": recipe.rights["license"],
        **({"license_name": recipe.rights["license_name"]} if recipe.rights["license"] == "other" else {}),
        "license_link": "LICENSE",
        "task_categories": list(recipe.task_categories),
        "annotations_creators": annotations_creators(facts),
        **({"language_creators": ["found"], "source_datasets": ["original"]} if recipe.sources else {}),
        "multilinguality": ["monolingual" if len(facts.summary.by_language) == 1 else "multilingual"],
        "size_categories": [next((name for n, name in SIZE_CATEGORIES.items() if rows < n), "n>1B")],
        "tags": list(recipe.tags),
        # Who publishes compares it: titles change, a dataset's name is what it is.
        "broadsheet": {"dataset": recipe.name},
        "configs": [_config(facts, table) for table in facts.schemas],
        "dataset_info": [_info(facts, table) for table in facts.schemas],
    }


def annotations_creators(facts: Facts) -> list[str]:
    """Give the hub's terms for who made the annotations: the labels there are, and what was read off pages.

    A person may be an expert or not: the hub has no term for that but ``other``.
    """
    labels = facts.summary.labels
    kinds = {one.kind for one in facts.recipe.annotators if one.role != "source" and (labels.n or facts.recipe.sources)}
    terms = {{"model": "machine-generated", "rule": "machine-generated", "human": "other"}[kind] for kind in kinds}
    return sorted(terms | ({"found"} if labels.came else set())) or ["no-annotation"]


def _config(facts: Facts, table: str) -> dict[str, Any]:
    # `version` and `description` are part of the key under which `datasets` caches a local folder: without them a
    # rebuilt release would load yesterday's rows. All configs share one file format, so the JSON Lines stay out.
    default = {"default": True} if table == next(iter(contract.TABLES)) else {}
    return {
        "config_name": table,
        **default,
        "version": facts.recipe.version,
        "description": f"{facts.schemas[table]['description']} Data digest: {facts.digest}",
        "data_files": [
            {"split": split.name, "path": release.parquet_pattern(table, split.name, split.shards)}
            for split in facts.sizes[table].splits
        ],
    }


def _info(facts: Facts, table: str) -> dict[str, Any]:
    # With both numbers of a split, a truncated release fails to load; with one of them, it is not even looked at.
    size = facts.sizes[table]
    return {
        "config_name": table,
        "features": contract.hub_features(facts.schemas[table]),
        "splits": [
            {"name": split.name, "num_bytes": split.num_bytes, "num_examples": split.rows} for split in size.splits
        ],
        "download_size": size.download_bytes,
        "dataset_size": size.num_bytes,
    }
