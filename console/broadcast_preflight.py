"""Who would get a broadcast and who would not, as its page says it: by reason, by name, rep by rep."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from console import here
from console.broadcast_seen import rules
from console.broadcast_words import REASON_WORDS, TOUCH_WORDS, holder_words, rule_words
from console.words import _
from outreach import broadcasts, budget, planned
from outreach.audience import Counted, Looked
from storage.tables import Broadcast, Member

REPS = 20
"""So many reps are shown at once, so many more when one asks."""
MORE_REPS = 300


@dataclass(frozen=True)
class NameLine:
    """One of those who get nothing; a group has no id."""

    person_id: int | None
    name: str
    held_by: str = ""


@dataclass(frozen=True)
class ReasonLine:
    """One reason why some get nothing."""

    why: str
    words: str
    rule: str
    """The shop's own rule, where one is behind it."""
    count: int
    held: Sequence[tuple[str, int]]
    """What takes their place: kinds with how many."""
    names: Sequence[NameLine]

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.count - len(self.names)


@dataclass(frozen=True)
class RepLine:
    """How many a rep would send it to."""

    name: str
    count: int


@dataclass(frozen=True)
class Shown:
    """A preflight as it is shown."""

    counted: Counted
    reasons: Sequence[ReasonLine]
    reps: Sequence[RepLine]
    more_reps: Sequence[RepLine]
    unnamed: tuple[int, int]
    """How many reps are not listed at all, and how many people are theirs."""


def shown(db: Session, broadcast: Broadcast) -> Shown:
    """Who would get it now (or at its time). Raises ``CannotDo``, where its segment is gone."""
    looked = broadcasts.looked_at(db, broadcast, rules(), here.now(), here.zone(), here.sight(db).people())
    reps = _reps(db, looked)
    rest = reps[REPS + MORE_REPS :]
    return Shown(
        looked.counted,
        _reasons(db, looked),
        reps[:REPS],
        reps[REPS : REPS + MORE_REPS],
        (len(rest), sum(one.count for one in rest)),
    )


def _reasons(db: Session, looked: Looked) -> list[ReasonLine]:
    touches = [one.held_by for some in looked.first.values() for one in some if one.held_by is not None]
    called = planned.names_of(db, {budget.kind_of(one.source) for one in touches})
    return [
        ReasonLine(
            why,
            _(REASON_WORDS[why]),
            rule_words(why, rules()),
            count,
            [
                (_(words), held[kind])
                for kind, (words, _icon) in TOUCH_WORDS.items()
                if (held := looked.held.get(why, {})).get(kind)
            ],
            [
                NameLine(one.person_id, one.name, holder_words(one.held_by, called, here.zone()) if one.held_by else "")
                for one in looked.first.get(why, ())
            ],
        )
        for why, count in looked.counted.reasons.items()
    ]


def _reps(db: Session, looked: Looked) -> list[RepLine]:
    names = dict(db.execute(select(Member.userid, Member.name).where(Member.userid.in_(looked.reps))).all())
    return [RepLine(names.get(userid) or userid, count) for userid, count in looked.reps.items()]
