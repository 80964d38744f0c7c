"""The form of a journey: its head and its steps as typed, kept as typed until right. Every button posts all of it.

A condition is one of the segments, whose filter is copied; a filter that no segment has is kept beside it and shown in
words. A step is a mapping of what stands in its fields (``Typed``), and becomes a step of a definition in ``steps``.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from console import here
from console.journey_words import STEP_WORDS, fault
from console.words import N_, _, listed, mark
from insight.segments import LIVE
from outreach.arms import BUCKETS
from outreach.journeys import definition as shape
from outreach.journeys.definition import END, WrongJourney
from storage.tables import Segment

Typed = dict[str, Any]
EVERYBODY, KEPT = "everybody", "kept"
MOST_PARTS = 10
"""Ways of a branch, and arms of a split, that a page may send."""
LONGEST_TEXT, LONGEST_JSON = 20_000, 20_000
PLAIN = (
    "unit",
    "number",
    "at",
    "from",
    "to",
    "days",
    "then",
    "otherwise",
    "next",
    "late",
    "late_hours",
    "url",
    "points",
    "reason",
    "times",
    "cap",
)
"""Fields of steps that are one short text each."""
LONG = {"url": 2000, "reason": 100}
LISTS = ("kinds", "add", "remove")
PERCENT = re.compile(r"\d{1,3}(\.\d{1,2})?", re.ASCII)
NEW: Mapping[str, Typed] = {
    "wait": {"unit": "days", "number": "3", "at": "10:00"},
    "window": {"from": "09:00", "to": "18:00"},
    "wait_for": {"kinds": ["kf_in"], "days": "3"},
    "branch": {"parts": [{"if": "", "kept": "", "to": END}]},
    "split": {"parts": [{"name": "A", "share": "50", "to": ""}, {"name": "B", "share": "50", "to": ""}]},
    "send": {"ways": ["card"], "text": "", "late_hours": "72", "late": shape.NEXT_WINDOW},
    "task": {"text": "", "days": "0"},
    "tag": {},
    "give": {"points": "50", "reason": ""},
    "boost": {"times": "2", "cap": "200", "days": "14"},
    "webhook": {"url": ""},
    "goal": {},
    "end": {},
}
"""What a new step begins with."""


@dataclass(frozen=True)
class Choices:
    """The segments there are, for conditions that are chosen by name."""

    segments: Sequence[Segment]

    def tree(self, chosen: str, kept: str) -> Any:
        """The filter that was chosen: everybody, the one that is kept, or a segment's; text for what is none."""
        if chosen == EVERYBODY:
            return {"all": []}
        if chosen == KEPT:
            return _read_json(kept)
        return next((condition_of(one) for one in self.segments if str(one.id) == chosen), chosen)

    def chosen(self, tree: Any) -> str:
        """How a filter is chosen: the first segment that has it, or kept."""
        if tree == {"all": []}:
            return EVERYBODY
        return next((str(one.id) for one in self.segments if condition_of(one) == tree), KEPT)


def condition_of(segment: Segment) -> dict[str, Any]:
    """A segment as a condition: its filter, or being on its list."""
    if segment.kind == LIVE:
        return dict(segment.filter)
    return {"field": "list", "op": "is", "value": f"s_{segment.id}"}


def _read_json(raw: str) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw


