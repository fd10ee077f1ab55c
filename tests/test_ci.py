"""What is offered to other people's CI: the action and its script, the hooks of pre-commit, and the page about them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from broadsheet.cli import app
from tests.conftest import CORPUS, REPOSITORY
from tests.examples_support import EXAMPLES

ACTION: dict[str, Any] = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
HOOKS: list[dict[str, Any]] = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
PAGE = (REPOSITORY / "docs" / "ci.md").read_text(encoding="utf-8")
SCRIPT = REPOSITORY / "scripts" / "action.sh"
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
BROADSHEET = str(Path(sys.executable).parent / "broadsheet")
GOOD = EXAMPLES / "valid" / "integers-written-as-floats"
BAD = EXAMPLES / "invalid" / "BS201-row-without-a-field"
BAD_ROW = "::error file={},line=2,title=BS201 missing-field::/text: the field 'text' is missing"
HOSTILE = [
    "a;touch pwned.jsonl",
    "$(touch pwned.jsonl)",
    "`touch pwned.jsonl`",
    'x" && touch pwned.jsonl && echo "',
    "x' && touch pwned.jsonl && echo '",
    "PATHS\ntouch pwned.jsonl\n",
    "${IFS}$0|touch${IFS}pwned.jsonl",
]

needs_git = pytest.mark.skipif(
    not (REPOSITORY / ".git").exists(), reason="this is no git checkout, so there is nothing to clone"
)
needs_pre_commit = pytest.mark.skipif(find_spec("pre_commit") is None, reason="pre-commit is not installed")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with good and bad rows, and their schema, as somebody's repository."""
    folder = tmp_path / "workspace"
    (folder / "data").mkdir(parents=True)
    shutil.copy(BAD / "row.schema.json", folder)
    shutil.copy(BAD / "rows.jsonl", folder / "data" / "bad.jsonl")
    (folder / "data" / "good.jsonl").write_text('{"id": 1, "text": "one"}\n', encoding="utf-8")
    return folder


def _act(
    folder: Path, inputs: dict[str, str], broadsheet: str | None = BROADSHEET, path: str = os.environ["PATH"]
) -> subprocess.CompletedProcess[str]:
    """Run the action's last step in *folder* as GitHub does: inputs into its environment, its line into a file."""
    given = {name: details.get("default", "") for name, details in ACTION["inputs"].items()} | inputs
    step = STEPS[-1]
    assert step["shell"] == "sh"
    temporary = folder.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    line = temporary / "step.sh"
    line.write_text(step["run"], encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "BROADSHEET"}
    environment |= {name: _expanded(value, given) for name, value in step["env"].items()}
    environment |= {"GITHUB_ACTION_PATH": str(REPOSITORY), "RUNNER_TEMP": str(temporary), "PATH": path}
    if broadsheet is not None:
        environment["BROADSHEET"] = broadsheet
    return subprocess.run(
        ["sh", "-e", str(line)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def _expanded(value: str, inputs: dict[str, str]) -> str:
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], value)


def test_the_action_has_the_promised_inputs() -> None:
    defaults = {name: details.get("default") for name, details in ACTION["inputs"].items()}
    assert defaults == {
        "paths": None,
        "schema": "",
        "rows": "false",
        "format": "github",
        "max-problems": "100",
        "python-version": "3.12",
        "report": "",
    }
    assert [name for name, details in ACTION["inputs"].items() if details["required"]] == ["paths"]
    assert all(details["description"] for details in ACTION["inputs"].values())
    assert ACTION["runs"]["using"] == "composite"


def test_no_expression_is_part_of_a_shell_line() -> None:
    assert [step["run"] for step in STEPS if "run" in step] == ['sh "$GITHUB_ACTION_PATH/scripts/action.sh"']


