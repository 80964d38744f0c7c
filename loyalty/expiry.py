"""When points die: on a day, so many months after they came, after so many of inactivity, or never (loyalty.md §2.4).

Days are the shop's; what dies on a day is gone from its midnight on. ``REGIONS`` says what the law of a place forbids.
"""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

MONTHS = 12
LONGEST = 120


class Expiry(BaseModel):
    """One way for points to die."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["fixed_day", "rolling", "inactivity", "never"] = "rolling"
    months: int = Field(default=12, ge=1, le=LONGEST)
    """Of ``rolling``: how long they live; of ``inactivity``: how long after the last purchase or redemption."""
    end_of_month: bool = True
    """Of ``rolling``: whether they live to the end of that month."""
    day: str = Field(default="12-31", pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")
    """Of ``fixed_day``: the last day they live, as month-day."""
    years: int = Field(default=0, ge=0, le=10)
    """Of ``fixed_day``: of which year after the one they came in."""
    least_days: int = Field(default=0, ge=0, le=366)
    """Of ``fixed_day``: those with fewer days than this live a year longer."""

    @model_validator(mode="after")
    def _is_a_day(self) -> "Expiry":
        month, day = (int(one) for one in self.day.split("-"))
        if day > calendar.monthrange(2024, month)[1]:
            raise ValueError(f"there is no day {self.day}")
        return self

    def ends(self, since: datetime, zone: ZoneInfo) -> datetime | None:
        """The moment (UTC) from which points that live since then are gone; none: they stay.

        Of ``inactivity``: if nothing is bought or redeemed after that.
        """
        return None if self.kind == "never" else _end(self, since.astimezone(zone).date(), zone)

    @property
    def idle_months(self) -> int | None:
        """After how many months of inactivity they die; none: not of that."""
        return self.months if self.kind == "inactivity" else None

    def last(self, day: date) -> date:
        """The last day that points of a day live, where they die at all."""
        if self.kind == "inactivity":
            return add_months(day, self.months)
        return self._fixed(day) if self.kind == "fixed_day" else self._rolling(day)

    def _rolling(self, day: date) -> date:
        last = add_months(day, self.months)
        return last.replace(day=calendar.monthrange(last.year, last.month)[1]) if self.end_of_month else last

    def _fixed(self, day: date) -> date:
        month, number = (int(one) for one in self.day.split("-"))
        year = day.year + self.years
        while (_clamped(year, month, number) - day).days + 1 < max(1, self.least_days):
            year += 1
        return _clamped(year, month, number)


@lru_cache(maxsize=4096)
def _end(expiry: Expiry, day: date, zone: ZoneInfo) -> datetime:
    return _after(expiry.last(day), zone)


def idle_end(active: datetime, months: int, zone: ZoneInfo) -> datetime:
    """When points are gone (UTC) that die after so many months without a purchase or redemption, by the last one."""
    return _after(add_months(active.astimezone(zone).date(), months), zone)


def _after(last: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)


def add_months(day: date, months: int) -> date:
    """The same day so many months later, or the last of a month that has no such day."""
    year, month = divmod(day.year * MONTHS + day.month - 1 + months, MONTHS)
    return _clamped(year, month + 1, day.day)


def _clamped(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


@dataclass(frozen=True)
class Region:
    """What the law of a place says about points that die; dated, to be checked by counsel."""

    name: str
    by_time: bool
    """Whether points may die because time has passed."""
    idle_months: int = 1
    """After how many months of inactivity they may die at the earliest."""
    notice_days: int = 0
    """How long before they must have been announced."""
    notice_most: int | None = None
    """What is announced longer before than so many days does not count; none: it counts."""
    source: str = ""
    """The law, since when it holds, and when it was last looked at."""


REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        "": Region("默认", by_time=True),
        "CA-ON": Region(
            "安大略省", by_time=False, source="Consumer Protection Act 2002 s.47.1, since 2018-01-01, as of 2025"
        ),
        "CA-QC": Region(
            "魁北克省",
            by_time=False,
            idle_months=12,
            notice_days=30,
            notice_most=60,
            source="Consumer Protection Act s.187.7, since 2019-08-01, as of 2025",
        ),
    }
)


def forbidden(expiry: Expiry, jurisdiction: str, notice_days: int = 0) -> str:
    """Why points of this place may not die like this, told so many days before; empty: they may.

    An unknown place forbids. Where inactivity is allowed at all, it is if the agreement with the customer says so.
    """
    region = REGIONS.get(jurisdiction)
    if region is None:
        return f"no rules are known for {jurisdiction}"
    if expiry.kind in ("rolling", "fixed_day") and not region.by_time:
        return f"in {jurisdiction} points may not expire by the passage of time alone ({region.source})"
    if expiry.idle_months is not None and expiry.idle_months < region.idle_months:
        return f"in {jurisdiction} it takes at least {region.idle_months} months of inactivity ({region.source})"
    if expiry.kind != "never" and region.notice_most is not None and notice_days > region.notice_most:
        return f"in {jurisdiction} it is told at most {region.notice_most} days before ({region.source})"
    return ""
