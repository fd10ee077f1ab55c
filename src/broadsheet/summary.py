"""The figures: takes a catalogue and the tallies of all shards, gives every number that the documents print."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from broadsheet import contract
from broadsheet.catalogue import Catalogue
from broadsheet.rules import Record, is_firm
from broadsheet.sql import literal

LABELS = ("favor", "against", "neutral", "not_addressed", "unclear")
BASES = ("stated", "inferred", "external", "unknown")
INTENSITIES = (-2, -1, 0, 1, 2, None)
#: Columns whose value comes from a claim.
FLAT = ("title", "publisher", "author", "published", "genre")
#: How many values of a column are told one by one; what they have in common is told of the others.
TOLD = 40


class Count(NamedTuple):
    """How many rows, *n*, have the *value*."""

    value: Any
    n: int


class Further(int):
    """How many further values a column has, beside those that are told one by one."""

    def __str__(self) -> str:
        """Say it as a table's cell does."""
        return f"({int(self):,} further values)"


class Spread(NamedTuple):
    """The least, the median, the greatest and the sum of some numbers."""

    minimum: int
    median: float
    maximum: int
    total: int


class Rights(NamedTuple):
    """How many texts, *n*, are under the same *license* and *statement*; None where they are told together."""

    license: str | Further
    statement: str | None
    n: int


class Annotating(NamedTuple):
    """How many labels, *n*, the annotator *id* of a *kind* gave, *gold* of them as gold labels."""

    id: str | Further
    kind: str | None
    n: int
    gold: int


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
class Labels:
    """What the labels are, all *n* of them; *gold* are gold labels, the others one annotator's own.

    *quoted* rest on quotes, *absent* on there being none, *external* came without any. Those that *came* with the
    source were given by nobody who labels here. *holders* are whose stance it is, *kinds* those of the annotators.
    *articles* have a label, and *gold_articles* a gold one.
    """

    n: int
    gold: int
    quoted: int
    absent: int
    external: int
    quotes: int
    came: int
    with_intensity: int
    articles: int
    gold_articles: int
    holders: Sequence[str]
    kinds: Sequence[str]
    annotators: Sequence[Annotating]


@dataclass(frozen=True)
class Summary:
    """All figures of a dataset."""

    rows: Mapping[str, int]
    rows_by_split: Mapping[str, Mapping[str, int]]
    chars: Spread
    words: Spread
    paragraphs: Spread
    by_publisher: Sequence[Count]
    by_author: Sequence[Count]
    by_genre: Sequence[Count]
    by_date: Sequence[Count]
    by_precision: Sequence[Count]
    by_language: Sequence[Count]
    by_license: Sequence[Count]
    by_rights: Sequence[Rights]
    n_not_granted: int
    n_own_terms: int
    n_holders: int
    by_basis: Mapping[str, Mapping[str, int]]
    flat_by_basis: Mapping[str, Mapping[str, int]]
    n_unknown_publisher: int
    n_with_source: int
    n_with_lines: int
    n_with_stance: int
    n_claims: int
    n_quotes: int
    n_distinct_quotes: int
    labels: Labels
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


