"""Extensions: takes a recipe, gives the schemas of its tables: the contracts, and the fields that the dataset adds.

Fields are added by a JSON Schema in the dataset's folder, ``schema/<table>.schema.json``, and by the recipe: the
source's leaning, and dates as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from broadsheet import contract, jsonl
from broadsheet.contract import Schema
from broadsheet.problems import Problem, raise_if
from broadsheet.recipe import Recipe

#: What a field's schema may say beside its type is what any JSON Schema may say; these a column cannot hold.
_OPEN = ("patternProperties", "prefixItems", "unevaluatedProperties", "$ref", "$dynamicRef")
_TYPES = ("string", "integer", "number", "boolean", "object", "array")


def schemas(recipe: Recipe) -> dict[str, Schema]:
    """Give the schema of each table of the dataset; raise `InvalidData` with what is wrong with those it brings."""
    found: dict[str, Schema] = {}
    problems: list[Problem] = []
    for table in contract.TABLES:
        fields = dict(_of_recipe(recipe, table))
        more: Mapping[str, Any] = {}
        path = recipe.folder / "schema" / f"{table}.schema.json"
        if path.is_file():
            more, wrong = _read(path.read_bytes(), recipe.shown(path), table)
            fields |= more.get("properties", {})
            problems += wrong
        if not problems:
            found[table] = _extended(table, fields, more.get("allOf", ()), recipe.name)
            problems += _unusable(found[table], recipe.shown(path))
    raise_if(problems)
    return found


def _of_recipe(recipe: Recipe, table: str) -> Iterator[tuple[str, Schema]]:
    """Give the fields that the recipe itself adds to *table*."""
    if table == "articles" and recipe.leaning is not None:
        yield "leaning", LEANING
    for column, written in ((getattr(recipe, table) or {}).get("dates", {})).items():
        if "raw" in written:
            description = f"What `{column}` was read from, as the source writes it (form: {written['format']})."
            yield written["raw"], {"title": "Raw date", "description": description, "type": ["string", "null"]}


LEANING: Schema = {
    "title": "Leaning",
    "description": "The leaning that the source ascribes to the article or its outlet. It is no stance towards a "
    "target, and describes neither the text nor the world: it is passed on as the source has it.",
    "type": ["string", "null"],
    "x-class-label": True,
    "enum": ["left", "center", "right", None],
}


def _read(data: bytes, shown: str, table: str) -> tuple[Mapping[str, Any], list[Problem]]:
    try:
        schema = jsonl.loads(data)
        contract.check_schema(schema)
    except (jsonl.Rejected, UnicodeDecodeError) as error:
        return {}, [Problem("BS124", shown, f"it is no JSON document: {error}")]
    except jsonschema.SchemaError as error:
        pointer = "".join(f"/{step}" for step in error.absolute_path)
        return {}, [Problem("BS117", shown, error.message, pointer=pointer)]
    if not isinstance(schema, dict):
        return {}, [Problem("BS124", shown, "it is no object with `properties`")]
    known = contract.table_schema(table)["properties"]
    problems = []
    for name, prop in schema.get("properties", {}).items():
        pointer = f"/properties/{name}"
        if name in known:
            problems.append(Problem("BS124", shown, f"the contract has a field '{name}' already", pointer=pointer))
        for where, message in _unheld(name, prop, pointer):
            problems.append(Problem("BS124", shown, message, pointer=where))
    return schema, problems


def _unheld(name: str, prop: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Give what a column cannot hold of the field *name*, which *prop* describes."""
    if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name):
        yield pointer, f"'{name}' is no name for a column: letters, digits and _ only"
    if not isinstance(prop, dict) or "type" not in prop:
        yield pointer, f"the field '{name}' has no type, and a column has one"
        return
    types = [one for one in ([prop["type"]] if isinstance(prop["type"], str) else prop["type"]) if one != "null"]
    if len(types) != 1 or types[0] not in _TYPES:
        yield f"{pointer}/type", f"the field '{name}' may be {' or '.join(types) or 'null'}, and a column has one type"
        return
    for keyword in _OPEN:
        if keyword in prop:
            yield f"{pointer}/{keyword}", f"a column can't hold what {keyword} allows"
    if types == ["array"] and not isinstance(prop.get("items"), dict):
        yield pointer, f"the list '{name}' does not say what its items are"
    elif types == ["object"] and (prop.get("additionalProperties") is not False or not prop.get("properties")):
        yield pointer, f"the object '{name}' is open: name its properties, and say additionalProperties: false"
    for inner, described, where in _within(name, prop, pointer):
        yield from _unheld(inner, described, where)


def _within(name: str, prop: Schema, pointer: str) -> Iterator[tuple[str, Any, str]]:
    """Give the fields in the field *name*: its name, its schema, and where that stands."""
    if isinstance(prop.get("items"), dict):
        yield name, prop["items"], f"{pointer}/items"
    for inner, described in prop.get("properties", {}).items():
        yield inner, described, f"{pointer}/properties/{inner}"


def _extended(table: str, fields: Mapping[str, Schema], rules: Any, name: str) -> Schema:
    """Give the contract of *table*, with *fields* and *rules* more; a dataset's own schema has a name of its own."""
    schema = contract.table_schema(table)
    if not fields:
        return schema
    all_rules = [*schema.get("allOf", ()), *rules]
    return {
        **schema,
        "$id": f"urn:broadsheet:dataset:{name}:{table}",
        "required": [*schema["required"], *fields],
        "properties": {**schema["properties"], **{key: _complete(prop) for key, prop in fields.items()}},
        **({"allOf": all_rules} if all_rules else {}),
    }


def _complete(prop: Schema) -> Schema:
    """Give *prop* with every field of its objects required: JSON Lines and Parquet hold the same, and say null."""
    more: dict[str, Any] = {}
    if "properties" in prop:
        more["properties"] = {name: _complete(inner) for name, inner in prop["properties"].items()}
        more["required"] = list(prop["properties"])
    if "items" in prop:
        more["items"] = _complete(prop["items"])
    return {**prop, **more}


def _unusable(schema: Schema, shown: str) -> list[Problem]:
    try:
        contract.judge(schema)
    except contract.UnusableSchema as error:
        return [Problem("BS117", shown, str(error))]
    return []
