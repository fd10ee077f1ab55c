"""The check: takes files, datasets' folders, releases' folders or URLs, gives what is wrong with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from broadsheet import contract, jsonl, reading, recipe, release, signature
from broadsheet.build import build
from broadsheet.contract import Schema
from broadsheet.gate import Gate
from broadsheet.problems import BroadsheetError, CannotRun, InvalidData, Problem, cannot_run
from broadsheet.progress import Tell, silent
from broadsheet.signature import Signers
from broadsheet.verify import verify

#: The largest file of a release that is fetched from a URL.
MAX_FETCHED = 4 << 30
#: The deepest nesting of a schema; its own rows may be nested less (`jsonl.MAX_DEPTH`).
MAX_SCHEMA_DEPTH = 256


def check(
    paths: Sequence[str],
    schema: str | None = None,
    *,
    array_of_rows: bool = False,
    workers: int = 1,
    tell: Tell = silent,
    signers: Signers | None = None,
) -> Iterator[Problem]:
    """Give every problem of *paths*, as it is found; raise `CannotRun` if one can't be judged.

    A path is a file of rows (``-`` is standard input, as JSON Lines), a dataset's folder, a release's folder, or an
    http(s) URL of a file or a release. Rows follow *schema*, a file or the name of a table; without it, the contract
    that their columns tell. A JSON document is one value, or an *array_of_rows*. *workers*
    processes share a large file. *tell* hears of the progress. Where there are *signers*, every path is a release that
    one of them signed, or a dataset's folder with such a release.
    """
    if signers is not None and not signers.file.is_file():
        raise cannot_run("BS601", signers.file, "there is no such file of those who may sign")
    gate = Gate(schema=None if schema is None else read_schema(schema), tell=tell, workers=workers)
    for path in paths:
        tell(f"checking {path}")
        try:
            yield from _check_one(path, gate, signers, array_of_rows=array_of_rows)
        except CannotRun:
            raise
        except BroadsheetError as error:
            yield from error.problems
    yield from gate.finish()


def read_schema(name: str) -> Schema:
    """Give the schema with the *name* of a table or of a file; raise `InvalidData` where it can't be used."""
    if name in contract.TABLES:
        return contract.table_schema(name)
    try:
        schema: Schema = jsonl.loads(Path(name).read_bytes())
        if jsonl.depth(schema) > MAX_SCHEMA_DEPTH:
            raise jsonl.too_deep()
        contract.judge(schema)
    except FileNotFoundError:
        hint = f"Name a file, or one of {', '.join(contract.TABLES)}."
        raise cannot_run("BS601", name, "there is no such schema", hint=hint) from None
    except (ValueError, RecursionError) as error:
        code = error.code if isinstance(error, jsonl.Rejected) else "BS117"
        raise InvalidData([Problem(code, name, f"it can't be used as a schema: {error}")]) from None
    return schema


def check_folder(folder: Path, workers: int | None = None, tell: Tell = silent) -> list[Problem]:
    """Give every problem of the dataset or release in *folder*; raise `CannotRun` if it is neither."""
    if (folder / recipe.RECIPE).is_file():
        return check_dataset(folder, workers, tell)
    if (folder / release.CHECKSUMS).is_file():
        return verify(folder, workers, tell)
    hint = f"A dataset's folder has a {recipe.RECIPE}, a release has {release.CHECKSUMS}."
    raise cannot_run("BS601", folder, "it is neither a dataset's folder nor a release", hint=hint)


def check_dataset(
    folder: Path, workers: int | None = None, tell: Tell = silent, against: str | None = None
) -> list[Problem]:
    """Build the dataset aside, and give what is wrong with its inputs, or where the release kept differs from it.

    The release before it is looked for, or it is the one called *against*: see `build`.
    """
    dataset = recipe.read(folder)
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as scratch:
        fresh = Path(scratch) / "release"
        try:
            build(folder, fresh, tell, workers, against=against)
        except InvalidData as error:
            return list(error.problems)
        problems = release.compare(fresh, dataset.release) if dataset.release.is_dir() else [_no_release()]
        sheet = (fresh / release.DATASHEET).read_bytes()
    for copy in dataset.datasheet_copies:
        if not copy.is_file() or copy.read_bytes() != sheet:
            message = f"it is not the same as the {release.DATASHEET} the inputs build"
            problems.append(Problem("BS509", dataset.shown(copy), message, hint="Run `broadsheet build`."))
    return problems


def _check_one(path: str, gate: Gate, signers: Signers | None, *, array_of_rows: bool) -> Iterator[Problem]:
    if reading.is_url(path) and reading.suffix(path) not in (".jsonl", ".ndjson", ".json", ".parquet"):
        yield from _check_release_url(path, gate.workers, signers)
    elif path != "-" and not reading.is_url(path) and Path(path).is_dir():
        yield from check_folder(Path(path), gate.workers, gate.tell)
        if signers is not None:
            is_dataset = (Path(path) / recipe.RECIPE).is_file()
            yield from signers.check(recipe.read(Path(path)).release if is_dataset else Path(path), path)
    elif signers is not None:
        raise cannot_run("BS601", path, "it is no release, and nothing else is signed")
    elif path == "-" or reading.is_url(path) or Path(path).is_file():
        yield from gate.check(path, array_of_rows=array_of_rows)
    else:
        raise cannot_run("BS601", path, "there is no such file or folder")


def _check_release_url(shown: str, workers: int, signers: Signers | None) -> Iterator[Problem]:
    """Fetch the release at a URL aside, the files that its SHA256SUMS lists and no others, and judge that."""
    url = shown.rstrip("/")
    with tempfile.TemporaryDirectory(prefix="broadsheet-") as scratch:
        folder = Path(scratch)
        _fetch(f"{url}/{release.CHECKSUMS}", folder / release.CHECKSUMS)
        names, problems = release.listed(folder)
        for name in names if not problems else ():
            _fetch(f"{url}/{name}", folder / PurePosixPath(name))
        yield from problems or verify(folder, workers)
        if signers is not None:
            try:
                _fetch(f"{url}/{release.SIGNATURE}", folder / release.SIGNATURE)
            except CannotRun as error:
                yield signature.unsigned(error.problems[0].message)
            else:
                yield from signers.check(folder, shown)


def _fetch(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with reading.fetched(url) as response, path.open("wb") as file:
        while chunk := response.read(reading.BLOCK):
            file.write(chunk)
            size += len(chunk)
            if size > MAX_FETCHED:
                raise InvalidData([Problem("BS111", url, f"it is longer than {MAX_FETCHED >> 30} GiB")])


def _no_release() -> Problem:
    return Problem("BS501", "release", "there is no release yet", hint="Run `broadsheet build`.")
