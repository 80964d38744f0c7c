"""Right filter trees by chance, every field and every operator among them."""

import random
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from insight.fields import FIELDS, LIFE, RELATIONS
from insight.values import Names, Since, Times, Yes
from tests.insight.crowd import (
    CATEGORIES,
    CHANNELS,
    LISTS,
    NOW,
    PARENTS,
    REGIONS,
    REPS,
    SPANS,
    STORES,
    TAGS,
    TIERS,
)

NAMES: dict[str, list[str]] = {
    "tag": [f"t_{one}" for one in TAGS],
    "life_cycle": list(LIFE),
    "relation": list(RELATIONS),
    "channel": list(CHANNELS.values()),
    "store": [f"d_{one}" for one in PARENTS],
    "rep": list(REPS),
    "owner": list(REPS),
    "region": [*dict.fromkeys(province for province, _ in REGIONS), *(f"{one}/{two}" for one, two in REGIONS if two)],
    "order_store": list(STORES),
    "order_category": [one for one in CATEGORIES if one],
    "tier": list(TIERS),
    "list": [f"s_{one}" for one in LISTS],
}
AMOUNTS = {
    "times": st.integers(0, 4),
    "yuan": st.sampled_from([0, 1, 500, 1200, 1700]),
    "points": st.sampled_from([0, 1, 10, 20, 40, 500]),
}
HOURS = {
    "weekdays": st.lists(st.integers(1, 7), min_size=1, max_size=3),
    "from": st.sampled_from([0, 9, 18, 22]),
    "to": st.sampled_from([2, 12, 19, 24]),
}
DAYS = st.sampled_from([(NOW - timedelta(days=one)).date().isoformat() for one in SPANS])


def _value(field: Any, op: str) -> st.SearchStrategy[Any]:
    form = field.form
    if isinstance(form, Names):
        names = st.sampled_from(NAMES[field.name])
        return names if op in ("has", "is") else st.lists(names, min_size=1, max_size=3)
    if isinstance(form, Yes):
        return st.booleans()
    if isinstance(form, Times):
        kinds = {"kinds": st.lists(st.sampled_from(form.kinds), min_size=1, max_size=3)} if form.kinds else {}
        days = {"days": st.sampled_from(SPANS[1:])} if form.dated else {}
        return st.fixed_dictionaries({form.unit: AMOUNTS[form.unit], **days, **kinds, **(HOURS if form.hours else {})})
    assert isinstance(form, Since)
    if op == "between":
        return st.tuples(DAYS, DAYS).map(lambda two: {"from": min(two), "to": max(two)})
    return st.sampled_from(SPANS)


def some_value(field: Any, op: str, chance: random.Random) -> dict[str, Any]:
    """The value of a condition by chance, as the members it adds."""
    form = field.form
    if op in form.bare:
        return {}
    if isinstance(form, Names):
        name = chance.choice(NAMES[field.name])
        return {"value": name if op in ("has", "is") else [name]}
    if isinstance(form, Times):
        numbers = {"times": (0, 1, 2, 9), "yuan": (0, 1, 500, 5000), "points": (0, 10, 40, 9000)}[form.unit]
        told = {form.unit: chance.choice(numbers)} | ({"days": chance.choice(SPANS[1:])} if form.dated else {})
        told |= {"kinds": [chance.choice(form.kinds)]} if form.kinds else {}
        days = [chance.randint(1, 7)]
        return {"value": told | ({"weekdays": days, "from": 9, "to": chance.choice([2, 24])} if form.hours else {})}
    if op == "between":
        first, last = sorted((NOW - timedelta(days=chance.choice(SPANS))).date() for _ in range(2))
        return {"value": {"from": first.isoformat(), "to": last.isoformat()}}
    return {"value": chance.choice(SPANS)}


@st.composite
def leaves(draw: st.DrawFn) -> dict[str, Any]:
    """One condition."""
    field = draw(st.sampled_from(FIELDS))
    op = draw(st.sampled_from(field.form.ops))
    bare = {"field": field.name, "op": op}
    return bare if op in field.form.bare else {**bare, "value": draw(_value(field, op))}


def trees() -> st.SearchStrategy[dict[str, Any]]:
    """A whole filter."""

    def above(inside: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        return st.one_of(
            st.fixed_dictionaries({"all": st.lists(inside, max_size=3)}),
            st.fixed_dictionaries({"any": st.lists(inside, min_size=1, max_size=3)}),
            st.fixed_dictionaries({"not": inside}),
        )

    return st.recursive(leaves(), above, max_leaves=8)