def test_every_input_is_used_and_every_variable_is_read() -> None:
    used = set(re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", str(STEPS)))
    assert used == set(ACTION["inputs"])
    code = re.sub(r"^\s*#.*", "", SCRIPT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    read = set(re.findall(r"\$\{?(BROADSHEET\w*)", code))
    assert read == {*STEPS[-1]["env"], "BROADSHEET"}


def test_the_script_can_be_run_and_parsed() -> None:
    assert SCRIPT.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", str(SCRIPT)], check=True)


def test_good_rows_pass() -> None:
    finished = _act(GOOD, {"paths": "rows.jsonl", "schema": "row.schema.json"})
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "::error" not in finished.stdout


def test_bad_rows_are_marked_at_their_line(workspace: Path) -> None:
    finished = _act(workspace, {"paths": "data/bad.jsonl", "schema": "row.schema.json"})
    assert finished.returncode == 1
    assert finished.stdout.splitlines() == [BAD_ROW.format("data/bad.jsonl"), "::notice::1 problem"]


def test_warnings_alone_pass(workspace: Path) -> None:
    (workspace / "rows.jsonl").write_text('{"id": 1, "text": "one"}\n\n{"id": 2, "text": "two"}\n', encoding="utf-8")
    finished = _act(workspace, {"paths": "rows.jsonl", "schema": "row.schema.json"})
    assert finished.returncode == 0
    assert "::warning file=rows.jsonl" in finished.stdout


@pytest.mark.parametrize(
    "paths",
    [
        "data/good.jsonl data/bad.jsonl",
        "data/good.jsonl\ndata/bad.jsonl\n",
        "\n  data/good.jsonl\t data/bad.jsonl  \n\n",
        "data/*.jsonl",
        "data/[bg]*d.jsonl",
    ],
)
def test_paths_are_separated_by_lines_and_blanks(paths: str, workspace: Path) -> None:
    finished = _act(workspace, {"paths": paths, "schema": "row.schema.json", "format": "json"})
    told = json.loads(finished.stdout)
    assert set(told["checked"].split(", ")) == {"data/good.jsonl", "data/bad.jsonl"}
    assert (finished.returncode, told["errors"]) == (1, 1)


@pytest.mark.parametrize("paths", ["data/bad rows.jsonl", "data/good.jsonl\n  data/bad rows.jsonl\n", "data/bad?*s.*"])
def test_a_path_may_have_a_blank_in_it(paths: str, workspace: Path) -> None:
    (workspace / "data" / "bad.jsonl").rename(workspace / "data" / "bad rows.jsonl")
    finished = _act(workspace, {"paths": paths, "schema": "row.schema.json"})
    assert finished.returncode == 1
    assert BAD_ROW.format("data/bad rows.jsonl") in finished.stdout.splitlines()


def test_a_path_that_looks_like_a_pattern_or_an_option_is_a_path(workspace: Path) -> None:
    for name in ("[b].jsonl", "--help.jsonl"):
        shutil.copy(workspace / "data" / "bad.jsonl", workspace / name)
    finished = _act(workspace, {"paths": "[b].jsonl --help.jsonl", "schema": "row.schema.json"})
    assert finished.returncode == 1
    assert finished.stdout.count("::error file=") == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [("paths", text) for text in HOSTILE]
    + [(name, HOSTILE[1]) for name in ("schema", "rows", "format", "max-problems", "report")],
)
def test_no_input_is_executed(name: str, text: str, workspace: Path) -> None:
    before = {path.name for path in workspace.iterdir()}
    finished = _act(workspace, {"paths": "data/good.jsonl", "schema": "row.schema.json"} | {name: text})
    assert finished.returncode == (0 if name == "report" else 2)
    left = {path.name for path in workspace.iterdir()} - before
    assert left == ({text} if name == "report" else set())


def test_a_file_with_a_hostile_name_is_checked(workspace: Path) -> None:
    name = "a;touch pwned.jsonl"
    (workspace / "data" / "bad.jsonl").rename(workspace / name)
    finished = _act(workspace, {"paths": name, "schema": "row.schema.json"})
    assert finished.returncode == 1
    assert BAD_ROW.format(name) in finished.stdout.splitlines()
    assert not (workspace / "pwned.jsonl").exists()


@pytest.mark.parametrize(("file", "errors"), [("good", 0), ("bad", 1)])
def test_a_sarif_report_is_written_as_well(file: str, errors: int, workspace: Path) -> None:
    inputs = {"paths": f"data/{file}.jsonl", "schema": "row.schema.json", "report": "out/of the way/report.sarif"}
    finished = _act(workspace, inputs)
    assert finished.returncode == errors
    (run,) = json.loads((workspace / "out" / "of the way" / "report.sarif").read_text(encoding="utf-8"))["runs"]
    assert run["properties"]["errors"] == len(run["results"]) == errors
    assert finished.stdout.count("::error file=data/bad.jsonl") == errors


def test_a_check_that_cannot_begin_leaves_no_report(workspace: Path) -> None:
    inputs = {"paths": "data/good.jsonl", "max-problems": "few", "report": "report.sarif"}
    finished = _act(workspace, inputs)
    assert finished.returncode == 2
    assert not (workspace / "report.sarif").exists()


def test_a_report_that_cannot_be_written_is_no_success(workspace: Path) -> None:
    inputs = {"paths": "data/good.jsonl", "schema": "row.schema.json", "report": "data"}
    finished = _act(workspace, inputs)
    assert finished.returncode == 2
    assert "::error title=Broadsheet could not run::The report cannot be written." in finished.stdout
    assert (workspace / "data" / "good.jsonl").exists()


def test_a_report_of_an_earlier_run_does_not_stay(workspace: Path) -> None:
    (workspace / "report.sarif").write_text("{}", encoding="utf-8")
    _act(workspace, {"paths": "data/good.jsonl", "max-problems": "few", "report": "report.sarif"})
    assert not (workspace / "report.sarif").exists()


def test_rows_and_max_problems_reach_the_check(workspace: Path) -> None:
    (workspace / "rows.json").write_text("[" + ", ".join(['{"id": 1}'] * 3) + "]", encoding="utf-8")
    inputs = {"paths": "rows.json", "schema": "row.schema.json", "rows": "true", "max-problems": "2", "format": "json"}
    told = json.loads(_act(workspace, inputs).stdout)
    assert (told["errors"], told["shown"]) == (3, 2)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"paths": " \n "}, "The input 'paths' names nothing to check."),
        ({"paths": "data/good.jsonl", "rows": "yes"}, "The input 'rows' is either 'true' or 'false'."),
    ],
)
def test_inputs_that_mean_nothing_are_refused(inputs: dict[str, str], said: str, workspace: Path) -> None:
    finished = _act(workspace, inputs)
    assert (finished.returncode, finished.stdout) == (2, f"::error title=Broadsheet could not run::{said}\n")


