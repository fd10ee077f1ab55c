"""A hub for tests: the endpoints that the real `huggingface_hub` asks, on a free port of 127.0.0.1.

Repositories, with their commits, branches, tags and pull requests, and the objects in them are kept on disk, so that a
hub can be started again on what is there. It can be told to die at a request, to lose an answer, and to have something
happen before a request; it counts them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from huggingface_hub import constants

from tests.http_server import running

JSON = dict[str, Any]
When = Literal["before", "after"]
LFS_ENDINGS = (".parquet", ".gz", ".zst")


class Request(NamedTuple):
    """What a client asked, as *method* and *path*; *authorization* is the header of that name."""

    method: str
    path: str
    authorization: str


class Dead(Exception):  # noqa: N818 - no error of this program: the hub plays dead
    """The connection is closed without an answer."""


class Refused(Exception):  # noqa: N818 - an answer like any other
    """The answer is an error's *status*, with the hub's own *code* for it."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class Hub:
    """A hub that keeps all it holds in the folder *root*, and what it was asked in *requests*."""

    root: Path
    token: str = "hf_canary"  # noqa: S105 - it opens nothing
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    lock: Any = field(default_factory=RLock)
    _death: tuple[int, When] | None = None
    _lost: str | None = None
    _events: dict[str, Callable[[], object]] = field(default_factory=dict)

    # --- what a test can have happen ---

    def die_at(self, request: int, when: When) -> None:
        """Die at that *request* from now on, counted from 1, before or after doing what it asks; then stay dead."""
        self.requests.clear()
        self._death = (request, when)

    def revive(self) -> None:
        """Answer again."""
        self._death = None
        self.requests.clear()

    def lose_the_answer(self, part: str) -> None:
        """Do what the next request with *part* in its method and path asks, but never answer it."""
        self._lost = part

    def before(self, part: str, event: Callable[[], object]) -> None:
        """Have *event* happen once, before the next request with *part* in its method and path."""
        self._events[part] = event

    def asked(self, part: str) -> int:
        """Tell how many requests had *part* in their method and path."""
        return sum(part in f"{request.method} {request.path}" for request in self.requests)

    # --- what it holds ---

    def repository(self, name: str, kind: str = "dataset") -> JSON:
        """Give all that is known of a repository; `Refused` if there is none."""
        path = self._path(name, kind)
        if not path.is_file():
            raise Refused(404, "RepoNotFound", "Repository not found")
        value: JSON = json.loads(path.read_text())
        return value

    def save(self, name: str, value: JSON, kind: str = "dataset") -> None:
        """Keep *value* as what is known of a repository, whole or not at all."""
        path = self._path(name, kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        passing = path.with_suffix(".passing")
        passing.write_text(json.dumps(value))
        passing.replace(path)

    def create(self, name: str, *, private: bool = False, kind: str = "dataset") -> None:
        """Make a repository, with the one file that the hub puts there itself."""
        files = {".gitattributes": self.keep(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n")}
        repository: JSON = {"private": private, "refs": {}, "tags": {}, "commits": {}}
        repository["refs"]["main"] = _commit(repository, None, files, "initial commit")
        self.save(name, repository, kind)

    def change(self, name: str, changes: dict[str, bytes | None], title: str = "Somebody else's") -> str:
        """Commit files (None: remove it) to a dataset's main branch, as if in the browser; give the commit."""
        with self.lock:
            repository = self.repository(name)
            files = dict(self.files(name))
            for path, data in changes.items():
                if data is None:
                    del files[path]
                else:
                    files[path] = self.keep(data, lfs=path.endswith(LFS_ENDINGS))
            oid = _commit(repository, repository["refs"]["main"], files, title)
            repository["refs"]["main"] = oid
            self.save(name, repository)
            return oid

    def keep(self, data: bytes, *, lfs: bool = False) -> JSON:
        """Keep *data*; give what a commit records of a file."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.object(sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's
        return {"sha256": sha256, "blob": blob, "size": len(data), "lfs": lfs}

    def object(self, sha256: str) -> Path:
        """Where the object with that digest lies, or would lie."""
        return self.root / "objects" / sha256

    def files(self, name: str, revision: str = "main") -> dict[str, JSON]:
        """Give the files of a dataset at *revision*."""
        repository = self.repository(name)
        files: dict[str, JSON] = repository["commits"][_resolve(repository, revision)]["files"]
        return files

    def contents(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """Give the files of a dataset at *revision* with what is in them."""
        return {path: self.object(held["sha256"]).read_bytes() for path, held in self.files(name, revision).items()}

    def history(self, name: str, revision: str = "main") -> list[str]:
        """Give the titles of the commits of a dataset up to *revision*, the first one first."""
        repository = self.repository(name)
        titles, oid = [], _resolve(repository, revision)
        while oid:
            titles.append(repository["commits"][oid]["title"])
            oid = repository["commits"][oid]["parent"]
        return titles[::-1]

    def _path(self, name: str, kind: str) -> Path:
        return self.root / "repositories" / f"{kind}s" / f"{name}.json"

    # --- what happens to a request ---

    def take(self, request: Request, body: bytes, act: Callable[[], Answer]) -> Answer:
        """Count the *request*, and do what it asks, unless something comes between."""
        said = f"{request.method} {request.path}"
        with self.lock:
            self.requests.append(request)
            for part in [part for part in self._events if part in said]:
                self._events.pop(part)()
            number, (death, when) = len(self.requests), self._death or (None, "before")
            if death is not None and (number > death or (number == death and when == "before")):
                raise Dead
            answer = act()
            if request.method == "PUT":
                self.stored.append(hashlib.sha256(body).hexdigest())
            if number == death:
                raise Dead
            if self._lost is not None and self._lost in said:
                self._lost = None
                raise Dead
            return answer


@dataclass
class Answer:
    """What goes back: a *body*, JSON unless *headers* say something else."""

    body: bytes | JSON | list[JSON] = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200


@contextmanager
def serving_hub(root: Path) -> Iterator[Hub]:
    """Run a hub on what is in the folder *root* while the block runs."""
    hub = Hub(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.RequestHandlerClass = type("Handler", (_Handler,), {"hub": hub})
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    with running(server):
        yield hub


def copied(root: Path, place: Path) -> Path:
    """Copy all that a hub holds to *place*."""
    return Path(shutil.copytree(root, place))


def _commit(repository: JSON, parent: str | None, files: JSON, title: str) -> str:
    record = {"parent": parent, "files": files, "title": title}
    text = json.dumps([record, len(repository["commits"])], sort_keys=True)
    oid = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - git's
    repository["commits"][oid] = record
    return oid


def _resolve(repository: JSON, revision: str) -> str:
    found = repository["refs"].get(revision) or repository["tags"].get(revision)
    if found is None and revision in repository["commits"]:
        found = revision
    if found is None:
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return str(found)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def _any(self) -> None:
        body = self._body()
        request = Request(self.command, self.path, self.headers.get("Authorization", ""))
        try:
            answer = self.hub.take(request, body, lambda: _Action(self.hub, request, body, dict(self.headers)).answer())
        except Dead:
            self.close_connection = True
            return
        except Refused as refused:
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
            answer = Answer({"error": refused.message}, headers, refused.status)
        self._send(answer)

    do_GET = do_HEAD = do_POST = do_PUT = _any  # noqa: N815 - the standard library's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, answer: Answer) -> None:
        is_json = not isinstance(answer.body, bytes)
        data = json.dumps(answer.body).encode() if not isinstance(answer.body, bytes) else answer.body
        self.send_response(HTTPStatus(answer.status))
        if is_json:
            self.send_header("Content-Type", "application/json")
        for name, value in {"Content-Length": str(len(data)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@dataclass
class _Action:
    """One request being answered."""

    hub: Hub
    request: Request
    body: bytes
    headers: dict[str, str]

    def answer(self) -> Answer:
        path = urlsplit(self.request.path).path
        for method, pattern, act in _ROUTES:
            found = re.fullmatch(pattern, path)
            if method == self.request.method.replace("HEAD", "GET") and found:
                if method in {"POST", "PUT"}:
                    self._see_the_token(path)
                given = {name: unquote(value or "") for name, value in found.groupdict().items()}
                if given.get("kind", "dataset") != "dataset":
                    raise Refused(404, "RepoNotFound", "Repository not found")
                return act(self, **{name: value for name, value in given.items() if name != "kind"})
        raise Refused(404, "EntryNotFound", f"no such endpoint: {path}")

    @property
    def _asked(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.request.path).query)

    @property
    def _json(self) -> JSON:
        value: JSON = json.loads(self.body)
        return value

    @property
    def _is_known(self) -> bool:
        return self.request.authorization == f"Bearer {self.hub.token}"

    def _see_the_token(self, path: str) -> None:
        """Refuse to write for strangers. Uploads come with their own rights in the address, as at the real hub."""
        if "/paths-info/" not in path and not path.startswith("/objects/") and not self._is_known:
            raise Refused(401, "", "Invalid credentials in Authorization header")

    def _repository(self, name: str) -> JSON:
        repository = self.hub.repository(name)
        if repository["private"] and not self._is_known:
            raise Refused(404, "RepoNotFound", "Repository not found")
        return repository

    # --- the endpoints ---

    def whoami(self) -> Answer:
        return Answer({"type": "user", "name": "ns", "orgs": [], "auth": {"type": "access_token"}})

    def validate_yaml(self) -> Answer:
        return Answer({"errors": [], "warnings": []})

    def create(self) -> Answer:
        asked = self._json
        name = f"{asked.get('organization') or 'ns'}/{asked['name']}"
        kind = asked.get("type", "model")
        try:
            self.hub.repository(name, kind)
        except Refused:
            private = bool(asked.get("private")) or asked.get("visibility") == "private"
            self.hub.create(name, private=private, kind=kind)
            return Answer({"url": f"{self.hub.url}/{kind}s/{name}"})
        raise Refused(409, "", "You already created this dataset repo")

    def info(self, name: str, revision: str = "main") -> Answer:
        repository = self._repository(name)
        oid = _resolve(repository, revision or "main")
        files = repository["commits"][oid]["files"]
        return Answer(
            {
                "_id": "0",
                "id": name,
                "author": name.split("/", maxsplit=1)[0],
                "sha": oid,
                "private": repository["private"],
                "gated": False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "lastModified": "2024-01-01T00:00:00.000Z",
                "createdAt": "2024-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": path} for path in sorted(files)],
            }
        )

    def refs(self, name: str) -> Answer:
        repository = self._repository(name)
        branches = {ref: oid for ref, oid in repository["refs"].items() if "/" not in ref}
        proposals = {ref: oid for ref, oid in repository["refs"].items() if "/" in ref}
        return Answer(
            {
                "branches": _refs(branches, "refs/heads/"),
                "tags": _refs(repository["tags"], "refs/tags/"),
                "converts": [],
                "pullRequests": _refs(proposals, ""),
            }
        )

    def tree(self, name: str, revision: str, path: str = "") -> Answer:
        repository = self._repository(name)
        files = repository["commits"][_resolve(repository, revision)]["files"]
        below = f"{path}/" if path else ""
        if path and not any(file.startswith(below) for file in files):
            raise Refused(404, "EntryNotFound", "no such folder")
        deep = self._asked.get("recursive", ["false"])[0].lower() in {"true", "1"}
        entries: dict[str, JSON] = {}
        for file, held in sorted(files.items()):
            if not file.startswith(below):
                continue
            parts = file.removeprefix(below).split("/")
            for n in range(1, len(parts) if deep else min(2, len(parts))):
                folder = below + "/".join(parts[:n])
                entries[folder] = {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
            if deep or len(parts) == 1:
                entries[file] = _entry(file, held)
        return Answer(list(entries.values()))

    def paths_info(self, name: str, revision: str) -> Answer:
        repository = self._repository(name)
        files = repository["commits"][_resolve(repository, revision)]["files"]
        found = []
        for path in parse_qs(self.body.decode()).get("paths", []):
            if path in files:
                found.append(_entry(path, files[path]))
            elif any(file.startswith(f"{path}/") for file in files):
                found.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        return Answer(found)

    def resolve(self, name: str, revision: str, path: str) -> Answer:
        repository = self._repository(name)
        oid = _resolve(repository, revision)
        held = repository["commits"][oid]["files"].get(path)
        if held is None:
            raise Refused(404, "EntryNotFound", "Entry not found")
        data = self.hub.object(held["sha256"]).read_bytes()
        etag = held["sha256"] if held["lfs"] else held["blob"]
        headers = {"X-Repo-Commit": oid, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", self.headers.get("Range", "")))
        if not asked:
            return Answer(data, headers)
        start, end = int(asked[1]), min(len(data), int(asked[2]) + 1) if asked[2] else len(data)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        return Answer(data[start:end], headers, 206)

    def preupload(self, name: str, revision: str) -> Answer:
        files = self.hub.files(name, revision)
        modes = []
        for asked in self._json["files"]:
            held = files.get(asked["path"])
            mode = "lfs" if asked["path"].endswith(LFS_ENDINGS) else "regular"
            oid = held and (held["sha256"] if held["lfs"] else held["blob"])
            modes.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return Answer({"files": modes})

    def batch(self, name: str) -> Answer:
        self.hub.repository(name)
        objects = []
        for asked in self._json["objects"]:
            known: JSON = {"oid": asked["oid"], "size": asked["size"]}
            if not self.hub.object(asked["oid"]).exists():
                upload = {"href": f"{self.hub.url}/objects/{asked['oid']}", "header": {}}
                verify = {"href": f"{self.hub.url}/verify"}
                known["actions"] = {"upload": upload, "verify": verify}
            objects.append(known)
        return Answer({"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> Answer:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refused(400, "", "the bytes are not those of the object")
        self.hub.keep(self.body, lfs=True)
        return Answer()

    def verify(self) -> Answer:
        asked = self._json
        if self.hub.object(asked["oid"]).stat().st_size != asked["size"]:
            raise Refused(400, "", "the object has another size")
        return Answer({})

    def commit(self, name: str, revision: str) -> Answer:
        repository = self.hub.repository(name)
        lines = [json.loads(line) for line in self.body.splitlines()]
        header = lines[0]["value"]
        head = _resolve(repository, revision)
        proposed = self._asked.get("create_pr") == ["1"]
        parent = header.get("parentCommit") or head
        if not proposed and parent != head:
            raise Refused(412, "", "A commit has happened since. Please refresh and try again.")
        files = dict(repository["commits"][parent]["files"])
        for line in lines[1:]:
            self._apply(files, line["key"], line["value"])
        oid = _commit(repository, parent, files, header["summary"])
        number = 1 + sum(ref.startswith("refs/pr/") for ref in repository["refs"])
        repository["refs"][f"refs/pr/{number}" if proposed else revision] = oid
        self.hub.save(name, repository)
        page = f"{self.hub.url}/datasets/{name}"
        return Answer(
            {
                "success": True,
                "commitOid": oid,
                "commitUrl": f"{page}/commit/{oid}",
                "pullRequestUrl": f"{page}/discussions/{number}" if proposed else None,
                "hookOutput": "",
            }
        )

    def _apply(self, files: JSON, key: str, value: JSON) -> None:
        if key == "file":
            files[value["path"]] = self.hub.keep(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if not self.hub.object(value["oid"]).exists():
                raise Refused(400, "", f"no such object: {value['oid']}")
            files[value["path"]] = self.hub.keep(self.hub.object(value["oid"]).read_bytes(), lfs=True)
        elif key == "deletedFile":
            if files.pop(value["path"], None) is None:
                raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
        else:
            raise Refused(400, "", f"unknown operation {key}")

    def tag(self, name: str, revision: str) -> Answer:
        repository = self.hub.repository(name)
        tag = self._json["tag"]
        if tag in repository["tags"]:
            raise Refused(409, "", f"Tag {tag} already exists")
        repository["tags"][tag] = _resolve(repository, revision)
        self.hub.save(name, repository)
        return Answer({})


def _refs(refs: JSON, prefix: str) -> list[JSON]:
    return [{"name": name, "ref": prefix + name, "targetCommit": oid} for name, oid in sorted(refs.items())]


def _entry(path: str, held: JSON) -> JSON:
    entry = {"type": "file", "path": path, "size": held["size"], "oid": held["blob"]}
    if held["lfs"]:
        entry["lfs"] = {"oid": held["sha256"], "size": held["size"], "pointerSize": 130}
    return entry


_KIND = r"/api/(?P<kind>model|dataset|space)s/(?P<name>[^/]+/[^/]+)"
_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "/api/whoami-v2", _Action.whoami),
    ("POST", "/api/validate-yaml", _Action.validate_yaml),
    ("POST", "/api/repos/create", _Action.create),
    ("GET", _KIND, _Action.info),
    ("GET", f"{_KIND}/revision/(?P<revision>[^/]+)", _Action.info),
    ("GET", f"{_KIND}/refs", _Action.refs),
    ("GET", f"{_KIND}/tree/(?P<revision>[^/]+)(?:/(?P<path>.*))?", _Action.tree),
    ("POST", f"{_KIND}/paths-info/(?P<revision>[^/]+)", _Action.paths_info),
    ("GET", r"/datasets/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", _Action.resolve),
    ("POST", f"{_KIND}/preupload/(?P<revision>[^/]+)", _Action.preupload),
    ("POST", r"/datasets/(?P<name>[^/]+/[^/]+)\.git/info/lfs/objects/batch", _Action.batch),
    ("PUT", r"/objects/(?P<oid>[0-9a-f]{64})", _Action.upload),
    ("POST", "/verify", _Action.verify),
    ("POST", f"{_KIND}/commit/(?P<revision>[^/]+)", _Action.commit),
    ("POST", f"{_KIND}/tag/(?P<revision>[^/]+)", _Action.tag),
]


def talk_to(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the client in this process talk to *hub*."""
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{repo_id}")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "".join(template[1:]))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.setattr("time.sleep", lambda _: None)


def home(hub: Hub, folder: Path) -> dict[str, str]:
    """Give the variables by which a client in another process talks to *hub*, with *folder* as its only cache."""
    quiet = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder), **quiet}
