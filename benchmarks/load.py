"""A cheap load generator: keep-alive connections, ready-made requests, one thread.

Closed: every connection asks again as soon as it is answered. Paced: request n is due at n / rate and its time counts
from then, whether or not a connection was free, so that a stalled server cannot hide its queue.
"""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

END = b"\r\n\r\n"


@dataclass
class Volley:
    """What came of one round of requests."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    worked: float = 0.0
    """Processor seconds of the server, filled in by who can see it."""

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.times) / self.seconds


def post(path: str, body: bytes, content_type: str = "text/xml") -> bytes:
    """A whole HTTP request, ready to be sent."""
    head = f"POST {path} HTTP/1.1\r\nHost: benchmark\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
    return head.encode() + END + body


class Connection:
    """One keep-alive connection; dialled again when the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._got = b""
        self.due = 0.0
        self.dial()

    def dial(self) -> None:
        """Connect."""
        self.socket = socket.create_connection(("127.0.0.1", self._port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes, due: float) -> None:
        """Send a request."""
        self._got, self.due = b"", due
        self.socket.sendall(request)

    def hear(self) -> tuple[int, bool] | None:
        """Read on; the status and whether the server closes, once the answer is whole."""
        self._got += (more := self.socket.recv(65536))
        if not more:
            return 0, True
        head, found, body = self._got.partition(END)
        if not found:
            return None
        lowered = head.lower()
        length = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return (int(head[9:12]), b"connection: close" in lowered) if len(body) >= length else None


def fire(ports: Sequence[int], requests: Sequence[bytes], connections: int, rate: float | None = None) -> Volley:
    """Send all requests over so many connections, spread over the ports; paced when there is a rate a second."""
    volley, watch = Volley(), selectors.DefaultSelector()
    free = [Connection(ports[number % len(ports)]) for number in range(connections)]
    for one in free:
        watch.register(one.socket, selectors.EVENT_READ, one)
    started, sent = time.perf_counter(), 0
    while len(volley.times) < len(requests):
        now = time.perf_counter()
        while free and sent < len(requests) and (rate is None or started + sent / rate <= now):
            free.pop().ask(requests[sent], now if rate is None else started + sent / rate)
            sent += 1
        rest = None if rate is None or not free or sent == len(requests) else max(0.0, started + sent / rate - now)
        for key, _ in watch.select(rest):
            _hear(key.data, volley, free, watch)
    volley.seconds = time.perf_counter() - started
    for key in list(watch.get_map().values()):
        key.data.socket.close()
    return volley


def _hear(one: Connection, volley: Volley, free: list[Connection], watch: selectors.BaseSelector) -> None:
    if (said := one.hear()) is None:
        return
    status, closes = said
    volley.times.append(time.perf_counter() - one.due)
    volley.statuses[status] += 1
    if closes:
        watch.unregister(one.socket)
        one.socket.close()
        one.dial()
        watch.register(one.socket, selectors.EVENT_READ, one)
    free.insert(0, one)
