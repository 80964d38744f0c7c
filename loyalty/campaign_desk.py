"""Campaigns as people set them up: drafted, sent for approval, live, paused, ended. What is live is never edited.

A campaign is agreed to as it is (``deeds.campaign_facts``); a change before that takes it back to a draft, and so does
a no. It holds from the minute after it was agreed to at the earliest: what was paid before has earned by its own rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from loyalty import campaigns
from loyalty.campaigns import ENDED, LIVE, PAUSED
from loyalty.earning import ONE
from storage.tables import Campaign, PointsCounter
from storage.work import Work

DRAFT, SUBMITTED = "draft", "submitted"
MOST_TIMES = 10
"""A multiplier above this is a slip of the finger."""
LONGEST = timedelta(days=366)
MAX_NAME = 60


class Wrong(ValueError):
    """What is wrong with a draft: (field, code), of which the console knows the words."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__(", ".join(f"{name}: {code}" for name, code in problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class Draft:
    """A campaign before it is one. Times in UTC; the multiplier in ten-thousandths; cap and budget in points."""

    name: str
    from_at: datetime | None
    to_at: datetime | None
    multiplier: int | None
    audience: dict[str, Any] = field(default_factory=dict)
    stacks: bool = False
    cap: int | None = None
    budget: int | None = None
    gives_back: bool = False


def check(draft: Draft, now: datetime) -> None:
    """Raises ``Wrong`` with everything that is wrong with it."""
    wrong: list[tuple[str, str]] = []
    if not 0 < len(draft.name.strip()) <= MAX_NAME:
        wrong.append(("name", "length"))
    if draft.from_at is None or draft.to_at is None:
        wrong.append(("from_at" if draft.from_at is None else "to_at", "time"))
    elif not draft.from_at < draft.to_at <= draft.from_at + LONGEST:
        wrong.append(("to_at", "order"))
    elif draft.to_at <= now:
        wrong.append(("to_at", "past"))
    elif draft.from_at < now.replace(second=0, microsecond=0):
        wrong.append(("from_at", "past"))
    if draft.multiplier is None or not ONE < draft.multiplier <= MOST_TIMES * ONE:
        wrong.append(("multiplier", "times"))
    limits = {"cap": draft.cap, "budget": draft.budget}
    wrong += [(name, "points") for name, most in limits.items() if most is not None and most < 1]
    if wrong:
        raise Wrong(wrong)


def keep(work: Work, draft: Draft, by: str, known: Campaign | None = None) -> Campaign:
    """Keep a draft, new or changed. Raises ``Wrong``; also when it is live or over."""
    check(draft, work.now)
    if known is not None and known.state not in (DRAFT, SUBMITTED):
        raise Wrong([("", "live")])
    row = known or Campaign(made_by=by, made_at=work.now)
    row.name, row.audience, row.multiplier = draft.name.strip(), dict(draft.audience), draft.multiplier or ONE
    row.from_at, row.to_at = draft.from_at or work.now, draft.to_at or work.now
    row.stacks, row.cap, row.budget, row.gives_back = draft.stacks, draft.cap, draft.budget, draft.gives_back
    row.state = DRAFT
    work.db.add(row)
    work.db.flush()
    return row


def move(row: Campaign, do: str, now: datetime) -> bool:
    """Pause, resume or end a campaign; False where that does not fit its state.

    It has no part in orders paid while it is paused, and one that is ended in none paid from now on, or from when it
    was paused: also where they are told late.
    """
    moves = {("pause", LIVE): PAUSED, ("resume", PAUSED): LIVE, ("end", LIVE): ENDED, ("end", PAUSED): ENDED}
    after = moves.get((do, row.state))
    if after is None:
        return False
    if after == ENDED:
        row.to_at = min(row.to_at, row.paused_at or now)
    elif row.paused_at is not None:
        row.pauses = [*row.pauses, {"from": row.paused_at.isoformat(), "to": now.isoformat()}]
    row.state, row.paused_at = after, now if after == PAUSED else None
    return True


def phase(row: Campaign, now: datetime) -> str:
    """What it is now: draft, submitted, paused, ended, ahead, running, over."""
    if row.state != LIVE:
        return row.state
    return "ahead" if now < row.from_at else "running" if now < row.to_at else "over"


def listed(db: Session, *, limit: int, before: int | None = None) -> tuple[list[Campaign], int | None]:
    """One page, the newest first, and the id before which the next one lies."""
    own = select(Campaign).order_by(Campaign.id.desc()).limit(limit + 1)
    found = list(db.scalars(own.where(Campaign.id < before) if before is not None else own))
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def used(db: Session, ids: Sequence[int]) -> dict[int, int]:
    """Points that campaigns with a budget have given so far."""
    keys = {campaigns.budget_key(one): one for one in ids}
    own = select(PointsCounter.key, PointsCounter.used).where(PointsCounter.key.in_(keys))
    return {keys[key]: points for key, points in db.execute(own)}
