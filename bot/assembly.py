"""Builds every long-lived part, once. This is the only place where they meet."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import requests
from cryptography.fernet import Fernet
from sqlalchemy import Engine, make_url

from bot.settings import Receiver, Settings, WeComSettings
from handlers.dispatch import Dispatcher
from outreach.budget import Rules
from outreach.hours import Quiet
from scheduler.delivery import Sender
from scheduler.loop import Loop
from scheduler.timetable import TIMETABLE, Hands
from storage.bell import Bell, LocalBell
from storage.database import Clock, open_engine, utc_now
from storage.inbox import Intake
from storage.shared import DatabaseTokens, GateLedger, cipher_from
from wecom.envelope import Envelope
from wecom.gateway import Gateway
from wecom.line import Line, Tokens
from wecom.mp import Mp
from wecom.pacing import Pacing

CALLBACK_PATIENCE = 1.5
"""Seconds: WeCom waits five, and a callback that cannot be stored must be answered 5xx within two."""


@dataclass(frozen=True)
class Parts:
    """Everything that lives as long as the process."""

    settings: Settings
    engine: Engine
    front: Engine
    """The same database for the callback: it waits for a lock only as long as WeCom waits for us."""
    gateway: Gateway
    mp: Mp
    intake: Intake
    bell: Bell
    clock: Clock

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return self.settings.timezone

    def close(self) -> None:
        """Let go of the database."""
        self.intake.close()
        self.engine.dispose()
        self.front.dispose()

    @property
    def rules(self) -> Rules:
        """How often, and when, a customer may hear from us."""
        own = self.settings.contact
        quiet = Quiet(own.quiet_from, own.quiet_to)
        return Rules(own.quota, timedelta(hours=own.min_gap_hours), quiet, own.second_above)

    @property
    def cipher(self) -> Fernet:
        """Seals and opens secrets of others that we keep."""
        return cipher_from(self.settings.web.secret_key.get_secret_value())

    def envelopes(self) -> dict[str, Envelope]:
        """One envelope for each receiver, by the last part of its address."""
        wecom = self.settings.wecom
        found = {"": _envelope(wecom.corp_id, wecom)}
        for name, receiver in (("contact", wecom.contact), ("kf", wecom.kf)):
            if receiver is not None:
                found[name] = _envelope(wecom.corp_id, receiver)
        return found

    def dispatcher(self) -> Dispatcher:
        """Takes events along their routes."""
        watch, notice = self.settings.wecom.watch, self.settings.privacy.notice
        return Dispatcher(self.engine, self.gateway, self.clock, self.zone, watch, notice, self.settings.web.home)

    def sender(self) -> Sender:
        """Makes the calls that wait in the outbox."""
        watch, notice = self.settings.wecom.watch, self.settings.privacy.notice
        return Sender(self.engine, self.gateway, self.clock, self.zone, watch, notice)

    def hands(self, ring: Callable[[], None], stopping: Callable[[], bool]) -> Hands:
        """What a job may use."""
        watch = self.settings.wecom.watch
        days = self.settings.privacy.keep_text_days
        home = self.settings.web.home
        hands = Hands(self.engine, self.gateway, self.clock, self.zone, watch, ring, stopping, self.rules, days, home)
        return replace(hands, cipher=self.cipher, private=self.settings.webhooks.private_networks)

    def loop(self, ring: Callable[[], None], stopping: Callable[[], bool]) -> Loop:
        """Keeps the timetable."""
        return Loop(self.engine, self.clock, self.zone, TIMETABLE, self.hands(ring, stopping))


def assemble(
    settings: Settings, *, clock: Clock = utc_now, http: requests.Session | None = None, bell: Bell | None = None
) -> Parts:
    """Build the parts. ``http`` and ``clock`` may be stand-ins (the sandbox in process, a moved clock)."""
    make_folder(settings.storage.url)
    engine = open_engine(settings.storage.url)
    front = open_engine(settings.storage.url, patience=CALLBACK_PATIENCE, single=True)
    bell = bell or _bell(settings)
    return Parts(
        settings=settings,
        engine=engine,
        front=front,
        gateway=_gateway(settings, engine, clock, http),
        mp=_mp(settings, http),
        intake=Intake(front, engine, clock, lambda lane: bell.ring(f"inbox:{lane}")),
        bell=bell,
        clock=clock,
    )


def make_folder(url: str) -> None:
    """SQLite makes the file but not its folder."""
    database = make_url(url).database
    if url.startswith("sqlite") and database:
        Path(database).parent.mkdir(parents=True, exist_ok=True)


def _gateway(settings: Settings, engine: Engine, clock: Clock, http: requests.Session | None) -> Gateway:
    wecom, tokens = settings.wecom, _tokens(settings, engine, clock)
    pacing = Pacing(GateLedger(engine), clock)

    def line(secret: str) -> Line:
        return Line(wecom.corp_id, secret, api_base=wecom.api_base, tokens=tokens, pacing=pacing, http=http)

    def own(receiver: Receiver | None) -> Line | None:
        return line(receiver.secret.get_secret_value()) if receiver else None

    app, contact, kf = line(wecom.secret.get_secret_value()), own(wecom.contact), own(wecom.kf)
    return Gateway(app, contact, wecom.agent_id, kf, home=settings.web.base_url)


def _mp(settings: Settings, http: requests.Session | None) -> Mp:
    own = settings.mp
    return Mp(own.app_id, own.secret.get_secret_value(), own.api_base, own.oauth_base, http)


def _tokens(settings: Settings, engine: Engine, clock: Clock) -> Tokens:
    cipher = cipher_from(settings.web.secret_key.get_secret_value())
    if not settings.redis.url:
        return DatabaseTokens(engine, cipher, clock)
    from storage import over_redis  # drivers are loaded only where they are used: idle memory is part of the product

    return over_redis.RedisTokens(over_redis.connect(settings.redis.url), cipher)


def _bell(settings: Settings) -> Bell:
    if settings.redis.url:
        from storage import over_redis

        url = settings.redis.url
        return over_redis.RedisBell(over_redis.connect(url), over_redis.connect_waiting(url))
    if settings.storage.embedded:
        return LocalBell()
    from storage.postgres_bell import PostgresBell

    return PostgresBell(settings.storage.url.replace("+psycopg", ""))


def _envelope(corp_id: str, receiver: Receiver | WeComSettings) -> Envelope:
    token, key = receiver.token, receiver.encoding_aes_key
    return Envelope(token.get_secret_value(), key.get_secret_value(), corp_id)
