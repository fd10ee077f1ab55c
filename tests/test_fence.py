"""The fence: a recipe may be a stranger's; its queries read the dataset's folder, the same in every run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from broadsheet.problems import InvalidData, Problem
from broadsheet.query import Query, batches
from tests.corpora import dataset_from, of_query
from tests.examples_support import run

NOTES = "the harbour master's own notes"
ARTICLES = "id,title,text\na1,Late,The ferry was late.\na2,Open,The library is open.\n"
#: A query that does not end.
ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) AS id FROM r"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset's folder with a file in it, and beside it one that is nobody's business; links lead there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text(f"id,title,text\ns,Secret,{NOTES}\n")
    (outside / "secret.txt").write_text(NOTES)
    dataset = dataset_from(tmp_path / "dataset", {"source/articles.csv": ARTICLES}, of_query("SELECT 1"))
    (dataset / "link.csv").symlink_to(outside / "secret.csv")
    (dataset / "linked").symlink_to(outside)
    (dataset / ".hidden.csv").symlink_to(outside / "secret.csv")
    # What looks like a way out, for those who only look at names.
    for decoy in (f"file:{outside}", "~"):
        (dataset / decoy).mkdir(parents=True)
        (dataset / decoy / "secret.csv").write_text(ARTICLES)
    return dataset


def _rows(folder: Path, sql: str) -> list[dict[str, object]]:
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    found = batches(Query(sql, "dataset.toml", 1, "/articles/sql"), folder, scratch)
    return [row for batch in found for row in batch.to_pylist()]


def _refused(folder: Path, sql: str) -> Problem:
    """Give the one problem of *sql*, which must not have been a traceback."""
    with pytest.raises(InvalidData) as caught:
        _rows(folder, sql)
    (problem,) = caught.value.problems
    assert "Traceback" not in problem.message
    assert NOTES not in str(problem)
    return problem


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file in *folder*, with what would change if somebody wrote to it."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


OUTSIDE = [
    "FROM read_csv('/etc/passwd')",
    "FROM read_text('/proc/self/environ')",
    "FROM read_csv('../outside/secret.csv')",
    "FROM read_csv('source/../../outside/secret.csv')",
    "FROM read_csv('../outside/*.csv')",
    "FROM read_csv(['source/articles.csv', '../outside/secret.csv'])",
    "FROM read_csv('link.csv')",
    "FROM read_csv('*.csv')",
    "FROM read_csv('.hid*.csv')",
    "FROM read_csv('linked/secret.csv')",
    "FROM read_csv('lin*/secret.csv')",
    "FROM read_csv('**/secret.csv')",
    "FROM read_text('linked/*')",
    "FROM read_csv('file:{outside}/secret.csv')",
    "FROM read_csv('file://{outside}/secret.csv')",
    "FROM read_csv('http://127.0.0.1:9/a.csv')",
    "FROM read_parquet('s3://bucket/a.parquet')",
    "FROM read_parquet('hf://datasets/a/b.parquet')",
    "FROM read_csv('~/secret.csv')",
    "FROM read_text('/dev/stdin')",
]


@pytest.mark.parametrize("sql", OUTSIDE)
def test_no_file_outside_is_read(sql: str, folder: Path) -> None:
    before = _files(folder.parent / "outside")
    problem = _refused(folder, sql.replace("{outside}", str(folder.parent / "outside")))
    assert problem.code == "BS121"
    assert _files(folder.parent / "outside") == before


NO_QUERY = [
    "ATTACH 'new.db'",
    "COPY (SELECT 1) TO 'new.csv'",
    "EXPORT DATABASE 'new'",
    "INSTALL httpfs",
    "LOAD json",
    "SET lock_configuration = false",
    "RESET memory_limit",
    "PRAGMA enable_external_access = true",
    "CREATE TABLE t AS SELECT 1",
    "CALL pragma_version()",
    "SELECT 1 AS id; SELECT 2 AS id",
    "SELECT 1; COPY (SELECT 1) TO 'new.csv'",
    "",
    "-- nothing",
]


@pytest.mark.parametrize("sql", NO_QUERY)
def test_what_is_not_one_query_is_refused_and_does_nothing(sql: str, folder: Path) -> None:
    before = _files(folder)
    assert _refused(folder, sql).code == "BS121"
    assert _files(folder) == before


FUNCTIONS = [
    "query('SELECT 1')",
    "query_table('source/articles.csv')",
    "json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "read_blob('source/articles.csv')",
    "main.read_blob('source/articles.csv')",
    "\"READ_BLOB\"('source/articles.csv')",
    "glob('*')",
    "sniff_csv('source/articles.csv')",
    "parquet_metadata('source/articles.csv')",
    "pragma_version()",
    "pragma_database_size()",
    "duckdb_settings()",
    "duckdb_secrets()",
    "duckdb_extensions()",
    "read_xlsx('source/articles.csv')",
    "python_map_function()",
]


@pytest.mark.parametrize("call", FUNCTIONS)
def test_a_table_comes_from_a_reader_only(call: str, folder: Path) -> None:
    assert _refused(folder, f"FROM {call}").code == "BS121"


@pytest.mark.parametrize(
    "sql",
    [
        "FROM 'source/articles.csv'",
        'FROM "source/articles.csv" a, (WITH "source/articles.csv" AS (SELECT 1) FROM "source/articles.csv")',
        'SELECT * FROM "link.csv", (WITH "link.csv" AS (SELECT 1 AS n) FROM "link.csv")',
        "FROM task",
        "FROM sys",
        "FROM information_schema.tables",
        "WITH tables AS (SELECT 1 AS n) FROM information_schema.tables",
        "FROM (DESCRIBE 'source/articles.csv')",
        "SELECT getenv('HOME') AS id",
        "FROM read_csv(concat('source/', 'articles.csv'))",
        "FROM read_csv(replace('source/articles.csv', 'x', 'y'))",
        "SELECT f.* FROM (VALUES ('source/articles.csv')) t(name), read_csv(t.name) f",
        "FROM read_csv(NULL)",
        "FROM read_csv([])",
        "FROM read_csv()",
        "FROM read_csv('source/articles.csv\0')",
    ],
)
def test_a_file_is_read_by_its_reader_and_name(sql: str, folder: Path) -> None:
    assert _refused(folder, sql).code in {"BS101", "BS120", "BS121"}


def test_a_common_table_may_have_any_case(folder: Path) -> None:
    sql = "WITH Found AS (FROM READ_CSV('source/articles.csv')) SELECT id FROM found"
    assert _rows(folder, sql) == [{"id": "a1"}, {"id": "a2"}]


CHANGING = [
    "random()",
    "uuid()",
    "gen_random_uuid()",
    "uuidv7()",
    "now()",
    '"now"()',
    "pg_catalog.now()",
    "current_date",
    "current_timestamp",
    "localtimestamp",
    "localtime",
    "current_localtimestamp()",
    "current_localtime()",
    "today()",
    "get_current_timestamp()",
    "transaction_timestamp()",
    "ago(INTERVAL 1 DAY)",
    "age(TIMESTAMP '2020-01-01')",
    "pg_postmaster_start_time()",
    "txid_current()",
    "current_setting('temp_directory')",
    "current_query()",
    "(SELECT last_modified FROM read_text('source/articles.csv'))",
    "(SELECT max(id) FROM read_csv('source/articles.csv') TABLESAMPLE 50%)",
    "(SELECT max(id) FROM read_csv('source/articles.csv') USING SAMPLE 1)",
]


@pytest.mark.parametrize("expression", CHANGING)
def test_what_differs_from_run_to_run_is_refused(expression: str, folder: Path) -> None:
    assert _refused(folder, f"SELECT {expression} AS id").code == "BS121"


def test_the_age_between_two_dates_is_the_same_in_every_run(folder: Path) -> None:
    rows = _rows(folder, "SELECT age(DATE '2021-03-01', DATE '2021-01-01')::VARCHAR AS id")
    assert rows == [{"id": "2 months"}]


def test_a_column_that_is_there_twice_is_a_problem(folder: Path) -> None:
    problem = _refused(folder, "SELECT id, title AS id FROM read_csv('source/articles.csv')")
    assert (problem.code, problem.message) == ("BS120", "it gives the column 'id' twice")


@pytest.mark.parametrize("name", ["duckdb", "pytz", "broadsheet", "orjson", "json", "sitecustomize"])
def test_a_module_in_the_datasets_folder_is_not_imported(name: str, folder: Path) -> None:
    (folder / f"{name}.py").write_text("open('imported', 'w').close()\nraise SystemExit(7)\n")
    sql = "SELECT id, TIMESTAMPTZ '2021-05-01 10:00:00+00' AS at FROM read_csv('source/articles.csv')"
    script = (
        "import sys; from pathlib import Path; from broadsheet.query import Query, batches\n"
        f"print(sum(b.num_rows for b in batches(Query({sql!r}, '', 1, ''), Path('.'), Path(sys.argv[1]))))"
    )
    # -P: what is started as `broadsheet` has no working directory in its path either.
    command = [sys.executable, "-P", "-c", script, str(folder.parent)]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert finished.stdout == "2\n", finished.stderr
    assert not (folder / "imported").exists()


def test_names_of_the_program_are_no_tables(folder: Path) -> None:
    # DuckDB would look for variables of Python by such names.
    for name in ("database", "tree", "rows", "readers"):
        assert _refused(folder, f"FROM {name}").code == "BS120"


# Limits --------------------------------------------------------------------------------------------------------------


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (thread / "children").read_text().split())


def _fence_of(pid: int) -> int:
    """Give the process in which the query of the process *pid* runs, once there is one that has begun."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in _children(pid):
            with suppress(OSError):
                if b"broadsheet.fence" in Path(f"/proc/{child}/cmdline").read_bytes() and _has_loaded(child):
                    return child
        time.sleep(0.05)
    raise AssertionError("there is no query")


