"""What the pages and the admin API show of the world, as plain JSON. Reads only."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from typing import TypeVar

from sandbox.callbacks import Deliverer, Delivery, what_of
from sandbox.facts import ContactWay, Event, Json, LoggedCall, Relation
from sandbox.views_kf import apps, counters, desk, kf_view
from sandbox.views_mass import line_view, mass_view, rooms_of
from sandbox.words import words_in
from sandbox.world import World

__all__ = ["everything", "person_view", "words_in"]

Row = TypeVar("Row")

SHOWN_CUSTOMERS, SHOWN_WAYS, SHOWN_EVENTS, SHOWN_CALLS, SHOWN_LINES = 60, 24, 14, 14, 60
TAIL = 4
"""So much of an id tells people apart who are called alike."""
ACTORS = ("UserID", "ExternalUserID", "State", "ChatId", "Id", "OpenKfId", "FromUserName")


def everything(world: World) -> Json:
    """The corp at a glance."""
    with world.lock:
        return {
            "corp_id": world.corp_id,
            "now": world.clock.now(),
            "apps": [asdict(one) for one in world.apps.values()],
            "members": [asdict(one) for one in world.members.values()],
            "departments": [asdict(one) for one in world.departments.values()],
            "customers": len(world.customers),
            "relations": world.relations.made,
            "contact_ways": [asdict(one) for one in islice(world.contact_ways.values(), 1000)],
            "tag_groups": [asdict(one) for one in world.tag_groups.values()],
            "faults": asdict(world.faults),
            "limits": asdict(world.limits),
            "habits": asdict(world.habits),
            "welcomes": len(world.sent),
            "events": world.events_made,
        }


def person_view(
    world: World, deliverer: Deliverer | None, external_userid: str, userid: str, open_kfid: str = ""
) -> Json:
    """Two phones and what passes between WeCom and the product."""
    with world.lock:
        return {
            "now": world.clock.now(),
            "paused": deliverer is not None and deliverer.paused,
            "customers": newest_customers(world, external_userid),
            "reps": reps(world),
            "ways": [way_card(world, one) for one in list(world.contact_ways.values())[-SHOWN_WAYS:][::-1]],
            "friends": friends(world, external_userid),
            "clients": clients(world, userid),
            "requests": requests(world, userid),
            "chat": chat(world, userid, external_userid),
            "counters": counters(world, external_userid),
            "kf": kf_view(world, open_kfid, external_userid),
            "desk": desk(world, userid),
            "apps": apps(world, userid),
            "mass": mass_view(world, userid),
            "rooms": rooms_of(world, external_userid),
            "events": ticker(world, deliverer),
            "calls": [call_row(one) for one in latest(world.calls, SHOWN_CALLS)],
        }


def newest_customers(world: World, chosen: str) -> list[Json]:
    """The latest customers, the chosen one among them; of those called alike the end of the id too."""
    ids = list(islice(reversed(world.customers), SHOWN_CUSTOMERS))
    if chosen in world.customers and chosen not in ids:
        ids.append(chosen)
    called = Counter(world.customers[one].name for one in ids)
    return [
        {
            "id": one,
            "name": world.customers[one].name,
            "number": one[-TAIL:] if called[world.customers[one].name] > 1 else "",
        }
        for one in ids
    ]


def reps(world: World) -> list[Json]:
    """Those who can have customers."""
    found = (one for one in world.members.values() if one.can_have_customers())
    return [{"id": one.userid, "name": one.name, "position": one.position} for one in islice(found, 60)]


def way_card(world: World, way: ContactWay) -> Json:
    """A channel code as the customer sees it on the wall."""
    names = [one.name for one in world.reps_of(way)]
    return {
        "config_id": way.config_id,
        "title": way.remark or way.state or way.config_id[:8],
        "reps": names[:4],
        "more": max(0, len(names) - 4),
        "verify": not way.skip_verify,
    }


def friends(world: World, external_userid: str) -> list[Json]:
    """The reps a customer has, or asked to have."""
    rows = world.relations.by_customer.get(external_userid, ())
    waiting = [userid for userid, ext in world.requests if ext == external_userid]
    asked = [{"id": one, "name": world.member(one).name, "status": "waiting_for", "last": None} for one in waiting]
    return asked + [friend(world, row) for row in rows if row.userid not in waiting]


def friend(world: World, row: Relation) -> Json:
    """One rep in the customer's list."""
    rep = world.member(row.userid)
    return {"id": row.userid, "name": rep.name, "status": row.status, "last": last_line(world, row)}


