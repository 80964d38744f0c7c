"""A crowd made by chance, kept as plain values and as rows; and the filter tree, evaluated in plain Python."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from insight.fields import BEHAVIOURS, LIFE, TALK
from storage.tables import (
    Channel,
    Department,
    Interaction,
    Interval,
    Member,
    Person,
    PersonTag,
    Relation,
    Segment,
    SegmentMember,
    Tag,
)

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
TAGS = (1, 2, 3, 4)
CHANNELS = {1: "cDouyin", 2: "cDoor", 3: "cMail"}
REPS = {"lisi": [2], "wangwu": [3, 4], "zhaoliu": [], "sunqi": [5]}
PARENTS = {1: None, 2: 1, 3: 1, 4: 3, 5: 4}
LISTS = (1, 2)
STATES = ("active", "half", "ended_by_rep", "ended_by_customer", "ended_by_both", "transferred", "unknown")
REGIONS = (("江苏", "南京"), ("江苏", "苏州"), ("上海", "上海"), ("浙江", None))
SPANS = (0, 1, 7, 29, 30, 31, 90, 400)
"""Days ago at which things happen, to the second or a little beside."""


@dataclass
class Somebody:
    """One person, as plain values."""

    id: int
    life_cycle: str | None
    owner: str | None
    region: tuple[str, str | None] | None
    opted_out: bool
    tags: set[int]
    lists: set[int]
    relations: dict[str, str]
    arrivals: list[tuple[datetime | None, int | None]] = field(default_factory=list)
    lines: list[tuple[str, datetime, str]] = field(default_factory=list)
    """(kind, at, the type in its details)."""


def _moment(chance: random.Random) -> datetime:
    return NOW - timedelta(days=chance.choice(SPANS), seconds=chance.choice((0, 0, 1, -1, 3600, 40_000)))


def crowd(seed: int, size: int = 60) -> list[Somebody]:
    """So many people; the first has nothing at all."""
    chance = random.Random(seed)
    found = [Somebody(1, None, None, None, False, set(), set(), {})]
    for number in range(2, size + 1):
        relations = {rep: chance.choice(STATES) for rep in REPS if chance.random() < 0.4}
        one = Somebody(
            number,
            chance.choice((None, *LIFE)),
            chance.choice((None, *REPS)),
            chance.choice((None, *REGIONS)),
            chance.random() < 0.2,
            {tag for tag in TAGS if chance.random() < 0.3},
            {own for own in LISTS if chance.random() < 0.3},
            relations,
        )
        for _ in relations:
            began = None if chance.random() < 0.1 else _moment(chance)
            one.arrivals.append((began, chance.choice((None, *CHANNELS))))
        for _ in range(chance.randrange(8)):
            kind = chance.choice((*BEHAVIOURS, "opened", "kf_event", "kf_in", "kf_in", "note"))
            one.lines.append((kind, _moment(chance), chance.choice(("enter_session", "text"))))
        found.append(one)
    return found


def keep(db: Session, people: list[Somebody]) -> None:
    """The same crowd as rows."""
    db.add_all(Department(id=one, name=f"部门{one}", parent_id=parent) for one, parent in PARENTS.items())
    db.add_all(Member(userid=one, name=one, departments=inside) for one, inside in REPS.items())
    db.add_all(Tag(id=one, group_name="组", name=f"标签{one}", created_at=NOW) for one in TAGS)
    db.add_all(Channel(id=one, code=code, name=code, created_at=NOW, changed_at=NOW) for one, code in CHANNELS.items())
    made = {"created_at": NOW, "changed_at": NOW}
    for one in LISTS:
        own = Segment(name=f"名单{one}", kind="static", filter={"all": []}, **made)
        db.add(own)
        db.flush()
        assert own.id == one
    for one in people:
        province, city = one.region or (None, None)
        seen = {"first_seen_at": NOW, "last_seen_at": NOW}
        own = {"province": province, "city": city, "life_cycle": one.life_cycle, "opted_out": one.opted_out}
        db.add(Person(id=one.id, owner=one.owner, **own, **seen))
    db.flush()
    for one in people:
        _keep_one(db, one)


def _keep_one(db: Session, one: Somebody) -> None:
    db.add_all(PersonTag(person_id=one.id, tag_id=tag, source="manual", because="", at=NOW) for tag in one.tags)
    db.add_all(SegmentMember(segment_id=own, person_id=one.id) for own in one.lists)
    for number, ((rep, state), (began, channel)) in enumerate(zip(one.relations.items(), one.arrivals, strict=True)):
        relation = Relation(person_id=one.id, userid=rep, external_userid=f"wm{one.id}", state=state)
        db.add(relation)
        db.flush()
        told = {"userid": rep, "began_at": began, "origin": "arrival", "channel_id": channel}
        db.add(Interval(relation_id=relation.id, number=number + 1, person_id=one.id, **told))
    for number, (kind, at, type_) in enumerate(one.lines):
        once = f"{one.id}:{number}"
        db.add(Interaction(person_id=one.id, kind=kind, at=at, details={"type": type_}, once=once))


# --- the tree, in plain Python ---------------------------------------------------------------------------------------


def fits(tree: Mapping[str, Any], one: Somebody) -> bool:
    """Whether somebody fits a tree."""
    if "all" in tree:
        return all(fits(each, one) for each in tree["all"])
    if "any" in tree:
        return any(fits(each, one) for each in tree["any"])
    if "not" in tree:
        return not fits(tree["not"], one)
    return _leaf(tree["field"], tree["op"], tree.get("value"), one)


def _leaf(name: str, op: str, value: Any, one: Somebody) -> bool:
    if name in ("arrival_days", "last_talk_days"):
        moments = [at for at, _ in one.arrivals] if name == "arrival_days" else _said(one, TALK)
        return _since(op, value, [at for at in moments if at is not None])
    if name == "messages":
        return _times(op, value, _said(one, TALK))
    if name == "kf_opens":
        return _times(
            op, value, [at for kind, at, type_ in one.lines if (kind, type_) == ("kf_event", "enter_session")]
        )
    if name == "opens":
        return _times(op, value, _said(one, ("opened",)))
    if name == "rhythm":
        return _silent(value, _said(one, TALK))
    if name == "behaviour":
        return _times(op, value, _said(one, value["kinds"]))
    if name == "opted_out":
        return one.opted_out is value
    wanted = value if isinstance(value, list) else [value]
    return any(each in _names(name, one) for each in wanted) is not (op in ("not_in", "has_none"))


def _said(one: Somebody, kinds: Any) -> list[datetime]:
    return [at for kind, at, _ in one.lines if kind in kinds]


def _since(op: str, value: Any, moments: list[datetime]) -> bool:
    if op in ("ever", "never"):
        return bool(moments) is (op == "ever")
    if op == "between":
        first, last = (date.fromisoformat(value[name]) for name in ("from", "to"))
        return any(first <= at.astimezone(ZONE).date() <= last for at in moments)
    edge = NOW - timedelta(days=value)
    if not moments:
        return op == "not_in_last"
    latest = max(moments)
    answers = {"<": latest > edge, "<=": latest >= edge, ">": latest < edge, ">=": latest <= edge}
    return {**answers, "not_in_last": latest < edge}[op]


def _times(op: str, value: Any, moments: list[datetime]) -> bool:
    count = sum(at >= NOW - timedelta(days=value["days"]) for at in moments)
    times = value["times"]
    answers = {"<": count < times, "<=": count <= times, "=": count == times, ">=": count >= times, ">": count > times}
    return answers[op]


def _silent(value: Any, moments: list[datetime]) -> bool:
    lately = [int(at.timestamp()) for at in moments if at >= NOW - timedelta(days=365)]
    days = {at // 86_400 for at in lately}
    if len(days) < 4:
        return False
    silence = NOW.timestamp() - max(lately)
    gap = (max(lately) - min(lately)) / (len(days) - 1)
    return silence >= value["days"] * 86_400 and silence >= value["times"] * gap


def _names(name: str, one: Somebody) -> set[str]:
    """What of this kind can be said of somebody."""
    living = {rep for rep, state in one.relations.items() if state in ("active", "half")}
    if name == "tag":
        return {f"t_{tag}" for tag in one.tags}
    if name == "life_cycle":
        return {one.life_cycle} - {None} if one.life_cycle else set()
    if name == "relation":
        return {_relation(set(one.relations.values()))}
    if name == "channel":
        return {CHANNELS[channel] for _, channel in one.arrivals if channel}
    if name == "store":
        return {f"d_{above}" for rep in living for inside in REPS[rep] for above in _above(inside)}
    if name == "rep":
        return living
    if name == "owner":
        return {one.owner} if one.owner else set()
    if name == "region":
        province, city = one.region or ("", None)
        return ({province} if province else set()) | ({f"{province}/{city}"} if city else set())
    return {f"s_{own}" for own in one.lists}


def _relation(states: set[str]) -> str:
    if "active" in states:
        return "active"
    if "half" in states:
        return "half"
    ended = {"ended_by_rep", "ended_by_customer", "ended_by_both", "transferred"}
    return "lost" if states & ended else "new"


def _above(department: int | None) -> set[int]:
    return {department} | _above(PARENTS[department]) if department else set()
