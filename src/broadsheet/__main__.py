"""Runs the command line as ``python -m broadsheet``."""

from broadsheet.cli import main

main()
