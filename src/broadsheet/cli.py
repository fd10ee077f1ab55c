"""The command line: takes arguments, prints, and gives exit codes; nothing else prints.

Exit code 0: fine. 1: problems were found. 2: the work could not be done.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Literal

import typer

import broadsheet
from broadsheet import disk
from broadsheet.problems import BroadsheetError, CannotRun, Problem
from broadsheet.progress import Tell, silent
from broadsheet.report import Findings, render

_Format = Literal["text", "json", "github", "junit", "sarif"]
_DiffFormat = Literal["text", "json", "markdown"]
_Against = Annotated[
    str | None,
    typer.Option(
        "--against", metavar="RELEASE", help="The last release. [default: looked for in DATASET_DIR and its commits]"
    ),
]

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
        typer.echo(f"broadsheet {broadsheet.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Turn segmented articles into a dataset that people can trust."""


@app.command()
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The dataset's new folder; its name is the dataset's.")
    ],
    given: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE|FOLDER", help="What the dataset is made from; it is copied, never moved."),
    ] = None,
) -> None:
    """Begin a dataset: look at what is there, and draft its recipe.

    The folder gets a commented dataset.toml with the query that makes articles of what was given, and the outline of a
    codebook and a datasheet. CSV, JSON, JSON Lines, Parquet, and folders of texts or JSON documents are looked at.
    Nothing is guessed in silence: the draft says what it rests on, and what is left to fill in.
    """
    with _boundary():
        from broadsheet.scaffold import scaffold  # noqa: PLC0415 - it imports Arrow, which --help can do without

        made = scaffold(folder, given)
    for title, lines in (("Found", made.found), ("To fill in", made.open)):
        if lines:
            typer.echo("\n".join([f"{title}:", *(f"  {line}" for line in lines), ""]))
    typer.echo(f"{folder}: begun. Next: broadsheet build {shlex.quote(str(folder))}")


@app.command()
def build(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET_DIR", help="A folder with a dataset.toml.")] = Path(
        "dataset"
    ),
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR|URL", help="Where the release goes. [default: DATASET_DIR/release]"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes that share the work.", show_default="the cores"),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="URL", help="Let a Dask cluster share the work: tcp://host:8786."),
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going", help="Leave out rows with problems, and build the others under a version that says so."
        ),
    ] = False,
    against: _Against = None,
) -> None:
    """Build the release of a dataset.

    The release appears whole or not at all; with problems in the input, the one that is there stays as it was. It does
    not depend on who shares the work. With --keep-going, rows with problems go to DATASET_DIR/rejects, and the exit
    code tells that there were some. A version that was released is never built with other data, and the next one must
    be as large a step as what changed calls for.
    """
    with _boundary(), _progress() as tell:
        from broadsheet.build import build as run  # noqa: PLC0415 - it imports Arrow, which --help can do without

        built = run(dataset, out, tell, _processes(workers), scheduler, keep_going=keep_going, against=against)
    if built.problems:
        _print(built.problems)
    rows = ", ".join(f"{n} {table}" for table, n in built.rows.items())
    typer.echo(f"{built.place}: version {built.version}, {rows}\ndata digest {built.digest}")
    if keep_going:
        for table, given in built.given.items():
            left = built.rejects.get(table, 0)
            where = f", in {dataset / 'rejects' / table}.jsonl" if left else ""
            typer.echo(f"{table}: {given:,} rows in = {given - left:,} built + {left:,} left out{where}")
    if built.rejects:
        raise typer.Exit(1)


@app.command()
def check(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="A file of rows (.jsonl, .json, .parquet; .gz and .zst too; - is standard input), a dataset's folder, "
            "a release's folder, or the URL of a file or release.",
            show_default="dataset",
        ),
    ] = ["dataset"],  # noqa: B006 - typer copies it
    schema: Annotated[
        str | None,
        typer.Option("--schema", metavar="FILE|NAME", help="The JSON Schema of a row: a file, or a table's name."),
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="A .json document is an array of rows.")] = False,
    format_: Annotated[
        _Format, typer.Option("--format", help="What to print: for people, programs, or a CI.")
    ] = "text",
    max_problems: Annotated[
        int, typer.Option("--max-problems", metavar="N", min=1, help="How many problems to print; all are counted.")
    ] = 100,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes for a large file.", show_default="the cores"),
    ] = None,
    signers: Annotated[
        Path | None,
        typer.Option("--signers", metavar="FILE", help="Who may sign a release (ssh-keygen's allowed signers)."),
    ] = None,
) -> None:
    """Check rows against their contract, a dataset against its release, or a release against itself.

    Rows are judged by a JSON Schema: your own, or the contract that their columns tell. A dataset's folder is built
    aside and compared with the release it holds. A release is judged from its own files: checksums, types, every row,
    every quote, every offset, and what its documents say of the data. With --signers, it must be signed, too, by one of
    them. Warnings alone are no failure.
    """
    with _boundary(), _progress() as tell:
        from broadsheet.check import check as run  # noqa: PLC0415 - it imports Arrow, which --help can do without
        from broadsheet.signature import Signers  # noqa: PLC0415 - the same

        collected = _Collector(max_problems)
        allowed = None if signers is None else Signers(signers)
        try:
            found = run(paths, schema, array_of_rows=rows, workers=_processes(workers), tell=tell, signers=allowed)
            for problem in found:
                collected.add(problem)
            code = 1 if collected.errors else 0
        except CannotRun as error:
            for problem in error.problems:
                collected.add(problem)
            code = 2
    checked = ", ".join(paths if allowed is None else map(allowed.told, paths))
    typer.echo(render(collected.findings(checked), format_), nl=False)
    if code:
        raise typer.Exit(code)


