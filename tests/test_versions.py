"""A version says what changed, a ledger only grows, and a release that was broken off is no release."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet import changelog, diff, release, versions
from broadsheet.build import build
from broadsheet.check import check_dataset
from broadsheet.freeze import freeze
from broadsheet.problems import InvalidData, Problem
from broadsheet.verify import verify
from broadsheet.versions import IDENTITY, LEDGER, Bump, Ledger, Version
from tests.corpora import articles, dataset_of
from tests.examples_support import run, working_in

DAY = "2026-03-01"
numbers = st.integers(0, 12)
versions_ = st.builds(Version, numbers, numbers, numbers, st.just(""))


# --- version numbers ---


@given(versions_, st.sampled_from(Bump))
def test_the_version_after_a_bump_is_the_smallest_that_follows(old: Version, bump: Bump) -> None:
    least = old.after(max(bump, Bump.PATCH))
    assert least.follows(old, bump)
    nearby = [Version(*parts) for part in range(3) if (parts := _less(least, part))]
    assert [version for version in nearby if version.follows(old, bump)] == []


def _less(version: Version, part: int) -> tuple[int, int, int] | None:
    """Give a version just below *version*: the *part* one smaller, what comes after it large."""
    core = (version.major, version.minor, version.patch)
    parts = [*core[:part], core[part] - 1, *[99] * (2 - part)]
    return (parts[0], parts[1], parts[2]) if parts[part] >= 0 else None


@given(versions_, versions_, st.sampled_from(Bump), st.sampled_from(Bump))
def test_a_step_that_is_large_enough_is_so_for_anything_less(
    old: Version, new: Version, one: Bump, other: Bump
) -> None:
    assert not new.follows(old, max(one, other)) or new.follows(old, min(one, other))


@given(versions_)
def test_versions_are_read_as_they_are_written(version: Version) -> None:
    assert Version.parse(str(version)) == version
    assert Version.parse(f"{version}-rc.1").prerelease == "rc.1"


@pytest.mark.parametrize("text", ["1", "1.0", "01.0.0", "1.0.0+build", "v1.0.0", "1.0.0-", "١.0.0", "1.0.0\n"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no version"):
        Version.parse(text)


# --- the ledger ---


def _ledger(n: int) -> Ledger:
    ledger = Ledger()
    for number in range(n):
        digest = hashlib.sha256(bytes([number])).hexdigest()
        ledger = ledger.grown(f"1.{number}.0", f"2026-01-{number + 1:02d}", f"sha256:{digest}", digest)
    return ledger


@given(st.integers(0, 6))
def test_a_ledger_is_read_as_it_was_written_and_grows_at_its_end(n: int) -> None:
    ledger, more = _ledger(n), _ledger(n + 1)
    assert versions.parse(ledger.text) == (ledger, [])
    assert versions.outgrown(ledger.text, more.text) == []
    assert [problem.code for problem in versions.outgrown(more.text, ledger.text)] == ["BS703"]


@given(st.data())
def test_any_byte_that_is_changed_before_the_last_line_is_found(data: st.DataObject) -> None:
    text = bytearray(_ledger(4).text)
    place = data.draw(st.integers(0, len(text) - len(_ledger(4).entries[-1].line) - 2))
    text[place] ^= data.draw(st.integers(1, 255))
    assert versions.parse(bytes(text))[1] != []


@given(st.permutations(range(4)), st.sets(st.integers(0, 3)))
def test_lines_stay_in_their_order_and_all_of_them(order: list[int], removed: set[int]) -> None:
    lines = _ledger(4).text.splitlines(keepends=True)
    kept = [n for n in order if n not in removed]
    found = versions.parse(b"".join(lines[n] for n in kept))[1]
    assert (found == []) == (kept == [*range(len(kept))])


def test_the_last_line_is_held_by_the_one_that_was_committed() -> None:
    ledger = _ledger(2)
    edited = ledger.text.replace(b"2026-01-02", b"2026-01-03")
    assert versions.parse(edited)[1] == []
    assert versions.outgrown(ledger.text, edited)[0].line == 2


@pytest.mark.parametrize("text", [b"{}\n", b"no JSON\n", b"[]\n", b"\n", b"\xff\n", b'{"a":1}'])
def test_what_is_no_ledger_is_told(text: bytes) -> None:
    assert [problem.code for problem in versions.parse(text)[1]] == ["BS703"]


@given(st.integers(0, 3))
def test_a_release_knows_the_one_before_it(n: int) -> None:
    ledger = _ledger(3)
    value = json.loads(versions.identity("name", f"1.{n}.0", "sha256:" + "0" * 64, ledger))
    expected = ledger.entries[n - 1] if n else None
    assert value["predecessor"] == (expected and {"version": expected.version, "digest": expected.digest})


# --- a dataset, from release to release ---


@pytest.fixture
def released(minimal: Path) -> Path:
    """The minimal dataset, its version 0.1.0 released."""
    build(minimal)
    freeze(minimal, DAY)
    return minimal


def _set_version(folder: Path, version: str) -> None:
    recipe = folder / "dataset.toml"
    lines = recipe.read_text().splitlines(keepends=True)
    recipe.write_text("".join(f'version = "{version}"\n' if line.startswith("version") else line for line in lines))


def _relabel(folder: Path) -> None:
    for path in (folder / "annotations" / "stance").iterdir():
        path.write_text(path.read_text().replace('neutral", "intensity": 0', 'favor", "intensity": 1'))


def _redescribe(folder: Path) -> None:
    (folder / "annotations" / "codebook.md").write_text("Said better.\n")


def _codes(folder: Path, **how: str) -> list[str]:
    try:
        return [problem.code for problem in build(folder, **how).problems]  # type: ignore[arg-type]
    except InvalidData as error:
        return [problem.code for problem in error.problems]


@pytest.mark.parametrize(
    ("change", "least", "too_small"),
    [(_redescribe, "0.1.1", None), (_relabel, "1.0.0", "0.2.0")],
)
def test_a_build_takes_the_version_that_would_do_and_no_smaller_one(
    change: Callable[[Path], None], least: str, too_small: str | None, released: Path
) -> None:
    before = _contents(released)
    change(released)
    assert _codes(released) == ["BS701"]
    for version in ["0.0.9", *([too_small] if too_small else [])]:
        _set_version(released, version)
        with pytest.raises(InvalidData, match="BS702") as refused:
            build(released)
        assert f"Version {least} would do" in refused.value.problems[0].hint
    assert {name: data for name, data in _contents(released).items() if name.startswith("release/")} == {
        name: data for name, data in before.items() if name.startswith("release/")
    }
    _set_version(released, least)
    assert _codes(released) == []
    identity = json.loads((released / "release" / IDENTITY).read_bytes())
    assert (identity["version"], identity["predecessor"]["version"]) == (least, "0.1.0")
    assert verify(released / "release") == []


def test_a_row_more_calls_for_a_minor_version(tmp_path: Path) -> None:
    rows = articles(4)
    folder = dataset_of(rows[:3], tmp_path / "dataset")
    _set_version(folder, "1.2.3")
    build(folder)
    freeze(folder, DAY)
    with (folder / "source" / "articles.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(rows[3]) + "\n")
    _set_version(folder, "1.2.4")
    with pytest.raises(InvalidData, match=r"rows added \(articles: 1 row\) \[BS702\]") as refused:
        build(folder)
    assert "Version 1.3.0 would do" in refused.value.problems[0].hint
    _set_version(folder, "1.3.0")
    assert _codes(folder) == []


def test_a_released_version_builds_again_to_the_same_bytes(released: Path) -> None:
    before = _contents(released)
    build(released)
    assert _contents(released) == before
    assert check_dataset(released) == []


def test_a_version_is_released_once(released: Path) -> None:
    before = _contents(released)
    with pytest.raises(InvalidData, match="BS701"):
        freeze(released, DAY)
    assert _contents(released) == before


def test_what_is_not_built_is_not_released(minimal: Path) -> None:
    with pytest.raises(InvalidData, match="BS501"):
        freeze(minimal, DAY)
    build(minimal)
    _redescribe(minimal)
    with pytest.raises(InvalidData, match="BS510"):
        freeze(minimal, DAY)
    assert not (minimal / LEDGER).exists()
    assert not (minimal / changelog.CHANGELOG).exists()


def test_the_second_release_tells_what_changed_since_the_first(released: Path, tmp_path: Path) -> None:
    shutil.copytree(released / "release", tmp_path / "first")
    notes = "We looked again at what the meeting said.\n\n### Changed\n\n- Two labels."
    log = released / changelog.CHANGELOG
    log.write_text(log.read_text().replace("## [Unreleased]\n", f"## [Unreleased]\n\n{notes}\n"))
    _relabel(released)
    _set_version(released, "1.0.0")
    build(released)
    with pytest.raises(InvalidData, match="BS705"):
        freeze(released, DAY)
    frozen = freeze(released, DAY, str(tmp_path / "first"))

    text = log.read_text()
    assert text.index("## [Unreleased]\n\n## [1.0.0] - 2026-03-01\n\nWe looked") < text.index("## [0.1.0]")
    assert "\nMAJOR: labels changed (articles: 1 row, stances: " in text
    assert "stances.stance of tram (gold): neutral → favor, 1 row" in text
    ledger, problems = versions.read(released)
    assert problems == []
    assert [entry.version for entry in ledger.entries] == ["0.1.0", "1.0.0"]
    assert frozen.entry == ledger.last
    assert frozen.entry.release == release.sha256(released / "release" / release.CHECKSUMS)
    assert check_dataset(released) == []


def test_the_last_release_is_found_in_the_history(released: Path) -> None:
    _git(released, "init", "--quiet")
    _git(released, "add", ".")
    _git(released, "commit", "--quiet", "--message", "One")
    _relabel(released)
    _set_version(released, "1.0.0")
    assert _codes(released) == []
    _set_version(released, "0.2.0")
    assert _codes(released) == ["BS702"], "the release in place is not the last one any more"
    _set_version(released, "1.0.0")
    assert freeze(released, DAY).entry.predecessor == "0.1.0"
    _git(released, "commit", "--quiet", "--all", "--message", "Two")
    with working_in(released):
        assert diff.diff("git:HEAD~1", "git:HEAD").bump is Bump.MAJOR

    path = released / LEDGER
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert [problem.code for problem in _problems(released)] == ["BS703"]
    path.unlink()
    assert [problem.code for problem in _problems(released)] == ["BS703"]


def _problems(folder: Path) -> list[Problem]:
    try:
        return check_dataset(folder)
    except InvalidData as error:
        return [*error.problems]


def _git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def test_without_the_last_release_a_build_says_what_it_cannot_know(released: Path, tmp_path: Path) -> None:
    shutil.move(released / "release", tmp_path / "first")
    _relabel(released)
    for version, expected in [("0.1.1", ["BS702"]), ("0.2.0", ["BS705"]), ("1.0.0", [])]:
        _set_version(released, version)
        assert _codes(released) == expected
    _set_version(released, "0.2.0")
    assert _codes(released, against=str(tmp_path / "first")) == ["BS702"]


def test_a_pre_release_is_judged_by_no_release_and_is_none(released: Path) -> None:
    _relabel(released)
    _set_version(released, "0.0.5-rc.1")
    assert _codes(released) == []
    with pytest.raises(InvalidData, match="BS704"):
        freeze(released, DAY)


def test_a_build_that_leaves_rows_out_is_a_pre_release(tmp_path: Path) -> None:
    folder = dataset_of(articles(3), tmp_path / "dataset")
    _set_version(folder, "1.0.0")
    build(folder)
    freeze(folder, DAY)
    source = folder / "source" / "articles.jsonl"
    source.write_text(source.read_text().replace('"language":"', '"language":7,"was":"', 1))
    assert build(folder, keep_going=True).version == "1.0.0-rejects.1"
    _set_version(folder, "1.0.1")
    with pytest.raises(InvalidData, match="BS20"):
        freeze(folder, DAY)


def test_a_build_elsewhere_is_judged_alike(released: Path, tmp_path: Path) -> None:
    _relabel(released)
    _set_version(released, "0.2.0")
    place = tmp_path / "elsewhere"
    for name in (str(place), f"file://{place}"):
        with pytest.raises(InvalidData, match="BS702"):
            build(released, name)
        assert not place.exists()


@pytest.mark.parametrize("failing", [1, 2])
def test_a_release_that_is_broken_off_is_none_and_is_finished_by_the_next(
    failing: int, minimal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(minimal)
    whole = Path(shutil.copytree(minimal, minimal.parent / "whole"))
    freeze(whole, DAY)
    replace, calls = os.replace, list[Path]()

    def breaking(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == failing:
            raise OSError(5, "input/output error")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", breaking)
        with pytest.raises(OSError, match="input/output"):
            freeze(minimal, DAY)
    assert not (minimal / LEDGER).exists()
    assert [path.name for path in minimal.iterdir() if path.name.startswith(".")] == []
    assert check_dataset(minimal) == []
    freeze(minimal, DAY)
    assert _contents(minimal) == _contents(whole)


def test_the_day_is_named_or_that_of_the_environment(minimal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert versions.today() == "2001-09-09"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert versions.today() == datetime.datetime.now(datetime.UTC).date().isoformat()
    build(minimal)
    assert run(minimal, "release", ".", "--date", "1 March 2026").exit_code == 2
    result = run(minimal, "release", ".", "--date", DAY)
    assert result.stdout.startswith(".: version 0.1.0 is released\ndata digest sha256:")
    assert json.loads((minimal / LEDGER).read_text())["date"] == DAY


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"0.1.0"', b'"0.1.1"'),
        (b"sha256:", b"sha256:0"),
        (b"null", b'{"version": "0.1.0", "digest": "sha256:"}'),
        (b'"name"', b'"title"'),
        (b"{", b"["),
    ],
)
def test_what_a_release_says_of_itself_is_checked(old: bytes, new: bytes, minimal: Path) -> None:
    build(minimal)
    place = minimal / "release"
    release.write(place, IDENTITY, (place / IDENTITY).read_bytes().replace(old, new))
    release.write_checksums(place)
    assert [(problem.code, problem.path) for problem in verify(place)] == [("BS509", IDENTITY)]
    (place / IDENTITY).unlink()
    release.write_checksums(place)
    assert [(problem.code, problem.path) for problem in verify(place)] == [("BS501", IDENTITY)]


# --- the changelog ---


def test_a_changelog_keeps_what_others_wrote() -> None:
    text = "# History\n\nOurs.\n\n## [0.9.0] - 2020-01-01\n\nBy hand.\n"
    found = changelog.with_entry(text, "## [1.0.0] - 2026-03-01\n\nNew.\n", "1.0.0", "sha256:1")
    assert found.startswith("# History\n\nOurs.\n\n## [Unreleased]\n\n## [1.0.0] - 2026-03-01\n\nNew.\n\n## [0.9.0]")
    assert found.endswith("By hand.\n")


def test_a_section_is_written_once() -> None:
    section = "## [1.0.0] - 2026-03-01\n\nData digest `sha256:1`.\n"
    once = changelog.with_entry("", section, "1.0.0", "sha256:1")
    assert changelog.with_entry(once, section, "1.0.0", "sha256:1") == once
    with pytest.raises(InvalidData, match="BS706"):
        changelog.with_entry(once, section, "1.0.0", "sha256:2")


def _contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
