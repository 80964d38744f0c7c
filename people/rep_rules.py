"""When our app may write to a rep by itself, and how much her day list asks of her: the shop's own numbers.

What a rep asks the bot is answered at any hour; what comes by itself (reminders, the morning message) waits for her
hours. One set of hours for all: WeCom tells us no rep's shift.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from storage import shop_settings
from storage.work import Work

SETTING = "rep_day"
MOST = {"most": 100, "gap_days": 30, "rest_days": 365}
LEAST = {"most": 1, "gap_days": 0, "rest_days": 1}


class WrongRules(ValueError):
    """What is wrong, by the name of the field, in words for whoever set it."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("；".join(faults.values()))
        self.faults = dict(faults)


@dataclass(frozen=True)
class RepRules:
    """The numbers, with their defaults."""

    starts: time = time(9)
    ends: time = time(21)
    """Between them reps are at work."""
    morning: time = time(9, 30)
    """When the day list is sent."""
    late: time = time(12)
    """After this it is not sent any more that day, however we were kept from it."""
    working_days: bool = True
    """Whether it is sent on working days only (public holidays and make-up days as in the calendar)."""
    occasions: bool = True
    """Whether new friends, birthdays and customers gone quiet make cards by themselves, besides journeys."""
    most: int = 15
    """So many customers with cards a day."""
    gap_days: int = 1
    """After she has dealt with a customer, no further card about them shows for so many days."""
    rest_days: int = 30
    """What she calls irrelevant does not come again for so many days."""

    def at_work(self, moment: datetime, zone: ZoneInfo) -> bool:
        """Whether reps may be written to at this moment."""
        return self.starts <= moment.astimezone(zone).time() < self.ends

    def first_at_work(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The moment itself, or the next at which hours begin."""
        if self.at_work(moment, zone):
            return moment
        local = moment.astimezone(zone)
        day = local.date() if local.time() < self.starts else local.date() + timedelta(days=1)
        return datetime.combine(day, self.starts, zone).astimezone(moment.tzinfo)


def rules(db: Session) -> RepRules:
    """The shop's numbers."""
    set_here = shop_settings.read(db, SETTING)
    known = {one.name for one in fields(RepRules) if one.name in set_here}
    return RepRules(**{name: _read(set_here[name]) for name in known})  # type: ignore[arg-type]


def _read(value: object) -> object:
    return time.fromisoformat(value) if isinstance(value, str) else value


def set_rules(work: Work, wanted: RepRules, *, by: str) -> bool:
    """Change the numbers; False when they are so already. Raises ``WrongRules``."""
    if faults := dict(_faults(wanted)):
        raise WrongRules(faults)
    if wanted == rules(work.db):
        return False
    told = {name: value.strftime("%H:%M") if isinstance(value, time) else value for name, value in _values(wanted)}
    shop_settings.keep(work.db, SETTING, told, by=by, at=work.now)
    return True


def _values(wanted: RepRules) -> list[tuple[str, object]]:
    return list(asdict(wanted).items())


def _faults(wanted: RepRules) -> list[tuple[str, str]]:
    faults = []
    if wanted.starts >= wanted.ends:
        faults.append(("ends", "下班要晚于上班"))
    if not wanted.starts <= wanted.morning < wanted.ends:
        faults.append(("morning", "发清单的时间要在上下班之间"))
    if not wanted.morning < wanted.late <= wanted.ends:
        faults.append(("late", "最晚要晚于发清单的时间，且不晚于下班"))
    for name, most in MOST.items():
        if not LEAST[name] <= getattr(wanted, name) <= most:
            faults.append((name, f"应是 {LEAST[name]}–{most} 的整数"))
    return faults
