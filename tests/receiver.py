"""Another system on this machine that is told things: it answers as it is bidden, and keeps what it heard."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass
class Receiver:
    """What came, in order: the headers, and the body as it was sent."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    """What to answer to the next ones; then 204."""
    refuses: str = ""
    """While a body holds this, it is answered 500."""
    heard: list[tuple[dict[str, str], str]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    """The bodies that were answered 2xx."""

    def answer(self, headers: dict[str, str], body: str) -> int:
        """What is said to this one."""
        self.heard.append((headers, body))
        status = self.answers.pop(0) if self.answers else 204
        status = 500 if self.refuses and self.refuses in body else status
        if status < 300:
            self.taken.append(json.loads(body))
        return status

    def signed_with(self, secret: str, number: int = -1) -> bool:
        """Whether one of the signatures of a message is of this secret; its age is not looked at."""
        headers, body = self.heard[number]
        stamp = int(headers["webhook-timestamp"])
        from datetime import UTC, datetime

        own = Webhook(secret).sign(headers["webhook-id"], datetime.fromtimestamp(stamp, UTC), body)
        return own in headers["webhook-signature"].split(" ")


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver that listens on this machine."""
    receiver = Receiver()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status = receiver.answer({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            self.send_header("Location", "http://169.254.169.254/latest")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hooks?shop=1"
    yield receiver
    server.shutdown()
    server.server_close()