@dataclass
class Tally:
    """What is counted while rows pass by, and summed up over shards: few counters, however many rows there are."""

    bases: Counter[tuple[str, str]] = field(default_factory=Counter)
    firm: Counter[tuple[str, str]] = field(default_factory=Counter)
    lines: Counter[tuple[str, bool]] = field(default_factory=Counter)
    chars: Counter[tuple[str, bool]] = field(default_factory=Counter)
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, records: Sequence[Record], articles: pa.RecordBatch) -> None:
        """Count *records*, whose *articles* are a record batch too: its columns are counted as a whole."""
        provenance, references = articles.column("provenance"), articles.column("references").flatten()
        claims = provenance.field("claims").flatten()
        self._add_claims(claims)
        of_labels = list(_label_quotes(records))
        quotes = [*_quotes(provenance.field("claims"), claims.field("evidence")), *of_labels]
        self.counts.update(
            {
                "articles": len(articles),
                "quotes": len(quotes),
                "label_quotes": len(of_labels),
                "distinct_quotes": len(set(quotes)),
                "references": len(references),
                "reference_urls": _known(references.field("url")),
                **{column: _known(articles.column(column)) for column in FLAT},
                "stance": _known(articles.column("stance")),
                "source_file": _known(provenance.field("source_file")),
                "start_line": _known(provenance.field("start_line")),
                "holder": _known(articles.column("rights").field("holder")),
                "excerpted": provenance.field("excerpted").true_count,
                "duplicates": _known(articles.column("duplicate_of")),
            }
        )
        self._add_labels(records)
        self._add_lines([row.value for record in records for row in record.paragraphs])

    def _add_claims(self, claims: pa.StructArray) -> None:
        # Few kinds of claims make up all of them; what they are made of has no spaces.
        parts = [pc.fill_null(claims.field(name), "") for name in ("field", "basis", "confidence")]
        kinds = pc.value_counts(pc.binary_join_element_wise(*parts, " "))
        for kind, n in zip(kinds.field("values").to_pylist(), kinds.field("counts").to_pylist(), strict=True):
            column, basis, confidence = kind.split(" ")
            self.bases[column, basis] += n
            if is_firm({"basis": basis, "confidence": confidence or None}):
                self.firm[column, basis] += n

    def _add_labels(self, records: Sequence[Record]) -> None:
        for record in records:
            for label in record.stances:
                row = label.value
                basis = row["basis"] if row["evidence"] or row["basis"] == "external" else "absent"
                self.labels[basis, row["holder"]] += 1
            self.counts["labelled"] += bool(record.stances)
            self.counts["gold"] += any(label.value["is_gold"] for label in record.stances)

    def _add_lines(self, lines: Sequence[Mapping[str, Any]]) -> None:
        for line in lines:
            kind = (line["role"], line["start"] is not None)
            self.lines[kind] += 1
            self.chars[kind] += len(line["text"])
        # Lines that stand word for word earlier in the same article, references apart.
        own = [(line["article_id"], line["text"]) for line in lines if not line["role"].startswith("reference")]
        self.counts["repeated_lines"] += len(own) - len(set(own))

    def merge(self, other: Tally) -> None:
        """Take over what *other* has counted."""
        for name in ("bases", "firm", "lines", "chars", "labels", "counts"):
            getattr(self, name).update(getattr(other, name))


_Quote = tuple[int, str, int, int]


def _quotes(claims: pa.ListArray, evidence: pa.ListArray) -> Iterator[_Quote]:
    """Give each quote of the articles' *claims*, whose *evidence* they are: the article's number, source, and place."""
    articles = pc.list_parent_indices(claims).take(pc.list_parent_indices(evidence))
    quotes = evidence.flatten()
    columns = (articles, *(quotes.field(name) for name in ("source", "start", "end")))
    return zip(*(column.to_numpy(zero_copy_only=False).tolist() for column in columns), strict=True)


def _label_quotes(records: Sequence[Record]) -> Iterator[_Quote]:
    for number, record in enumerate(records):
        for label in record.stances:
            for quote in label.value["evidence"]:
                yield number, quote["source"], quote["start"], quote["end"]


def _known(column: pa.Array) -> int:
    return len(column) - int(column.null_count)


