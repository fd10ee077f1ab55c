"""Croissant: takes the facts and the datasheet's answers, gives croissant.json, what machines read of a dataset.

The terms are those of Croissant 1.1 (MLCommons) and of its vocabulary for responsible AI (RAI 1.0), in JSON-LD. Every
data file is there with its SHA-256, every table as a record set that reads its Parquet files, every field with the type
and the description that its JSON Schema gives it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from broadsheet import contract, release
from broadsheet.contract import Schema
from broadsheet.documents.datasheet import Answered
from broadsheet.documents.facts import Facts
from broadsheet.release import is_data

#: What the document says it keeps to.
CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
#: The context that the specification recommends in its appendix.
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
            *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
            *("separator", "source", "subField", "transform"),
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
#: Which answers of the datasheet say what a property of the RAI vocabulary asks for.
RAI: Mapping[str, Sequence[str]] = {
    "dataCollection": ("collection.acquisition", "collection.mechanisms"),
    "dataCollectionMissingData": ("composition.missing",),
    "dataCollectionRawData": ("preprocessing.raw",),
    "dataPreprocessingProtocol": ("preprocessing.done",),
    "dataAnnotationProtocol": ("composition.labels",),
    "dataLimitations": ("composition.sample", "composition.errors", "uses.avoid"),
    "dataBiases": ("uses.impact",),
    "dataUseCases": ("uses.tasks",),
    "dataSocialImpact": ("collection.impact",),
    "personalSensitiveInformation": ("composition.individuals", "composition.sensitive"),
    "dataReleaseMaintenancePlan": ("maintenance.updates", "maintenance.versions"),
}
#: The media type as Croissant's own readers know it, and not as it was registered later.
PARQUET = "application/x-parquet"
_LICENSES = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}


def render(facts: Facts, answers: Mapping[str, Answered]) -> str:
    """Give the text of croissant.json; *answers* are those of the datasheet, by the ids of their questions."""
    return json.dumps(document(facts, answers), ensure_ascii=False, indent=2) + "\n"


def document(facts: Facts, answers: Mapping[str, Answered]) -> dict[str, Any]:
    """Give croissant.json as a value."""
    recipe = facts.recipe
    maintainer = {"@type": "sc:Organization", "name": recipe.maintenance["maintainer"]}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": recipe.name,
        "alternateName": recipe.title,
        "description": recipe.summary.strip(),
        "conformsTo": list(CONFORMS_TO),
        "version": recipe.version,
        **({"url": recipe.url} if recipe.url else {}),
        **({"datePublished": recipe.published} if recipe.published else {}),
        "identifier": facts.digest,
        "creator": [maintainer],
        "license": _license(facts),
        "sdLicense": _LICENSES[recipe.rights["annotations_license"]],
        "citeAs": _citation(facts),
        "keywords": list(recipe.tags),
        "inLanguage": [count.value for count in facts.summary.by_language if isinstance(count.value, str)],
        "isLiveDataset": False,
        **{f"rai:{name}": text for name, text in _responsible(facts, answers)},
        "distribution": [*_files(facts), *_file_sets(facts)],
        "recordSet": [_splits(facts), *(_record_set(facts, table) for table in facts.schemas)],
    }


def _license(facts: Facts) -> Any:
    """Give the licence of the whole; where its parts differ, the file that tells them apart, and no licence's URL."""
    rights = facts.recipe.rights
    if rights["license"] == "other":
        return {"@type": "sc:CreativeWork", "name": rights["license_name"], "url": release.LICENSE}
    return rights["license"]


def _citation(facts: Facts) -> str:
    """Give a citation of this version, in BibTeX; the digest tells the data."""
    recipe = facts.recipe
    entries = {
        "title": f"{{{recipe.title}}}",
        "author": f"{{{recipe.maintenance['maintainer']}}}",
        "version": recipe.version,
        "note": f"data digest {facts.digest}",
        **({"date": recipe.published} if recipe.published else {}),
        **({"url": recipe.url} if recipe.url else {}),
    }
    return f"@dataset{{{recipe.name}, " + ", ".join(f"{name} = {{{value}}}" for name, value in entries.items()) + "}"


def _responsible(facts: Facts, answers: Mapping[str, Answered]) -> Iterator[tuple[str, Any]]:
    """Give the properties of the RAI vocabulary: the datasheet's answers, and who labelled."""
    for name, ids in RAI.items():
        texts = [answers[id_].answer for id_ in ids if answers[id_].answer]
        if texts:
            yield name, "\n\n".join(texts)
    if tools := [f"{one.id}: {one.description.strip()}" for one in facts.recipe.annotators if one.kind != "human"]:
        yield "machineAnnotationTools", tools
    if facts.recipe.passes:
        people = sum(one.kind == "human" for one in facts.recipe.passes)
        yield "annotationsPerItem", f"{len(facts.recipe.passes)}, of which {people} by people"


# --- files ---


def _files(facts: Facts) -> Iterator[dict[str, Any]]:
    for name, (digest, size) in sorted(facts.checksums.items()):
        yield {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{size} B",
            "encodingFormat": PARQUET if is_data(name) else "application/jsonlines",
            "sha256": digest,
        }


def _file_sets(facts: Facts) -> Iterator[dict[str, Any]]:
    for table in facts.schemas:
        yield {
            "@type": "cr:FileSet",
            "@id": f"{table}-files",
            "name": f"{table}-files",
            "description": f"The Parquet files of the table {table}, all splits.",
            "encodingFormat": PARQUET,
            "includes": f"data/{table}/*.parquet",
        }


# --- record sets ---


def _splits(facts: Facts) -> dict[str, Any]:
    splits = [split.name for split in facts.sizes["articles"].splits]
    name = {"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"}
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The names of the splits.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [name],
        "data": [{"splits/name": split} for split in splits],
    }


def _record_set(facts: Facts, table: str) -> dict[str, Any]:
    schema = facts.schemas[table]
    return {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "description": schema["description"],
        "key": [{"@id": f"{table}/{column}"} for column in schema["x-primary-key"]],
        "field": [*contract.croissant_fields(schema, table, f"{table}-files"), *_split(schema, table)],
    }


def _split(schema: Schema, table: str) -> Iterator[dict[str, Any]]:
    """Give the field that tells a row's split by the name of its file, unless the table has a column of that name."""
    if "split" in schema["properties"]:
        return
    yield {
        "@type": "cr:Field",
        "@id": f"{table}/split",
        "name": "split",
        "description": "The split the row is in.",
        "dataType": ["sc:Text", "cr:Split"],
        "source": {
            "fileSet": {"@id": f"{table}-files"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": r"^(.+)-\d{5}-of-\d{5}\.parquet$"},
        },
    }
