"""A whole shop in one process, for tests: the sandbox as WeCom, our application, a worker that catches up on demand."""

import base64
import copy
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from threading import Condition, Lock, RLock
from typing import Any

import requests
from flask import Flask
from flask.testing import FlaskClient
from requests.adapters import BaseAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from bot.assembly import Parts, assemble
from bot.callback import BELOW
from bot.settings import Settings
from bot.ticking import work_off
from bot.web import create_app, create_door
from sandbox.adapter import SandboxAdapter
from sandbox.callbacks import Deliverer
from sandbox.clock import NEVER, ManualClock
from sandbox.envelope import Envelope as Sealer
from sandbox.world import MP_APP_ID, MP_SECRET, World
from scheduler.loop import Job, Loop
from scheduler.timetable import TIMETABLE
from storage.bell import LocalBell
from storage.database import transaction
from storage.tables import Base, Channel
from storage.work import Work
from tagging.channel_desk import Desk
from tagging.channels import Draft
from wecom.errors import WeComError

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC).timestamp()
TINY_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SECRET_KEY = "a-test-key-that-is-long-enough-to-be-one"


def settings_for(world: World, url: str, **wecom: Any) -> Settings:
    """Settings that make the sandbox our WeCom."""
    app = world.app(1000002)
    return Settings(
        wecom={
            "corp_id": world.corp_id,
            "agent_id": 1000002,
            "secret": app.secret,
            "token": app.token,
            "encoding_aes_key": app.encoding_aes_key,
            "api_base": "http://sandbox.invalid/cgi-bin/",
            "oauth_base": "http://sandbox.invalid",
            "login_base": "http://sandbox.invalid",
            **wecom,
        },
        storage={"url": url},
        mp={
            "app_id": MP_APP_ID,
            "secret": MP_SECRET,
            "api_base": "http://sandbox.invalid",
            "oauth_base": "http://sandbox.invalid",
        },
        web={"secret_key": SECRET_KEY, "base_url": "http://127.0.0.1:8000", "shop_name": "豆子咖啡"},
    )


def line_to(world: World) -> requests.Session:
    """An HTTP session on which every call reaches the sandbox in process."""
    http = requests.Session()
    http.mount("http://", SandboxAdapter(world))
    http.mount(f"{world.base_url}/qr/", QrPictures(world))
    return http


