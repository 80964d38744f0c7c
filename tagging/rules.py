"""Rules that tag by themselves."""

from dataclasses import dataclass
from datetime import datetime

from storage.tables import Person
from storage.work import Work


@dataclass(frozen=True)
class Words:
    """Something a customer said, as far as a rule may look at it."""

    text: str
    interaction_id: int
    where: str
    """kf, or forwarded (a rep passed it on)."""
    at: datetime
    open_kfid: str | None = None
    userid: str | None = None
    """The rep who passed it on."""


def hear(work: Work, person: Person, words: Words) -> int:
    """Let every keyword rule look at these words; how many rules hit."""
    return 0
