"""The datasheet: takes the facts and the curator's answers, gives DATASHEET.md.

Its questions are those of Gebru et al., *Datasheets for Datasets*; each is answered, and each answer says whether it is
computed from the data, asserted by the curator, or unknown. Under a question that has a template in
``templates/parts/``, tables computed from the rows follow the answer.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import jinja2

from broadsheet import contract
from broadsheet.documents.facts import Facts
from broadsheet.documents.markdown import environment, without_double_blanks
from broadsheet.problems import Problem, raise_if
from broadsheet.recipe import line_of, read_toml

ANSWERS = "datasheet.toml"
STATUSES = ("computed", "asserted", "unknown")


@dataclass(frozen=True)
class Answered:
    """A question (*id* is ``section.key``) with its answer as text and the answer's *status*."""

    id: str
    question: str
    status: str
    answer: str


@dataclass(frozen=True)
class Section:
    """One of the datasheet's seven headings, with its questions answered."""

    id: str
    title: str
    answers: Sequence[Answered]


def render(facts: Facts, answered: Sequence[Section]) -> str:
    """Give the text of DATASHEET.md, with the sections that `sections` gives."""
    env = environment()
    counts = {status: sum(a.status == status for s in answered for a in s.answers) for status in STATUSES}
    text = env.get_template("DATASHEET.md.jinja").render(
        f=facts,
        s=facts.summary,
        sections=answered,
        statuses=counts,
        names=facts.label_names,
        parts=[name for name in env.list_templates() if name.startswith("parts/")],
        roles=contract.table_schema("paragraphs")["properties"]["role"]["x-enum-descriptions"],
        labels=contract.table_schema("stances")["properties"]["stance"]["x-enum-descriptions"],
    )
    return without_double_blanks(text)


@cache
def questions() -> Mapping[str, Mapping[str, Any]]:
    """Give the sections by id, each with its title and its questions as pairs of key and text."""
    text = (resources.files("broadsheet.documents") / "questions.toml").read_text(encoding="utf-8")
    return {section["id"]: section for section in tomllib.loads(text)["sections"]}


def sections(facts: Facts) -> list[Section]:
    """Give the sections with the curator's answers; raise `InvalidData` with what is wrong in them."""
    path = facts.recipe.annotations(ANSWERS)
    shown = facts.recipe.shown(path)
    data, problems = facts.recipe.read(path)
    raise_if(problems)
    answers, text = read_toml(data, shown)
    problems = _unknown_answers(answers, text, shown)
    # A question whose answer has only a misspelt name is not reported as unanswered too.
    misspelt = " ".join(problem.hint for problem in problems)
    found = []
    for section in questions().values():
        answered = []
        for key, question in section["questions"]:
            given = answers.get(section["id"], {}).get(key)
            name = f"{section['id']}.{key}"
            item, message = _one_answer(name, question, given, facts)
            answered.append(item)
            if message and f"'{name}'" not in misspelt:
                pointer = f"/{section['id']}/{key}"
                problems.append(Problem("BS108", shown, message, line=line_of(text, pointer), pointer=pointer))
        found.append(Section(section["id"], section["title"], answered))
    raise_if(problems)
    return found


def _unknown_answers(answers: Mapping[str, Any], text: str, path: str) -> list[Problem]:
    known = [f"{section['id']}.{key}" for section in questions().values() for key, _ in section["questions"]]
    given = [
        f"{section}.{key}" for section, items in answers.items() for key in (items if isinstance(items, dict) else [""])
    ]
    return [
        Problem(
            "BS108",
            path,
            f"[{name}] answers no question",
            line=line_of(text, "/" + name.replace(".", "/")),
            hint=contract.did_you_mean(name, known),
        )
        for name in given
        if name not in known
    ]


def _one_answer(name: str, question: str, given: Any, facts: Facts) -> tuple[Answered, str]:
    """Give the question answered; or, with an empty answer, the message that says what is wrong with *given*."""
    empty = Answered(name, question, "unknown", "")
    if not isinstance(given, dict) or not isinstance(given.get("answer"), str) or set(given) != {"status", "answer"}:
        return empty, f"[{name}] has no answer: it needs a status and an answer, and nothing else"
    status, template = given["status"], given["answer"].strip()
    own_words = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", template, flags=re.DOTALL)
    if status not in STATUSES:
        return empty, f"[{name}] is marked {status!r}, not one of {', '.join(STATUSES)}"
    if status == "computed" and own_words == template:
        return empty, f"[{name}] is marked computed, but has no expression in {{{{ }}}}"
    if status == "computed" and re.search(r"\d", own_words):
        return empty, f"[{name}] is marked computed, but has a figure typed by hand"
    try:
        answer = environment().from_string(template).render(f=facts, s=facts.summary)
    except jinja2.TemplateError as error:
        return empty, f"[{name}] cannot be rendered: {error}"
    return Answered(name, question, status, answer), ""
