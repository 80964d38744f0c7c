"""The form of a channel code: what was typed, kept as typed until it is right, and how the customer will see it.

Every button of the form posts all of it, so that a row can be added, a picture kept and the phone drawn anew without
any script. ``do`` says which button it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage, MultiDict

from console import attachment_rows, forms, here
from console.attachment_rows import numbers
from console.forms import Problems
from console.words import _
from storage.tables import Channel, Media, Member
from storage.work import Work
from tagging import channels, placeholders
from tagging.channels import Draft, Invalid
from wecom.commands import render

KINDS = ("image", "link", "miniprogram")
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
        attachments=attachment_rows.read(sent),
        skip_verify="skip_verify" in sent,
        daily_cap=sent.get("daily_cap", "").strip(),
        timetable=tuple(_slot(sent, number) for number in numbers(sent, "t", "holidays")),
        version=here.number(sent.get("version")) or 0,
        same_name="same_name" in sent,
    )


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
    rows, refused = attachment_rows.keep(work, form.attachments, sent, files)
    problems = [("attachments", f"第 {place + 1} 个附件：{why}") for place, why in refused]
    return replace(form, attachments=rows), problems


def changed(form: Form, do: str) -> Form:
    """The form after one of its small buttons: ``add:link``, ``drop:a:1``, ``up:a:2``, ``add:slot``."""
    verb, _, what = do.partition(":")
    if verb == "add" and what == "slot":
        more = ({**NEW_SLOT, "members": list(form.members)},) if len(form.timetable) < MOST_SLOTS else ()
        return replace(form, timetable=form.timetable + more)
    letter, _, place = what.partition(":")
    number = here.number(place)
    if verb == "drop" and letter == "t" and number is not None:
        return replace(form, timetable=form.timetable[:number] + form.timetable[number + 1 :])
    if verb == "add" and what not in KINDS and not what.startswith(attachment_rows.FROM_LIBRARY):
        return form
    return replace(form, attachments=attachment_rows.changed(form.attachments, do, channels.MAX_ATTACHMENTS))


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
    text = render(with_addresses(form.text), values)
    return Preview(name, text, tuple(form.attachments), chosen=first is not None)


def with_addresses(text: str) -> str:
    """A text as it looks with somebody's own addresses in it."""
    return placeholders.LINK.sub(f"{here.home()}/t/…", text)


def pictures_of(db: Session, form: Form) -> dict[int, Media]:
    """The pictures of the form that there are, by id."""
    return attachment_rows.media_of(db, form.attachments)
