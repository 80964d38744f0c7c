"""From which rep a person hears: one rule, said three times over and the same each time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from outreach import audience, occasions, senders
from outreach.audience import Plan
from soak import many
from storage.tables import Member, Person, Relation
from tests.outreach.test_audience import DAILY
from tests.shop import Shop

REPS = ("lisi", "wangwu", "zhangsan")
RELATIONS = st.tuples(
    st.sampled_from(REPS),
    st.sampled_from(["active", "active", "ended_by_customer", "ended_by_rep"]),
    st.none() | st.integers(0, 3),
)
"""Of which rep, in which state, added how many days ago (None: nobody knows)."""
PEOPLE = st.lists(
    st.tuples(st.none() | st.sampled_from(REPS), st.lists(RELATIONS, max_size=4)), min_size=1, max_size=20
)
STAFF = st.fixed_dictionaries({one: st.sampled_from(["serves", "serves", "does not", "left"]) for one in REPS})

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def plainly(person: Person, relations: list[Relation], serving: set[str]) -> int | None:
    """The rule in words: whom the owner has, else who was added last; of those who serve."""
    alive = [one for one in relations if one.state == "active" and one.userid in serving]
    known = sorted(alive, key=lambda one: (one.added_at or LONG_AGO, one.id))
    owners = [one for one in known if one.userid == person.owner]
    return next((one.id for one in reversed(owners or known)), None)


@settings(max_examples=many(15, 500), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=PEOPLE, staff=STAFF)
def test_broadcasts_journeys_and_occasions_choose_the_same_rep(shop: Shop, drawn: Any, staff: dict[str, str]) -> None:
    with shop.work() as work:
        for userid, state in staff.items():
            member = work.db.scalars(select(Member).where(Member.userid == userid)).one()
            member.serves, member.left_at = state == "serves", work.now if state == "left" else None
        serving = {one for one, state in staff.items() if state == "serves"}
        first = work.db.scalars(select(func.coalesce(func.max(Person.id), 0))).one()
        people = []
        for owner, relations in drawn:
            person = Person(owner=owner, name="", first_seen_at=work.now, last_seen_at=work.now)
            work.db.add(person)
            work.db.flush()
            own = []
            for number, (userid, state, days) in enumerate(relations):
                added_at = None if days is None else work.now - timedelta(days=days)
                external = f"wm{person.id}-{number}"
                told = {"external_userid": external, "state": state, "added_at": added_at}
                own.append(Relation(person_id=person.id, userid=userid, **told))
            work.db.add_all(own)
            work.db.flush()
            people.append((person, own))
        right = {person.id: plainly(person, own, serving) for person, own in people}

        one_by_one = {person.id: senders.sender_of(work.db, person) for person, _ in people}
        assert {number: one.id if one else None for number, one in one_by_one.items()} == right
        reps = {one.id: one.userid for _, own in people for one in own}
        chosen = {number: reps[one] for number, one in right.items() if one is not None}
        assert senders.reps_of(work.db, list(right)) == chosen
        meant = Plan("broadcast:1", Person.id > first, work.now, DAILY)
        asked = audience.people(work.db, meant, "", limit=100)[0]
        assert {person.id: userid for person, userid in asked} == chosen


def test_a_birthday_card_goes_to_the_rep_whom_a_broadcast_would_ask(shop: Shop) -> None:
    with shop.work() as work:
        local = work.now.astimezone(work.zone)
        day = local.month * 100 + local.day
        person = Person(owner="gone", name="小雨", birthday=day, first_seen_at=work.now, last_seen_at=work.now)
        work.db.add(person)
        work.db.flush()
        for days, userid in ((9, "lisi"), (2, "wangwu")):
            told = {"external_userid": "wm-b", "state": "active", "added_at": work.now - timedelta(days=days)}
            work.db.add(Relation(person_id=person.id, userid=userid, **told))
        work.db.flush()
        (draft,) = [one for one in occasions.wanted(work) if one.person_id == person.id]
        sender = senders.sender_of(work.db, person)
        assert sender is not None
        assert draft.userid == sender.userid == "wangwu"
