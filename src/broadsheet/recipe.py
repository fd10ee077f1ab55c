"""The recipe: takes a dataset's folder, gives its `Recipe`; the only room that knows where things lie in it."""

from __future__ import annotations

import datetime
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from broadsheet import contract, jsonl
from broadsheet.problems import InvalidData, Problem, cannot_run, raise_if
from broadsheet.query import Query

RECIPE = "dataset.toml"


@dataclass(frozen=True)
class Source:
    """A source file: its name under ``source/`` and the SHA-256 digest of its bytes."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Target:
    """What a stance is towards; *wikidata* is an item's identifier, where it is certain."""

    id: str
    name: str
    definition: str
    wikidata: str | None = None


@dataclass(frozen=True)
class Annotator:
    """Who or what gave labels; *kind* is human, model or rule, *role* is pass, adjudicator, curator or source."""

    id: str
    role: str
    kind: str
    description: str
    guideline: str | None
    guideline_version: str | None
    annotated_on: str | None


@dataclass(frozen=True)
class Recipe:
    """What ``dataset.toml`` says, its own *text*, and where the parts of the dataset's folder lie."""

    folder: Path
    name: str
    title: str
    version: str
    summary: str
    tags: Sequence[str]
    task_categories: Sequence[str]
    sources: Sequence[Source]
    targets: Sequence[Target]
    annotators: Sequence[Annotator]
    rights: Mapping[str, str]
    maintenance: Mapping[str, str]
    datasheet_copies: Sequence[Path]
    offset_unit: str
    articles: Mapping[str, Any] | None = None
    paragraphs: Mapping[str, Any] | None = None
    stances: Mapping[str, Any] | None = None
    duplicates: Mapping[str, float] | None = None
    texts: Mapping[str, Any] | None = None
    evidence: Mapping[str, Any] | None = None
    stance: Mapping[str, Any] | None = None
    leaning: Mapping[str, Any] | None = None
    cautions: Sequence[str] = ()
    url: str | None = None
    published: str | None = None
    text: str = ""

    @property
    def release(self) -> Path:
        """Where the release goes unless another place is named."""
        return self.folder / "release"

    @property
    def is_made_from_rows(self) -> bool:
        """Whether the dataset is made from rows, and not from pages."""
        return self.texts is not None or bool({"files", "sql"} & (self.articles or {}).keys())

    @property
    def rejects(self) -> Path:
        """Where rows go that a build leaves out."""
        return self.folder / "rejects"

    def without(self, rejects: int) -> Recipe:
        """Give the recipe of a build that leaves out so many rows: its version is a pre-release that says so."""
        joint = "." if "-" in self.version else "-"
        return replace(self, version=f"{self.version}{joint}rejects.{rejects}") if rejects else self

    @property
    def passes(self) -> Sequence[Annotator]:
        """The annotators who label every article for every target."""
        return [annotator for annotator in self.annotators if annotator.role == "pass"]

    @property
    def adjudicator(self) -> Annotator | None:
        """The annotator who settles disagreements, if there is one."""
        return next((annotator for annotator in self.annotators if annotator.role == "adjudicator"), None)

    @property
    def labellers(self) -> Sequence[Annotator]:
        """The annotators whose labels lie in files: those of the passes, and the one who settles disagreements."""
        return [*self.passes, *([self.adjudicator] if self.adjudicator else [])]

    def codebook(self) -> tuple[bytes | None, list[Problem]]:
        """Give the codebook's bytes, or None where there is none; who labels here has one, or it is a problem."""
        data, problems = self.read(self.annotations("codebook.md"))
        return (None, problems if self.labellers else []) if problems else (data, [])

    def source(self, file: str) -> Path:
        """Where the source *file* lies."""
        return self.folder / "source" / file

    def annotations(self, name: str) -> Path:
        """Where the stand-off file *name* lies, such as ``segments.jsonl`` or ``stance/pass-a.jsonl``."""
        return self.folder / "annotations" / name

    def shown(self, path: Path) -> str:
        """Give *path* as messages show it: from the dataset's folder on."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path)

    def read(self, path: Path) -> tuple[bytes, list[Problem]]:
        """Give the bytes of the file at *path* in the dataset's folder, or the problem that it is not there."""
        try:
            return path.read_bytes(), []
        except FileNotFoundError:
            return b"", [self.missing(path)]

    def missing(self, path: Path) -> Problem:
        """Give the problem that there is no file at *path*."""
        near = contract.did_you_mean(path.name, (p.name for p in path.parent.glob("*")))
        return Problem("BS101", self.shown(path), "there is no such file", hint=near)

    def query(self, sql: str, *keys: str) -> Query:
        """Give the query *sql*, which stands under *keys* in the recipe."""
        pointer = "".join(f"/{key}" for key in keys)
        return Query(sql, RECIPE, line_of(self.text, pointer), pointer)

    def read_source(self, source: Source) -> tuple[bytes, list[Problem]]:
        """Give the bytes of *source*, or the problem that it is missing or not the file the recipe records."""
        path = self.source(source.file)
        data, problems = self.read(path)
        digest = hashlib.sha256(data).hexdigest()
        if not problems and digest != source.sha256:
            message = f"the file's SHA-256 is {digest}, the recipe records {source.sha256}"
            problems = [Problem("BS106", self.shown(path), message, hint="A source is never edited: restore the file.")]
        return data, problems


