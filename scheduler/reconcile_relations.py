"""Every customer of every rep, page by page, compared with what we hold; then those of reps who left; then profiles.

WeCom's pages (externalcontact/batch/get_by_user) tell everything of a pair but the rep's personal tags. Those come with
the profile of each customer (externalcontact/get): all of them are read where there are no more than 5,000 relations,
a seventh of the people each night beyond, so that a week sees everybody.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from people import alarms
from scheduler import reconcile_pairs as pairs
from scheduler.ahead import read_ahead
from scheduler.comparing import AT_ONCE, Comparing
from scheduler.reconcile_pairs import LISTED, Listed, Since
from scheduler.reconcile_report import PROFILES, RELATIONS, Example
from storage.database import reading, transaction
from storage.tables import Member, Relation
from storage.work import Work
from wecom.errors import Refused
from wecom.gateway import Profile

REPS_A_CALL = 100
PAGES_AT_ONCE = 5
"""So many pages are fetched ahead, and compared in one go when they are there."""
RELATIONS_A_GROUP = 10_000
"""A run that stops in the middle of a group of reps reads that group again; one rep alone may have 50,000."""
MANY = 50
"""When more than so many, and a fifth, of some reps' relations are missing, WeCom rather shows us less than before."""
PORTIONS_AHEAD = 1
READ_ALL_BELOW = 5000
NIGHTS = 7
NARROWED = "sync_missing"
DEAD_CURSORS = 3


def since(sync: Comparing) -> Since:
    """From when on we should know of arrivals."""
    return Since(sync.listening_since, sync.last_run)


# --- everybody, by rep -----------------------------------------------------------------------------------------------


def compare_relations(sync: Comparing) -> None:
    """Compare the customers of all reps, in groups of reps. Place: the last rep we are through with."""
    after = str(sync.place.get("after") or "")
    everybody = sorted(sync.patiently(sync.gateway.reps))
    with reading(sync.engine) as db:
        held = _counts(db)
    total = sum(held.values())
    for group in _groups([one for one in everybody if one > after], held):
        _compare_group(sync, group, total)
        sync.reached(after=group[-1])
        sync.go_on()


def _counts(db: Session) -> dict[str, int]:
    """How many listed relations each rep has here, by the userid in small letters."""
    counted = select(func.lower(Relation.userid), func.count()).where(Relation.state.in_(LISTED))
    return dict(db.execute(counted.group_by(func.lower(Relation.userid))).all())


def _groups(reps: Sequence[str], held: dict[str, int]) -> Iterator[list[str]]:
    """The reps in groups that one call can ask for, none of which is big."""
    group: list[str] = []
    size = 0
    for rep in reps:
        own = held.get(rep.lower(), 0)
        if group and (len(group) == REPS_A_CALL or size + own > RELATIONS_A_GROUP):
            yield group
            group, size = [], 0
        group.append(rep)
        size += own
    if group:
        yield group


def _compare_group(sync: Comparing, reps: list[str], total: int) -> None:
    """Compare the customers of these reps; the cursor lives for some minutes only, then the group is read anew."""
    began_at = sync.clock()
    with reading(sync.engine) as db:
        here = len(_of_reps(db, reps))
    for turn in range(1, DEAD_CURSORS + 1):
        refused: set[str] = set()
        seen: set[tuple[str, str]] = set()
        try:
            for some in read_ahead(_pages(sync, reps, refused), PAGES_AT_ONCE):
                page = [one for profiles, _ in some for one in profiles]
                seen.update((one.external_userid, one.follows[0].userid.lower()) for one in page)
                compare_pairs(sync, RELATIONS, page, some[0][1])
                sync.go_on()
                sync.show(RELATIONS, sync.report.of(RELATIONS).wecom + len(seen), total)
            break
        except Refused:
            if turn == DEAD_CURSORS:
                raise
    _end_missing(sync, [one for one in reps if one not in refused], seen, began_at)
    sync.count(RELATIONS, wecom=len(seen), here=here)


def _pages(sync: Comparing, reps: list[str], refused: set[str]) -> Iterator[tuple[list[Profile], datetime]]:
    """The pages of these reps' customers, and when each was asked for.

    One rep without customers, or one who may not have any now, can make WeCom refuse the whole group: then each is
    asked for alone, and who is ``refused`` is noted. Raises ``Refused`` when a cursor has died.
    """
    read_at = sync.clock()
    try:
        page, cursor = _read(sync, reps, "")
    except Refused:
        if len(reps) == 1:
            refused.update(reps)
            return
        page, cursor = [], ""
    if len(reps) > 1 and not (page or cursor):
        for rep in reps:
            yield from _pages(sync, [rep], refused)
        return
    yield page, read_at
    while cursor:
        read_at = sync.clock()
        page, cursor = _read(sync, reps, cursor)
        yield page, read_at


