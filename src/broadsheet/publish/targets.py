"""Addresses: takes what a user calls a target, gives the target."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from broadsheet import reading
from broadsheet.problems import InvalidData, Problem
from broadsheet.publish.hub import Hub
from broadsheet.publish.static import Static
from broadsheet.publish.target import Target

_HUB = re.compile(r"hf://datasets/([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)/?")


def named(address: str, *, private: bool, create_pr: bool) -> Target:
    """Give the target at *address*; raise `InvalidData` if nothing can be published there, or not in this way."""
    if address.startswith("hf://"):
        found = _HUB.fullmatch(address)
        if found is None:
            hint = "A dataset's address is hf://datasets/NAMESPACE/NAME."
            raise _unusable(address, "it is no dataset of a hub, and a dataset is published as nothing else", hint)
        return Hub(address.rstrip("/"), found[1], private=private, create_pr=create_pr)
    if create_pr:
        raise _unusable(address, "--create-pr is for hubs: a static host has no pull requests")
    if reading.is_url(address):
        parts = urlsplit(address)
        if "@" in parts.netloc:
            shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            hint = "Let the storage's own settings tell them: environment variables, a profile, a key file."
            raise _unusable(shown, "an address with credentials in it would stand in every log", hint)
        if parts.scheme in {"http", "https"}:
            hint = "Name the folder or the bucket that the web server shows."
            raise _unusable(address, "a web server takes no files", hint)
    return Static(address.rstrip("/").removeprefix("file://"), address, private=private)


def _unusable(address: str, message: str, hint: str = "") -> InvalidData:
    return InvalidData([Problem("BS808", address, message, hint=hint)])
