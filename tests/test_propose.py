"""Drafts: what is proposed for small invented pages, what holds for any page, and how a draft becomes annotations."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet import contract, propose, recipe, segment
from broadsheet.segment import split_lines
from tests.conftest import REPOSITORY
from tests.examples_support import MINIMAL, run, working_in

HARBOUR = "The harbour opened its new pier on Monday."
LIBRARY = "The library lends seeds from its new garden."
WEATHER = "Rain is expected on the coast until the weekend."

#: A page for each cue, and the line that is proposed to start its second article.
PAGES = {
    "byline": ([HARBOUR, HARBOUR + " It is late.", "By Ada Brook", LIBRARY], 4),
    "credit line": ([HARBOUR, "Ada Brook, Northport", LIBRARY], 3),
    "source line": ([HARBOUR, "gazette.example", LIBRARY], 3),
    "url line": ([HARBOUR, "https://gazette.example/pier", LIBRARY], 3),
    "reference list": ([HARBOUR, "Sources:", "[1] Council, minutes,", "http://c.example/a-", "b.", LIBRARY], 6),
    "separator": ([HARBOUR, "-----", "Seeds on loan", LIBRARY], 3),
    "blank lines": ([HARBOUR, "", WEATHER, "", WEATHER + " Or longer.", "", "", "", LIBRARY], 9),
    "title over a byline": ([HARBOUR, "Seeds on loan", "By Ben Reed", LIBRARY], 2),
    "title over a date": ([HARBOUR, "Seeds on loan", "12 May 2021", LIBRARY], 2),
    "wire lead": ([HARBOUR, "Seeds on loan", "NORTHPORT, May 12 (Coast News) - " + LIBRARY], 2),
    "two headings": ([HARBOUR, "Seeds on loan", "What grows in a reading room", LIBRARY], 2),
    "repeated title": ([HARBOUR, "Seeds on loan", "Home", "Seeds on loan", LIBRARY], 2),
}
#: Pages of one article, for all that it may look like.
WHOLE = {
    "prose alone": [HARBOUR, LIBRARY, WEATHER],
    "empty lines as everywhere": [HARBOUR, "", LIBRARY, "", WEATHER],
    "a heading of a part": [HARBOUR, "What comes next", LIBRARY],
    "an underlined heading": [HARBOUR, "What comes next", "---------------", LIBRARY],
    "asterisks between parts": [HARBOUR, "* * *", LIBRARY],
    "a title, a byline and a date": ["Pier opens", "By Ada Brook", "12 May 2021", HARBOUR],
    "a standfirst above the byline": ["Pier opens", LIBRARY, "By Ada Brook", HARBOUR],
    "a byline at the end": [HARBOUR, "By Ada Brook"],
    "a foot of many lines": [HARBOUR, "By Ada Brook", "12 May 2021", "Notes", "[1] Council.", "-----", "© The Gazette"],
    "a box of facts": [HARBOUR, "Piers", "Three", "Opened", "1963", "", LIBRARY],
    "a menu above the title": ["Home", "News", "Weather", "Pier opens", "By Ada Brook", HARBOUR],
    "short lines at the end": [HARBOUR, "By Ada Brook", "Home", "Imprint"],
    "hard line breaks": [
        "Of the three piers, the one that the",
        "Northport Council has rebuilt with the",
        "help of many opened on Monday, and the",
        "Coast Guard came with all its boats,",
        "said the harbour master, who had",
        "waited for three summers.",
    ],
}

line = st.one_of(
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30),
    st.sampled_from([text for lines in [*(lines for lines, _ in PAGES.values()), *WHOLE.values()] for text in lines]),
)
pages = st.lists(line, max_size=30)


@pytest.mark.parametrize("cue", PAGES)
def test_a_cue_starts_an_article(cue: str) -> None:
    lines, start = PAGES[cue]
    segments = propose.propose(lines).segments
    assert [(s.start_line, s.cue) for s in segments] == [(1, "first line"), (start, cue)]


def test_every_cue_has_a_page() -> None:
    assert {"first line", *PAGES} == set(propose.BOUNDARY_CUES)


@pytest.mark.parametrize("name", WHOLE)
def test_without_a_cue_there_is_no_boundary(name: str) -> None:
    assert len(propose.propose(WHOLE[name]).segments) == 1


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("a title, a byline and a date", "title byline dateline body"),
        ("a standfirst above the byline", "title standfirst byline body"),
        ("a heading of a part", "body heading body"),
        ("a foot of many lines", "body byline dateline other reference separator disclaimer"),
        ("a box of facts", "body infobox infobox infobox heading separator body"),
        ("a menu above the title", "infobox infobox infobox title byline body"),
        ("hard line breaks", "body body body body body body"),
    ],
)
def test_roles_of_an_article(name: str, roles: str) -> None:
    assert [guess.role for guess in propose.propose(WHOLE[name]).lines] == roles.split()


def test_what_is_shown_twice_is_in_the_text_once() -> None:
    page = ["Pier opens", "Home", "Pier opens", LIBRARY, HARBOUR, LIBRARY]
    roles = [guess.role for guess in propose.propose(page).lines]
    assert roles == ["title", "heading", "other", "pull_quote", "body", "body"]


def test_agency_reports_with_hard_line_breaks_and_nothing_between_them() -> None:
    page = """FERRY LINE BUYS TWO BOATS
    NORTHPORT, March 13 - The ferry line bought two boats from