def _read(sync: Comparing, reps: list[str], cursor: str) -> tuple[list[Profile], str]:
    return sync.patiently(partial(sync.gateway.relations, reps, cursor))


def compare_pairs(sync: Comparing, subject: str, page: Sequence[Profile], read_at: datetime) -> None:
    """Compare a page of pairs (profiles with one side each), and mend what differs."""
    if not page:
        return
    known = since(sync)
    with reading(sync.engine) as db:
        found = pairs.compare(db, page, read_at, known)
    for one in found:
        sync.differs(subject, one.example, partial(_mend, one.profile, known), read_at)


def _mend(profile: Profile, known: Since, work: Work) -> bool:
    return pairs.mend(work, profile, known)


# --- what WeCom lists no more ----------------------------------------------------------------------------------------


def _spelt(db: Session, reps: Sequence[str]) -> list[str]:
    """The reps' userids as we keep them, which is how relations name them."""
    small = [one.lower() for one in reps]
    kept = db.scalars(select(Member.userid).where(func.lower(Member.userid).in_(small))).all()
    return [*kept, *(set(reps) - set(kept))]


def _of_reps(db: Session, reps: Sequence[str]) -> list[Listed]:
    return pairs.listed(db, Relation.userid.in_(_spelt(db, reps)))


def _end_missing(sync: Comparing, reps: Sequence[str], seen: set[tuple[str, str]], began_at: datetime) -> None:
    """End the relations of these reps that WeCom does not list, after a second look at each."""
    with reading(sync.engine) as db:
        ours = _of_reps(db, reps)
    missing = [one for one in ours if one.pair not in seen and not one.is_new(began_at)]
    if _too_many(len(missing), len(ours)):
        _do_not_believe(sync, missing)
    else:
        end_relations(sync, missing)


def _too_many(missing: int, of: int) -> bool:
    return missing > MANY and missing * 5 > of


def _do_not_believe(sync: Comparing, missing: Sequence[Listed]) -> None:
    """Say so, and leave them: rather a customer too many than all of a rep's customers taken for lost."""
    sync.leave(RELATIONS, Example("missing", missing[0].userid, str(len(missing)), "0"), count=len(missing))
    text = (
        f"核对时，{missing[0].userid}等成员有 {len(missing)} 位客户不在企业微信的列表里，先不当作已删除："
        "请检查应用的可见范围和客户联系的使用范围"
    )
    with transaction(sync.engine) as db:
        alarms.raise_alarm(sync.work(db), NARROWED, text)


def end_relations(sync: Comparing, missing: Sequence[Listed], *, only_handed_over: bool = False) -> None:
    """End each of these unless the customer's profile still shows the rep. ``only_handed_over``: or without a heir."""
    for first in range(0, len(missing), AT_ONCE):
        portion = missing[first : first + AT_ONCE]
        read_at = sync.clock()
        profiles = dict(sync.each(sync.gateway.profile, list({one.external_userid for one in portion})))
        for one in (each for each in portion if each.external_userid in profiles):
            end_relation(sync, one, profiles[one.external_userid], read_at, only_handed_over=only_handed_over)
        sync.go_on()


def end_relation(
    sync: Comparing, one: Listed, profile: Profile | None, read_at: datetime, *, only_handed_over: bool = False
) -> None:
    """End this relation unless the profile shows that the rep still has the customer."""
    if profile is not None and profile.side_of(one.userid) is not None:
        return
    kind, _ = pairs.how_it_ended(one.added_at, profile)
    if only_handed_over and kind != pairs.HANDED_OVER:
        return
    example = Example(kind, f"{one.external_userid} · {one.userid}", one.state)
    sync.differs(RELATIONS, example, partial(_end, one.id, profile), read_at)


def _end(relation_id: int, profile: Profile | None, work: Work) -> bool:
    return pairs.end(work, relation_id, profile)


# --- customers whose rep has left ------------------------------------------------------------------------------------


