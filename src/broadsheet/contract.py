"""The contract: takes the JSON Schemas, gives validators, Arrow schemas, the hub's features and field tables.

The schemas (JSON Schema, draft 2020-12) are the only place where a field is defined. Beyond the standard they use
three annotations: ``x-primary-key``, ``x-foreign-keys`` and ``x-class-label``.
"""

from __future__ import annotations

import datetime
import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import jsonschema
import jsonschema_rs
import pyarrow as pa
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Schema = Mapping[str, Any]
Row = dict[str, Any]

#: The tables of a dataset, in order, and the schema file of each; the first is the default.
TABLES: Mapping[str, str] = {
    "articles": "article.schema.json",
    "paragraphs": "paragraph.schema.json",
    "stances": "stance.schema.json",
}
#: Roles whose lines make up an article's `text`.
TEXT_ROLES = ("heading", "standfirst", "body")


class Violation(NamedTuple):
    """One way in which a value breaks its schema; *code* is one of BS201 to BS206, *pointer* is RFC 6901's."""

    code: str
    pointer: str
    message: str
    hint: str


@dataclass(frozen=True)
class Field:
    """One field of a table as a reader sees it: dotted *name*, *type* in words, *description*, and allowed *values*."""

    name: str
    type: str
    description: str
    values: Sequence[str]


def package_schema(name: str) -> Schema:
    """Give the schema of this package that has the file name *name*, as it is written."""
    return _package_schemas()[name]


@cache
def table_schema(table: str) -> Schema:
    """Give *table*'s schema complete in itself, as a release carries it.

    Schemas it refers to are embedded under ``$defs`` with their ``$id`` (JSON Schema 2020-12, section 9.3.1,
    compound schema documents), so any validator can use it alone and offline.
    """
    schema = dict(package_schema(TABLES[table]))
    by_id = {other["$id"]: other for other in _package_schemas().values()}
    references = {node["$ref"].split("#")[0] for node in _nodes(schema) if str(node.get("$ref", "")).startswith("urn:")}
    embedded = {reference.split(":")[3]: by_id[reference] for reference in sorted(references)}
    if embedded:
        schema["$defs"] = {**schema.get("$defs", {}), **embedded}
    return schema


def table_of(schema: Schema) -> str | None:
    """Give the table whose contract *schema* is: the very one of this package, not a copy somebody brings."""
    return next((table for table in TABLES if table_schema(table) is schema), None)


def schema_text(schema: Schema) -> bytes:
    """Give *schema* as the text of a file."""
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()


def definition(name: str) -> Schema:
    """Give the schema of one kind of stand-off annotation row, by its name in ``annotations.schema.json``."""
    return {"$ref": f"{package_schema('annotations.schema.json')['$id']}#/$defs/{name}"}


def with_defaults(value: Mapping[str, Any], schema: Schema, root: Schema | None = None) -> Row:
    """Give *value* with the defaults of *schema*'s properties where it has none, objects within it included."""
    root = schema if root is None else root
    if "$ref" in schema and "properties" not in schema:
        return with_defaults(value, *_follow(schema["$ref"], root))
    row = dict(value)
    for key, prop in schema.get("properties", {}).items():
        if "default" in prop:
            row.setdefault(key, prop["default"])
        if isinstance(row.get(key), dict) and "properties" in prop:
            row[key] = with_defaults(row[key], prop, root)
        if isinstance(row.get(key), list) and "items" in prop:
            items = prop["items"]
            row[key] = [with_defaults(item, items, root) if isinstance(item, dict) else item for item in row[key]]
    return row