Sunbay Yards of
Baytown.
    Talks had begun in January, subject to
approval, and went on
until March, it said.
LIBRARY SHUTS EARLY
    BAYTOWN, March 13 - The library now closes at
four, the mayor said.""".splitlines()
    draft = propose.propose(page)
    assert [segment.start_line for segment in draft.segments] == [1, 8]
    assert [number for number, guess in enumerate(draft.lines, start=1) if guess.role == "title"] == [1, 8]
    assert {guess.role for guess in draft.lines} == {"title", "body"}


@pytest.mark.parametrize(
    "page", [["Pier opens"], ["Pier", "Home", "News"], ["[1] Council", "http://c.example"], ["🙂"], ["==="]]
)
def test_a_page_without_prose_has_text_all_the_same(page: list[str]) -> None:
    draft = propose.propose(page)
    assert any(guess.role in contract.TEXT_ROLES for guess in draft.lines)


def test_a_reference_list_starts_at_one_and_counts() -> None:
    page = [HARBOUR, "[3] stands in no list", "[1] Council,", "minutes of May", "[2] Library", "[2] again", LIBRARY]
    roles = [guess.role for guess in propose.propose(page).lines]
    assert roles == ["body", "body", "reference", "reference_url", "reference", "body", "body"]


@given(pages)
def test_segments_tile_the_page_and_every_guess_has_its_cue(page: list[str]) -> None:
    draft = propose.propose(page)
    assert len(draft.lines) == len(page)
    edges = [0, *(segment.end_line for segment in draft.segments)]
    assert [segment.start_line for segment in draft.segments] == [end + 1 for end in edges[:-1]]
    assert edges[-1] == len(page)
    assert all(first < last for first, last in pairwise(edges))
    assert all((s.cue == "first line") == (s.start_line == 1) for s in draft.segments)
    assert {segment.cue for segment in draft.segments} <= set(propose.BOUNDARY_CUES)
    assert {guess.cue for guess in draft.lines} <= set(propose.ROLE_CUES)


@given(pages.filter(lambda page: "".join(page).strip() != ""))
def test_rows_keep_the_contract_and_every_article_has_text(page: list[str]) -> None:
    draft = propose.propose(page)
    segments, roles = propose.draft_rows(draft, "Page 1.txt", "en")
    for kind, found in (("segment", segments), ("role", roles)):
        schema = contract.definition(kind)
        assert [v for row in found for v in contract.violations(contract.with_defaults(row, schema), schema)] == []
    for start, end, _ in draft.segments:
        own = list(zip(page[start - 1 : end], draft.lines[start - 1 : end], strict=True))
        assert any(text.strip() for text, guess in own if guess.role in contract.TEXT_ROLES)
    assert all("note" in row for row in roles if row["role"] == "other")


@given(pages)
def test_carriage_returns_and_spaces_change_nothing(page: list[str]) -> None:
    assert propose.propose([f"{text}\r" for text in page]) == propose.propose([f" {text}" for text in page])


@given(pages.filter(lambda page: "".join(page).strip() != ""))
def test_a_draft_that_is_accepted_as_it_is_can_be_segmented(page: list[str]) -> None:
    data = "\n".join(page).encode()
    lines = [line.text for line in split_lines(data)]
    drafted = propose.draft_rows(propose.propose(lines), "page.txt", "en")
    accepted = [[{name: row[name] for name in row if name != "cue"} for row in found] for found in drafted]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("source", "annotations"):
            (folder / name).mkdir()
        (folder / "source" / "page.txt").write_bytes(data)
        digest = f'sha256 = "{hashlib.sha256(data).hexdigest()}"'
        text = re.sub(r'^sha256 = ".*"$', digest, (MINIMAL / "dataset.toml").read_text(), flags=re.MULTILINE)
        (folder / "dataset.toml").write_text(text)
        propose.write(folder / "annotations", *accepted)
        articles = segment.segment(recipe.read(folder))
    assert [(a.start_line, a.end_line) for a in articles] == [(r["start_line"], r["end_line"]) for r in accepted[0]]


@pytest.mark.parametrize("page", [lines for lines, _ in PAGES.values()] + [["[1] a", "b"], ["Pier"], [""], ["-----"]])
def test_time_grows_with_the_page_and_no_faster(page: list[str]) -> None:
    def seconds(times: int) -> float:
        start = time.process_time()
        propose.propose(page * times)
        return time.process_time() - start

    # Eight times the lines: about eight times the time, and 64 times if it grew with the square.
    assert min(seconds(1_600) for _ in range(3)) < 30 * min(seconds(200) for _ in range(3)) + 0.2


# --- through the command line ---


def test_a_draft_is_printed_segment_by_segment(tmp_path: Path) -> None:
    lines, _ = PAGES["byline"]
    (tmp_path / "page.txt").write_text("\n".join(lines), encoding="utf-8")
    result = run(tmp_path, "segment", "page.txt", "--language", "en")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [json.loads(row) for row in result.stdout.splitlines()] == [
        {"article_id": "page-1", "source_file": "page.txt", "start_line": 1, "end_line": 3, "language": "en"}
        | {"cue": "first line"},
        {"article_id": "page-1", "start_line": 1, "end_line": 2, "role": "body", "cue": "prose"},
        {"article_id": "page-1", "start_line": 3, "end_line": 3, "role": "byline", "cue": "byline"},
        {"article_id": "page-2", "source_file": "page.txt", "start_line": 4, "end_line": 4, "language": "en"}
        | {"cue": "byline"},
        {"article_id": "page-2", "start_line": 4, "end_line": 4, "role": "body", "cue": "prose"},
    ]
    assert run(tmp_path, "segment", "page.txt", "--language", "en").stdout == result.stdout


def test_a_page_comes_from_standard_input_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = _piped(HARBOUR.encode(), tmp_path, monkeypatch)
    assert json.loads(result.stdout.splitlines()[0])["source_file"] == "stdin"


def _piped(data: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    # The runner's own standard input would be read by nobody: what is asked for is `sys.stdin.buffer`, under this name.
    monkeypatch.setattr("broadsheet.reading.sys", SimpleNamespace(stdin=SimpleNamespace(buffer=io.BytesIO(data))))
    return run(folder, "segment", "-")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.txt"], 2, "nowhere.txt: no such file or directory [BS603]"),
        (["."], 2, ".: is a directory [BS603]"),
        (["empty.txt"], 1, "empty.txt: the page has no text [BS304]"),
        (["latin-1.txt"], 1, "latin-1.txt:2: byte 4 (0xe9) is not valid UTF-8: unexpected end of data [BS102]"),
        (["pointer.txt"], 1, "[BS115]"),
        (
            ["page.txt", "--language", "English"],
            1,
            "page.txt /language: 'English' has not the form it must have [BS205]",
        ),
        (["page.txt", "--out", "nowhere"], 2, "nowhere/segments.jsonl: no such file or directory [BS603]"),
    ],
)
def test_what_cannot_be_drafted_is_told(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text(HARBOUR, encoding="utf-8")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin-1.txt").write_bytes(b"a\nca\xe9")
    (tmp_path / "pointer.txt").write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
    result = run(tmp_path, "segment", *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_page_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propose, "MAX_PAGE", 1 << 20)
    with (tmp_path / "page.txt").open("wb") as file:
        file.truncate((1 << 20) + 1)
    result = run(tmp_path, "segment", "page.txt")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (1, "page.txt: it is longer than 1 MiB [BS111]")


@pytest.mark.parametrize("there", ["segments.jsonl", "roles.jsonl"])
def test_a_draft_replaces_nothing(there: str, minimal: Path) -> None:
    (other,) = {"segments.jsonl", "roles.jsonl"} - {there}
    (minimal / "annotations" / other).unlink()
    before = (minimal / "annotations" / there).read_bytes()
    result = run(minimal, "segment", "source/page.txt", "--out", "annotations")
    assert (result.exit_code, f"annotations/{there}: there are annotations already [BS602]" in result.stderr) == (
        2,
        True,
    )
    assert (minimal / "annotations" / there).read_bytes() == before
    assert not (minimal / "annotations" / other).exists()


def test_a_draft_is_refused_until_it_is_reviewed_by_the_commands_of_the_page(minimal: Path) -> None:
    names = {"page-1": "tram-meeting", "page-2": "tram-figures"}
    files = [minimal / "annotations" / name for name in (propose.SEGMENTS, propose.ROLES)]
    for path in files:
        path.unlink()
    document = (REPOSITORY / "docs" / "segment.md").read_text(encoding="utf-8")
    draft, accept = re.findall(r"^\$ (.+)$", document.split("## Reviewing a draft")[1].split("\n## ")[0], re.MULTILINE)

    assert run(minimal, *draft.removeprefix("broadsheet ").split()).exit_code == 0
    refused = run(minimal, "build", ".")
    assert (refused.exit_code, set(re.findall(r"\[(BS\d+)\]", refused.stderr))) == (1, {"BS306"})
    assert refused.stderr.count("[BS306]") == sum(len(path.read_text().splitlines()) for path in files)

    with working_in(minimal):
        subprocess.run(["sh", "-c", accept], check=True)
    for path in files:
        path.write_text(re.sub(r"page-\d", lambda found: names[found[0]], path.read_text()))
    assert run(minimal, "build", ".").exit_code == 0
    assert run(minimal, "check", ".").exit_code == 0


def test_the_corpus_can_be_drafted_from_its_file_as_it_is() -> None:
    source = next((REPOSITORY / "dataset" / "source").glob("*.txt"))
    assert propose.read(str(source)) == [line.text for line in split_lines(source.read_bytes())]