@dataclass(frozen=True)
class JourneyForm:
    """The fields as they stand on the page."""

    name: str = ""
    on: str = "event"
    kinds: tuple[str, ...] = ("added",)
    material: str = ""
    segment: str = ""
    first: bool = False
    stages: tuple[str, ...] = ()
    around: str = "on"
    """A birthday: ``before``, ``on`` it, ``after``."""
    around_days: str = "0"
    date: str = "birthday"
    threshold: str = ""
    """Points; empty: of the cheapest reward."""
    amount: str = ""
    stores: str = ""
    categories: str = ""
    """Of an order: yuan at least, and names with commas between them."""
    at: str = "10:00"
    every: str = "day"
    weekdays: tuple[int, ...] = ()
    month_days: str = ""
    who: str = EVERYBODY
    who_kept: str = ""
    again: str = shape.NEVER
    again_days: str = "30"
    exit_kinds: tuple[str, ...] = ()
    no_match: bool = False
    goal_kinds: tuple[str, ...] = ()
    goal_days: str = "14"
    control: str = "0"
    """Percent."""
    service: bool = False
    priority: str = "50"
    max_days: str = "90"
    steps: tuple[Typed, ...] = ()
    version: int = 0
    errors: Mapping[str, str] = field(default_factory=dict)
    """By the part of the head, or ``step-2``."""
    opened: int | None = None
    """The step that the page opens, with the cursor in it."""

    def definition(self, choices: Choices) -> dict[str, Any]:
        """What the form asks for, right or not."""
        kinds = list(self.goal_kinds)
        return {
            "trigger": self._trigger(),
            "who": choices.tree(self.who, self.who_kept),
            "again": {"rule": self.again} | ({"days": number(self.again_days)} if self.again == shape.AFTER else {}),
            "exits": {"kinds": list(self.exit_kinds), "no_match": self.no_match},
            "goal": {"kinds": kinds, "days": number(self.goal_days)} if kinds else None,
            "control": _share(self.control),
            "service": self.service,
            "priority": number(self.priority),
            "max_days": number(self.max_days),
            "steps": [step_of(one, choices) for one in self.steps],
        }

    def _trigger(self) -> dict[str, Any]:
        own = {
            "event": {"kinds": list(self.kinds)} | self._order(),
            "segment": {"segment": number(self.segment), "first": self.first},
            "stage": {"to": list(self.stages)},
            "date": {"date": self.date, "days": self._around(), "at": self.at} | self._threshold(),
            "schedule": {"every": self.every, "at": self.at} | self._days(),
        }
        return {"on": self.on, **own.get(self.on, {})}

    def _order(self) -> dict[str, Any]:
        """Which of them: the link's, the order's."""
        told: dict[str, Any] = {"material": number(self.material)} if self.material else {}
        told |= {"amount": number(self.amount)} if self.amount else {}
        named = {"stores": _names(self.stores), "categories": _names(self.categories)}
        return told | {name: some for name, some in named.items() if some}

    def _threshold(self) -> dict[str, Any]:
        return {"points": number(self.threshold)} if self.date == "near_points" and self.threshold else {}

    def _around(self) -> Any:
        days = number(self.around_days)
        if self.date == "near_points":
            return 0
        if self.date != "birthday":
            return -days if self.date != "last_order" and isinstance(days, int) else days
        if self.around == "on":
            return 0
        return -days if self.around == "before" and isinstance(days, int) else days

    def _days(self) -> dict[str, Any]:
        if self.every == "week":
            return {"days": list(self.weekdays)}
        if self.every == "month":
            typed = self.month_days.replace("，", ",").replace("、", ",").replace(" ", ",").split(",")
            return {"days": [number(one) for one in typed if one]}
        return {}

    def with_faults(self, error: WrongJourney) -> "JourneyForm":
        """The form with each fault beside the part or the step it is about."""
        errors: dict[str, list[str]] = {}
        for place, words in error.faults:
            of_step = place[:1] == ("steps",) and len(place) > 1
            where = f"step-{place[1]}" if of_step else str(place[0]) if place else ""
            said = fault(place, words)
            errors.setdefault(where, []).extend([] if said in errors.get(where, []) else [said])
        return replace(self, errors={where: listed(some, "；") for where, some in errors.items()})

    def changed(self, do: str, sent: Mapping[str, str]) -> "JourneyForm":
        """After a button: ``add`` (a step of the kind chosen), ``up-2``, ``down-2``, ``drop-2``, ``part-2``."""
        verb, _dash, where = do.partition("-")
        places = [int(one) for one in where.split("-") if one.isascii() and one.isdecimal()]
        if verb == "add" and sent.get("add_do") in NEW and len(self.steps) < shape.MAX_STEPS:
            return self._added(str(sent["add_do"]), here.number(sent.get("add_at")))
        if not places or places[0] >= len(self.steps) or verb not in _BUTTONS:
            return self
        return _BUTTONS[verb](self, places)

    def _added(self, do: str, at: int | None) -> "JourneyForm":
        taken = {one["id"] for one in self.steps}
        name = next(f"s{n}" for n in range(1, shape.MAX_STEPS + 2) if f"s{n}" not in taken)
        place = len(self.steps) if at is None else min(at, len(self.steps))
        new = {"id": name, "do": do, **json.loads(json.dumps(NEW[do]))}
        return replace(self, steps=(*self.steps[:place], new, *self.steps[place:]), opened=place)


