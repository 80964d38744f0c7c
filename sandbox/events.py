"""Events: what the world tells its receivers.

`Telling` sits on the facts and adds the voice. An event is written once for each receiver, in the XML that will later
be sealed, and handed to the listeners only when the world's lock is free again: a receiver may call the API at once.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import escape

from sandbox.facts import App, Event, Fields, XmlValue
from sandbox.state import State

CUSTOMER_EVENTS = frozenset(
    {"change_external_contact", "change_external_chat", "change_external_tag", "customer_acquisition"}
)
KF_EVENTS = frozenset({"kf_msg_or_event", "kf_account_auth_change"})
"""They name no sender."""
ADDRESS_BOOK_EVENTS = frozenset({"change_contact", "batch_job_result"})


class Telling(State):
    """The facts, with a voice."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._depth = 0
        self._silent = 0
        self._untold: deque[Event] = deque()

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Change the world under its lock; tell of it after letting go."""
        untold: list[Event] = []
        with self.lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    untold = list(self._untold)
                    self._untold.clear()
        for event in () if self._silent else untold:
            for listener in tuple(self.listeners):
                listener(event)

    def on_event(self, listener: Any) -> None:
        """Call this with every event from now on."""
        self.listeners.append(listener)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Events made meanwhile are written down, and never sent: the receivers are away."""
        self._silent += 1
        try:
            yield
        finally:
            self._silent -= 1

    def emit(self, fields: Mapping[str, XmlValue], receiver: int | None = None) -> list[Event]:
        """Any event at all, known or not, to one receiver or to everyone who would hear of it."""
        with self.acting():
            return self.tell(fields, receiver=receiver)

    emit_raw = emit

    def tell(
        self,
        fields: Fields,
        *,
        each: Mapping[int, Fields] | None = None,
        receiver: int | None = None,
        but_not: int | None = None,
    ) -> list[Event]:
        """Write an event for its receivers; `each` adds fields for one app, `but_not` leaves one out."""
        wanted = {**self._common(), **fields}
        if wanted["MsgType"] != "event":
            del wanted["Event"]
        elif wanted["Event"] in KF_EVENTS:
            del wanted["FromUserName"]
        odd = self.happens(self.faults.odd_xml)
        unknown = self.happens(self.faults.unknown_fields)
        return [
            self._write(app, {**wanted, **(each or {}).get(app.agent_id, {})}, odd, unknown)
            for app in self._receivers(str(wanted.get("Event", "")), receiver)
            if app.agent_id != but_not
        ]

    def receivers(self) -> list[App]:
        """The apps that have a callback of their own."""
        return [app for app in self.apps.values() if app.callback_url and not app.suspended]

    def _common(self) -> dict[str, XmlValue]:
        return {
            "ToUserName": self.corp_id,
            "FromUserName": "sys",
            "CreateTime": self.second(),
            "MsgType": "event",
            "Event": "",
        }

    def _receivers(self, event: str, receiver: int | None) -> list[App]:
        everyone = [app for app in self.apps.values() if not app.suspended]
        if receiver is not None:
            return [app for app in everyone if app.agent_id == receiver]
        if event in CUSTOMER_EVENTS:
            return [app for app in everyone if app.customer_contact]
        if event in ADDRESS_BOOK_EVENTS:
            return [app for app in everyone if app.address_book]
        if event in KF_EVENTS:
            return [app for app in everyone if app.kf]
        return everyone

    def _write(self, app: App, fields: Mapping[str, XmlValue], odd: bool, unknown: bool) -> Event:
        inside = dict(fields)
        if app.agent_id_inside:
            inside["AgentID"] = app.agent_id
        if unknown:
            inside["SandboxNewField"] = "tolerate me"
        if odd:
            inside |= {"SandboxExtra": {"Item": ["a", "b"]}, "SandboxEmpty": ""}
        self.events_made += 1
        event = Event(self.events_made, self.clock.now(), app.agent_id, inside, as_xml(inside, cdata=not odd))
        self.events.append(event)
        self._untold.append(event)
        return event


def as_xml(fields: Fields, cdata: bool = True) -> str:
    """Fields as WeCom writes them; a list repeats its element."""
    return "<xml>" + "".join(element(name, value, cdata) for name, value in fields.items()) + "</xml>"


def element(name: str, value: XmlValue, cdata: bool) -> str:
    """One element; a list becomes several of the same name."""
    if isinstance(value, str):
        return f"<{name}>{quoted(value, cdata)}</{name}>"
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    if isinstance(value, Mapping):
        inner = "".join(element(child, one, cdata) for child, one in value.items())
        return f"<{name}>{inner}</{name}>"
    return "".join(element(name, one, cdata) for one in value)


def quoted(text: str, cdata: bool) -> str:
    """Text, in CDATA or escaped."""
    if not cdata:
        return escape(text)
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"
