"""A static host has whole versions and a pointer to the last one, in a folder, in memory, or in an S3."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from broadsheet.problems import CannotRun, InvalidData
from broadsheet.publish import publish
from broadsheet.publish import ready as ready_module
from tests.examples_support import run
from tests.http_server import serving
from tests.hub_server import When
from tests.publications import at, contents, dataset_in, freeze
from tests.s3_server import S3

ARTICLES = "data/articles/train-00000-of-00001.parquet"


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of each kind."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return f"{_bucket()}/tram"
    places = {"folder": str(tmp_path / "site"), "file": f"file://{tmp_path / 'site'}", "memory": f"memory://{tmp_path}"}
    return places[request.param]


def _bucket() -> str:
    address = f"s3://b{uuid.uuid4().hex}"
    fsspec.filesystem("s3").mkdir(address)
    return address


def _read(address: str) -> dict[str, bytes]:
    found, path = fsspec.core.url_to_fs(address)
    found.invalidate_cache()
    return {name.removeprefix(path).lstrip("/"): found.cat_file(name) for name in found.find(path)}


def _version(address: str, version: str) -> dict[str, bytes]:
    return {
        name.removeprefix(f"v{version}/"): data
        for name, data in _read(address).items()
        if name.startswith(f"v{version}/")
    }


def _released(dataset: Path) -> dict[str, bytes]:
    return contents(dataset / "release")


def test_readers_pin_or_follow(address: str, first: Path, second: Path) -> None:
    publish(first, address)
    publish(second, address)
    files = _read(address)
    assert set(files) == {"latest.json"} | {f"v1.0.0/{name}" for name in _released(first)} | {
        f"v1.1.0/{name}" for name in _released(second)
    }
    assert _version(address, "1.0.0") == _released(first)
    assert _version(address, "1.1.0") == _released(second)
    pointer = json.loads(files["latest.json"])
    assert pointer["version"] == "1.1.0"
    assert pd.read_parquet(f"{address}/v1.0.0/{ARTICLES}")["id"].to_list() == ["tram-meeting"]
    assert len(pd.read_parquet(f"{address}/{pointer['path']}{ARTICLES}")) == 2


def test_publishing_again_sends_nothing(address: str, first: Path, second: Path) -> None:
    publish(first, address)
    publish(second, address)
    before = _read(address)
    for dataset in (second, first):
        published = publish(dataset, address)
        assert published.plan.is_done
        assert published.plan.sent == []
    assert _read(address) == before


def test_the_dry_run_sends_nothing(address: str, first: Path, second: Path) -> None:
    told = publish(first, address, dry_run=True).plan.text()
    assert told.startswith(f"{address}: version 1.0.0, the first one\n  + CODEBOOK.md")
    assert _read(address) == {}
    publish(first, address)
    before = _read(address)
    assert publish(second, address, dry_run=True).plan.text().startswith(f"{address}: version 1.0.0 → 1.1.0; the data")
    assert _read(address) == before


def test_a_web_server_shows_it(first: Path, tmp_path: Path) -> None:
    publish(first, str(tmp_path / "site"))
    with serving(tmp_path / "site") as served:
        assert pd.read_parquet(f"{served.url}/v1.0.0/{ARTICLES}")["id"].to_list() == ["tram-meeting"]


# --- what is refused ---


def _refused(code: str, dataset: Path, address: str) -> str:
    before = _read(address)
    with pytest.raises(InvalidData, match=code) as caught:
        publish(dataset, address)
    assert _read(address) == before
    return str(caught.value)


def test_what_is_there_is_not_replaced(address: str, first: Path, second: Path, tmp_path: Path) -> None:
    publish(first, address)
    another = dataset_in(tmp_path / "another", "1.0.0", 2)
    assert "version 1.0.0 is there, and is another" in _refused("BS802", another, address)
    small = dataset_in(tmp_path / "small", "1.0.1", 2)
    assert "the data demand a minor one" in _refused("BS803", small, address)
    recipe = second / "dataset.toml"
    other = Path(shutil.copytree(second, tmp_path / "other"))
    (other / "dataset.toml").write_text(recipe.read_text().replace('"harbour-tram"', '"tramway"'))
    freeze(other)
    assert "it holds the dataset 'harbour-tram'" in _refused("BS804", other, address)


def test_a_place_of_something_else_is_left_alone(first: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert "thesis.txt" in _refused("BS804", first, str(tmp_path))
    (tmp_path / "latest.json").write_text("{}")
    _refused("BS804", first, str(tmp_path))


def test_a_version_that_was_begun_with_other_files_is_left_alone(first: Path, second: Path, tmp_path: Path) -> None:
    publish(first, str(tmp_path / "site"))
    (tmp_path / "site" / "v1.1.0").mkdir()
    (tmp_path / "site" / "v1.1.0" / "thesis.txt").write_text("mine")
    assert "v1.1.0/ was begun, with files that this release has not: thesis.txt" in _refused(
        "BS804", second, str(tmp_path / "site")
    )


def test_texts_that_are_not_open_need_a_basis(tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset", basis="")
    assert "1 article has a text whose rights are not open: tram-meeting" in _refused(
        "BS805", dataset, str(tmp_path / "site")
    )


def test_texts_that_are_not_open_may_go_where_the_user_says_that_nobody_else_is_let_in(tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset", basis="")
    result = run(dataset, "publish", ".", str(tmp_path / "site"), "--private")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "site" / "latest.json").is_file()


@pytest.mark.parametrize(
    ("address", "options", "told"),
    [
        ("https://example.org/data", [], "a web server takes no files"),
        ("sftp://me:hunter2@example.org/data", [], "an address with credentials in it would stand in every log"),
        ("site", ["--create-pr"], "--create-pr is for hubs"),
    ],
)
def test_what_cannot_be_published_at(address: str, options: list[str], told: str, first: Path) -> None:
    result = run(first, "publish", ".", address, *options)
    assert result.exit_code == 1
    assert told in result.output
    assert "[BS808]" in result.output
    assert "hunter2" not in result.output


# --- when something comes between ---


def test_somebody_else_published_meanwhile(address: str, first: Path, second: Path) -> None:
    publish(first, address)
    found, path = fsspec.core.url_to_fs(address)
    theirs = json.dumps({"version": "1.0.5"}).encode()

    def meanwhile() -> None:
        found.pipe_file(f"{path}/latest.json", theirs)

    with pytest.raises(InvalidData, match=r"latest.json was not touched \[BS806\]"):
        publish(second, address, at("reading back: file 1 ", meanwhile))
    assert _read(address)["latest.json"] == theirs


def test_a_file_that_comes_back_otherwise_is_never_pointed_to(address: str, first: Path) -> None:
    found, path = fsspec.core.url_to_fs(address)

    def damage() -> None:
        found.pipe_file(f"{path}/v1.0.0/{ARTICLES}", b"damaged")
        found.rm_file(f"{path}/v1.0.0/LICENSE")

    with pytest.raises(InvalidData, match="BS807") as caught:
        publish(first, address, at("reading back: file 1 ", damage))
    assert [str(problem).removeprefix(f"{address}: ")[:21] for problem in caught.value.problems] == [
        "LICENSE: it was sent,",
        "data/articles/train-0",
    ]
    assert "latest.json" not in _read(address)


@pytest.mark.parametrize("step", ["sending file 3 of 13", "sending file 13 of 13", "reading back: file 2 of 13"])
def test_a_run_that_is_killed_leaves_the_old_version_and_is_taken_up(
    step: str, address: str, first: Path, second: Path
) -> None:
    publish(first, address)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(second, address, at(step, stop))
    assert json.loads(_read(address)["latest.json"])["version"] == "1.0.0"
    there = {name for name in _read(address) if name.startswith("v1.1.0/")}
    assert publish(second, address).plan.kept == [name for name in _order(second) if f"v1.1.0/{name}" in there]
    assert json.loads(_read(address)["latest.json"])["version"] == "1.1.0"
    assert _version(address, "1.1.0") == _released(second)


def _order(dataset: Path) -> list[str]:
    names = sorted(_released(dataset).keys() - {"SHA256SUMS"})
    return [*names, "SHA256SUMS"]


def test_a_process_that_is_killed_leaves_nothing_half_written_behind_its_name(first: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from broadsheet import storage; from broadsheet.publish import publish\n"
        "write, seen = storage.Hashed.write, []\n"
        "def dying(self, data):\n"
        "    seen.append(1)\n"
        "    if len(seen) == 6: os._exit(9)\n"
        "    return write(self, data)\n"
        "storage.Hashed.write = dying\n"
        "publish(Path(sys.argv[1]), sys.argv[2])\n"
    )
    site = tmp_path / "site"
    done = subprocess.run([sys.executable, "-c", code, str(first), str(site)], check=False)
    assert done.returncode == 9
    half = contents(site)
    assert len([name for name in half if name.startswith("v1.0.0/")]) == 5
    assert publish(first, str(site)).plan.kept != []
    assert set(contents(site)) == {"latest.json"} | {f"v1.0.0/{name}" for name in _released(first)}


def _dies(number: int, when: When, s3: S3, old: Path, new: Path) -> bool:
    address = f"{_bucket()}/tram"
    publish(old, address)
    s3.die_at(number, when)
    try:
        publish(new, address)
    except CannotRun:
        reached = True
    else:
        reached = False
    sent = _sent(s3)
    s3.revive()
    at = json.loads(_read(address)["latest.json"])["version"]
    assert at in {"1.0.0", "1.1.0"}
    assert _version(address, at) == _released(old if at == "1.0.0" else new)
    publish(new, address)
    assert json.loads(_read(address)["latest.json"])["version"] == "1.1.0"
    assert _version(address, "1.1.0") == _released(new)
    assert _version(address, "1.0.0") == _released(old)
    sent += _sent(s3)[len(sent) :]
    assert len(sent) == len(set(sent)), f"request {number}: a file was sent twice"
    return reached


def _sent(s3: S3) -> list[str]:
    return [request for request in s3.requests if request.startswith("PUT ")]


@pytest.mark.slow
@pytest.mark.parametrize("start", range(4))
def test_the_store_dies_at_any_request(
    start: int, s3: S3, first: Path, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # They were verified when they were built, and that takes longer than all that is tested here.
    monkeypatch.setattr(ready_module, "verify", lambda *_, **__: [])
    last = 0
    for number in range(1 + start, 300, 4):
        last = number
        reached = [_dies(number, when, s3, first, second) for when in ("before", "after")]
        if not any(reached):
            break
    assert 40 < last < 120


def test_the_store_dies_where_it_matters(s3: S3, first: Path, second: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_module, "verify", lambda *_, **__: [])
    assert [_dies(20, when, s3, first, second) for when in ("before", "after")] == [True, True]


@pytest.mark.slow
def test_the_keys_of_a_store_are_nowhere(s3: S3, first: Path, tmp_path: Path) -> None:
    bucket = _bucket()
    for number, dataset in enumerate([first, Path(shutil.copytree(first, tmp_path / "again"))]):
        s3.die_at(5, "before") if number == 0 else s3.revive()
        code = (
            "import logging, sys; logging.basicConfig(level=logging.DEBUG)\n"
            "sys.argv = ['broadsheet', *sys.argv[1:]]; from broadsheet.cli import main; main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "publish", str(dataset), bucket], capture_output=True, text=True, check=False
        )
        assert done.returncode == (2 if number == 0 else 0), done.stderr
        assert "canary-secret" not in done.stdout + done.stderr
        assert [data for data in _read(bucket).values() if b"canary" in data] == [] if number else True
