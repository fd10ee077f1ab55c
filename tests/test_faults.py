"""Whatever goes wrong, whenever: the old release is in place or the new one, and a problem says why (make test-faults).

The faults are real ones: system calls that fail or kill as strace has them (its option ``inject``), disks that are
full, folders that may not be written to.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.corpora import ANNOTATOR, TARGET, articles, dataset_from, dataset_of, of_query
from tests.examples_support import MINIMAL, run

pytestmark = pytest.mark.faults

ENVIRONMENT = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}"}


def _need(what: str, *command: str) -> None:
    """Skip a test where *command* fails, as *what* it shows is missing; in CI, nothing is skipped."""
    try:
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        said = found.stderr.strip() if found.returncode else None
    except OSError as error:
        said = str(error)
    if said is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what}: {said}")


def _run(module: str, *arguments: str, within: Sequence[str] = ()) -> str:
    """Run a *module* of these tests as a process, and give what it prints."""
    command = [*within, sys.executable, "-m", f"tests.{module}", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- a fault at every call ---


@pytest.mark.parametrize("fault", ["KILL", "ENOSPC"])
@pytest.mark.parametrize("what", ["first", "next", "freeze"])
def test_a_fault_at_any_call_leaves_what_was_there_or_what_is_new(what: str, fault: str, tmp_path: Path) -> None:
    _need("strace is needed", "strace", "-o", "/dev/null", "true")
    print(_run("every_call", what, fault, str(tmp_path)))  # noqa: T201 - shown with -s


@pytest.mark.parametrize("what", ["first", "next"])
def test_a_disk_that_does_not_confirm_the_new_release_is_told_and_the_next_run_is_clean(
    what: str, tmp_path: Path
) -> None:
    _need("strace is needed", "strace", "-o", "/dev/null", "true")
    _run("every_call", what, "EIO", str(tmp_path))


# --- disks that are full ---


@pytest.mark.parametrize("name", ["empty", "replacing", "temporary", "temporary_rows", "large", "library", "libraries"])
def test_on_a_disk_of_any_size_a_build_is_whole_or_says_that_the_disk_is_full(name: str, tmp_path: Path) -> None:
    namespace = ["unshare", "--mount", *(["--user", "--map-root-user"] if os.geteuid() else [])]
    _need("mounting is needed", *namespace, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path))
    if name in ("large", "library"):
        dataset = dataset_of(articles(1500), tmp_path / "dataset")
    elif name == "temporary_rows":
        dataset = _of_queries(tmp_path / "dataset")
    else:
        dataset = Path(shutil.copytree(MINIMAL, tmp_path / "dataset"))
        assert run(dataset, "build", ".").exit_code == 0
    (tmp_path / "disk").mkdir()
    failed = int(_run("small_disk", name, str(dataset), str(tmp_path / "disk"), within=namespace))
    assert failed > 1, "no disk was too small"


def _of_queries(folder: Path) -> Path:
    """Make a dataset whose rows come from queries, and join by an index."""
    ids = [f"a{number:03}" for number in range(200)]
    files = {
        "source/articles.csv": "".join(["id,text\n", *(f"{id_},Said by {id_} of the harbour.\n" for id_ in ids)]),
        "source/labels.csv": "".join(["id,label\n", *(f"{id_},favor\n" for id_ in ids)]),
    }
    labels = "SELECT id AS article_id, label AS stance, 'author' AS holder FROM read_csv('source/labels.csv')"
    rest = f"""{TARGET}{ANNOTATOR}
[stances]
sql = "{labels}"

[stances.defaults]
target_id = "harbour"
annotator_id = "desk"
"""
    return dataset_from(folder, files, of_query("SELECT id, text FROM read_csv('source/articles.csv')", rest))


# --- a target that may not be written to ---


@pytest.fixture
def others() -> Iterator[Path]:
    """A folder that other users may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("is_built", [False, True])
def test_a_target_that_may_not_be_written_to_is_told(is_built: bool, others: Path) -> None:
    # Another user, who may read everything, as the environment may lie where only this one may look.
    powers = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    user = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *powers]
    _need("another user is needed", *user, "true")
    dataset = Path(shutil.copytree(MINIMAL, others / "dataset"))
    if is_built:
        assert run(dataset, "build", ".").exit_code == 0
    before = _contents(dataset)
    dataset.chmod(0o555)
    try:
        command = [*user, sys.executable, "-m", "broadsheet", "build", str(dataset)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    finally:
        dataset.chmod(0o755)
    assert done.returncode == 2
    assert re.fullmatch(rf"{dataset}/\S+: permission denied \[BS603\]\n1 problem\n", done.stderr)
    assert _contents(dataset) == before


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


# --- several at once ---


def test_of_three_builders_one_builds_and_the_others_say_who_it_is(tmp_path: Path) -> None:
    _run("three_builders", str(shutil.copytree(MINIMAL, tmp_path / "dataset")))
