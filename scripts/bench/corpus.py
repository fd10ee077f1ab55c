"""The benchmark's corpus: takes a number of rows and a seed, gives article rows as JSON Lines that keep the contract.

Each row is what a build would give: text, counts, digest, offsets and flat columns agree. The words are invented. The
same seed gives the same bytes (with the same numpy). Rows are written as they are made, so memory stays small.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import orjson

Row = dict[str, Any]
T = TypeVar("T")

VOCABULARY = 20_000
#: The length of a text in bytes: lognormal, with this median and sigma.
MEDIAN, SIGMA, SHORTEST = 3_600, 0.6, 200
CONTEXT = 32
ARTICLES_PER_SOURCE = 40
TARGET = "harbour-plan"
FIELDS = ("title", "publisher", "author", "published", "genre", "collected_from", "upstream_source", "excerpted")
GENRES = ("news_report", "backgrounder", "opinion", "organization_post", "other")
STANCES = {"favor": (1, 2), "against": (-1, -2), "neutral": (0,), "not_addressed": (None,), "unclear": (None,)}
BASES = {"stated": 0.3, "inferred": 0.25, "external": 0.1, "unknown": 0.35}
#: How many claims, quotes of a claim, and references a row has, by weight; few have many, as in real rows.
CLAIMS = {3: 35, 4: 25, 5: 18, 6: 12, 7: 6, 8: 4}
QUOTES = {0: 60, 1: 32, 2: 8}
REFERENCES = {0: 76, **dict.fromkeys(range(1, 13), 2)}
PRECISION = {0: "unknown", 4: "year", 7: "month", 10: "day"}
#: The forms a word takes in a text, each with what separates it from the next one.
FORMS = ("{word} ", "{word}, ", "“{word}” ", "{capital} ", "{word}. ", "{word}.\n")
PLAIN, COMMA, QUOTED, FIRST, LAST, END = range(len(FORMS))
ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "st", "tr", "sh", "")
NUCLEI = (*"aeioaeioaeiou", "ai", "ou", "ea", *"aeioaeioaeiou", "ai", "ou", "é")
CODAS = ("", "", "", "n", "r", "s", "l", "t", "m", "nd")
EMOJI = "🙂🌍📰🚢🎻🦉🌧🍞"


@dataclass(frozen=True)
class Words:
    """The invented language: its *plain* words, commonest first; every form with its size; how common each word is."""

    plain: Sequence[str]
    forms: npt.NDArray[np.object_]
    sizes: npt.NDArray[np.int64]
    cumulative: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Dice:
    """The sources of chance: *one* for single draws, *many* for whole texts."""

    one: random.Random
    many: np.random.Generator


@dataclass(frozen=True)
class Place:
    """Where an article starts: its source file's *number*, a line from 1, and a byte from 0."""

    number: int
    line: int
    byte: int


