"""Datasets of many kinds: takes a kind's name and a folder, lays out a dataset of that kind in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.examples_support import MINIMAL

_HEAD = """
name = "quay"
title = "Quay"
version = "0.1.0"
summary = "Invented articles about an invented quay."
"""
_TAIL = """
[rights]
license = "other"
license_name = "invented"
annotations_license = "CC-BY-4.0"
attribution = "nobody"

[maintenance]
maintainer = "Nobody"
contact = "nowhere"
"""
_CC0 = """
[articles.defaults.rights]
license = "CC0-1.0"
statement = "https://creativecommons.org/publicdomain/zero/1.0/"
usage_terms = "Anything."
"""
_TARGETS = """
[[targets]]
id = "tram"
name = "The tram"
definition = "The tramway company."

[[targets]]
id = "bridge"
name = "The bridge"
definition = "The bridge over the harbour."
"""
_DESK = """
[[annotators]]
id = "desk"
role = "source"
kind = "human"
description = "An invented desk | of two."
guideline = "the desk's own, https://example.org/guideline"
"""
_ARTICLES = """id,title,text
a1,Late,The tram was late.
a2,Open,The bridge is open.
a3,,"Nobody came.
Nothing was said."
"""
_PLAIN = """
[articles]
sql = "SELECT id, title, text FROM read_csv('source/articles.csv')"

[articles.defaults]
language = "en"
"""
_LABELS = "nr,target,label\na1,tram,Con\na2,bridge,Pro\na1,bridge,Off\n"
_LABELLED = """
[stances]
sql = "SELECT nr AS article_id, target AS target_id, label AS stance FROM read_csv('source/labels.csv')"

[stances.defaults]
holder = "author"

[stance.labels]
Pro = "favor"
Con = "against"
Off = "not_addressed"
"""
_SPANS = """
[evidence]
sql = "SELECT nr AS article_id, target AS target_id, b::int AS start, e::int AS 'end' FROM read_csv('source/spans.csv')"
"""
_RIGHTS = """id,title,text,license,statement,holder
a1,Late,The tram was late.,CC0-1.0,https://creativecommons.org/publicdomain/zero/1.0/,
a2,Open,The bridge is open.,CC-BY-4.0,https://creativecommons.org/licenses/by/4.0/,Ada Brook
a3,,Nobody came.,LicenseRef-not-granted,http://rightsstatements.org/vocab/InC/1.0/,
a4,,Nothing was said.,LicenseRef-desk,http://rightsstatements.org/vocab/CNE/1.0/,The desk
"""
_MIXED = """
[articles]
sql = '''
SELECT id, title, text, struct_pack(license, statement, holder, usage_terms := 'As the desk says.') AS rights
FROM read_csv('source/articles.csv')
'''

[articles.defaults]
language = "en"
"""
_SPLITS = """
[articles.sql]
train = "SELECT id, title, text FROM read_csv('source/articles.csv') WHERE id < 'b150'"
test = "SELECT id, title, text FROM read_csv('source/articles.csv') WHERE id >= 'b150'"

[articles.defaults]
language = "en"
"""
_LINES = """
[paragraphs]
sql = "SELECT * FROM read_csv('source/lines.csv')"
"""
_MANY = "id,title,text\n" + "".join(f"b{n:03},Day {n},On day {n} the tram was late.\n" for n in range(200))
_CAUTIONS = 'cautions = ["The texts speak of | a tram that is not there."]\n'

_PAGE = "The tram was late.\nNobody came.\nThe bridge is open.\n"
_SEGMENTS = """{"article_id": "a1", "source_file": "page.txt", "start_line": 1, "end_line": 2, "language": "en"}
{"article_id": "a2", "source_file": "page.txt", "start_line": 3, "end_line": 3, "language": "en"}
"""
_BARE = """
[[sources]]
file = "page.txt"
sha256 = "cb6ed94092309a45352f4e1e8554cfc6b080a04cc2af3d770385bab5733dc84f"
"""

#: The recipe of each kind, and its files.
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "bare": (
        _HEAD + _BARE + _CC0 + _TARGETS + _TAIL,
        {"page.txt": _PAGE, "../annotations/segments.jsonl": _SEGMENTS},
    ),
    "texts": (_HEAD + _PLAIN + _CC0 + _TAIL, {"articles.csv": _ARTICLES}),
    "labels": (
        _HEAD + _PLAIN + _CC0 + _LABELLED + _TARGETS + _DESK + _TAIL,
        {"articles.csv": _ARTICLES, "labels.csv": _LABELS},
    ),
    "spans": (
        _HEAD + _PLAIN + _CC0 + _LABELLED + _SPANS + _TARGETS + _DESK + _TAIL,
        {
            "articles.csv": _ARTICLES,
            "labels.csv": _LABELS,
            "spans.csv": "nr,target,b,e\na1,tram,4,17\n",
        },
    ),
    "mixed": (_HEAD + _CAUTIONS + _MIXED + _TAIL, {"articles.csv": _RIGHTS}),
    "same": (_HEAD + _PLAIN + _CC0 + _TAIL.replace("CC-BY-4.0", "CC0-1.0"), {"articles.csv": _ARTICLES}),
    "lines": (
        _HEAD + _PLAIN + _CC0 + _LINES + _TAIL,
        {
            "articles.csv": "id,title,text\na1,Late,The tram was late.\n",
            "lines.csv": "article_id,role,text\na1,title,Late\na1,body,The tram was late.\n",
        },
    ),
    "rejects": (
        _HEAD + _PLAIN.replace("title, text", "title, text, published") + _CC0 + _TAIL,
        {
            "articles.csv": "id,title,text,published\na1,Late,The tram was late.,2021-05-01\na2,Open,It is.,May\n",
        },
    ),
    "many": (
        _HEAD + _SPLITS + _CC0 + _LABELLED + _TARGETS + _DESK + _TAIL,
        {"articles.csv": _MANY, "labels.csv": "nr,target,label\nb001,tram,Con\nb199,tram,Con\n"},
    ),
    "votes": (
        _HEAD
        + _PLAIN
        + _CC0
        + _LABELLED.replace("target AS", "who AS annotator_id, false AS is_gold, target AS")
        + "".join(
            f'[[annotators]]\nid = "{name}"\nrole = "source"\nkind = "model"\ndescription = "Invented."\n'
            for name in ("ann", "bob")
        )
        + _TARGETS
        + _TAIL,
        {
            "articles.csv": _ARTICLES,
            "labels.csv": "nr,target,label,who\na1,tram,Con,ann\na1,tram,Pro,bob\na2,tram,Pro,ann\na2,tram,Pro,bob\n",
        },
    ),
}


def lay_out(kind: str, folder: Path) -> Path:
    """Lay out the dataset of the *kind* in *folder*, and give it; the kind `pages` is the minimal example."""
    if kind == "pages":
        return Path(shutil.copytree(MINIMAL, folder))
    recipe, files = KINDS[kind]
    (folder / "annotations").mkdir(parents=True)
    shutil.copyfile(MINIMAL / "annotations" / "datasheet.toml", folder / "annotations" / "datasheet.toml")
    (folder / "dataset.toml").write_text(recipe.strip() + "\n", encoding="utf-8")
    (folder / "source").mkdir()
    for name, text in files.items():
        (folder / "source" / name).write_text(text, encoding="utf-8")
    return folder
