"""Segments (分层): people who fit a filter, worked out by the database in one statement.

A filter is a tree: ``{"all": [...]}``, ``{"any": [...]}``, ``{"not": {...}}``, or a leaf ``{"field", "op", "value"}``
with a field of ``insight.fields``; ``{"all": []}`` is everybody. ``check`` refuses a wrong one with the place of every
fault, ``condition`` compiles a right one to a condition on ``Person``. Who may see whom is the caller's own clause,
which goes beside it (``people.access.Sight.people``):

    asked = segments.question(db, now, zone)
    segments.count(db, sight.people(), segments.members(segment, asked))
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, false, func, insert, literal, not_, or_, select, true, union, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.orm import Session

from insight import fields
from insight.fields import BY_NAME, FIELDS, Has, Question, has
from insight.values import Fault, Place
from storage.tables import Person, Segment, SegmentMember, is_head
from storage.work import Work

PREFIX = "s_"
LIVE, STATIC = KINDS = ("live", "static")
EVERYBODY: Mapping[str, Any] = {"all": []}
GROUPS = ("all", "any")
MAX_DEPTH = 8
MAX_NODES = 100
MAX_NAME = 60
MAX_SEGMENTS = 500
MAX_PAGE = 500
MAX_FAULTS = 20
WALK_FROM = 1000
"""So many people or more are met soon enough when one walks: one in a thousand of a million."""


class WrongFilter(ValueError):
    """What is wrong with a filter or a segment: pairs of a place and what would be right there.

    The place of a fault in the filter begins with ``filter``; the others are ``("name",)``, ``("kind",)``.
    """

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("；".join(f"{spelt(place)}：{words}" for place, words in faults))
        self.faults = faults


def spelt(place: Place) -> str:
    """A place as people write it: ``filter.all[0].value``."""
    parts = (f"[{one}]" if isinstance(one, int) else f".{one}" for one in place)
    return "".join(parts).removeprefix(".")


def public_id(segment_id: int) -> str:
    """``s_3``."""
    return f"{PREFIX}{segment_id}"


# --- checking --------------------------------------------------------------------------------------------------------


def check(db: Session, tree: Any) -> None:
    """Raise ``WrongFilter`` with every fault (the first twenty), each with its place and what would be right."""
    faults = list(_Reader(db).faults(tree, ("filter",), 1))
    if faults:
        raise WrongFilter(faults[:MAX_FAULTS])


class _Reader:
    """Walks one tree, counting its nodes."""

    def __init__(self, db: Session) -> None:
        self._db = db
        self._nodes = 0

    def faults(self, node: Any, place: Place, depth: int) -> Iterator[Fault]:
        """What is wrong at and below this node."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                yield place, f"最多 {MAX_NODES} 个条件"
        elif depth > MAX_DEPTH:
            yield place, f"最多嵌套 {MAX_DEPTH} 层"
        elif not isinstance(node, Mapping):
            yield place, '应是 {"all": […]}、{"any": […]}、{"not": {…}} 或 {"field": …, "op": …, "value": …}'
        elif "field" in node or "op" in node:
            yield from self._leaf(node, place)
        elif len(node) == 1 and (name := next(iter(node))) in (*GROUPS, "not"):
            yield from self._group(name, node[name], (*place, name), depth)
        else:
            yield place, "应有且只有 all、any、not 其中之一，或是 field、op、value 三项"

    def _group(self, name: str, inside: Any, place: Place, depth: int) -> Iterator[Fault]:
        if name == "not":
            yield from self.faults(inside, place, depth + 1)
        elif not isinstance(inside, list):
            yield place, "应是条件的列表"
        elif name == "any" and not inside:
            yield place, '至少要有一个条件；所有客户写作 {"all": []}'
        else:
            for number, one in enumerate(inside):
                yield from self.faults(one, (*place, number), depth + 1)

    def _leaf(self, node: Mapping[str, Any], place: Place) -> Iterator[Fault]:
        unknown = sorted(str(one) for one in set(node) - {"field", "op", "value"})
        if unknown:
            yield (*place, unknown[0]), "条件只有 field、op、value 三项"
        name, op = node.get("field"), node.get("op")
        field = BY_NAME.get(name) if isinstance(name, str) else None
        if field is None:
            yield (*place, "field"), f"应是其中之一：{'、'.join(one.name for one in FIELDS)}"
        elif not isinstance(op, str) or op not in field.form.ops:
            yield (*place, "op"), f"应是其中之一：{'、'.join(field.form.ops)}"
        elif op in field.form.bare:
            if node.get("value") is not None:
                yield (*place, "value"), "这里不需要 value"
        else:
            yield from self._value(name, op, node.get("value"), (*place, "value"))

    def _value(self, name: Any, op: str, value: Any, place: Place) -> Iterator[Fault]:
        field = BY_NAME[name]
        faults = [((*place, *below), words) for below, words in field.form.faults(op, value)]
        yield from faults
        if not faults and field.known is not None:
            named = field.form.named(op, value)
            known = field.known(self._db, named)
            listed = isinstance(value, list)
            for number, one in enumerate(named):
                if one not in known:
                    yield (*place, *((number,) if listed else ())), f"没有 {one}，或已删除"