class Judge:
    """A schema made ready to judge values: one verdict of two engines.

    jsonschema-rs looks at every value; the reference validator (jsonschema) confirms and explains what it refuses.
    Both assert formats and match patterns by the same engine, in linear time, hold integers to 64 bits, and never
    fetch anything.
    """

    def __init__(self, schema: Schema, registry: Registry[Any] | None = None) -> None:
        """Take a *schema* of draft 2020-12, and a *registry* of those it refers to; raise `UnusableSchema`."""
        self.schema = _with_int64(schema)
        self._reference = _Reference(self.schema, registry=registry or Registry(), format_checker=_formats)
        names = {name for node in _nodes(self.schema) for name in node}
        if {"patternProperties", "unevaluatedProperties"} <= names:
            # The reference would match the patterns itself, and could not be stopped.
            raise UnusableSchema("patternProperties and unevaluatedProperties cannot stand in one schema here")
        try:
            jsonschema_rs.meta.validate(self.schema if isinstance(schema, bool) else {**self.schema, "$schema": DRAFT})
            self.accepts = _fast(self.schema, registry).is_valid
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise UnusableSchema(str(error.message if hasattr(error, "message") else error)) from None

    def violations(self, value: Any) -> list[Violation]:
        """Give every way in which *value* breaks the schema, one at the most for each place in it.

        What only repeats another violation is left out: a field that is missing because its name is misspelt, and the
        rules that join several fields where a single field is wrong already.
        """
        if self.accepts(value):
            return []
        found: dict[str, tuple[int, Violation]] = {}
        for error in sorted(self._reference.iter_errors(value), key=lambda error: list(map(str, error.absolute_path))):
            rank, violation = _violation(error, self.schema)
            if violation.pointer not in found or rank < found[violation.pointer][0]:
                found[violation.pointer] = (rank, violation)
        if not found:
            return [Violation("BS206", "", "the value is refused, but the reference validator finds nothing", "")]
        plain = [violation for rank, violation in found.values() if rank < _RULE]
        misspelt = " ".join(violation.hint for violation in plain if violation.code == "BS202")
        plain = [v for v in plain if v.code != "BS201" or f"'{v.pointer.rsplit('/', 1)[1]}'" not in misspelt]
        return plain or [violation for _, violation in found.values()]


class UnusableSchema(ValueError):  # noqa: N818 - it says what the schema is
    """A schema is not valid, refers to something that is not there, or has a pattern that needs backtracking."""


def judge(schema: Schema) -> Judge:
    """Give the judge of *schema*, made once for the same schema; raise `UnusableSchema`."""
    return _judge(json.dumps(schema))


def violations(value: Any, schema: Schema) -> list[Violation]:
    """Give every way in which *value* breaks one of this package's schemas; see `Judge.violations`."""
    return judge(schema).violations(value)


@cache
def _judge(schema: str) -> Judge:
    loaded = json.loads(schema)
    # A definition refers to this package's schemas; any other schema is complete in itself.
    is_definition = list(loaded) == ["$ref"] and loaded["$ref"].startswith("urn:broadsheet:")
    return Judge(loaded, _registry() if is_definition else None)


def check_schema(schema: Schema) -> None:
    """Raise ``jsonschema.SchemaError`` if *schema* is no valid JSON Schema of draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(schema)


def told_by(columns: Iterable[str]) -> str | None:
    """Give the table that *columns* tell: the one they share most fields with, its key and half of all at least."""
    given = set(columns)
    shared = {}
    for table in TABLES:
        schema = table_schema(table)
        fields = given & set(schema["properties"])
        if set(primary_key(schema)) <= given and 2 * len(fields) >= len(schema["properties"]):
            shared[table] = len(fields)
    return max(shared, key=lambda table: shared[table]) if shared else None


def is_closed(schema: Schema) -> bool:
    """Tell whether *schema* bounds how deep a value can be: every place typed, no object or array left open."""
    try:
        return _closed(schema, schema, ())
    except (KeyError, StopIteration, IndexError, TypeError):
        return False


def _closed(node: Schema, root: Schema, above: tuple[str, ...]) -> bool:
    if "$ref" in node:
        reference = node["$ref"]
        target, document = _follow(reference, root)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return reference not in above and _closed({**target, **beside}, document, (*above, reference))
    types = {node["type"]} if isinstance(node["type"], str) else set(node["type"])
    closed = True
    if "object" in types:
        closed = node["additionalProperties"] is False and "patternProperties" not in node
        closed = closed and all(_closed(prop, root, above) for prop in node["properties"].values())
    if "array" in types:
        closed = closed and "prefixItems" not in node and _closed(node["items"], root, above)
    return closed


def primary_key(schema: Schema) -> Sequence[str]:
    """Give the columns that identify a row, in the order rows are sorted by for the digest."""
    key: Sequence[str] = schema["x-primary-key"]
    return key


def resolve(node: Schema, root: Schema) -> Schema:
    """Give *node* with its ``$ref`` followed; what stands beside the ``$ref`` (a title, a default) wins."""
    if "$ref" not in node:
        return node
    target, document = _follow(node["$ref"], root)
    beside = {key: value for key, value in node.items() if key != "$ref"}
    return {**resolve(target, document), **beside}


def _follow(reference: str, root: Schema) -> tuple[Any, Schema]:
    """Give what *reference* points at, and the document it stands in."""
    base, _, pointer = reference.partition("#")
    embedded = [schema for schema in root.get("$defs", {}).values() if schema.get("$id") == base]
    packaged = [schema for schema in _package_schemas().values() if schema["$id"] == base]
    document = [*embedded, *packaged][0] if base else root
    target: Any = document
    for step in filter(None, pointer.split("/")):
        target = target[step]
    return target, document


def arrow_schema(schema: Schema) -> pa.Schema:
    """Give the Arrow schema of a table: columns in the order of the schema's properties, non-null where it says so."""
    return pa.schema([_arrow_field(name, resolve(prop, schema), schema) for name, prop in schema["properties"].items()])


