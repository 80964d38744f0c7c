"""How many mass messages a customer or a group may get: corp's and members' together (wecom.md §4.9).

Three modes exist: as many in a natural month as it has days, seven in a natural week (Monday to Sunday), one in a
natural day. Days, weeks and months are those of Shanghai.
"""

from bisect import bisect_left
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sandbox.knobs import SHANGHAI, Limits, QuotaMode


def day_in_shanghai(at: float) -> date:
    """The day of a moment (Unix seconds)."""
    return datetime.fromtimestamp(at + SHANGHAI, UTC).date()


def the_day(day: date) -> tuple[date, int]:
    """One a day."""
    return day, 1


def the_week(day: date) -> tuple[date, int]:
    """Seven a week, which begins on Monday."""
    return day - timedelta(days=day.weekday()), 7


def the_month(day: date) -> tuple[date, int]:
    """As many as the month has days."""
    return day.replace(day=1), monthrange(day.year, day.month)[1]


PERIODS: Mapping[QuotaMode, Callable[[date], tuple[date, int]]] = {
    "day_1": the_day,
    "week_7": the_week,
    "month_days": the_month,
}
"""The first day of the period that a day lies in, and how many messages the period allows."""


@dataclass(slots=True)
class Quota:
    """Who has received how many, and on which days. Time only goes forward."""

    limits: Limits
    days: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Receiver to the days (as ordinals, in order) on which they got something, one entry for each message."""

    def left(self, receiver: str, at: float) -> int:
        """How many more they may get in the period of this moment; never below 0, whatever the mode was before."""
        first, most = PERIODS[self.limits.mass_quota](day_in_shanghai(at))
        got = self.days.get(receiver, [])
        return max(0, most - (len(got) - bisect_left(got, first.toordinal())))

    def take(self, receiver: str, at: float) -> bool:
        """Use one up; False when there is none left."""
        if self.left(receiver, at) == 0:
            return False
        self.days[receiver].append(day_in_shanghai(at).toordinal())
        return True
