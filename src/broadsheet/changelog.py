"""The changelog: takes a diff, gives it as text, JSON or Markdown, and a changelog with an entry more."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from broadsheet.diff import Diff, LabelChange, Side, TableDiff
from broadsheet.problems import InvalidData, Problem, visible
from broadsheet.versions import Bump, Entry, Version

CHANGELOG = "CHANGELOG.md"
#: The formats of a diff, the one for people first.
FORMATS = ("text", "json", "markdown")
#: So many rows are named in a changelog.
NAMED = 10


def render(found: Diff, format_: str) -> str:
    """Give the full text to print for the diff *found* in *format_*, one of `FORMATS`; another is a `KeyError`."""
    return _WRITERS[format_](found)


def required(found: Diff) -> str:
    """Give the required bump, the version it leads to, and the reasons for it."""
    if found.bump is Bump.NONE:
        return "none: nothing differs"
    return f"{found.bump.name}{_leading(found)}: {found.reasons}"


def entry(found: Diff | None, released: Entry, rows: Mapping[str, int], name: str) -> str:
    """Give the section of a changelog on the version *released*, which *found* tells from the one before it.

    The first release has none before it: it is told by its *name* and its *rows*.
    """
    lines = [f"## [{released.version}] - {released.date}", ""]
    if found is None:
        told = ", ".join(f"{count:,} {table}" for table, count in rows.items())
        lines += [f"The first release of {name}: {told}.", "", f"{_DIGEST}`{released.digest}`.", ""]
        return "\n".join(lines)
    why = "Nothing differs but the version" if found.bump is Bump.NONE else f"{found.bump.name}: {found.reasons}"
    lines += [f"{why}.", "", f"{_DIGEST}`{released.digest}`; before: `{found.old.digest}`.", ""]
    for heading, items in _by_kind(found).items():
        if items:
            lines += [f"### {heading}", "", *(f"- {item}" for item in items), ""]
    return "\n".join(lines)


def with_entry(text: str, section: str, version: str, digest: str) -> str:
    """Give the changelog *text* with the *section* on *version* before all others; raise `InvalidData` if it has one.

    What stands under Unreleased goes to the top of the section. Where the section is there already with this *digest*,
    as after a release that was broken off, the text is given as it is.
    """
    sections = _SECTION.split(text or _HEAD)
    for own in sections[1:]:
        if own.startswith(f"[{version}]"):
            if digest in own:
                return text
            hint = "Put notes on a version under [Unreleased]: a release moves them to its own section."
            line = text[: text.index(f"## [{version}]")].count("\n") + 1
            raise InvalidData(
                [Problem("BS706", CHANGELOG, f"it has a section on {version} already", line=line, hint=hint)]
            )
    notes = ""
    if len(sections) > 1 and sections[1].lower().startswith("[unreleased]"):
        notes = sections.pop(1).partition("\n")[2].strip("\n")
    heading, _, rest = section.partition("\n")
    body = "\n\n".join(part for part in (notes, rest.strip("\n")) if part)
    head = sections[0].rstrip("\n") + "\n\n" if sections[0].strip() else ""
    after = "".join(f"\n## {own}" for own in sections[1:])
    return f"{head}## [Unreleased]\n\n{heading}\n\n{body}\n{after}"


_DIGEST = "Data digest "
_SECTION = re.compile(r"^## (?=\[)", re.MULTILINE)
_HEAD = """\
# Changelog