@app.command()
def diff(
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="A release: a folder, a URL, hf://datasets/…@TAG, git:REV or git:REV:PATH."),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The release to compare it with, named alike.")],
    format_: Annotated[
        _DiffFormat, typer.Option("--format", help="What to print: for people, programs, or a page.")
    ] = "text",
    max_rows: Annotated[
        int, typer.Option("--max-rows", metavar="N", min=0, help="How many rows of each kind to name; all are counted.")
    ] = 100,
) -> None:
    """Tell what changed from one release to another, and which version says so honestly.

    Schemas are compared field by field, rows by their keys, labels as a table of what became what, documents by their
    digests. The rows are those of the JSON Lines; `broadsheet check` tells whether the Parquet files hold the same.
    """
    with _boundary():
        from broadsheet import changelog  # noqa: PLC0415 - it imports Arrow, which --help can do without
        from broadsheet.diff import diff as run  # noqa: PLC0415 - the same

        found = run(old, new, max_rows)
    typer.echo(changelog.render(found, format_), nl=False)


@app.command()
def release(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET_DIR", help="A folder with a dataset.toml.")] = Path(
        "dataset"
    ),
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="YYYY-MM-DD", help="The day of the release. [default: the recipe's, or today]"),
    ] = None,
    against: _Against = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Processes that share the work.", show_default="the cores"),
    ] = None,
) -> None:
    """Freeze the version of a dataset: from now on it has these data, or it is not this version.

    The dataset is built aside, and must be the release in place. Its version must be new, and as large a step as what
    changed since the last release calls for. DATASET_DIR/CHANGELOG.md gets an entry, and DATASET_DIR/versions.jsonl,
    the ledger that only grows, a line. Commit both with the release.
    """
    with _boundary(), _progress() as tell:
        from broadsheet import changelog  # noqa: PLC0415 - it imports Arrow, which --help can do without
        from broadsheet.freeze import freeze  # noqa: PLC0415 - the same

        frozen = freeze(dataset, date, against, _processes(workers), tell)
    typer.echo(f"{dataset}: version {frozen.entry.version} is released\ndata digest {frozen.entry.digest}")
    if frozen.found is not None:
        typer.echo(f"since {frozen.entry.predecessor}: {changelog.required(frozen.found)}")


@app.command()
def segment(
    page: Annotated[
        str, typer.Argument(metavar="PAGE", help="A page of plain text: a file, a URL, or - for standard input.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write segments.jsonl and roles.jsonl there; nothing is replaced."),
    ] = None,
    language: Annotated[
        str, typer.Option("--language", metavar="TAG", help="The language of the articles (BCP 47); und: not known.")
    ] = "und",
) -> None:
    """Propose where the articles of a raw page start, and what each line is, as a draft to review.

    Each row of the draft names the cue it rests on: a byline, a date, a wire lead, a list of references. It is a guess,
    never a fact: a build refuses a row until a reviewer has removed its cue. Without --out, each segment is printed
    with its runs of roles below it.
    """
    with _boundary():
        from broadsheet import propose  # noqa: PLC0415 - it imports Arrow, which --help can do without

        draft = propose.propose(propose.read(page))
        segments, roles = propose.draft_rows(draft, propose.source_name(page), language)
        if out is None:
            typer.echo(propose.printed(segments, roles), nl=False)
            return
        propose.write(out, segments, roles)
    typer.echo(f"{out}: {len(segments)} segments and {len(roles)} runs of roles to review")


