"""To which order a refund belongs that names none: by a stated rule or not at all.

Only orders of the same person and source that were paid before the refund and have so much money left are looked at; no
rule guesses among people or splits a refund. What no rule finds stays parked, to be looked at by somebody.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.tables import Refund, ShopOrder

SAME_AMOUNT, LATEST = "same-amount", "latest"
RULES: Mapping[str, str] = MappingProxyType(
    {
        SAME_AMOUNT: "the newest earlier order of that person that cost exactly as much and gave nothing back yet",
        LATEST: "that, or else the newest earlier order within 90 days that has so much left",
    }
)
WITHIN = timedelta(days=90)
"""How long after an order shops take things back; longer ago is not guessed at."""


def order_for(db: Session, refund: Refund, rule: str) -> tuple[ShopOrder, str] | None:
    """The order by this rule, held, and why it is that one; None when there is none."""
    if refund.person_id is None:
        return None
    whole = _newest(db, refund, ShopOrder.amount == refund.amount, ShopOrder.refunded == 0)
    if whole is not None:
        return whole, f"{SAME_AMOUNT}: {RULES[SAME_AMOUNT]}"
    if rule != LATEST:
        return None
    recent = ShopOrder.paid_at >= refund.refunded_at - WITHIN
    found = _newest(db, refund, ShopOrder.amount - ShopOrder.refunded >= refund.amount, recent)
    return None if found is None else (found, f"{LATEST}: the newest order within 90 days with so much left")


def _newest(db: Session, refund: Refund, *conditions: object) -> ShopOrder | None:
    own = (
        select(ShopOrder)
        .where(
            ShopOrder.person_id == refund.person_id,
            ShopOrder.source == refund.source,
            ShopOrder.paid_at <= refund.refunded_at,
            *conditions,  # type: ignore[arg-type]
        )
        .order_by(ShopOrder.paid_at.desc(), ShopOrder.id.desc())
        .limit(1)
        .with_for_update()
    )
    return db.scalars(own.execution_options(populate_existing=True)).one_or_none()
