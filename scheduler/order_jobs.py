"""Jobs about orders: whether a source has fallen silent, who buys too often, and points for birthdays."""

from typing import TYPE_CHECKING

from loyalty import acts
from loyalty.programme import BIRTHDAY
from people import birthdays, freshness, persons, unusual
from storage.database import reading, transaction

if TYPE_CHECKING:
    from scheduler.timetable import Hands

PORTION = 500


def watch_sources(hands: "Hands") -> str:
    """Raise an alarm for a till that tells nothing at an hour at which it never was silent."""
    with transaction(hands.engine) as db:
        looked, silent = freshness.look(hands.work(db, "watch order sources"))
    return f"sources: {looked}, silent: {silent}"


def watch_buyers(hands: "Hands") -> str:
    """Raise an alarm for customers who buy more often in a day, or in more stores, than one person does."""
    with transaction(hands.engine) as db:
        told = unusual.look(hands.work(db, "watch buyers"))
    return f"unusual buyers: {told}"


def give_birthday_points(hands: "Hands") -> str:
    """Give points to those whose birthday it is, where the shop's rules say so; once a year."""
    today = hands.clock().astimezone(hands.zone)
    with reading(hands.engine) as db:
        born = birthdays.born_on(db, today.date())
    given = 0
    for first in range(0, len(born), PORTION):
        with transaction(hands.engine) as db:
            work = hands.work(db, "birthday points")
            portion = born[first : first + PORTION]
            if not acts.points_for(work, BIRTHDAY, work.now):
                return "birthdays earn no points"
            for head, anchors in persons.anchors_of(db, portion).items():
                keys = {one: f"birthday:{one}:{today.year}" for one in anchors}
                if not acts.was_given(db, keys.values()):
                    given += acts.reward(work, head, BIRTHDAY, key=keys[head], at=work.now) > 0
    return f"birthday points: {given}"
