"""The form of a broadcast: what was typed, kept as typed until it is right, and how a customer will see it.

Every button posts all of it (``do`` says which), so that a file can be kept and the phone drawn anew without script.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

from console import attachment_rows, here
from console.broadcast_words import told
from console.channel_form import with_addresses
from console.words import _, listed
from outreach import contents
from outreach.arms import BUCKETS
from outreach.broadcasts import GROUPS, METRICS, PEOPLE, TALKED, CannotDo, Draft
from storage.tables import Broadcast
from storage.work import Work
from wecom.attachments import MAX_ATTACHMENTS

NOW, AT, AGAIN = WHEN = ("now", "at", "again")
LONGEST_TEXT = 20_000
MOST_GROUPS = 2000


@dataclass(frozen=True)
class Form:
    """The fields as they stand on the page."""

    name: str = ""
    audience: str = PEOPLE
    segment: int | None = None
    chat_ids: tuple[str, ...] = ()
    text: str = ""
    other_text: str = ""
    attachments: tuple[dict[str, Any], ...] = ()
    control: str = "0"
    """Percent."""
    metric: str = TALKED
    service: bool = False
    when: str = NOW
    send_at: str = ""
    """As a date and time field sends it: 2026-11-27T10:00, the shop's time."""
    every: str = "week"
    weekdays: tuple[int, ...] = ()
    month_days: str = ""
    at: str = "10:00"
    working: bool = True
    until: str = ""
    version: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def two(self) -> bool:
        """Whether there is a second wording."""
        return bool(self.other_text.strip())

    def draft(self) -> Draft:
        """What the form asks for. Raises ``CannotDo`` for what cannot even be read."""
        if problems := list(self._unread()):
            raise CannotDo(*problems)
        return Draft(
            name=self.name,
            segment_id=self.segment,
            text=self.text,
            other_text=self.other_text,
            attachments=self.attachments,
            control=int(self.control) * BUCKETS // 100,
            send_at=self._send_at(),
            chat_ids=self.chat_ids,
            audience=self.audience,
            repeat=self._repeat(),
            metric=self.metric,
            service=self.service,
        )

    def _unread(self) -> Iterator[tuple[str, str]]:
        if not (self.control.isascii() and self.control.isdecimal() and len(self.control) <= 2):
            yield "control", _("请填 0 到 50 的整数")
        if self.when == AT and self._send_at() is None:
            yield "send_at", _("请选什么时候发")
        if self.when == AGAIN and self.every == "month" and _days(self.month_days) is None:
            yield "repeat", _("请填每月的几号（1–31）")

    def _send_at(self) -> datetime | None:
        """The shop's time; None where there is none, or none that can be read."""
        if self.when != AT:
            return None
        try:
            return datetime.fromisoformat(self.send_at).replace(tzinfo=here.zone())
        except ValueError:
            return None

    def _repeat(self) -> dict[str, Any]:
        if self.when != AGAIN:
            return {}
        days = {"week": list(self.weekdays), "month": _days(self.month_days)}.get(self.every)
        rule: dict[str, Any] = {"every": self.every, "at": self.at, "working": self.working}
        return rule | ({"days": days} if days is not None else {}) | ({"until": self.until} if self.until else {})

    def with_faults(self, error: CannotDo) -> "Form":
        """The form with each fault beside its field."""
        errors: dict[str, str] = {}
        for place, words in error.problems:
            errors[place] = listed([*([errors[place]] if place in errors else []), told(words)], "；")
        return replace(self, errors=errors)


def _days(text: str) -> list[int] | None:
    parts = [one for one in text.replace("，", ",").replace("、", ",").replace(" ", ",").split(",") if one]
    right = parts and all(one.isascii() and one.isdecimal() and 1 <= int(one[:3]) <= 31 for one in parts)
    return sorted({int(one) for one in parts}) if right else None