def read(folder: Path) -> Recipe:
    """Give the recipe of the dataset in *folder*; raise `InvalidData` with what is wrong in it."""
    path = folder / RECIPE
    if not path.is_file():
        raise cannot_run("BS601", folder, f"there is no {RECIPE}", hint="Name a dataset's folder.")
    document, text = read_toml(path.read_bytes(), RECIPE)
    schema = contract.package_schema("recipe.schema.json")
    value = contract.with_defaults(document, schema)
    raise_if(
        [
            Problem(
                "BS104" if found.code == "BS202" else "BS105",
                RECIPE,
                found.message,
                line=line_of(text, found.pointer),
                pointer=found.pointer,
                hint=found.hint,
            )
            for found in contract.violations(value, schema)
        ]
    )
    recipe = Recipe(
        folder=folder,
        text=text,
        **value
        | {
            "sources": [Source(**source) for source in value["sources"]],
            "targets": [Target(**target) for target in value["targets"]],
            "annotators": [Annotator(**annotator) for annotator in value["annotators"]],
            "datasheet_copies": [folder / copy for copy in value["datasheet_copies"]],
        },
    )
    raise_if(_duplicates(recipe, text))
    raise_if(_origins(recipe))
    return recipe


def read_toml(data: bytes, path: str) -> tuple[dict[str, Any], str]:
    """Give the TOML document *data* as JSON values (dates as strings), and its text; raise `InvalidData`."""
    text, problems = jsonl.decode(data, path)
    raise_if(problems)
    try:
        return _without_dates(tomllib.loads(text)), text
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise InvalidData([Problem("BS103", path, str(error), line=line)]) from None


def _duplicates(recipe: Recipe, text: str) -> list[Problem]:
    problems = []
    named = {
        "sources": [source.file for source in recipe.sources],
        "targets": [target.id for target in recipe.targets],
        "annotators": [annotator.id for annotator in recipe.annotators],
    }
    for key, names in named.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                pointer = f"/{key}/{index}"
                line = line_of(text, pointer)
                problems.append(Problem("BS207", RECIPE, f"'{name}' is there twice", line=line, pointer=pointer))
    return problems


def _origins(recipe: Recipe) -> list[Problem]:
    """Give the problem that the dataset has pages and rows, or neither, or pages and no target, if it is so."""
    if recipe.sources and recipe.is_made_from_rows:
        message = "a dataset is made from pages, or from rows"
        hint = "Remove `sources`, or `texts`, and `files` and `sql` of `articles`."
        return [Problem("BS105", RECIPE, message, line=line_of(recipe.text, "/sources"), pointer="/sources", hint=hint)]
    if not recipe.sources and not recipe.is_made_from_rows:
        hint = "Name `sources`, `texts`, or `files` or `sql` of `articles`."
        return [Problem("BS105", RECIPE, "the recipe does not say what the dataset is made from", line=1, hint=hint)]
    if recipe.sources and not recipe.targets:
        return [Problem("BS105", RECIPE, "a dataset made from pages has a target at least", line=1, pointer="/targets")]
    return []


def _without_dates(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_dates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_dates(item) for item in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value


def line_of(text: str, pointer: str) -> int:
    """Give the line on which *pointer*'s key is set in the TOML *text*, or that of the nearest table above it."""
    steps = pointer.split("/")[1:]
    table: list[str] = []
    counts: dict[str, int] = {}
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*(\[\[?)\s*([\w.\"-]+)\s*\]", line)
        key = re.match(r"\s*([\w\"-]+)\s*=", line)
        if header:
            name = header[2].strip('"')
            table = name.split(".")
            if header[1] == "[[":
                table.append(str(counts.get(name, 0)))
                counts[name] = counts.get(name, 0) + 1
            here = table
        elif key:
            here = [*table, key[1].strip('"')]
        else:
            continue
        shared = len(here) if steps[: len(here)] == here else 0
        if shared > depth:
            best, depth = number, shared
    return best
