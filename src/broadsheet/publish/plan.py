"""The plan: takes a release and what is at the target, gives what a publication would change, and says it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broadsheet.publish.ready import Card, Ready

if TYPE_CHECKING:
    from broadsheet.publish.target import There
    from broadsheet.versions import Bump


@dataclass(frozen=True)
class Plan:
    """What changes at *address*: files *added*, *changed*, *removed* and *kept*, by name.

    *old* is the card of the version that is there, if there is one, and *required* the bump that the data demand of the
    next; it is None where there is nothing to compare, or nothing to change.
    """

    address: str
    own: Ready
    old: Card | None
    required: Bump | None
    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]
    kept: Sequence[str]
    is_done: bool

    @classmethod
    def of(cls, address: str, own: Ready, there: There, required: Bump | None) -> Plan:
        """Compare the files of *own* with those that are where it will lie."""
        files = there.files if there.named is None else there.named
        common = [name for name in own.files if name in files]
        changed = [name for name in common if not files[name].is_same(own.files[name])]
        return cls(
            address,
            own,
            there.card,
            required,
            added=[name for name in own.files if name not in files],
            changed=changed,
            removed=sorted(files.keys() - own.files.keys()),
            kept=[name for name in common if name not in changed],
            is_done=there.is_done,
        )

    @property
    def sent(self) -> Sequence[str]:
        """The files that must be sent."""
        return [*self.added, *self.changed]

    @property
    def bytes(self) -> int:
        """How large the files are that must be sent."""
        return sum(self.own.files[name].size for name in self.sent)

    def text(self) -> str:
        """Say it, for people: versions, files, rows, bytes; a line each."""
        return "\n".join([self._versions(), *self._files(), self._rows(), self.total()])

    def total(self) -> str:
        """Say how much it is, in one line."""
        sent = f"{_files(self.sent)} to send ({self.bytes:,} bytes)"
        return f"{sent}, {len(self.removed):,} to remove, {len(self.kept):,} there already"

    def _versions(self) -> str:
        new = self.own.card.version
        if self.is_done:
            return f"{self.address}: version {new} is there already"
        if self.old is None:
            return f"{self.address}: version {new}, the first one"
        demanded = f"; the data demand: {self.required.name.lower()}" if self.required is not None else ""
        return f"{self.address}: version {self.old.version} → {new}{demanded}"

    def _files(self) -> Iterator[str]:
        for mark, names in (("+", self.added), ("~", self.changed)):
            for name in names:
                yield f"  {mark} {name}  {self.own.files[name].size:,} bytes"
        for name in self.removed:
            yield f"  - {name}"

    def _rows(self) -> str:
        before = self.old.rows if self.old else {}
        told = [
            f"{table} {rows:,}" + (f" ({rows - before.get(table, 0):+,})" if before else "")
            for table, rows in self.own.card.rows.items()
        ]
        gone = [f"{table} 0 ({-rows:+,})" for table, rows in before.items() if table not in self.own.card.rows]
        return "rows: " + ", ".join([*told, *gone])


def _files(names: Sequence[str]) -> str:
    return f"{len(names):,} file{'s' if len(names) != 1 else ''}"
