"""A small API for clients under test: it says what a test tells it to, and notes what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from headrace.graph.json_types import JsonValue


@dataclass
class Api:
    """Answers by `METHOD path`. asked: what came in, in order: method, path with query, body."""

    url: str
    answers: dict[str, tuple[int, JsonValue]] = field(default_factory=dict)
    streams: dict[str, list[str]] = field(default_factory=dict)
    asked: list[tuple[str, str, JsonValue]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def says(self, request: str, body: JsonValue, status: int = 200) -> None:
        self.answers[request] = (status, body)


@contextmanager
def scripted_api() -> Iterator[Api]:
    """An API on a loopback port that says what a test tells it to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    api = Api(f"http://127.0.0.1:{server.server_port}")
    _Handler.api = api
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield api
    server.shutdown()
    server.server_close()
    thread.join()


class _Handler(BaseHTTPRequestHandler):
    api: Api

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.api.asked.append((self.command, self.path, body))
        self.api.headers.append({name.lower(): value for name, value in self.headers.items()})
        path = self.path.partition("?")[0]
        if parts := self.api.streams.get(path):
            self._send(200, "text/event-stream", parts.pop(0))
            return
        missing: tuple[int, JsonValue] = (404, {"message": "Not found", "statusCode": 404})
        status, answer = self.api.answers.get(f"{self.command} {path}", missing)
        self._send(status, "application/json", json.dumps(answer))

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def _send(self, status: int, kind: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
