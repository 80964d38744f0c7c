"""The form of a channel code: what was typed, kept as typed until it is right, and how the customer will see it.

Every button of the form posts all of it, so that a row can be added, a picture kept and the phone drawn anew without
any script. ``do`` says which button it was.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage, MultiDict

from console import forms, here
from console.forms import Problems
from console.words import _
from storage.tables import Channel, Media, Member
from storage.work import Work
from tagging import channels, pictures
from tagging.channels import Draft, Invalid
from tagging.pictures import NotAPicture
from wecom.commands import render

KINDS = ("image", "link", "miniprogram")
TEXTS = {"image": (), "link": ("title", "url", "desc", "picurl"), "miniprogram": ("title", "appid", "page")}
MOST_SLOTS = 20
CUSTOMER = "小雨"
"""Who looks at the drawn phone."""
NEW_SLOT = {"days": [1, 2, 3, 4, 5], "from": "09:00", "to": "18:00", "holidays": "same", "members": []}


@dataclass(frozen=True)
class Form:
    """The fields as they stand on the page. ``tags`` are as ``forms.tag_value`` says; rows as in ``Draft``."""

    name: str = ""
    members: tuple[str, ...] = ()
    spare: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    new_tags: str = ""
    text: str = ""
    attachments: tuple[dict[str, Any], ...] = ()
    skip_verify: bool = True
    daily_cap: str = ""
    timetable: tuple[dict[str, Any], ...] = field(default_factory=tuple)
    version: int = 0
    same_name: bool = False
    """Whether another code may have the same name."""

    @property
    def bytes_used(self) -> int:
        """How long the welcome is, as WeCom counts."""
        return len(self.text.encode())

    def draft(self) -> Draft:
        """What the form asks for. Raises ``Invalid`` for what cannot even be read."""
        problems: Problems = []
        tags = forms.tags(self.tags, self.new_tags, problems)
        daily_cap = forms.whole(self.daily_cap, "daily_cap", problems)
        if problems:
            raise Invalid(problems)
        return Draft(
            name=self.name,
            members=self.members,
            tags=tags,
            text=self.text,
            attachments=self.attachments,
            skip_verify=self.skip_verify,
            spare=self.spare,
            daily_cap=daily_cap,
            timetable=self.timetable,
        )


def of_channel(db: Session, channel: Channel) -> Form:
    """The form of a code as it is."""
    return Form(
        name=channel.name,
        members=tuple(seat.userid for seat in channel.seats if not seat.spare),
        spare=tuple(seat.userid for seat in channel.seats if seat.spare),
        tags=tuple(forms.tag_value(*one) for one in channels.tag_names(db, channel)),
        text=str(channel.welcome.get("text") or ""),
        attachments=tuple(channel.welcome.get("attachments") or ()),
        skip_verify=channel.skip_verify,
        daily_cap=str(channel.daily_cap or ""),
        timetable=tuple(channel.timetable),
        version=channel.version,
    )


# --- reading ---------------------------------------------------------------------------------------------------------


def read(sent: MultiDict[str, str]) -> Form:
    """The form as it was sent. Line ends of the welcome are those WeCom counts: one sign each."""
    return Form(
        name=sent.get("name", "").strip(),
        members=tuple(sent.getlist("members")),
        spare=tuple(sent.getlist("spare")),
        tags=tuple(sent.getlist("tags")),
        new_tags=sent.get("new_tags", ""),
        text=sent.get("text", "").replace("\r\n", "\n"),
        attachments=tuple(_attachment(sent, number) for number in _numbers(sent, "a", "kind")),
        skip_verify="skip_verify" in sent,
        daily_cap=sent.get("daily_cap", "").strip(),
        timetable=tuple(_slot(sent, number) for number in _numbers(sent, "t", "holidays")),
        version=here.number(sent.get("version")) or 0,
        same_name="same_name" in sent,
    )


def _numbers(sent: MultiDict[str, str], letter: str, last: str) -> list[int]:
    """Which rows of a repeated part were sent: ``a-0-kind``, ``a-3-kind``."""
    found = (re.fullmatch(rf"{letter}-(\d{{1,3}})-{last}", name) for name in sent)
    return sorted(int(match[1]) for match in found if match)


def _attachment(sent: MultiDict[str, str], number: int) -> dict[str, Any]:
    kind = sent.get(f"a-{number}-kind", "")
    row: dict[str, Any] = {"kind": kind}
    row |= {name: sent.get(f"a-{number}-{name}", "").strip() for name in TEXTS.get(kind, ())}
    if kind != "link":
        row["media"] = here.number(sent.get(f"a-{number}-media"))
    return row


def _slot(sent: MultiDict[str, str], number: int) -> dict[str, Any]:
    return {
        "days": [int(day) for day in sent.getlist(f"t-{number}-days") if day in "1234567" and day],
        "from": sent.get(f"t-{number}-from", ""),
        "to": sent.get(f"t-{number}-to", ""),
        "holidays": sent.get(f"t-{number}-holidays", "same"),
        "members": sent.getlist(f"t-{number}-members"),
    }


# --- buttons ---------------------------------------------------------------------------------------------------------


def keep_pictures(
    work: Work, form: Form, sent: MultiDict[str, str], files: Mapping[str, FileStorage]
) -> tuple[Form, Problems]:
    """Keep the pictures that came with the form; the form with their numbers, and why some were not taken."""
    problems: Problems = []
    rows = [dict(one) for one in form.attachments]
    for place, (row, number) in enumerate(zip(rows, _numbers(sent, "a", "kind"), strict=True), start=1):
        file = files.get(f"a-{number}-file")
        if file is not None and file.filename and row["kind"] != "link":
            try:
                row["media"] = pictures.keep(work, file.read()).id
            except NotAPicture as error:
                problems.append(("attachments", f"第 {place} 个附件：{error}"))
    return replace(form, attachments=tuple(rows)), problems


def changed(form: Form, do: str) -> Form:
    """The form after one of its small buttons: ``add:link``, ``drop:a:1``, ``up:a:2``, ``add:slot``."""
    verb, _, what = do.partition(":")
    if verb == "add" and what in KINDS and len(form.attachments) < channels.MAX_ATTACHMENTS:
        return replace(form, attachments=(*form.attachments, {"kind": what, "media": None}))
    if verb == "add" and what == "slot" and len(form.timetable) < MOST_SLOTS:
        return replace(form, timetable=(*form.timetable, {**NEW_SLOT, "members": list(form.members)}))
    letter, _, place = what.partition(":")
    number = here.number(place)
    if number is None:
        return form
    if letter == "t" and verb == "drop":
        return replace(form, timetable=_without(form.timetable, number))
    if letter == "a" and verb == "drop":
        return replace(form, attachments=_without(form.attachments, number))
    if letter == "a" and verb == "up" and 0 < number < len(form.attachments):
        rows = list(form.attachments)
        rows[number - 1], rows[number] = rows[number], rows[number - 1]
        return replace(form, attachments=tuple(rows))
    return form


def _without(rows: tuple[dict[str, Any], ...], number: int) -> tuple[dict[str, Any], ...]:
    return rows[:number] + rows[number + 1 :]


# --- the drawn phone -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """What the customer will see: who writes, the text, and the attachments in order."""

    rep: str
    text: str
    attachments: tuple[Mapping[str, Any], ...] = ()
    chosen: bool = True
    """Whether a rep is chosen yet."""


def preview(db: Session, form: Form) -> Preview:
    """The welcome as a customer named 小雨 would get it from the first rep."""
    first = next(iter(form.members), None)
    name = db.scalar(select(Member.name).where(Member.userid == first)) or first or _("接待的成员")
    values = {"name": CUSTOMER, "rep": name, "channel": form.name or "渠道名称"}
    return Preview(name, render(form.text, values), tuple(form.attachments), chosen=first is not None)


def pictures_of(db: Session, form: Form) -> dict[int, Media]:
    """The pictures of the form that there are, by id."""
    ids = {one["media"] for one in form.attachments if one.get("media")}
    return {one.id: one for one in db.scalars(select(Media).where(Media.id.in_(ids)))}
