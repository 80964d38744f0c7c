"""When points die: a day of the year, so many months after they came, or never (loyalty.md §2.4).

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
    kind: Literal["fixed_day", "rolling", "never"] = "rolling"
    months: int = Field(default=12, ge=1, le=LONGEST)
    """Of ``rolling``: how long they live."""
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
        """The moment (UTC) from which points that live since then are gone; none: they stay."""
        return None if self.kind == "never" else _end(self, since.astimezone(zone).date(), zone)

    def last(self, day: date) -> date:
        """The last day that points of a day live, where they die at all."""
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
    return datetime.combine(expiry.last(day) + timedelta(days=1), time(), zone).astimezone(UTC)


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
    notice_days: int = 0
    """How long before they must have been announced."""
    source: str = ""


REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        "": Region("默认", by_time=True),
        "CA-ON": Region("安大略省", by_time=False, source="Consumer Protection Act 2002 s.47.1, as of 2025"),
        "CA-QC": Region(
            "魁北克省", by_time=False, notice_days=30, source="Consumer Protection Act s.187.7, as of 2025"
        ),
    }
)


def forbidden(expiry: Expiry, jurisdiction: str) -> str:
    """Why points of this place may not die like this; empty: they may. An unknown place forbids."""
    region = REGIONS.get(jurisdiction)
    if region is None:
        return f"no rules are known for {jurisdiction}"
    if expiry.kind != "never" and not region.by_time:
        return f"in {jurisdiction} points may not expire by the passage of time alone ({region.source})"
    return ""
