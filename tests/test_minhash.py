"""Near-duplicates: what the exact Jaccard index tells is found, in any order, and no crowd of rows makes it slow."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadsheet import minhash
from broadsheet.minhash import EMPTY, PERMUTATIONS, SHINGLE, banding, clusters, signatures

ALPHABET = "abcdefghijklmnopqrstuvwxyzéß"
# Letters of several scripts and sizes in UTF-8, spaces, punctuation, a symbol, a combining mark, and U+0000.
texts = st.text(st.sampled_from("abcB Éß.,“\n\t中文字🙂🌍\u0301\x00-"), max_size=20)


@functools.cache
def folding() -> dict[int, int]:
    return {point: to for point, to in enumerate(minhash.folding().tolist()) if point != to}


def folded(text: str) -> str:
    return " ".join(text.translate(folding()).split())


def shingles(text: str) -> set[str]:
    whole = folded(text)
    return {whole[at : at + SHINGLE] for at in range(max(1, len(whole) - SHINGLE + 1))}


def jaccard(one: str, other: str) -> float:
    left, right = shingles(one), shingles(other)
    return len(left & right) / len(left | right)


def estimated(one: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32]) -> float:
    return float(np.mean(one == other))


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a test keeps no secret


def prose(chance: random.Random, words: int = 400) -> list[str]:
    return ["".join(chance.choices(ALPHABET, k=chance.randint(2, 9))) for _ in range(words)]


def edited(text: Sequence[str], rate: float, chance: random.Random) -> list[str]:
    return [prose(chance, 1)[0] if chance.random() < rate else word for word in text]


# Signatures ----------------------------------------------------------------------------------------------------------


def test_a_list_and_arrow_arrays_of_any_kind_give_the_same_signatures() -> None:
    many = [" ".join(prose(seeded(seed), seed)) for seed in range(60)] + ["", "  ", "中文", "a" * 200_000]
    expected = signatures(many)
    array = pa.array(many)
    assert expected.shape == (len(many), PERMUTATIONS)
    assert expected.dtype == np.uint32
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        assert np.array_equal(signatures(array.cast(kind)), expected)
    assert np.array_equal(signatures(array.slice(7, 30)), expected[7:37])
    assert np.array_equal(signatures(pa.chunked_array([array[:9], array[9:]])), expected)
    assert signatures([]).shape == signatures(pa.array([], pa.string())).shape == (0, PERMUTATIONS)


@settings(deadline=None)
@given(st.lists(texts, max_size=8))
def test_a_signature_is_that_of_the_text_alone(many: list[str]) -> None:
    together = signatures(many)
    for text, signature in zip(many, together, strict=True):
        assert np.array_equal(signatures([text])[0], signature)


@settings(deadline=None)
@given(texts, texts)
def test_two_signatures_are_equal_if_the_shingles_are_and_not_if_these_have_nothing_in_common(
    one: str, other: str
) -> None:
    left, right = signatures([one, other])
    if shingles(one) == shingles(other):
        assert np.array_equal(left, right)
    elif not shingles(one) & shingles(other):
        assert estimated(left, right) < 0.1


def test_parts_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [" " * (seed % 3) + "é ".join(prose(seeded(seed), seed % 50)) + " " * (seed % 4) for seed in range(99)]
    expected = signatures(many)
    monkeypatch.setattr(minhash, "BYTES", 100)
    assert np.array_equal(signatures(many), expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The mayor’s “plan” – approved.", 'the mayor\'s "plan" - APPROVED'),
        ("two  spaces\tand\r\na line", " two spaces and a line\n"),
        ("STRASSE ΣΊΣΥΦΟΣ", "strasse σίσυφος"),
        ("ab", "AB."),
    ],
)
def test_case_spaces_and_punctuation_do_not_count(one: str, other: str) -> None:
    left, right = signatures([one, other])
    assert np.array_equal(left, right)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "!?", None])
def test_an_empty_text_is_alike_to_empty_ones_only(text: str | None) -> None:
    found = signatures(pa.array([text, "", "a", "ab"], pa.string()))
    assert (found[0] == EMPTY).all()
    assert clusters(found, 0.1).tolist() == [0, 0, 2, 3]


def test_a_text_shorter_than_a_shingle_is_alike_to_the_same_one_only() -> None:
    many = ["a", "ab", "abc", "abcd", "abcde", "abcdef", "aa", "b", "a", "abcd", "中", "中文", "文", "\x00a"]
    assert clusters(signatures(many), 0.1).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 3, 10, 11, 12, 0]


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.3])
def test_the_estimate_is_not_biased(rate: float) -> None:
    chance = seeded(1)
    pairs = [(" ".join(text), " ".join(edited(text, rate, chance))) for text in (prose(chance) for _ in range(100))]
    left, right = (signatures(side) for side in zip(*pairs, strict=True))
    errors = [
        estimated(*both) - jaccard(*pair) for both, pair in zip(zip(left, right, strict=True), pairs, strict=True)
    ]
    assert abs(np.mean(errors)) < 0.012
    assert np.std(errors) < 0.055


# Clusters ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.7, 0.8, 0.9])
def test_what_is_alike_is_found_and_little_else(threshold: float) -> None:
    chance = seeded(2)
    rates = (0.0, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2)
    originals = [prose(chance) for _ in range(140)]
    copies = [edited(text, rates[number % len(rates)], chance) for number, text in enumerate(originals)]
    # Texts that share a part only.
    mixed = [text[:80] + prose(chance, 320) for text in originals[:40]]
    many = [" ".join(text) for text in originals + copies + mixed]
    first = clusters(signatures(many), threshold)
    true = {(number, number + 140) for number in range(140) if jaccard(many[number], many[number + 140]) >= threshold}
    found = {(to, row) for row, to in enumerate(first.tolist()) if row != to}
    assert len(found & true) / len(true) > 0.9
    assert len(found & true) / len(found) > 0.9
    # What is well above or below the threshold is told without exception.
    for number in range(140):
        exact = jaccard(many[number], many[number + 140])
        if abs(exact - threshold) > 0.12:
            assert ((number, number + 140) in found) == (exact > threshold)


def test_the_first_of_a_cluster_stands_for_it_in_any_order() -> None:
    chance = seeded(3)
    many = []
    for _ in range(40):
        text = prose(chance)
        many += [" ".join(edited(text, 0.01, chance)) for _ in range(chance.randint(1, 5))]
    known = signatures(many)
    first = clusters(known, 0.7)
    assert len(set(first.tolist())) == 40
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(many))
        again = clusters(known[order], 0.7)
        assert (again <= np.arange(len(many))).all()
        assert np.array_equal(again[again], again)
        # The same rows are together, whatever their order.
        pairs = {(first[order[row]], to) for row, to in enumerate(again.tolist())}
        assert len(pairs) == len({one for one, _ in pairs}) == len({to for _, to in pairs}) == 40


def _small_signatures() -> st.SearchStrategy[list[list[int]]]:
    # Few values and few different rows, so that all kinds of likeness come up; each value fills 16 slots.
    row = st.lists(st.integers(0, 2), min_size=8, max_size=8)
    return st.lists(row, min_size=1, max_size=30)


@settings(deadline=None)
@given(_small_signatures(), st.sampled_from([0.3, 0.5, 0.75, 1.0]), st.randoms(use_true_random=False))
def test_clusters_are_those_of_the_links_of_all_pairs_that_share_a_band(
    rows: list[list[int]], threshold: float, chance: random.Random
) -> None:
    chance.shuffle(rows)
    many = np.repeat(np.array(rows, np.uint32), PERMUTATIONS // 8, axis=1)
    cut = banding(threshold)
    expected = list(range(len(rows)))
    for one in range(len(rows)):
        for other in range(one):
            same = many[one] == many[other]
            in_band = same[: cut.bands * cut.rows].reshape(cut.bands, cut.rows).all(axis=1).any()
            if same.mean() >= threshold and in_band:
                low, high = sorted((expected[one], expected[other]))
                expected = [low if to == high else to for to in expected]
    assert clusters(many, threshold).tolist() == expected


def test_what_is_mapped_from_a_file_and_read_in_stretches_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = np.random.default_rng(4).integers(0, 3, (500, 1)).astype(np.uint32) + np.zeros((1, PERMUTATIONS), np.uint32)
    known[:, ::9] = np.random.default_rng(5).integers(0, 2**32, known[:, ::9].shape, dtype=np.uint32)
    expected = clusters(known, 0.8)
    known.tofile(tmp_path / "signatures")
    monkeypatch.setattr(minhash, "ROWS", 7)
    monkeypatch.setattr(minhash, "HASHES", 1)
    mapped = np.memmap(tmp_path / "signatures", np.uint32, "r", shape=known.shape)
    assert np.array_equal(clusters(mapped, 0.8), expected)
    assert len(set(expected.tolist())) == 3


@pytest.mark.parametrize("differing", [0, 6])
def test_a_crowd_of_alike_rows_is_no_quadratic_work(differing: int) -> None:
    crowd = np.zeros((50_000, PERMUTATIONS), np.uint32)
    chance = np.random.default_rng(6)
    crowd[:, :differing] = chance.integers(0, 2**32, (50_000, differing), dtype=np.uint32)
    start = time.perf_counter()
    first = clusters(crowd, 0.8)
    assert not first.any()
    # All pairs are more than 10^9; this takes a second or so.
    assert time.perf_counter() - start < 20


def test_a_crowd_that_shares_a_band_and_is_not_alike_is_no_quadratic_work() -> None:
    crowd = np.random.default_rng(7).integers(0, 2**32, (30_000, PERMUTATIONS), dtype=np.uint32)
    crowd[:, : banding(0.8).rows] = 1
    start = time.perf_counter()
    assert np.array_equal(clusters(crowd, 0.8), np.arange(30_000))
    assert time.perf_counter() - start < 20


def test_a_long_chain_is_one_cluster() -> None:
    # Each row has 6 slots that are unlike those of the row before.
    rows = np.zeros((3000, PERMUTATIONS), np.uint32)
    for number in range(1, 3000):
        rows[number] = rows[number - 1]
        rows[number, np.arange(6 * number, 6 * number + 6) % PERMUTATIONS] = number
    order = np.random.default_rng(8).permutation(3000)
    assert not clusters(rows[order], 0.9).any()


def test_no_rows_have_no_clusters() -> None:
    assert clusters(np.empty((0, PERMUTATIONS), np.uint32), 0.8).tolist() == []
    assert clusters(signatures(["alone"]), 0.8).tolist() == [0]


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.8, 0.9, 0.99, 1.0])
def test_a_banding_fits_and_finds_what_is_as_alike_as_the_threshold(threshold: float) -> None:
    cut = banding(threshold)
    assert cut.bands * cut.rows <= PERMUTATIONS
    assert cut.recall(threshold) >= minhash.RECALL


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_another_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        clusters(signatures(["a"]), threshold)
