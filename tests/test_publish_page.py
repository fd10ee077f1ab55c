"""docs/publish.md says what works: its commands run one after another, its readers read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import fsspec
import pytest

from broadsheet import contract
from tests.conftest import REPOSITORY
from tests.hub_server import serving_hub
from tests.publications import dataset_in
from tests.s3_server import serving_s3

PAGE = (REPOSITORY / "docs" / "publish.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|python|toml)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.slow
def test_the_commands_and_readers_of_the_page_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset_in(tmp_path / "dataset")
    with serving_hub(tmp_path / "hub") as hub, serving_s3() as s3:
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY / "src"),
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": hub.token,
            "AWS_ENDPOINT_URL": s3.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, environment[name])
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("s3://bucket")
        for language, block in BLOCKS:
            if language == "toml" or block.startswith("pip "):
                continue
            command = ["sh", "-ec", block] if language == "sh" else [sys.executable, "-c", block]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block}\n{done.stderr}"
        assert list(hub.repository("ns/tram")["tags"]) == ["v1.0.0"]
        assert (tmp_path / "tram" / "SHA256SUMS").is_file()


def test_the_key_of_the_page_is_the_recipes() -> None:
    block = next(block for language, block in BLOCKS if language == "toml")
    rights = contract.package_schema("recipe.schema.json")["properties"]["rights"]["properties"]
    assert tomllib.loads(block)["rights"].keys() <= rights.keys()


def test_the_page_names_the_options_there_are() -> None:
    told = set(re.findall(r"`(--[\w-]+)`", PAGE))
    assert told == {"--private", "--create-pr"}
