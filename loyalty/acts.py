"""Points for what is no purchase: joining, a birthday, a review. How many, the rules of the day say; mostly none.

A review earns the same whatever it says. An act of sharing earns nothing: WeChat forbids to reward it.
"""

from datetime import datetime

from loyalty import programme
from loyalty.ledger import earn
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from loyalty.programme import ACTS
from storage.work import Work


def reward(work: Work, account_id: int, act: str, *, key: str, at: datetime) -> int:
    """Give the points of an act that was done then, once for its key, to be spent at once; how many."""
    if act not in ACTS:
        return 0
    rules = programme.rules_at(work, at)
    points = rules.programme.acts.get(act, 0)
    if not points:
        return 0
    about = About(
        "award", key, work.now, "rules", act, source=f"act:{act}", rule_version=rules.version, request={"act": act}
    )
    own = rules.programme
    lives_until = (own.bonus_expiry or own.expiry).ends(work.now, work.zone)
    grant = Grant(points, work.now, lives_until, "marketing", channel="act", jurisdiction=own.jurisdiction)
    earn.award(work, account_id, [grant], about, {"act": act})
    return points
