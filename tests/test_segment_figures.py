"""The figures of drafts: the measures, from their definitions, and the document that shows them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import REPOSITORY

BENCH = REPOSITORY / "scripts" / "bench"


@cache
def _script(name: str) -> ModuleType:
    """Give a script of the benchmarks as a module, under a name that is no other's."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(BENCH))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCH))
    return module


boundaries = st.sets(st.integers(2, 20)).map(sorted)


def test_the_document_has_the_figures_of_this_code() -> None:
    script, harness = _script("segment"), _script("harness")
    page = script.read(script.DATASET)
    shown = harness.pasted(REPOSITORY / "docs" / "segment.md", script.NAME, len(page.lines))
    assert shown.strip() == script.report(page).strip(), "run scripts/bench/segment.py --write docs/segment.md"


@pytest.mark.parametrize(
    ("proposed", "true", "tolerance", "right"),
    [
        ([], [], 0, 0),
        ([5, 9], [5, 8], 0, 1),
        ([5, 9], [5, 8], 1, 2),
        ([4, 5, 6], [5], 1, 1),
        ([5, 6], [6, 7], 1, 2),
        ([2], [], 1, 0),
    ],
)
def test_a_true_boundary_is_found_once(proposed: list[int], true: list[int], tolerance: int, right: int) -> None:
    assert _script("segment").matched(proposed, true, tolerance) == (right, len(proposed), len(true))


def test_shares_are_those_of_the_textbook() -> None:
    score = _script("segment").Score(right=3, proposed=4, are=6)
    assert (score.precision, score.recall, score.f1) == (0.75, 0.5, pytest.approx(0.6))
    nothing = _script("segment").Score(0, 0, 0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, None, 0.0)


@given(boundaries, boundaries, st.integers(1, 10))
def test_window_diff_is_its_definition(proposed: list[int], true: list[int], k: int) -> None:
    assert _script("segment").window_diff(proposed, true, 20, k) == _by_definition(proposed, true, 20, k)


def _by_definition(proposed: Sequence[int], true: Sequence[int], n: int, k: int) -> float:
    """1 / (N - k) times the sum over i = 1 … N - k of [|b(ref i, ref i+k) - b(hyp i, hyp i+k)| > 0].

    b counts the boundaries between the units i and i+k; here from the number of the segment that each unit is in.
    """
    ref, hyp = ([sum(start <= line for start in starts) for line in range(1, n + 1)] for starts in (true, proposed))
    return sum(abs((ref[i + k] - ref[i]) - (hyp[i + k] - hyp[i])) > 0 for i in range(n - k)) / (n - k)


@given(boundaries, st.integers(1, 10))
def test_window_diff_of_the_truth_is_nothing(true: list[int], k: int) -> None:
    assert _script("segment").window_diff(true, true, 20, k) == 0


def test_window_diff_by_hand() -> None:
    # Ten lines, k = 3, so seven windows; the true boundary is at 6. A miss is seen by the three windows that span it;
    # one line off, by one at each edge.
    measure = _script("segment").window_diff
    assert measure([], [6], 10, 3) == pytest.approx(3 / 7)
    assert measure([7], [6], 10, 3) == pytest.approx(2 / 7)
    assert measure([6, 7], [6], 10, 3) == pytest.approx(3 / 7)
    assert measure([], [6], 3, 3) == 0


def test_baselines_do_what_they_say() -> None:
    script = _script("segment")
    lines = ["Pier opens", "It opened on Monday.", "", "", "Seeds on loan", "They are lent."]
    page = script.Page(lines, [1, 5], ["body"] * 6)
    assert page.boundaries == [5]
    assert list(script.baselines(page).values()) == [[], [5], [5], [4]]
    assert script.window(page) == 2
