"""Broadsheet turns segmented articles into a dataset that people can trust.

The public names: `build` makes a release, `check` judges a dataset or a release; both live in modules of their names,
and `broadsheet.problems` has the errors they raise.
"""

from __future__ import annotations

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Give ``__version__`` to who asks: looking it up takes longer than many a command (PEP 562)."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - the very point

    return version("broadsheet")