# --- compiling -------------------------------------------------------------------------------------------------------


def question(db: Session, now: datetime, zone: ZoneInfo, *, paged: int | None = None) -> Question:
    """What conditions are worded for: this database, this moment, this time zone.

    ``paged``: about how many people fit, where only a page of them is wanted; of many it is found by walking.
    """
    walks = paged is not None and paged >= WALK_FROM
    return Question(db.get_bind().dialect.name, now, zone, partial(fields.tiers, db), walks)


def condition(tree: Mapping[str, Any], asked: Question) -> ColumnElement[bool]:
    """The condition on ``Person`` that holds for whoever fits a tree that was checked; each is one person."""
    return and_(is_head(), _compiled(tree, asked, wanted=True))


def _compiled(tree: Mapping[str, Any], asked: Question, *, wanted: bool) -> ColumnElement[bool]:
    """The condition that the tree holds, or (not ``wanted``) that it does not: every NOT ends at a leaf."""
    if "field" in tree:
        built = BY_NAME[tree["field"]].build(asked, tree["op"], tree.get("value"))
        return built if wanted else not_(built)
    if "not" in tree:
        return _compiled(tree["not"], asked, wanted=not wanted)
    join = "any" if "any" in tree else "all"
    parts = [(one, _compiled(one, asked, wanted=wanted)) for one in tree[join]]
    if (join == "all") is wanted:
        return and_(true(), *(part for _, part in parts))
    return _any_of(parts, asked)


def _any_of(parts: Sequence[tuple[Mapping[str, Any], ColumnElement[bool]]], asked: Question) -> ColumnElement[bool]:
    """That one of these holds.

    PostgreSQL makes no join of an EXISTS inside an OR, but looks for each person anew; so there each part finds its
    people in its own way, and the question is who is among them. A walk to a full page does better with OR.
    """
    own = [part for tree, part in parts if _is_own(tree)]
    others = [part for tree, part in parts if not _is_own(tree)]
    if asked.dialect == "sqlite" or asked.walks or len(parts) < 2 or not others:
        return or_(false(), *(part for _, part in parts))
    sets = [_people(part) for part in ([or_(*own)] if own else []) + others]
    return Person.id.in_(union(*sets)) if len(sets) > 1 else others[0]


def _people(part: ColumnElement[bool]) -> Select[Any]:
    """The ids of those for whom this holds."""
    return part.owners if isinstance(part, Has) else select(Person.id).where(is_head(), part).correlate(None)


def _is_own(tree: Mapping[str, Any]) -> bool:
    """Whether a tree asks only what stands on the person itself."""
    if "field" in tree:
        return BY_NAME[tree["field"]].own
    inside = (tree["not"],) if "not" in tree else tree.get("any") or tree.get("all") or ()
    return all(map(_is_own, inside))


def members(segment: Segment, asked: Question) -> ColumnElement[bool]:
    """The condition on ``Person`` that holds for those in this segment."""
    if segment.kind == STATIC:
        return and_(is_head(), has(asked, SegmentMember.person_id, SegmentMember.segment_id == segment.id))
    return condition(segment.filter, asked)


def count(db: Session, *where: ColumnElement[bool]) -> int:
    """How many people fulfil all of this."""
    return db.scalars(select(func.count()).select_from(Person).where(*where)).one()


def page(
    db: Session, *where: ColumnElement[bool], limit: int, before: int | None = None
) -> tuple[list[Person], int | None]:
    """One page of them, those first who became known last, and the id that the next page comes before.

    Who walks the whole list while customers come and chat misses nobody who stays in it.
    """
    asked = select(Person).where(*where).order_by(Person.id.desc())
    if before is not None:
        asked = asked.where(Person.id < before)
    most = max(1, min(limit, MAX_PAGE))
    found = list(db.scalars(asked.limit(most + 1)))
    more, found = len(found) > most, found[:most]
    return found, (found[-1].id if more else None)


def ids(db: Session, *where: ColumnElement[bool]) -> Iterator[int]:
    """The ids of all of them, the oldest first, read as they are taken."""
    asked = select(Person.id).where(*where).order_by(Person.id)
    yield from db.scalars(asked.execution_options(yield_per=5000))


# --- keeping ---------------------------------------------------------------------------------------------------------


