"""What is published on a hub is what was released, in one commit, or nothing; strangers read it with their tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from broadsheet import release, vocabulary
from broadsheet.problems import CannotRun, InvalidData
from broadsheet.publish import publish
from broadsheet.publish import ready as ready_module
from tests.examples_support import run
from tests.hub_server import Hub, When, home, serving_hub, talk_to
from tests.publications import contents, dataset_in, freeze

ADDRESS = "hf://datasets/ns/tram"
COMMIT = "POST /api/datasets/ns/tram/commit/"


def _released(dataset: Path) -> dict[str, bytes]:
    return contents(dataset / "release")


def _held(hub: Hub, revision: str = "main") -> dict[str, bytes]:
    files = hub.contents("ns/tram", revision)
    del files[".gitattributes"]
    return files


# --- what is published ---


def test_a_version_is_one_commit_and_a_tag_on_it(hub: Hub, first: Path, second: Path) -> None:
    publish(first, ADDRESS)
    assert _held(hub, "v1.0.0") == _held(hub) == _released(first)
    published = publish(second, ADDRESS)
    assert hub.history("ns/tram") == ["initial commit", "Version 1.0.0", "Version 1.1.0"]
    assert _held(hub, "v1.1.0") == _held(hub) == _released(second)
    assert _held(hub, "v1.0.0") == _released(first)
    assert hub.repository("ns/tram")["tags"]["v1.1.0"] == published.where
    # Large files went ahead, those of both versions once.
    assert len(hub.stored) == len(set(hub.stored)) == 4


def test_what_the_last_version_had_and_this_one_has_not_goes_in_the_same_commit(
    hub: Hub, first: Path, second: Path
) -> None:
    publish(first, ADDRESS)
    stale = "data/articles/train-00001-of-00002.parquet"
    hub.change("ns/tram", {stale: b"stale", ".env": b"SECRET=1"})
    publish(second, ADDRESS)
    assert _held(hub) == _released(second)
    assert hub.history("ns/tram")[-2:] == ["Somebody else's", "Version 1.1.0"]


def test_only_what_is_listed_goes_out(hub: Hub, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset")
    (dataset / "release" / ".env").write_text("SECRET=1")
    with pytest.raises(InvalidData, match="BS502"):
        publish(dataset, ADDRESS)
    assert hub.requests == []


def test_a_card_that_the_hub_would_refuse_is_not_sent(hub: Hub, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset")
    card = dataset / "release" / release.CARD
    card.write_text(card.read_text().replace("license: other\n", "license: CC-BY-4.0\n"))
    release.write_checksums(dataset / "release")
    with pytest.raises(InvalidData, match="is no licence that the hub knows"):
        publish(dataset, ADDRESS)
    assert hub.requests == []


def test_nothing_is_sent_that_could_not_be_judged(hub: Hub, first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "terms", dict)
    with pytest.raises(CannotRun, match="datasets is not installed"):
        publish(first, ADDRESS)
    assert hub.requests == []


def test_publishing_again_sends_nothing(hub: Hub, first: Path, second: Path) -> None:
    publish(first, ADDRESS)
    publish(second, ADDRESS)
    hub.requests.clear()
    for dataset in (second, first):
        assert publish(dataset, ADDRESS).plan.is_done
    assert {request.method for request in hub.requests} == {"GET", "HEAD"}


def test_a_proposal_is_tagged_once_it_is_merged(hub: Hub, first: Path, second: Path) -> None:
    publish(first, ADDRESS)
    hub.lose_the_answer(COMMIT)
    with pytest.raises(CannotRun, match="BS605"):
        publish(second, ADDRESS, create_pr=True)
    proposed = publish(second, ADDRESS, create_pr=True)
    assert proposed.where == "refs/pr/1"
    assert [ref for ref in hub.repository("ns/tram")["refs"] if "/" in ref] == ["refs/pr/1"]
    assert _held(hub, "refs/pr/1") == _released(second)
    assert _held(hub) == _released(first)
    assert list(hub.repository("ns/tram")["tags"]) == ["v1.0.0"]
    repository = hub.repository("ns/tram")
    repository["refs"]["main"] = repository["refs"]["refs/pr/1"]
    hub.save("ns/tram", repository)
    publish(second, ADDRESS)
    assert _held(hub, "v1.1.0") == _released(second)
    assert hub.history("ns/tram") == ["initial commit", "Version 1.0.0", "Version 1.1.0"]


def test_the_dry_run_prints_what_would_change_and_sends_nothing(hub: Hub, first: Path, second: Path) -> None:
    publish(first, ADDRESS)
    hub.change("ns/tram", {"old.txt": b"old"})
    hub.requests.clear()
    told = run(second, "publish", ".", ADDRESS, "--dry-run")
    assert told.exit_code == 0, told.output
    assert {request.method for request in hub.requests} == {"GET", "HEAD"}
    lines = told.output.splitlines()
    files = {name: (second / "release" / name).stat().st_size for name in _released(second)}
    same = {name for name, data in _released(first).items() if _released(second).get(name) == data}
    assert lines[0] == f"{ADDRESS}: version 1.0.0 → 1.1.0; the data demand: minor"
    assert sorted(lines[1:-3]) == sorted(
        [*(f"  ~ {name}  {size:,} bytes" for name, size in files.items() if name not in same), "  - old.txt"]
    )
    sent = sum(size for name, size in files.items() if name not in same)
    assert lines[-3:] == [
        "rows: articles 2 (+1), stances 12 (+6)",
        f"{len(files) - len(same)} files to send ({sent:,} bytes), 1 to remove, {len(same)} there already",
        "dry run: nothing was sent",
    ]


# --- what is refused, before anything is sent ---


def _refused(code: str, dataset: Path, hub: Hub, address: str = ADDRESS, *, private: bool = False) -> str:
    hub.requests.clear()
    with pytest.raises(InvalidData, match=code) as caught:
        publish(dataset, address, private=private)
    assert {request.method for request in hub.requests} <= {"GET", "HEAD"}
    return str(caught.value)


def test_a_release_that_does_not_verify_is_refused(hub: Hub, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset")
    with (dataset / "release" / "README.md").open("a") as card:
        card.write("\n")
    _refused("BS503", dataset, hub)
    assert hub.requests == []


def test_a_version_that_is_not_frozen_is_refused(hub: Hub, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset")
    ledger = dataset / "versions.jsonl"
    frozen = ledger.read_text()
    for changed in (frozen.replace("1.0.0", "1.0.1"), re.sub(r"sha256:\w+", "sha256:" + "0" * 64, frozen), None):
        ledger.unlink() if changed is None else ledger.write_text(changed)
        _refused("BS801", dataset, hub)


def test_a_version_that_is_there_is_never_moved(hub: Hub, first: Path, tmp_path: Path) -> None:
    publish(first, ADDRESS)
    before = hub.repository("ns/tram")
    other = dataset_in(tmp_path / "other", "1.0.0", 2)
    assert "version 1.0.0 is there, and is another" in _refused("BS802", other, hub)
    assert hub.repository("ns/tram") == before


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("1.0.1", "1.0.0 to 1.0.1 is a patch bump, and the data demand a minor one"),
        ("0.9.0", "1.0.0 to 0.9.0 is no step forward"),
    ],
)
def test_a_smaller_bump_than_the_data_demand_is_refused(
    version: str, told: str, hub: Hub, first: Path, tmp_path: Path
) -> None:
    publish(first, ADDRESS)
    assert told in _refused("BS803", dataset_in(tmp_path / "next", version, 2), hub)


def test_fewer_rows_are_a_major_bump(hub: Hub, second: Path, tmp_path: Path) -> None:
    publish(second, ADDRESS)
    fewer = dataset_in(tmp_path / "fewer", "1.2.0")
    assert "demand a major one" in _refused("BS803", fewer, hub)
    publish(dataset_in(tmp_path / "major", "2.0.0"), ADDRESS)
    assert "v2.0.0" in hub.repository("ns/tram")["tags"]


def test_a_target_that_holds_something_else_is_refused(hub: Hub, first: Path, tmp_path: Path) -> None:
    other = dataset_in(tmp_path / "other")
    recipe = other / "dataset.toml"
    recipe.write_text(recipe.read_text().replace('"harbour-tram"', '"tramway"'))
    freeze(other)
    publish(first, ADDRESS)
    assert "it holds the dataset 'harbour-tram', and this is 'tramway'" in _refused("BS804", other, hub)
    hub.create("ns/mine")
    hub.change("ns/mine", {"README.md": b"# Mine\n", "thesis.txt": b"mine"})
    assert "README.md, thesis.txt" in _refused("BS804", other, hub, "hf://datasets/ns/mine")
    assert hub.contents("ns/mine")["thesis.txt"] == b"mine"


@pytest.mark.parametrize(
    "address", ["hf://models/ns/tram", "hf://spaces/ns/tram", "hf://ns/tram", "hf://datasets/tram"]
)
def test_what_is_no_dataset_of_a_hub_is_refused(address: str, hub: Hub, first: Path) -> None:
    _refused("BS808", first, hub, address)
    assert hub.requests == []


def test_texts_whose_rights_are_not_open_need_a_basis_or_a_private_target(hub: Hub, tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path / "dataset", articles=2, basis="")
    told = _refused("BS805", dataset, hub)
    assert told.startswith("dataset.toml:")
    assert "2 articles have a text whose rights are not open: tram-meeting, tram-figures [BS805]" in told
    publish(dataset, ADDRESS, private=True)
    assert hub.repository("ns/tram")["private"]
    assert publish(dataset, ADDRESS).plan.is_done
    hub.create("ns/public")
    _refused("BS808", dataset, hub, "hf://datasets/ns/public", private=True)


@pytest.mark.parametrize(
    ("statement", "license_", "is_open"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "LicenseRef-x", True),
        ("http://creativecommons.org/licenses/by-nc-nd/3.0/de/", "LicenseRef-x", True),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "LicenseRef-x", True),
        ("http://rightsstatements.org/vocab/InC/1.0/", "CC-BY-SA-4.0", True),
        ("http://rightsstatements.org/vocab/CNE/1.0/", "CC0-1.0", True),
        ("http://rightsstatements.org/vocab/NoC-US/1.0/", "LicenseRef-x", False),
        ("http://rightsstatements.org/vocab/InC/1.0/", "MIT", False),
        ("https://creativecommons.org/about/", "LicenseRef-CC-BY", False),
    ],
)
def test_what_open_rights_are(statement: str, license_: str, is_open: bool) -> None:
    from broadsheet.publish import rights  # noqa: PLC0415 - the one place of the rule

    assert rights.is_open({"statement": statement, "license": license_}) == is_open


# --- when something comes between ---


def test_the_target_moved_meanwhile(hub: Hub, first: Path, second: Path) -> None:
    publish(first, ADDRESS)
    hub.before(COMMIT, lambda: hub.change("ns/tram", {"note.txt": b"theirs"}))
    with pytest.raises(InvalidData, match=r"somebody else changed it meanwhile; nothing was changed .* \[BS806\]"):
        publish(second, ADDRESS)
    assert _held(hub) == _released(first) | {"note.txt": b"theirs"}
    assert list(hub.repository("ns/tram")["tags"]) == ["v1.0.0"]


@pytest.mark.parametrize("part", ["POST /api/repos/create", "POST /api/datasets/ns/tram/tag/", COMMIT, "PUT /objects/"])
def test_an_answer_that_is_lost_is_seen_by_the_next_run(part: str, hub: Hub, first: Path) -> None:
    hub.lose_the_answer(part)
    try:
        publish(first, ADDRESS)
    except CannotRun as error:
        assert "Give the same command again" in error.problems[0].hint  # noqa: PT017 - an upload is tried again at once
    hub.requests.clear()
    publish(first, ADDRESS)
    assert hub.history("ns/tram") == ["initial commit", "Version 1.0.0"]
    assert _held(hub, "v1.0.0") == _released(first)
    assert hub.asked(COMMIT) == (part == "POST /api/repos/create")


def test_a_file_that_comes_back_otherwise_keeps_the_version_from_its_name(hub: Hub, first: Path) -> None:
    def damage() -> None:
        held = hub.files("ns/tram")["jsonl/articles.jsonl"]
        hub.object(held["sha256"]).write_bytes(b"x" * held["size"])

    hub.before("HEAD /datasets/ns/tram/resolve/", damage)
    with pytest.raises(InvalidData, match=r"jsonl/articles.jsonl: its SHA-256 is \w+ there, .* \[BS807\]"):
        publish(first, ADDRESS)
    assert hub.repository("ns/tram")["tags"] == {}


def _sweep(requests: range, root: Path, datasets: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> int:
    """Publish with a hub that dies at each of the *requests*, and then again; give the first that is not reached."""
    # It was verified when it was built, and that takes longer than all that is tested here.
    monkeypatch.setattr(ready_module, "verify", lambda *_, **__: [])
    old, new = datasets
    with serving_hub(root / "first") as hub:
        talk_to(hub, monkeypatch)
        publish(old, ADDRESS)
    number = 0
    for number in requests:
        reached = [_dies(number, when, root, (old, new), monkeypatch) for when in ("before", "after")]
        if not any(reached):
            break
    return number


def _dies(number: int, when: When, root: Path, datasets: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> bool:
    old, new = datasets
    place = Path(shutil.copytree(root / "first", root / f"{number}-{when}"))
    with serving_hub(place) as hub:
        talk_to(hub, monkeypatch)
        hub.die_at(number, when)
        try:
            publish(new, ADDRESS)
        except CannotRun:
            reached = True
        else:
            reached = False
        public, tags = _held(hub), hub.repository("ns/tram")["tags"]
        assert public in (_released(old), _released(new)), number
        assert _held(hub, "v1.0.0") == _released(old)
        assert "v1.1.0" not in tags or _held(hub, "v1.1.0") == _released(new)
        hub.revive()
        publish(new, ADDRESS)
        assert hub.history("ns/tram") == ["initial commit", "Version 1.0.0", "Version 1.1.0"], number
        assert _held(hub) == _held(hub, "v1.1.0") == _released(new)
        assert len(hub.stored) == len(set(hub.stored)), f"request {number}: a file was sent twice"
    shutil.rmtree(place)
    return reached


@pytest.mark.slow
@pytest.mark.parametrize("start", range(4))
def test_the_hub_dies_at_any_request(
    start: int, first: Path, second: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = _sweep(range(1 + start, 200, 4), tmp_path, (first, second), monkeypatch)
    assert 35 < last < 60


def test_the_hub_dies_where_it_matters(
    first: Path, second: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All requests are in the slow tests; this is the commit."""
    _sweep(range(13, 14), tmp_path, (first, second), monkeypatch)