def column_differences(found: pa.Schema, expected: pa.Schema, *, exactly: bool = False) -> list[str]:
    """Give in words what the columns *found* have other than those *expected*.

    Unless they must be the same *exactly*, what writers differ in is let pass: whether a column declares itself
    nullable, what a list calls its elements, and the width of numbers and strings.
    """
    messages = []
    for name in dict.fromkeys([*expected.names, *found.names]):
        if name not in found.names:
            messages.append(f"the column '{name}' is missing")
        elif name not in expected.names:
            messages.append(f"the column '{name}' is not in the contract")
        else:
            got, want = found.field(name), expected.field(name)
            if got != want if exactly else not _fits(got.type, want.type):
                messages.append(f"the column '{name}' is {_type(got)}, the contract says {_type(want)}")
    return messages


def _type(field: pa.Field) -> str:
    return f"{field.type}" + ("" if field.nullable else " not null")


def _fits(got: pa.DataType, want: pa.DataType) -> bool:  # noqa: PLR0911 - a table of cases
    kinds = pa.types
    if kinds.is_dictionary(got):
        return _fits(got.value_type, want)
    if kinds.is_null(got) or got == want:
        return True
    if kinds.is_struct(want):
        names = [field.name for field in want]
        same = kinds.is_struct(got) and [field.name for field in got] == names
        return same and all(_fits(got.field(name).type, want.field(name).type) for name in names)
    if kinds.is_list(want):
        return (kinds.is_list(got) or kinds.is_large_list(got)) and _fits(got.value_type, want.value_type)
    if kinds.is_string(want):
        return bool(kinds.is_large_string(got) or kinds.is_string_view(got) or kinds.is_timestamp(got))
    if kinds.is_floating(want):
        return bool(kinds.is_floating(got) or kinds.is_integer(got) or kinds.is_decimal(got))
    return bool(kinds.is_integer(want) and kinds.is_integer(got))


def hub_features(schema: Schema) -> list[dict[str, Any]]:
    """Give the table's ``features`` as the dataset card's YAML holds them (the form of ``datasets.Features``).

    Fields with ``x-class-label`` become a ClassLabel with the enumeration's values as names.
    """
    return [_hub_feature(name, resolve(prop, schema), schema) for name, prop in schema["properties"].items()]


def croissant_fields(schema: Schema, table: str, file_set: str) -> list[dict[str, Any]]:
    """Give *table*'s fields as Croissant 1.1 has them; their values are read from the Parquet files of *file_set*.

    What is nested is a ``subField``, reached from its column by one JSONPath for each step. Croissant has no words for
    what lies in a list of a list: such fields are described, and have no source.
    """
    foreign = {
        column: f"{key['table']}/{target}"
        for key in schema.get("x-foreign-keys", ())
        for column, target in zip(key["columns"], key["references"], strict=True)
    }
    return [
        _croissant_field((table, name), raw, schema, file_set)
        | ({"references": {"field": {"@id": foreign[name]}}} if name in foreign else {})
        for name, raw in schema["properties"].items()
    ]


