"""An S3 for tests: moto's server on a free port of 127.0.0.1, which dies at a request when it is told to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socket import SHUT_RDWR
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.http_server import running
from tests.hub_server import When


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        """Keep the test's output clean."""


@dataclass
class S3:
    """Where it listens (*url*), and what it did: *requests*, as method and path."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    _death: tuple[int, When] | None = None

    def die_at(self, request: int, when: When) -> None:
        """Die at that *request* from now on, counted from 1, before or after doing what it asks; then stay dead."""
        self.requests.clear()
        self._death = (request, when)

    def revive(self) -> None:
        """Answer again."""
        self._death = None

    def application(self, environment: dict[str, Any], start: Any) -> Iterable[bytes]:
        """Answer, or play dead."""
        death, when = self._death or (0, "before")
        number = len(self.requests) + 1
        if death and (number > death or (number == death and when == "before")):
            return self._hang_up(environment)
        self.requests.append(f"{environment['REQUEST_METHOD']} {environment['PATH_INFO']}")
        answer: Iterable[bytes] = self._moto(environment, start)
        return self._hang_up(environment) if number == death else answer

    _moto = staticmethod(DomainDispatcherApplication(create_backend_app))

    def _hang_up(self, environment: dict[str, Any]) -> Iterable[bytes]:
        self.requests.append("dead")
        environment["werkzeug.socket"].shutdown(SHUT_RDWR)
        raise ConnectionAbortedError


@contextmanager
def serving_s3() -> Iterator[S3]:
    """Run an S3 while the block runs. What it holds is held by the process: take another bucket for each test."""
    s3 = S3()
    server = make_server("127.0.0.1", 0, s3.application, threaded=True, request_handler=_Quiet)
    s3.url = f"http://127.0.0.1:{server.server_port}"
    with running(server):
        yield s3