def corpus(rows: int, seed: int) -> Iterator[Row]:
    """Give *rows* article rows, one after another."""
    dice = Dice(random.Random(seed), np.random.default_rng(seed))  # noqa: S311 - a corpus keeps no secret
    words = vocabulary(dice.one)
    place = Place(0, 1, 0)
    for number in range(rows):
        if number % ARTICLES_PER_SOURCE == 0:
            place = Place(number // ARTICLES_PER_SOURCE, 1, 0)
        row = article(number, place, words, dice)
        yield row
        place = Place(place.number, row["provenance"]["end_line"] + 1, row["provenance"]["end_byte"])


def vocabulary(one: random.Random) -> Words:
    """Give an invented language in which a word's frequency falls with its rank (Zipf), and short words are common."""
    found: dict[str, None] = {}
    while len(found) < VOCABULARY - len(EMOJI):
        syllables = one.choices((1, 2, 3, 4), (1, 6, 5, 2))[0]
        word = "".join(one.choice(ONSETS) + one.choice(NUCLEI) + one.choice(CODAS) for _ in range(syllables))
        found[word + ("’s" if one.random() < 0.02 else "")] = None  # noqa: PLR2004, RUF001 - one in fifty
    plain = sorted(found, key=lambda word: len(word) + one.uniform(0, 10))
    for rank, emoji in enumerate(EMOJI, start=1):
        plain.insert(rank * 2000, emoji)
    weights = 1 / (np.arange(VOCABULARY) + 2.7)
    forms = [form.format(word=word, capital=word.capitalize()) for form in FORMS for word in plain]
    sizes = np.array([len(form.encode()) for form in forms])
    return Words(plain, np.array(forms, dtype=object), sizes, np.cumsum(weights / weights.sum()))


def prose(size: int, words: Words, many: np.random.Generator) -> str:
    """Give a text of about *size* bytes: sentences in paragraphs, which are joined by line feeds."""
    n = size // 3
    chance = many.random((3, n))
    last = chance[1] < 1 / 18
    first = np.roll(last, 1)
    first[0] = True
    form = np.select(
        [last & (chance[2] < 1 / 5), last, first, chance[2] < 1 / 20, chance[2] > 1 - 1 / 80],
        [END, LAST, FIRST, COMMA, QUOTED],
        PLAIN,
    )
    word = np.minimum(np.searchsorted(words.cumulative, chance[0]), VOCABULARY - 1)
    chosen = form * VOCABULARY + word
    stop = min(int(np.searchsorted(np.cumsum(words.sizes[chosen]), size)), n - 1)
    chosen[stop] = END * VOCABULARY + word[stop]
    return "".join(words.forms[chosen[: stop + 1]].tolist())[:-1]


def article(number: int, place: Place, words: Words, dice: Dice) -> Row:
    """Give the row of the article with this *number*, which starts at *place* in its source."""
    one = dice.one
    text = prose(max(SHORTEST, int(dice.many.lognormal(np.log(MEDIAN), SIGMA))), words, dice.many)
    claims = [claim(field, text, words, one) for field in _fields(one)]
    firm = {claim["field"]: claim["value"] for claim in claims if _is_firm(claim)}
    date = firm.get("published") or ""
    stance = one.choice([*STANCES])
    return {
        "id": f"{one.choice(words.plain[:2000]).replace('’', '')}-{number:06d}",  # noqa: RUF001 - an apostrophe
        "title": firm.get("title"),
        "text": text,
        "language": "en",
        "genre": firm.get("genre"),
        "publisher": firm.get("publisher"),
        "author": firm.get("author"),
        "published": (date + "-01-01")[:10] if date else None,
        "published_precision": PRECISION[len(date)],
        "stance": stance,
        "stance_intensity": one.choice(STANCES[stance]),
        "stance_target": TARGET,
        "n_chars": len(text),
        "n_words": len(text.split()),
        "n_paragraphs": text.count("\n") + 1,
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "duplicate_of": None,
        "status": "active",
        "provenance": provenance(text, place, firm, claims),
        "rights": rights(firm.get("publisher")),
        "references": [reference(index, words, one) for index in range(1, _weighted(REFERENCES, one) + 1)],
    }


def provenance(text: str, place: Place, firm: Mapping[str, str], claims: Sequence[Row]) -> Row:
    """Give an article's provenance, its *text* being all its lines in the source."""
    file = f"source-{place.number:04d}.txt"
    return {
        "source_file": file,
        "source_sha256": hashlib.sha256(file.encode()).hexdigest(),
        "start_line": place.line,
        "end_line": place.line + text.count("\n"),
        "start_byte": place.byte,
        "end_byte": place.byte + len(text.encode()) + 1,
        "collected_from": firm.get("collected_from"),
        "upstream_sources": [firm["upstream_source"]] if "upstream_source" in firm else [],
        "excerpted": True if "excerpted" in firm else None,
        "claims": list(claims),
    }


def claim(field: str, text: str, words: Words, one: random.Random) -> Row:
    """Give a claim about *field* that keeps the rules of its basis."""
    basis = _weighted(BASES, one)
    quotes = max(_weighted(QUOTES, one), 1 if basis == "stated" else 0)
    noted = basis == "external" or not quotes
    return {
        "field": field,
        "value": None if basis == "unknown" else value(field, words, one),
        "basis": basis,
        "confidence": one.choice(("low", "medium", "high")) if basis in ("inferred", "external") else None,
        "evidence": [evidence(text, one) for _ in range(quotes)],
        "note": _phrase(words, one, 4, 14) + "." if noted else None,
    }


def value(field: str, words: Words, one: random.Random) -> str:
    """Give what a claim about *field* may claim."""
    match field:
        case "published":
            day = f"{one.randint(1995, 2024)}-{one.randint(1, 12):02d}-{one.randint(1, 28):02d}"
            return day[: one.choice((4, 7, 10))]
        case "genre":
            return one.choice(GENRES)
        case "excerpted":
            return "true"
        case "title":
            return _phrase(words, one, 4, 10)
        case _:
            return _phrase(words, one, 2, 3).title()


def evidence(text: str, one: random.Random) -> Row:
    """Give a quote of a few words of one line of *text*, with its place in code points."""
    at = one.randrange(len(text))
    opening = text.rfind("\n", 0, at) + 1
    closing = text.find("\n", opening)
    words = text[opening : closing if closing >= 0 else len(text)].split(" ")
    skipped = one.randrange(len(words))
    exact = " ".join(words[skipped : skipped + one.randint(2, 10)])
    start = opening + sum(len(word) + 1 for word in words[:skipped])
    end = start + len(exact)
    return {
        "source": "text",
        "exact": exact,
        "prefix": text[max(0, start - CONTEXT) : start],
        "suffix": text[end : end + CONTEXT],
        "start": start,
        "end": end,
    }


def rights(holder: str | None) -> Row:
    """Give the rights in a text, with its publisher as the presumed *holder*."""
    return {
        "license": "LicenseRef-not-granted",
        "statement": f"http://rightsstatements.org/vocab/{'InC' if holder else 'CNE'}/1.0/",
        "holder": holder,
        "usage_terms": "Nothing is granted with the text; treat it as in copyright.",
    }


def reference(index: int, words: Words, one: random.Random) -> Row:
    """Give the entry with this *index* of a list of references; one in four has no URL."""
    url = f"https://www.example.org/{one.randint(1995, 2024)}/{one.randrange(16**8):08x}.html"
    return {
        "marker": f"[{index}]",
        "text": f"{_phrase(words, one, 2, 3).title()}, “{_phrase(words, one, 3, 9)},”",
        "url": url if one.random() < 0.75 else None,  # noqa: PLR2004 - three in four
    }


def _fields(one: random.Random) -> list[str]:
    chosen = set(one.sample(FIELDS, _weighted(CLAIMS, one)))
    return [field for field in FIELDS if field in chosen]


def _is_firm(claim: Row) -> bool:
    return (claim["basis"], claim["confidence"]) in (("stated", None), ("inferred", "high"))


def _weighted(weights: Mapping[T, float], one: random.Random) -> T:
    return one.choices([*weights], [*weights.values()])[0]


def _phrase(words: Words, one: random.Random, least: int, most: int) -> str:
    chosen = (words.plain[int(one.paretovariate(0.5)) % VOCABULARY] for _ in range(one.randint(least, most)))
    return " ".join(chosen).capitalize()


def write(rows: int, seed: int, out: Path) -> int:
    """Write the corpus to *out*, and give its size in bytes."""
    with out.open("wb") as file:
        return sum(file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)) for row in corpus(rows, seed))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write a corpus of article rows that keep the contract.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    size = write(options.rows, options.seed, options.out)
    print(f"{options.rows} rows, {size / 1e6:.1f} MB, {size / max(1, options.rows):.0f} bytes a row")


if __name__ == "__main__":
    main()
