"""Words past their term go portion by portion, each beginning where the one before ended."""

from datetime import datetime, timedelta

import pytest

from people import persons, retention
from storage.tables import InboxRow, Interaction, OutboxRow, Progress, RuleHit, TagGround
from tagging import rules
from tagging.rules import Draft, Words
from tests.shop import Shop

DAYS = 30


def say(shop: Shop, number: int, days_ago: float, kind: str = "kf_in") -> int:
    at = shop.now() - timedelta(days=days_ago)
    with shop.work() as work:
        person = persons.person_of(work, "wm1")
        row = {"person_id": person.id, "userid": None, "kind": kind, "at": at, "details": {"text": f"多少钱 {number}"}}
        line = persons.told(work, {**row, "once": f"{number}"})
        assert line is not None
        rules.hear(work, person, Words(f"多少钱 {number}", line, rules.KF, at))
        return line


def turn(shop: Shop, most: int = 1) -> tuple[int, bool]:
    with shop.db() as db:
        return retention.next_portion(db, shop.now() - timedelta(days=DAYS), most, shop.now())


def whole_night(shop: Shop, most: int = 1) -> int:
    """How many turns it takes."""
    turns = 1
    while not turn(shop, most)[1]:
        turns += 1
        assert turns < 20
    return turns


def texts(shop: Shop) -> list[str]:
    return [one.details["text"] for one in shop.rows(Interaction) if "text" in one.details]


@pytest.fixture
def rule(shop: Shop) -> None:
    with shop.work() as work:
        rules.create(work, Draft("问价", definition={"any_keywords": ["多少钱"]}, tags=(("意向", "问价"),)), by="boss")


def test_a_portion_begins_where_the_one_before_ended(shop: Shop) -> None:
    first = say(shop, 1, 33)
    say(shop, 2, 33)
    say(shop, 3, 32)
    assert turn(shop) == (1, False)
    with shop.db() as db:  # was it looked at again, it would be found again
        db.get_one(Interaction, first).details = {"text": "甲"}
    whole_night(shop)
    assert texts(shop) == ["甲"]
    whole_night(shop)  # the next one begins anew: what came late is found
    assert texts(shop) == []


@pytest.mark.usefixtures("rule")
def test_every_kind_is_gone_through_to_its_end(shop: Shop) -> None:
    for number in range(5):
        say(shop, number, 40 - number)
        say(shop, 10 + number, 40 - number, "kf_out")
    kept = say(shop, 99, DAYS - 1)
    at = shop.now() - timedelta(days=40)
    times = {"due_at": at, "event_at": at, "received_at": at}
    call = {"name": "TellRep", "body": {}, "lane": "calls", "harmless": False, "asked_at": at, "due_at": at}
    with shop.db() as db:
        for number in range(5):
            db.add(InboxRow(identity=f"m{number}", name="message.text", key="x", lane="events", xml="", state="done",
                            **times))  # fmt: skip
            db.add(OutboxRow(once=f"m{number}", key="x", api="message/send", state="done", **call))
    assert whole_night(shop, most=2) < 10
    assert [one.id for one in shop.rows(Interaction) if "text" in one.details] == [kept]
    assert sum("quote" in one.evidence for one in shop.rows(RuleHit)) == 1
    assert sum("quote" in one.evidence for one in shop.rows(TagGround)) <= 1
    assert shop.rows(InboxRow, InboxRow.name == "message.text") == []
    assert shop.rows(OutboxRow, OutboxRow.api == "message/send") == []


def test_a_night_that_was_broken_off_is_ended_and_then_made_up_for(shop: Shop) -> None:
    for number in range(3):
        say(shop, number, 40)
    say(shop, 9, 20)
    assert turn(shop) == (1, False)
    shop.advance(days=20)  # meanwhile another line has passed its term
    whole_night(shop)
    assert texts(shop) == []
    (place,) = shop.rows(Progress, Progress.name == retention.PLACE)
    assert datetime.fromisoformat(place.at["until"]) == shop.now() - timedelta(days=DAYS)
    assert "run" not in place.at
