"""Carries events to the product's callbacks, as patiently and as badly as WeCom does.

Every try is sealed anew. An answer other than 200, or none within five seconds, leads to three more tries; then the
event is lost. Some events are lost at once, some come twice, some overtake (see `Faults`). Passive replies are opened
and checked.

In process: `Deliverer(world, deliver)` calls a function in the emitting thread, and later tries happen when the clock
is moved. `Deliverer.into(world, client)` does so with a Flask test client. Over HTTP: `Deliverer.over_http(world)` has
a pool of threads, and lets the world's agenda run.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import requests
from defusedxml.ElementTree import fromstring

from sandbox.envelope import Envelope
from sandbox.facts import App, Event, Json
from sandbox.forgeries import forged, sealed, signed
from sandbox.world import World

TIMEOUT = 5.0
SPACING = (5.0, 10.0, 20.0)
REPLY_BYTES = 2048
KEPT = 50_000
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the product answered."""

    status: int
    body: bytes = b""


Deliver = Callable[[str, Mapping[str, str], bytes, Mapping[str, str]], int | Reply]
"""Posts one callback (url, query, body, headers); a plain status will do for an answer."""
Fetch = Callable[[str, Mapping[str, str]], Reply]
"""Gets one address (url, query), for the check of a callback URL."""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt: when, what came back (0 is no answer), how long it took."""

    at: float
    status: int
    seconds: float


@dataclass(slots=True)
class Delivery:
    """The fate of one event at one receiver."""

    event_id: int
    agent_id: int
    what: str
    tries: list[Try] = field(default_factory=list)
    fate: str = "waiting"
    """waiting, received, lost (all tries failed), never sent."""
    reply: str = ""
    complaint: str = ""
    """What was wrong with a passive reply."""

    def as_json(self) -> Json:
        """For the admin API."""
        tries = [{"at": one.at, "status": one.status, "seconds": round(one.seconds, 4)} for one in self.tries]
        return {
            "event_id": self.event_id,
            "agent_id": self.agent_id,
            "what": self.what,
            "fate": self.fate,
            "tries": tries,
            "complaint": self.complaint,
        }


class Deliverer:
    """Listens to a world, and delivers."""

    def __init__(
        self,
        world: World,
        deliver: Deliver,
        *,
        fetch: Fetch | None = None,
        workers: int = 0,
        timeout: float = TIMEOUT,
        spacing: tuple[float, ...] = SPACING,
    ) -> None:
        self.world = world
        self.spacing = spacing
        self.timeout = timeout
        self.log: deque[Delivery] = deque(maxlen=KEPT)
        self.paused = False
        self._deliver = deliver
        self._fetch = fetch
        self._held: list[Event] = []
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(workers, "sandbox-callback") if workers else None
        world.on_event(self.take)

    @classmethod
    def into(cls, world: World, client: Any, **settings: Any) -> "Deliverer":
        """Deliver to a Flask test client."""
        return cls(world, FlaskDoor(client).post, fetch=FlaskDoor(client).get, **settings)

    @classmethod
    def over_http(cls, world: World, workers: int = 16, **settings: Any) -> "Deliverer":
        """Deliver over HTTP from a pool of threads."""
        door = HttpDoor(settings.get("timeout", TIMEOUT))
        world.agenda.start()
        return cls(world, door.post, fetch=door.get, workers=workers, **settings)

    # --- taking events ----------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """An event happened: decide its fate, and send it off unless paused."""
        if not self.world.app(event.agent_id).callback_url:
            return
        with self._lock:
            if self.paused:
                self._held.append(event)
                return
        self._send_off(event)

    def pause(self) -> None:
        """Hold events back until `resume`."""
        self.paused = True

    def resume(self) -> None:
        """Send what was held back, and hold nothing any more."""
        with self._lock:
            self.paused, held, self._held = False, self._held, []
        for event in held:
            self._send_off(event)

    def redeliver(self, event_id: int) -> None:
        """Send a recent event once more, as WeCom sometimes does."""
        self._send_off(self.world.event(event_id))

    def of(self, event_id: int) -> Delivery:
        """The delivery of an event (its latest, when it was sent more than once)."""
        return next(one for one in reversed(self.log) if one.event_id == event_id)

    def recent(self, count: int = 50) -> list[Delivery]:
        """The latest deliveries, oldest first."""
        with self._lock:
            return list(self.log)[-count:]

    def waiting(self) -> int:
        """How many deliveries have not met their fate."""
        with self._lock:
            return sum(one.fate == "waiting" for one in self.log)

    def close(self) -> None:
        """End the threads, once they have done what they were given. Tries that wait for their time are not made."""
        if self._pool is not None:
            self.world.agenda.stop()
            self._pool.shutdown()

    # --- fate -------------------------------------------------------------------------------------------------

    def _send_off(self, event: Event) -> None:
        faults = self.world.faults
        delivery = Delivery(event.id, event.agent_id, what_of(event))
        with self._lock:
            self.log.append(delivery)
        if self.world.happens(faults.lose):
            delivery.fate = "never sent"
            return
        late = self.world.rng.uniform(0, faults.reorder_seconds) if self.world.happens(faults.reorder) else 0.0
        self._later(late, event, delivery)
        if self.world.happens(faults.duplicate):
            self._later(late + self.world.rng.uniform(0, faults.reorder_seconds), event, delivery)

    def _later(self, seconds: float, event: Event, delivery: Delivery) -> None:
        if seconds > 0:
            self.world.agenda.after(seconds, lambda: self._now(event, delivery))
        else:
            self._now(event, delivery)

    def _now(self, event: Event, delivery: Delivery) -> None:
        if self._pool is None:
            self._attempt(event, delivery)
        else:
            self._pool.submit(self._attempt_aloud, event, delivery)

    def _attempt_aloud(self, event: Event, delivery: Delivery) -> None:
        """A pool keeps exceptions to itself; a bug of ours must be seen."""
        try:
            self._attempt(event, delivery)
        except Exception as error:
            delivery.fate, delivery.complaint = "lost", repr(error)
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))
            raise

    def _attempt(self, event: Event, delivery: Delivery) -> None:
        app = self.world.app(event.agent_id)
        if app.suspended:
            delivery.fate = "never sent"
            return
        reply = self._post(app, event, delivery)
        if reply.status == 200:
            delivery.fate = "received"
            self._read_reply(app, event, reply, delivery)
        elif delivery.fate == "received":
            return
        elif len(delivery.tries) > len(self.spacing):
            delivery.fate = "lost"
        else:
            self._later(self.spacing[len(delivery.tries) - 1], event, delivery)

    def _post(self, app: App, event: Event, delivery: Delivery) -> Reply:
        params, body = sealed(self.world, app, event.xml)
        started, moved = self.world.clock.now(), time.monotonic()
        try:
            answer = self._deliver(app.callback_url, params, body, {"Content-Type": "text/xml"})
        except OSError:
            answer = NO_ANSWER
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        seconds = max(self.world.clock.now() - started, time.monotonic() - moved)
        if seconds > self.timeout:
            reply = Reply(NO_ANSWER)
        delivery.tries.append(Try(started, reply.status, seconds))
        return reply

    def _read_reply(self, app: App, event: Event, reply: Reply, delivery: Delivery) -> None:
        if reply.body in (b"", b"success"):
            return
        try:
            delivery.reply = opened_reply(app.envelope(self.world.corp_id), reply.body)
        except (ValueError, ElementTree.ParseError) as error:
            delivery.complaint = str(error)
            return
        said, sender = fromstring(delivery.reply).findtext("Content"), str(event.fields.get("FromUserName", ""))
        if said and self.world.find_member(sender) is not None:
            self.world.app_answers(app.agent_id, sender, said)

    # --- checking a callback URL ------------------------------------------------------------------------------

    def verify_url(self, receiver: int | App) -> bool:
        """Save the callback in the admin console: the address must answer the decrypted echo, exactly, in a second."""
        if self._fetch is None:
            raise ValueError("this deliverer was given no way to fetch an address")
        app = self.world.app(receiver) if isinstance(receiver, int) else receiver
        echo = str(self.world.rng.getrandbits(62))
        encrypt = app.envelope(self.world.corp_id).encrypt(echo)
        started = time.monotonic()
        try:
            reply = self._fetch(app.callback_url, {**signed(self.world, app, encrypt), "echostr": encrypt})
        except OSError:
            return False
        return reply.status == 200 and reply.body == echo.encode() and time.monotonic() - started <= 1.0

    def post_forged(self, kind: str, xml: str, receiver: int) -> int:
        """Post what WeCom never would (see `forgeries`); the status the product answers."""
        app = self.world.app(receiver)
        params, body = forged(kind, self.world, app, xml)
        answer = self._deliver(app.callback_url, params, body, {"Content-Type": "text/xml"})
        return answer.status if isinstance(answer, Reply) else answer


def opened_reply(envelope: Envelope, body: bytes) -> str:
    """The inner XML of a passive reply; ValueError when WeCom would not show it."""
    outer = fromstring(body)
    encrypt, nonce, timestamp = (outer.findtext(name) or "" for name in ("Encrypt", "Nonce", "TimeStamp"))
    if envelope.sign(timestamp, nonce, encrypt) != outer.findtext("MsgSignature"):
        raise ValueError("the reply's signature is wrong")
    inner = envelope.decrypt(encrypt)
    if len((fromstring(inner).findtext("Content") or "").encode()) > REPLY_BYTES:
        raise ValueError("the reply's text is longer than 2048 bytes")
    return inner


def what_of(event: Event) -> str:
    """An event in a word or two, for the ticker."""
    fields = event.fields
    parts = (fields.get("Event", fields.get("MsgType", "")), fields.get("ChangeType", ""))
    return " ".join(str(part) for part in parts if part)


class HttpDoor:
    """The product over HTTP, one session for each thread."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._local = threading.local()

    def post(self, url: str, params: Mapping[str, str], body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post a callback."""
        answer = self._session().post(url, params=params, data=body, headers=headers, timeout=self._timeout)
        return Reply(answer.status_code, answer.content)

    def get(self, url: str, params: Mapping[str, str]) -> Reply:
        """Get an address."""
        answer = self._session().get(url, params=params, timeout=self._timeout)
        return Reply(answer.status_code, answer.content)

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        session: requests.Session = self._local.session
        return session


class FlaskDoor:
    """The product as a Flask test client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def post(self, url: str, params: Mapping[str, str], body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post a callback."""
        answer = self._client.post(urlsplit(url).path, query_string=params, data=body, headers=headers)
        return Reply(answer.status_code, answer.data)

    def get(self, url: str, params: Mapping[str, str]) -> Reply:
        """Get an address."""
        answer = self._client.get(urlsplit(url).path, query_string=params)
        return Reply(answer.status_code, answer.data)
