"""Reports: takes problems and their counts, gives text in a format a person or a CI reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import broadsheet
from broadsheet.problems import CODES, Problem, visible

#: The formats, the one for people first.
FORMATS = ("text", "json", "github", "junit", "sarif")


@dataclass(frozen=True)
class Findings:
    """What a check found: the first *problems* (no more than were asked for), and the true totals.

    *errors* and *warnings* count all problems of that severity, also those not kept; *checked* says what was checked,
    for the closing line: ``data.jsonl: 20,000 rows``.
    """

    problems: Sequence[Problem]
    errors: int
    warnings: int
    checked: str = ""


def render(findings: Findings, format_: str) -> str:
    """Give the full text to print for *findings* in *format_*, one of `FORMATS`; another is a `KeyError`.

    The text can be encoded in UTF-8: a lone surrogate is written as its escape, which JSON reads back.
    """
    text = _WRITERS[format_](findings)
    return text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def _text(findings: Findings) -> str:
    """Give a line for each problem, its hint below it, and the totals."""
    return "\n".join([*_lines(findings.problems), visible(_closing(findings))])


def _json(findings: Findings) -> str:
    """Give one JSON object (RFC 8259) with the totals and the problems."""
    problems = [
        {
            "code": problem.code,
            "slug": CODES[problem.code].slug,
            "severity": problem.severity,
            "path": problem.path,
            "line": problem.line,
            "pointer": problem.pointer,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in findings.problems
    ]
    return _dumps({**_totals(findings), "problems": problems})


def _github(findings: Findings) -> str:
    """Give a workflow command for each problem, by GitHub's "Workflow commands for GitHub Actions", and the totals."""
    commands = [_command(problem) for problem in findings.problems]
    return "\n".join([*commands, f"::notice::{_escaped_data(_closing(findings))}"])


def _junit(findings: Findings) -> str:
    """Give JUnit XML, as Ant's task writes it and CI servers read it: a test case for each path and code.

    A testsuite counts each problem as a test that failed, so that the totals are the true ones.
    """
    suite = ET.Element(
        "testsuite",
        name=findings.checked or "broadsheet",
        tests=str(max(findings.errors, 1)),
        failures=str(findings.errors),
        errors="0",
        skipped="0",
    )
    suite.extend(_failed_cases(findings) or [_only_case(findings)])
    if findings.warnings:
        warnings = [problem for problem in findings.problems if problem.severity == "warning"]
        ET.SubElement(suite, "system-out").text = "\n".join([*_lines(warnings), _closing(findings)])
    _keep_to_xml(suite)
    ET.indent(suite)
    data: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return data.decode("utf-8")


def _sarif(findings: Findings) -> str:
    """Give a log with one run, by SARIF 2.1.0 (OASIS), section 3.13; the totals are in the run's properties."""
    driver = {"name": "broadsheet", "version": broadsheet.__version__, "rules": _rules(findings.problems)}
    run = {
        "tool": {"driver": driver},
        "results": [_result(problem) for problem in findings.problems],
        "properties": _totals(findings),
    }
    return _dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


_WRITERS: Mapping[str, Callable[[Findings], str]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "junit": _junit,
    "sarif": _sarif,
}
_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def _closing(findings: Findings) -> str:
    """Give the totals in one line: ``12 problems, 1 warning, of which the first 5 are shown``."""
    parts = [_count(findings.errors, "problem")]
    if findings.warnings:
        parts.append(_count(findings.warnings, "warning"))
    shown = len(findings.problems)
    if shown < findings.errors + findings.warnings:
        parts.append(_FEW_SHOWN.get(shown, f"of which the first {shown} are shown"))
    subject = f"{findings.checked}: " if findings.checked and not findings.errors else ""
    return subject + ", ".join(parts)


_FEW_SHOWN = {0: "of which none is shown", 1: "of which the first is shown"}


def _count(n: int, noun: str) -> str:
    return f"{n or 'no'} {noun}{'s' if n != 1 else ''}"


def _totals(findings: Findings) -> dict[str, Any]:
    return {
        "checked": findings.checked,
        "errors": findings.errors,
        "warnings": findings.warnings,
        "shown": len(findings.problems),
    }


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _lines(problems: Iterable[Problem]) -> list[str]:
    lines = []
    for problem in problems:
        mark = " (warning)" if problem.severity == "warning" else ""
        lines.append(visible(f"{problem}{mark}"))
        if problem.hint:
            lines.append(visible(f"  hint: {problem.hint}"))
    return lines


def _command(problem: Problem) -> str:
    """Give the workflow command ``::error file=…,line=…,title=…::message`` for *problem*."""
    properties = {"file": problem.path, "line": problem.line, "title": f"{problem.code} {CODES[problem.code].slug}"}
    listed = ",".join(f"{name}={_escaped_property(str(value))}" for name, value in properties.items() if value)
    where = f"{problem.pointer}: " if problem.pointer else ""
    return f"::{problem.severity} {listed}::{_escaped_data(where + _with_hint(problem))}"


def _with_hint(problem: Problem) -> str:
    return f"{problem.message}\nhint: {problem.hint}" if problem.hint else problem.message


def _escaped_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped_data(text).replace(":", "%3A").replace(",", "%2C")


def _failed_cases(findings: Findings) -> list[ET.Element]:
    cases: dict[tuple[str, str], ET.Element] = {}
    for problem in findings.problems:
        if problem.severity == "error":
            key = (problem.path, problem.code)
            case = cases.setdefault(key, ET.Element("testcase", classname=problem.code, name=problem.path))
            failure = ET.SubElement(case, "failure", message=problem.message, type=CODES[problem.code].slug)
            failure.text = "\n".join(_lines([problem]))
    return list(cases.values())


def _only_case(findings: Findings) -> ET.Element:
    """Give the case that stands for the whole check, as no error is shown: it passes only if there is none."""
    case = ET.Element("testcase", classname="broadsheet", name=findings.checked or "check")
    if findings.errors:
        ET.SubElement(case, "failure", message=_closing(findings), type="not-shown")
    return case


def _keep_to_xml(root: ET.Element) -> None:
    """Replace, in all of *root*, each character that XML 1.0 forbids (section 2.2) by U+FFFD."""
    for element in root.iter():
        element.attrib = {name: _FORBIDDEN.sub("\ufffd", value) for name, value in element.attrib.items()}
        element.text = _FORBIDDEN.sub("\ufffd", element.text) if element.text else None


_FORBIDDEN = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def _rules(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Give a reportingDescriptor (SARIF 2.1.0, section 3.49) for each code that occurs in *problems*."""
    return [
        {
            "id": code,
            "name": CODES[code].slug,
            "shortDescription": {"text": CODES[code].cause},
            "help": {"text": CODES[code].cure},
        }
        for code in sorted({problem.code for problem in problems})
    ]


def _result(problem: Problem) -> dict[str, Any]:
    """Give the result (SARIF 2.1.0, section 3.27) that *problem* is."""
    return {
        "ruleId": problem.code,
        "level": problem.severity,
        "message": {"text": _with_hint(problem)},
        "locations": [_location(problem)],
    }


def _location(problem: Problem) -> dict[str, Any]:
    """Give the location (SARIF 2.1.0, section 3.28) of *problem*."""
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(problem.path)}}
    if problem.line:
        place["region"] = {"startLine": problem.line}
    location: dict[str, Any] = {"physicalLocation": place}
    if problem.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": problem.pointer}]
    return location


def _uri(path: str) -> str:
    """Give *path* as a relative reference (RFC 3986, section 4.2)."""
    return quote(PurePath(path).as_posix(), safe="/", errors="surrogatepass")
