"""A release that was damaged is told: by its SHA256SUMS, and, where those are made to match, by its rows."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from broadsheet import jsonl, release, sources, tables
from broadsheet.build import build
from broadsheet.contract import TABLES, Row, table_schema
from broadsheet.problems import BroadsheetError
from broadsheet.verify import verify
from tests.corpora import articles, dataset_of
from tests.examples_support import MINIMAL, run

SHARDS = 3


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release of the minimal dataset, with all tables. Read it, don't change it."""
    place = tmp_path_factory.mktemp("built") / "release"
    build(MINIMAL, place)
    return place


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of twelve articles in three shards. Read it, don't change it."""
    return _of_rows(articles(12), tmp_path_factory.mktemp("sharded"))


@pytest.fixture(scope="module")
def successor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with one article instead of another. Read it, don't change it."""
    return _of_rows(articles(13)[1:], tmp_path_factory.mktemp("successor"))


def _of_rows(rows: list[Row], folder: Path) -> Path:
    dataset = dataset_of(rows, folder / "dataset")
    size = (dataset / "source" / "articles.jsonl").stat().st_size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "SMALLEST", size // SHARDS + 1)
        build(dataset, workers=1)
    return dataset / "release"


@pytest.fixture
def place(built: Path, tmp_path: Path) -> Path:
    """A copy of the first release, to damage."""
    return Path(shutil.copytree(built, tmp_path / "release"))


@pytest.fixture
def shards(sharded: Path, tmp_path: Path) -> Path:
    """A copy of the release in shards, to damage."""
    return Path(shutil.copytree(sharded, tmp_path / "shards"))


def _files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def _is_found(place: Path) -> bool:
    try:
        return bool(verify(place, workers=1))
    except BroadsheetError:
        return True


@contextmanager
def _other_bytes(path: Path, data: bytes | None) -> Iterator[None]:
    """Have *data* in the file at *path* while the block runs, or no file."""
    whole = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True) if data is None else path.write_bytes(data)
    try:
        yield
    finally:
        path.unlink(missing_ok=True) if whole is None else path.write_bytes(whole)


def _flipped(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


# --- by SHA256SUMS ---


@pytest.mark.parametrize("times", [200, pytest.param(1000, marks=pytest.mark.slow)])
def test_any_flipped_bit_is_found(times: int, place: Path) -> None:
    chance = random.Random(times)  # noqa: S311 - any bits will do
    files = _files(place)
    for _ in range(times):
        path = chance.choice(files)
        with _other_bytes(path, _flipped(path.read_bytes(), chance)):
            assert _is_found(place), path
    assert not _is_found(place)


def test_every_flipped_bit_of_its_list_of_digests_is_found(tmp_path: Path) -> None:
    """Digests in other digits, names, line feeds: the list has one form, and each bit of it counts."""
    for name in ("README.md", "data/table.parquet"):
        release.write(tmp_path, name, name.encode())
    release.write_checksums(tmp_path)
    path = tmp_path / release.CHECKSUMS
    whole = path.read_bytes()
    assert release.check_checksums(tmp_path) == []
    for position in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            assert release.check_checksums(tmp_path), (position, bit)


@pytest.mark.parametrize("more", [b"\n", b" ", b"\0", b"\r\n", b"#\n", b"0" * 64 + b"  README.md\n", b"\xff"])
def test_what_is_added_to_its_list_of_digests_is_found(more: bytes, place: Path) -> None:
    path = place / release.CHECKSUMS
    path.write_bytes(path.read_bytes() + more)
    assert _is_found(place)


def test_lines_of_its_list_in_another_order_are_found(place: Path) -> None:
    path = place / release.CHECKSUMS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(reversed(lines)))
    assert _is_found(place)


def test_a_file_cut_at_any_boundary_is_found(place: Path) -> None:
    cuts = [(path, cut) for path in _files(place) for cut in _boundaries(path)]
    assert len(cuts) > 200
    for path, cut in cuts:
        with _other_bytes(path, path.read_bytes()[:cut]):
            assert _is_found(place), (path, cut)


def _boundaries(path: Path) -> list[int]:
    """Give where the file may be cut: its ends, the ends of its lines, or of the parts of a Parquet file."""
    data = path.read_bytes()
    found = {0, 1, len(data) - 1}
    if path.suffix == ".parquet":
        footer = int.from_bytes(data[-8:-4], "little")
        found |= {4, len(data) - 8 - footer, len(data) - 8, len(data) - 4}
        metadata = pq.ParquetFile(path).metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        for chunk in [group.column(number) for group in groups for number in range(group.num_columns)]:
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            found |= {start, chunk.data_page_offset, start + chunk.total_compressed_size}
    elif path.suffix == ".jsonl" or path.name == release.CHECKSUMS:
        ends = [position for position, byte in enumerate(data) if byte == ord("\n")]
        found |= {*ends, *(end + 1 for end in ends)}
    return sorted(found - {len(data)})


def test_a_missing_file_is_found(place: Path) -> None:
    for path in _files(place):
        with _other_bytes(path, None):
            assert _is_found(place), path


