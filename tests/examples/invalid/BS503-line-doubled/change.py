"""List a file twice."""

from pathlib import Path


def change(folder: Path) -> None:
    """List a file twice."""
    path = folder / "release" / "SHA256SUMS"
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, first, *rest]))