def summarize(catalogue: Catalogue, tally: Tally, targets: Sequence[str], labellers: Sequence[str] = ()) -> Summary:
    """Give the figures of a dataset whose rows are entered in *catalogue* and counted in *tally*.

    *targets* are those of the recipe, in its order; *labellers* are under whose names labels are given here.
    """
    query = catalogue.query
    tables = catalogue.tables
    has_labels = "stances" in tables
    out = {role: (n, tally.chars[role, False]) for (role, inside), n in tally.lines.items() if not inside}
    by_split = {table: dict(query(f"SELECT split, count(*) FROM {table} GROUP BY 1 ORDER BY 1")) for table in tables}
    return Summary(
        rows={table: sum(by_split.get(table, {}).values()) for table in contract.TABLES},
        rows_by_split=by_split,
        chars=_spread(catalogue, "n_chars"),
        words=_spread(catalogue, "n_words"),
        paragraphs=_spread(catalogue, "n_paragraphs"),
        by_publisher=_counts(catalogue, "publisher"),
        by_author=_counts(catalogue, "author"),
        by_genre=_counts(catalogue, "genre"),
        by_date=_counts(catalogue, _DATE),
        by_precision=_counts(catalogue, "published_precision"),
        by_language=_counts(catalogue, "language"),
        by_license=_counts(catalogue, _LICENSE),
        by_rights=[_rights(count) for count in _counts(catalogue, "rights")],
        n_not_granted=_licensed(catalogue, "LicenseRef-not-granted "),
        n_own_terms=_licensed(catalogue, "LicenseRef-"),
        n_holders=tally.counts["holder"],
        by_basis={field: {b: tally.bases[field, b] for b in BASES} for field in _fields() if _any(tally.bases, field)},
        flat_by_basis={column: _flat(tally, column) for column in FLAT},
        n_unknown_publisher=query("SELECT count(*) FROM articles WHERE publisher IS NULL")[0][0],
        n_with_source=tally.counts["source_file"],
        n_with_lines=tally.counts["start_line"],
        n_with_stance=tally.counts["stance"],
        n_claims=sum(tally.bases.values()),
        n_quotes=tally.counts["quotes"],
        n_distinct_quotes=tally.counts["distinct_quotes"],
        labels=_labels(catalogue, tally, labellers),
        stance_by_target=_in_order(_gold(catalogue, "target_id", "stance", LABELS), targets),
        intensity_by_target=_in_order(_gold(catalogue, "target_id", "intensity", INTENSITIES), targets),
        stance_by_publisher={
            target: table for target in targets if (table := _gold(catalogue, "publisher", "stance", LABELS, target))
        },
        aggregation=_counts(catalogue, "aggregation", "stances WHERE is_gold") if has_labels else [],
        consensus_kinds=[
            kind
            for (kind,) in query(
                "SELECT DISTINCT annotator_kind FROM stances WHERE is_gold AND aggregation = 'unanimous' ORDER BY 1"
            )
        ]
        if has_labels
        else [],
        left_out=[LeftOut(role, *out[role]) for role in _roles() if role in out],
        left_out_share=sum(n for _, n in out.values()) / max(1, sum(tally.chars.values())),
        n_source_lines=sum(tally.lines.values()),
        n_titled=tally.counts["title"],
        n_excerpted=tally.counts["excerpted"],
        n_references=tally.counts["references"],
        n_reference_urls=tally.counts["reference_urls"],
        n_duplicates=tally.counts["duplicates"],
        n_repeated_lines=tally.counts["repeated_lines"],
        agreement=_agreements(catalogue, targets),
        n_passes=query("SELECT count(DISTINCT annotator_id) FROM stances WHERE NOT is_gold")[0][0] if has_labels else 0,
    )


# As much of an article's date as is known.
_DATE = "left(published::VARCHAR, CASE published_precision WHEN 'day' THEN 10 WHEN 'month' THEN 7 ELSE 4 END)"


# The licence in what is entered of an article's rights: the statement after it is a URI, and has no space.
_LICENSE = "left(rights, length(rights) - strpos(reverse(rights), ' '))"


def _rights(count: Count) -> Rights:
    if isinstance(count.value, Further):
        return Rights(count.value, None, count.n)
    license_, statement = count.value.rsplit(" ", 1)
    return Rights(license_, statement, count.n)


def _licensed(catalogue: Catalogue, start: str) -> int:
    ((n,),) = catalogue.query(f"SELECT count(*) FROM articles WHERE starts_with(rights, {literal(start)})")
    return int(n)


