"""The web server as we need it: cheroot, and a bound on how long a request may take to arrive.

Cheroot bounds each read and not the whole: whoever sends one byte every few seconds would hold a thread for days, and a
dozen of them the server. (A proxy in front, as on any machine that faces the internet, takes that away too.)
"""

import errno
import logging
import socket
import time
from typing import Any

from cheroot.makefile import MakeFile
from cheroot.server import HTTPConnection
from cheroot.wsgi import Server
from flask import Flask

log = logging.getLogger(__name__)

THREADS = 12
QUEUE = 128
READ_SECONDS = 30
"""How long one read may take, and how long a connection may rest between two requests."""
ARRIVES_WITHIN = 60.0
"""Seconds after which a request that is still arriving is cut off, at its next read."""


class _Arriving:
    """A socket that is not read any more after the deadline."""

    def __init__(self, own: socket.socket) -> None:
        self._own = own
        self.deadline = float("inf")

    def recv_into(self, buffer: Any) -> int:
        if time.monotonic() > self.deadline:
            raise ConnectionResetError(errno.ECONNRESET, "the request took too long to arrive")
        return self._own.recv_into(buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


class Connection(HTTPConnection):
    """A connection on which each request has ``arrives_within`` seconds to arrive; to answer it has all the time."""

    arrives_within = ARRIVES_WITHIN

    def __init__(self, server: Server, own: socket.socket, makefile: Any = MakeFile) -> None:
        arriving = self._arriving = _Arriving(own)
        super().__init__(server, own, lambda sock, mode, size: makefile(arriving if mode == "rb" else sock, mode, size))

    def communicate(self) -> Any:
        """Read one request and answer it; whether the connection stays open."""
        self._arriving.deadline = time.monotonic() + self.arrives_within
        return super().communicate()  # type: ignore[no-untyped-call]


def server_for(app: Flask, host: str, port: int, *, threads: int = THREADS, timeout: int = READ_SECONDS) -> Server:
    """A server that is not listening yet; port 0 takes a free one."""
    made = Server((host, port), app, numthreads=threads, request_queue_size=QUEUE, timeout=timeout)
    made.ConnectionClass = Connection
    made.shutdown_timeout = 5
    made.error_log = _log_error  # type: ignore[method-assign, assignment]
    return made


def _log_error(message: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
    log.log(level, "%s", message, exc_info=traceback)
