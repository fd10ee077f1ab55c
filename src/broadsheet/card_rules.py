"""The card: takes a release's README.md and what is known of its data, gives what a hub would say, before it does.

The front matter is read twice in its life: by the hub as YAML 1.2, by ``load_dataset`` as YAML 1.1. What is a string
must be one to both. An error is what the hub refuses, or what makes ``load_dataset`` load something else or nothing; a
warning is what the hub takes, but does not list or does not show.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import yaml

from broadsheet import contract, jsonl, release, vocabulary
from broadsheet.contract import Schema
from broadsheet.problems import Problem, Severity
from broadsheet.rules import short
from broadsheet.shards import Part

Parts = Mapping[str, Mapping[str, Sequence[Part]]]

#: What the hub's viewer reads at once, and how many rows it shows at once.
MAX_PAGE_BYTES, PAGE_ROWS = 300_000_000, 100
#: How many columns and splits the viewer takes of a config; with more columns not even cells cut short fit a page.
MAX_COLUMNS, MAX_SPLITS = 1_000, 30
#: How many files the hub takes in a folder, and how many it advises for a repository.
MAX_FILES_IN_FOLDER, MAX_FILES = 10_000, 100_000

#: What is a number in YAML 1.2 (its core schema, as js-yaml has it); in YAML 1.1 (as PyYAML has it), 1e3 is a string.
NUMBER_IN_YAML_1_2 = re.compile(
    r"([-+]?\d[\d_]*(\.[\d_]*)?([eE][-+]?\d+)?|\.[\d_]+([eE][-+]?\d+)?|0o[0-7_]+)\Z", re.ASCII
)


@dataclass(frozen=True)
class Front:
    """A card's front matter: its *value*, and the *lines* on which the parts of it stand, by their pointers."""

    value: Any
    lines: Mapping[str, int]

    def problem(self, code: str, pointer: str, message: str, hint: str = "", severity: Severity = "error") -> Problem:
        """Give a problem that lies at *pointer*, or above it where there is nothing."""
        there = pointer
        while there not in self.lines:
            there = there.rpartition("/")[0]
        line = self.lines[there]
        return Problem(code, release.CARD, message, line=line, pointer=pointer, hint=hint, severity=severity)

    def strings(self, key: str) -> Iterator[tuple[str, str]]:
        """Give the strings under *key*, which has one or a list of them, each with its pointer."""
        value = self.value.get(key, [])
        many = enumerate(value) if isinstance(value, list) else ()
        found = [(f"/{key}", value)] if isinstance(value, str) else [(f"/{key}/{at}", one) for at, one in many]
        return ((pointer, one) for pointer, one in found if isinstance(one, str))


def read(data: bytes) -> tuple[Front | None, list[Problem]]:
    """Give the front matter of the card with the bytes *data*, or None if it can't be read, and what is wrong with it.

    Beyond its syntax, that is: a key that is there twice, an alias, and values of another type than readers need.
    """
    text, problems = jsonl.decode(data, release.CARD)
    found = _FRONT.match(text)
    if problems or found is None:
        message = "it does not begin with front matter, between two lines of ---"
        return None, problems or [Problem("BS511", release.CARD, message, line=1)]
    try:
        loader = yaml.SafeLoader(found[1])
        root = loader.get_single_node()
        places = list(_places(root, "", "", set())) if isinstance(root, yaml.MappingNode) else []
        value = loader.construct_document(root) if places else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + _FIRST_LINE if mark else None
        message = f"it is no YAML: {' '.join(str(getattr(error, 'problem', None) or error).split())}"
        return None, [Problem("BS511", release.CARD, message, line=line)]
    if not places:
        return None, [Problem("BS511", release.CARD, "its front matter has no keys", line=_FIRST_LINE)]
    # Of a key and its value, which have one pointer, the key's line counts.
    lines = {place.pointer: place.node.start_mark.line + _FIRST_LINE for place in reversed(places)}
    front = Front(value, lines)
    problems = [problem for place in places for problem in _of_place(front, place)]
    return (None if any(problem.code == "BS511" for problem in problems) else front), problems


