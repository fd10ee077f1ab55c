"""What this example does to a copy of the valid dataset: it builds it, and takes rows out of the release."""

import json
from pathlib import Path

from broadsheet.build import build


def change(folder: Path) -> None:
    release = build(folder, folder / "built").place
    rows = [json.loads(line) for line in (release / "jsonl" / "articles.jsonl").read_text().splitlines()]
    (folder / "articles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stances = (release / "jsonl" / "stances.jsonl").read_text()
    (folder / "stances.jsonl").write_text(stances.replace("amateurish company", "amateur company", 1))
