"""The sandbox over HTTP: the API under /cgi-bin/, the person page at /, sign-in pages, QR codes, the admin API.

API calls do not pass through Flask: they are many, and a broken line must really break. Everything else is a page.
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import responses
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from cheroot.wsgi import Server
from flask import Flask, Response

from sandbox.admin import admin
from sandbox.api import Answer, answer
from sandbox.call import Request
from sandbox.callbacks import Deliverer
from sandbox.mp import mp
from sandbox.pages import POLICY, pages
from sandbox.till import Till
from sandbox.world import World

API = "/cgi-bin/"
THREADS = 64

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


def create_app(world: World, deliverer: Deliverer | None = None) -> Flask:
    """The whole sandbox as one Flask app, to be served or used with a test client."""
    app = Flask(__name__)
    app.extensions["world"] = world
    app.extensions["deliverer"] = deliverer
    app.extensions["till"] = Till(world)
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.register_blueprint(pages)
    app.register_blueprint(mp)
    app.register_blueprint(admin)
    app.after_request(with_policy)
    app.wsgi_app = ApiFirst(world, app.wsgi_app)  # type: ignore[method-assign]
    return app


def with_policy(response: Response) -> Response:
    """Nothing but our own files runs on a page; a page that frames another has said so itself."""
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


class ApiFirst:
    """Answers API calls itself, and leaves the rest to Flask."""

    def __init__(self, world: World, other: Wsgi) -> None:
        self._world = world
        self._other = other

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, pass on, or break the line."""
        if not environ["PATH_INFO"].startswith(API):
            return self._other(environ, start_response)
        said = answer(self._world, received(environ))
        if said.reset:
            raise ConnectionResetError(errno.ECONNRESET, "the sandbox breaks the line")
        start_response(f"{said.status} {responses[said.status]}", headers(said))
        return [said.data]


def received(environ: Environ) -> Request:
    """A WSGI request as the API takes it."""
    return Request(
        verb=environ["REQUEST_METHOD"],
        path=environ["PATH_INFO"][len(API) :],
        query=dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
        body=whole_body(environ),
        headers={"Content-Type": environ.get("CONTENT_TYPE", ""), "Range": environ.get("HTTP_RANGE", "")},
        ip=environ.get("REMOTE_ADDR", "127.0.0.1"),
    )


def whole_body(environ: Environ) -> bytes:
    """The body, whether its length was announced or it comes in chunks."""
    length = environ.get("CONTENT_LENGTH") or ""
    chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "")
    if not length and not chunked:
        return b""
    body: bytes = environ["wsgi.input"].read(int(length)) if length else environ["wsgi.input"].read()
    return body


def headers(said: Answer) -> list[tuple[str, str]]:
    """The headers of an API answer; a file name may be Chinese, a header may not."""
    own = [(name, value.encode().decode("latin-1")) for name, value in said.headers.items()]
    return [("Content-Type", said.content_type), ("Content-Length", str(len(said.data))), *own]


def server(
    world: World, port: int, host: str = "127.0.0.1", deliverer: Deliverer | None = None, threads: int = THREADS
) -> Server:
    """A server with its socket open, delivering only through the deliverer given; port 0 takes a free one.

    `world.base_url` becomes its address.
    """
    app = create_app(world, deliverer)
    made = Server((host, port), app, numthreads=threads, max=threads, request_queue_size=256, timeout=30)
    made.prepare()
    world.base_url = f"http://{host}:{made.bind_addr[1]}"
    return made


def serve(
    world: World, port: int, host: str = "127.0.0.1", deliverer: Deliverer | None = None, threads: int = THREADS
) -> None:
    """Serve until interrupted."""
    carrier = deliverer or Deliverer.over_http(world)
    made = server(world, port, host, carrier, threads)
    try:
        made.serve()
    finally:
        made.stop()
        close_own(carrier, deliverer)


@contextmanager
def running(world: World, port: int = 0, deliverer: Deliverer | None = None, threads: int = THREADS) -> Iterator[str]:
    """Serve in a thread while inside; gives the address."""
    carrier = deliverer or Deliverer.over_http(world)
    made = server(world, port, deliverer=carrier, threads=threads)
    thread = Thread(target=made.serve, name="sandbox-http", daemon=True)
    thread.start()
    try:
        yield world.base_url
    finally:
        made.stop()
        thread.join()
        close_own(carrier, deliverer)


def close_own(carrier: Deliverer, given: Deliverer | None) -> None:
    """End the deliverer if it was made here."""
    if carrier is not given:
        carrier.close()