What changed in this dataset, release by release. The format is that of
[Keep a Changelog](https://keepachangelog.com/en/1.1.0/). In a version MAJOR.MINOR.PATCH, a reader of the one before it
finds with PATCH the same data, with MINOR rows or fields more, and with MAJOR that something is gone or is another.
"""


def _by_kind(found: Diff) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {"Added": [], "Changed": [], "Removed": []}
    for change in found.schema:
        kind = "Removed" if "removed" in change.rule else "Added" if "added" in change.rule else "Changed"
        kinds[kind].append(f"{change.table}: {change.detail}")
    for table, rows in found.tables.items():
        for kind, count, named in (
            ("Added", rows.added, _keys(rows.added_keys[:NAMED], "`")),
            ("Removed", rows.removed, _keys(rows.removed_keys[:NAMED], "`")),
            ("Changed", rows.changed, _fields(rows, "`")),
        ):
            if count:
                more = " and others" if kind != "Changed" and count > NAMED else ""
                kinds[kind].append(f"{table}: {_rows(count)}: {named}{more}")
    kinds["Changed"] += [
        f"{_label(change)}: {change.old} → {change.new}, {_rows(change.rows)}" for change in found.labels
    ]
    for kind, items in kinds.items():
        documents = [document.name for document in found.documents if document.what == kind.lower()]
        items.extend([f"Documents: {', '.join(documents)}"] if documents else [])
    kinds["Changed"] += [f"The same rows, written otherwise: {', '.join(found.files)}"] if found.files else []
    return {kind: [visible(item) for item in items] for kind, items in kinds.items()}


# --- the formats ---


def _text(found: Diff) -> str:
    lines = [f"{_side(found.old)} → {_side(found.new)}", f"required bump: {required(found)}"]
    for heading, items in _parts(found, "").items():
        lines += ["", f"{heading}:", *(f"  {visible(item)}" for item in items)] if items else []
    return "\n".join([*lines, ""])


def _markdown(found: Diff) -> str:
    lines = [f"# {_side(found.old)} → {_side(found.new)}", "", f"**Required bump:** {_escaped(required(found))}", ""]
    for heading, items in _parts(found, "`").items():
        if items:
            lines += [f"## {heading}", "", *(f"- {visible(item)}" for item in items), ""]
    if found.labels:
        lines += [
            "## labels",
            "",
            "| table | target | gold | from | to | rows |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for change in found.labels:
            gold = "" if change.is_gold is None else "yes" if change.is_gold else "no"
            cells = (change.table, change.target or "", gold, change.old, change.new, f"{change.rows:,}")
            lines.append("| " + " | ".join(_escaped(str(cell)) for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _json(found: Diff) -> str:
    value = {
        "old": _identity(found.old),
        "new": _identity(found.new),
        "required": {
            "bump": found.bump.name.lower(),
            "version": _next(found),
            "reasons": [
                {"rule": finding.rule, "bump": finding.bump.name.lower(), "detail": finding.detail}
                for finding in found.findings
            ],
        },
        "schema": [
            {"table": c.table, "field": c.field, "rule": c.rule, "bump": c.bump.name.lower(), "detail": c.detail}
            for c in found.schema
        ],
        "tables": {table: _table(rows) for table, rows in found.tables.items()},
        "labels": [
            {"table": c.table, "target": c.target, "is_gold": c.is_gold, "from": c.old, "to": c.new, "rows": c.rows}
            for c in found.labels
        ],
        "documents": [change._asdict() for change in found.documents],
        "reserialised": list(found.files),
    }
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


_WRITERS: Mapping[str, Callable[[Diff], str]] = {"text": _text, "json": _json, "markdown": _markdown}


def _table(rows: TableDiff) -> dict[str, Any]:
    return {
        "rows": {"old": rows.rows_old, "new": rows.rows_new},
        "added": {"count": rows.added, "keys": rows.added_keys},
        "removed": {"count": rows.removed, "keys": rows.removed_keys},
        "changed": {
            "count": rows.changed,
            "fields": dict(rows.fields.most_common()),
            "rows": [{"key": change.key, "fields": change.fields} for change in rows.changed_rows],
        },
    }


def _parts(found: Diff, mark: str) -> dict[str, list[str]]:
    """Give the lines to print, by heading; *mark* stands around what is a name."""
    parts: dict[str, list[str]] = {"schema": []}
    parts["schema"] += [f"{c.bump.name} {c.rule}: {c.table}: {_marked(c.detail, mark)}" for c in found.schema]
    for table, rows in found.tables.items():
        if not rows.is_empty:
            parts[f"{table}, {rows.rows_old:,} → {rows.rows_new:,} rows"] = list(_row_lines(rows, mark))
    if not mark:
        parts["labels"] = [f"{_label(c)}: {c.old} → {c.new}: {_rows(c.rows)}" for c in found.labels]
    parts["documents"] = [f"{mark}{change.name}{mark} {change.what}" for change in found.documents]
    parts["the same rows, written otherwise"] = [f"{mark}{name}{mark}" for name in found.files]
    return parts


def _row_lines(rows: TableDiff, mark: str) -> Iterator[str]:
    for what, count, keys in (("added", rows.added, rows.added_keys), ("removed", rows.removed, rows.removed_keys)):
        if count:
            yield f"{_rows(count)} {what}"
            yield from (f"{'+' if what == 'added' else '-'} {_key(key, mark)}" for key in keys)
            yield from _rest(count, len(keys))
    if rows.changed:
        yield f"{_rows(rows.changed)} changed: {_fields(rows, mark)}"
        for change in rows.changed_rows:
            yield f"~ {_key(change.key, mark)}: {', '.join(change.fields)}"
        yield from _rest(rows.changed, len(rows.changed_rows))


def _rest(count: int, named: int) -> Iterator[str]:
    if count > named:
        yield f"… and {count - named:,} more"


def _side(own: Side) -> str:
    return f"{own.shown} ({own.version})" if own.version else own.shown


def _identity(own: Side) -> dict[str, Any]:
    return {"release": own.shown, "version": own.version, "digest": own.digest}


def _next(found: Diff) -> str | None:
    return str(Version.parse(found.old.version).after(found.bump)) if found.old.version else None


def _leading(found: Diff) -> str:
    return f" ({_next(found)} or later)" if found.old.version else ""


def _label(change: LabelChange) -> str:
    which = "" if change.is_gold is None else " (gold)" if change.is_gold else " (annotators)"
    return f"{change.table}.stance of {change.target}{which}"


def _fields(rows: TableDiff, mark: str) -> str:
    return ", ".join(f"{mark}{name}{mark} in {count:,}" for name, count in rows.fields.most_common())


def _keys(keys: Sequence[Sequence[Any]], mark: str) -> str:
    return ", ".join(_key(key, mark) for key in keys)


def _key(key: Sequence[Any], mark: str) -> str:
    text = " / ".join(map(str, key))
    return f"{mark}{mark} {text} {mark}{mark}" if mark and mark in text else f"{mark}{text}{mark}"


def _marked(text: str, mark: str) -> str:
    return text if mark else text.replace("`", "")


def _escaped(text: str) -> str:
    return visible(text).replace("|", "\\|")


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"
