"""docs/recipes.md says what works: its recipes keep their schema, and those of one dataset build it."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import orjson
import pytest

from broadsheet import contract
from broadsheet.build import build
from tests.examples_support import EXAMPLES, MINIMAL

PAGE = (Path(__file__).parent.parent / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
#: What every recipe has, without where its rows come from.
COMMON = re.sub(
    r"\[articles\].*?(?=\[\[targets)",
    "",
    (EXAMPLES / "invalid" / "BS122-row-too-short" / "dataset.toml").read_text(),
    flags=re.DOTALL,
)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_each_recipe_keeps_its_schema(block: str) -> None:
    schema = contract.package_schema("recipe.schema.json")
    assert contract.violations(contract.with_defaults(tomllib.loads(COMMON + block), schema), schema) == []


def _dataset(folder: Path, recipe: str, files: dict[str, str]) -> Path:
    (folder / "annotations").mkdir(parents=True)
    for name in ("codebook.md", "datasheet.toml"):
        shutil.copyfile(MINIMAL / "annotations" / name, folder / "annotations" / name)
    (folder / "dataset.toml").write_text(COMMON + recipe)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_recipes_of_the_page_build(tmp_path: Path) -> None:
    mapping, labels = (next(block for block in BLOCKS if words in block) for words in ("headline", "labels.csv"))
    files = {
        "source/articles.csv": "nr;headline;body;day\n"
        "007;Late;\U0001f68b It was late.;3.2.2012\n8;Open;The bridge.;04.02.2012\n",
        "source/labels.csv": "nr,label\n007,Con\n8,Pro\n",
        "source/spans.csv": "nr,b,e,words\n007,10,14,late\n",
    }
    folder = _dataset(tmp_path / "dataset", f"{mapping}\n{labels}", files)
    build(folder)
    articles, stances = (
        [orjson.loads(line) for line in (folder / "release" / "jsonl" / f"{table}.jsonl").read_bytes().splitlines()]
        for table in ("articles", "stances")
    )
    assert [(row["id"], row["published"], row["published_raw"], row["stance"]) for row in articles] == [
        ("007", "2012-02-03", "3.2.2012", "against"),
        ("8", "2012-02-04", "04.02.2012", "favor"),
    ]
    assert [(row["basis"], [quote["start"] for quote in row["evidence"]]) for row in stances] == [
        ("stated", [9]),
        ("external", []),
    ]


@pytest.mark.parametrize("words", ["encodings", "AS desk", "'$.title'"])
def test_texts_of_the_page_build(words: str, tmp_path: Path) -> None:
    block = next(block for block in BLOCKS if words in block)
    rest = "[articles.defaults]\nlanguage = 'en'\nrights = { license = 'CC0-1.0', usage_terms = 'Any.', "
    rest += "statement = 'https://creativecommons.org/publicdomain/zero/1.0/' }\n"
    files = {
        "source/texts/new/a.txt": '{"title": "A", "body": "One."}',
        "source/texts/old/b.txt": '{"body": "Two."}',
        "source/metadata.csv": "file,id,title\na,1,A\nold.txt,2,B\n".replace("old.txt", "b.txt"),
        "schema/articles.schema.json": '{"properties": {"desk": {"type": "string", "title": "D"}}}',
    }
    if words != "AS desk":
        del files["schema/articles.schema.json"]
    texts = "" if "[texts]" in block else "[texts]\nfiles = ['source/texts/*/*.txt']\n"
    folder = _dataset(tmp_path / "dataset", f"{texts}{block}\n{rest}", files)
    assert build(folder).rows == {"articles": 2}