def _names(typed: str) -> list[str]:
    """What stands between commas, of either kind."""
    parts = typed.replace("，", ",").replace("、", ",").split(",")
    return list(dict.fromkeys(one.strip() for one in parts if one.strip()))


def _share(typed: str) -> Any:
    """Percent as ten-thousandths: 12.5 is 1,250."""
    return round(float(typed) * BUCKETS / 100) if PERCENT.fullmatch(typed) else typed


def number(typed: str) -> Any:
    """The whole number that was typed, or what was typed instead."""
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= 15 else typed


# --- buttons ---------------------------------------------------------------------------------------------------------


def _moved(form: JourneyForm, place: int, to: int) -> JourneyForm:
    if not 0 <= to < len(form.steps):
        return replace(form, opened=place)
    steps = list(form.steps)
    steps.insert(to, steps.pop(place))
    return replace(form, steps=tuple(steps), opened=to)


def _dropped(form: JourneyForm, place: int) -> JourneyForm:
    """Without a step; what led to it goes on in order, or ends where a way must lead somewhere."""
    gone = form.steps[place]["id"]
    kept = [_led_away(one, gone) for number_, one in enumerate(form.steps) if number_ != place]
    return replace(form, steps=tuple(kept), opened=min(place, len(kept) - 1) if kept else None)


def _led_away(step: Typed, gone: str) -> Typed:
    found: Typed = {name: "" if name in shape.TARGETS and value == gone else value for name, value in step.items()}
    after = END if step["do"] == "branch" else ""
    if "parts" in found:
        found["parts"] = [{**one, "to": after} if one.get("to") == gone else one for one in found["parts"]]
    return found


def _one_changed(form: JourneyForm, place: int, **changes: Any) -> JourneyForm:
    steps = list(form.steps)
    steps[place] = {**steps[place], **changes}
    return replace(form, steps=tuple(steps), opened=place)


def _part_added(form: JourneyForm, place: int) -> JourneyForm:
    step = form.steps[place]
    parts = step.get("parts", [])
    new = {"if": "", "kept": "", "to": END} if step["do"] == "branch" else {"name": "", "share": "0", "to": ""}
    return _one_changed(form, place, parts=[*parts, new][:MOST_PARTS])


def _part_dropped(form: JourneyForm, places: Sequence[int]) -> JourneyForm:
    parts = form.steps[places[0]].get("parts", [])
    return _one_changed(form, places[0], parts=[one for n, one in enumerate(parts) if n not in places[1:]])


def _unpinned(form: JourneyForm, places: Sequence[int]) -> JourneyForm:
    rows = form.steps[places[0]].get("attachments", [])
    return _one_changed(form, places[0], attachments=[one for n, one in enumerate(rows) if n not in places[1:]])


_BUTTONS: Mapping[str, Callable[[JourneyForm, Sequence[int]], JourneyForm]] = {
    "up": lambda form, places: _moved(form, places[0], places[0] - 1),
    "down": lambda form, places: _moved(form, places[0], places[0] + 1),
    "drop": lambda form, places: _dropped(form, places[0]),
    "part": lambda form, places: _part_added(form, places[0]),
    "unpart": _part_dropped,
    "unpin": _unpinned,
}


def pinned(form: JourneyForm, place: int, rows: Sequence[Mapping[str, Any]], most: int) -> JourneyForm:
    """The form with further attachments at a step, and with the words of the library that stand beside them."""
    known = form.steps[place].get("attachments", [])
    return _one_changed(form, place, attachments=[*known, *map(dict, rows)][:most])


# --- a step of the form as a step of a definition, and back ----------------------------------------------------------


def step_of(typed: Typed, choices: Choices) -> dict[str, Any]:
    """A step as it is kept."""
    do = typed["do"]
    step = {"id": typed["id"], "do": do, **_OF_STEPS[do](typed, choices)}
    return step | ({"next": typed["next"]} if typed.get("next") and do not in _WITHOUT_NEXT else {})


