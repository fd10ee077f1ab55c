"""The first corpus goes out as it is frozen, and a successor after it; each version is read back everywhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pytest

from broadsheet.build import build
from broadsheet.freeze import freeze
from broadsheet.problems import InvalidData
from broadsheet.publish import publish
from broadsheet.verify import verify
from tests.conftest import CORPUS, REPOSITORY
from tests.hub_server import Hub
from tests.publications import contents

OLD, NEW = "1.0.0", "2.0.0"
_LABEL = '"confidence": "high"'

_LOAD = """
import json, sys
from datasets import load_dataset
found = {}
for version in sys.argv[2:]:
    stances = load_dataset(sys.argv[1], "stances", revision=f"v{version}", split="train")
    articles = load_dataset(sys.argv[1], revision=f"v{version}", split="train")
    found[version] = [len(articles), list(stances["confidence"]).count("high")]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first corpus as it is in the repository, and its successor: one label is less certain. Don't change them."""
    found = {}
    for version in (OLD, NEW):
        root = tmp_path_factory.mktemp(f"v{version}")
        shutil.copy(REPOSITORY / "DATASHEET.md", root)
        found[version] = Path(shutil.copytree(CORPUS, root / "dataset"))
    dataset = found[NEW]
    recipe = dataset / "dataset.toml"
    labels = dataset / "annotations" / "stance" / "pass-a.jsonl"
    assert _LABEL in labels.read_text(encoding="utf-8")
    labels.write_text(
        labels.read_text(encoding="utf-8").replace(_LABEL, _LABEL.replace("high", "medium"), 1), encoding="utf-8"
    )
    text = recipe.read_text(encoding="utf-8").replace(f'version = "{OLD}"', f'version = "{NEW}"')
    recipe.write_text(text, encoding="utf-8")
    build(dataset)
    assert freeze(dataset, "2026-11-24", against=str(found[OLD] / "release")).entry.version == NEW
    return found


def _released(dataset: Path) -> dict[str, bytes]:
    return contents(dataset / "release")


def _high(dataset: Path) -> int:
    rows = (dataset / "release" / "jsonl" / "stances.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(json.loads(row)["confidence"] == "high" for row in rows)


def test_the_first_corpus_is_frozen_as_it_lies_here() -> None:
    (line, *more) = (CORPUS / "versions.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["version"] == OLD
    assert more == []
    assert f"## [{OLD}]" in (CORPUS / "CHANGELOG.md").read_text(encoding="utf-8")


def test_its_texts_go_nowhere_that_is_open_to_all(hub: Hub, versions: dict[str, Path], tmp_path: Path) -> None:
    for address in ("hf://datasets/ns/mek-press-2012", str(tmp_path / "site")):
        with pytest.raises(InvalidData, match="10 articles have a text whose rights are not open") as caught:
            publish(versions[OLD], address)
        assert [problem.code for problem in caught.value.problems] == ["BS805"]
    assert not (tmp_path / "site").exists()
    assert not any(request.method == "POST" for request in hub.requests)


def test_on_a_hub(hub: Hub, versions: dict[str, Path], tmp_path: Path) -> None:
    for dataset in versions.values():
        publish(dataset, "hf://datasets/ns/mek-press-2012", private=True)
    for version, dataset in versions.items():
        held = hub.contents("ns/mek-press-2012", f"v{version}")
        del held[".gitattributes"]
        assert held == _released(dataset)
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_TOKEN": hub.token,
        "HF_HUB_DISABLE_XET": "1",
    }
    command = [sys.executable, "-c", _LOAD, "ns/mek-press-2012", *versions]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    assert found == {version: [10, _high(dataset)] for version, dataset in versions.items()}
    assert found[OLD] != found[NEW]


def test_in_a_folder(versions: dict[str, Path], tmp_path: Path) -> None:
    site = tmp_path / "site"
    for dataset in versions.values():
        publish(dataset, str(site), private=True)
    for version, dataset in versions.items():
        assert contents(site / f"v{version}") == _released(dataset)
        assert verify(site / f"v{version}") == []
    assert json.loads((site / "latest.json").read_bytes())["version"] == NEW


@pytest.mark.usefixtures("s3")
def test_in_an_s3(versions: dict[str, Path], tmp_path: Path) -> None:
    address = f"s3://b{uuid.uuid4().hex}"
    bucket = fsspec.filesystem("s3")
    bucket.mkdir(address)
    for dataset in versions.values():
        publish(dataset, f"{address}/mek", private=True)
    for version, dataset in versions.items():
        here = tmp_path / version
        bucket.get(f"{address}/mek/v{version}", str(here), recursive=True)
        assert contents(here) == _released(dataset)
        assert verify(here) == []
    with fsspec.open(f"{address}/mek/latest.json", "rb") as file:
        assert json.load(file)["version"] == NEW
