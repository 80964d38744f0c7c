"""Customer groups compared with WeCom: which there are, who owns them, who is in them.

Every group is read each time (one call each): an event that got lost leaves no other trace.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import select

from people import alarms, groups
from people.groups import GroupDifference
from scheduler.comparing import AT_ONCE, Comparing
from scheduler.reconcile_report import GROUPS, Example
from storage.database import reading, transaction
from storage.tables import GroupChat, Member
from storage.work import Work
from wecom.errors import Refused
from wecom.groups import OWNERS_A_CALL, TOO_MANY_OWNERS, GroupFacts

MANY = 10
"""When more groups than this, and a fifth, are not listed any more, we do not believe it."""
NARROWED = "sync_groups_missing"


def compare_groups(sync: Comparing) -> None:
    """Compare every customer group. Place: the last chat_id."""
    listed = _listed(sync)
    with reading(sync.engine) as db:
        here = set(db.scalars(select(GroupChat.chat_id).where(GroupChat.dismissed_at.is_(None))))
    after = str(sync.place.get("after") or "")
    wanted = sorted(one for one in listed | _believed(sync, here - listed, len(here)) if one > after)
    for first in range(0, len(wanted), AT_ONCE):
        portion = wanted[first : first + AT_ONCE]
        read_at = sync.clock()
        for chat_id, facts in sync.each(sync.gateway.groups.one, portion):
            _compare(sync, chat_id, facts, read_at)
        sync.count(GROUPS, wecom=sum(one in listed for one in portion), here=sum(one in here for one in portion))
        sync.reached(after=portion[-1])
        sync.go_on()
        sync.show(GROUPS, sync.report.of(GROUPS).wecom, len(listed))


def _believed(sync: Comparing, missing: set[str], of: int) -> set[str]:
    """The groups that may be gone; none when they are so many that we rather see less than before."""
    if len(missing) <= MANY or len(missing) * 5 <= of:
        return missing
    sync.leave(GROUPS, Example("missing", "", str(len(missing)), "0"), count=len(missing))
    text = f"核对时，{len(missing)} 个客户群不在企业微信的列表里，先不当作已解散：请检查应用的可见范围"
    with transaction(sync.engine) as db:
        alarms.raise_alarm(sync.work(db), NARROWED, text)
    return set()


def _listed(sync: Comparing) -> set[str]:
    """Every group WeCom shows us: of all owners together, or where there are too many of them, owner by owner."""
    try:
        return set(_pages(sync, []))
    except Refused as error:
        if error.errcode != TOO_MANY_OWNERS:
            raise
    owners = _owners(sync)
    found: set[str] = set()
    for first in range(0, len(owners), OWNERS_A_CALL):
        found |= _of_owners(sync, owners[first : first + OWNERS_A_CALL])
    return found


def _owners(sync: Comparing) -> list[str]:
    """Whoever may own a group: the reps of today, those who left, and those whose groups we know."""
    with reading(sync.engine) as db:
        left = db.scalars(select(Member.userid).where(Member.left_at.is_not(None))).all()
        owning = db.scalars(select(GroupChat.owner).where(GroupChat.dismissed_at.is_(None)).distinct()).all()
    return sorted({*sync.patiently(sync.gateway.reps), *left, *(one for one in owning if one)})


def _of_owners(sync: Comparing, owners: Sequence[str]) -> set[str]:
    """Their groups; one whom WeCom does not let us ask for makes it refuse all, so then each is asked for alone."""
    try:
        return set(_pages(sync, owners))
    except Refused:
        if len(owners) == 1:
            return set()
        return {chat_id for owner in owners for chat_id in _of_owners(sync, [owner])}


def _pages(sync: Comparing, owners: Sequence[str]) -> Iterator[str]:
    cursor = ""
    while True:
        page, cursor = sync.patiently(partial(sync.gateway.groups.page, owners, cursor))
        yield from page
        sync.go_on()
        if not cursor:
            return


def _compare(sync: Comparing, chat_id: str, facts: GroupFacts | None, read_at: datetime) -> None:
    if facts is None:
        with reading(sync.engine) as db:
            chat = db.get(GroupChat, chat_id)
        if chat is not None and chat.dismissed_at is None:
            sync.differs(GROUPS, Example("dismissed", chat.name or chat_id), partial(_dismiss, chat_id), read_at)
        return
    with reading(sync.engine) as db:
        found = groups.differences(db, facts)
    if found:
        sync.differs(GROUPS, _example(found), partial(_keep, facts), read_at)


def _example(found: Sequence[GroupDifference]) -> Example:
    kinds = ", ".join(dict.fromkeys(one.kind for one in found))
    first = found[0]
    return Example(kinds, first.who, first.was, first.now)


def _keep(facts: GroupFacts, work: Work) -> bool:
    return groups.keep(work, facts) is not None


def _dismiss(chat_id: str, work: Work) -> bool:
    return groups.dismiss(work, chat_id, work.now)
