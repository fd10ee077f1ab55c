"""Every format says the same: each problem whole, whatever its text holds, and the true totals."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest

from broadsheet import __version__, report
from broadsheet.problems import CODES, Problem
from broadsheet.report import FORMATS, Findings, render

ONE = Problem("BS203", "a.jsonl", "'pro' is not one of favor, against", line=3, pointer="/stance", hint="Say 'favor'.")
OTHER = Problem("BS204", "b.jsonl", "expected integer, got '9'", line=7, pointer="/end_line")
FILE = Problem("BS101", "source/page.txt", "there is no such file")
WARNING = Problem("BS205", "a.jsonl", "the date is far off", line=4, pointer="/published", severity="warning")
SHORT = Problem("BS203", "a.jsonl", "'con' is not one of favor, against", line=9, pointer="/stance")

CLEAN = Findings([], 0, 0)
CLEAN_NAMED = Findings([], 0, 0, "data.jsonl: 20,000 rows")
SINGLE = Findings([ONE], 1, 0)
SEVERAL = Findings([ONE, WARNING, OTHER, FILE, SHORT], 4, 1, "data")
ONLY_WARNINGS = Findings([WARNING], 0, 1, "data")
MORE = Findings([ONE, OTHER], 12, 3)
NONE_SHOWN = Findings([], 12, 0, "data")
ALL = {
    "clean": CLEAN,
    "clean, named": CLEAN_NAMED,
    "single": SINGLE,
    "several": SEVERAL,
    "only warnings": ONLY_WARNINGS,
    "more than shown": MORE,
    "none shown": NONE_SHOWN,
}
every = pytest.mark.parametrize("findings", ALL.values(), ids=ALL)

HOSTILE = [
    "two\nlines\r\nand a carriage\rreturn",
    "\n::error file=x::forged\n0 problems",
    "100 % of %0A and %25",
    "a::b, c:d",
    "'single' \"double\" `back` \\n \\",
    "]]> <b>&amp;</b> <!-- &",
    "NUL \x00, escape \x1b[2J, C1 \x9b2J, \ufffe \uffff",
    "right \u202ejnosj\u202c to left, \u2067isolated\u2069",
    "\u2028 and \u2029 and \x85",
    "👩\u200d👩\u200d👧 می\u200cخواهم \U0010ffff",
    "lone \ud800 and \udcff surrogates",
]
hostile = pytest.mark.parametrize("text", HOSTILE, ids=ascii)


def test_each_name_is_a_format() -> None:
    assert tuple(report._WRITERS) == FORMATS  # noqa: SLF001 - a name in one of them only would be a KeyError for users


def test_another_format_is_refused() -> None:
    with pytest.raises(KeyError, match="xml"):
        render(CLEAN, "xml")


@every
@pytest.mark.parametrize("format_", FORMATS)
def test_a_text_ends_with_one_line_feed_and_is_the_same_each_time(format_: str, findings: Findings) -> None:
    text = render(findings, format_)
    assert text.strip()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert text == render(findings, format_)


@hostile
@pytest.mark.parametrize("format_", FORMATS)
def test_any_text_can_be_printed(format_: str, text: str) -> None:
    assert render(_everywhere(text), format_).encode("utf-8")


# text


def test_a_problem_reads_as_it_always_did() -> None:
    assert render(SINGLE, "text") == (
        "a.jsonl:3 /stance: 'pro' is not one of favor, against [BS203]\n  hint: Say 'favor'.\n1 problem\n"
    )


def test_a_warning_is_marked() -> None:
    lines = render(SEVERAL, "text").splitlines()
    assert [line for line in lines if line.endswith("(warning)")] == [f"{WARNING} (warning)"]
    assert lines == [
        str(ONE),
        "  hint: Say 'favor'.",
        f"{WARNING} (warning)",
        str(OTHER),
        str(FILE),
        str(SHORT),
        "4 problems, 1 warning",
    ]


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (CLEAN, "no problems"),
        (CLEAN_NAMED, "data.jsonl: 20,000 rows: no problems"),
        (SINGLE, "1 problem"),
        (Findings([ONE, OTHER], 2, 0, "data"), "2 problems"),
        (Findings([ONE, WARNING], 1, 1), "1 problem, 1 warning"),
        (Findings([WARNING, WARNING], 0, 2, "data"), "data: no problems, 2 warnings"),
        (Findings([WARNING], 0, 1), "no problems, 1 warning"),
        (Findings([ONE] * 5, 12, 0), "12 problems, of which the first 5 are shown"),
        (Findings([ONE], 12345, 0), "12345 problems, of which the first is shown"),
        (MORE, "12 problems, 3 warnings, of which the first 2 are shown"),
        (Findings([ONE, OTHER], 2, 2), "2 problems, 2 warnings, of which the first 2 are shown"),
        (NONE_SHOWN, "12 problems, of which none is shown"),
    ],
)
def test_the_closing_line_has_the_true_totals(findings: Findings, expected: str) -> None:
    assert render(findings, "text").splitlines()[-1] == expected


@hostile
def test_in_text_a_problem_keeps_to_its_line_and_can_not_move_the_cursor(text: str) -> None:
    lines = render(_everywhere(text), "text").splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  hint: ")
    assert lines[2] == "1 problem"
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "".join(lines))


@hostile
def test_in_text_the_closing_line_is_one_line(text: str) -> None:
    (line,) = render(Findings([], 0, 0, text), "text").splitlines()
    assert line.endswith(": no problems")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb", r"a\nb"),
        ("\x1b[2J\x00", r"\x1b[2J\x00"),
        ("\u202e", r"\u202e"),
        ("\ud800", r"\ud800"),
        ("C:\\new", "C:\\new"),
        ("“می\u200cخواهم” 👩\u200d👧", "“می\u200cخواهم” 👩\u200d👧"),
    ],
)
def test_in_text_only_what_is_unsafe_is_escaped(text: str, expected: str) -> None:
    assert render(Findings([Problem("BS101", "f", text)], 1, 0), "text") == f"f: {expected} [BS101]\n1 problem\n"


# json


@every
def test_json_has_the_totals_and_every_field(findings: Findings) -> None:
    value = json.loads(render(findings, "json"))
    assert {key: value[key] for key in value if key != "problems"} == {
        "checked": findings.checked,
        "errors": findings.errors,
        "warnings": findings.warnings,
        "shown": len(findings.problems),
    }
    assert value["problems"] == [
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


def test_json_is_indented_and_readable() -> None:
    text = render(Findings([Problem("BS101", "é.txt", "“gone” 👋")], 1, 0), "json")
    assert '\n  "errors": 1,\n' in text
    assert "“gone” 👋" in text


@hostile
def test_json_gives_the_same_text_back(text: str) -> None:
    (problem,) = json.loads(render(_everywhere(text), "json"))["problems"]
    assert [problem[key] for key in ("path", "pointer", "message", "hint")] == [text] * 4


# github


def test_github_has_a_command_for_each_problem_and_a_notice() -> None:
    assert render(SEVERAL, "github").splitlines() == [
        f"::error file=a.jsonl,line=3,title=BS203 not-in-enumeration::/stance: {ONE.message}%0Ahint: Say 'favor'.",
        "::warning file=a.jsonl,line=4,title=BS205 wrong-format::/published: the date is far off",
        "::error file=b.jsonl,line=7,title=BS204 wrong-type::/end_line: expected integer, got '9'",
        "::error file=source/page.txt,title=BS101 missing-file::there is no such file",
        "::error file=a.jsonl,line=9,title=BS203 not-in-enumeration::/stance: 'con' is not one of favor, against",
        "::notice::4 problems, 1 warning",
    ]


@every
def test_githubs_notice_is_the_closing_line(findings: Findings) -> None:
    lines = render(findings, "github").splitlines()
    assert len(lines) == len(findings.problems) + 1
    assert lines[-1] == "::notice::" + render(findings, "text").splitlines()[-1]


@hostile
def test_github_stays_on_one_line_and_reads_back(text: str) -> None:
    lines = render(_everywhere(text), "github").split("\n")
    assert len(lines) == 3
    assert "\r" not in lines[0]
    assert lines[1:] == ["::notice::1 problem", ""]
    command, properties, data = _run_command(lines[0])
    printed = _printed(text)
    assert command == "error"
    assert properties == {"file": printed, "line": "1", "title": "BS203 not-in-enumeration"}
    assert data == f"{printed}: {printed}\nhint: {printed}"


# junit


def test_junit_has_a_case_for_each_path_and_code() -> None:
    suite = _suite(SEVERAL)
    assert [(case.get("name"), case.get("classname"), len(case)) for case in suite.iter("testcase")] == [
        ("a.jsonl", "BS203", 2),
        ("b.jsonl", "BS204", 1),
        ("source/page.txt", "BS101", 1),
    ]
    failures = [(failure.get("message"), failure.get("type")) for failure in suite.iter("failure")]
    assert failures[0] == (ONE.message, "not-in-enumeration")
    assert failures[1] == (SHORT.message, "not-in-enumeration")
    assert suite.findtext("testcase/failure") == f"{ONE}\n  hint: {ONE.hint}"


@every
def test_junit_has_the_true_totals(findings: Findings) -> None:
    suite = _suite(findings)
    assert suite.tag == "testsuite"
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    tests, failures = str(findings.errors or 1), str(findings.errors)
    assert counts == {"tests": tests, "failures": failures, "errors": "0", "skipped": "0"}
    assert suite.get("name") == (findings.checked or "broadsheet")


@every
def test_junit_fails_exactly_when_there_is_an_error(findings: Findings) -> None:
    suite = _suite(findings)
    assert suite.findall("testcase")
    assert bool(suite.findall("testcase/failure")) == bool(findings.errors)


@pytest.mark.parametrize("findings", [CLEAN, CLEAN_NAMED, ONLY_WARNINGS])
def test_junit_has_one_passing_case_when_clean(findings: Findings) -> None:
    (case,) = _suite(findings).iter("testcase")
    assert list(case) == []


@pytest.mark.parametrize("findings", [NONE_SHOWN, Findings([WARNING], 12, 1)])
def test_junit_fails_also_when_no_error_is_shown(findings: Findings) -> None:
    (failure,) = _suite(findings).iter("failure")
    assert (failure.get("message") or "").startswith("12 problems")


@pytest.mark.parametrize(("findings", "total"), [(SEVERAL, "4 problems, 1 warning"), (CLEAN, None), (SINGLE, None)])
def test_junit_puts_warnings_into_the_output(findings: Findings, total: str | None) -> None:
    said = _suite(findings).findtext("system-out")
    assert said == (f"{WARNING} (warning)\n{total}" if total else None)


@hostile
def test_junit_parses_and_loses_only_what_xml_forbids(text: str) -> None:
    case = _suite(_everywhere(text)).find("testcase")
    assert case is not None
    failure = case.find("failure")
    assert failure is not None
    expected = "".join(char if _is_xml(char) else "\ufffd" for char in text)
    assert (case.get("name"), failure.get("message")) == (expected, expected)


# sarif


@every
def test_sarif_has_what_the_standard_requires(findings: Findings) -> None:
    log = json.loads(render(findings, "sarif"))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("/sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("broadsheet", __version__)
    assert len(run["results"]) == len(findings.problems)
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["ruleId"] in {rule["id"] for rule in driver["rules"]}
        for location in result["locations"]:
            _check_place(location["physicalLocation"])


@every
def test_sarif_has_the_true_totals(findings: Findings) -> None:
    assert _run(findings)["properties"] == {
        "checked": findings.checked,
        "errors": findings.errors,
        "warnings": findings.warnings,
        "shown": len(findings.problems),
    }


def test_sarif_has_each_rule_once() -> None:
    rules = _run(SEVERAL)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["BS101", "BS203", "BS204", "BS205"]
    assert rules[1] == {
        "id": "BS203",
        "name": "not-in-enumeration",
        "shortDescription": {"text": CODES["BS203"].cause},
        "help": {"text": CODES["BS203"].cure},
    }
    assert _run(CLEAN)["tool"]["driver"]["rules"] == []


def test_sarif_has_each_problem_in_its_place() -> None:
    results = _run(SEVERAL)["results"]
    assert [result["level"] for result in results] == ["error", "warning", "error", "error", "error"]
    assert results[0] == {
        "ruleId": "BS203",
        "level": "error",
        "message": {"text": f"{ONE.message}\nhint: {ONE.hint}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": "a.jsonl"}, "region": {"startLine": 3}},
                "logicalLocations": [{"fullyQualifiedName": "/stance"}],
            }
        ],
    }
    assert results[3]["message"] == {"text": FILE.message}
    assert results[3]["locations"] == [{"physicalLocation": {"artifactLocation": {"uri": "source/page.txt"}}}]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("data/a b.jsonl", "data/a%20b.jsonl"),
        ("c:d#e?f.txt", "c%3Ad%23e%3Ff.txt"),
        ("100%.txt", "100%25.txt"),
        ("é/👋.txt", "%C3%A9/%F0%9F%91%8B.txt"),
        ("./release/../a", "release/../a"),
    ],
)
def test_sarif_names_a_file_by_a_relative_uri(path: str, uri: str) -> None:
    (result,) = _run(Findings([Problem("BS101", path, "gone")], 1, 0))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


@hostile
def test_sarif_gives_the_same_text_back(text: str) -> None:
    (result,) = _run(_everywhere(text))["results"]
    assert result["message"]["text"] == f"{text}\nhint: {text}"
    (location,) = result["locations"]
    assert location["logicalLocations"] == [{"fullyQualifiedName": text}]
    _check_place(location["physicalLocation"])
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri, errors="surrogatepass") == text


def _everywhere(text: str) -> Findings:
    """Give one problem with *text* wherever a problem has text, and in what was checked."""
    return Findings([Problem("BS203", text, text, line=1, pointer=text, hint=text)], 1, 0, text)


def _printed(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _run_command(line: str) -> tuple[str, dict[str, str], str]:
    """Read a workflow command as GitHub's runner does: split at the first ``::`` after the first, then unescape."""
    _, head, data = line.split("::", 2)
    command, _, listed = head.partition(" ")
    pairs = [pair.split("=", 1) for pair in listed.split(",")]
    return command, {name: _unescaped(value) for name, value in pairs}, _unescaped(data)


def _unescaped(text: str) -> str:
    for escape, char in {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}.items():
        text = text.replace(escape, char)
    return text


def _suite(findings: Findings) -> ET.Element:
    return ET.fromstring(render(findings, "junit"))  # noqa: S314 - it is our own output


def _is_xml(char: str) -> bool:
    """Tell whether XML 1.0 allows *char*, by the production Char of its section 2.2."""
    point = ord(char)
    return point in (9, 10, 13) or 0x20 <= point <= 0xD7FF or 0xE000 <= point <= 0xFFFD or point >= 0x10000


def _run(findings: Findings) -> dict[str, Any]:
    (run,) = json.loads(render(findings, "sarif"))["runs"]
    assert isinstance(run, dict)
    return run


def _check_place(place: dict[str, Any]) -> None:
    uri = place["artifactLocation"]["uri"]
    assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", uri)
    assert not urlsplit(uri).scheme
    assert place.get("region", {"startLine": 1})["startLine"] >= 1
