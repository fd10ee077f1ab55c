"""Documents: takes a recipe and the rows, gives the texts of a release; one renderer a document.

No figure in them is typed by hand: whatever can be counted comes from the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from broadsheet import release
from broadsheet.documents import card, datasheet, licence
from broadsheet.documents.facts import Facts, Size, gather
from broadsheet.problems import raise_if
from broadsheet.recipe import Recipe
from broadsheet.segment import Article
from broadsheet.tables import Tables

__all__ = ["Facts", "Size", "gather", "render"]


def render(recipe: Recipe, articles: Sequence[Article], rows: Tables, sizes: Mapping[str, Size]) -> dict[str, bytes]:
    """Give the documents of a release by their file names; raise `InvalidData` if an answer cannot be rendered."""
    facts = gather(recipe, articles, rows, sizes)
    documents = {
        release.CARD: card.render(facts),
        release.DATASHEET: datasheet.render(facts),
        "LICENSE": licence.render(facts),
    }
    # The codebook is the annotators' own text: rationales cite its rules, so it goes along as it is.
    codebook, problems = recipe.read(recipe.annotations("codebook.md"))
    raise_if(problems)
    return {name: text.encode() for name, text in documents.items()} | {release.CODEBOOK: codebook}
