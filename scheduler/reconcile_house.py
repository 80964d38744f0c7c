"""The corp itself compared with WeCom: members and departments, corp tags, channel codes."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import select

from people import alarms, members, renaming
from scheduler.comparing import AT_ONCE, Comparing
from scheduler.reconcile_pairs import SAME_START
from scheduler.reconcile_report import CHANNELS, DEPARTMENTS, MEMBERS, TAGS, Example
from storage import outbox
from storage.database import reading, transaction
from storage.tables import Channel, Department, Member, Relation, Tag
from storage.work import Work
from tagging import channels, mirror
from wecom.errors import Refused
from wecom.gateway import ContactWay, CorpTag, DepartmentFacts, MemberFacts

MANY_TAGS = 20
"""When more tags than this, and half of all, are gone at once, we do not believe it."""
TAGS_MISSING = "sync_tags_missing"
READ_ALL_BELOW = 5000
NIGHTS = 7
NO_SUCH_WAY = 41044


# --- members and departments -----------------------------------------------------------------------------------------


def compare_organisation(sync: Comparing) -> None:
    """Compare members and departments; who is not in the organisation any more has left."""
    departments = sync.patiently(sync.gateway.departments)
    facts = sync.patiently(sync.gateway.members)
    serving = sync.patiently(sync.gateway.reps)
    with reading(sync.engine) as db:
        ours = {one.userid.lower(): one for one in db.scalars(select(Member))}
        kept = {one.id: one for one in db.scalars(select(Department))}
    here = sum(one.left_at is None for one in ours.values())
    told = {one.userid.lower() for one in facts} | {one.lower() for one in serving}
    renamed = _renamed(sync, ours, told, serving)
    changed = [Example("renamed", new, old, new) for old, new in renamed.items()]
    for old, new in renamed.items():
        ours[new.lower()] = ours.pop(old.lower())
    changed += _members_differ(ours, facts, serving)
    moved = list(_departments_differ(kept, departments))
    left = _keep_organisation(sync, renamed, departments, facts, serving) if not sync.dry else None
    for example in changed:
        believed = left is not None and (example.kind != "left" or example.who in left)
        sync.report = sync.report.differed(MEMBERS, example, fixed=believed)
    for example in moved:
        sync.report = sync.report.differed(DEPARTMENTS, example, fixed=left is not None)
    sync.count(MEMBERS, wecom=len(told), here=here)
    sync.count(DEPARTMENTS, wecom=len(departments), here=len(kept))


def _renamed(sync: Comparing, ours: dict[str, Member], told: set[str], serving: Sequence[str]) -> dict[str, str]:
    """Members who go by another userid now (WeCom allows that once), by the old one.

    Whoever is new and has the customers of somebody who is gone, since the same moments, is the same person. Taken for
    a leaver and a newcomer, each of their customers would have arrived anew.
    """
    gone = {one.userid for small, one in ours.items() if one.left_at is None and small not in told}
    found: dict[str, str] = {}
    for new in (one for one in serving if one.lower() not in ours):
        if gone and (old := _same_customers(sync, new, gone)) is not None:
            found[old] = new
            gone.discard(old)
    return found


def _same_customers(sync: Comparing, new: str, gone: set[str]) -> str | None:
    """Who of those gone had at least half of the first customers that WeCom shows for the new one."""
    page, _ = sync.patiently(partial(sync.gateway.relations, [new]))
    since = {one.external_userid: one.follows[0].since for one in page}
    columns = (Relation.userid, Relation.external_userid, Relation.added_at)
    with reading(sync.engine) as db:
        own = select(*columns).where(Relation.external_userid.in_(since), Relation.userid.in_(gone))
        rows = db.execute(own).all()
    had = Counter(userid for userid, external, at in rows if _same_moment(at, since[external]))
    best = next(iter(had.most_common(1)), None)
    return best[0] if best is not None and best[1] * 2 >= len(since) else None


def _same_moment(ours: datetime | None, theirs: datetime | None) -> bool:
    return ours is not None and theirs is not None and abs(ours - theirs) <= SAME_START


def _keep_organisation(
    sync: Comparing,
    renamed: Mapping[str, str],
    departments: Sequence[DepartmentFacts],
    facts: Sequence[MemberFacts],
    serving: Sequence[str],
) -> list[str]:
    """The userids of those who left just now."""
    with transaction(sync.engine) as db:
        work = sync.work(db)
        for old, new in renamed.items():
            renaming.rename(work, old, new)
        members.keep_departments(work, departments)
        gone = members.keep_all(work, facts, serving)
        for userid in gone:
            channels.lead_codes_of(work, userid)
    if work.lanes:
        sync.ring()
    return gone


def _members_differ(ours: dict[str, Member], facts: Sequence[MemberFacts], serving: Sequence[str]) -> Iterator[Example]:
    serves = {one.lower() for one in serving}
    told = {one.userid.lower(): one for one in facts}
    everybody = {one.lower(): one for one in [*serving, *(one.userid for one in facts)]}
    for small, userid in everybody.items():
        member, one = ours.get(small), told.get(small)
        if member is None:
            yield Example("new", userid)
            continue
        if one is not None and (respects := _differing(member, one)):
            yield Example(", ".join(respects), userid)
        elif member.serves != (small in serves):
            yield Example("serves", userid, str(member.serves), str(small in serves))
    gone = (one for small, one in ours.items() if one.left_at is None and small not in everybody)
    yield from (Example("left", one.userid) for one in gone)


def _differing(member: Member, one: MemberFacts) -> list[str]:
    beside = (
        ("name", member.name, one.name or member.name),
        ("departments", list(member.departments), list(one.departments)),
        ("leads", list(member.leads), list(one.leads)),
        ("superiors", list(member.superiors), list(one.superiors)),
        ("position", member.position, one.position),
        ("status", member.status, one.status),
        ("back", member.left_at is not None, one.status == members.QUIT),
    )
    return [name for name, ours, theirs in beside if ours != theirs]


def _departments_differ(ours: dict[int, Department], facts: Sequence[DepartmentFacts]) -> Iterator[Example]:
    for one in facts:
        kept = ours.get(one.id)
        theirs = (one.name, one.parent_id, one.order, list(one.leaders))
        if kept is None:
            yield Example("new", one.name)
        elif (kept.name, kept.parent_id, kept.order, list(kept.leaders)) != theirs:
            yield Example("changed", one.name, kept.name, one.name)
    told = {one.id for one in facts}
    if facts:
        yield from (Example("gone", one.name) for one in ours.values() if one.id not in told)


# --- corp tags -------------------------------------------------------------------------------------------------------


def compare_tags(sync: Comparing) -> None:
    """Compare the corp tags; those that WeCom has no more go off everybody."""
    corp_tags = sync.patiently(sync.gateway.corp_tags)
    with reading(sync.engine) as db:
        found = mirror.differences(db, corp_tags)
        here = len(db.scalars(select(Tag.id).where(Tag.wecom_id.is_not(None))).all())
    gone = sum(one.kind == "gone" for one in found)
    believed = not (gone > MANY_TAGS and gone * 2 > here)
    if found and believed and not sync.dry:
        _mirror(sync, corp_tags)
    if not believed:
        _do_not_believe(sync, gone)
    for one in found:
        example = Example(one.kind, one.name, one.was, one.now)
        sync.report = sync.report.differed(TAGS, example, fixed=believed and not sync.dry)
    sync.count(TAGS, wecom=len(corp_tags), here=here)


def _mirror(sync: Comparing, corp_tags: Sequence[CorpTag]) -> None:
    with transaction(sync.engine) as db:
        work = sync.work(db)
        mirror.mirror(work, corp_tags)
    if work.lanes:
        sync.ring()


def _do_not_believe(sync: Comparing, gone: int) -> None:
    text = f"核对时，企业微信里一下少了 {gone} 个企业标签，先不当作已删除：请在管理后台确认后再次核对"
    with transaction(sync.engine) as db:
        alarms.raise_alarm(sync.work(db), TAGS_MISSING, text)


# --- channel codes ---------------------------------------------------------------------------------------------------


def compare_ways(sync: Comparing) -> None:
    """Compare the contact ways. Of more than 5,000 a seventh is read each night."""
    began_at = sync.clock()
    listed = set(_way_ids(sync))
    with reading(sync.engine) as db:
        ours = {str(one.config_id): one for one in db.scalars(select(Channel).where(Channel.config_id.is_not(None)))}
    living = {config_id for config_id, one in ours.items() if one.state != "deleted"}
    for config_id in sorted(living - listed):
        _look_for(sync, ours[config_id], config_id, began_at)
    wanted = [one for one in sorted(listed) if one not in ours or (one in living and _tonight(sync, ours[one], listed))]
    for first in range(0, len(wanted), AT_ONCE):
        read_at = sync.clock()
        for _, way in sync.each(sync.gateway.contact_way, wanted[first : first + AT_ONCE]):
            _compare_way(sync, ours.get(way.config_id), way, read_at)
        sync.go_on()
        sync.show(CHANNELS, min(first + AT_ONCE, len(wanted)), len(wanted))
    sync.count(CHANNELS, wecom=len(listed), here=len(living))


def _way_ids(sync: Comparing) -> Iterator[str]:
    cursor = ""
    while True:
        page, cursor = sync.patiently(partial(sync.gateway.contact_way_ids, cursor))
        yield from page
        sync.go_on()
        if not cursor:
            return


def _tonight(sync: Comparing, channel: Channel, listed: set[str]) -> bool:
    return len(listed) <= READ_ALL_BELOW or channel.id % NIGHTS == sync.clock().toordinal() % NIGHTS


def _look_for(sync: Comparing, channel: Channel, config_id: str, began_at: datetime) -> None:
    """A code of ours that WeCom does not list: ask for it, as old ones are never listed. If it is gone, it says so."""
    if channel.changed_at >= began_at:
        return
    try:
        sync.patiently(partial(sync.gateway.contact_way, config_id))
    except Refused as error:
        if error.errcode != NO_SUCH_WAY:
            raise
        sync.leave(CHANNELS, Example("gone", channel.name))
        if not sync.dry:
            with transaction(sync.engine) as db:
                channels.gone_at_wecom(sync.work(db), db.get_one(Channel, channel.id))


def _compare_way(sync: Comparing, ours: Channel | None, way: ContactWay, read_at: datetime) -> None:
    if ours is None:
        sync.differs(CHANNELS, Example("new", way.remark or way.state), partial(_take_over, way), read_at)
    elif _alike(ours.at_wecom) != _alike(way.users) or channels.is_gone(ours):
        was, now = ", ".join(ours.at_wecom), ", ".join(way.users)
        sync.differs(CHANNELS, Example("users", ours.name, was, now), partial(_lead_anew, ours.id, way), read_at)


def _alike(userids: Sequence[str]) -> list[str]:
    return sorted(one.lower() for one in userids)


def _take_over(way: ContactWay, work: Work) -> bool:
    """False for a second way with the State of another: both bring the same, and we know the first."""
    channel = channels.take_over(work, way)
    return channel is not None and channel.config_id == way.config_id


def _lead_anew(channel_id: int, way: ContactWay, work: Work) -> bool:
    """WeCom leads a code to others than we asked for, unless we have asked meanwhile."""
    channel = work.db.get_one(Channel, channel_id, with_for_update=True, populate_existing=True)
    asked_since = outbox.rest_of(work.db, [f"channel:{channel.id}"], [])
    if asked_since or channel.state == "deleted":
        return False
    if _alike(channel.at_wecom) == _alike(way.users) and not channels.is_gone(channel):
        return False
    channels.seen_at_wecom(work, channel, way.users)
    return True