_WITHOUT_NEXT = ("wait_for", "branch", "split", "end")


def _wait(typed: Typed, _choices: Choices) -> Typed:
    unit = str(typed["unit"]) if typed.get("unit") in ("minutes", "hours") else "days"
    at = {"at": typed["at"]} if unit == "days" and typed.get("at") else {}
    return {unit: number(typed.get("number", ""))} | at


def _window(typed: Typed, _choices: Choices) -> Typed:
    own: Typed = {"from": typed.get("from", ""), "to": typed.get("to", "")}
    return own | ({"working_days": True} if typed.get("working_days") else {})


def _wait_for(typed: Typed, _choices: Choices) -> Typed:
    led = {name: typed[name] for name in ("then", "otherwise") if typed.get(name)}
    return {"kinds": typed.get("kinds", []), "days": number(typed.get("days", "")), **led}


def _branch(typed: Typed, choices: Choices) -> Typed:
    ways = [{"if": choices.tree(one["if"], one["kept"]), "to": one["to"] or END} for one in typed.get("parts", [])]
    return {"ways": ways} | ({"otherwise": typed["otherwise"]} if typed.get("otherwise") else {})


def _split(typed: Typed, _choices: Choices) -> Typed:
    arms = [
        {"name": one["name"], "share": _share(one["share"])} | ({"to": one["to"]} if one["to"] else {})
        for one in typed.get("parts", [])
    ]
    return {"arms": arms}


def _send(typed: Typed, _choices: Choices) -> Typed:
    own: Typed = {"ways": typed.get("ways", []), "text": typed.get("text", "")}
    own |= {"at": typed["at"]} if typed.get("at") else {}
    hours, late = typed.get("late_hours", ""), typed.get("late", "")
    own |= {"late_hours": number(hours)} if hours not in ("", "72") else {}
    own |= {"late": late} if late not in ("", shape.NEXT_WINDOW) else {}
    own |= {"mass_text": typed["mass_text"]} if typed.get("mass_text") else {}
    return own | ({"attachments": typed["attachments"]} if typed.get("attachments") else {})


def _task(typed: Typed, _choices: Choices) -> Typed:
    days = typed.get("days", "")
    return {"text": typed.get("text", "")} | ({"days": number(days)} if days not in ("", "0") else {})


def _tag(typed: Typed, _choices: Choices) -> Typed:
    return {name: typed[name] for name in ("add", "remove") if typed.get(name)}


def _give(typed: Typed, _choices: Choices) -> Typed:
    return {"points": number(typed.get("points", "")), "reason": typed.get("reason", "")}


def _boost(typed: Typed, _choices: Choices) -> Typed:
    return {name: number(typed.get(name, "")) for name in ("times", "cap", "days")}


def _webhook(typed: Typed, _choices: Choices) -> Typed:
    return {"url": typed.get("url", "")}


def _nothing(_typed: Typed, _choices: Choices) -> Typed:
    return {}


_OF_STEPS: Mapping[str, Callable[[Typed, Choices], Typed]] = {
    "wait": _wait,
    "window": _window,
    "wait_for": _wait_for,
    "branch": _branch,
    "split": _split,
    "send": _send,
    "task": _task,
    "tag": _tag,
    "give": _give,
    "boost": _boost,
    "webhook": _webhook,
    "goal": _nothing,
    "end": _nothing,
}


def typed_of(step: Mapping[str, Any], choices: Choices) -> Typed:
    """The fields of a step that is kept."""
    typed: Typed = {name: value if isinstance(value, list | str) else str(value) for name, value in step.items()}
    if step["do"] == "wait":
        unit = next(one for one in ("minutes", "hours", "days") if one in step)
        typed |= {"unit": unit, "number": str(step[unit])}
        typed.pop("days", None)
    if step["do"] == "window":
        typed["working_days"] = bool(step.get("working_days"))
    if step["do"] == "branch":
        typed["parts"] = [
            {"if": choices.chosen(one["if"]), "kept": json.dumps(one["if"], ensure_ascii=False), "to": one["to"]}
            for one in step["ways"]
        ]
    if step["do"] == "split":
        shares = [f"{one['share'] * 100 / BUCKETS:g}" for one in step["arms"]]
        typed["parts"] = [
            {"name": one["name"], "share": share, "to": one.get("to", "")}
            for one, share in zip(step["arms"], shares, strict=True)
        ]
    if step["do"] == "send":
        typed = {"late_hours": "72", "late": shape.NEXT_WINDOW, **typed}
        typed |= {"material": step["material"]} if "material" in step else {}
    return {"days": "0", **typed} if step["do"] == "task" else typed