class QrPictures(BaseAdapter):
    """The pictures of the sandbox's codes, in process: whatever the code, a small PNG."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """The picture, or 404 for a code that is gone."""
        config_id = (request.url or "").rpartition("/")[2].removesuffix(".png")
        found = requests.Response()
        found.request, found.url = request, request.url or ""
        found.status_code = 200 if config_id in self.world.contact_ways else 404
        found.raw = io.BytesIO(TINY_PNG if found.ok else b"gone")
        return found

    def close(self) -> None:
        """There is nothing to close."""


@dataclass
class Shop:
    """Everything a journey needs in its hands."""

    world: World
    clock: ManualClock
    parts: Parts
    door: Client
    """Where callbacks are posted: the callback's own application, as it stands below the whole one."""
    deliverer: Deliverer
    jobs_run: list[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def app(self) -> Flask:
        """The whole application, built for whoever looks at a page."""
        app = create_app(self.parts)
        app.testing = True
        return app

    @cached_property
    def client(self) -> FlaskClient:
        """A browser that is not signed in."""
        return self.app.test_client()

    def now(self) -> datetime:
        """The shop's time."""
        return self.parts.clock()

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.clock.advance(timedelta(**span).total_seconds())

    @contextmanager
    def db(self) -> Iterator[Session]:
        """A transaction."""
        with transaction(self.parts.engine) as db:
            yield db

    @contextmanager
    def work(self) -> Iterator[Work]:
        """Work in a transaction."""
        with transaction(self.parts.engine) as db:
            yield self.work_in(db)

    def work_in(self, db: Session) -> Work:
        """Work in a transaction that is open already."""
        watch, home = self.parts.settings.wecom.watch, self.parts.settings.web.home
        return Work(db, self.now(), cause="test", zone=self.parts.zone, watch=watch, home=home)

    def rows(self, table: type[Base], *where: Any) -> list[Any]:
        """Every row of a table, oldest first."""
        with self.db() as db:
            return list(db.scalars(select(table).where(*where).order_by(*table.__table__.primary_key)))

    def catch_up(self) -> int:
        """Handle every event and make every call that is due, one after the other; how many there were."""
        return work_off(self.parts)

    def tick(self) -> list[tuple[str, str]]:
        """Run every job that is due, then catch up."""
        loop: Loop = self.parts.loop(lambda: None, lambda: False)
        ran = loop.run_due()
        self.jobs_run += ran
        self.catch_up()
        return ran

    def run(self, *names: str) -> dict[str, str]:
        """Run these jobs of the timetable now, whether they are due or not, then catch up; what each did."""
        hands = self.parts.hands(lambda: None, lambda: False)
        did = {job.name: _outcome(job, hands) for job in TIMETABLE if job.name in names}
        assert set(did) == set(names)
        self.catch_up()
        return did

    def open_for_business(self) -> None:
        """What happens at the first start: members are read, what WeCom has is taken over."""
        self.tick()

    def channel(self, name: str = "抖音直播间", **changes: Any) -> Channel:
        """A channel code, made at WeCom too."""
        draft = Draft(
            **{
                "name": name,
                "members": ("zhangsan", "lisi"),
                "tags": (("来源", "抖音"),),
                "text": "你好 {name}，我是{rep}，欢迎来到{channel}",
                **changes,
            }
        )
        watch = self.parts.settings.wecom.watch
        work = partial(Work, now=self.now(), zone=self.parts.zone, watch=watch)
        desk = Desk(self.parts.engine, self.parts.gateway, work)
        kept = desk.open(draft, by="boss", note=lambda work, channel: None)
        self.catch_up()
        return kept

    def seal(self, xml: str, nonce: str = "n1") -> tuple[dict[str, str], bytes]:
        """Query and body of a callback that holds this XML."""
        app = self.world.app(1000002)
        sealer = Sealer(app.token, app.encoding_aes_key, self.world.corp_id)
        stamp, sealed = str(int(self.clock.now())), sealer.encrypt(xml)
        query = {"msg_signature": sealer.sign(stamp, nonce, sealed), "timestamp": stamp, "nonce": nonce}
        return query, f"<xml><ToUserName/><AgentID/><Encrypt>{sealed}</Encrypt></xml>".encode()

    def post(self, xml: str, path: str = "/wecom/callback") -> int:
        """Deliver this XML as WeCom would; the status of the answer."""
        query, body = self.seal(xml)
        return self.door.post(path, query_string=query, data=body, content_type="text/xml").status_code


def _outcome(job: Job, hands: Any) -> str:
    """What a job did, or (as the loop takes it) that WeCom was in its way."""
    try:
        return job.work(hands)
    except WeComError as error:
        return f"{type(error).__name__}: {error}"


def twin(world: World) -> World:
    """The same WeCom again, at which nobody listens yet; it must have nothing ahead of it."""
    assert world.agenda.next_due() == NEVER
    locks = {id(world.lock): RLock(), id(world.log._lock): Lock(), id(world.agenda._changed): Condition()}
    return copy.deepcopy(world, {id(world.listeners): [], **locks})


def build_shop(url: str, world: World | None = None, **wecom: Any) -> Shop:
    """Put a shop together on this database."""
    clock = ManualClock(START)
    world = world or World.small_shop(clock, seed=7)
    clock = world.clock if isinstance(world.clock, ManualClock) else clock
    settings = settings_for(world, url, **wecom)
    parts = assemble(
        settings, clock=lambda: datetime.fromtimestamp(clock.now(), UTC), http=line_to(world), bell=LocalBell()
    )
    door = Client(DispatcherMiddleware(NotFound(), {BELOW: create_door(parts)}))
    return Shop(world, clock, parts, door, Deliverer.into(world, door))


def close_shop(shop: Shop) -> None:
    """Let go of the database."""
    shop.deliverer.close()
    shop.parts.close()


def event_xml(event: str = "change_external_contact", **fields: str) -> str:
    """The XML of an event as WeCom writes it."""
    inner = {"ToUserName": "wwsandbox000000001", "FromUserName": "sys", "MsgType": "event", "Event": event, **fields}
    return "<xml>" + "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in inner.items()) + "</xml>"
