"""Right filter trees by chance, every field and every operator among them."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from insight.fields import BEHAVIOURS, FIELDS, LIFE, RELATIONS
from insight.values import Names, Since, Times, Yes
from tests.insight.crowd import CHANNELS, LISTS, NOW, PARENTS, REGIONS, REPS, SPANS, TAGS

NAMES: dict[str, list[str]] = {
    "tag": [f"t_{one}" for one in TAGS],
    "life_cycle": list(LIFE),
    "relation": list(RELATIONS),
    "channel": list(CHANNELS.values()),
    "store": [f"d_{one}" for one in PARENTS],
    "rep": list(REPS),
    "owner": list(REPS),
    "region": [*dict.fromkeys(province for province, _ in REGIONS), *(f"{one}/{two}" for one, two in REGIONS if two)],
    "list": [f"s_{one}" for one in LISTS],
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
        kinds = {"kinds": st.lists(st.sampled_from(BEHAVIOURS), min_size=1, max_size=3)} if form.kinds else {}
        return st.fixed_dictionaries({"times": st.integers(0, 4), "days": st.sampled_from(SPANS[1:]), **kinds})
    assert isinstance(form, Since)
    if op == "between":
        return st.tuples(DAYS, DAYS).map(lambda two: {"from": min(two), "to": max(two)})
    return st.sampled_from(SPANS)


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
