"""What the repository promises about itself: its documents, its contracts in the wheel, its lock."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from broadsheet.problems import CODES
from tests.conftest import CORPUS, REPOSITORY

TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
).stdout.splitlines()


def test_every_code_has_a_section() -> None:
    page = (REPOSITORY / "docs" / "problems.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (BS\d+) ", page, re.MULTILINE) == list(CODES)


def test_every_module_is_on_the_page_of_the_architecture() -> None:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    modules = [path.name for path in (REPOSITORY / "src" / "broadsheet").glob("[!_]*.py")]
    assert [name for name in modules if f"| `{name}` |" not in page] == []
    assert set(re.findall(r"^\| `(\w+\.py)` \|", page, re.MULTILINE)) == set(modules)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Dependencies")[1]
    names = [re.split(r"[>=\[]", entry)[0] for entry in project["dependencies"]]
    names += [re.split(r"[>=\[]", entry)[0] for entry in project["optional-dependencies"]["dev"]]
    assert [name for name in names if name not in table and not name.startswith("types-")] == []


def test_the_lock_has_hashes_and_no_addresses() -> None:
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"https?://|--index|--extra-index|--find-links", lock)
    pinned = re.findall(r"^[a-z0-9][\w.-]*==\S+[^\n]*\n(    --hash=sha256:[0-9a-f]{64})", lock, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9].*==", lock, re.MULTILINE))


def test_the_wheel_carries_the_contracts_and_templates(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        ".",
    ]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for schema in (REPOSITORY / "schema").iterdir():
        assert f"broadsheet/schema/{schema.name}" in names
    assert "broadsheet/documents/templates/DATASHEET.md.jinja" in names
    assert "broadsheet/documents/questions.toml" in names
    assert "broadsheet/py.typed" in names


def test_the_changelog_knows_the_version_of_the_dataset() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    dataset = tomllib.loads((CORPUS / "dataset.toml").read_text(encoding="utf-8"))
    assert f"`{dataset['name']}`, version {dataset['version']}" in changelog


@pytest.mark.skipif(not TRACKED, reason="this is no git checkout, so there is no list of tracked files")
def test_no_tracked_text_has_a_path_of_a_machine() -> None:
    pattern = re.compile(r"/(home|root|work|Users)/[a-z]")
    elsewhere = ("dataset/source/", "tests/test_repository.py")
    ours = [name for name in TRACKED if not name.startswith(elsewhere) and not name.endswith(".parquet")]
    assert [name for name in ours if pattern.search(_text(REPOSITORY / name))] == []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def test_make_says_what_to_install_where_python_lacks_ensurepip(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(
        f"""#!/bin/sh
case "$*" in
  *ensurepip*) exit 1 ;;
  *) exec {sys.executable} "$@" ;;
esac
"""
    )
    python.chmod(0o755)
    finished = subprocess.run(
        ["sh", str(REPOSITORY / "scripts" / "bootstrap.sh"), str(python)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 2
    assert f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in finished.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["python3"]