@pytest.mark.parametrize(
    "name", ["notes.txt", ".env", "data/articles/train-00001-of-00002.parquet", "jsonl/more/rows.jsonl", "SHA256SUMS~"]
)
def test_an_extra_file_is_found(name: str, place: Path) -> None:
    release.write(place, name, b"extra")
    assert _is_found(place)


def test_a_file_of_another_release_is_found(shards: Path, successor: Path) -> None:
    swapped = 0
    for path in _files(shards):
        other = (successor / path.relative_to(shards)).read_bytes()
        if other != path.read_bytes():
            swapped += 1
            with _other_bytes(path, other):
                assert _is_found(shards), path
    assert swapped > 2 * SHARDS


def test_files_that_change_places_are_found(shards: Path) -> None:
    first, second = (shards / release.parquet_path("articles", number=n, total=SHARDS) for n in (0, 1))
    with _other_bytes(first, second.read_bytes()), _other_bytes(second, first.read_bytes()):
        assert _is_found(shards)


def test_coreutils_checks_a_release_without_us(place: Path) -> None:
    def checked() -> int:
        command = ["sha256sum", "--check", "--strict", "--quiet", release.CHECKSUMS]
        return subprocess.run(command, cwd=place, capture_output=True, check=False).returncode

    assert checked() == 0
    for path in [path for path in _files(place) if path.name != release.CHECKSUMS]:
        with _other_bytes(path, path.read_bytes() + b"\n"):
            assert checked() != 0, path


@pytest.mark.parametrize("name", ["README.md", "release.json", "jsonl/articles.jsonl", "LICENSE"])
def test_the_command_line_tells_damage(name: str, place: Path) -> None:
    path = place / name
    path.write_bytes(_flipped(path.read_bytes(), random.Random(name)))  # noqa: S311 - any bit will do
    told = run(place, "check", ".")
    assert told.exit_code == 1
    assert f"{name}:" in told.output


# --- by the rows, where SHA256SUMS are made to match ---

Change = Callable[[list[list[Row]]], None]


def _dropped(parts: list[list[Row]]) -> None:
    del parts[1][1]


def _doubled(parts: list[list[Row]]) -> None:
    parts[1].insert(1, parts[1][1])


def _doubled_at_the_end(parts: list[list[Row]]) -> None:
    parts[2].append(parts[2][-1])


def _doubled_elsewhere(parts: list[list[Row]]) -> None:
    parts[2].append(parts[0][0])


def _moved(parts: list[list[Row]]) -> None:
    parts[2].append(parts[0].pop())


def _moved_to_the_next(parts: list[list[Row]]) -> None:
    parts[1].insert(0, parts[0].pop())


def _edited(parts: list[list[Row]]) -> None:
    row = parts[1][1]
    parts[1][1] = row | {"rights": row["rights"] | {"usage_terms": "None at all."}}


CHANGES = [_dropped, _doubled, _doubled_at_the_end, _doubled_elsewhere, _moved, _moved_to_the_next, _edited]


def _write(place: Path, parts: list[list[Row]], formats: str) -> None:
    """Write the rows of the shards anew, in JSON Lines (``j``), in Parquet (``p``), or in both."""
    for number, rows in enumerate(parts):
        at = ("articles", "train", number, SHARDS)
        if "j" in formats:
            release.write(place, release.jsonl_path(*at), b"".join(jsonl.canonical(row) + b"\n" for row in rows))
        if "p" in formats:
            table = tables.to_arrow(rows, table_schema("articles"))
            tables.write_parquet(table, place / release.parquet_path(*at))


def _read(place: Path) -> list[list[Row]]:
    paths = [place / release.parquet_path("articles", "train", number, SHARDS) for number in range(SHARDS)]
    return [tables.from_arrow(tables.read_parquet(path)) for path in paths]


def test_rows_written_anew_are_the_same_release(shards: Path) -> None:
    """What the tests below rest on: it is the change that is found, and not that something was written again."""
    before = {path: path.read_bytes() for path in _files(shards)}
    parts = _read(shards)
    assert [len(part) > 2 for part in parts] == [True] * SHARDS
    _write(shards, parts, "jp")
    release.write_checksums(shards)
    assert {path: path.read_bytes() for path in _files(shards)} == before


