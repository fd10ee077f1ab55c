"""The figures: takes the rows of the tables, gives every number that the documents print."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from broadsheet import contract
from broadsheet.annotations import is_firm
from broadsheet.contract import Row
from broadsheet.tables import Tables

LABELS = ("favor", "against", "neutral", "not_addressed", "unclear")
BASES = ("stated", "inferred", "external", "unknown")


class Count(NamedTuple):
    """How many rows, *n*, have the *value*."""

    value: Any
    n: int


class Spread(NamedTuple):
    """The least, the median, the greatest and the sum of some numbers."""

    minimum: int
    median: float
    maximum: int
    total: int


class LeftOut(NamedTuple):
    """A *role* whose lines stay out of the text: how many lines, of how many characters."""

    role: str
    lines: int
    chars: int


@dataclass(frozen=True)
class Agreement:
    """Agreement of the passes on one *target* (None: on all of them together).

    *agreed* of *n* labels are the same in all passes; *alpha* is Krippendorff's alpha, nominal over labels, and
    *alpha_intensity* ordinal over the *n_intensity* items that have an intensity in at least two passes. An alpha is
    None where it is not defined: fewer than two items, or a single value throughout.
    """

    target: str | None
    n: int
    agreed: int
    alpha: float | None
    n_intensity: int
    agreed_intensity: int
    alpha_intensity: float | None


@dataclass(frozen=True)
class Summary:
    """All figures of a dataset."""

    rows: Mapping[str, int]
    chars: Spread
    words: Spread
    paragraphs: Spread
    by_publisher: Sequence[Count]
    by_author: Sequence[Count]
    by_genre: Sequence[Count]
    by_date: Sequence[Count]
    by_precision: Sequence[Count]
    by_language: Sequence[Count]
    by_rights: Sequence[Count]
    by_basis: Mapping[str, Mapping[str, int]]
    flat_by_basis: Mapping[str, Mapping[str, int]]
    n_unknown_publisher: int
    n_claims: int
    n_quotes: int
    n_distinct_quotes: int
    stance_by_target: Mapping[str, Mapping[str, int]]
    intensity_by_target: Mapping[str, Mapping[int | None, int]]
    stance_by_publisher: Mapping[str, Mapping[str | None, Mapping[str, int]]]
    aggregation: Sequence[Count]
    consensus_kinds: Sequence[str]
    left_out: Sequence[LeftOut]
    left_out_share: float
    n_source_lines: int
    n_titled: int
    n_excerpted: int
    n_references: int
    n_reference_urls: int
    n_duplicates: int
    n_repeated_lines: int
    agreement: Sequence[Agreement]
    n_passes: int


def summarize(tables: Tables) -> Summary:
    """Give the figures of *tables*."""
    articles, paragraphs, stances = tables["articles"], tables["paragraphs"], tables["stances"]
    claims = [claim for article in articles for claim in article["provenance"]["claims"]]
    gold = [row for row in stances if row["is_gold"]]
    publisher_of = {article["id"]: article["publisher"] for article in articles}
    quoted = [(article["id"], c["evidence"]) for article in articles for c in article["provenance"]["claims"]]
    quoted += [(row["article_id"], row["evidence"]) for row in stances]
    out = [row for row in paragraphs if row["start"] is None]
    references = [reference for article in articles for reference in article["references"]]
    labels = [row for row in stances if not row["is_gold"]]
    targets = list(dict.fromkeys(row["target_id"] for row in stances))
    return Summary(
        rows={table: len(rows) for table, rows in tables.items()},
        chars=_spread(article["n_chars"] for article in articles),
        words=_spread(article["n_words"] for article in articles),
        paragraphs=_spread(article["n_paragraphs"] for article in articles),
        by_publisher=_counts(article["publisher"] for article in articles),
        by_author=_counts(article["author"] for article in articles),
        by_genre=_counts(article["genre"] for article in articles),
        by_date=_counts(_date(article) for article in articles),
        by_precision=_counts(article["published_precision"] for article in articles),
        by_language=_counts(article["language"] for article in articles),
        by_rights=_counts(article["rights"]["statement"] for article in articles),
        by_basis=_cross(((claim["field"], claim["basis"]) for claim in claims), BASES),
        flat_by_basis={
            column: _flat_basis(articles, column) for column in ("title", "publisher", "author", "published", "genre")
        },
        n_unknown_publisher=sum(article["publisher"] is None for article in articles),
        n_claims=len(claims),
        n_quotes=sum(len(quotes) for _, quotes in quoted),
        n_distinct_quotes=len({(article, q["source"], q["start"], q["end"]) for article, qs in quoted for q in qs}),
        stance_by_target=_cross(((row["target_id"], row["stance"]) for row in gold), LABELS),
        intensity_by_target=_cross(((row["target_id"], row["intensity"]) for row in gold), (-2, -1, 0, 1, 2, None)),
        stance_by_publisher={
            target: _cross(
                ((publisher_of[row["article_id"]], row["stance"]) for row in gold if row["target_id"] == target), LABELS
            )
            for target in targets
        },
        aggregation=_counts(row["aggregation"] for row in gold),
        consensus_kinds=sorted({row["annotator_kind"] for row in gold if row["aggregation"] == "unanimous"}),
        left_out=[
            LeftOut(role, len(own), sum(len(row["text"]) for row in own))
            for role in contract.table_schema("paragraphs")["properties"]["role"]["enum"]
            if (own := [row for row in out if row["role"] == role])
        ],
        left_out_share=sum(len(row["text"]) for row in out) / max(1, sum(len(row["text"]) for row in paragraphs)),
        n_source_lines=len(paragraphs),
        n_titled=sum(article["title"] is not None for article in articles),
        n_excerpted=sum(article["provenance"]["excerpted"] is True for article in articles),
        n_references=len(references),
        n_reference_urls=sum(reference["url"] is not None for reference in references),
        n_duplicates=sum(article["duplicate_of"] is not None for article in articles),
        n_repeated_lines=_repeated(paragraphs),
        agreement=[*(_agreement(labels, target) for target in targets), _agreement(labels, None)] if labels else [],
        n_passes=len({row["annotator_id"] for row in labels}),
    )


def _spread(numbers: Iterable[int]) -> Spread:
    values = sorted(numbers) or [0]
    return Spread(values[0], statistics.median(values), values[-1], sum(values))


def _counts(values: Iterable[Any]) -> list[Count]:
    """Count *values*, the most frequent first, then by name, null last."""
    counted = Counter(values).items()
    return [Count(*item) for item in sorted(counted, key=lambda item: (item[0] is None, -item[1], str(item[0])))]


def _cross(pairs: Iterable[tuple[Any, Any]], columns: Sequence[Any]) -> dict[Any, dict[Any, int]]:
    """Count *pairs* as a table: a row for each first value, in order of appearance (null last), all *columns*."""
    table: dict[Any, dict[Any, int]] = {}
    for row, column in pairs:
        table.setdefault(row, dict.fromkeys(columns, 0))[column] += 1
    return dict(sorted(table.items(), key=lambda item: item[0] is None))


def _flat_basis(articles: Sequence[Row], column: str) -> dict[str, int]:
    """Count the articles by the basis of the claim that *column*'s value comes from; `unknown` where it is null."""
    counts = dict.fromkeys(BASES, 0)
    for article in articles:
        claims = [claim for claim in article["provenance"]["claims"] if claim["field"] == column]
        firm = [claim["basis"] for claim in claims if is_firm(claim)]
        counts[firm[0] if firm else "unknown"] += 1
    return counts