def _labels(catalogue: Catalogue, tally: Tally, labellers: Sequence[str]) -> Labels:
    by_basis: Counter[str] = Counter()
    for (basis, _), n in tally.labels.items():
        by_basis[basis] += n
    n, gold, came, with_intensity, kinds, annotators = 0, 0, 0, 0, [], []
    if "stances" in catalogue.tables:
        here = ", ".join(map(literal, ["", *labellers]))
        sql = f"""
            SELECT count(*), count(*) FILTER (is_gold), count(*) FILTER (annotator_id NOT IN ({here})),
            count(intensity), list_sort(list(DISTINCT annotator_kind)) FROM stances
        """
        ((n, gold, came, with_intensity, kinds),) = catalogue.query(sql)
        annotators = _annotators(catalogue)
    return Labels(
        n=n,
        gold=gold,
        quoted=by_basis["stated"],
        absent=by_basis["absent"],
        external=by_basis["external"],
        quotes=tally.counts["label_quotes"],
        came=came,
        with_intensity=with_intensity,
        articles=tally.counts["labelled"],
        gold_articles=tally.counts["gold"],
        holders=sorted({holder for _, holder in tally.labels}),
        kinds=kinds,
        annotators=annotators,
    )


def _annotators(catalogue: Catalogue) -> list[Annotating]:
    """Give who labelled most, and all others together."""
    sql = f"""
        SELECT annotator_id, annotator_kind, count(*) AS n, count(*) FILTER (is_gold) AS gold,
        count(*) OVER () AS annotators, sum(n) OVER () AS labels, sum(gold) OVER () AS golds
        FROM stances GROUP BY 1, 2 ORDER BY n DESC, 1, 2 LIMIT {TOLD}
    """
    found = catalogue.query(sql)
    told = [Annotating(*row[:4]) for row in found]
    further = [annotators - len(told) for *_, annotators, _, _ in found[:1]]
    if not any(further):
        return told
    labels, golds = found[0][5:]
    n, gold = int(labels) - sum(one.n for one in told), int(golds) - sum(one.gold for one in told)
    return [*told, Annotating(Further(further[0]), None, n, gold)]


def _spread(catalogue: Catalogue, column: str) -> Spread:
    sql = f"SELECT min({column}), median({column}), max({column}), sum({column})::BIGINT FROM articles"
    return Spread(*catalogue.query(sql)[0])


def _counts(catalogue: Catalogue, column: str, of: str = "articles") -> list[Count]:
    """Count the values of *column*, the most frequent first, then by name, null last; further ones together."""
    sql = f"""
        SELECT {column} AS value, count(*) AS n FROM {of}
        GROUP BY 1 ORDER BY value IS NULL, n DESC, value LIMIT {TOLD + 1}
    """
    counts = [Count(*row) for row in catalogue.query(sql)]
    if len(counts) <= TOLD:
        return counts
    ((distinct, total),) = catalogue.query(f"SELECT count(DISTINCT {column}), count({column}) FROM {of}")
    ((nulls,),) = catalogue.query(f"SELECT count(*) FROM {of} WHERE {column} IS NULL")
    told = [count for count in counts[:TOLD] if count.value is not None]
    further = Count(Further(distinct - len(told)), total - sum(count.n for count in told))
    return [*told, *([further] if further.n else []), *([Count(None, nulls)] if nulls else [])]


def _gold(
    catalogue: Catalogue, row: str, column: str, columns: Sequence[Any], target: str | None = None
) -> dict[Any, dict[Any, int]]:
    """Count the gold labels as a table of *row* by *column*, the most frequent row first, null last; all *columns*."""
    if "stances" not in catalogue.tables:
        return {}
    where = "" if target is None else f"AND target_id = {literal(target)}"
    sql = f"""
        WITH counted AS (
            SELECT {row} AS name, {column} AS value, count(*) AS n FROM stances WHERE is_gold {where} GROUP BY 1, 2),
        told AS (
            SELECT name, sum(n) AS total FROM counted GROUP BY 1 ORDER BY name IS NULL, total DESC, name LIMIT {TOLD})
        SELECT counted.name, value, n FROM counted JOIN told ON counted.name IS NOT DISTINCT FROM told.name
        ORDER BY counted.name IS NULL, total DESC, counted.name
    """
    table: dict[Any, dict[Any, int]] = {}
    for name, value, n in catalogue.query(sql):
        table.setdefault(name, dict.fromkeys(columns, 0))[value] = n
    return table


