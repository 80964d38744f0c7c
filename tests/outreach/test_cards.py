"""Reps' cards: when one is made, what it holds of the budget, and what every way of closing it does with that."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from outreach import cards, occasions
from outreach.budget import Rules
from outreach.cards import Draft
from outreach.hours import Quiet
from people import consent, persons
from people.relations import FULL, Fact
from storage.tables import Interaction, LifecycleChange, Member, Person, Relation, RepCard, Touch
from storage.work import Work
from tests.shop import Shop

RULES = Rules("day_1", timedelta(hours=72), Quiet(time(22), time(8)))


def customer(shop: Shop, external: str = "wm1", userid: str = "lisi", **more: Any) -> int:
    with shop.work() as work:
        person = persons.person_of(work, external)
        for name, value in more.items():
            setattr(person, name, value)
        relation = persons.relation_of(work.db, person, userid, external)
        persons.record(work, person, relation, Fact(FULL, work.now, None, had_code=False, add_way=None))
        return person.id


def draft(shop: Shop, person_id: int, once: str = "one", **more: Any) -> Draft:
    given = {
        "userid": "lisi",
        "kind": "journey",
        "source": "journey:1",
        "because": "因为",
        "due_at": shop.now(),
        **more,
    }
    return Draft(person_id=person_id, once=once, **given)


def make(shop: Shop, one: Draft) -> tuple[int | None, str]:
    with shop.work() as work:
        made = cards.make(work, one, RULES)
        return (made.card.id if made.card is not None else None), made.reason


def close(shop: Shop, card_id: int | None, do: Callable[[Work, RepCard], object]) -> None:
    with shop.work() as work:
        card = cards.own(work.db, "lisi", card_id or 0)
        assert card is not None
        do(work, card)


def touches(shop: Shop) -> list[str]:
    return [one.state for one in shop.rows(Touch)]


def state(shop: Shop) -> str:
    return str(shop.rows(RepCard)[-1].state)


def test_a_card_is_made_once_and_holds_the_budget_of_its_day(shop: Shop) -> None:
    person = customer(shop)
    first = make(shop, draft(shop, person))
    assert make(shop, draft(shop, person)) == first
    (touch,) = shop.rows(Touch)
    assert (touch.way, touch.state, touch.userid, touch.external_userid) == ("card", "held", "lisi", "wm1")
    assert make(shop, draft(shop, person, "two")) == (None, "quota")
    assert make(shop, draft(shop, person, "two", due_at=shop.now() + timedelta(days=2))) == (None, "gap")
    assert make(shop, draft(shop, person, "two", asks_to_write=False))[1] == ""
    assert len(shop.rows(Touch)) == 1


@pytest.mark.parametrize(
    ("do", "ends", "touch"),
    [
        (lambda work, card: cards.sent(work, card, "你好", by="lisi"), "sent", "sent"),
        (lambda work, card: cards.done(work, card, by="lisi"), "done", "sent"),
        (lambda work, card: cards.irrelevant(work, card, "买过了", by="lisi"), "irrelevant", "cancelled"),
        (lambda work, _: cards.cancel(work, RepCard.source == "journey:1", why="goal"), "cancelled", "cancelled"),
    ],
)
def test_every_way_of_closing_uses_the_touch_or_gives_it_back_once(shop: Shop, do: Any, ends: str, touch: str) -> None:
    card, _ = make(shop, draft(shop, customer(shop)))
    close(shop, card, do)
    assert (state(shop), touches(shop)) == (ends, [touch])
    close(shop, card, lambda work, card: cards.done(work, card, by="lisi"))
    assert (state(shop), touches(shop)) == (ends, [touch])
    told = [one.details["text"] for one in shop.rows(Interaction, Interaction.kind == cards.SENT_LINE)]
    assert told == (["你好"] if ends == "sent" else [])


def test_what_was_sent_is_a_fact_even_where_the_card_was_cancelled_meanwhile(shop: Shop) -> None:
    card, _ = make(shop, draft(shop, customer(shop)))
    with shop.work() as work:
        cards.cancel(work, RepCard.source == "journey:1", why="goal")
    for _again in range(2):
        close(shop, card, lambda work, one: cards.sent(work, one, "你好", by="lisi"))
    assert (state(shop), touches(shop)) == ("sent", ["sent"])
    assert len(shop.rows(Interaction, Interaction.kind == cards.SENT_LINE)) == 1


def test_what_is_snoozed_moves_its_touch_and_must_find_room_there(shop: Shop) -> None:
    person = customer(shop)
    card, _ = make(shop, draft(shop, person, until=shop.now() + timedelta(days=9)))
    later = shop.now() + timedelta(days=1)
    close(shop, card, lambda work, one: cards.snooze(work, one, later, by="lisi"))
    (touch,) = shop.rows(Touch)
    assert (state(shop), touch.at, touch.state) == ("snoozed", later, "held")
    far = shop.now() + timedelta(days=6)
    assert make(shop, draft(shop, person, "two", due_at=far))[1] == ""
    for wrong, words in ((far, "别的消息"), (shop.now(), "已经过去"), (shop.now() + timedelta(days=10), "已经过期")):
        with pytest.raises(ValueError, match=words):
            close(shop, card, lambda work, one, to=wrong: cards.snooze(work, one, to, by="lisi"))


def test_what_she_calls_irrelevant_is_not_asked_again_for_a_while(shop: Shop) -> None:
    person = customer(shop)
    card, _ = make(shop, draft(shop, person))
    close(shop, card, lambda work, one: cards.irrelevant(work, one, "已经买过", by="lisi"))
    assert shop.rows(RepCard)[0].reason == "已经买过"
    shop.advance(days=5)
    assert make(shop, draft(shop, person, "two")) == (None, "irrelevant")
    assert make(shop, draft(shop, person, "other", source="journey:2"))[1] == ""
    shop.advance(days=30)
    assert make(shop, draft(shop, person, "three"))[1] == ""


def test_nobody_is_written_to_who_wants_nothing_or_has_gone(shop: Shop) -> None:
    out, gone = customer(shop), customer(shop, "wm2")
    for person in (out, gone):
        make(shop, draft(shop, person, f"card {person}"))
    with shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, out), "lisi")
    with shop.db() as db:
        db.query(Relation).filter_by(person_id=gone).one().state = "ended_by_customer"
        assert [cards.own(db, "lisi", one.id) for one in db.query(RepCard)] == [None, None]
    with shop.work() as work:
        assert cards.obey(work) == 2
        assert cards.obey(work) == 0
    assert [(one.state, one.reason) for one in shop.rows(RepCard)] == [
        ("cancelled", "opted_out"),
        ("cancelled", "no_relation"),
    ]
    assert touches(shop) == ["cancelled", "cancelled"]
    assert make(shop, draft(shop, out, "again")) == (None, "opted_out")
    assert make(shop, draft(shop, gone, "again 2")) == (None, "no_relation")
    assert make(shop, draft(shop, 999, "nobody")) == (None, "no_relation")


def test_what_nobody_did_in_time_expires(shop: Shop) -> None:
    make(shop, draft(shop, customer(shop), until=shop.now() + timedelta(hours=1)))
    shop.advance(hours=2)
    with shop.work() as work:
        assert cards.obey(work) == 1
    assert (state(shop), touches(shop)) == ("expired", ["expired"])


# --- standing occasions ----------------------------------------------------------------------------------------------


def occasions_now(shop: Shop) -> list[tuple[str, str]]:
    with shop.work() as work:
        occasions.make_all(work, RULES)
    return [(one.kind, one.userid) for one in shop.rows(RepCard)]


def test_a_new_friend_becomes_a_card_on_the_next_day_unless_they_have_spoken(shop: Shop) -> None:
    silent, spoken = customer(shop, name="小雨"), customer(shop, "wm2", name="阿明")
    assert occasions_now(shop) == []
    with shop.work() as work:
        persons.tell(work, spoken, "forwarded", work.now, once="said", userid="lisi", details={"text": "在吗"})
    shop.advance(hours=15)
    assert occasions_now(shop) == [("new", "lisi")]
    (card,) = shop.rows(RepCard)
    assert (card.person_id, card.because) == (silent, "11月22日加的你，还没聊过")
    assert card.text.startswith("小雨，你好")
    assert occasions_now(shop) == [("new", "lisi")]
    shop.advance(days=4)
    assert len(occasions_now(shop)) == 1


def test_birthdays_go_to_who_answers_for_the_customer(shop: Shop) -> None:
    with shop.db() as db:
        db.merge(Member(userid="wangwu", name="王五", serves=True))
    person = customer(shop, name="小雨", birthday=1123)
    customer(shop, userid="wangwu")
    customer(shop, "wm2", birthday=231)
    with shop.db() as db:
        db.get_one(Person, person).owner = "wangwu"
    with shop.work() as work:
        persons.tell(work, person, "forwarded", work.now, once="said", details={"text": "在吗"})
        persons.tell(work, 2, "forwarded", work.now, once="said 2", details={"text": "在吗"})
    assert occasions_now(shop) == []
    shop.advance(hours=12)
    assert occasions_now(shop) == [("birthday", "wangwu")]
    assert occasions_now(shop) == [("birthday", "wangwu")]


@pytest.mark.parametrize(("today", "count"), [(date(2027, 2, 28), 1), (date(2028, 2, 28), 0), (date(2028, 2, 29), 1)])
def test_who_is_born_on_29_february_is_not_forgotten(shop: Shop, today: date, count: int) -> None:
    person = customer(shop, birthday=229)
    with shop.work() as work:
        persons.tell(work, person, "forwarded", work.now, once="said", details={"text": "在吗"})
    noon = datetime.combine(today, time(12), shop.parts.zone)
    shop.advance(seconds=(noon - shop.now()).total_seconds())
    assert len(occasions_now(shop)) == count


def test_who_has_gone_quiet_becomes_a_card_while_they_are_quiet(shop: Shop) -> None:
    quiet, back = customer(shop, life_cycle="dormant"), customer(shop, "wm2", life_cycle="active")
    with shop.work() as work:
        for person in (quiet, back):
            persons.tell(work, person, "forwarded", work.now, once=f"said {person}", details={"text": "在吗"})
            gone = LifecycleChange(
                person_id=person, before="active", after="dormant", at=work.now, because="30 天没有往来"
            )
            work.db.add(gone)
        work.db.flush()
        work.db.add(LifecycleChange(person_id=back, before="dormant", after="active", at=work.now, because="又来了"))
    shop.advance(hours=1)
    assert occasions_now(shop) == [("quiet", "lisi")]
    assert shop.rows(RepCard)[0].person_id == quiet