def judge(
    front: Front, names: Collection[str], digest: str, parts: Parts, schemas: Mapping[str, Schema]
) -> list[Problem]:
    """Give what is wrong with *front*, the card of a release that has the files called *names*, and these data.

    The data are known by their logical *digest*, their *parts* by table and split, and the tables' *schemas*.
    """
    try:
        problems = [*_of_licence(front, names), *_of_languages(front), *_of_terms(front)]
        problems += [*_of_configs(front), *_of_files(front, names)]
        if not any(problem.severity == "error" for problem in problems):
            problems += _of_data(front, digest, parts, schemas)
    except KeyError as error:
        return [front.problem("BS511", "", f"its front matter is not that of a dataset card: it lacks {error}")]
    except (TypeError, AttributeError, IndexError) as error:
        return [front.problem("BS511", "", f"its front matter is not that of a dataset card: {error}")]
    return [*problems, *_of_sizes(names, parts, schemas)]


def of_pages(folder: Path, names: Collection[str]) -> Iterator[Problem]:
    """Judge the Parquet files among *names*, of the release in *folder*, by what the viewer can read at once."""
    for name in sorted(filter(release.is_data, names)):
        with pq.ParquetFile(folder / name) as file:
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        ends = list(accumulate(group.num_rows for group in groups))
        for start in range(0, ends[-1] if ends else 0, PAGE_ROWS):
            first, last = (bisect_right(ends, row) for row in (start, min(start + PAGE_ROWS, ends[-1]) - 1))
            size = sum(group.total_byte_size for group in groups[first : last + 1])
            if size > MAX_PAGE_BYTES:
                message = (
                    f"rows {start:,} and after lie in row groups of {size:,} bytes; the hub's viewer reads no more "
                    f"than {MAX_PAGE_BYTES:,} for a page of {PAGE_ROWS} rows, and will not show them"
                )
                hint = "Readers are not affected. Smaller row groups help, where single rows are not that large."
                yield Problem("BS517", name, message, hint=hint, severity="warning")
                break


# --- reading ---

_FRONT = re.compile(r"---\n(.*?\n)---\n", re.DOTALL)
_FIRST_LINE = 2
#: The keys whose values are no strings, and what they are. Of keys that are not ours, nothing is known.
_KINDS = {
    "default": "bool",
    "num_bytes": "int",
    "num_examples": "int",
    "download_size": "int",
    "dataset_size": "int",
}
_OURS = """
pretty_name language language_bcp47 license license_name license_link task_categories task_ids annotations_creators
language_creators source_datasets multilinguality size_categories tags broadsheet configs dataset_info
""".split()  # noqa: SIM905 - a list of words, to be read as one
_WORDS = {
    "str": "a string",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "null": "null",
    "timestamp": "a date",
}


class _Place(NamedTuple):
    """A *node* of the front matter: its *pointer*, the last *key* on the way to it, and what is plainly *wrong*."""

    pointer: str
    key: str
    node: yaml.Node
    wrong: str = ""
    is_key: bool = False


