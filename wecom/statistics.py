"""What WeCom itself counts of a rep's days (get_user_behavior_data). Source: wecom.md §4.13.

Days are those of Beijing, and a day's figures are there the next morning. Asked for several reps WeCom adds them up, so
that one call is for one rep.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from wecom.answers import Answer, items, number, share

API = "externalcontact/get_user_behavior_data"
BEIJING = ZoneInfo("Asia/Shanghai")
MOST_DAYS = 30
"""Days that one call may span."""


@dataclass(frozen=True)
class DayFigures:
    """One rep's day, as WeCom counts it."""

    day: date
    chats: int
    messages: int
    reply_percentage: float | None
    """Of the chats that customers began; None when there were none."""
    first_reply_minutes: float | None
    deletions: int
    applications: int
    new_contacts: int


class Statistics:
    """The part of the gateway that reads WeCom's own figures. ``read`` makes one call that changes nothing."""

    def __init__(self, read: Callable[[str, Answer], Answer]) -> None:
        self._read = read

    def days(self, userid: str, first: date, last: date) -> list[DayFigures]:
        """The days of a rep that WeCom has counted by now, of at most thirty; ``last`` is one of them."""
        span = {"start_time": _midnight(first), "end_time": _midnight(last)}
        answer = self._read(API, {"userid": [userid], **span})
        return [_figures(one) for one in items(answer, "behavior_data") if number(one, "stat_time")]


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), BEIJING).timestamp())


def _figures(one: Answer) -> DayFigures:
    return DayFigures(
        day=datetime.fromtimestamp(number(one, "stat_time") or 0, BEIJING).date(),
        chats=number(one, "chat_cnt") or 0,
        messages=number(one, "message_cnt") or 0,
        reply_percentage=share(one, "reply_percentage"),
        first_reply_minutes=share(one, "avg_reply_time"),
        deletions=number(one, "negative_feedback_cnt") or 0,
        applications=number(one, "new_apply_cnt") or 0,
        new_contacts=number(one, "new_contact_cnt") or 0,
    )
