"""The contract is the only definition of the fields, and everything else follows from it."""

from __future__ import annotations

import json
from typing import Any

import datasets
import jsonschema
import pyarrow as pa
import pytest

from broadsheet import contract
from broadsheet.contract import TABLES, violations

SCHEMAS = ["article", "paragraph", "stance", "evidence", "annotations", "recipe"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_a_valid_one_and_says_what_it_is(name: str) -> None:
    schema = contract.package_schema(f"{name}.schema.json")
    jsonschema.Draft202012Validator.check_schema(dict(schema))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].split(":")[3:] == [name, "1.0.0"]


@pytest.mark.parametrize("name", ["article", "paragraph", "stance", "evidence", "recipe"])
def test_every_field_has_a_title_and_a_description(name: str) -> None:
    schema = contract.package_schema(f"{name}.schema.json")
    bare = [path for path, prop in _properties(schema) if not _told(prop | dict(contract.resolve(prop, schema)))]
    assert bare == []


def _told(prop: dict[str, Any]) -> bool:
    return bool(prop.get("title")) and bool(prop.get("description"))


def _properties(node: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, prop in node.get("properties", {}).items():
        found += [(f"{path}/{name}", prop), *_properties(prop, f"{path}/{name}")]
        found += _properties(prop.get("items", {}), f"{path}/{name}[]")
    for name, definition in node.get("$defs", {}).items():
        found += _properties(definition, f"{path}#{name}") if "title" in definition else []
    return found


@pytest.mark.parametrize("table", TABLES)
def test_a_table_schema_stands_alone(table: str) -> None:
    """Plain jsonschema validates with the released file and nothing else, and fetches nothing."""
    schema = json.loads(contract.schema_text(contract.table_schema(table)))
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors({"id": 1, "evidence": [{}], "provenance": {}}))
    assert errors


@pytest.mark.parametrize("table", TABLES)
def test_the_hub_features_are_those_of_datasets_itself(table: str) -> None:
    schema = contract.table_schema(table)
    features = datasets.Features._from_yaml_list(contract.hub_features(schema))  # noqa: SLF001 - the card's own form
    plain = datasets.Features.from_arrow_schema(_nullable(contract.arrow_schema(schema)))
    for name, feature in features.items():
        if isinstance(feature, datasets.ClassLabel):
            assert plain[name] == datasets.Value("string")
            assert feature.names == [value for value in schema["properties"][name]["enum"] if value is not None]
        else:
            assert feature == plain[name], name


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, field.type) for field in schema])


@pytest.mark.parametrize("table", TABLES)
def test_a_null_is_allowed_in_arrow_where_the_schema_allows_it(table: str) -> None:
    schema = contract.table_schema(table)
    arrow = contract.arrow_schema(schema)
    for name, prop in schema["properties"].items():
        types = contract.resolve(prop, schema)["type"]
        assert arrow.field(name).nullable == ("null" in types), name


def test_the_field_table_names_nested_fields() -> None:
    names = [field.name for field in contract.field_table(contract.table_schema("articles"))]
    assert "provenance.claims[].evidence[].exact" in names
    assert "references[].url" in names


