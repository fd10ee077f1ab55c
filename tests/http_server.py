"""A file server for tests: HTTP range requests (RFC 9110, section 14) on a free port of 127.0.0.1; it counts bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from threading import Thread


@dataclass
class Served:
    """Where a folder is served (*url*), and how many bytes of which path went out (*sent*)."""

    url: str
    sent: dict[str, int] = field(default_factory=dict)


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve *folder* while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    served = Served(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = _handler(folder, served)
    with running(server):
        yield served


@contextmanager
def running(server: BaseServer) -> Iterator[None]:
    """Have *server* answer while the block runs, and stop it."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(folder: Path, served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

        def _answer(self, *, with_body: bool) -> None:
            path = folder / self.path.lstrip("/").split("?")[0]
            if not path.is_file():
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            data = path.read_bytes()
            asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            start, end = _range(asked[1], asked[2], len(data)) if asked else (0, len(data))
            self.send_response(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
            self.end_headers()
            if with_body:
                self.wfile.write(data[start:end])
                served.sent[self.path] = served.sent.get(self.path, 0) + end - start

    return Handler


def _range(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
