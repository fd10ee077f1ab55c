"""Targets: what every place to publish at can do, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import IO, Protocol

from broadsheet.problems import BroadsheetError, cannot_run
from broadsheet.progress import Tell
from broadsheet.publish.plan import Plan
from broadsheet.publish.ready import Card, Held, Ready, is_same


@dataclass(frozen=True)
class There:
    """What a target holds.

    *at* is where its current version lies (a commit, a folder; None where there is none), *card* what that says of
    itself, *current* the names of its files. *files* lie where the new version will, *named* are those that have the
    new version's name already. *strange* are names of things that no publication put there. *is_private* tells that
    only some people see them; *is_done* that nothing is left to do.
    """

    at: str | None = None
    card: Card | None = None
    current: Sequence[str] = ()
    files: Mapping[str, Held] = field(default_factory=dict)
    named: Mapping[str, Held] | None = None
    strange: Sequence[str] = ()
    is_private: bool = False
    is_done: bool = False

    def holds(self, own: Ready) -> bool:
        """Tell whether the files of *own* are there, and no others."""
        files = self.named if self.named is not None else self.files
        return is_same(files, own)


class Target(Protocol):
    """A place to publish at. What it cannot do, it raises as `CannotRun`; what may not be done, as `InvalidData`."""

    @property
    def address(self) -> str:
        """What it is called by."""

    def look(self, own: Ready) -> There:
        """Give what is there, as far as *own* is concerned; nothing is sent."""

    def send(self, own: Ready, there: There, plan: Plan, tell: Tell) -> str:
        """Put the files of *own* there, those that are missing, and give where they lie."""

    def opened(self, name: str, where: str) -> AbstractContextManager[IO[bytes]]:
        """Give the file *name* that lies *where*, to be read; raise `FileNotFoundError` if it does not."""

    def name(self, own: Ready, there: There, where: str) -> None:
        """Have what lies *where* known by its version from now on."""


AGAIN = "Give the same command again: it goes on where it stopped, and what has arrived is not sent twice."
_LONGEST = 300


@contextmanager
def reaching(address: str, *secrets: str | None) -> Iterator[None]:
    """Turn whatever a client raises in the block into `CannotRun`, in words without any of the *secrets*.

    A client's exceptions may carry a request, and so a token, in their arguments, causes and frames: none of them goes
    on from here. `FileNotFoundError` means what it says, and does.
    """
    try:
        yield
    except (BroadsheetError, FileNotFoundError):
        raise
    except Exception as error:  # noqa: BLE001 - clients raise what they like
        words = " ".join(f"{error} {error.__cause__ or ''}".split()) or type(error).__name__
    else:
        return
    for secret in filter(None, secrets):
        words = words.replace(secret, "<secret>")
    words = words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
    raise cannot_run("BS605", address, f"it does not do what is asked of it: {words}", hint=AGAIN)