def of_broadcast(broadcast: Broadcast) -> Form:
    """The form of a broadcast as it is."""
    texts = [str(one["text"]) for one in broadcast.contents] + ["", ""]
    repeat = broadcast.repeat or {}
    once = broadcast.send_at if not repeat else None
    days = repeat.get("days") or []
    return Form(
        name=broadcast.name,
        audience=broadcast.audience,
        segment=broadcast.segment_id,
        chat_ids=tuple(broadcast.chat_ids),
        text=texts[0],
        other_text=texts[1],
        attachments=tuple(dict(one) for one in (broadcast.contents or [{}])[0].get("attachments", ())),
        control=str(broadcast.control * 100 // BUCKETS),
        metric=broadcast.metric,
        service=broadcast.service,
        when=AGAIN if repeat else AT if once else NOW,
        send_at=f"{once.astimezone(here.zone()):%Y-%m-%dT%H:%M}" if once else "",
        every=str(repeat.get("every", "week")),
        weekdays=tuple(days) if repeat.get("every") == "week" else (),
        month_days=", ".join(map(str, days)) if repeat.get("every") == "month" else "",
        at=str(repeat.get("at", "10:00")),
        working=bool(repeat.get("working", not repeat)),
        until=str(repeat.get("until") or ""),
        version=broadcast.version,
    )


# --- reading what was sent -------------------------------------------------------------------------------------------


def read(sent: MultiDict[str, str]) -> Form:
    """The form as it was sent. Line ends of a text are those WeCom counts: one sign each."""
    return Form(
        name=sent.get("name", "").strip()[:200],
        audience=GROUPS if sent.get("audience") == GROUPS else PEOPLE,
        segment=here.number(sent.get("segment")),
        chat_ids=tuple(one[:64] for one in sent.getlist("chat_ids"))[:MOST_GROUPS],
        text=_text(sent, "text"),
        other_text=_text(sent, "other_text"),
        attachments=attachment_rows.read(sent),
        control=sent.get("control", "0").strip()[:5] or "0",
        metric=metric if (metric := sent.get("metric", "")) in METRICS else TALKED,
        service=sent.get("service") == "1",
        when=when if (when := sent.get("when", "")) in WHEN else NOW,
        send_at=sent.get("send_at", "").strip()[:16],
        every=sent.get("every", "week")[:10],
        weekdays=tuple(int(one) for one in sent.getlist("weekdays") if one and one in "1234567"),
        month_days=sent.get("month_days", "").strip()[:100],
        at=sent.get("at", "").strip()[:5],
        working="working" in sent,
        until=sent.get("until", "").strip()[:10],
        version=here.number(sent.get("version")) or 0,
    )


def _text(sent: MultiDict[str, str], name: str) -> str:
    return sent.get(name, "").replace("\r\n", "\n")[:LONGEST_TEXT]


def keep_files(work: Work, form: Form, sent: MultiDict[str, str], files: Mapping[str, FileStorage]) -> Form:
    """Keep the files that came with the form; those that were not taken are named beside their row."""
    rows, refused = attachment_rows.keep(work, form.attachments, sent, files)
    return replace(form, attachments=rows, errors={f"attachments-{place}": told(why) for place, why in refused})


def changed(form: Form, do: str) -> Form:
    """The form after one of its small buttons: ``add:link``, ``drop:a:1``, ``up:a:2``."""
    verb, _colon, what = do.partition(":")
    if verb == "add" and what not in contents.KINDS and not what.startswith(attachment_rows.FROM_LIBRARY):
        return form
    return replace(form, attachments=attachment_rows.changed(form.attachments, do, MAX_ATTACHMENTS))


# --- the drawn phone -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """What a customer will see: who writes, the text, and the attachments in order."""

    rep: str
    text: str
    attachments: tuple[Mapping[str, Any], ...] = ()


def previews(form: Form, rep: str) -> list[Preview]:
    """One for each wording, as customers of this rep get it."""
    texts = [form.text, form.other_text] if form.two else [form.text]
    return [Preview(rep, with_addresses(one).replace("{rep}", rep), tuple(form.attachments)) for one in texts]