def _in_order(table: Mapping[Any, dict[Any, int]], names: Sequence[str]) -> dict[Any, dict[Any, int]]:
    return {name: table[name] for name in [*names, *table] if name in table}


def _agreements(catalogue: Catalogue, targets: Sequence[str]) -> list[Agreement]:
    if "stances" not in catalogue.tables:
        return []
    # Items with the same labels by the same annotators are one pattern: there are few, however many items there are.
    sql = """
        WITH items AS (
            SELECT target_id, list((annotator_id, stance, intensity) ORDER BY annotator_id) AS labels
            FROM stances WHERE NOT is_gold GROUP BY article_id, target_id)
        SELECT target_id, labels, count(*) FROM items GROUP BY ALL ORDER BY ALL
    """
    patterns = [_Pattern(target, labels, n) for target, labels, n in catalogue.query(sql)]
    # An item with a single label says nothing about agreement.
    patterns = [pattern for pattern in patterns if len(pattern.labels) > 1]
    by_target = [(target, [p for p in patterns if p.target == target]) for target in targets]
    agreements = [_agreement(own, target) for target, own in by_target if own]
    return [*agreements, _agreement(patterns, None)] if patterns else []


class _Pattern(NamedTuple):
    """That *n* items of a *target* have these *labels*: annotator, stance and intensity."""

    target: str
    labels: Sequence[tuple[str, str, int | None]]
    n: int


def _agreement(patterns: Sequence[_Pattern], target: str | None) -> Agreement:
    stance = [([label for _, label, _ in p.labels], p.n) for p in patterns]
    intensity = [([value for _, _, value in p.labels if value is not None], p.n) for p in patterns]
    paired = [(values, n) for values, n in intensity if len(values) > 1]
    return Agreement(
        target=target,
        n=sum(n for _, n in stance),
        agreed=sum(n for labels, n in stance if len(set(labels)) == 1),
        alpha=_alpha(stance, LABELS, "nominal"),
        n_intensity=sum(n for _, n in paired),
        agreed_intensity=sum(n for values, n in paired if len(set(values)) == 1),
        alpha_intensity=_alpha(paired, (-2, -1, 0, 1, 2), "ordinal"),
    )


def _alpha(items: Iterable[tuple[Sequence[Any], int]], values: Sequence[Any], level: str) -> float | None:
    """Give Krippendorff's alpha of *items* (labels, and how many have them), or None where it is not defined."""
    # The library takes a moment to import, and only a build needs it.
    import krippendorff  # noqa: PLC0415

    items = list(items)
    n_items = sum(n for _, n in items)
    if n_items < 2 or len(set(chain.from_iterable(labels for labels, _ in items))) < 2:  # noqa: PLR2004 - to differ
        return None
    counts = np.array([[labels.count(value) for value in values] for labels, _ in items])
    repeated = np.repeat(counts, [n for _, n in items], axis=0)
    used = repeated.sum(axis=0) > 0
    domain = np.array(values)[used] if level == "ordinal" else None
    return float(krippendorff.alpha(value_counts=repeated[:, used], value_domain=domain, level_of_measurement=level))


def _flat(tally: Tally, column: str) -> dict[str, int]:
    """Count the articles by the basis of the claim that *column*'s value comes from.

    `given` are those that have a value without a claim, `unknown` those where it is null.
    """
    counts = {basis: tally.firm[column, basis] for basis in BASES}
    known = tally.counts[column]
    return counts | {"given": known - sum(counts.values()), "unknown": tally.counts["articles"] - known}


def _roles() -> list[str]:
    roles: list[str] = contract.table_schema("paragraphs")["properties"]["role"]["enum"]
    return roles


def _fields() -> list[str]:
    fields: list[str] = contract.table_schema("articles")["$defs"]["claim"]["properties"]["field"]["enum"]
    return fields


def _any(counter: Counter[tuple[str, str]], field: str) -> bool:
    return any(counter[field, basis] for basis in BASES)
