"""Points that are about to die, in the story: who has some, and the journey that tells them by the best open way."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from loyalty import accounts
from loyalty.ledger import earn
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from outreach.journeys import desk
from outreach.journeys.definition import EMPTY, Definition
from people import persons
from storage.database import transaction, utc_now
from storage.work import Work

BY = "story"
DAYS = 7
POINTS = 60
SAYS = "您有积分快到期了"
"""By which words a message is known."""


def hand_out(engine: Engine, zone: ZoneInfo, customers: Sequence[str]) -> str:
    """Give these customers points whose last day is in seven days; how a message about them spells that."""
    now = utc_now()
    last = now.astimezone(zone).date() + timedelta(days=DAYS)
    ends = datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
    with transaction(engine) as db:
        work = Work(db, now, cause=BY, zone=zone)
        for customer in customers:
            person = persons.find_person(db, persons.EXTERNAL, customer)
            if person is None:
                raise LookupError(f"{customer} is nobody we know")
            grant = Grant(POINTS, now, ends, "marketing", channel="act", notice_days=DAYS)
            about = About("award", f"story:{customer}", now, BY)
            earn.award(work, accounts.open_account(work, person.id), [grant], about)
    return f"{last.month}月{last.day}日 {POINTS} 分"


def tell_of_it(engine: Engine, zone: ZoneInfo) -> None:
    """Publish the journey: whose points die in seven days hears of it, in 微信客服 if open, else from their rep."""
    with transaction(engine) as db:
        work = Work(db, utc_now(), cause=BY, zone=zone)
        journey = desk.create(work, "积分快过期了", _definition(), by=BY)
        desk.publish(work, journey, by=BY, cut=False)


def _definition() -> Definition:
    send = {"id": "s1", "do": "send", "ways": ["kf", "card"], "text": f"{{name}}，{SAYS}：{{expiring}}"}
    trigger = {"on": "date", "date": "points_end", "days": -DAYS, "at": "00:00"}
    return {**EMPTY, "trigger": trigger, "again": {"rule": "each"}, "service": True, "steps": [send]}
