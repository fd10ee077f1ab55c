"""The dataset card: takes the facts, gives the hub's README.md, YAML front matter and text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from broadsheet import card_rules, contract, release, vocabulary
from broadsheet.documents.facts import Facts
from broadsheet.documents.markdown import environment, without_double_blanks


class _Dumper(yaml.SafeDumper):
    """Writes YAML that is the same in its versions 1.1 and 1.2: strings that are none in either stand in quotes."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        """Have escapes for what ends a line in YAML 1.1 and does not in 1.2: U+0085, U+2028, U+2029."""
        style = '"' if _OTHER_LINE_ENDS.search(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_OTHER_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
_Dumper.add_representer(str, _Dumper.represent_str)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", card_rules.NUMBER_IN_YAML_1_2, list("-+.0123456789"))


def render(facts: Facts) -> str:
    """Give the release's README.md."""
    text = environment().get_template("README.md.jinja").render(f=facts, s=facts.summary)
    return f"{front_text(front_matter(facts))}\n{without_double_blanks(text)}"


def front_text(value: Mapping[str, Any]) -> str:
    """Give *value* as the front matter of a card, its last line the one that ends it."""
    written = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{written}---\n"


def front_matter(facts: Facts) -> dict[str, Any]:
    """Give the card's YAML as a value: what the hub shows, and what ``load_dataset`` reads."""
    recipe = facts.recipe
    rows = facts.summary.rows[next(iter(contract.TABLES))]
    # The hub takes codes of ISO 639; what says more than that (pt-BR, zh-Hant) goes under a key of its own.
    tags = [count.value for count in facts.summary.by_language if isinstance(count.value, str)]
    languages = list(dict.fromkeys(tag.split("-")[0] for tag in tags))
    return {
        "pretty_name": recipe.title,
        "language": languages,
        **({} if tags == languages else {"language_bcp47": tags}),
        "license": recipe.rights["license"],
        **({"license_name": recipe.rights["license_name"]} if recipe.rights["license"] == "other" else {}),
        "license_link": "LICENSE",
        "task_categories": list(recipe.task_categories),
        "annotations_creators": annotations_creators(facts),
        **({"language_creators": ["found"], "source_datasets": ["original"]} if recipe.sources else {}),
        "multilinguality": ["monolingual" if len(languages) == 1 else "multilingual"],
        "size_categories": [vocabulary.size_category(rows)],
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