# --- the token ---

CANARY = "hf_canary"
LOUD = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
sys.argv = ["broadsheet", *sys.argv[1:]]
from broadsheet.cli import main
main()
"""


@pytest.mark.parametrize(
    ("token", "lost", "options", "code"),
    [
        (CANARY, "", ["--dry-run"], 0),
        (CANARY, "", [], 0),
        (CANARY, COMMIT, [], 2),
        (f"{CANARY}_wrong", "", [], 2),
        (f"{CANARY}\x01no-header", "", [], 2),
        (f"{CANARY}-é", "", [], 2),
    ],
)
def test_the_token_is_nowhere(  # noqa: PLR0917 - one row of the table above
    token: str, lost: str, options: list[str], code: int, first: Path, tmp_path: Path
) -> None:
    dataset = Path(shutil.copytree(first, tmp_path / "dataset"))
    with serving_hub(tmp_path / "hub") as hub:
        loud = {
            "HF_DEBUG": "1",
            "HF_HUB_VERBOSITY": "debug",
            "HTTPX_LOG_LEVEL": "trace",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        environment = os.environ | home(hub, tmp_path / "home") | loud | {"HF_TOKEN": token}
        if lost:
            hub.lose_the_answer(lost)
        command = [sys.executable, "-c", LOUD, "publish", str(dataset), ADDRESS, *options]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == code, done.stderr
        told = [any(CANARY in request.authorization for request in hub.requests)]
    assert "Traceback" not in done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()] == []
    assert told == [True] or not token.isascii()


def test_no_option_takes_a_token(tmp_path: Path) -> None:
    assert "token" not in re.findall(r"--[\w-]+", run(tmp_path, "publish", "--help").output)
    assert run(tmp_path, "publish", ".", ADDRESS, "--token", CANARY).exit_code == 2
