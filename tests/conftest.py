"""What tests share: the built corpus and the built example, once a session; and the server of test_consumers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from broadsheet import release, tables
from broadsheet.build import build
from broadsheet.contract import TABLES, Row
from tests.examples_support import MINIMAL

REPOSITORY = Path(__file__).parent.parent
CORPUS = REPOSITORY / "dataset"


@pytest.fixture(scope="session")
def corpus_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first corpus, built anew from its inputs. Read it, don't change it."""
    place = tmp_path_factory.mktemp("corpus") / "release"
    build(CORPUS, place)
    return place


@pytest.fixture(scope="session")
def corpus_rows(corpus_release: Path) -> dict[str, list[Row]]:
    """The rows of the first corpus, by table, from its Parquet files."""
    return {
        table: tables.from_arrow(tables.read_parquet(corpus_release / release.parquet_path(table))) for table in TABLES
    }


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    """A copy of the minimal dataset, to change at will."""
    return Path(shutil.copytree(MINIMAL, tmp_path / "minimal"))