def test_a_command_that_is_not_there_is_exit_code_2(workspace: Path) -> None:
    finished = _act(workspace, {"paths": "data/good.jsonl"}, broadsheet="nowhere/broadsheet")
    assert finished.returncode == 2
    assert "BROADSHEET" in finished.stdout


def test_an_installation_that_fails_is_exit_code_2_and_leaves_nothing(workspace: Path) -> None:
    tools = workspace.parent / "tools"
    tools.mkdir()
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tools / "python3").chmod(0o755)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    finished = _act(workspace, {"paths": "data/good.jsonl"}, broadsheet=None, path=path)
    assert finished.returncode == 2
    assert "The virtual environment cannot be made." in finished.stdout
    assert [path.name for path in (workspace.parent / "temporary").iterdir()] == ["step.sh"]


@pytest.mark.slow
def test_the_action_installs_the_package_aside(workspace: Path) -> None:
    # A module of the folder that is checked must not be taken for one of Python's.
    (workspace / "venv.py").write_text("raise SystemExit('imported from the workspace')\n", encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inputs = {"paths": "data/bad.jsonl", "schema": "row.schema.json"}
    finished = _act(workspace, inputs, broadsheet=None, path=path)
    assert finished.stdout.splitlines() == [BAD_ROW.format("data/bad.jsonl"), "::notice::1 problem"], finished.stderr
    assert finished.returncode == 1
    assert [path.name for path in (workspace.parent / "temporary").iterdir()] == ["step.sh"]


def _parse(arguments: list[str]) -> None:
    """Have the command line parse *arguments*, and run nothing; what it does not know is raised."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    group.commands[arguments[0]].make_context(arguments[0], arguments[1:])


def test_the_hooks_are_real_commands() -> None:
    assert [hook["id"] for hook in HOOKS] == ["broadsheet-check", "broadsheet-check-dataset"]
    for hook in HOOKS:
        program, *arguments = hook["entry"].split()
        assert (program, hook["language"]) == ("broadsheet", "python")
        _parse([*arguments, *hook.get("args", [])])


def test_the_hook_for_rows_takes_files_of_rows_only() -> None:
    pattern = HOOKS[0]["files"]
    assert all(re.search(pattern, name) for name in ("a.jsonl", "data/b.ndjson", "data/c.parquet"))
    assert not any(re.search(pattern, name) for name in ("package.json", "a.jsonl.txt", "jsonl", "b.csv"))
    assert (HOOKS[0]["pass_filenames"], HOOKS[0]["types"]) == (True, ["file"])


def test_the_hook_for_a_dataset_runs_always() -> None:
    assert (HOOKS[1]["pass_filenames"], HOOKS[1]["always_run"], HOOKS[1]["args"]) == (False, True, ["dataset"])


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-c", "init.defaultBranch=main", *arguments]
    finished = subprocess.run(
        command, cwd=folder, env=_without_git(), capture_output=True, text=True, check=True, errors="surrogateescape"
    )
    return finished.stdout


def _without_git() -> dict[str, str]:
    """Give the environment without what a git hook that runs this would leave in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}


