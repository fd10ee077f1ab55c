"""The toolkit as it is distributed: the same bytes each time, all that is needed, one version everywhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.metadata import Metadata
from packaging.version import Version

from broadsheet import __version__
from tests.conftest import REPOSITORY

VERSION: str = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
CHANGELOG = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
WORKFLOW: dict[Any, Any] = yaml.safe_load((REPOSITORY / ".github/workflows/release.yml").read_text(encoding="utf-8"))
PARTS = (".gitignore", "src", "schema", "scripts", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")


def _dist(out: Path, root: Path = REPOSITORY, umask: str = "022", **environment: str) -> dict[str, bytes]:
    """Build the distributions of the checkout in *root* into *out* as `make dist` does, and give them by name."""
    finished = subprocess.run(
        ["sh", "-c", f'umask {umask}; exec sh scripts/dist.sh "$0" "$1"', sys.executable, str(out)],
        cwd=root,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    _dist(out)
    return out


@pytest.mark.slow
def test_distributions_are_the_same_bytes_wherever_they_are_built(dist: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in PARTS:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, other / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, other / name)
    for path in other.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1, 1))
    built = _dist(tmp_path / "out", other, "077", TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="7")
    assert built == {path.name: path.read_bytes() for path in dist.iterdir()}
    assert built.keys() == {f"broadsheet-{VERSION}.tar.gz", f"broadsheet-{VERSION}-py3-none-any.whl"}


@pytest.mark.slow
def test_the_wheel_is_that_of_the_tree(dist: Path, tmp_path: Path) -> None:
    """It is built from the sdist: that one lacks nothing."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.read_bytes() == (dist / wheel.name).read_bytes()


@pytest.mark.slow
def test_a_package_index_takes_the_metadata(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    written = zipfile.ZipFile(wheel).read(f"broadsheet-{VERSION}.dist-info/METADATA")
    with tarfile.open(sdist) as archive:
        information = archive.extractfile(f"broadsheet-{VERSION}/PKG-INFO")
        assert information is not None
        assert information.read() == written
    metadata = Metadata.from_email(written, validate=True)
    assert metadata.version == Version(VERSION)
    assert metadata.description_content_type == "text/markdown"
    assert written.partition(b"\n\n")[2] == (REPOSITORY / "README.md").read_bytes()


# --- one version everywhere ---


def test_the_version_is_that_of_the_project() -> None:
    assert __version__ == VERSION


def test_pages_that_name_a_version_name_this_one() -> None:
    pin = re.compile(r"(?:OWNER/REPOSITORY@v|rev: v|broadsheet==)(\d+\.\d+\.\d+)")
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.*")]
    named = [found for page in pages for found in pin.findall(page.read_text(encoding="utf-8"))]
    assert set(named) == {VERSION}


def test_the_changelog_leads_up_to_the_version() -> None:
    """Its sections go back in time, from what is not released; none is on a version that is still to come."""
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    dated = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in headings[1:]]
    assert None not in dated
    versions = [Version(found[1]) for found in dated if found]
    assert versions == sorted(set(versions), reverse=True)
    assert all(version <= Version(VERSION) for version in versions)
    unreleased = CHANGELOG.partition("## [Unreleased]")[2].partition("\n## ")[0]
    assert Version(VERSION) in versions or "- " in unreleased


# --- the workflow that publishes ---


def _checkout(folder: Path, changelog: str) -> Path:
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(REPOSITORY / "scripts" / "tag.py", folder / "scripts")
    (folder / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n', encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("tag", "changelog", "said"),
    [
        ("v0.1.0", "## [Unreleased]\n\n## [0.1.0] - 2026-11-23\n", ""),
        ("v0.2.0", "## [0.1.0] - 2026-11-23\n", "error: the tag is v0.2.0, but pyproject.toml has the version 0.1.0"),
        ("0.1.0", "## [0.1.0] - 2026-11-23\n", "error: the tag is 0.1.0, but"),
        ("v0.1.0", "## [Unreleased]\n", "error: CHANGELOG.md has no section '## [0.1.0] - YYYY-MM-DD'"),
        ("v0.1.0; touch pwned", "## [0.1.0] - 2026-11-23\n", "error: the tag is v0.1.0; touch pwned, but"),
    ],
)
def test_only_a_tag_that_is_the_version_goes_on(tag: str, changelog: str, said: str, tmp_path: Path) -> None:
    (step,) = [step for step in WORKFLOW["jobs"]["build"]["steps"] if step.get("name") == "The tag is the version"]
    finished = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=_checkout(tmp_path / "checkout", changelog),
        env=os.environ | {"GITHUB_REF_NAME": tag},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == bool(said)
    assert finished.stderr.startswith(said)
    assert not (tmp_path / "checkout" / "pwned").exists()


def test_the_workflow_calls_what_there_is() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    commands = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    targets = {target for command in commands for target in re.findall(r"make (\S+)", command)}
    assert targets == {"dist"}
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert [command for command in commands if "${{" in command] == []
    assert ".ci/run" in commands
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)


def test_only_the_job_that_publishes_may_and_it_runs_nothing_of_ours() -> None:
    jobs = WORKFLOW["jobs"]
    assert WORKFLOW[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` so
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "build": {"contents": "read"},
        "publish": {"id-token": "write"},
    }
    assert (jobs["publish"]["needs"], jobs["publish"]["environment"]) == ("build", "pypi")
    assert [step["uses"] for step in jobs["publish"]["steps"]] == [
        "actions/download-artifact@v4",
        "pypa/gh-action-pypi-publish@release/v1",
    ]
