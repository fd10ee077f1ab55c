"""Markdown: takes a template and values, gives text in which a value can't become markup."""

from __future__ import annotations

import re
import textwrap
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
    env.filters |= {"cell": cell, "line": line, "flow": flow, "wrapped": wrapped, "figure": figure, "percent": percent}
    env.tests |= {"slug": lambda value: re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value) is not None}
    return env


def cell(value: Any) -> str:
    """Give *value* as the text of a table's cell: on one line, without effect as Markdown or HTML; null as a dash."""
    if value is None:
        return "—"
    text = re.sub(r"\s*\n\s*", " ⏎ ", str(value))
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", text)


def line(value: str) -> str:
    """Give *value*, which is Markdown, as the text of a table's cell: on one line, and in one cell."""
    return re.sub(r"(?<!\\)\|", r"\|", flow(value))


def flow(text: str) -> str:
    """Give *text* as one line, its words one space apart; none stands before a full stop or a comma."""
    return re.sub(r" ([.,])(?= |$)", r"\1", " ".join(text.split()))


def wrapped(text: str, indent: int = 3) -> str:
    """Give *text* as a paragraph of plain text with lines of at most 78 characters."""
    margin = indent * " "
    return textwrap.fill(
        flow(text), 78, initial_indent=margin, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
    )


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
