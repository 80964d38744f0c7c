"""Standing occasions for a rep's card: a friend nobody has spoken to, a birthday, points about to die, somebody quiet.

Each run of the job looks anew and makes what is missing; the key of a card says which occasion it is of, so nothing
comes twice. Whoever the customer hears from gets it (``outreach.senders``); a newcomer's, the rep they came to.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, select

from insight.fields import DORMANT, TALK
from loyalty import accounts
from loyalty.ledger.book import HAS_POINTS
from loyalty.ledger.standing import INSTANT
from outreach import cards, hours, senders
from outreach.budget import Rules
from outreach.cards import Draft
from people import consent, persons
from storage.tables import (
    Interaction,
    Interval,
    LifecycleChange,
    Person,
    PointsAccount,
    PointsLotNow,
    Relation,
    RepCard,
    is_head,
)
from storage.work import Work

NEW, BIRTHDAY, QUIET, POINTS = "new", "birthday", "quiet", "points"
NEW_FOR = timedelta(days=3)
"""So long after an arrival a first word is still a first word."""
QUIET_FOR = timedelta(days=7)
POINTS_AHEAD = timedelta(days=14)
"""So long before points die a rep is asked to tell of it, where nothing else has told of it before."""
POINTS_AGAIN = timedelta(days=14)
AT_ONCE = 500
"""So many of an occasion in one run; the next run goes on with the rest."""
LATELY = 50_000
"""So many of the latest changes of the life cycle are looked at: their ids grow, their times have no index."""
SPOKEN = (*TALK, "kf_out", cards.SENT_LINE)
"""Lines that show that they have spoken, as far as we can see."""


def make_all(work: Work, rules: Rules) -> Counter[str]:
    """Make the cards of every occasion that is there now; how many, and how many not and why."""
    return make(work, wanted(work), rules)


def wanted(work: Work) -> list[Draft]:
    """The cards there is reason for now, by person; changes nothing."""
    return sorted((*_new(work), *_birthdays(work), *_points(work), *_quiet(work)), key=lambda one: one.person_id)


def make(work: Work, drafts: Sequence[Draft], rules: Rules) -> Counter[str]:
    """Make some of them; each holds its person, so only some dozens at a time."""
    outcome: Counter[str] = Counter()
    for draft in drafts:
        made = cards.make(work, draft, rules)
        outcome["made" if made.card is not None else made.reason] += 1
    return outcome


def _today(work: Work) -> date:
    return work.now.astimezone(work.zone).date()


def _start(work: Work, day: date) -> datetime:
    return hours.instant(day, time(), work.zone)


def _without_card(kind: str, since: datetime) -> ColumnElement[bool]:
    """The condition on ``Person`` that holds where no card of this kind has been made since then."""
    return ~exists().where(RepCard.person_id == Person.id, RepCard.kind == kind, RepCard.made_at >= since)


def _new(work: Work) -> list[Draft]:
    """Who came before today and has not been spoken to, as far as we can see."""
    first, today = work.now - NEW_FOR, _start(work, _today(work))
    spoken = exists().where(
        Interaction.person_id == Interval.person_id,
        Interaction.kind.in_(SPOKEN),
        Interaction.at >= Interval.began_at,
    )
    asked = (
        select(Interval, Person.name)
        .join(Person, Person.id == Interval.person_id)
        .join(Relation, Relation.id == Interval.relation_id)
        .where(
            Interval.began_at >= first,
            Interval.began_at < today,
            Interval.origin == "arrival",
            Interval.ended_at.is_(None),
            Relation.state == "active",
            consent.wanting(),
            ~spoken,
            _without_card(NEW, first),
        )
        .order_by(Interval.began_at)
        .limit(AT_ONCE)
    )
    return [
        Draft(
            userid=one.userid,
            person_id=one.person_id,
            kind=NEW,
            source="standing:new",
            once=f"new:{one.relation_id}:{one.number}",
            because=f"{_day(one.began_at, work)}加的你，还没聊过",
            text=f"{name}，你好，前几天加上你还没来得及打招呼。有什么想了解的，直接发给我就行。" if name else "",
            due_at=work.now,
            until=one.began_at + 2 * NEW_FOR,
        )
        for one, name in work.db.execute(asked)
        if one.began_at is not None
    ]


def _day(at: datetime, work: Work) -> str:
    local = at.astimezone(work.zone)
    return f"{local.month}月{local.day}日"


def _birthdays(work: Work) -> list[Draft]:
    """Whose birthday it is; of those born on 29 February on the 28th where there is none."""
    today = _today(work)
    days = hours.birthdays_on(today)
    since = _start(work, today)
    asked = (
        select(Person)
        .where(is_head(), Person.birthday.in_(days), consent.wanting(), _without_card(BIRTHDAY, since))
        .order_by(Person.id)
        .limit(AT_ONCE)
    )
    people = work.db.scalars(asked).all()
    reps = senders.reps_of(work.db, [one.id for one in people])
    return [
        Draft(
            userid=reps[one.id],
            person_id=one.id,
            kind=BIRTHDAY,
            source="standing:birthday",
            once=f"birthday:{one.id}:{today.year}",
            because="今天生日",
            text=f"{one.name}，生日快乐。" if one.name else "生日快乐。",
            due_at=work.now,
            until=_start(work, today + timedelta(days=1)),
        )
        for one in people
        if one.id in reps
    ]


def _points(work: Work) -> list[Draft]:
    """Whose points die soon, or should have died, and who has not been told (docs/decisions/0012)."""
    head = func.coalesce(Person.merged_into, Person.id)
    lot, edge = PointsLotNow, work.now + POINTS_AHEAD
    untold = and_(HAS_POINTS, lot.notice_days > 0, lot.not_before.is_(None), lot.expires_at <= edge)
    heads = select(head).join(PointsAccount, PointsAccount.person_id == Person.id)
    heads = heads.join(lot, lot.account_id == PointsAccount.id).where(untold)
    reachable = (is_head(), consent.wanting(), _without_card(POINTS, work.now - POINTS_AGAIN))
    asked = select(Person).where(Person.id.in_(heads), *reachable).order_by(Person.id).limit(AT_ONCE)
    people = work.db.scalars(asked).all()
    reps = senders.reps_of(work.db, [one.id for one in people])
    return [_points_card(work, one, reps[one.id], edge) for one in people if one.id in reps]


def _points_card(work: Work, person: Person, userid: str, edge: datetime) -> Draft:
    found = accounts.standing_of(work.db, persons.anchors(work.db, person.id), work.now)
    dying = [one for one in found.lots if one.points and one.expires_at is not None and one.expires_at <= edge]
    last = max(*(one.expires_at for one in dying if one.expires_at), work.now) - INSTANT
    first = min(one.expires_at for one in dying if one.expires_at)
    points, day = sum(one.points for one in dying), _day(first - INSTANT, work)
    because = f"{points} 积分{day}起过期" if first > work.now else f"{points} 积分早该过期了，还没告诉客户"
    greeting = f"{person.name}，" if person.name else ""
    when = f"，最早的到{day}为止" if first > work.now else ""
    return Draft(
        userid=userid,
        person_id=person.id,
        kind=POINTS,
        source="standing:points",
        once=f"points:{person.id}:{last.astimezone(work.zone).date().isoformat()}",
        because=because,
        text=f"{greeting}您有 {points} 积分快到期了{when}。想换点什么，我帮您看看。",
        due_at=work.now,
        until=work.now + POINTS_AGAIN,
    )


def _quiet(work: Work) -> list[Draft]:
    """Who was in touch and has gone quiet, as the life cycle says."""
    since = work.now - QUIET_FOR
    newest = select(LifecycleChange.id).where(LifecycleChange.person_id == Person.id)
    last = newest.order_by(LifecycleChange.id.desc()).limit(1).correlate(Person).scalar_subquery()
    asked = (
        select(LifecycleChange, Person.name)
        .join(Person, Person.id == LifecycleChange.person_id)
        .where(
            LifecycleChange.id > select(func.max(LifecycleChange.id) - LATELY).scalar_subquery(),
            LifecycleChange.before.is_not(None),
            LifecycleChange.after == DORMANT,
            LifecycleChange.at >= since,
            LifecycleChange.id == last,
            Person.life_cycle == DORMANT,
            consent.wanting(),
            _without_card(QUIET, since),
        )
        .order_by(LifecycleChange.id)
        .limit(AT_ONCE)
    )
    found = work.db.execute(asked).all()
    reps = senders.reps_of(work.db, [one.person_id for one, _ in found])
    return [
        Draft(
            userid=reps[one.person_id],
            person_id=one.person_id,
            kind=QUIET,
            source="standing:quiet",
            once=f"quiet:{one.id}",
            because=f"{_day(one.at, work)}起沉睡：{one.because}",
            text=f"{name}，好久不见，最近好吗？" if name else "",
            due_at=work.now,
            until=one.at + 2 * QUIET_FOR,
        )
        for one, name in found
        if one.person_id in reps
    ]
