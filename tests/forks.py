"""Runs the command line in forks of this process, which does nothing else: as quick as calls, as apart as processes."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import pandas  # noqa: F401 - Arrow does; each fork would do it anew

from broadsheet import (
    build,  # noqa: F401 - the same
    cli,
)
from broadsheet.documents.markdown import environment

# Compiled here, once.
for template in environment().list_templates():
    environment().get_template(template)


class Fork(NamedTuple):
    """A process *pid*, and where it prints."""

    pid: int
    output: IO[bytes]

    def wait(self) -> tuple[int, str]:
        """Wait for its end, and give its exit code (of a signal, the negative number) and all it printed."""
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status), self.printed()

    def printed(self) -> str:
        """Give what it printed."""
        self.output.seek(0)
        return self.output.read().decode()


def start(*arguments: str, temporary: Path | None = None) -> Fork:
    """Start ``broadsheet`` with *arguments*, and with a folder for *temporary* files."""

    def run() -> None:
        sys.argv = ["broadsheet", *arguments]
        cli.main()

    return call(run, temporary)


def call(function: Callable[[], object], temporary: Path | None = None) -> Fork:
    """Start *function* in a process of its own."""
    output = tempfile.TemporaryFile()  # noqa: SIM115 - it is read when the process has ended
    pid = os.fork()
    if pid:
        return Fork(pid, output)
    code = 70
    try:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        tempfile.tempdir = None if temporary is None else str(temporary)
        function()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException:  # noqa: BLE001 - what it was is printed
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
