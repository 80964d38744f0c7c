"""Points for what is no purchase: joining, a birthday, a review. How many, the rules of the day say; mostly none.

A review earns the same whatever it says. An act of sharing earns nothing: WeChat forbids to reward it.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from loyalty import programme
from loyalty.ledger import bulk, earn
from loyalty.ledger.book import About
from storage.tables import PointsTxn
from storage.work import Work


def points_for(work: Work, act: str, at: datetime) -> int:
    """What an act of that moment earns."""
    return programme.rules_at(work, at).programme.acts.get(act, 0)


def was_given(db: Session, keys: Iterable[str]) -> bool:
    """Whether one of these was rewarded already: somebody who is one with another was, under the other's name."""
    return db.scalar(select(PointsTxn.id).where(PointsTxn.key.in_(list(keys))).limit(1)) is not None


def reward(work: Work, person_id: int, act: str, *, key: str, at: datetime) -> int:
    """Give a person (an anchor) the points of an act that was done then, once for its key; how many.

    They can be spent at once.
    """
    points = points_for(work, act, at)
    if not points:
        return 0
    rules = programme.rules_at(work, at)
    about = About(
        "award", key, work.now, "rules", act, source=f"act:{act}", rule_version=rules.version, request={"act": act}
    )
    own = rules.programme
    expiry = own.bonus_expiry or own.expiry
    ends = expiry.ends(work.now, work.zone)
    grant = own.grant(points, work.now, ends, "marketing", work.now, idle_months=expiry.idle_months, channel="act")
    account_id = bulk.open_accounts(work, [person_id])[person_id]
    earn.award(work, account_id, [grant], about, {"act": act})
    return points
