"""What was published on a hub is read by strangers: new processes, fresh caches, no token, and their own tools."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from broadsheet.publish import publish
from tests.conftest import REPOSITORY
from tests.hub_server import Hub, home
from tests.publications import contents

ADDRESS = "hf://datasets/ns/tram"
PROGRAMS = Path(sys.executable).parent
WORKFLOW: dict[str, Any] = yaml.safe_load((REPOSITORY / "docs" / "use-a-dataset.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["check"]["steps"]


def _environment(hub: Hub, folder: Path, **more: str) -> dict[str, str]:
    """Give the environment of a new process that knows the hub's address, *folder* as its only cache, and no token."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return own | home(hub, folder) | {"PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"} | more


def _stranger(code: str, hub: Hub, folder: Path, **more: str) -> str:
    """Run *code* as a stranger does, and give the last line that it prints."""
    # At the very end Arrow's threads, reading from Python's files, sometimes outlive the interpreter, which aborts it.
    ended = f"{code}\nimport os, sys; sys.stdout.flush(); os._exit(0)"
    command, environment = [sys.executable, "-c", ended], _environment(hub, folder, **more)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


LOAD = """
from datasets import load_dataset
rows = load_dataset("ns/tram", {arguments})
print([type(rows).__name__, rows.info.config_name, str(rows.info.version), len(list(rows))])
"""


def test_strangers_read_it_with_their_own_tools(hub: Hub, first: Path, second: Path, tmp_path: Path) -> None:
    publish(first, ADDRESS)
    pinned = LOAD.format(arguments='"stances", revision="v1.0.0", split="train"')
    whole = LOAD.format(arguments='split="train"')
    streamed = LOAD.format(arguments='"stances", revision="v1.1.0", split="train", streaming=True')
    assert _stranger(whole, hub, tmp_path / "1") == "['Dataset', 'articles', '1.0.0', 1]"
    assert _stranger(pinned, hub, tmp_path / "2") == "['Dataset', 'stances', '1.0.0', 6]"
    publish(second, ADDRESS)
    assert _stranger(pinned, hub, tmp_path / "3") == "['Dataset', 'stances', '1.0.0', 6]"
    assert _stranger(whole, hub, tmp_path / "4") == "['Dataset', 'articles', '1.1.0', 2]"
    # The same cache that had the first version of it, too; and then without the hub.
    assert _stranger(whole, hub, tmp_path / "1") == "['Dataset', 'articles', '1.1.0', 2]"
    assert _stranger(streamed, hub, tmp_path / "5") == "['IterableDataset', 'stances', '1.1.0', 12]"
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    hub.die_at(1, "before")
    assert _stranger(whole, hub, tmp_path / "4", **offline) == "['Dataset', 'articles', '1.1.0', 2]"


def test_strangers_read_files_of_a_version(hub: Hub, first: Path, second: Path, tmp_path: Path) -> None:
    for dataset in (first, second):
        publish(dataset, ADDRESS)
    name = "data/articles/train-00000-of-00001.parquet"
    code = f'import pandas; print(pandas.read_parquet("hf://datasets/ns/tram@v1.0.0/{name}")["id"].to_list())'
    assert _stranger(code, hub, tmp_path / "1") == "['tram-meeting']"
    environment = _environment(hub, tmp_path / "2")
    tool = ["hf", "download", "ns/tram", "--repo-type", "dataset"]
    place = tmp_path / "downloaded"
    subprocess.run(
        [*tool, "--revision", "v1.0.0", "--local-dir", str(place)], env=environment, capture_output=True, check=True
    )
    found = {name: data for name, data in contents(place).items() if not name.startswith((".cache", ".gitattributes"))}
    assert found == contents(first / "release")
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=place, check=False)
    assert checked.returncode == 0


def test_releases_on_a_hub_are_compared_and_checked(hub: Hub, first: Path, second: Path, tmp_path: Path) -> None:
    publish(first, ADDRESS)
    broadsheet = [sys.executable, "-m", "broadsheet"]

    def told(*arguments: str) -> tuple[int, str]:
        environment = _environment(hub, tmp_path / "home")
        done = subprocess.run(
            [*broadsheet, *arguments], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    code, output = told("diff", f"{ADDRESS}@v1.0.0", str(second), "--format", "json")
    found = json.loads(output)
    assert (code, found["required"]["bump"]) == (0, "minor")
    assert (found["old"]["version"], found["new"]["version"]) == ("1.0.0", "1.1.0")
    assert told("check", f"{ADDRESS}@v1.0.0") == (0, f"{ADDRESS}@v1.0.0: no problems\n")
    code, output = told("diff", f"{ADDRESS}@v9.9.9", str(second))
    assert (code, "[BS605]" in output) == (2, True), output


# --- the CI of those who use a dataset: docs/use-a-dataset.yml ---


def _run_workflow(hub: Hub, folder: Path, steps: list[dict[str, Any]]) -> dict[str, int]:
    """Run *steps* in *folder* as GitHub does, but for the installation; give how each ended, by its name."""
    given = {name: str(value) for name, value in WORKFLOW["env"].items()} | {"DATASET": "ns/tram"}
    environment = _environment(hub, folder.parent / "home", **given)
    ended = {}
    for step in steps:
        script = folder.parent / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(["bash", "-e", script], cwd=folder, env=environment, capture_output=True, check=False)
        ended[step["name"]] = done.returncode
    return ended


def test_what_the_workflow_installs_is_what_its_steps_need() -> None:
    (install,) = (step["run"] for step in STEPS if "pip install" in step.get("run", ""))
    names = [re.sub(r"^git\+.*/OWNER/REPOSITORY@.*", "broadsheet", word.strip('"')) for word in install.split()[2:]]
    assert {"broadsheet", "huggingface_hub", "jsonschema"} == set(names)
    assert [name for name in names if find_spec(name) is None] == []


def test_the_workflow_downloads_what_it_pins_and_judges_it(hub: Hub, first: Path, second: Path, tmp_path: Path) -> None:
    for dataset in (first, second):
        publish(dataset, ADDRESS)
    folder = tmp_path / "theirs"
    folder.mkdir()
    steps = [step for step in STEPS if "run" in step and "pip install" not in step["run"]]
    ended = _run_workflow(hub, folder, steps)
    assert len(ended) == len(steps) >= 4
    assert set(ended.values()) == {0}, ended
    assert contents(folder / "dataset") == contents(first / "release")
    # A row that is wrong turns every step red that looks at what was downloaded.
    rows = folder / "dataset" / "jsonl" / "articles.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace('"genre":', '"genres":'), encoding="utf-8")
    ended = _run_workflow(hub, folder, steps[1:])
    assert 0 not in ended.values(), ended


def test_the_page_shows_the_workflow_as_it_is() -> None:
    page = (REPOSITORY / "docs" / "ci.md").read_text(encoding="utf-8")
    assert "(use-a-dataset.yml)" in page
