"""The tests' hub is one to the real client: what `huggingface_hub` and `datasets` put there, they find there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub_server import Hub, serving_hub

CARD = """---
configs:
- config_name: rows
  default: true
  data_files:
  - split: train
    path: data/rows.parquet
---
"""
WRITE = """
import io, sys
import pandas as pd
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

api, name = HfApi(), "ns/rows"
api.create_repo(name, repo_type="dataset", private=True)
table = io.BytesIO()
pd.DataFrame({"n": [1, 2, 3]}).to_parquet(table)
files = {"README.md": sys.argv[1].encode(), "data/rows.parquet": table.getvalue(), "old.txt": b"old"}
operations = [CommitOperationAdd(path, data) for path, data in files.items()]
first = api.create_commit(name, operations, commit_message="First", repo_type="dataset")
api.create_tag(name, tag="v1", revision=first.oid, repo_type="dataset")
second = api.create_commit(
    name, [CommitOperationDelete("old.txt")], commit_message="Second", repo_type="dataset", parent_commit=first.oid
)
print(api.list_repo_files(name, repo_type="dataset"), api.list_repo_files(name, repo_type="dataset", revision="v1"))
try:
    api.create_tag(name, tag="v1", revision=second.oid, repo_type="dataset")
except Exception as error:
    print(error.response.status_code)
try:
    api.create_commit(
        name, [CommitOperationDelete("README.md")], commit_message="3", repo_type="dataset", parent_commit=first.oid
    )
except Exception as error:
    print(error.response.status_code)
"""
READ = """
from datasets import load_dataset
print(load_dataset("ns/rows", revision="v1", split="train")["n"][:])
"""


def _python(code: str, hub: Hub, home: Path, *arguments: str) -> str:
    environment = os.environ | hub_environment(hub, home)
    finished = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def hub_environment(hub: Hub, home: Path) -> dict[str, str]:
    """Give what a new process must have in its environment to talk to *hub*, with *home* as its only cache."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_TOKEN": hub.token,
    }


def test_what_the_real_client_puts_there_it_finds_there(tmp_path: Path) -> None:
    with serving_hub(tmp_path / "hub") as hub:
        told = _python(WRITE, hub, tmp_path / "one", CARD).splitlines()
        now = [".gitattributes", "README.md", "data/rows.parquet"]
        assert told == [f"{now} {[*now, 'old.txt']}", "409", "412"]
        assert hub.history("ns/rows") == ["initial commit", "First", "Second"]
    # A hub that starts again has kept all of it.
    with serving_hub(tmp_path / "hub") as hub:
        assert _python(READ, hub, tmp_path / "two") == "[1, 2, 3]\n"
        stranger = Hub(hub.root, token="hf_wrong", url=hub.url)  # noqa: S106 - it opens nothing
        with pytest.raises(AssertionError, match="doesn't exist on the Hub"):
            _python(READ, stranger, tmp_path / "three")


def test_it_dies_when_told_and_loses_an_answer_when_told(tmp_path: Path) -> None:
    ask = "from huggingface_hub import HfApi; HfApi().create_tag('ns/a', tag='v1', repo_type='dataset')"
    with serving_hub(tmp_path / "hub") as hub:
        hub.create("ns/a")
        hub.lose_the_answer("POST /api/datasets/ns/a/tag/")
        with pytest.raises(AssertionError, match="disconnected"):
            _python(ask, hub, tmp_path / "home")
        assert list(hub.repository("ns/a")["tags"]) == ["v1"]
        hub.die_at(1, "before")
        with pytest.raises(AssertionError, match="disconnected"):
            _python(ask.replace("v1", "v2"), hub, tmp_path / "home")
        assert list(hub.repository("ns/a")["tags"]) == ["v1"]
        assert json.dumps(hub.requests).count("/tag/") == 1
