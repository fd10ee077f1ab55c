"""Every folder under examples/ is a test: dropping one in is writing one."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadsheet.problems import CODES
from tests.examples_support import EXAMPLES, lay_out, run

INVALID = sorted((EXAMPLES / "invalid").iterdir())
VALID = sorted((EXAMPLES / "valid").iterdir())


@pytest.mark.parametrize("example", INVALID, ids=lambda path: path.name)
def test_an_invalid_example_is_told_as_expected(example: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    command = lay_out(example, folder)
    before = _contents(folder)

    result = run(folder, *command.split())

    code = example.name.split("-")[0]
    assert result.stderr == (example / "expected.txt").read_text()
    assert f"[{code}]" in result.stderr
    assert result.exit_code == (2 if code.startswith("BS6") else 1)
    assert "Traceback" not in result.output
    assert _contents(folder) == before, "a failing command changed or left a file"


@pytest.mark.parametrize("example", VALID, ids=lambda path: path.name)
def test_a_valid_example_builds_and_checks(example: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    lay_out(example, folder)
    for command in ("build .", "check .", "check release"):
        result = run(folder, *command.split())
        assert (result.exit_code, result.stderr) == (0, ""), command


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_an_example(code: str) -> None:
    assert [path for path in INVALID if path.name.startswith(f"{code}-")]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
