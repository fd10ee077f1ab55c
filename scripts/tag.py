"""Takes a tag; says what keeps it from being the release of this checkout, and exits with 1 if anything does.

The version stands in pyproject.toml and nowhere else; the changelog must have a dated section on it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Give why *tag* is not the release of the checkout in *root*."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, but pyproject.toml has the version {version}: it would be v{version}")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'")
    return found


if __name__ == "__main__":
    said = problems(sys.argv[1])
    for problem in said:
        print(f"error: {problem}", file=sys.stderr)
    sys.exit(1 if said else 0)