def of_journey(name: str, definition: shape.Definition, version: int, choices: Choices) -> JourneyForm:
    """The form of a journey as it is kept."""
    trigger, again, goal = definition["trigger"], definition["again"], definition["goal"]
    days = trigger.get("days", 0 if trigger["on"] == "date" else [])
    around = trigger["days"] if trigger["on"] == "date" else 0
    return JourneyForm(
        name=name,
        on=trigger["on"],
        kinds=tuple(trigger.get("kinds", ())),
        material=str(trigger.get("material", "")),
        segment=str(trigger.get("segment", "")),
        first=bool(trigger.get("first")),
        stages=tuple(trigger["to"]) if trigger["on"] == "stage" else (),
        date=trigger.get("date", "birthday"),
        threshold=str(trigger.get("points", "")),
        amount=str(trigger.get("amount", "")),
        stores="，".join(trigger.get("stores", ())),
        categories="，".join(trigger.get("categories", ())),
        around="before" if around < 0 else "after" if around else "on",
        around_days=str(abs(around)),
        at=trigger.get("at", "10:00"),
        every=trigger.get("every", "day"),
        weekdays=tuple(days) if trigger.get("every") == "week" else (),
        month_days=", ".join(map(str, days)) if trigger.get("every") == "month" else "",
        who=choices.chosen(definition["who"]),
        who_kept=json.dumps(definition["who"], ensure_ascii=False),
        again=again["rule"],
        again_days=str(again.get("days", 30)),
        exit_kinds=tuple(definition["exits"]["kinds"]),
        no_match=definition["exits"]["no_match"],
        goal_kinds=tuple(goal["kinds"]) if goal else (),
        goal_days=str(goal["days"]) if goal else "14",
        control=f"{definition['control'] * 100 / BUCKETS:g}",
        service=definition["service"],
        priority=str(definition["priority"]),
        max_days=str(definition["max_days"]),
        steps=tuple(typed_of(one, choices) for one in definition["steps"]),
        version=version,
    )


# --- reading what was sent -------------------------------------------------------------------------------------------


def read(sent: MultiDict[str, str]) -> JourneyForm:
    """The form as it was sent."""
    return JourneyForm(
        name=sent.get("name", "").strip()[:200],
        on=_short(sent, "on"),
        kinds=_several(sent, "kinds"),
        material=_short(sent, "material"),
        segment=_short(sent, "segment"),
        first=sent.get("first") == "1",
        stages=_several(sent, "stages"),
        around=_short(sent, "around"),
        date=_short(sent, "date") or "birthday",
        threshold=_short(sent, "threshold"),
        amount=_short(sent, "amount"),
        stores=sent.get("stores", "").strip()[:500],
        categories=sent.get("categories", "").strip()[:500],
        around_days=_short(sent, "around_days"),
        at=_short(sent, "at"),
        every=_short(sent, "every"),
        weekdays=tuple(int(one) for one in sent.getlist("weekdays") if one and one in "1234567"),
        month_days=sent.get("month_days", "").strip()[:100],
        who=_short(sent, "who") or EVERYBODY,
        who_kept=sent.get("who_kept", "")[:LONGEST_JSON],
        again=_short(sent, "again"),
        again_days=_short(sent, "again_days"),
        exit_kinds=_several(sent, "exit_kinds"),
        no_match=sent.get("no_match") == "1",
        goal_kinds=_several(sent, "goal_kinds"),
        goal_days=_short(sent, "goal_days"),
        control=_short(sent, "control") or "0",
        service=sent.get("service") == "1",
        priority=_short(sent, "priority"),
        max_days=_short(sent, "max_days"),
        steps=tuple(_sent_step(sent, place) for place in range(shape.MAX_STEPS) if f"s{place}-do" in sent),
        version=here.number(sent.get("version")) or 0,
    )


