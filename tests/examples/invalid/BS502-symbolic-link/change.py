"""What this example does to a copy of the valid dataset that has been built."""

from pathlib import Path


def change(folder: Path) -> None:
    (folder / "release" / "passwords").symlink_to("/etc/passwd")
