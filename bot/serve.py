"""``scrm serve``: the product running. ``all`` is web and worker under one supervisor; or one of them alone."""

import gc
import logging
import signal
import sys
from dataclasses import replace
from functools import partial
from types import FrameType

from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import configure_mappers

from bot import worker
from bot.assembly import Parts, assemble, make_folder
from bot.doctor import example_values
from bot.family import Family
from bot.seldom import seldom_collecting
from bot.server import server_for
from bot.settings import Settings
from bot.web import create_app
from people import sign_in
from storage import audit, schema
from storage.bell import PipeBell
from storage.database import open_engine, transaction, utc_now
from storage.tables import User

log = logging.getLogger(__name__)

FIRST_USER = "boss"


class CannotServe(Exception):
    """Why we do not start; one line that says what to do."""


def serve(settings: Settings, role: str) -> None:
    """Run until told to stop. Raises ``CannotServe`` when the schema is not ours or the role needs more."""
    warn_of_example_values(settings)
    ready_schema(settings)
    if role != "all" and settings.storage.embedded:
        raise CannotServe("web and worker alone need PostgreSQL ([storage] url); on SQLite use --role all")
    if role == "web":
        run_web(assemble(settings))
    elif role == "worker":
        worker.run(assemble(settings))
    else:
        supervise(settings)


def warn_of_example_values(settings: Settings) -> None:
    """A key that everybody can read signs nothing."""
    if copied := example_values(settings):
        log.warning("still the example's value: %s; see `scrm check`", ", ".join(copied))


def ready_schema(settings: Settings) -> None:
    """An empty database is set up; an older one is refused, so that nobody migrates by accident."""
    make_folder(settings.storage.url)
    engine = open_engine(settings.storage.url)
    try:
        if schema.current(engine) is None:
            _set_up(settings.storage.url)
            log.info("the database was empty: schema %s created", schema.newest())
        elif trouble := schema.trouble(engine):
            raise CannotServe(trouble)
    finally:
        engine.dispose()


def _set_up(url: str) -> None:
    try:
        schema.migrate_apart(url)
    except RuntimeError as error:
        raise CannotServe(str(error)) from None


def first_link(settings: Settings) -> str | None:
    """At the very first start: a one-time address for the boss. None when there are users already."""
    engine = open_engine(settings.storage.url)
    try:
        with transaction(engine) as db:
            if db.scalar(select(User.id).limit(1)) is not None:
                return None
            boss = sign_in.add_user(db, FIRST_USER, "boss", utc_now())
            token = sign_in.issue_link(db, boss, utc_now())
            audit.note(db, actor="first start", action="user.add", subject=FIRST_USER, at=utc_now())
    finally:
        engine.dispose()
    return f"{settings.web.base_url}/sign-in/link/{token}"


def family(settings: Settings) -> Family:
    """Web, express worker and ordinary worker, not started yet. On SQLite a pipe is their bell.

    Everything is built before the fork, so that both share its memory; no connection is opened before it.
    """
    duties = {"express": worker.EXPRESS, "worker": worker.ORDINARY}
    pipe = PipeBell(len(duties)) if settings.storage.embedded and not settings.redis.url else None
    with seldom_collecting():
        parts = assemble(settings, bell=pipe)
        app = create_app(parts)
        configure_mappers()
    members = Family()
    members.add("web", lambda: run_web(parts, app))
    for number, (name, duty) in enumerate(duties.items()):
        own = replace(parts, bell=pipe.heard_by(number)) if pipe else parts
        members.add(name, partial(worker.run, own, duty))
    return members


def supervise(settings: Settings) -> None:
    """Start them and look after them."""
    if link := first_link(settings):
        sys.stdout.write(f"First start. Sign in once with this address (valid for 24 hours):\n\n    {link}\n\n")
        sys.stdout.flush()
    members = family(settings)
    members.start()
    log.info("listening on http://%s:%d", settings.web.host, settings.web.port)
    members.watch()


def run_web(parts: Parts, app: Flask | None = None) -> None:
    """Serve HTTP until SIGTERM; requests in hand are finished first."""
    web = parts.settings.web
    app = app or create_app(parts)
    gc.collect()
    gc.freeze()
    server = server_for(app, web.host, web.port)

    def tell(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, tell)
    try:
        server.start()
    except SystemExit:
        log.info("web is ending")
    except OSError as error:
        raise CannotServe(f"cannot listen on {web.host}:{web.port}: {error.strerror}; set [web] port") from None
    finally:
        server.stop()