def _short(sent: MultiDict[str, str], name: str) -> str:
    return sent.get(name, "").strip()[:20]


def _several(sent: MultiDict[str, str], name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one[:40] for one in sent.getlist(name) if one))[:50]


def _sent_step(sent: MultiDict[str, str], place: int) -> Typed:
    def own(name: str) -> str:
        return sent.get(f"s{place}-{name}", "").strip()

    do = own("do") if own("do") in NEW else "end"
    typed: Typed = {"id": own("id")[:20], "do": do}
    typed |= {name: own(name)[: LONG.get(name, 20)] for name in PLAIN if f"s{place}-{name}" in sent}
    typed |= {name: list(_several(sent, f"s{place}-{name}")) for name in LISTS}
    typed["text"] = sent.get(f"s{place}-text", "").replace("\r\n", "\n")[:LONGEST_TEXT]
    typed["mass_text"] = sent.get(f"s{place}-mass_text", "").replace("\r\n", "\n")[:LONGEST_TEXT]
    typed["working_days"] = own("working_days") == "1"
    if do == "send":
        typed["ways"] = [one for one in (own(f"way{n}") for n in range(len(shape.WAYS))) if one]
        typed["attachments"] = _rows(_read_json(own("attachments")[:LONGEST_JSON] or "[]"))
        typed["material"] = here.number(own("material"))
    if do in ("branch", "split"):
        typed["parts"] = [_sent_part(sent, f"s{place}-p{n}") for n in range(MOST_PARTS) if f"s{place}-p{n}-to" in sent]
    return typed


def _rows(sent: Any) -> list[dict[str, Any]]:
    """Attachments as they were kept with the form; what no form of ours sends is left out."""
    rows = [one for one in sent if isinstance(one, dict)] if isinstance(sent, list) else []
    return [one for one in rows if all(isinstance(each, str | bool) or _is_id(each) for each in one.values())]


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, int) and 0 <= value <= here.LARGEST)


def _sent_part(sent: MultiDict[str, str], name: str) -> Typed:
    return {
        "if": sent.get(f"{name}-if", "")[:20],
        "kept": sent.get(f"{name}-kept", "")[:LONGEST_JSON],
        "name": sent.get(f"{name}-name", "").strip()[:40],
        "share": sent.get(f"{name}-share", "").strip()[:5],
        "to": sent.get(f"{name}-to", "")[:20],
    }


# --- what a step is called while it is being written -----------------------------------------------------------------

UNITS: Mapping[str, str] = {"minutes": N_("分钟"), "hours": N_("小时"), "days": N_("天")}
BRIEF = 18
"""Signs of a text in a step's short name."""


def brief(step: Typed) -> str:
    """A step in a few words, also while it is not right: its kind, and how long or what."""
    do = step["do"]
    more = ""
    if do == "wait":
        unit = step.get("unit") if step.get("unit") in UNITS else "days"
        at = step.get("at", "") if unit == "days" else ""
        more = f"{step.get('number', '')} {_(UNITS[str(unit)])} {at}".strip()
    elif do == "window":
        more = f"{step.get('from', '')}–{step.get('to', '')}"
    elif do in ("give", "boost"):
        more = str(step.get("points", "")) or f"× {step.get('times', '')}"
    elif do in ("send", "task"):
        text = " ".join(str(step.get("text", "")).split())
        more = f"{text[:BRIEF]}…" if len(text) > BRIEF else text
    words = _(STEP_WORDS[do][0])
    return f"{words}{mark('：')}{more}" if more else words


def targets(form: JourneyForm, briefs: Sequence[str]) -> list[tuple[str, str]]:
    """Every place that a step can lead to: each step by its number and what it is, and the end."""
    steps = [
        (str(one["id"]), _("第 %(n)s 步 %(what)s", n=place, what=words))
        for place, (one, words) in enumerate(zip(form.steps, briefs, strict=True), 1)
    ]
    return [*steps, (END, _("结束"))]
