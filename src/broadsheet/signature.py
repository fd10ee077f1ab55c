"""Signatures: takes a release's folder and a file of those who may sign, tells who did, or what is wrong.

A signature is one of SHA256SUMS, as ``ssh-keygen -Y sign`` makes it (OpenSSH, PROTOCOL.sshsig). Whatever reads a key or
a signature is ssh-keygen; no network is asked.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from broadsheet.problems import Problem, cannot_run
from broadsheet.release import CHECKSUMS, SIGNATURE

#: What a signature is made for (``-n``): one that was made for anything else does not count.
NAMESPACE = "broadsheet"


@dataclass
class Signers:
    """Those who may sign, by the *file* that lists them (ssh-keygen(1), "ALLOWED SIGNERS"), and who *signed* what."""

    file: Path
    signed: dict[str, str] = field(default_factory=dict)

    def check(self, folder: Path, shown: str) -> list[Problem]:
        """Give what is wrong with the signature of the release in *folder*; who signed it is kept under *shown*.

        Raises `CannotRun` if there is no ssh-keygen.
        """
        path = folder / SIGNATURE
        if path.is_symlink() or not path.is_file():
            return [unsigned("there is no such file")]
        made = _ask(folder, "check-novalidate")
        if made.returncode:
            hint = "The release or its signature is not what was signed: fetch both anew, and sign no other bytes."
            message = f"it is no signature of this {CHECKSUMS} for '{NAMESPACE}'{_words(made)}"
            return [Problem("BS521", SIGNATURE, message, hint=hint)]
        key = made.stdout.strip().rpartition(" with ")[2]
        found = _ask(folder, "find-principals", "-f", str(self.file))
        for name in found.stdout.splitlines():
            found = _ask(folder, "verify", "-f", str(self.file), "-I", name)
            if not found.returncode:
                self.signed[shown] = f"signed by {name} with {key}"
                return []
        hint = "Trust a key only if you have it from its owner. A key counts from its valid-after to its valid-before."
        return [Problem("BS522", SIGNATURE, f"{self.file} does not allow its {key}{_words(found)}", hint=hint)]

    def told(self, shown: str) -> str:
        """Give *shown*, and who signed it."""
        return f"{shown} ({self.signed[shown]})" if shown in self.signed else shown


def unsigned(why: str) -> Problem:
    """Give the problem that there is no signature."""
    hint = f"Who releases it signs it: ssh-keygen -Y sign -n {NAMESPACE} -f KEY {CHECKSUMS}"
    return Problem("BS520", SIGNATURE, f"the release is unsigned: {why}", hint=hint)


def _ask(folder: Path, what: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Have ssh-keygen do *what* with the signature in *folder*; names in what it says may be of any bytes."""
    purpose = () if what == "find-principals" else ("-n", NAMESPACE)
    command = ["ssh-keygen", "-Y", what, *purpose, "-s", str(folder / SIGNATURE), *more]
    with (folder / CHECKSUMS).open("rb") as signed:
        try:
            return subprocess.run(  # noqa: S603 - ssh-keygen, and no shell
                command, stdin=signed, capture_output=True, check=False, encoding="utf-8", errors="surrogateescape"
            )
        except FileNotFoundError:
            hint = "It comes with OpenSSH 8.2 or newer; on Debian or Ubuntu: apt install openssh-client"
            raise cannot_run("BS612", "ssh-keygen", "it is not installed, and signatures need it", hint=hint) from None


def _words(done: subprocess.CompletedProcess[str]) -> str:
    """Give what ssh-keygen said, as the end of a sentence; that it failed is said already."""
    said = [line for line in done.stderr.splitlines() if not _FAILED.search(line)]
    return "".join(f": {line}" for line in said[:1])


_FAILED = re.compile("^(No principal matched|sig_)")