def _has_loaded(pid: int) -> bool:
    return "_duckdb" in Path(f"/proc/{pid}/maps").read_text()


def _is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_build_that_is_ended_ends_its_query(sent: signal.Signals, tmp_path: Path) -> None:
    dataset = dataset_from(tmp_path / "dataset", {}, of_query(ENDLESS))
    (tmp_path / "tmp").mkdir()
    before = _files(dataset)
    command = [sys.executable, "-m", "broadsheet", "build", str(dataset)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        query = _fence_of(process.pid)
        time.sleep(0.5)
        process.send_signal(sent)
        _, said = process.communicate(timeout=20)
    deadline = time.monotonic() + 10
    while _is_running(query) and time.monotonic() < deadline:
        time.sleep(0.05)
    still = _is_running(query)
    if still:
        os.kill(query, signal.SIGKILL)
    assert not still
    assert "Traceback" not in said
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert _files(dataset) == before
        assert list((tmp_path / "tmp").iterdir()) == []


def test_a_query_whose_process_is_killed_is_a_problem(folder: Path) -> None:
    def kill() -> None:
        os.kill(_fence_of(os.getpid()), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    problem = _refused(folder, ENDLESS)
    killer.join()
    assert (problem.code, problem.message) == ("BS120", "the process that ran it was killed by signal 9")


@pytest.mark.slow
def test_a_large_sort_stays_within_its_memory(folder: Path) -> None:
    scratch = folder.parent / "scratch"
    scratch.mkdir()
    peak = 0
    sql = "SELECT n AS id FROM range(50_000_000) t(n) ORDER BY hash(n), n LIMIT 10 OFFSET 40_000_000"
    found = batches(Query(sql, "", 1, ""), folder, scratch)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        query = _fence_of(os.getpid())
        while not done.wait(0.1):
            with suppress(OSError, StopIteration):
                lines = Path(f"/proc/{query}/status").read_text().splitlines()
                peak = max(peak, int(next(line for line in lines if line.startswith("VmHWM")).split()[1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    rows = [row for batch in found for row in batch.to_pylist()]
    done.set()
    watcher.join()
    assert len(rows) == 10
    assert 200_000 < peak < 1_000_000
    assert list(scratch.iterdir()) == []


# The same everywhere -------------------------------------------------------------------------------------------------


def test_the_machine_does_not_change_the_rows(tmp_path: Path) -> None:
    table = "id,title,text,moment\n" + "".join(
        f"a{n},Ä{n % 7},The ferry was {n} minutes late.,2021-05-0{1 + n % 8} 23:30:00+02\n" for n in range(500)
    )
    sql = """
        SELECT id, title, text, moment::TIMESTAMPTZ::DATE AS published,
            strftime(moment::TIMESTAMPTZ, '%A %d %B') AS author
        FROM read_csv('source/a.csv') ORDER BY title COLLATE NOCASE, hash(id)
    """
    dataset = dataset_from(tmp_path / "dataset", {"source/a.csv": table}, of_query(sql))
    found = set()
    machines = [
        {"TZ": "UTC", "LANG": "C", "LC_ALL": "C"},
        {"TZ": "Pacific/Auckland", "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "7"},
    ]
    for machine, here, workers in zip(machines, (tmp_path, dataset), ("1", "2"), strict=True):
        out = tmp_path / machine["TZ"].replace("/", "-")
        command = [sys.executable, "-m", "broadsheet", "build", str(dataset), "--out", str(out), "--workers", workers]
        finished = subprocess.run(
            command, cwd=here, env={**os.environ, **machine}, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, finished.stderr
        found.add((out / "SHA256SUMS").read_bytes())
    assert len(found) == 1
    result = run(tmp_path, "check", "UTC")
    assert result.exit_code == 0, result.output
    assert b"Saturday 01 May" in (tmp_path / "UTC" / "jsonl" / "articles.jsonl").read_bytes()
