"""Scaffolds: takes what somebody has, gives a dataset's folder to begin with, that can be built at once.

What was given is copied, never moved. The folder appears whole or not at all, and nothing that is there is replaced.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from broadsheet import recipe_draft
from broadsheet.documents.datasheet import ANSWERS, questions
from broadsheet.plan import OPEN
from broadsheet.problems import cannot_run
from broadsheet.recipe import RECIPE
from broadsheet.recipe_draft import Draft
from broadsheet.survey import Survey, look

_CODEBOOK = "codebook.md"
#: The longest name that the recipe takes, and the name where none can be made of the folder's.
_MAX_NAME, _NO_NAME = 96, "my-dataset"
_ABOUT_ANSWERS = """\
# The answers of the datasheet. Each is `asserted` (you say so), `computed` (with figures from {{ }}, such as
# {{ s.rows.articles }}), or `unknown`. The build takes them as they are, and the datasheet shows what is open.
"""
_URL = {
    "properties": {
        "url": {
            "title": "URL",
            "description": "Where the article stood, as the source says. It is not checked whether it still resolves.",
            "type": ["string", "null"],
        }
    }
}


@dataclass(frozen=True)
class Scaffold:
    """The new *folder*: what was *found* of what was given, line by line, and which places are still *open*."""

    folder: Path
    found: Sequence[str]
    open: Sequence[str]


def scaffold(folder: Path, given: Path | None = None) -> Scaffold:
    """Make the dataset's *folder* of the file or folder *given*, or with nothing in it yet.

    Raise `CannotRun` if *folder* has anything already, and `InvalidData` with what cannot be read: nothing is left.
    """
    _check(folder)
    name = _name(folder)
    survey = look(given) if given is not None else None
    draft = recipe_draft.draft(name, survey, str(given)) if survey else recipe_draft.empty(name)
    with _staged(folder) as stage:
        (stage / "source").mkdir()
        if survey:
            _copy(survey, stage / "source")
        for path, text in _files(name, draft):
            (stage / path).parent.mkdir(exist_ok=True)
            (stage / path).write_text(text, encoding="utf-8", newline="\n")
    return Scaffold(folder, draft.found, list(_open(folder, draft)))


def _check(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise cannot_run("BS602", folder, "it is no folder")
    if folder.is_dir() and any(folder.iterdir()):
        hint = "Nothing is replaced: name a folder that is new or empty."
        raise cannot_run("BS602", folder, "the folder is not empty", hint=hint)


def _name(folder: Path) -> str:
    """Give the dataset's name: that of its folder, as the recipe takes it."""
    plain = unicodedata.normalize("NFKD", folder.absolute().resolve().name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_MAX_NAME].rstrip("-") or _NO_NAME


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """Give a folder beside *folder*, which takes its place when the block ends well."""
    folder = folder.absolute().resolve()
    missing = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.staging"
    try:
        stage.mkdir()
        yield stage
        if folder.is_dir():
            # It may be somebody's working directory, so it stays the same folder.
            _move(stage, folder)
        else:
            stage.rename(folder)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        for parent in missing:
            parent.rmdir()
        raise
    shutil.rmtree(stage, ignore_errors=True)


def _move(stage: Path, folder: Path) -> None:
    """Move what is in *stage* into the empty *folder*, the recipe last: all of it, or nothing."""
    moved = []
    try:
        for path in sorted(stage.iterdir(), key=lambda path: path.name == RECIPE):
            moved.append(folder / path.name)
            path.rename(folder / path.name)
    except BaseException:
        for path in moved:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        raise


def _copy(survey: Survey, place: Path) -> None:
    for name in survey.files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(survey.root / name, place / name)


def _files(name: str, draft: Draft) -> Iterator[tuple[str, str]]:
    """Give the files of the folder beside its source, with their texts."""
    yield RECIPE, draft.text
    yield f"annotations/{_CODEBOOK}", _codebook(name)
    yield f"annotations/{ANSWERS}", _datasheet()
    if draft.has_url:
        yield "schema/articles.schema.json", json.dumps(_URL, indent=2) + "\n"


def _codebook(name: str) -> str:
    return f"""# Codebook of {name}

{OPEN}: how labels are given, so that another person would give the same; or that the dataset has none. It goes into
the release as it is.

## Targets

{OPEN}: towards what a stance is labelled; what belongs to it, and what does not.

## Labels

{OPEN}: when a text is `favor`, `against`, `neutral`, `not_addressed` or `unclear`, with an example of each.

## Hard cases

{OPEN}: what is decided how, and why.
"""


def _datasheet() -> str:
    parts = [_ABOUT_ANSWERS]
    for section in questions().values():
        for key, question in section["questions"]:
            parts.append(f'\n# {question}\n[{section["id"]}.{key}]\nstatus = "unknown"\nanswer = "Not answered yet."\n')
    return "".join(parts)


def _open(folder: Path, draft: Draft) -> Iterator[str]:
    """Give the places that only a person can fill, each with its file and line."""
    for number, line in enumerate(draft.text.split("\n"), start=1):
        place = f"{folder / RECIPE}:{number}"
        if optional := re.match(r"# (Dates|Labels): ", line):
            yield f"{place} {optional[1].lower()}, if they are to be released: the comment says how"
        elif OPEN in line and not line.startswith("#"):
            key = re.match(r"([a-z_]+) = ", line)
            what = line.rpartition(OPEN)[2].split('"')[0].strip(": ")
            yield " ".join(filter(None, [place, (key[1] + ":" * bool(what)) if key else "", what]))
    yield f"{folder / 'annotations' / ANSWERS}: {sum(len(s['questions']) for s in questions().values())} questions"
    yield f"{folder / 'annotations' / _CODEBOOK}: how labels are given"
