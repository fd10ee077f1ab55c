"""What tests share: the built corpus and the built example, once a session; and what is published, and where."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs

from broadsheet import release, tables
from broadsheet.build import build
from broadsheet.contract import TABLES, Row
from tests import publications
from tests.examples_support import MINIMAL
from tests.hub_server import Hub, serving_hub, talk_to
from tests.s3_server import S3, serving_s3

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


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1.0.0, of one article. Read it, don't change it."""
    return publications.dataset_in(tmp_path_factory.mktemp("first") / "dataset")


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1.1.0, of two articles. Read it, don't change it."""
    return publications.dataset_in(tmp_path_factory.mktemp("second") / "dataset", "1.1.0", 2)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub, which the client in this process talks to, without waiting when it does not answer."""
    with serving_hub(tmp_path / "hub") as hub:
        talk_to(hub, monkeypatch)
        yield hub


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An S3 that the clients of this process find by their own settings, without waiting when it does not answer."""
    with serving_s3() as s3:
        for name, value in {
            "AWS_ENDPOINT_URL": s3.url,
            "AWS_ACCESS_KEY_ID": "canary",
            "AWS_SECRET_ACCESS_KEY": "canary-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
        s3fs.S3FileSystem.clear_instance_cache()
        yield s3
        s3fs.S3FileSystem.clear_instance_cache()
