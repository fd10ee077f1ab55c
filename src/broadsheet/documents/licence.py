"""The licence: takes the facts, gives the text that says what is granted, and what is not."""

from __future__ import annotations

from broadsheet.documents.facts import Facts
from broadsheet.documents.markdown import environment


def render(facts: Facts) -> str:
    """Give the release's LICENSE."""
    return environment().get_template("LICENSE.jinja").render(f=facts, s=facts.summary)
