"""Who receives the customers of a channel code right now. Pure: values in, userids out.

A code has main seats and spare seats, perhaps a timetable, perhaps a daily cap per rep. Slots may run past midnight;
then the night belongs to the day on which it began. Public holidays and make-up working days come from the calendar.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

SAME, OFF, ONLY = "same", "off", "only"
"""What a slot does on public holidays: runs as usual, pauses, or runs only then."""


@dataclass(frozen=True)
class Slot:
    """One row of the timetable: these reps, on these weekdays (1 = Monday), from and to in the shop's time."""

    days: tuple[int, ...]
    starts: time
    ends: time
    members: tuple[str, ...]
    holidays: str = SAME

    @classmethod
    def read(cls, row: Mapping[str, object]) -> "Slot":
        """From ``{"days": [1], "from": "09:00", "to": "18:00", "members": […], "holidays": "same"}``.

        Raises ``ValueError`` that names the field at fault.
        """
        days, members = row.get("days"), row.get("members")
        if not isinstance(days, list) or not days or any(day not in range(1, 8) for day in days):
            raise ValueError("days：请选择 1（周一）到 7（周日）")
        if not isinstance(members, list) or not members:
            raise ValueError("members：每个时段至少一名成员")
        holidays = str(row.get("holidays") or SAME)
        if holidays not in (SAME, OFF, ONLY):
            raise ValueError("holidays：只能是 same、off 或 only")
        try:
            starts, ends = time.fromisoformat(str(row.get("from"))), time.fromisoformat(str(row.get("to")))
        except ValueError:
            raise ValueError("from/to：时间写作 09:00") from None
        if starts.tzinfo or ends.tzinfo:
            raise ValueError("from/to：时间写作 09:00，不带时区")
        if starts == ends:
            raise ValueError("from/to：开始和结束不能相同；全天请写 00:00 到 23:59")
        return cls(tuple(sorted(set(days))), starts, ends, tuple(str(one) for one in members), holidays)

    def covers(self, moment: datetime, calendar: Mapping[date, str]) -> bool:
        """Whether the slot is open at this moment (shop time)."""
        now = moment.time()
        if self.starts < self.ends:
            return self._runs_on(moment.date(), calendar) and self.starts <= now < self.ends
        yesterday = moment.date() - timedelta(days=1)
        return (now >= self.starts and self._runs_on(moment.date(), calendar)) or (
            now < self.ends and self._runs_on(yesterday, calendar)
        )

    def _runs_on(self, day: date, calendar: Mapping[date, str]) -> bool:
        kind = calendar.get(day)
        if kind == "holiday":
            return self.holidays == ONLY or (self.holidays == SAME and day.isoweekday() in self.days)
        if self.holidays == ONLY:
            return False
        make_up = kind == "workday" and self.holidays == OFF and any(one <= 5 for one in self.days)
        return day.isoweekday() in self.days or make_up


@dataclass(frozen=True)
class Rota:
    """Everything that decides who serves a code."""

    main: tuple[str, ...]
    spare: tuple[str, ...]
    slots: tuple[Slot, ...] = ()
    daily_cap: int | None = None
    stopped: bool = False


@dataclass(frozen=True)
class Serving:
    """Who serves, and in words why it is not the main reps; ``trouble`` when nobody can."""

    userids: tuple[str, ...]
    why: str = ""
    trouble: str | None = None


def who_serves(
    rota: Rota,
    moment: datetime,
    *,
    able: Collection[str],
    arrivals_today: Mapping[str, int],
    calendar: Mapping[date, str],
) -> Serving:
    """The reps who should receive customers at ``moment`` (shop time).

    ``able`` are the members who can serve at all; ``arrivals_today`` counts each rep's arrivals over this code.
    """
    spare = tuple(one for one in rota.spare if one in able)
    if rota.stopped:
        if spare:
            return Serving(spare, "已停用，由备用成员接待")
        return Serving((), trouble="已停用，且没有可接待的备用成员")
    on_duty = _on_duty(rota, moment, calendar)
    there = tuple(one for one in on_duty if one in able)
    free = tuple(one for one in there if not _full(rota, arrivals_today.get(one, 0)))
    if free:
        return Serving(free)
    why = "今天都已达上限" if there else ("当前时段没有人值班" if not on_duty else "值班成员都不能接待")
    if spare:
        return Serving(spare, f"{why}，由备用成员接待")
    if there:
        return Serving(there, f"{why}，但没有备用成员，仍由他们接待")
    return Serving((), trouble=f"{why}，也没有可接待的备用成员")


def _on_duty(rota: Rota, moment: datetime, calendar: Mapping[date, str]) -> tuple[str, ...]:
    if not rota.slots:
        return rota.main
    open_now: Sequence[Slot] = [slot for slot in rota.slots if slot.covers(moment, calendar)]
    return tuple(dict.fromkeys(member for slot in open_now for member in slot.members))


def _full(rota: Rota, arrivals: int) -> bool:
    return rota.daily_cap is not None and arrivals >= rota.daily_cap
