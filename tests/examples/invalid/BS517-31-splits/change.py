"""What this example does to a copy of the valid dataset: it builds one beside it, of a row in each of 31 splits."""

import json
from pathlib import Path

from tests.kinds import KINDS, lay_out

from broadsheet.build import build


def change(folder: Path) -> None:
    release = build(folder, folder / "built").place
    row = json.loads((release / "jsonl" / "articles.jsonl").read_text().splitlines()[0])
    row["provenance"]["claims"] = []
    many = lay_out("texts", folder / "many")
    files = {}
    for number in range(31):
        files[f"s{number}"] = [f"source/{number}.jsonl"]
        (many / "source" / f"{number}.jsonl").write_text(json.dumps(row | {"id": f"tram-{number}"}) + "\n")
    recipe = KINDS["texts"][0]
    named = ", ".join(f"{split} = {json.dumps(names)}" for split, names in files.items())
    head, tail = recipe[: recipe.index("[articles]")], recipe[recipe.index("[rights]") :]
    (many / "dataset.toml").write_text(f"{head}[articles]\nfiles = {{ {named} }}\n\n{tail}")
    build(many)
