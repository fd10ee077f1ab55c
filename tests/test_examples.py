"""Every folder under examples/ is a test: dropping one in is writing one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from broadsheet.problems import CODES
from tests.examples_support import EXAMPLES, lay_out, run

INVALID = sorted((EXAMPLES / "invalid").iterdir())
VALID = sorted((EXAMPLES / "valid").iterdir())
#: Codes of problems that are no failure by themselves.
WARNINGS = {"BS110", "BS116", "BS118", "BS209", "BS210", "BS517"}


@pytest.mark.parametrize("example", INVALID, ids=lambda path: path.name)
def test_an_invalid_example_is_told_as_expected(example: Path, tmp_path: Path) -> None:
    if example.name.startswith("BS521") and shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed (Debian: openssh-client)")
    folder = tmp_path / "case"
    command = lay_out(example, folder)
    before = _contents(folder)

    result = run(folder, *command.split())

    code = example.name.split("-")[0]
    assert result.output == (example / "expected.txt").read_text()
    assert f"[{code}]" in result.output
    assert result.exit_code == (2 if code.startswith("BS6") else 0 if code in WARNINGS else 1)
    assert "Traceback" not in result.output
    assert _contents(folder) == before, "a failing command changed or left a file"


@pytest.mark.parametrize("example", VALID, ids=lambda path: path.name)
def test_a_valid_example_builds_and_checks(example: Path, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    command = lay_out(example, folder)
    for line in [command] if (example / "COMMAND").exists() else ("build .", "check .", "check release"):
        result = run(folder, *line.split())
        assert result.exit_code == 0, result.output
        assert line.startswith("build") or result.output.endswith(": no problems\n"), result.output


#: Codes that take what files cannot say: a disk that is full or fails (test_faults.py), somebody else's doing while the
#: command runs (test_publish_static.py, test_publish_hub.py), a key that is made on the spot, or a program that is not
#: there (test_signature.py).
ELSEWHERE = {"BS522", "BS607", "BS608", "BS612", "BS806", "BS807"}


@pytest.mark.parametrize("code", [code for code in CODES if code not in ELSEWHERE])
def test_every_code_has_an_example(code: str) -> None:
    assert [path for path in INVALID if path.name.startswith(f"{code}-")]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
