"""Whom and what the books are about: the ids in events, calls and audit lines, by the names we know.

Events and calls are shown only to those who may see operations, audit lines only to those who may see the audit; a
customer out of sight keeps to their id all the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flask import url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console.customers import number_of
from console.words import _, listed
from people import persons
from people.access import Sight
from storage.tables import AuditRow, Channel, Identity, InboxRow, Member, OutboxRow, Person, PointsAccount, Tag
from tagging import tags
from wecom import xml
from wecom.errors import BadEnvelope


class Named(NamedTuple):
    """What something is called, and where its page is (empty when it has none)."""

    words: str
    href: str = ""


# --- events and calls ------------------------------------------------------------------------------------------------


class _Ids(NamedTuple):
    """Who a row of the books is about; a welcome names its rep, the others say the userid."""

    customer: str = ""
    reps: tuple[str, ...] = ()
    channel: int = 0


def of_events(db: Session, sight: Sight, rows: Sequence[InboxRow]) -> dict[int, list[Named]]:
    """Customer and rep of each event."""
    return _named(db, sight, {one.id: _ids_of_event(one) for one in rows})


def _ids_of_event(row: InboxRow) -> _Ids:
    try:
        fields = xml.read(row.xml)
    except BadEnvelope:
        return _Ids()
    userid = fields.get("UserID") or (fields.get("FromUserName") if row.name.startswith("message.") else "")
    return _Ids(_text(fields.get("ExternalUserID")), (_text(userid),) if _text(userid) else ())


def of_calls(db: Session, sight: Sight, rows: Sequence[OutboxRow]) -> dict[int, list[Named]]:
    """Customer, rep and channel code of each call."""
    return _named(db, sight, {one.id: _ids_of_call(one.body) for one in rows})


def _ids_of_call(body: Mapping[str, Any]) -> _Ids:
    greeter = body["values"].get("rep") if isinstance(body.get("values"), Mapping) else None
    reps = [body.get("userid"), *(body.get("userids") or ()), greeter]
    channel = body.get("channel_id")
    return _Ids(
        _text(body.get("external_userid")),
        tuple(_text(one) for one in reps if _text(one)),
        channel if isinstance(channel, int) else 0,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _named(db: Session, sight: Sight, ids: Mapping[int, _Ids]) -> dict[int, list[Named]]:
    known_customers = customers(db, sight, {one.customer for one in ids.values()})
    known_reps = reps(db, {rep for one in ids.values() for rep in one.reps})
    channels = _channels(db, Channel.id.in_({one.channel for one in ids.values()}))
    found = {}
    for row, one in ids.items():
        parts = [known_customers.get(one.customer), channels.get(one.channel)]
        who = listed(known_reps.get(rep.lower(), rep) for rep in one.reps)
        found[row] = [part for part in parts if part] + ([Named(who)] if who else [])
    return found


def customers(db: Session, sight: Sight, external: Iterable[str]) -> dict[str, Named]:
    """Customers in sight by external_userid."""
    own = (
        select(Identity.value, Person.id, Person.name)
        .join(Person, Person.id == Identity.person_id)
        .where(Identity.type == persons.EXTERNAL, Identity.value.in_([one for one in external if one]), sight.people())
    )
    return {value: _person(number, name) for value, number, name in db.execute(own)}


def _person(number: int, name: str) -> Named:
    public = persons.public_id(number)
    return Named(name or _("（还没有名字）"), url_for("person.show", person_id=public))


def reps(db: Session, userids: Iterable[str]) -> dict[str, str]:
    """Names by userid in lower case: WeCom sends both spellings."""
    wanted = {one.lower() for one in userids}
    if not wanted:
        return {}
    rows = db.execute(select(Member.userid, Member.name))
    return {userid.lower(): name or userid for userid, name in rows if userid.lower() in wanted}


def _channels(db: Session, which: Any) -> dict[Any, Named]:
    """Channel codes both by number and by code."""
    found: dict[Any, Named] = {}
    for number, code, name in db.execute(select(Channel.id, Channel.code, Channel.name).where(which)):
        found[number] = found[code] = Named(name, url_for("channels.show", code=code))
    return found


# --- the audit -------------------------------------------------------------------------------------------------------


def subjects(db: Session, sight: Sight, rows: Sequence[AuditRow]) -> dict[str, Named]:
    """What the lines are about, and the ids in their details, by what stands in the line."""
    named = {text for row in rows for text in (row.subject, *row.details.values()) if isinstance(text, str) and text}
    known = select(Person.id, Person.name).where(Person.id.in_(_numbers("p_", named)), sight.people())
    own = select(Tag.id, Tag.group_name, Tag.name).where(Tag.id.in_(_numbers("t_", named)))
    return {
        **{userid: Named(name) for userid, name in _members(db, named)},
        **{code: one for code, one in _channels(db, Channel.code.in_(named)).items() if isinstance(code, str)},
        **{persons.public_id(number): _person(number, name) for number, name in db.execute(known)},
        **{tags.public_id(number): _tag(number, group, name) for number, group, name in db.execute(own)},
    }


def _members(db: Session, userids: Iterable[str]) -> list[tuple[str, str]]:
    own = select(Member.userid, Member.name).where(Member.userid.in_(list(userids)), Member.name != "")
    return [(userid, name) for userid, name in db.execute(own)]


def _tag(number: int, group: str, name: str) -> Named:
    return Named(f"{group}/{name}", url_for("customers.index", tag=tags.public_id(number)))


def _numbers(prefix: str, texts: Iterable[str]) -> list[int]:
    """The numbers in those texts that are public ids such as ``p_17``."""
    return [number for one in texts if (number := number_of(prefix, one)) is not None]


# --- accounts of points ----------------------------------------------------------------------------------------------


def whose(db: Session, sight: Sight, account_ids: Iterable[int]) -> dict[int, Named]:
    """Whose each of these accounts is: the name with its page, or why there is none."""
    wanted = set(account_ids)
    head = func.coalesce(Person.merged_into, Person.id)
    own = select(PointsAccount.id, head).join(Person, Person.id == PointsAccount.person_id)
    heads = dict(db.execute(own.where(PointsAccount.id.in_(wanted))).all())
    seen = select(Person.id, Person.name).where(Person.id.in_(set(heads.values())), sight.people())
    names = dict(db.execute(seen).all())
    return {one: _whose(heads.get(one), names) for one in wanted}


def _whose(person: int | None, names: Mapping[int, str]) -> Named:
    if person is None:
        return Named(_("资料已删除的客户"))
    if person not in names:
        return Named(_("不在你可见范围的客户"))
    key = persons.public_id(person)
    return Named(names[person] or key, url_for("person.show", person_id=key))