def field_table(schema: Schema) -> list[Field]:
    """Give every field of a table, nested ones with dotted names (``references[].url``), in order."""
    return list(_fields(schema, schema, ""))


def _fast(schema: Any, registry: Registry[Any] | None) -> Any:
    """Give the validator of jsonschema-rs for *schema*; raise its errors where it cannot be made."""
    packaged: Any = [(judged["$id"], judged) for judged in _judged_schemas().values()]
    return jsonschema_rs.Draft202012Validator(
        schema,
        formats={"partial-date": is_partial_date},
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        registry=jsonschema_rs.Registry(packaged) if registry is not None else None,
        offline=True,
    )


def _with_int64(node: Any) -> Any:
    """Give the schema *node* with the bounds of a signed 64-bit integer wherever only integers are allowed."""
    if isinstance(node, list):
        return [_with_int64(item) for item in node]
    if not isinstance(node, dict):
        return node
    value = {key: item if key in _DATA_KEYWORDS else _with_int64(item) for key, item in node.items()}
    types = [value["type"]] if isinstance(value.get("type"), str) else value.get("type")
    if isinstance(types, list) and "integer" in types and "number" not in types:
        value.setdefault("minimum", INT64_MIN)
        value.setdefault("maximum", INT64_MAX)
    return value


DRAFT = "https://json-schema.org/draft/2020-12/schema"
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
_DATA_KEYWORDS = ("const", "enum", "default", "examples")


def _matches(_: Any, pattern: str, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """Judge ``pattern`` as the fast engine does: Python's own would backtrack, and let ``$`` match early."""
    if isinstance(value, str) and not _pattern(pattern).is_valid(value):
        yield jsonschema.ValidationError(f"{_shown(value)} does not match {pattern!r}")


@cache
def _pattern(pattern: str) -> Any:
    return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())


def _pattern_properties(engine: Any, patterns: Any, value: Any, _: Any) -> Iterator[jsonschema.ValidationError]:
    """Judge ``patternProperties`` as the reference does, but with names matched by the fast engine."""
    for pattern, inner in patterns.items() if isinstance(value, dict) else ():
        for name in filter(_pattern(pattern).is_valid, value):
            yield from engine.descend(value[name], inner, path=name, schema_path=pattern)


def _additional_properties(engine: Any, inner: Any, value: Any, node: Any) -> Iterator[jsonschema.ValidationError]:
    """Judge ``additionalProperties`` as the reference does, but with names matched by the fast engine."""
    extras = _extras(value, node) if isinstance(value, dict) else []
    if isinstance(inner, dict):
        for name in extras:
            yield from engine.descend(value[name], inner, path=name)
    elif not inner and extras:
        yield jsonschema.ValidationError(f"{', '.join(extras)} not known")