def _date(article: Row) -> str | None:
    """Give as much of an article's date as is known."""
    length = {"day": 10, "month": 7, "year": 4, "unknown": 0}[article["published_precision"]]
    return article["published"][:length] if article["published"] else None


def _repeated(paragraphs: Sequence[Row]) -> int:
    """Count the lines that stand word for word earlier in the same article, references apart."""
    lines = [(row["article_id"], row["text"]) for row in paragraphs if not row["role"].startswith("reference")]
    return len(lines) - len(set(lines))


def _agreement(labels: Sequence[Row], target: str | None) -> Agreement:
    own = [row for row in labels if target in (None, row["target_id"])]
    annotators = sorted({row["annotator_id"] for row in own})
    items = sorted({(row["article_id"], row["target_id"]) for row in own})
    given = {(row["annotator_id"], row["article_id"], row["target_id"]): row for row in own}
    stance = [[given[annotator, *item]["stance"] for item in items] for annotator in annotators]
    intensity = [[given[annotator, *item]["intensity"] for item in items] for annotator in annotators]
    columns = list(zip(*intensity, strict=True))
    paired = [column for column in columns if sum(value is not None for value in column) > 1]
    return Agreement(
        target=target,
        n=len(items),
        agreed=sum(len(set(column)) == 1 for column in zip(*stance, strict=True)),
        alpha=_alpha([[LABELS.index(label) for label in row] for row in stance], "nominal"),
        n_intensity=len(paired),
        agreed_intensity=sum(len(set(column)) == 1 for column in paired),
        alpha_intensity=_alpha([list(row) for row in zip(*paired, strict=True)], "ordinal"),
    )


def _alpha(ratings: Sequence[Sequence[int | None]], level: str) -> float | None:
    """Give Krippendorff's alpha of *ratings* (annotators by items), or None where it is not defined."""
    # The library takes a moment to import, and only a build needs it.
    import krippendorff  # noqa: PLC0415

    values = [value for row in ratings for value in row if value is not None]
    if len(ratings) < 2 or len(ratings[0]) < 2 or len(set(values)) < 2:  # noqa: PLR2004 - two to agree or differ
        return None
    data = [[float("nan") if value is None else float(value) for value in row] for row in ratings]
    return float(krippendorff.alpha(reliability_data=data, level_of_measurement=level))
