"""Points that the shop gives by itself, by a journey: once for their key, and no more in a day than one hand may give.

The shop's limits for what one hand gives without another's word (``authority.Limits``) hold for each source of gifts as
if it were a hand: ``person`` at once, ``day`` in a day of the shop.
"""

from dataclasses import dataclass

from sqlalchemy import select, update

from loyalty import authority, programme
from loyalty.ledger import bulk, earn
from loyalty.ledger.book import About, replayed
from storage.rows import insert_new
from storage.tables import PointsCounter
from storage.work import Work


@dataclass(frozen=True)
class Gift:
    """Points for one person (an anchor)."""

    person_id: int
    points: int
    source: str
    """Who gives: ``journey:5``."""
    key: str
    """Why it can be given only once."""
    reason: str


def give(work: Work, gift: Gift) -> bool:
    """Give it, unless its source has given as much today as one hand may; asked again with its key it was given."""
    rules = programme.rules_at(work, work.now)
    about = About(
        "award",
        gift.key,
        work.now,
        gift.source,
        gift.reason,
        source=gift.source,
        rule_version=rules.version,
        request={"person": gift.person_id, "points": gift.points},
    )
    if replayed(work.db, about) is not None:
        return True
    if not room(work, gift.source, gift.points):
        return False
    own = rules.programme
    expiry = own.bonus_expiry or own.expiry
    ends, idle = expiry.ends(work.now, work.zone), expiry.idle_months
    grant = own.grant(gift.points, work.now, ends, "marketing", work.now, idle_months=idle, channel="journey")
    account_id = bulk.open_accounts(work, [gift.person_id])[gift.person_id]
    earn.award(work, account_id, [grant], about, {"gift": gift.source})
    return True


def room(work: Work, source: str, points: int) -> bool:
    """Whether the day's budget of a source has room for so many points; then it is taken."""
    limits = authority.limits(work.db)
    if points > limits.person:
        return False
    key = f"given:{source}:{work.now.astimezone(work.zone):%Y-%m-%d}"
    insert_new(work.db, PointsCounter, [{"key": key, "used": 0}], ["key"], "key")
    used = work.db.scalars(select(PointsCounter.used).where(PointsCounter.key == key).with_for_update()).one()
    if used + points > limits.day:
        return False
    own = update(PointsCounter).where(PointsCounter.key == key).values(used=used + points)
    work.db.execute(own, execution_options={"synchronize_session": False})
    return True
