"""Which journey a line of a person's story came of, and for which reason a rep had the card that she sent."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from console.rep_words import worded
from console.words import _
from storage.tables import Enrolment, Interaction, Journey, RepCard, Task

OF_JOURNEYS = "journey:"


def causes(db: Session, story: Sequence[Interaction]) -> dict[int, str]:
    """Of these lines, those that came of a journey or a card, in words; a handful of questions."""
    cards = _numbers(story, "card")
    asked = select(RepCard.id, RepCard.once).where(RepCard.id.in_(cards.values()))
    rounds = {("card", number): once for number, once in db.execute(asked)}
    tasks = _numbers(story, "task")
    asked = select(Task.id, Task.once).where(Task.id.in_(tasks.values()), Task.once.startswith(OF_JOURNEYS))
    rounds |= {("task", number): once for number, once in db.execute(asked)}
    numbers = {key: _round(once) for key, once in rounds.items()}
    own = select(Enrolment.id, Enrolment.journey_id).where(Enrolment.id.in_([one for one in numbers.values() if one]))
    journeys = dict(db.execute(own).all())
    chats = _numbers(story, "journey")
    names = _names(db, {*journeys.values(), *chats.values()})
    found = {line: names.get(number, "") for line, number in chats.items()}
    for what, some in (("card", cards), ("task", tasks)):
        for line, number in some.items():
            found[line] = names.get(journeys.get(numbers.get((what, number)) or 0, 0), "")
    told = {one.id: worded(str(one.details["because"])) for one in story if one.details.get("because")}
    return {
        line: words for line, words in {**told, **{one: name for one, name in found.items() if name}}.items() if words
    }


def _numbers(story: Sequence[Interaction], what: str) -> dict[int, int]:
    """Of each line that tells of a ``card``, a ``task`` or a ``journey``, its number."""
    told: Mapping[int, object] = {one.id: one.details.get(what) for one in story}
    return {line: number for line, number in told.items() if isinstance(number, int)}


def _round(once: str) -> int | None:
    """``journey:e17:s2:1`` is of round 17."""
    number = once.removeprefix(f"{OF_JOURNEYS}e").partition(":")[0]
    return int(number) if once.startswith(OF_JOURNEYS) and number.isdecimal() else None


def _names(db: Session, ids: set[int]) -> dict[int, str]:
    own = select(Journey.id, Journey.name).where(Journey.id.in_(ids))
    return {number: _("旅程“%(name)s”", name=name) for number, name in db.execute(own)}
