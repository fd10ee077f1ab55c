"""Rights: takes the articles of a release, gives those whose text may not simply be passed on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq

from broadsheet.publish.ready import Ready
from broadsheet.release import is_data

#: Creative Commons' licences, its CC0 dedication and its Public Domain Mark, by their canonical addresses
#: (https://creativecommons.org/share-your-work/cclicenses/, https://creativecommons.org/public-domain/). All of the
#: licences let anybody pass on the whole text; some not commercially, some not altered, which readers must see for
#: themselves. The statements of rightsstatements.org say what is known and grant nothing, so none of them is here.
_STATEMENT = re.compile(r"https?://creativecommons\.org/(licenses|publicdomain)/[a-z-]+/\d\.\d")
#: The same, and the Open Data Commons' dedication, by the identifiers of the SPDX License List
#: (https://spdx.org/licenses/).
_LICENSE = re.compile(r"CC-(BY|PDDC|PDM)\b.*|CC0-1\.0|PDDL-1\.0")


def is_open(rights: Mapping[str, Any]) -> bool:
    """Tell whether *rights* of an article let anybody pass on its text: by `statement` or by `license`."""
    return bool(_STATEMENT.match(rights["statement"]) or _LICENSE.fullmatch(rights["license"]))


def closed(own: Ready) -> Iterator[str]:
    """Give the ids of the articles that have a text here, and whose rights are not open."""
    for name, file in own.files.items():
        if not (is_data(name) and name.startswith("data/articles/")):
            continue
        table = pq.ParquetFile(file.path, page_checksum_verification=True)
        for batch in table.iter_batches(batch_size=256, columns=["id", "text", "rights"]):
            for row in batch.to_pylist():
                if row["text"] and not is_open(row["rights"]):
                    yield row["id"]
