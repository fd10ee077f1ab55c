"""Evolution: takes two schemas of one table, gives what changed from one to the other, field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broadsheet import contract, jsonl
from broadsheet.contract import Schema
from broadsheet.versions import RULES, Bump

#: The fields that two schemas share, each with those within it; a field without any has None.
Tree = Mapping[str, "Tree | None"]


@dataclass(frozen=True)
class SchemaChange:
    """One change in the schema of *table*: in which *field* (dotted; empty: the table itself), by which of `RULES`.

    *detail* says it in words.
    """

    table: str
    field: str
    rule: str
    detail: str

    @property
    def bump(self) -> Bump:
        """What it calls for."""
        return RULES[self.rule].bump


def changes(table: str, old: Schema | None, new: Schema | None) -> list[SchemaChange]:
    """Give what changed from the schema *old* of *table* to *new*; either may be missing, as the table is."""
    if old is None or new is None:
        if old is new:
            return []
        rule = "table added" if old is None else "table removed"
        return [SchemaChange(table, "", rule, f"the table {table}")]
    found = [*_object("", old, new, old, new), *_beside(old, new)]
    return [SchemaChange(table, field, rule, detail) for field, rule, detail in dict.fromkeys(found)]


def shared(old: Schema, new: Schema) -> tuple[Tree, bool]:
    """Give the fields that both schemas have, and whether they are all fields of both."""
    return _shared(old, new, old, new)


def project(value: Any, tree: Tree) -> Any:
    """Give *value*, a row or what is within it, with the fields of *tree* only."""
    if isinstance(value, list):
        return [project(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    inner = ((name, below) for name, below in tree.items() if name in value)
    return {name: value[name] if below is None else project(value[name], below) for name, below in inner}


_Found = tuple[str, str, str]

#: What a schema says to people, or of other tables, and no validator looks at.
_DESCRIBES = frozenset(
    [
        *("title", "description", "$comment", "examples", "default", "deprecated", "readOnly", "writeOnly"),
        *("$id", "$schema", "x-enum-descriptions", "x-foreign-keys"),
    ]
)
#: Keywords whose changes are looked at one by one, below.
_OWN = frozenset(
    ("type", "enum", "format", "properties", "required", "items", "x-class-label", "$defs", "$ref", "allOf")
)
#: Keywords with a bound: that of a smaller one narrows, or that of a larger one.
_LOWER = frozenset(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"))
_UPPER = frozenset(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"))


def _object(prefix: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[_Found]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in dict.fromkeys([*before, *after]):
        dotted = prefix + name
        if name not in after:
            yield dotted, "field removed", f"`{dotted}` is gone"
        elif name not in before:
            prop = contract.resolve(after[name], new_root)
            optional = "null" in _types(prop) or name not in new.get("required", ())
            kind = _said(sorted(_types(prop)))
            yield dotted, "field added" if optional else "required field added", f"`{dotted}` is new: {kind}"
        else:
            pair = contract.resolve(before[name], old_root), contract.resolve(after[name], new_root)
            yield from _field(dotted, *pair, old_root, new_root)
            yield from _required(dotted, name in old.get("required", ()), name in new.get("required", ()))
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield prefix.rstrip(".[]"), "described", "fields stand in another order"


def _required(dotted: str, before: bool, after: bool) -> Iterator[_Found]:  # noqa: FBT001 - two states of one thing
    if after and not before:
        yield dotted, "narrowed", f"`{dotted}` may not be missing any more"
    elif before and not after:
        yield dotted, "widened", f"`{dotted}` may be missing"


def _field(dotted: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[_Found]:
    yield from _type(dotted, old, new)
    yield from _enum(dotted, old, new)
    yield from _keywords(dotted, old, new)
    if "properties" in old and "properties" in new:
        yield from _object(f"{dotted}.", old, new, old_root, new_root)
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        items = contract.resolve(old["items"], old_root), contract.resolve(new["items"], new_root)
        yield from _field(f"{dotted}[]", *items, old_root, new_root)


def _type(dotted: str, old: Schema, new: Schema) -> Iterator[_Found]:
    before, after = _types(old), _types(new)
    if before - {"null"} != after - {"null"}:
        told = f"{_said(sorted(before))} → {_said(sorted(after))}"
        yield dotted, "type changed", f"`{dotted}`: {told}"
    elif "null" in before - after:
        yield dotted, "narrowed", f"`{dotted}` may not be null any more"
    elif "null" in after - before:
        yield dotted, "widened", f"`{dotted}` may be null"
    if old.get("format") != new.get("format"):
        told = f"format {old.get('format', 'any')} → {new.get('format', 'any')}"
        yield dotted, "type changed", f"`{dotted}`: {told}"
    if bool(old.get("x-class-label")) != bool(new.get("x-class-label")):
        yield (
            dotted,
            "type changed",
            f"`{dotted}` is {'a label now' if new.get('x-class-label') else 'no label any more'}",
        )


def _enum(dotted: str, old: Schema, new: Schema) -> Iterator[_Found]:
    before, after = ([value for value in schema.get("enum", ()) if value is not None] for schema in (old, new))
    if ("enum" in old) != ("enum" in new):
        rule = "narrowed" if "enum" in new else "widened"
        yield dotted, rule, f"`{dotted}` {'is one of certain values now' if 'enum' in new else 'may be any value'}"
        return
    gone, come = [v for v in before if v not in after], [v for v in after if v not in before]
    if gone:
        yield dotted, "narrowed", f"`{dotted}` may not be {_said(gone)} any more"
    if come:
        yield dotted, "widened", f"`{dotted}` may be {_said(come)}"
    if old.get("x-class-label") and new.get("x-class-label") and after[: len(before)] != before:
        yield dotted, "type changed", f"`{dotted}`: the labels' numbers are other ones"
    elif not gone and not come and before != after:
        yield dotted, "described", f"`{dotted}` names its values in another order"


def _keywords(dotted: str, old: Schema, new: Schema) -> Iterator[_Found]:
    for key in sorted({*old, *new} - _OWN):
        before, after = old.get(key), new.get(key)
        if _same(before, after):
            continue
        if key in _DESCRIBES:
            yield dotted, "described", f"`{dotted}` has another {key}" if dotted else f"the table has another {key}"
        else:
            told = f"{key} {_shown(before)} → {_shown(after)}"
            yield dotted, _bound(key, before, after), f"`{dotted}`: {told}" if dotted else f"the table: {told}"


def _bound(key: str, before: Any, after: Any) -> str:
    """Give whether a changed keyword narrows or widens; what cannot be told narrows."""
    if after is None:
        return "widened"
    if before is None or key not in _LOWER | _UPPER:
        return "narrowed"
    return "narrowed" if (after > before) == (key in _LOWER) else "widened"


def _beside(old: Schema, new: Schema) -> Iterator[_Found]:
    """Give what changed in a table's schema beside its fields: its own description, and the rules that join fields."""
    yield from _keywords("", old, new)
    before, after = ([_bare(rule) for rule in schema.get("allOf", ())] for schema in (old, new))
    if any(rule not in after for rule in before):
        yield "", "widened", "the table has a rule fewer"
    if any(rule not in before for rule in after):
        yield "", "narrowed", "the table has a new rule"
    elif not _same(old.get("allOf"), new.get("allOf")) and len(before) == len(after):
        yield "", "described", "the table's rules are described otherwise"