@pytest.mark.parametrize("formats", ["j", "p", "jp"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_a_change_of_rows_is_found_by_checksums_and_without(change: Change, formats: str, shards: Path) -> None:
    parts = _read(shards)
    change(parts)
    _write(shards, parts, formats)
    assert {problem.code for problem in verify(shards, workers=1)} == {"BS503"}
    release.write_checksums(shards)
    found = {problem.code for problem in verify(shards, workers=1)}
    # The two formats do not agree; or they do, and a key is there twice, or the documents are about other rows.
    expected = {"BS506"} if len(formats) == 1 else {"BS207"} if "doubled" in change.__name__ else {"BS509"}
    assert found == expected


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_the_logical_digest_alone_tells_other_rows(change: Change, shards: Path) -> None:
    parts = _read(shards)
    before = tables.digest({"articles": [*chain.from_iterable(parts)]})
    change(parts)
    is_same = tables.digest({"articles": [*chain.from_iterable(parts)]}) == before
    # Rows that only moved are the same rows; which files hold them, the card tells.
    assert is_same == change.__name__.startswith("_moved")


def test_a_table_of_another_release_is_found_though_checksums_match(shards: Path, successor: Path) -> None:
    for pattern in ("data/articles/*", "jsonl/articles/*", "data/articles/*-00001-*", "schema/*", "release.json"):
        place = shards.with_name("mixed")
        shutil.copytree(shards, place)
        for path in successor.glob(pattern):
            shutil.copyfile(path, place / path.relative_to(successor))
        release.write_checksums(place)
        is_other = any(path.read_bytes() != (shards / path.relative_to(place)).read_bytes() for path in _files(place))
        assert _is_found(place) == is_other, pattern
        shutil.rmtree(place)


def test_documents_of_another_release_are_found_though_checksums_match(shards: Path, successor: Path) -> None:
    for name in (release.CARD, release.DATASHEET, "release.json"):
        with _other_bytes(shards / name, (successor / name).read_bytes()):
            release.write_checksums(shards)
            assert _is_found(shards), name


Damage = tuple[Path, bytes]


def _flips(place: Path, times: int, seed: int) -> Iterator[Damage]:
    chance = random.Random(seed)  # noqa: S311 - any bits will do
    files = [path for path in _files(place) if path.name != release.CHECKSUMS]
    for _ in range(times):
        path = chance.choice(files)
        yield path, _flipped(path.read_bytes(), chance)


def _cuts(place: Path, each: int) -> Iterator[Damage]:
    files = [path for path in _files(place) if path.name != release.CHECKSUMS]
    cuts = [(path, cut) for path in files for cut in _boundaries(path)]
    for path, cut in cuts[::each]:
        yield path, path.read_bytes()[:cut]


def _missed(place: Path, damages: Iterator[Damage]) -> list[str]:
    """Do one of the *damages* after the other, with SHA256SUMS that match; give the kinds of files where none is found.

    Of a table, that is right only where nothing changed: the rows read are the same to the last value.
    """
    before = {path: _rows(path) for path in _files(place)}
    missed = []
    for path, damaged in damages:
        with _other_bytes(path, damaged):
            release.write_checksums(place)
            if not _is_found(place):
                assert _rows(path) == before[path], path
                missed.append(path.suffix)
    release.write_checksums(place)
    return missed


def _rows(path: Path) -> list[Row]:
    """Give the rows of a table's file; what is no table has none."""
    if path.suffix == ".parquet":
        return tables.from_arrow(tables.read_parquet(path))
    return [jsonl.loads(line) for line in path.read_bytes().splitlines()] if path.suffix == ".jsonl" else []


@pytest.mark.parametrize(
    ("seed", "times"), [(0, 20), *(pytest.param(seed, 250, marks=pytest.mark.slow) for seed in range(1, 5))]
)
def test_a_flipped_bit_behind_right_checksums_is_found_or_changes_no_row(seed: int, times: int, place: Path) -> None:
    missed = _missed(place, _flips(place, times, seed))
    assert ".jsonl" not in missed
    assert len(missed) < times


@pytest.mark.parametrize("each", [25, pytest.param(1, marks=pytest.mark.slow)])
def test_a_cut_behind_right_checksums_is_found_or_changes_no_row(each: int, place: Path) -> None:
    missed = _missed(place, _cuts(place, each))
    assert ".parquet" not in missed


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [
        ("schema/article.schema.json", b"{", b"[{", "BS505"),
        ("schema/stance.schema.json", b'"properties": {', b'"properties": {"more": true, ', "BS505"),
        ("schema/stance.schema.json", b'"type": "object"', b'"type": "objekt"', "BS505"),
        ("schema/paragraph.schema.json", b'"article_id",', b'"artikel_id",', "BS505"),
        ("data/stances/train-00000-of-00001.parquet", b"rationale", b"\xf8ationale", "BS504"),
        ("README.md", b"configs:", b"c\xf8nfigs:", "BS102"),
        ("README.md", b"configs:", b"configs: []\nothers:", "BS509"),
        ("DATASHEET.md", b"# ", b"\xf8 ", "BS102"),
        ("release.json", b"{", b"[{", "BS509"),
    ],
)
def test_what_cannot_be_read_behind_right_checksums_is_told(
    name: str, old: bytes, new: bytes, code: str, place: Path
) -> None:
    whole = (place / name).read_bytes()
    assert old in whole
    (place / name).write_bytes(whole.replace(old, new))
    release.write_checksums(place)
    assert {(problem.code, problem.path) for problem in verify(place, workers=1)} >= {(code, name)}


def test_all_tables_are_among_those_that_are_damaged(built: Path) -> None:
    names = {path.relative_to(built).as_posix() for path in _files(built)}
    assert {release.parquet_path(table) for table in TABLES} | {release.jsonl_path(table) for table in TABLES} <= names