def _commit_all(folder: Path) -> str:
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all", "--force")
    _git(folder, "commit", "--quiet", "--no-verify", "--message", "As it is now")
    return _git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def hooks(tmp_path: Path) -> tuple[Path, str]:
    """A repository with this one's files as they are now, and its commit; what is ignored is not there."""
    folder = tmp_path / "hooks"
    listed = _git(REPOSITORY, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        source, copy = REPOSITORY / name, folder / name
        if source.is_file() or source.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    return folder, _commit_all(folder)


def _pre_commit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = _without_git() | {"PRE_COMMIT_HOME": str(folder.parent / "pre-commit"), "PRE_COMMIT_COLOR": "never"}
    command = [sys.executable, "-m", "pre_commit", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@needs_git
@needs_pre_commit
def test_pre_commit_can_try_the_hook_for_rows(hooks: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    stances = (CORPUS / "release" / "jsonl" / "stances.jsonl").read_text(encoding="utf-8")
    (folder / "bad.jsonl").write_text(stances.replace('"stance":"against"', '"stance":"agianst"', 1), encoding="utf-8")
    _commit_all(folder)
    finished = _pre_commit(folder, "try-repo", str(hooks[0]), "broadsheet-check", "--files", "bad.jsonl")
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "- exit code: 1" in finished.stdout
    assert re.search(r"^bad\.jsonl:1 /stance: .*\[BS203\]$", finished.stdout, re.MULTILINE), finished.stdout


@pytest.mark.slow
@needs_git
@needs_pre_commit
def test_the_pages_configuration_of_pre_commit_works(hooks: tuple[Path, str], workspace: Path) -> None:
    (text,) = (block for block in _blocks("yaml") if ".pre-commit-config.yaml" in block)
    place, commit = hooks
    text = text.replace("https://github.com/OWNER/REPOSITORY", str(place)).replace("v0.1.0", commit)
    (workspace / ".pre-commit-config.yaml").write_text(text, encoding="utf-8")
    shutil.copytree(CORPUS, workspace / "dataset")
    (workspace / "DATASHEET.md").write_bytes((REPOSITORY / "DATASHEET.md").read_bytes())
    _commit_all(workspace)
    good = _pre_commit(workspace, "run", "--files", "data/good.jsonl")
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.count("Passed") == 2
    bad = _pre_commit(workspace, "run", "broadsheet-check", "--all-files")
    assert bad.returncode == 1
    assert "data/bad.jsonl:2 /text: the field 'text' is missing [BS201]\n1 problem\n" in bad.stdout


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def _documents() -> dict[str, list[Any]]:
    """The page's YAML files, by the name that each tells in its first line."""
    documents: dict[str, list[Any]] = {}
    for block in _blocks("yaml"):
        documents.setdefault(block.split("\n")[0].removeprefix("# "), []).append(yaml.safe_load(block))
    return documents


def _command_lines() -> Iterator[list[str]]:
    """Give the arguments of each command of ours on the page: in shell blocks, and in scripts of YAML."""
    for block in re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for found in re.finditer(r"^(?:\$ |\s*- |.*\| )?broadsheet (.*)", block, re.MULTILINE):
            words = shlex.shlex(found[1], posix=True, punctuation_chars=True)
            words.whitespace_split = True
            arguments = []
            for word in words:
                if set(word) <= set("<>|&;"):
                    break
                arguments.append(word)
            yield arguments


def test_every_command_on_the_page_can_be_parsed() -> None:
    lines = list(_command_lines())
    assert len(lines) == len(re.findall(r"^[^`\n]*\bbroadsheet check\b", PAGE, re.MULTILINE))
    for arguments in lines:
        _parse(arguments)


def test_a_command_that_is_none_would_be_told() -> None:
    for arguments in (["check", "--nonsense"], ["check", "--format", "xml"], ["check", "--max-problems", "0"]):
        with pytest.raises(Exception, match=r"No such option|is not one of|greater than|range"):
            _parse(arguments)


@pytest.mark.parametrize("block", _blocks("sh"))
def test_every_shell_block_on_the_page_is_a_script(block: str) -> None:
    subprocess.run(["sh", "-n"], input=block, text=True, check=True)


@pytest.mark.parametrize(("file", "said"), [("good", "fine"), ("bad", "there are problems"), (None, "could not run")])
def test_the_pages_script_tells_the_exit_codes_apart(file: str | None, said: str, workspace: Path) -> None:
    (block,) = (block for block in _blocks("sh") if "case $code" in block)
    if file:
        (workspace / "data" / f"{file}.jsonl").rename(workspace / "data" / "rows.jsonl")
    environment = os.environ | {"PATH": f"{Path(BROADSHEET).parent}{os.pathsep}{os.environ['PATH']}"}
    finished = subprocess.run(
        ["sh", "-e", "-c", block], cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.stdout.rstrip().endswith(said)
    assert finished.returncode == ["fine", "there are problems", "could not run"].index(said)


def test_the_pages_workflows_use_the_action_as_it_is() -> None:
    workflows = _documents()[".github/workflows/data.yml"]
    assert len(workflows) == 2
    for workflow in workflows:
        steps = workflow["jobs"]["check"]["steps"]
        (ours,) = (step for step in steps if step["uses"].startswith("OWNER/REPOSITORY@"))
        assert set(ours["with"]) <= set(ACTION["inputs"])
        assert "paths" in ours["with"]
    uploaded = workflows[1]["jobs"]["check"]["steps"]
    assert uploaded[1]["with"]["report"] == uploaded[2]["with"]["sarif_file"]
    assert workflows[1]["permissions"]["security-events"] == "write"


def test_the_pages_table_of_inputs_is_the_actions() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (?:`(.*?)`|none.*?) \|", PAGE, re.MULTILINE)
    assert rows == [(name, details.get("default", "")) for name, details in ACTION["inputs"].items()]


def test_the_pages_job_for_gitlab_keeps_the_report_it_writes() -> None:
    (job,) = (document["data"] for document in _documents()[".gitlab-ci.yml"])
    assert job["script"][-1].endswith(f"> {job['artifacts']['reports']['junit']}")
    assert "--format junit" in job["script"][-1]
    assert job["artifacts"]["when"] == "always"


def test_the_pages_hooks_are_there_and_can_be_parsed() -> None:
    (document,) = _documents()[".pre-commit-config.yaml"]
    (configuration,) = document["repos"]
    entries = {hook["id"]: hook["entry"] for hook in HOOKS}
    assert [hook["id"] for hook in configuration["hooks"]] == list(entries)
    for hook in configuration["hooks"]:
        _parse([*entries[hook["id"]].split()[1:], *hook["args"], "rows.jsonl"])


def test_the_page_says_that_the_address_is_a_placeholder() -> None:
    assert "`OWNER/REPOSITORY` stands for it" in PAGE
    assert set(re.findall(r"https?://[^\s\"@)]+", PAGE)) == {"https://github.com/OWNER/REPOSITORY"}
