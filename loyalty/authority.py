"""How grave something done to points is, and who may decide it (loyalty.md §2.9): pure, but for who is behind a name.

Grade 0 is done at once; 1 needs somebody else's word; 2 two people's, one of them a boss; 3 the same and a day's delay.
Limits are the shop's own (``Limits``); to change them is of grade 2 itself. Who is alone gets a day's delay instead of
a second person. There is no way around for anybody: whoever made it never decides it, also not by a key of theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from storage import shop_settings
from storage.tables import ApiKey, Member, User
from storage.work import Work

SETTING = "points_authority"
BOSS, REP, KEY, NOBODY = "boss", "rep", "key", "nobody"
COMMAND_LINE = "command line"
"""By whom a key is made that is nobody's in the console."""
DECIDERS = frozenset({BOSS, "manager", "operator"})
"""Roles that decide; the same as have the right ``decide_points``."""
DELAY = timedelta(hours=24)
"""What grade 3 waits after the last word, and what stands for a second person where there is none."""
LIVES = timedelta(hours=72)
"""So long somebody can decide; then it is over."""
WINDOW = timedelta(hours=24)
"""What one hand asks for within it counts together: many small ones are a large one."""
DRIFT = 2
"""Percent by which it may come to something else when it is carried out than when it was asked for."""
SHUT_OUT_LATELY = timedelta(hours=72)
"""Whoever was shut out within it still counts as one who could decide: nobody becomes alone by an afternoon's work."""
PEOPLE: Mapping[int, int] = {0: 0, 1: 1, 2: 2, 3: 2}
"""How many must agree."""


MOST = 10**9
Limit = Annotated[int, Field(ge=0, le=MOST)]
"""In points."""


class Limits(BaseModel):
    """As the shop has set them; they grow from the first to the fourth."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    person: Limit = 200
    """To one person within a day, without anybody else."""
    day: Limit = 2_000
    """By one hand within a day, without anybody else."""
    large: Limit = 50_000
    """More than that needs two."""
    huge: Limit = 500_000
    """More than that waits a day too."""
    rep_month: Limit = 0
    """What a rep may give in a month, with nobody else's word; 0: nothing."""

    @model_validator(mode="after")
    def _grow(self) -> "Limits":
        if not self.person <= self.day <= self.large <= self.huge:
            raise ValueError("the limits must grow: person, day, large, huge")
        return self


def limits(db: Session) -> Limits:
    """The shop's own; what a newer release has set besides says nothing to us."""
    found = shop_settings.read(db, SETTING)
    return Limits(**{name: found[name] for name in Limits.model_fields if name in found})


def set_limits(work: Work, wanted: Limits, *, by: str) -> None:
    """Set them; only an approval does."""
    shop_settings.keep(work.db, SETTING, wanted.model_dump(), by=by, at=work.now)


# --- how grave -------------------------------------------------------------------------------------------------------

LEAST: Mapping[str, int] = {
    "award": 0,
    "adjust": 0,
    "reissue": 1,
    "transfer": 1,
    "write_off": 1,
    "campaign": 1,
    "policy": 2,
    "tiers": 2,
    "gifts": 2,
    "groups": 2,
    "authority": 2,
    "bulk_award": 2,
    "bulk_undo": 2,
    "take_over": 2,
    "bulk_clear": 3,
}
"""The grade that a kind has at least."""


@dataclass(frozen=True)
class Facts:
    """What the grade depends on; points of this and of what the same hand asked for within a day."""

    kind: str
    accounts: int
    person: int
    """The most that comes together for one account."""
    total: int


RULES: Sequence[tuple[int, str, Callable[[Facts, Limits], bool]]] = (
    (1, "person", lambda facts, limit: facts.person > limit.person),
    (1, "day", lambda facts, limit: facts.total > limit.day),
    (2, "many", lambda facts, _limit: facts.accounts > 1),
    (2, "large", lambda facts, limit: facts.total > limit.large),
    (3, "huge", lambda facts, limit: facts.total > limit.huge),
)
"""Grade, name, and when it applies; the highest that applies counts."""


def grade(facts: Facts, limit: Limits) -> tuple[int, list[str]]:
    """The grade and the names of the rules that make it so; ``kind`` where it is the kind's own."""
    met = [(one, name) for one, name, applies in RULES if applies(facts, limit)]
    least = LEAST[facts.kind]
    found = max([least, *(one for one, _ in met)])
    names = [name for one, name in met if one == found]
    return found, ["kind", *names] if least == found and found else names


# --- who -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hand:
    """Somebody who asks or decides."""

    actor: str
    """The name it goes under: ``zhangsan``, ``key:till``."""
    hand: str
    """The person behind it."""
    role: str
    """boss, manager, operator, rep; key: of the command line, which owns the house."""

    @property
    def is_boss(self) -> bool:
        """Whether their word is a boss's."""
        return self.role in (BOSS, KEY)

    @property
    def may_decide(self) -> bool:
        """Whether their word counts at all."""
        return self.role in DECIDERS or self.role == KEY


def of_user(userid: str, role: str) -> Hand:
    """A console user."""
    return Hand(userid, userid, role)


def of_key(db: Session, key: ApiKey) -> Hand:
    """A program with a key: the hand of the user who made it; on its own where the command line did.

    The key of somebody who may not come in any more has no say.
    """
    actor = f"key:{key.name}"
    if key.created_by == COMMAND_LINE:
        return Hand(actor, actor, KEY)
    own = select(User).where(func.lower(User.userid) == key.created_by.lower(), User.disabled_at.is_(None))
    maker = db.scalars(own).first()
    return Hand(actor, maker.userid, maker.role) if maker is not None else Hand(actor, actor, NOBODY)


def others(db: Session, hand: str, at: datetime) -> tuple[int, int]:
    """How many users besides this hand can decide, and how many bosses are among them."""
    here = or_(User.disabled_at.is_(None), User.disabled_at > at - SHUT_OUT_LATELY)
    own = select(User.role, func.count()).where(*_deciding(hand), here)
    found = {role: int(n) for role, n in db.execute(own.group_by(User.role))}
    return sum(found.values()), found.get(BOSS, 0)


def deciders(db: Session, hand: str) -> list[str]:
    """The userids of those besides this hand who can decide now."""
    own = select(User.userid).where(*_deciding(hand), User.disabled_at.is_(None))
    return list(db.scalars(own.order_by(User.userid)))


def _deciding(hand: str) -> tuple[ColumnElement[bool], ...]:
    left = select(Member.userid).where(
        func.lower(Member.userid) == func.lower(User.userid), Member.left_at.is_not(None)
    )
    return User.role.in_(DECIDERS), User.userid != hand, ~left.exists()
