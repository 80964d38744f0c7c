"""What is unfinished about one customer, read off their picture: only what is known to be, nothing guessed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from people.directory import Picture

HALF, TAG, WELCOME = "half", "tag", "welcome"
FAILED = ("late", "refused", "unclear", "no_code", "no_text")
LATELY = timedelta(days=2)
"""A welcome that failed longer ago than this is history, nothing to do any more."""


@dataclass(frozen=True)
class Unfinished:
    """One thing: ``half`` (waits for the rep), ``tag`` (WeCom refused it), ``welcome`` (did not go out)."""

    kind: str
    at: datetime
    userid: str = ""
    detail: str = ""
    outcome: str = ""
    tag_id: int = 0
    words: str = ""


def of(picture: Picture, now: datetime) -> list[Unfinished]:
    """Everything unfinished, the oldest first."""
    return sorted((*_half(picture), *_tags(picture), *_welcomes(picture, now)), key=lambda one: one.at)


def _half(picture: Picture) -> Iterator[Unfinished]:
    for relation in picture.relations:
        if relation.state == "half" and relation.added_at is not None:
            yield Unfinished(HALF, relation.added_at, relation.userid)


def _tags(picture: Picture) -> Iterator[Unfinished]:
    for one in picture.tags:
        if one.at_wecom == "refused":
            name = f"{one.tag.group_name}/{one.tag.name}"
            yield Unfinished(TAG, one.at, detail=one.detail or "", tag_id=one.tag.id, words=name)


def _welcomes(picture: Picture, now: datetime) -> Iterator[Unfinished]:
    """The newest welcome of each living relation, if it failed lately."""
    living = {one.userid for one in picture.relations if one.state in ("active", "half")}
    for welcome in picture.welcomes:
        if welcome.userid in living:
            living.discard(welcome.userid)
            if welcome.outcome in FAILED and now - welcome.event_at <= LATELY:
                yield Unfinished(
                    WELCOME, welcome.event_at, welcome.userid, welcome.detail or "", outcome=welcome.outcome
                )