def clients(world: World, userid: str) -> list[Json]:
    """The rep's newest customers."""
    rows = world.relations.by_member.get(userid, [])
    return [client(world, row) for row in islice(reversed(rows), SHOWN_CUSTOMERS) if row.status != "member_deleted"]


def client(world: World, row: Relation) -> Json:
    """One customer in the rep's list."""
    return {
        "id": row.external_userid,
        "name": row.remark or row.customer.name,
        "status": row.status,
        "tags": world.tag_names(row)[:3],
        "last": last_line(world, row),
    }


def requests(world: World, userid: str) -> list[Json]:
    """Customers who wait for the rep's yes."""
    found = [(ext, way) for (rep, ext), way in world.requests.items() if rep == userid]
    return [{"id": ext, "name": world.customers[ext].name, "channel": channel(world, way.state)} for ext, way in found]


def channel(world: World, state: str) -> Json | None:
    """What the rep calls the code behind a state, and the state; a code that is gone is called by its state."""
    if not state:
        return None
    way = world.way(state)
    return {"title": (way.remark if way else "") or state, "state": state}


def last_line(world: World, row: Relation) -> Json | None:
    """The latest thing said, and by whom."""
    lines = world.chats.get((row.userid, row.external_userid), ())
    return {"who": lines[-1].who, "text": lines[-1].text[:40]} if lines else None


def chat(world: World, userid: str, external_userid: str) -> Json | None:
    """The chat of the two who are chosen, with what the rep knows of the customer."""
    row = world.relations.find(userid, external_userid)
    if row is None:
        return None
    lines = world.chats.get((userid, external_userid), [])[-SHOWN_LINES:]
    return {
        "status": row.status,
        "rep": world.member(userid).name,
        "customer": row.customer.name,
        "remark": row.remark,
        "channel": channel(world, row.state),
        "tags": world.tag_names(row),
        "lines": [line_view(one) for one in lines],
    }


def ticker(world: World, deliverer: Deliverer | None) -> list[Json]:
    """The latest events and their deliveries."""
    known = {one.event_id: one for one in deliverer.recent(SHOWN_EVENTS * 4)} if deliverer else {}
    untold = "held" if deliverer is not None and deliverer.paused else "no_receiver"
    return [event_row(world, one, known.get(one.id), untold) for one in latest(world.events, SHOWN_EVENTS)]


def event_row(world: World, event: Event, delivery: Delivery | None, untold: str) -> Json:
    """One line of the ticker; `untold` is the fate of an event without a delivery."""
    about = [named(world, name, str(event.fields[name])) for name in ACTORS if name in event.fields]
    tries = [{"status": one.status, "ms": round(one.seconds * 1000)} for one in delivery.tries] if delivery else []
    return {
        "id": event.id,
        "at": event.at,
        "what": what_of(event),
        "kind": str(event.fields.get("ChangeType") or event.fields.get("Event") or event.fields["MsgType"]),
        "event": str(event.fields.get("Event", "")),
        "detail": str(event.fields.get("UpdateDetail", "")),
        "about": [one for one in about if one not in ("", "sys")],
        "code": "WelcomeCode" in event.fields,
        "fate": delivery.fate if delivery else untold,
        "tries": tries,
    }


def named(world: World, field: str, known_id: str) -> str:
    """What people call whom or what a field of an event names."""
    if field == "State":
        found = channel(world, known_id)
        return str(found["title"]) if found else ""
    if known_id in world.customers:
        return world.customers[known_id].name
    if known_id in world.tags:
        return world.tags[known_id][1].name
    if known_id in world.tag_groups:
        return world.tag_groups[known_id].name
    if known_id in world.kf_accounts:
        return world.kf_accounts[known_id].name
    if known_id in world.groups:
        return world.group(known_id).name
    member = world.find_member(known_id)
    return member.name if member else known_id


def call_row(call: LoggedCall) -> Json:
    """One line of the list of calls."""
    return {"at": call.at, "path": call.path, "errcode": call.errcode, "outcome": call.outcome}


def latest(rows: Sequence[Row], count: int) -> list[Row]:
    """The last few, newest first."""
    return list(islice(reversed(rows), count))