def living(db: Session, segment_id: int, *, lock: bool = False) -> Segment | None:
    """A segment that is not deleted; None when there is none of this id."""
    own = select(Segment).where(Segment.id == segment_id, Segment.deleted_at.is_(None))
    return db.scalars(own.with_for_update() if lock else own).one_or_none()


def listed(db: Session, *, limit: int, before: int | None = None) -> tuple[list[Segment], int | None]:
    """One page of the segments there are, the newest first, and the id that the next page comes before."""
    own = select(Segment).where(Segment.deleted_at.is_(None)).order_by(Segment.id.desc()).limit(limit + 1)
    found = list(db.scalars(own.where(Segment.id < before) if before is not None else own))
    more, found = len(found) > limit, found[:limit]
    return found, (found[-1].id if more else None)


def create(work: Work, name: str, tree: Any, *, by: str, kind: str = LIVE) -> Segment:
    """Keep a new segment; a static one takes in now whoever fits. Raises ``WrongFilter``."""
    _check(work.db, name, tree, None)
    told = {"created_by": by, "created_at": work.now, "changed_by": by, "changed_at": work.now}
    segment = Segment(name=name.strip(), kind=kind, filter=dict(tree), version=1, **told)
    work.db.add(segment)
    work.db.flush()
    if kind == STATIC:
        _take_in(work, segment)
    else:
        measure(work, segment)
    return segment


def change(work: Work, segment: Segment, *, name: str, tree: Any, by: str) -> bool:
    """Give a segment another name or filter; False when that changes nothing. Raises ``WrongFilter``."""
    if segment.kind == STATIC and tree != segment.filter:
        raise WrongFilter([(("filter",), "名单的人已经定下，条件不能改；可以新建一个")])
    if (name.strip(), tree) == (segment.name, segment.filter):
        return False
    _check(work.db, name, tree if segment.kind == LIVE else EVERYBODY, segment)
    segment.name, segment.filter = name.strip(), dict(tree)
    segment.version += 1
    segment.changed_by, segment.changed_at = by, work.now
    if segment.kind == LIVE:
        measure(work, segment)
    return True


def snapshot(work: Work, segment: Segment, name: str, *, by: str) -> Segment:
    """A static segment of whoever is in this one now. Raises ``WrongFilter``."""
    if segment.kind == LIVE:
        return create(work, name, segment.filter, by=by, kind=STATIC)
    _check(work.db, name, EVERYBODY, None)
    tree = {"field": "list", "op": "is", "value": public_id(segment.id)}
    return create(work, name, tree, by=by, kind=STATIC)


def delete(work: Work, segment: Segment, *, by: str) -> None:
    """Let go of a segment; who was in a static one is forgotten."""
    segment.deleted_at, segment.changed_by, segment.changed_at = work.now, by, work.now
    work.db.execute(sql_delete(SegmentMember).where(SegmentMember.segment_id == segment.id))


def measure(work: Work, segment: Segment) -> int:
    """Count a segment and remember how many it has."""
    segment.size, segment.size_at = count(work.db, members(segment, question(work.db, work.now, work.zone))), work.now
    return segment.size


def measured(work: Work, segment_id: int, size: int) -> None:
    """Remember how many a segment had just now."""
    own = update(Segment).where(Segment.id == segment_id)
    work.db.execute(own.values(size=size, size_at=work.now))


def _take_in(work: Work, segment: Segment) -> None:
    """Everybody who fits, by one statement, so that nobody changes sides meanwhile."""
    fits = condition(segment.filter, question(work.db, work.now, work.zone))
    rows = select(literal(segment.id), Person.id).where(fits)
    work.db.execute(insert(SegmentMember).from_select(["segment_id", "person_id"], rows))
    inside = select(func.count()).where(SegmentMember.segment_id == segment.id)
    segment.size, segment.size_at = work.db.scalars(inside).one(), work.now
    work.db.flush()


def _check(db: Session, name: str, tree: Any, own: Segment | None) -> None:
    faults: list[Fault] = []
    if not 0 < len(name.strip()) <= MAX_NAME or not name.isprintable():
        faults.append((("name",), f"名称需 1–{MAX_NAME} 个字"))
    same = select(func.count()).where(Segment.name == name.strip(), Segment.deleted_at.is_(None))
    if own is not None:
        same = same.where(Segment.id != own.id)
    if not faults and db.scalar(same):
        faults.append((("name",), "已有同名的分层"))
    if own is None and (db.scalar(select(func.count()).where(Segment.deleted_at.is_(None))) or 0) >= MAX_SEGMENTS:
        faults.append((("name",), f"最多 {MAX_SEGMENTS} 个分层；请先删除不用的"))
    try:
        check(db, tree)
    except WrongFilter as error:
        faults += error.faults
    if faults:
        raise WrongFilter(faults)
