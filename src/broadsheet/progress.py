"""Progress: how long work says how far it is; who hears of it decides what to show."""

from __future__ import annotations

from typing import Protocol


class Tell(Protocol):
    """Hears of the *step* that is being taken, and that *done* of *total* bytes are; without a total, only the step."""

    def __call__(self, step: str, done: int = 0, total: int = 0) -> None:
        """Take note of it."""


def silent(step: str, done: int = 0, total: int = 0) -> None:
    """Hear of the progress, and say nothing."""
