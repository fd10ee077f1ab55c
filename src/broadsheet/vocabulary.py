"""The hub's vocabulary: → the terms that a dataset card may use, from the packages that are installed.

The lists are read where the packages keep them, and not imported: that would take longer than a whole build.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: The hub's identifiers of licences. No package that could be installed has them, so they are kept here, as the hub
#: lists them where it refuses another one ("license" must be one of …); its documentation has them under "Licenses".
LICENCES = frozenset(
    """
    apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
    afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0
    cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0
    lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl
    openmdw-1.0 openmdw-1.1 openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license
    fair-noncommercial-research-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown
    other
    """.split()  # noqa: SIM905 - a list of words, to be read as one
)
#: What the hub takes for a language beside the codes of ISO 639.
NO_LANGUAGES = frozenset({"code", "multilingual"})
#: The hub's size categories, by the number of rows they end below.
_SIZES = {
    1_000: "n<1K",
    10_000: "1K<n<10K",
    100_000: "10K<n<100K",
    1_000_000: "100K<n<1M",
    10_000_000: "1M<n<10M",
    100_000_000: "10M<n<100M",
    1_000_000_000: "100M<n<1B",
    10_000_000_000: "1B<n<10B",
    100_000_000_000: "10B<n<100B",
    1_000_000_000_000: "100B<n<1T",
}


def size_category(rows: int) -> str:
    """Give the hub's term for a dataset of so many *rows*."""
    return next((name for limit, name in _SIZES.items() if rows < limit), "n>1T")


@cache
def terms() -> Mapping[str, Collection[str]]:
    """Give the terms there are for a key of the card, as `datasets` and `huggingface_hub` list them.

    Without `datasets`, or where it lists them no more, there are none for the key, and nobody can judge it.
    """
    package = _folder("datasets")
    if package is None:
        return {}
    resources = package / "utils" / "resources"
    creators = _json(resources / "creators.json")
    found = {
        "language": _json(resources / "languages.json"),
        "annotations_creators": creators.get("annotations", ()),
        "language_creators": creators.get("language", ()),
        "multilinguality": _json(resources / "multilingualities.json"),
        "size_categories": _json(resources / "size_categories.json"),
        "task_categories": _tasks(package),
    }
    return {key: frozenset(names) for key, names in found.items() if names}


def _folder(package: str) -> Path | None:
    """Give where the *package* is installed, without importing it."""
    spec = find_spec(package)
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes()) if path.is_file() else {}


def _tasks(datasets: Path) -> set[str]:
    """Give the task categories: those `datasets` knows, and those the hub's client can ask a model for."""
    metadata = datasets / "utils" / "metadata.py"
    tree = ast.parse(metadata.read_bytes()) if metadata.is_file() else ast.Module([], [])
    known = {
        key
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "known_task_ids"
        for key in ast.literal_eval(node.value)
    }
    client = _folder("huggingface_hub")
    types = client / "inference" / "_generated" / "types" if client else datasets / "nowhere"
    return known | {path.stem.replace("_", "-") for path in types.glob("[!_]*.py") if path.stem != "base"}
