"""An HTTP server that answers slowly and counts: what nodes call in tests with real processes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SlowServer(ThreadingHTTPServer):
    """`GET /<name>?...` answers {"name": ...} after `delay` seconds. calls: how often each path was asked."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, delay: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.delay = delay
        self.calls: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def total(self) -> int:
        with self.lock:
            return sum(self.calls.values())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SlowServer

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.calls[self.path] += 1
        self.server.closing.wait(self.server.delay)
        body = json.dumps({"name": self.path.strip("/")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def handle(self) -> None:
        with suppress(OSError):  # the caller was killed
            super().handle()


@contextmanager
def slow_server(delay: float) -> Iterator[SlowServer]:
    """A server that runs in threads of this process."""
    server = SlowServer(delay)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
