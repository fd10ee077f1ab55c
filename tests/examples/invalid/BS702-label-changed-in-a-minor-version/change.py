"""What this example does to a copy of the valid dataset: it releases it, and then changes a label."""

from pathlib import Path

from broadsheet.build import build
from broadsheet.freeze import freeze


def change(folder: Path) -> None:
    build(folder)
    freeze(folder, "2021-07-01")
    for labels in (folder / "annotations" / "stance").glob("[fs]*[td].jsonl"):
        text = labels.read_text().replace('"stance": "neutral", "intensity": 0', '"stance": "favor", "intensity": 1', 1)
        labels.write_text(text)
    recipe = folder / "dataset.toml"
    recipe.write_text(recipe.read_text().replace('version = "0.1.0"', 'version = "0.2.0"'))