def compare_leavers(sync: Comparing) -> None:
    """Compare the customers of members who left with WeCom's list of the unassigned.

    Of a leaver whom the list does not name we cannot tell whether they left or are only out of our sight: then only a
    customer whom a colleague was given since is taken for handed over.
    """
    began_at = sync.clock()
    listed = _unassigned(sync)
    with reading(sync.engine) as db:
        left = list(db.scalars(select(Member.userid).where(Member.left_at.is_not(None))))
        ours = pairs.listed(db, Relation.userid.in_(left))
    named = {userid for _, userid in listed}
    _compare_some(sync, [external for external, _ in listed - {one.pair for one in ours}], named)
    missing = [one for one in ours if one.pair not in listed and not one.is_new(began_at)]
    gone = [one for one in missing if one.userid.lower() in named]
    if _too_many(len(gone), len(ours)):
        _do_not_believe(sync, gone)
        gone = []
    end_relations(sync, gone)
    end_relations(sync, [one for one in missing if one.userid.lower() not in named], only_handed_over=True)
    sync.count(RELATIONS, wecom=len(listed), here=len(ours))


def _unassigned(sync: Comparing) -> set[tuple[str, str]]:
    """(customer, rep in small letters) of everybody whose rep left and whom nobody has been given to."""
    found: set[tuple[str, str]] = set()
    cursor = ""
    while True:
        page, cursor = sync.patiently(partial(sync.gateway.unassigned, cursor))
        found.update((external, userid.lower()) for userid, external in page)
        sync.go_on()
        if not cursor:
            return found


def _compare_some(sync: Comparing, externals: Iterable[str], reps: set[str]) -> None:
    """Compare what the profiles of these customers tell of these reps (in small letters)."""
    wanted = sorted(set(externals))
    for first in range(0, len(wanted), AT_ONCE):
        read_at = sync.clock()
        profiles = sync.each(sync.gateway.profile, wanted[first : first + AT_ONCE])
        sides = [one for _, profile in profiles if profile for one in pairs.pairs_of(profile)]
        compare_pairs(sync, RELATIONS, [one for one in sides if one.follows[0].userid.lower() in reps], read_at)
        sync.go_on()


# --- profiles, with personal tags ------------------------------------------------------------------------------------


def compare_profiles(sync: Comparing) -> None:
    """Read the customers one by one and compare all that WeCom tells of them. Place: the last external_userid."""
    with reading(sync.engine) as db:
        total = db.scalar(select(func.count()).where(Relation.state.in_(LISTED))) or 0
    reps = {one.lower() for one in sync.patiently(sync.gateway.reps)}
    nights = 1 if total <= READ_ALL_BELOW else NIGHTS
    if nights > 1:
        sync.note(PROFILES, f"客户超过 {READ_ALL_BELOW}，个人标签每晚核对七分之一")
    after = str(sync.place.get("after") or "")
    for some in read_ahead(_portions(sync, after, nights), PORTIONS_AHEAD):
        for portion in some:
            _compare_portion(sync, portion, reps)
            sync.count(PROFILES, wecom=len(portion.externals), here=len(portion.externals))
            sync.reached(after=portion.externals[-1])
            sync.show(PROFILES, sync.report.of(PROFILES).wecom, None)


@dataclass(frozen=True)
class _Portion:
    """Some customers, and what WeCom told of each when asked at ``read_at``; who is missing was refused."""

    externals: list[str]
    read_at: datetime
    profiles: dict[str, Profile | None]


def _portions(sync: Comparing, after: str, nights: int) -> Iterator[_Portion]:
    while externals := _portion(sync, after, nights):
        sync.go_on()
        read_at = sync.clock()
        yield _Portion(externals, read_at, dict(sync.each(sync.gateway.profile, externals)))
        after = externals[-1]


def _portion(sync: Comparing, after: str, nights: int) -> list[str]:
    """The next customers to be read tonight."""
    own = select(Relation.external_userid).where(Relation.state.in_(LISTED), Relation.external_userid > after)
    if nights > 1:
        own = own.where(Relation.person_id % nights == sync.clock().toordinal() % nights)
    own = own.distinct().order_by(Relation.external_userid).limit(AT_ONCE)
    with reading(sync.engine) as db:
        return list(db.scalars(own))


def _compare_portion(sync: Comparing, portion: _Portion, reps: set[str]) -> None:
    profiles, read_at = portion.profiles, portion.read_at
    sides = [one for profile in profiles.values() if profile for one in pairs.pairs_of(profile)]
    with reading(sync.engine) as db:
        ours = pairs.listed(db, Relation.external_userid.in_(portion.externals))
    compare_pairs(sync, PROFILES, sides, read_at)
    seen = {(one.external_userid, one.follows[0].userid.lower()) for one in sides}
    missing = [
        one
        for one in ours
        if one.pair not in seen and one.pair[1] in reps and one.external_userid in profiles and not one.is_new(read_at)
    ]
    if _too_many(len(missing), len(ours)):
        _do_not_believe(sync, missing)
        return
    for one in missing:
        end_relation(sync, one, profiles[one.external_userid], read_at)
