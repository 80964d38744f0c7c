"""The global control group: a share of all people to whom we start nothing, so that the whole can be measured.

Who is in it is decided by a salted hash, the same for broadcasts and journeys. The salt is renewed by decision (once a
year), never by chance, and what answers a customer is not held back from anybody.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, String, cast, false, literal
from sqlalchemy.orm import Session

from outreach.arms import bucket
from storage import shop_settings
from storage.database import bucket_of
from storage.tables import Person
from storage.work import Work

SETTING = "holdout"
MOST = 2000
"""Of ten thousand: a bigger control group costs more than it tells."""


@dataclass(frozen=True)
class Holdout:
    """So many of ten thousand, drawn with this salt."""

    share: int = 0
    salt: str = ""

    @property
    def key(self) -> str:
        """The key of its draw (``outreach.arms.bucket``)."""
        return f"global:{self.salt}"

    def holds(self, person: str) -> bool:
        """Whether a person (``p_17``) is in it."""
        return bool(self.share) and bucket(self.key, person) < self.share


def read(db: Session) -> Holdout:
    """The shop's."""
    kept = shop_settings.read(db, SETTING)
    return Holdout(int(kept.get("share", 0)), str(kept.get("salt", "")))


def keep(work: Work, share: int, *, by: str, anew: bool = False, at: datetime | None = None) -> Holdout:
    """Set how big it is; ``anew``: draw other people from now on. Raises ``ValueError`` with words for the operator."""
    if not 0 <= share <= MOST:
        raise ValueError(f"全局对照组占 0 到 {MOST // 100}%")
    before = read(work.db)
    salt = f"{(at or work.now):%Y%m%d}" if anew or not before.salt else before.salt
    shop_settings.keep(work.db, SETTING, {"share": share, "salt": salt}, by=by, at=work.now)
    return Holdout(share, salt)


def holds(db: Session, own: Holdout) -> ColumnElement[bool]:
    """The condition on ``Person`` that holds for those in it."""
    if not own.share:
        return false()
    return bucket_of(db, literal(f"exp:{own.key}|p_", String).concat(cast(Person.id, String))) < own.share
