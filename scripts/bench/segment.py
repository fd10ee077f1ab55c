"""How good drafts are: takes the first corpus, gives a table of how far drafts of its page are from its annotations.

Boundaries are judged by precision, recall and F1, exactly and within one line, and by WindowDiff (Pevzner and Hearst
2002), beside baselines that look at nothing or little; roles by accuracy, and by precision and recall for each role.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import harness

from broadsheet import contract, propose, shape

ROOT = Path(__file__).parent.parent.parent
DATASET = ROOT / "dataset"
NAME = "segment"


class Score(NamedTuple):
    """How many were *right* of those *proposed*, and of those that there *are*."""

    right: int
    proposed: int
    are: int

    @property
    def precision(self) -> float | None:
        """The share of what was proposed that is right; None where nothing was."""
        return self.right / self.proposed if self.proposed else None

    @property
    def recall(self) -> float | None:
        """The share of what there is that was proposed; None where there is nothing."""
        return self.right / self.are if self.are else None

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 where nothing is right."""
        return 2 * self.right / (self.proposed + self.are) if self.right else 0.0


@dataclass(frozen=True)
class Page:
    """A page's *lines*, and the annotated truth: the lines that start an article, counted from 1, and every role."""

    lines: Sequence[str]
    starts: Sequence[int]
    roles: Sequence[str]

    @property
    def boundaries(self) -> list[int]:
        """The lines that start an article, the page's first left out: it is one for everybody."""
        return [start for start in self.starts if start > 1]


def matched(proposed: Sequence[int], true: Sequence[int], tolerance: int) -> Score:
    """Give how many of *proposed* lines are at most *tolerance* lines from a true one, each of which counts once."""
    right, rest = 0, sorted(true)
    for line in sorted(proposed):
        near = next((other for other in rest if abs(other - line) <= tolerance), None)
        if near is not None:
            right += 1
            rest.remove(near)
    return Score(right, len(proposed), len(true))


def window_diff(proposed: Sequence[int], true: Sequence[int], lines: int, k: int) -> float:
    """Give WindowDiff: the share of windows, *k* lines from end to end, whose numbers of boundaries differ.

    Pevzner and Hearst 2002, "A Critique and Improvement of an Evaluation Metric for Text Segmentation", section 5. A
    boundary is given by the line that starts after it; 0 is best, and 1 worst.
    """
    windows = range(1, lines - k + 1)
    differ = sum(_within(proposed, i, i + k) != _within(true, i, i + k) for i in windows)
    return differ / len(windows) if windows else 0.0


def _within(boundaries: Sequence[int], first: int, last: int) -> int:
    return sum(first < line <= last for line in boundaries)


def window(page: Page) -> int:
    """Give half the mean length of the page's articles, in lines, as WindowDiff asks for."""
    return max(1, round(len(page.lines) / len(page.starts) / 2))


def read(folder: Path) -> Page:
    """Give the page of the dataset in *folder* with what its annotations say of it."""
    segments, runs = (_rows(folder / "annotations" / name) for name in (propose.SEGMENTS, propose.ROLES))
    (name,) = {row["source_file"] for row in segments}
    lines = propose.read(str(folder / "source" / name))
    roles = {line: run["role"] for run in runs for line in range(run["start_line"], run["end_line"] + 1)}
    starts = sorted(row["start_line"] for row in segments)
    return Page(lines, starts, [roles[line] for line in range(1, len(lines) + 1)])


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def baselines(page: Page) -> dict[str, list[int]]:
    """Give the boundaries that who looks at nothing, or at little, would propose."""
    lines = range(2, len(page.lines) + 1)
    shapes = [shape.of(line) for line in page.lines]
    every = round(len(page.lines) / len(page.starts))
    return {
        "no boundary": [],
        "below every empty line": [n for n in lines if shapes[n - 2] == "blank" != shapes[n - 1]],
        "at every short line": [n for n in lines if shapes[n - 1] == "short"],
        f"every {every} lines, the true mean": [n for n in lines if (n - 1) % every == 0],
    }