def _extras(value: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    """Give the names in *value* that neither the properties nor the patterns of *node* know."""
    patterns = [_pattern(pattern) for pattern in node.get("patternProperties", ())]
    known = node.get("properties", ())
    return [name for name in value if name not in known and not any(p.is_valid(name) for p in patterns)]


_extend: Any = jsonschema.validators.extend
_Reference = _extend(
    jsonschema.Draft202012Validator,
    {"pattern": _matches, "patternProperties": _pattern_properties, "additionalProperties": _additional_properties},
)
_RULE = 5
_FORMATS = {
    "date": "a date of the calendar, YYYY-MM-DD",
    "partial-date": "a date of the calendar: YYYY, YYYY-MM or YYYY-MM-DD",
    "uri": "a URI (RFC 3986)",
    "date-time": "a date and time with its offset from UTC (RFC 3339)",
}
_RANKS = {
    "required": (0, "BS201"),
    "additionalProperties": (0, "BS202"),
    "type": (1, "BS204"),
    "enum": (2, "BS203"),
    "format": (3, "BS205"),
    "pattern": (4, "BS205"),
}


def _violation(error: jsonschema.ValidationError, schema: Schema) -> tuple[int, Violation]:  # noqa: C901 - a table
    rank, code = _RANKS.get(str(error.validator), (_RULE, "BS206"))
    rule = _rule(error, schema)
    if rule and error.validator != "format":
        rank, code = _RULE, "BS206"
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in error.absolute_path)
    expected: Any = error.validator_value
    got: Any = error.instance
    failed: Any = error.schema
    hint = ""
    match error.validator:
        case "required":
            missing = next(key for key in expected if key not in got)
            message, pointer = f"the field '{missing}' is missing", f"{pointer}/{missing}"
        case "additionalProperties":
            known = failed.get("properties", {})
            unknown = _extras(got, failed)[0]
            message, pointer = f"the field '{unknown}' is not known", f"{pointer}/{unknown}"
            hint = did_you_mean(unknown, known)
        case "enum":
            allowed = [str(value) for value in expected if value is not None]
            message = f"{_shown(got)} is not one of {', '.join(allowed)}"
            hint = did_you_mean(str(got), allowed)
        case "type":
            names = [expected] if isinstance(expected, str) else expected
            message = f"expected {' or '.join(names)}, got {_shown(got)}"
        case "format":
            message = f"{_shown(got)} is not {_FORMATS.get(str(expected), f'of the format {expected}')}"
        case "pattern":
            message, hint = f"{_shown(got)} has not the form it must have", failed.get("description", "")
        case "maximum" | "minimum" if expected in (INT64_MIN, INT64_MAX):
            code, message = "BS113", f"{_shown(got)} does not fit in a signed 64-bit integer"
            hint = "Declare it as a string, or correct the value."
        case "minItems":
            message = f"at least {expected} needed, got {len(got)}"
        case "maxItems":
            message = f"at most {expected} allowed, got {len(got)}"
        case "const":
            message = f"expected {_shown(expected)}, got {_shown(got)}"
        case _:
            message = error.message
    return rank, Violation(code, pointer, message, hint or rule)


def _rule(error: jsonschema.ValidationError, schema: Schema) -> str:
    """Give the description of the if/then that *error* comes from, or nothing if it comes from none."""
    for node in _nodes([schema, *_judged_schemas().values()]):
        branches = [node[key] for key in ("then", "else") if "if" in node and key in node]
        if any(inner is error.schema for inner in _nodes(branches)):
            return str(node.get("description", ""))
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give "Did you mean …?" for the nearest of *known* to *word*, or nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean '{near[0]}'?" if near else ""


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    limit = 80
    return text if len(text) <= limit else text[: limit - 1] + "…"


_formats = jsonschema.FormatChecker(formats=())


@_formats.checks("partial-date")
def is_partial_date(value: object) -> bool:
    """Check the calendar dates of EDTF level 0 (ISO 8601-2): a year, a month or a day."""
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?", value):
        return False
    try:
        datetime.date.fromisoformat((value + "-01-01")[:10])
    except ValueError:
        return False
    return True


def _conforms(name: str) -> Callable[[object], bool]:
    accepts: Callable[[object], bool] = jsonschema_rs.Draft202012Validator(
        {"format": name}, validate_formats=True
    ).is_valid
    return accepts


