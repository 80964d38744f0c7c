"""The long-term control group (长期对照组): whom no journey and no broadcast writes to, to measure all of them by.

Who is in it is drawn by a salted hash, so that it holds for a person as long as the salt does; the share grows and
shrinks around the same people. Its members pass the same gates as everybody and are written down with what they would
have got, in an arm of their own (``arms.HELD_OUT``), so that the control of one journey or broadcast stays as large as
planned. What serves people (an order, a closed shop) goes to all. Source of the rule: loyalty.md §4, rule 12.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, cast, false, literal
from sqlalchemy.orm import Session

from outreach.arms import bucket
from storage import shop_settings
from storage.database import bucket_of
from storage.work import Work

SETTING = "holdout"
AT_MOST = 2000
"""A fifth: more would cost more than it tells."""
USUAL = 500
"""One in twenty, as the console proposes."""


class CannotSet(ValueError):
    """The share is no number from 0 to ``AT_MOST``."""


@dataclass(frozen=True)
class Holdout:
    """How large the group is, and how it is drawn."""

    share: int = 0
    """Of ten thousand; 0: there is none."""
    number: int = 1
    """How often it was drawn: the salt."""
    since: datetime | None = None
    """Since when it is as it is (UTC)."""

    @property
    def key(self) -> str:
        """The key of the draw."""
        return f"holdout:{self.number}"

    def has(self, person: str) -> bool:
        """Whether a person (``p_17``) is in it."""
        return bucket(self.key, person) < self.share

    def has_column(self, db: Session, person_id: ColumnElement[int]) -> ColumnElement[bool]:
        """The same, worked out by the database."""
        if not self.share:
            return false()
        named = literal(f"exp:{self.key}|p_", String).concat(cast(person_id, String))
        return bucket_of(db, named) < self.share


NOBODY = Holdout()


def holdout(db: Session) -> Holdout:
    """As the shop has set it."""
    found = shop_settings.read(db, SETTING)
    if not found:
        return NOBODY
    return Holdout(found["share"], found["number"], datetime.fromisoformat(found["since"]))


def set_share(work: Work, share: int, *, by: str) -> bool:
    """Make it that large; False when it is so already. Raises ``CannotSet``."""
    if not 0 <= share <= AT_MOST:
        raise CannotSet(f"the share is {share}, not 0 to {AT_MOST}")
    now = holdout(work.db)
    if now.share == share:
        return False
    _keep(work, share, now.number, by)
    return True


def draw_anew(work: Work, *, by: str) -> None:
    """Let others be in it from now on, once a year perhaps, so that nobody goes without for ever."""
    now = holdout(work.db)
    _keep(work, now.share, now.number + 1, by)


def _keep(work: Work, share: int, number: int, by: str) -> None:
    told = {"share": share, "number": number, "since": work.now.isoformat()}
    shop_settings.keep(work.db, SETTING, told, by=by, at=work.now)
