"""Labels of customers by their points, each a rule in plain sight with numbers that the shop sets.

A label is a filter like any other (``insight.segments``). Once a day ``scheduler.label_jobs`` gives its tag to whoever
fits, and takes it from whoever does not any more. Switched off until the shop wants tags of its customers made by us.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from storage import shop_settings
from storage.work import Work

SETTING = "points_labels"
GROUP = "积分"
"""The group of their tags."""
NEAR_PERCENT = 80
Numbers = Mapping[str, int]


class Wrong(ValueError):
    """A number that makes no sense: which label, which number, and the least and most it may be."""

    def __init__(self, label: str, name: str, least: int, most: int) -> None:
        super().__init__(f"{label}.{name}: {least} to {most}")
        self.label, self.name, self.least, self.most = label, name, least, most


@dataclass(frozen=True)
class Label:
    """One label: what it is called, its numbers, and who has it."""

    key: str
    name: str
    first: Numbers
    """Before the shop has set any."""
    limits: Mapping[str, tuple[int, int]]
    tree: Callable[[Numbers], Mapping[str, Any]]
    because: Callable[[Numbers], str]
    """Why somebody has it, as the tag says it."""


def _least(field: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"field": field, "op": ">=", "value": dict(value)}


def _near(numbers: Numbers) -> dict[str, Any]:
    points = numbers["points"]
    below = {"field": "points", "op": "<", "value": {"points": points}}
    return {"all": [_least("points", {"points": -(-points * NEAR_PERCENT // 100)}), below]}


POINTS, DAYS = (1, 10**9), (1, 3650)
LABELS: tuple[Label, ...] = (
    Label(
        "wealthy",
        "高净值积分持有者",
        {"points": 5_000},
        {"points": POINTS},
        lambda own: _least("points", {"points": own["points"]}),
        lambda own: f"可用积分至少 {own['points']:,} 分",
    ),
    Label(
        "expiring",
        "积分即将过期",
        {"points": 1, "days": 30},
        {"points": POINTS, "days": DAYS},
        lambda own: _least("points_expiring", {"points": own["points"], "days": own["days"]}),
        lambda own: f"{own['days']} 天内过期的积分至少 {own['points']:,} 分",
    ),
    Label(
        "experience",
        "偏好兑换体验类权益",
        {"times": 2, "days": 365},
        {"times": (1, 1000), "days": DAYS},
        lambda own: _least("redemptions", {"kinds": ["experience"], "times": own["times"], "days": own["days"]}),
        lambda own: f"最近 {own['days']} 天里换体验类奖品至少 {own['times']} 次",
    ),
    Label(
        "near",
        "接近兑换门槛",
        {"points": 1_000},
        {"points": POINTS},
        _near,
        lambda own: f"可用积分有 {own['points']:,} 分的八成、还不到",
    ),
)
BY_KEY: Mapping[str, Label] = MappingProxyType({one.key: one for one in LABELS})


def ground_of(label: Label, numbers: Numbers) -> str:
    """What the ground of its tag is called: other numbers are another ground, which says so."""
    return ":".join(("label", label.key, *(str(numbers[name]) for name in label.first)))


@dataclass(frozen=True)
class Settings:
    """As the shop has set them."""

    on: frozenset[str]
    """Labels that are given."""
    numbers: Mapping[str, Numbers]


def settings(db: Session) -> Settings:
    """The shop's own."""
    found = shop_settings.read(db, SETTING)
    told = found.get("numbers", {})
    numbers = {one.key: {**one.first, **told.get(one.key, {})} for one in LABELS}
    return Settings(frozenset(found.get("on", ())) & set(BY_KEY), numbers)


def change(work: Work, wanted: Settings, *, by: str) -> None:
    """Set them. Raises ``Wrong``."""
    for key, numbers in wanted.numbers.items():
        for name, (least, most) in BY_KEY[key].limits.items():
            if not isinstance(numbers.get(name), int) or not least <= numbers[name] <= most:
                raise Wrong(key, name, least, most)
    value = {"on": sorted(wanted.on), "numbers": {key: dict(own) for key, own in wanted.numbers.items()}}
    shop_settings.keep(work.db, SETTING, value, by=by, at=work.now)