@app.command()
def publish(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET_DIR", help="A folder with a dataset.toml and a release.")],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="hf://datasets/NAMESPACE/NAME, or a folder or URL (file://, s3://, …) to host it."
        ),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private; of a folder or bucket, say that it is.")
    ] = False,
    create_pr: Annotated[
        bool, typer.Option("--create-pr", help="Propose the version in a pull request; nothing is tagged.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and send nothing.")] = False,
) -> None:
    """Publish a dataset's release, as a whole, and read it back.

    It must verify, its version must be frozen, and greater than the one at the target by what the data demand. Texts
    whose rights are not open need a basis in the recipe, or a private place. If the work stops, the public sees
    the old version or the new one, and the same command goes on from there. A hub's token comes from HF_TOKEN, or the
    hub's own login.
    """
    with _boundary("interrupted; give the same command again, and it goes on from here"), _progress() as tell:
        from broadsheet.publish import publish as run  # noqa: PLC0415 - it imports Arrow, which --help can do without

        done = run(dataset, target, tell, private=private, create_pr=create_pr, dry_run=dry_run)
    if done.plan.own.warnings:
        _print(done.plan.own.warnings)
    typer.echo(done.plan.text())
    typer.echo(f"published: {done.where}; every file was read back" if done.where else "dry run: nothing was sent")


def main() -> None:
    """Run the command line; the entry point of the console script."""
    global _is_own_process  # noqa: PLW0603 - a process has one state, and this is about it
    _is_own_process = True
    try:
        app()
    except OSError as error:
        # What is printed may go to a full disk too.
        _print([Problem("BS603", "the output", disk.reason(error))])
        sys.exit(2)


@contextmanager
def _boundary(interrupted: str = "interrupted; nothing was changed") -> Iterator[None]:
    """Turn what goes wrong into messages and an exit code; no traceback reaches a user."""
    try:
        yield
    except BroadsheetError as error:
        _print(error.problems)
        raise typer.Exit(2 if isinstance(error, CannotRun) else 1) from None
    except KeyboardInterrupt:
        typer.echo(interrupted, err=True)
        raise typer.Exit(130) from None
    except Exception as error:
        problem = _problem(error)
        if problem is None:
            raise
        _print([problem])
        raise typer.Exit(2) from None


def _problem(error: Exception) -> Problem | None:
    """Give the problem that the system had, if *error* says so."""
    name = error.filename2 or error.filename if isinstance(error, OSError) else None
    full = disk.full(error, Path(str(name)).parent if name else gettempdir())
    if full is None and isinstance(error, OSError):
        return Problem("BS603", str(error.filename or "the file system"), disk.reason(error))
    return full


_is_own_process = False


def _processes(workers: int | None) -> int:
    """Give how many *workers* are meant, by default the cores; see to it that they start fast."""
    from broadsheet import spread  # noqa: PLC0415 - it imports what --help can do without

    if _is_own_process:
        spread.fork_once()
    return workers or spread.cores()


class _Collector:
    """Keeps the first problems, no more than *limit*, and counts all."""

    def __init__(self, limit: int) -> None:
        self._limit, self._kept = limit, list[Problem]()
        self.errors = self.warnings = 0

    def add(self, problem: Problem) -> None:
        """Take one more *problem*."""
        if problem.severity == "error":
            self.errors += 1
        else:
            self.warnings += 1
        if len(self._kept) < self._limit:
            self._kept.append(problem)

    def findings(self, checked: str = "") -> Findings:
        """Give what was collected; *checked* says what was looked at."""
        return Findings(self._kept, self.errors, self.warnings, checked)


def _print(problems: Sequence[Problem]) -> None:
    collected = _Collector(len(problems))
    for problem in problems:
        collected.add(problem)
    typer.echo(render(collected.findings(), "text"), nl=False, err=True)


@contextmanager
def _progress() -> Iterator[Tell]:
    """Give what shows each step and how far it is, on a terminal only; nothing of it is left at the end."""
    if not sys.stderr.isatty():
        yield silent
        return
    from rich import progress as bars  # noqa: PLC0415 - who sees no terminal can do without
    from rich.console import Console  # noqa: PLC0415 - as above

    columns = (
        *(bars.SpinnerColumn(), bars.TextColumn("{task.description}"), bars.BarColumn(bar_width=24)),
        *(bars.TaskProgressColumn(), bars.DownloadColumn(), bars.TimeRemainingColumn(elapsed_when_finished=True)),
    )
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("starting", total=None)
        begun = ""

        def tell(step: str, done: int = 0, total: int = 0) -> None:
            nonlocal begun
            # What is quickly done would come and go between two refreshes.
            is_new, begun = not step.startswith(begun or "\n"), step.partition(":")[0]
            shown.update(task, description=step, completed=done, total=total or None, refresh=is_new)

        yield tell
