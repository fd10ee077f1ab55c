"""Broadsheet turns segmented articles into a dataset that people can trust.

The public names: `build` makes a release, `check` judges a dataset or a release; both live in modules of their names,
and `broadsheet.problems` has the errors they raise.
"""

from importlib.metadata import version

__version__ = version("broadsheet")

__all__ = ["__version__"]
