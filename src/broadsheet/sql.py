"""SQL: what every query that is put together needs."""

from __future__ import annotations


def literal(text: str) -> str:
    """Give *text* as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"
