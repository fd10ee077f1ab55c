"""Markdown: takes a template and values, gives text in which a value can't become markup."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jinja2
import jinja2.sandbox


@cache
def environment() -> jinja2.Environment:
    """Give the environment of this package's templates; a name that does not exist is an error."""
    env = jinja2.sandbox.SandboxedEnvironment(
        loader=jinja2.PackageLoader("broadsheet.documents"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters |= {"cell": cell, "figure": figure, "percent": percent}
    return env


def cell(value: Any) -> str:
    """Give *value* as the text of a table's cell: on one line, without effect as Markdown or HTML; null as a dash."""
    if value is None:
        return "—"
    text = re.sub(r"\s*\n\s*", " ⏎ ", str(value))
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", text)


def without_double_blanks(text: str) -> str:
    """Give *text* with one blank line where templates left several."""
    return re.sub(r"\n{3,}", "\n\n", text)


def figure(value: float | None, digits: int = 3) -> str:
    """Give a number for reading: whole ones with thousands apart, others with *digits* decimals, None in words."""
    if value is None:
        return "not defined"
    return f"{value:,.0f}" if float(value).is_integer() and not isinstance(value, float) else f"{value:,.{digits}f}"


def percent(value: float) -> str:
    """Give a share between 0 and 1 in percent, with one decimal."""
    return f"{100 * value:.1f} %"