def _bare(node: Any) -> Any:
    """Give the schema *node* without what only describes."""
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    # A field may be called `title`.
    bare = {key: _bare(item) for key, item in node.items() if key not in _DESCRIBES and key != "properties"}
    if "properties" in node:
        bare["properties"] = {name: _bare(prop) for name, prop in node["properties"].items()}
    return bare


def _shared(old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> tuple[Tree, bool]:
    before, after = old.get("properties", {}), new.get("properties", {})
    tree: dict[str, Tree | None] = {}
    complete = set(before) == set(after)
    for name in before:
        if name in after:
            pair = contract.resolve(before[name], old_root), contract.resolve(after[name], new_root)
            if all(isinstance(prop.get("items"), dict) for prop in pair):
                pair = contract.resolve(pair[0]["items"], old_root), contract.resolve(pair[1]["items"], new_root)
            within = all("properties" in prop for prop in pair)
            tree[name], whole = _shared(*pair, old_root, new_root) if within else (None, True)
            complete &= whole
    return tree, complete


def _types(prop: Schema) -> set[str]:
    declared = prop.get("type", ())
    return {declared} if isinstance(declared, str) else set(declared)


def _same(one: Any, other: Any) -> bool:
    return jsonl.canonical(one) == jsonl.canonical(other)


def _said(values: Sequence[Any]) -> str:
    return " or ".join(map(str, values))


def _shown(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
