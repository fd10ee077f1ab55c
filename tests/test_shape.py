"""What the form of a line says, from lines of invented pages."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadsheet import shape

LINES = {
    "blank": ["", " \t", "\r", "\ufeff"],
    "separator": ["-----", "_______", "=====", "— — —", "* * * * * *", "—––"],
    "dinkus": ["***", "* * *", "•••"],
    "reference": ['[1] Council, "Minutes," May 2021.', "[12]ibid", "  [3] Weather office"],
    "url": ["https://harbour.example/a-b", "www.harbour.example", "HTTP://HARBOUR.EXAMPLE"],
    "site": ["harbour.example", "Quay-Gazette.co.example"],
    "source": ["Source: The Quay Gazette", "Quelle: Hafenblatt", "Via: the library's newsletter"],
    "byline": [
        "By Ada Brook",
        "BY ADA BROOK",
        "By Ada Brook, The Quay Gazette",
        "By Ada Brook and Ben van der Meer",
        "Author: Ada Brook",
        "Von Ada Bach",
        "Por Ada Ríos de la Vega",
    ],
    "credit": ["Ada Brook, The Quay Gazette", "Ada Brook, Northport", "— Ada Brook", "--Ada Brook"],
    "date": [
        "12 May 2021",
        "May 12, 2021",
        "Wednesday, May 12th, 2021 at 10:30 am",
        "2021-05-12",
        "12.5.2021",
        "Updated: May 12, 2021",
        "last updated: 12 May",
        "Northport, 12 May 2021",
        "NORTHPORT, May 2021",
    ],
    "caption": ["Photo: the new pier", "Image: Ada Brook"],
    "notice": ["© 2021 The Quay Gazette", "All rights reserved.", "The library is not responsible for other sites."],
    "wire": [
        "NORTHPORT, May 12 (Coast News) - The harbour opened on Monday.",
        "NORTHPORT (Coast News) — The harbour opened on Monday.",
        "Northport (Coast News) - The harbour opened on Monday.",
        "NORTHPORT — The harbour opened on Monday.",
        "NORTH PORT, Westland, 12 May 2021 – The harbour opened on Monday.",
    ],
    "short": [
        "Harbour opens its new pier",
        "What comes next?",
        "A storm is coming!",
        "The Harbour, the Library, and the Weather",
        "The Harbour, Reopened",
        "1963",
        "By the sea, in the rain",
        "Library (reopened)",
        "Бібліотека",
        "港湾が開く",
    ],
    "prose": [
        "The harbour opened on Monday.",
        'The master said: "We are late."',
        "In fact, it need not be. [..]",
        "It opened late.[3]",
        "it was late",
        "- bread and milk",
        "The harbour has three piers:",
        "By noon it rained on the pier.",
        "By the sea.",
        "港湾が開いた。",
        "Rain - and more of it - fell on the coast all through the night and the day after.",
        "A " + "very " * 30 + "long line",
        "🙂",
        "...",
        "In May 2021 the harbour opened, and the library with it, after years of waiting for the pier",
    ],
}


@pytest.mark.parametrize(("line", "expected"), [(line, name) for name, lines in LINES.items() for line in lines])
def test_a_line_has_the_shape_a_reader_sees(line: str, expected: str) -> None:
    assert shape.of(line) == expected


@given(st.text(max_size=120), st.sampled_from(["", " ", "\t", "\r", " \r"]))
def test_white_space_around_a_line_says_nothing(line: str, space: str) -> None:
    assert shape.of(line) == shape.of(space + line + space)


@pytest.mark.parametrize("piece", ["a", "-", ".", "a.", "[", "By A ", ",", "A, ", "1-", "(", "🙂", " ", "A-b."])
def test_no_line_is_a_trap(piece: str) -> None:
    start = time.perf_counter()
    shape.of(piece * (2_000_000 // len(piece)))
    shape.of(piece * 40)
    assert time.perf_counter() - start < 1