# The formats of draft 2020-12, asserted by the fast engine for the reference too.
for _name in (
    *("date", "date-time", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6"),
    *("uri", "uri-reference", "iri", "iri-reference", "uri-template", "uuid", "json-pointer"),
    *("relative-json-pointer", "regex"),
):
    _formats.checks(_name)(_conforms(_name))


def _json_type(prop: Schema) -> tuple[str, bool]:
    """Give a property's one JSON type, and whether it may be null."""
    declared = prop["type"]
    types = [declared] if isinstance(declared, str) else list(declared)
    nullable = "null" in types
    (name,) = [name for name in types if name != "null"]
    return name, nullable


def _arrow_field(name: str, prop: Schema, root: Schema) -> pa.Field:
    return pa.field(name, _arrow_type(prop, root), nullable=_json_type(prop)[1])


def _arrow_type(prop: Schema, root: Schema) -> pa.DataType:
    match _json_type(prop)[0]:
        case "object":
            return pa.struct([_arrow_field(k, resolve(v, root), root) for k, v in prop["properties"].items()])
        case "array":
            return pa.list_(_arrow_field("element", resolve(prop["items"], root), root))
        case "string" if prop.get("format") == "date":
            return pa.date32()
        case other:
            return {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}[other]


def _hub_feature(name: str, prop: Schema, root: Schema) -> dict[str, Any]:
    return {"name": name, **_hub_type(prop, root)}


def _hub_type(prop: Schema, root: Schema) -> dict[str, Any]:
    match _json_type(prop)[0]:
        case "object":
            return {"struct": [_hub_feature(k, resolve(v, root), root) for k, v in prop["properties"].items()]}
        case "array":
            items = _hub_type(resolve(prop["items"], root), root)
            # The YAML form of a list of plain values names their type at once.
            return {"list": items.get("dtype", items.get("struct"))}
        case "string" if prop.get("x-class-label"):
            labels = [value for value in prop["enum"] if value is not None]
            return {"dtype": {"class_label": {"names": {str(i): label for i, label in enumerate(labels)}}}}
        case "string" if prop.get("format") == "date":
            return {"dtype": "date32"}
        case other:
            return {"dtype": {"string": "string", "integer": "int64", "number": "float64", "boolean": "bool"}[other]}


def _croissant_field(path: tuple[str, ...], raw: Schema, root: Schema, file_set: str, lists: int = 0) -> dict[str, Any]:
    """Give the field at *path*, from its table on, which lies in so many *lists*."""
    prop = resolve(raw, root)
    field: dict[str, Any] = {"@type": "cr:Field", "@id": "/".join(path), "name": path[-1]}
    if "description" in prop:
        field["description"] = prop["description"]
    if _json_type(prop)[0] == "array":
        field |= {"isArray": True, "arrayShape": "-1"}
        lists += 1
        prop = resolve(prop["items"], root)
    kind = _json_type(prop)[0]
    if kind == "object":
        inner = prop["properties"].items()
        return field | {"subField": [_croissant_field((*path, k), v, root, file_set, lists) for k, v in inner]}
    field["dataType"] = "sc:Date" if prop.get("format") == "date" else _CROISSANT_TYPES[kind]
    if lists > 1:
        return field
    source: dict[str, Any] = {"fileSet": {"@id": file_set}, "extract": {"column": path[1]}}
    steps = [{"jsonPath": step} for step in path[2:]]
    return field | {"source": source | ({"transform": steps} if steps else {})}


_CROISSANT_TYPES = {"string": "sc:Text", "integer": "sc:Integer", "number": "sc:Float", "boolean": "sc:Boolean"}


def _fields(node: Schema, root: Schema, prefix: str) -> Iterator[Field]:
    for name, raw in node["properties"].items():
        prop = resolve(raw, root)
        kind, nullable = _json_type(prop)
        dotted = prefix + name
        inner: Schema | None = prop if kind == "object" else None
        if kind == "array":
            items = resolve(prop["items"], root)
            kind = "list"
            if _json_type(items)[0] == "object":
                inner, dotted = items, dotted + "[]"
            else:
                kind = f"list of {_json_type(items)[0]}"
        kind = "date" if prop.get("format") == "date" else "label" if prop.get("x-class-label") else kind
        values = [value for value in prop.get("enum", []) if value is not None]
        yield Field(dotted, f"{kind} or null" if nullable else kind, prop.get("description", ""), values)
        if inner is not None:
            yield from _fields(inner, root, dotted + ".")


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(item)


@cache
def _package_schemas() -> Mapping[str, Schema]:
    folder = resources.files("broadsheet") / "schema"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


@cache
def _judged_schemas() -> Mapping[str, Schema]:
    return {name: _with_int64(schema) for name, schema in _package_schemas().items()}


@cache
def _registry() -> Registry[Any]:
    resources_ = ((schema["$id"], DRAFT202012.create_resource(schema)) for schema in _judged_schemas().values())
    return Registry().with_resources(resources_)
