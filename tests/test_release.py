"""A release appears whole or not at all, and what is no release is never replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadsheet import disk, release
from broadsheet.build import build
from broadsheet.problems import CannotRun, InvalidData
from broadsheet.verify import verify


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_failing_block_leaves_the_old_release_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "release"
    with release.staged(place) as stage:
        release.write(stage.folder, "a.txt", b"old")
        release.write_checksums(stage.folder)
    with pytest.raises(ZeroDivisionError), release.staged(place) as stage:
        release.write(stage.folder, "a.txt", bytes([1 // 0]))
    assert (place / "a.txt").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system on which two folders cannot change places in one step."""
    monkeypatch.setattr(disk, "exchange", lambda *_: False)


def _release(place: Path, text: bytes) -> None:
    with release.claimed(place), release.staged(place) as stage:
        release.write(stage.folder, "a.txt", text)
        release.write_checksums(stage.folder)


@pytest.mark.parametrize("exchanged", [True, False])
def test_a_release_is_replaced_as_a_whole_with_or_without_the_system_s_help(
    exchanged: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if not exchanged:
        request.getfixturevalue("no_exchange")
    _release(tmp_path / "release", b"old")
    _release(tmp_path / "release", b"new")
    assert (tmp_path / "release" / "a.txt").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_two_folders_change_places_or_it_is_told_that_they_cannot(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / folder.name).touch()
    if disk.exchange(one, other):
        assert [(one / "other").exists(), (other / "one").exists()] == [True, True]
    with pytest.raises(FileNotFoundError):
        disk.exchange(one, tmp_path / "nothing")


@pytest.mark.usefixtures("no_exchange")
def test_a_rename_that_fails_puts_the_old_release_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "release"
    _release(place, b"old")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".staging"):
            raise OSError(5, "input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="input/output"):
        _release(place, b"new")
    assert (place / "a.txt").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_what_a_killed_build_left_is_removed_and_what_it_had_put_aside_is_put_back(tmp_path: Path) -> None:
    place = tmp_path / "release"
    _release(place, b"old")
    place.rename(tmp_path / ".release.0123abcd.replaced")
    for left in (".release.0123abcd.staging", ".release.0123abcd.scratch", ".other.0123abcd.scratch"):
        (tmp_path / left).mkdir()
    (tmp_path / ".release.0123abcd.scratch" / "rows").touch()
    with release.claimed(place):
        assert (place / "a.txt").read_bytes() == b"old"
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            ".other.0123abcd.scratch",
            ".release.lock",
            "release",
        ]


def test_a_release_that_the_disk_does_not_confirm_is_in_place_and_the_old_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "release"
    _release(place, b"old")
    sync = disk.sync

    def failing(path: Path) -> None:
        if path == tmp_path:
            raise OSError(5, "Input/output error")
        sync(path)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "sync", failing)
        with pytest.raises(CannotRun, match=r"did not confirm it: input/output error \[BS608\]"):
            _release(place, b"new")
    assert (place / "a.txt").read_bytes() == b"new"
    (old,) = tmp_path.glob(".release.*.staging")
    assert (old / "a.txt").read_bytes() == b"old"
    _release(place, b"next")
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_is_no_release_is_never_replaced(what: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if what == "file":
        place.write_text("mine")
    else:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("mine")
        if what == "link":
            place.symlink_to(tmp_path / "mine")
        else:
            place = tmp_path / "mine"
    with pytest.raises(CannotRun, match="BS602"), release.staged(place):
        pytest.fail("the block must not run")
    assert "mine" in [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]


def test_an_invalid_dataset_leaves_the_old_release_as_it_was(minimal: Path) -> None:
    build(minimal)
    before = _contents(minimal / "release")
    roles = minimal / "annotations" / "roles.jsonl"
    roles.write_text(roles.read_text().replace('"role": "heading"', '"role": "headline"'))
    with pytest.raises(InvalidData, match="BS203"):
        build(minimal)
    assert _contents(minimal / "release") == before


def test_a_build_replaces_the_release_and_its_stale_files(minimal: Path) -> None:
    build(minimal)
    stale = minimal / "release" / "data" / "articles" / "train-00001-of-00002.parquet"
    stale.write_bytes(b"stale")
    build(minimal)
    assert not stale.exists()
    assert verify(minimal / "release") == []


def test_the_datasheets_copy_is_written_in_place_only(minimal: Path, tmp_path: Path) -> None:
    recipe = minimal / "dataset.toml"
    recipe.write_text('datasheet_copies = ["COPY.md"]\n' + recipe.read_text())
    build(minimal, tmp_path / "elsewhere")
    assert not (minimal / "COPY.md").exists()
    build(minimal)
    assert (minimal / "COPY.md").read_bytes() == (minimal / "release" / "DATASHEET.md").read_bytes()
