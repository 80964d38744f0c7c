"""Random definitions of journeys for property tests: most of them right, some wrong in every way a person can err."""

from typing import Any

from hypothesis import strategies as st

from outreach.journeys.definition import EMPTY

HAPPENS = ("added", "kf_in", "group_joined", "opened")
KINDS = st.lists(st.sampled_from(HAPPENS), min_size=1, max_size=2, unique=True)
TAGGED = {"field": "life_cycle", "op": "is", "value": "new"}


def _targets(number: int, total: int, *, back: bool = False) -> st.SearchStrategy[str]:
    """A later step, or the end; ``back``: any step."""
    names = [f"s{one}" for one in range(0 if back else number + 1, total)]
    return st.sampled_from([*names, "end"])


@st.composite
def steps(draw: st.DrawFn, number: int, total: int, *, back: bool = False) -> dict[str, Any]:
    """One step of so many."""
    do = draw(st.sampled_from(["wait", "wait", "window", "wait_for", "branch", "split", "send", "send", "send", "end"]))
    step: dict[str, Any] = {"id": f"s{number}", "do": do}
    target = _targets(number, total, back=back)
    if do == "wait":
        step |= draw(st.sampled_from([{"minutes": 30}, {"hours": 5}, {"days": 1}, {"days": 1, "at": "10:00"}]))
    elif do == "window":
        step |= {"from": "09:00", "to": draw(st.sampled_from(["18:00", "03:00"])), "working_days": draw(st.booleans())}
    elif do == "wait_for":
        step |= {"kinds": draw(KINDS), "days": draw(st.integers(1, 3)), "then": draw(target), "otherwise": draw(target)}
    elif do == "branch":
        step |= {"ways": [{"if": TAGGED, "to": draw(target)}], "otherwise": draw(target)}
    elif do == "split":
        arms = [{"name": "a", "share": 4000, "to": draw(target)}, {"name": "b", "share": 6000, "to": draw(target)}]
        step |= {"arms": arms}
    elif do == "send":
        ways = draw(st.lists(st.sampled_from(["mass", "kf", "card"]), min_size=1, max_size=3, unique=True))
        step |= {"ways": ways, "text": "你好", "late_hours": draw(st.sampled_from([24, 72, 200]))}
        if draw(st.booleans()):
            step["at"] = draw(st.sampled_from(["10:00", "15:30"]))
    return step


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """A journey by an event of the story."""
    total = draw(st.integers(1, 5))
    goal = draw(st.none() | st.fixed_dictionaries({"kinds": KINDS, "days": st.integers(1, 10)}))
    again = draw(st.sampled_from([{"rule": "never"}, {"rule": "after", "days": 1}, {"rule": "each"}]))
    return {
        **EMPTY,
        "trigger": {"on": "event", "kinds": draw(KINDS)},
        "again": again,
        "goal": goal,
        "exits": {"kinds": draw(st.sampled_from([[], ["opened"]])), "no_match": False},
        "control": draw(st.sampled_from([0, 0, 3000])),
        "priority": draw(st.integers(1, 100)),
        "max_days": draw(st.sampled_from([2, 90])),
        "steps": [draw(steps(number, total)) for number in range(total)],
    }


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Steps that may lead anywhere: back, to themselves, nowhere."""
    total = draw(st.integers(1, 6))
    found = [draw(steps(number, total, back=True)) for number in range(total)]
    for step in found:
        if draw(st.integers(0, 5)) == 0 and step["do"] in ("wait", "window", "send"):
            step["next"] = draw(st.sampled_from([f"s{one}" for one in range(total + 1)] + ["end"]))
    return found
