"""The command line: takes arguments, prints, and gives exit codes; nothing else prints.

Exit code 0: fine. 1: problems were found. 2: the work could not be done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from broadsheet import __version__
from broadsheet.problems import BroadsheetError, CannotRun, Problem

app = typer.Typer(
    name="broadsheet",
    help="Turn segmented articles into a dataset that people can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer's form of an option's callback
    if value:
        typer.echo(f"broadsheet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Turn segmented articles into a dataset that people can trust."""


@app.command()
def build(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET_DIR", help="A folder with a dataset.toml.")] = Path(
        "dataset"
    ),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the release goes. [default: DATASET_DIR/release]")
    ] = None,
) -> None:
    """Build the release of a dataset.

    The release appears whole or not at all; with problems in the input, the one that is there stays as it was.
    """
    with _boundary(), _progress() as tell:
        from broadsheet.build import build as run  # noqa: PLC0415 - it imports Arrow, which --help can do without

        built = run(dataset, out, tell)
    rows = ", ".join(f"{n} {table}" for table, n in built.rows.items())
    typer.echo(f"{built.place}: version {built.version}, {rows}\ndata digest {built.digest}")


@app.command()
def check(
    path: Annotated[
        Path, typer.Argument(metavar="DATASET_DIR|RELEASE_DIR", help="A dataset's folder, or a release's.")
    ] = Path("dataset"),
) -> None:
    """Check a dataset and its release, or a release alone.

    A dataset's folder is built aside and compared with the release it holds. A release is judged from its own files:
    checksums, types, every row, every quote, every offset, and what its documents say of the data.
    """
    with _boundary(), _progress() as tell:
        from broadsheet.check import check as run  # noqa: PLC0415 - it imports Arrow, which --help can do without

        tell("checking")
        problems = run(path)
    if problems:
        _print(problems)
        raise typer.Exit(1)
    typer.echo(f"{path}: no problems")


def main() -> None:
    """Run the command line; the entry point of the console script."""
    app()


@contextmanager
def _boundary() -> Iterator[None]:
    """Turn what goes wrong into messages and an exit code; no traceback reaches a user."""
    try:
        yield
    except BroadsheetError as error:
        _print(error.problems)
        raise typer.Exit(2 if isinstance(error, CannotRun) else 1) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was changed", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        where = str(error.filename or "the file system")
        _print([Problem("BS603", where, (error.strerror or str(error)).lower())])
        raise typer.Exit(2) from None


def _print(problems: Sequence[Problem]) -> None:
    for problem in problems:
        typer.echo(problem, err=True)
        if problem.hint:
            typer.echo(f"  hint: {problem.hint}", err=True)
    n = len(problems)
    typer.echo(f"{n} problem{'s' if n != 1 else ''}", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Give what tells of each step, on a terminal only; the line is cleared at the end."""
    terminal = sys.stderr.isatty()
    clear = "\r\x1b[K"

    def tell(step: str) -> None:
        if terminal:
            typer.echo(f"{clear}{step} …", err=True, nl=False)

    try:
        yield tell
    finally:
        if terminal:
            typer.echo(clear, err=True, nl=False)