# --- the report ---


def report(page: Page) -> str:
    """Give the report in Markdown."""
    draft = propose.propose(page.lines)
    starts = [segment for segment in draft.segments if segment.start_line > 1]
    return "\n".join(
        [
            f"{len(page.lines)} lines, {len(page.starts)} articles, {len(page.boundaries)} boundaries between them.",
            f"WindowDiff has windows of {window(page)} lines, half an article's mean length; 0 is best.",
            "",
            "| boundaries | proposed | precision | recall | F1 | F1 within one line | WindowDiff |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            _boundary_line("`broadsheet segment`", [segment.start_line for segment in starts], page),
            *(_boundary_line(name, proposed, page) for name, proposed in baselines(page).items()),
            "",
            "| cue | proposed | right | right within one line |",
            "| --- | ---: | ---: | ---: |",
            *_cue_lines(starts, page),
            "",
            *_differences([segment.start_line for segment in starts], page),
            "",
            *_role_lines([guess.role for guess in draft.lines], page),
            "",
        ]
    )


def _boundary_line(name: str, proposed: Sequence[int], page: Page) -> str:
    exact, near = (matched(proposed, page.boundaries, tolerance) for tolerance in (0, 1))
    differs = window_diff(proposed, page.boundaries, len(page.lines), window(page))
    figures = [_share(exact.precision), _share(exact.recall), _share(exact.f1), _share(near.f1), _share(differs)]
    return f"| {name} | {len(proposed)} | {' | '.join(figures)} |"


def _cue_lines(starts: Sequence[propose.Segment], page: Page) -> Iterator[str]:
    by_cue = Counter(segment.cue for segment in starts)
    for cue in (cue for cue in propose.BOUNDARY_CUES if cue in by_cue):
        own = [segment.start_line for segment in starts if segment.cue == cue]
        exact, near = (matched(own, page.boundaries, tolerance).right for tolerance in (0, 1))
        yield f"| {cue} | {len(own)} | {exact} | {near} |"


def _differences(proposed: Sequence[int], page: Page) -> Iterator[str]:
    missed = [line for line in page.boundaries if line not in proposed]
    wrong = [line for line in proposed if line not in page.boundaries]
    for what, lines in (("Articles that start where none was proposed", missed), ("Proposed, and no start", wrong)):
        yield f"- {what}: {', '.join(f'line {line}' for line in lines) or 'none'}."


def _role_lines(proposed: Sequence[str], page: Page) -> Iterator[str]:
    pairs = list(zip(proposed, page.roles, strict=True))
    outside = [(guess, role) for guess, role in pairs if not role.startswith("reference")]
    most = Counter(page.roles).most_common(1)[0][0]
    yield "| roles | lines | accuracy |"
    yield "| --- | ---: | ---: |"
    yield f"| `broadsheet segment` | {len(pairs)} | {_accuracy(pairs)} |"
    yield f"| the same, lists of references left out | {len(outside)} | {_accuracy(outside)} |"
    yield f"| every line is `{most}` | {len(pairs)} | {_accuracy([(most, role) for role in page.roles])} |"
    yield ""
    yield "| role | lines | proposed | precision | recall |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for role in contract.table_schema("paragraphs")["properties"]["role"]["enum"]:
        right = sum(guess == role == true for guess, true in pairs)
        score = Score(right, list(proposed).count(role), list(page.roles).count(role))
        if score.proposed or score.are:
            shares = f"{_share(score.precision)} | {_share(score.recall)}"
            yield f"| `{role}` | {score.are} | {score.proposed} | {shares} |"


def _accuracy(pairs: Sequence[tuple[str, str]]) -> str:
    return f"{sum(guess == role for guess, role in pairs) / len(pairs):.3f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Compare drafts of the first corpus with its annotations.")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the report into this document")
    options = parser.parse_args()
    page = read(DATASET)
    text = report(page)
    print(text)
    if options.write:
        harness.paste(text, options.write, NAME, len(page.lines))


if __name__ == "__main__":
    main()
