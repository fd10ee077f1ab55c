"""Verification: takes a release's folder, judges it from its files alone, gives what is wrong.

It trusts no builder: what can be computed from the rows is computed again here, from the rows.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import yaml

from broadsheet import contract, jsonl, release, tables
from broadsheet.assemble import derive
from broadsheet.contract import Row, Schema
from broadsheet.problems import Problem, cannot_run
from broadsheet.tables import Tables


def verify(folder: Path) -> list[Problem]:
    """Give every problem of the release in *folder*; raise `CannotRun` if it is none."""
    if not (folder / release.CHECKSUMS).is_file():
        raise cannot_run("BS601", folder, f"it has no {release.CHECKSUMS}", hint="Name a release's folder.")
    # What comes later rests on what comes before: each step is taken only if all before it found nothing.
    problems = release.check_checksums(folder) or _check_files(folder)
    if problems:
        return problems
    schemas, problems = _read_schemas(folder)
    if problems:
        return problems
    rows, problems = _read_tables(folder, schemas)
    if problems:
        return problems
    for step in (
        _check_keys(rows, schemas),
        _check_sources(rows),
        itertools.chain(_check_articles(rows), _check_stances(rows)),
        _check_documents(folder, rows, schemas),
    ):
        if problems := list(step):
            return problems
    return []


def _check_files(folder: Path) -> list[Problem]:
    names = [release.CARD, release.DATASHEET, release.CODEBOOK, "LICENSE"]
    for table, schema in contract.TABLES.items():
        names += [release.parquet_path(table), release.jsonl_path(table), release.schema_path(schema)]
    missing = [name for name in names if not (folder / name).is_file()]
    return [Problem("BS501", name, "a release must have it") for name in missing]


def _read_schemas(folder: Path) -> tuple[dict[str, Schema], list[Problem]]:
    schemas, problems = {}, []
    for table, file in contract.TABLES.items():
        name = release.schema_path(file)
        try:
            schemas[table] = json.loads((folder / name).read_bytes())
            contract.check_schema(schemas[table])
        except (ValueError, jsonschema.SchemaError) as error:
            problems.append(Problem("BS505", name, f"it is no JSON Schema of draft 2020-12: {error}"))
    return schemas, problems


def _read_tables(folder: Path, schemas: Mapping[str, Schema]) -> tuple[dict[str, list[Row]], list[Problem]]:
    rows: dict[str, list[Row]] = {}
    problems: list[Problem] = []
    for table, schema in schemas.items():
        rows[table], found = _read_table(folder, table, schema)
        problems += found
    return rows, problems


def _read_table(folder: Path, table: str, schema: Schema) -> tuple[list[Row], list[Problem]]:
    name, twin = release.parquet_path(table), release.jsonl_path(table)
    try:
        arrow = tables.read_parquet(folder / name)
    except (pa.ArrowException, OSError) as error:
        return [], [Problem("BS504", name, f"it cannot be read: {error}")]
    differences = contract.column_differences(arrow.schema, contract.arrow_schema(schema), exactly=True)
    if differences:
        return [], [Problem("BS505", name, message) for message in differences]
    rows = tables.from_arrow(arrow)
    problems = [
        Problem(found.code, name, found.message, line=number, pointer=found.pointer, hint=found.hint)
        for number, row in enumerate(rows, start=1)
        for found in contract.violations(row, schema)
    ]
    lines, found = jsonl.parse((folder / twin).read_bytes(), twin)
    problems += found
    if len(lines) != len(rows):
        problems.append(Problem("BS506", twin, f"it has {len(lines)} rows, {name} has {len(rows)}"))
    for (number, value), row in zip(lines, rows, strict=False):
        if value != row:
            keys = [key for key in row if not isinstance(value, dict) or value.get(key) != row[key]] or ["(more keys)"]
            problems.append(Problem("BS506", twin, f"it differs from {name} in {', '.join(keys)}", line=number))
    return rows, problems


def _check_keys(rows: Tables, schemas: Mapping[str, Schema]) -> Iterator[Problem]:
    for table, schema in schemas.items():
        name = release.parquet_path(table)
        first: dict[tuple[Any, ...], int] = {}
        for number, row in enumerate(rows[table], start=1):
            key = tuple(row[column] for column in contract.primary_key(schema))
            if first.setdefault(key, number) != number:
                yield Problem("BS207", name, f"the key {key} is that of row {first[key]} too", line=number)
        for foreign in schema.get("x-foreign-keys", []):
            known = {tuple(row[column] for column in foreign["references"]) for row in rows[foreign["table"]]}
            for number, row in enumerate(rows[table], start=1):
                key = tuple(row[column] for column in foreign["columns"])
                if key not in known:
                    yield Problem("BS208", name, f"{foreign['table']} have no {key}", line=number)


def _check_articles(rows: Tables) -> Iterator[Problem]:
    name, lines_name = release.parquet_path("articles"), release.parquet_path("paragraphs")
    paragraphs = _grouped(rows["paragraphs"])
    first: dict[str, str] = {}
    for number, article in enumerate(rows["articles"], start=1):
        own = paragraphs.get(article["id"], [])
        for found in _differences(article, derive(article["id"], article["provenance"]["claims"], own, first)):
            yield Problem("BS507", name, f"'{article['id']}': {found}", line=number)
        offset = 0
        for index, row in enumerate(own):
            inside = row["role"] in contract.TEXT_ROLES
            place = (offset, offset + len(row["text"])) if inside else (None, None)
            offset += len(row["text"]) + 1 if inside else 0
            if (row["index"], row["start"], row["end"]) != (index, *place):
                message = f"'{article['id']}': line {row['index']} is not at {place[0]}:{place[1]} of the text"
                yield Problem("BS507", lines_name, message)
        strings = {"text": article["text"], "segment": "\n".join(row["text"] for row in own)}
        for index, claim in enumerate(article["provenance"]["claims"]):
            pointer = f"/provenance/claims/{index}"
            for message in _broken_quotes(claim["evidence"], strings):
                yield Problem("BS401", name, f"'{article['id']}': {message}", line=number, pointer=pointer)


def _differences(row: Row, derived: Row) -> list[str]:
    return [
        f"{field} is {_short(row[field])}, but its lines and claims give {_short(value)}"
        for field, value in derived.items()
        if row[field] != value
    ]


def _broken_quotes(evidence: Sequence[Row], strings: Mapping[str, str]) -> Iterator[str]:
    for quote in evidence:
        string, start, end = strings[quote["source"]], quote["start"], quote["end"]
        context = (string[max(0, start - len(quote["prefix"])) : start], string[end : end + len(quote["suffix"])])
        if string[start:end] != quote["exact"]:
            yield f"{quote['source']}[{start}:{end}] is {_short(string[start:end])}, not {_short(quote['exact'])}"
        elif context != (quote["prefix"], quote["suffix"]):
            yield f"the words around {quote['source']}[{start}:{end}] are not those of its prefix and suffix"


def _check_stances(rows: Tables) -> Iterator[Problem]:
    name = release.parquet_path("stances")
    articles = {article["id"]: article for article in rows["articles"]}
    labels: dict[tuple[str, str], list[Row]] = {}
    for number, row in enumerate(rows["stances"], start=1):
        labels.setdefault((row["article_id"], row["target_id"]), []).append(row)
        for message in _broken_quotes(row["evidence"], {"text": articles[row["article_id"]]["text"], "segment": ""}):
            yield Problem("BS401", name, f"'{row['article_id']}': {message}", line=number, pointer="/evidence")
    gold = {}
    for (article, target), group in labels.items():
        chosen = [row for row in group if row["is_gold"]]
        given = {(row["stance"], row["intensity"]) for row in group if not row["is_gold"]}
        if len(chosen) > 1:
            yield Problem("BS207", name, f"'{article}' has {len(chosen)} gold labels for '{target}'")
        for row in chosen:
            gold[article, target] = row
            unanimous = given == {(row["stance"], row["intensity"])}
            if given and unanimous != (row["aggregation"] == "unanimous"):
                yield Problem(
                    "BS507", name, f"the gold label of '{article}' for '{target}' is not {row['aggregation']}"
                )
            if row["n_annotators"] != len(group) - len(chosen):
                yield Problem("BS507", name, f"n_annotators of '{article}' for '{target}' is not {len(group) - 1}")
    for number, row in enumerate(rows["articles"], start=1):
        label = gold.get((row["id"], row["stance_target"]))
        expected = (label["stance"], label["intensity"]) if label else (None, None)
        if (row["stance"], row["stance_intensity"]) != expected:
            message = f"'{row['id']}': its stance is not the gold label {expected}"
            yield Problem("BS507", release.parquet_path("articles"), message, line=number)


def _check_sources(rows: Tables) -> Iterator[Problem]:
    name = release.parquet_path("paragraphs")
    for (file, sha256), data in rebuild_sources(rows).items():
        if hashlib.sha256(data).hexdigest() != sha256:
            yield Problem("BS508", name, f"the lines give a '{file}' whose SHA-256 is not {sha256}")


def rebuild_sources(rows: Tables) -> dict[tuple[str, str], bytes]:
    """Give the bytes of every source file, by name and digest, put together from the paragraphs alone.

    Each line is laid at its byte offset; what lies between two lines, and after the last one up to the end of its
    article, is a line feed. A byte that nothing covers stays NUL, so that the digest tells.
    """
    paragraphs = _grouped(rows["paragraphs"])
    sources: dict[tuple[str, str], bytearray] = {}
    for article in rows["articles"]:
        place = article["provenance"]
        data = sources.setdefault((place["source_file"], place["source_sha256"]), bytearray())
        data.extend(b"\0" * max(0, place["end_byte"] - len(data)))
        for row in paragraphs.get(article["id"], []):
            line = row["text"].encode()
            data[row["start_byte"] : row["end_byte"]] = line
            if row["start_byte"] + len(line) < place["end_byte"]:
                data[row["end_byte"] : row["end_byte"] + 1] = b"\n"
    return {key: bytes(data) for key, data in sources.items()}


def _check_documents(folder: Path, rows: Tables, schemas: Mapping[str, Schema]) -> Iterator[Problem]:
    digest = tables.digest(rows)
    if digest not in (folder / release.DATASHEET).read_text(encoding="utf-8"):
        yield Problem("BS509", release.DATASHEET, f"it does not name the data's digest, {digest}")
    card = (folder / release.CARD).read_text(encoding="utf-8")
    front = re.match(r"---\n(.*?\n)---\n", card, re.DOTALL)
    try:
        data = yaml.safe_load(front[1]) if front else None
        for message in _card_differences(folder, data, rows, schemas, digest):
            yield Problem("BS509", release.CARD, message)
    except (yaml.YAMLError, KeyError, TypeError) as error:
        yield Problem("BS509", release.CARD, f"its front matter is not that of a dataset card: {error!r}")


def _card_differences(
    folder: Path,
    card: Any,
    rows: Tables,
    schemas: Mapping[str, Schema],
    digest: str,
) -> Iterator[str]:
    configs = {config["config_name"]: config for config in card["configs"]}
    infos = {info["config_name"]: info for info in card["dataset_info"]}
    if [*configs] != [*schemas] or [*infos] != [*schemas]:
        yield f"configs and dataset_info are not those of the tables {', '.join(schemas)}"
        return
    if [name for name, config in configs.items() if config.get("default")] != [next(iter(schemas))]:
        yield f"the default config is not '{next(iter(schemas))}', and it alone"
    if len({config["version"] for config in configs.values()}) != 1:
        yield "the configs name different versions"
    for table, config in configs.items():
        path = release.parquet_path(table)
        nbytes = tables.to_arrow(rows[table], schemas[table]).nbytes
        split = {"name": "train", "num_bytes": nbytes, "num_examples": len(rows[table])}
        size = (folder / path).stat().st_size
        for field, found, expected in [
            ("data_files", config["data_files"], [{"split": "train", "path": path}]),
            ("the digest in the description", re.findall(r"sha256:[0-9a-f]{64}", config["description"]), [digest]),
            ("features", infos[table]["features"], contract.hub_features(schemas[table])),
            ("splits", infos[table]["splits"], [split]),
            ("download_size", infos[table]["download_size"], size),
            ("dataset_size", infos[table]["dataset_size"], nbytes),
        ]:
            if found != expected:
                yield f"{table}: {field}: {_short(found)}, but the data give {_short(expected)}"


def _grouped(paragraphs: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in paragraphs:
        groups.setdefault(row["article_id"], []).append(row)
    return {article: sorted(group, key=lambda row: row["index"]) for article, group in groups.items()}


def _short(value: Any) -> str:
    text = repr(value)
    limit = 90
    return text if len(text) <= limit else text[: limit - 1] + "…"