CLAIM: dict[str, Any] = {
    "article_id": "a",
    "field": "author",
    "value": None,
    "basis": "unknown",
    "confidence": None,
    "evidence": [],
    "note": None,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"basis": "stated"}, ["BS206 /evidence", "BS206 /value"]),
        ({"basis": "unknown", "value": "Ada"}, ["BS206 /value"]),
        ({"basis": "external", "value": "Ada"}, ["BS206 /note"]),
        ({"basis": "inferred", "value": "Ada", "note": "Argued."}, ["BS206 /confidence"]),
        ({"basis": "inferred", "value": "Ada", "confidence": "high"}, ["BS206 "]),
        ({"basis": "guessed"}, ["BS203 /basis"]),
        (
            {"field": "published", "basis": "inferred", "value": "2012-13", "confidence": "low", "note": "x"},
            ["BS205 /value"],
        ),
        ({"field": "published", "basis": "inferred", "value": "2012", "confidence": "low", "note": "x"}, []),
        (
            {"field": "genre", "basis": "inferred", "value": "gossip", "confidence": "low", "note": "x"},
            ["BS203 /value"],
        ),
        ({"extra": 1}, ["BS202 /extra"]),
        ({"value": 3}, ["BS204 /value"]),
    ],
)
def test_violations_of_a_claim(change: dict[str, Any], expected: list[str]) -> None:
    found = violations(CLAIM | change, contract.definition("claim"))
    assert sorted(f"{violation.code} {violation.pointer}" for violation in found) == expected


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"additionalProperties": False, "patternProperties": {"^(a+)+$": {}}}, {"a" * 60 + "!": 1}, "BS202"),
        ({"patternProperties": {"^(a+)+$": {}}, "required": ["b"]}, {"a" * 60 + "!": 1}, "BS201"),
        ({"patternProperties": {"^a+$": {"type": "string"}}}, {"aaa": 1}, "BS204"),
        ({"additionalProperties": {"type": "string"}, "patternProperties": {"^a+$": {}}}, {"aa": 1, "b": 1}, "BS204"),
        ({"propertyNames": {"pattern": "^(a+)+$"}}, {"a" * 60 + "!": 1}, "BS205"),
        ({"patternProperties": {"^a+$": {}}, "additionalProperties": False}, {"aa": 1, "b": 1}, "BS202"),
    ],
)
def test_patterns_over_names_take_linear_time_too(schema: dict[str, Any], value: Any, expected: str) -> None:
    (found,) = contract.Judge(schema).violations(value)
    assert found.code == expected
    assert expected != "BS202" or found.pointer.endswith(("!", "/b"))


def test_patterns_that_could_not_be_stopped_make_a_schema_unusable() -> None:
    with pytest.raises(contract.UnusableSchema, match="unevaluatedProperties"):
        contract.Judge({"patternProperties": {"^(a+)+$": {}}, "allOf": [{"unevaluatedProperties": False}]})


def test_a_schema_with_open_first_items_is_not_closed() -> None:
    assert contract.is_closed({"type": "array", "items": {"type": "string"}})
    assert not contract.is_closed({"type": "array", "prefixItems": [{}], "items": {"type": "string"}})


def test_a_misspelt_field_is_one_problem() -> None:
    claim = {"basi" if key == "basis" else key: value for key, value in CLAIM.items()}
    (found,) = violations(claim, contract.definition("claim"))
    assert (found.code, found.hint) == ("BS202", "Did you mean 'basis'?")


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/schema.json", "file:///etc/passwd"])
def test_no_reference_is_ever_fetched(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *args, **_: opened.append(str(args)))
    with pytest.raises(contract.UnusableSchema):
        contract.Judge({"$id": "urn:x", "$ref": address})
    assert opened == []


LABEL: dict[str, Any] = {
    "article_id": "a",
    "target_id": "t",
    "stance": "favor",
    "intensity": None,
    "holder": "author",
    "confidence": None,
    "rationale": None,
    "basis": "external",
    "evidence": [],
    "annotator_id": "source",
    "annotator_kind": "human",
    "guideline_version": None,
    "annotated_on": None,
    "is_gold": True,
    "aggregation": "external",
    "n_annotators": None,
}
QUOTE = {"source": "text", "exact": "x", "prefix": "", "suffix": "", "start": 0, "end": 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"stance": "not_addressed", "basis": "stated"}, []),
        ({"basis": "stated", "evidence": [QUOTE]}, []),
        ({"basis": "stated"}, ["BS206 /evidence"]),
        ({"evidence": [QUOTE]}, ["BS206 /evidence"]),
        ({"intensity": -1}, ["BS206 /intensity"]),
        ({"stance": "against", "intensity": 1}, ["BS206 /intensity"]),
        ({"stance": "neutral", "intensity": 1}, ["BS206 /intensity"]),
        ({"stance": "unclear", "intensity": 0}, ["BS206 /intensity"]),
        ({"is_gold": False}, ["BS206 /aggregation", "BS206 /n_annotators"]),
    ],
)
def test_a_label_rests_on_quotes_or_says_that_it_came_without(change: dict[str, Any], expected: list[str]) -> None:
    found = violations(LABEL | change, contract.table_schema("stances"))
    assert sorted(f"{violation.code} {violation.pointer}" for violation in found) == expected
