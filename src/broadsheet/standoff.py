"""Stand-off files: takes one file under ``annotations/``, gives its rows, each with its line and judged on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broadsheet import contract, jsonl
from broadsheet.problems import Problem
from broadsheet.recipe import Recipe


@dataclass(frozen=True)
class Row:
    """One row of the stand-off file *path*, on *line*; read its fields with ``row["name"]``."""

    path: str
    line: int
    fields: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        """Give the value of the field *name*."""
        return self.fields[name]

    def problem(self, code: str, message: str, pointer: str = "", hint: str = "") -> Problem:
        """Give a problem that lies on this row."""
        return Problem(code, self.path, message, line=self.line, pointer=pointer, hint=hint)


def read(recipe: Recipe, name: str, kind: str) -> tuple[list[Row], list[Problem]]:
    """Give the rows of the file *name* that fit the definition *kind*, defaults filled in, and what is wrong."""
    path = recipe.annotations(name)
    shown = recipe.shown(path)
    data, problems = recipe.read(path)
    values, syntax = jsonl.parse(data, shown)
    problems += syntax
    rows = []
    for line, value in values:
        row, found = judged(value, kind, shown, line)
        problems += found
        if row is not None:
            rows.append(row)
    return rows, problems


def read_optional(recipe: Recipe, name: str, kind: str) -> tuple[list[Row], list[Problem]]:
    """Give what `read` gives, and no rows where there is no file."""
    return read(recipe, name, kind) if recipe.annotations(name).exists() else ([], [])


def judged(value: Any, kind: str, path: str, line: int) -> tuple[Row | None, list[Problem]]:
    """Give *value*, on *line* of *path*, as a row of the definition *kind*, defaults filled in; or what is wrong."""
    schema = contract.definition(kind)
    fields = contract.with_defaults(value, schema) if isinstance(value, dict) else value
    found = contract.violations(fields, schema) if isinstance(value, dict) else [_not_an_object]
    problems = [Problem(v.code, path, v.message, line=line, pointer=v.pointer, hint=v.hint) for v in found]
    return (None if found else Row(path, line, fields)), problems


_not_an_object = contract.Violation("BS204", "", "expected object", "")
