"""The shop's rules of points, in versions: each holds from its day until the next one's, also for what is told late.

What an order earned is worked out by the version of its day, and so is what a refund takes back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from loyalty.earning import ONE
from loyalty.expiry import REGIONS, Expiry, forbidden
from loyalty.ledger.claw import Policy
from loyalty.ledger.earn import Grant
from storage.tables import PointsRules
from storage.work import Work

JOINING, BIRTHDAY, REVIEW = ACTS = ("joining", "birthday", "review")
"""What else can earn points. An act of sharing never does: WeChat forbids to reward it."""
MOST = 1_000_000


class Refused(ValueError):
    """These rules cannot be the shop's."""


class Programme(BaseModel):
    """How points are earned, how long they live, and what a refund does."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rate: int = Field(default=ONE, ge=0, le=1000 * ONE)
    """Points a yuan, in ten-thousandths."""
    excluded: tuple[str, ...] = ()
    """Categories of lines that earn nothing, such as freight and gift cards."""
    pending_days: int | None = Field(default=None, ge=0, le=365)
    """The return window; none: as ``[points] pending_days`` says."""
    expiry: Expiry = Expiry()
    bonus_expiry: Expiry | None = None
    """Of the bonus, where it differs."""
    order_cap: int | None = Field(default=None, ge=1, le=MOST)
    day_cap: int | None = Field(default=None, ge=1, le=MOST)
    """Points one person can earn by the orders of one day."""
    claw: Literal["only_pending", "within_balance", "allow_debt"] = "allow_debt"
    debt_limit: int | None = Field(default=None, ge=0, le=MOST)
    restore_grace_days: int = Field(default=30, ge=0, le=365)
    """How long points live that come back after their end."""
    release_grace_days: int = Field(default=3, ge=0, le=365)
    jurisdiction: str = ""
    notice_days: int = Field(default=7, ge=0, le=90)
    """So long before they die the points of these rules must have been told of, or they live on; 0: need not be."""
    acts: Mapping[str, int] = Field(default_factory=dict)
    """Points for acts that are no purchase; none of an act that is left out."""

    @model_validator(mode="after")
    def _may_be(self) -> "Programme":
        if unknown := set(self.acts) - set(ACTS):
            raise ValueError(f"acts: {', '.join(sorted(unknown))} cannot earn points; these can: {', '.join(ACTS)}")
        if any(not 0 <= one <= MOST for one in self.acts.values()):
            raise ValueError(f"acts: 0 to {MOST} points")
        for one in (self.expiry, self.bonus_expiry):
            if one is not None and (why := forbidden(one, self.jurisdiction, self.notice_days)):
                raise ValueError(f"expiry: {why}")
        return self

    @property
    def told_before(self) -> int:
        """Days before points die by which it must have been told: the shop's, or more where the law of a place asks."""
        region = REGIONS.get(self.jurisdiction)
        return max(self.notice_days, region.notice_days if region is not None else 0)

    @property
    def policy(self) -> Policy:
        """What a refund may take."""
        return Policy(self.claw, self.debt_limit)

    def grant(
        self,
        points: int,
        since: datetime,
        ends: datetime | None,
        origin: str,
        now: datetime,
        *,
        idle_months: int | None = None,
        **facts: Any,
    ) -> Grant:
        """Points by these rules, that come in now, live since then and are gone from ``ends`` on (none: never).

        ``facts`` are what else a ``Grant`` says. All of them are told of before they die, as the shop or the law of the
        place asks, but what comes in when it is over already: unless it dies of idleness, and may have been renewed.
        """
        told = ends is None or idle_months is not None or ends > now
        return Grant(
            points,
            since,
            ends,
            origin,
            jurisdiction=self.jurisdiction,
            notice_days=self.told_before if told else 0,
            idle_months=idle_months,
            **facts,
        )

    def basis(self, amount: int, lines: Mapping[str, int]) -> int:
        """Fen that earn: what was paid less the lines (amount by category) that are excluded."""
        return max(0, amount - sum(lines.get(one, 0) for one in self.excluded))


@dataclass(frozen=True)
class Rules:
    """A version of the programme."""

    version: int
    programme: Programme


FIRST = Rules(0, Programme())
"""What holds until the shop decides."""


def rules_at(work: Work, at: datetime) -> Rules:
    """The version that held at a moment."""
    versions = work.found("points rules", lambda: _versions(work.db))
    return next((one for since, one in versions if since <= at), FIRST)


def release_grace(work: Work) -> timedelta:
    """How long points live on that come back from a hold after their end, by the rules of now."""
    return timedelta(days=rules_at(work, work.now).programme.release_grace_days)


def _versions(db: Session) -> list[tuple[datetime, Rules]]:
    """The newest first; of two of one moment the later decided."""
    rows = db.scalars(select(PointsRules).order_by(PointsRules.valid_from.desc(), PointsRules.version.desc()))
    return [(one.valid_from, Rules(one.version, Programme(**one.definition))) for one in rows]


def rules_of(work: Work, version: int) -> Rules:
    """One version. Raises ``LookupError``."""
    versions = work.found("points rules", lambda: _versions(work.db))
    known = MappingProxyType({one.version: one for _, one in versions})
    return FIRST if version == FIRST.version and version not in known else known[version]


def versions(db: Session) -> Sequence[PointsRules]:
    """Every version, the newest first."""
    return db.scalars(select(PointsRules).order_by(PointsRules.version.desc())).all()


def decide(
    work: Work, definition: Mapping[str, Any], valid_from: datetime, by: str, approval_id: int | None = None
) -> PointsRules:
    """Let these rules hold from a moment that is not past. Raises ``Refused`` and pydantic's ``ValidationError``."""
    programme = Programme(**definition)
    if valid_from < work.now:
        raise Refused("rules cannot hold for days that are past: their points are earned already")
    newest = work.db.scalar(select(func.max(PointsRules.version))) or 0
    row = PointsRules(
        version=newest + 1,
        valid_from=valid_from,
        definition=programme.model_dump(mode="json", exclude_defaults=True),
        made_by=by,
        made_at=work.now,
        approval_id=approval_id,
    )
    work.db.add(row)
    work.db.flush()
    work.forget("points rules")
    return row
