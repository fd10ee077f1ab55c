"""Documents: takes the facts of a dataset, gives the texts of a release; one renderer a document.

No figure in them is typed by hand: whatever can be counted comes from the rows.
"""

from __future__ import annotations

from broadsheet import release
from broadsheet.documents import card, croissant, datasheet, licence
from broadsheet.documents.facts import Facts, gather

__all__ = ["Facts", "gather", "render"]


def render(facts: Facts) -> dict[str, bytes]:
    """Give the documents of a release by their file names; raise `InvalidData` if an answer cannot be rendered."""
    answered = datasheet.sections(facts)
    documents = {
        release.CARD: card.render(facts),
        release.DATASHEET: datasheet.render(facts, answered),
        release.CROISSANT: croissant.render(facts, {answer.id: answer for one in answered for answer in one.answers}),
        release.LICENSE: licence.render(facts),
    }
    # The codebook is the annotators' own text: rationales cite its rules, so it goes along as it is.
    codebook = {} if facts.codebook is None else {release.CODEBOOK: facts.codebook}
    return {name: text.encode() for name, text in documents.items()} | codebook