def _places(node: yaml.Node, pointer: str, key: str, seen: set[int]) -> Iterator[_Place]:
    """Give *node* and all below it, each once; an alias leads to what was seen already."""
    if id(node) in seen:
        yield _Place(pointer, key, node, "it is an alias (*name) of another value; write it out")
        return
    seen.add(id(node))
    yield _Place(pointer, key, node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _places(item, f"{pointer}/{index}", key, seen)
    elif isinstance(node, yaml.MappingNode):
        names = set()
        for name, value in node.value:
            own = str(name.value)
            below = f"{pointer}/{own.replace('~', '~0').replace('/', '~1')}"
            wrong = f"the key {short(own)} is there twice" if own in names else ""
            names.add(own)
            yield _Place(below, own, name, wrong, is_key=True)
            yield from _places(value, below, own, seen)


def _of_place(front: Front, place: _Place) -> Iterator[Problem]:
    """Judge one *place*: a value that must be a string is one, in YAML 1.1 as in YAML 1.2."""
    if place.wrong:
        problem = front.problem("BS511", place.pointer, place.wrong)
        yield replace(problem, line=place.node.start_mark.line + _FIRST_LINE) if place.is_key else problem
        return
    if not isinstance(place.node, yaml.ScalarNode) or place.pointer.split("/")[1] not in _OURS:
        return
    written, found = place.node.value, place.node.tag.rpartition(":")[2]
    wanted = "str" if place.is_key else _KINDS.get(place.key, "str")
    if found == wanted == "str" and place.node.style is None and NUMBER_IN_YAML_1_2.match(written):
        found = "int"
    if found != wanted:
        shown = short(written)[1:-1] or "nothing"
        message = f"{shown} is read as {_WORDS.get(found, found)}, where {_WORDS[wanted]} must be"
        hint = f"Write it in quotes: {short(written)}" if wanted == "str" and written else ""
        yield front.problem("BS512", place.pointer, message, hint)


# --- the hub's vocabulary ---


def _of_licence(front: Front, names: Collection[str]) -> Iterator[Problem]:
    licences = dict(front.strings("license"))
    if not licences:
        yield front.problem("BS513", "/license", "it names no licence", "Where it is not known, it is `unknown`.")
    for pointer, one in licences.items():
        if one not in vocabulary.LICENCES:
            near = contract.did_you_mean(one.lower(), vocabulary.LICENCES)
            hint = near or "Any other one is `other`, with license_name and license_link."
            yield front.problem("BS513", pointer, f"{short(one)} is no licence that the hub knows", hint)
    if "other" in licences.values():
        for key in ("license_name", "license_link"):
            if not front.value.get(key):
                yield front.problem("BS513", "/license", f"a licence that is `other` has a {key}, and there is none")
    for pointer, link in front.strings("license_link"):
        if "://" not in link and link not in names:
            hint = contract.did_you_mean(link, names)
            yield front.problem("BS513", pointer, f"there is no file {short(link)} in the release", hint)


def _of_languages(front: Front) -> Iterator[Problem]:
    known = vocabulary.terms().get("language")
    for pointer, one in front.strings("language"):
        if one in vocabulary.NO_LANGUAGES:
            continue
        if not re.fullmatch("[a-z]{2,3}", one):
            code = re.split("[-_]", one.lower())[0]
            hint = f"Write '{code}' here, and the whole tag under language_bcp47." if code != one.lower() else ""
            message = f"{short(one)} is no code of ISO 639, which has two or three small letters"
            yield front.problem("BS514", pointer, message, hint)
        elif known and one not in known:
            message = f"{short(one)} is no language that the installed `datasets` lists; the hub may not know it either"
            yield front.problem("BS514", pointer, message, severity="warning")
    for pointer, one in front.strings("language_bcp47"):
        if not re.fullmatch("[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", one):
            yield front.problem("BS514", pointer, f"{short(one)} has not the form of a BCP 47 tag")


def _of_terms(front: Front) -> Iterator[Problem]:
    """Judge the other terms by their lists. Of a task that it does not know, the hub itself only warns."""
    for key, known in vocabulary.terms().items():
        for pointer, one in front.strings(key) if key != "language" else ():
            if one not in known:
                severity: Severity = "warning" if key == "task_categories" else "error"
                hint = contract.did_you_mean(one, known)
                yield front.problem("BS515", pointer, f"{short(one)} is no term that the hub lists", hint, severity)


# --- what is loaded ---


def _of_configs(front: Front) -> Iterator[Problem]:
    """See that configs and what is told of them belong together, by their names."""
    configs = [config["config_name"] for config in front.value["configs"]]
    infos = [info["config_name"] for info in front.value["dataset_info"]]
    for index, name in enumerate(infos):
        if name not in configs:
            message, near = (
                f"no config is called {short(name)}: it is ignored in silence",
                contract.did_you_mean(name, configs),
            )
            yield front.problem("BS516", f"/dataset_info/{index}/config_name", message, near)
    for index, name in enumerate(configs):
        if name not in infos:
            yield front.problem(
                "BS516", f"/configs/{index}/config_name", f"dataset_info does not tell of {short(name)}"
            )


def _of_files(front: Front, names: Collection[str]) -> Iterator[Problem]:
    """See that ``load_dataset`` finds the files of each config, and can read them."""
    first = ""
    for index, config in enumerate(front.value["configs"]):
        for at, files in enumerate(config["data_files"]):
            path, message, near = files["path"], "", ""
            if not PurePosixPath(path).suffix:
                message = f"{short(path)} has no extension, so its format can't be told"
            elif not any(fnmatchcase(name, path) for name in names):
                message, near = f"{short(path)} is no file of the release", contract.did_you_mean(path, names)
            elif PurePosixPath(path).suffix != PurePosixPath(first := first or path).suffix:
                message = f"{short(path)} is not of the format of {short(first)}, and all configs must share one"
            if message:
                yield front.problem("BS516", f"/configs/{index}/data_files/{at}/path", message, near)


def _of_data(front: Front, digest: str, parts: Parts, schemas: Mapping[str, Schema]) -> Iterator[Problem]:
    """Compare the card with the data: it says what they give, and nothing else."""
    card, tables = front.value, [*schemas]
    for key in ("configs", "dataset_info"):
        names = [entry["config_name"] for entry in card[key]]
        if names != tables:
            message = f"it has {', '.join(names)}, but the tables are {', '.join(tables)}"
            yield front.problem("BS509", f"/{key}", message)
            return
    rows = sum(part.rows for own in parts[tables[0]].values() for part in own)
    yield from _differences(front, "/size_categories", card["size_categories"], [vocabulary.size_category(rows)])
    for index, (table, config, info) in enumerate(zip(tables, card["configs"], card["dataset_info"], strict=True)):
        said = re.findall("sha256:[0-9a-f]{64}", config["description"])
        found = {**config, "default": config.get("default", False), "description": said}
        expected = _config(table, parts[table], config) | {
            "default": index == 0,
            "description": [digest],
            "version": card["configs"][0]["version"],
        }
        for key, value in expected.items():
            yield from _differences(front, f"/configs/{index}/{key}", found[key], value)
        for key, value in _info(parts[table], schemas[table], info).items():
            yield from _differences(front, f"/dataset_info/{index}/{key}", info[key], value)


def _config(table: str, own: Mapping[str, Sequence[Part]], said: Mapping[str, Any]) -> dict[str, Any]:
    splits = _in_order(own, [files["split"] for files in said["data_files"]])
    files = [{"split": split, "path": release.parquet_pattern(table, split, len(own[split]))} for split in splits]
    return {"data_files": files}


def _info(own: Mapping[str, Sequence[Part]], schema: Schema, said: Mapping[str, Any]) -> dict[str, Any]:
    every = [part for shards in own.values() for part in shards]
    files = [file for part in every for file in part.files.items()]
    return {
        "features": contract.hub_features(schema),
        "splits": [
            {
                "name": split,
                "num_bytes": sum(part.num_bytes for part in own[split]),
                "num_examples": sum(part.rows for part in own[split]),
            }
            for split in _in_order(own, [split["name"] for split in said["splits"]])
        ],
        "download_size": sum(size for name, (_, size) in files if release.is_data(name)),
        "dataset_size": sum(part.num_bytes for part in every),
    }


def _in_order(own: Mapping[str, Any], said: Sequence[str]) -> Sequence[str]:
    """Give the names of *own* as the card has them in order, which is its own affair, if it has all of them."""
    return said if sorted(said) == sorted(own) else [*own]


def _differences(front: Front, pointer: str, found: Any, expected: Any) -> Iterator[Problem]:
    """Give the first place at *pointer* or below it where *found* is not as *expected*."""
    below: Iterator[tuple[Any, Any, Any]] = iter(())
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        below = ((key, found[key], expected[key]) for key in expected)
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        below = ((index, *pair) for index, pair in enumerate(zip(found, expected, strict=True)))
    elif found != expected:
        yield front.problem("BS509", pointer, f"it is {short(found)}, but the data give {short(expected)}")
    for step, got, want in below:
        if got != want:
            yield from _differences(front, f"{pointer}/{step}", got, want)
            return


# --- what a hub holds and shows ---


def _of_sizes(names: Collection[str], parts: Parts, schemas: Mapping[str, Schema]) -> Iterator[Problem]:
    for folder, count in Counter(str(PurePosixPath(name).parent) for name in names).items():
        if count > MAX_FILES_IN_FOLDER:
            message = f"it has {count:,} files, and the hub takes no more than {MAX_FILES_IN_FOLDER:,} in a folder"
            yield Problem("BS517", folder, message, hint="Larger shards are fewer.")
    if len(names) > MAX_FILES:
        message = f"the release has {len(names):,} files, and the hub advises no more than {MAX_FILES:,}"
        yield Problem("BS517", release.CHECKSUMS, message, hint="Larger shards are fewer.", severity="warning")
    for table, schema in schemas.items():
        for what, count, limit in (
            ("splits", len(parts[table]), MAX_SPLITS),
            ("columns", len(schema["properties"]), MAX_COLUMNS),
        ):
            if count > limit:
                message = f"{table}: it has {count:,} {what}, and the hub's viewer shows none of more than {limit:,}"
                yield Problem("BS517", release.CARD, message, severity="warning")
