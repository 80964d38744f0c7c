"""What a journey is: a trigger, who may set out, and steps of which each names the next. Pure but for filters.

A definition is data, kept in versions that never change::

    {"trigger": {"on": "event", "kinds": ["added"]}, "who": {"all": []}, "again": {"rule": "never"},
     "exits": {"kinds": [], "no_match": false}, "goal": {"kinds": ["kf_in"], "days": 7},
     "control": 1000, "service": false, "priority": 50, "max_days": 90,
     "steps": [{"id": "s1", "do": "wait", "days": 1, "at": "10:00"},
               {"id": "s2", "do": "send", "ways": ["card"], "text": "…"}]}

A step leads to the one after it unless ``next`` names another (or ``end``); the last one ends the journey. ``check``
refuses what would stand still, lead nowhere or turn for ever, with the place of every fault.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import time
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from insight import segments
from insight.fields import BEHAVIOURS, LIFE
from insight.values import Fault, Place
from loyalty import authority
from outreach import contents
from outreach.arms import BUCKETS
from tagging import placeholders
from wecom.attachments import MAX_ATTACHMENTS

Step = Mapping[str, Any]
Definition = Mapping[str, Any]

END = "end"
MASS, KF, CARD = WAYS = ("mass", "kf", "card")
"""By a task that the rep confirms, in 微信客服 within its window, by a card from which the rep writes with one tap."""
NEVER, AFTER, EACH = ("never", "after", "each")
SEND_NOW, NEXT_WINDOW, SKIP = LATENESS = ("send_now", "next_window", "skip")
KINDS = (*BEHAVIOURS, "opened")
"""Kinds of the story on which somebody can set out, or which end a wait."""
TRIGGERS = ("event", "segment", "stage", "date", "schedule", "api")
EARNED = "points_earned"
"""What lets somebody set out beside the kinds of the story: an order that earned, or points that were given."""
TRIGGER_KINDS = (*KINDS, EARNED)
ORDER_KINDS = ("bought", "refunded")
DATES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "birthday": (-60, 60),
        "points_end": (-90, -1),
        "tier_end": (-90, -1),
        "last_order": (1, 365),
        "near_points": (0, 0),
    }
)
"""Days a journey can wait for, and from how many days before (negative) to how many after it can begin."""
EVERY = ("day", "week", "month")
GIVEN = "points_given"
"""The kind of the story line that says that a journey gave points."""
LINES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType({EARNED: ("bought", GIVEN)})
"""By which lines of the story something is seen that is no kind of line itself."""
BOOSTED = "boost_given"
MAX_STEPS = 50
MAX_VISITS = 20
"""So often one round may come to the same step; then it is a circle without end, and is left."""
MAX_DAYS = 365
LARGEST = 2**53
"""No id reaches it."""
CONTROL_AT_MOST = 5000
TEXT_AT_MOST = 4000
KF_TEXT_AT_MOST = 1800
"""WeCom takes 2,048 bytes there; the shop's privacy notice may stand below the first."""
NAME = re.compile(r"[a-z0-9_]{1,20}", re.ASCII)
CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
PLACEHOLDER = re.compile(r"\{(\w*)\}")
PERSONAL = ("name", "rep", "points", "expiring", "me")
"""What a text to one person may name besides links; one text for many only names the rep."""
COMMON = ("rep",)
MOST_GIVEN = 10_000
TARGETS = ("next", "then", "otherwise")
"""What of a step names another."""
EMPTY: Definition = MappingProxyType(
    {
        "trigger": {"on": "event", "kinds": ["added"]},
        "who": {"all": []},
        "again": {"rule": NEVER},
        "exits": {"kinds": [], "no_match": False},
        "goal": None,
        "control": 0,
        "service": False,
        "priority": 50,
        "max_days": 90,
        "steps": [],
    }
)


class WrongJourney(ValueError):
    """What is wrong with a journey: pairs of a place (``steps[2].text``) and what would be right there."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("；".join(f"{segments.spelt(place)}：{words}" for place, words in faults))
        self.faults = list(faults)


# --- reading ---------------------------------------------------------------------------------------------------------


def steps_of(definition: Definition) -> dict[str, Step]:
    """The steps by their names, in order."""
    return {str(one["id"]): one for one in definition["steps"]}


def following(definition: Definition, step: Step) -> str:
    """Where a step leads when it says nothing of its own: to the next in the list, or to the end."""
    if step.get("next"):
        return str(step["next"])
    names = list(steps_of(definition))
    place = names.index(str(step["id"])) + 1
    return names[place] if place < len(names) else END


def leads_to(definition: Definition, step: Step) -> tuple[str, ...]:
    """All the places a step can lead to."""
    after = following(definition, step)
    if step["do"] == "end":
        return (END,)
    if step["do"] == "wait_for":
        return (str(step.get("then") or after), str(step.get("otherwise") or after))
    if step["do"] == "branch":
        return (*(str(one["to"]) for one in step["ways"]), str(step.get("otherwise") or after))
    if step["do"] == "split":
        return tuple(str(one.get("to") or after) for one in step["arms"])
    return (after,)


def listens_to(definition: Definition) -> frozenset[str]:
    """The kinds of the story that concern it: who sets out, who has got there, who leaves, who waits for it."""
    kinds = set(definition["exits"].get("kinds") or ())
    if definition["trigger"]["on"] == "event":
        kinds |= {each for one in definition["trigger"]["kinds"] for each in LINES_OF.get(one, (one,))}
    if definition["goal"]:
        kinds |= set(definition["goal"]["kinds"])
    for step in definition["steps"]:
        if step["do"] == "wait_for":
            kinds |= set(step["kinds"])
    return frozenset(kinds)


def clock(text: str) -> time:
    """``10:00`` as a time of day."""
    return time.fromisoformat(text)


# --- checking --------------------------------------------------------------------------------------------------------


def check(db: Session, definition: Any) -> None:
    """Raise ``WrongJourney`` with every fault of a definition that is to be published."""
    faults = list(_faults(db, definition))
    if faults:
        raise WrongJourney(faults[: segments.MAX_FAULTS])


def check_shape(db: Session, definition: Any) -> None:
    """The same for one that is still being written: its list of steps may be empty, and lead nowhere yet."""
    faults = list(_faults(db, definition, whole=False))
    if faults:
        raise WrongJourney(faults[: segments.MAX_FAULTS])


def _faults(db: Session, definition: Any, *, whole: bool = True) -> Iterator[Fault]:
    if not isinstance(definition, Mapping) or set(definition) != set(EMPTY):
        yield (), f"应有且只有这些项：{'、'.join(EMPTY)}"
        return
    yield from _trigger_faults(db, definition["trigger"])
    yield from _filter_faults(db, definition["who"], ("who",))
    yield from _again_faults(definition["again"], definition["trigger"])
    yield from _exit_faults(definition["exits"])
    yield from _goal_faults(definition["goal"])
    yield from _number(definition["control"], 0, CONTROL_AT_MOST, ("control",), "万分之几的人作对照")
    if not isinstance(definition["service"], bool):
        yield ("service",), "应是 true 或 false：是不是服务，长期对照组的人也会收到"
    yield from _number(definition["priority"], 1, 100, ("priority",), "优先级，大的先")
    yield from _number(definition["max_days"], 1, MAX_DAYS, ("max_days",), "最多走多少天")
    steps = definition["steps"]
    if not isinstance(steps, list) or len(steps) > MAX_STEPS or not all(isinstance(one, Mapping) for one in steps):
        yield ("steps",), f"应是步骤的列表，最多 {MAX_STEPS} 步"
        return
    own = list(_steps_faults(db, steps))
    yield from own
    if not own and whole:
        yield from way_faults(definition)


def _number(value: Any, least: int, most: int, place: Place, what: str) -> Iterator[Fault]:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        yield place, f"应是 {least}–{most} 的整数（{what}）"


def _filter_faults(db: Session, tree: Any, place: Place) -> Iterator[Fault]:
    try:
        segments.check(db, tree)
    except segments.WrongFilter as error:
        for (_, *below), words in error.faults:
            yield (*place, *below), words


def _members(value: Any, place: Place, needed: Sequence[str], free: Sequence[str] = ()) -> Iterator[Fault]:
    """That something is a mapping with these members."""
    if not isinstance(value, Mapping):
        yield place, f"应写作 {{{'、'.join(needed)}}}"
        return
    for name in needed:
        if name not in value:
            yield (*place, name), "缺少这一项"
    for name in sorted(str(one) for one in set(value) - {*needed, *free}):
        yield (*place, name), "没有这一项"


def _kind_faults(value: Any, place: Place, *, least: int = 1, kinds: Sequence[str] = KINDS) -> Iterator[Fault]:
    right = isinstance(value, list) and least <= len(value) <= len(kinds) and all(one in kinds for one in value)
    if not right:
        yield place, f"应是列表{'，至少一项' if least else ''}：{'、'.join(kinds)}"


def _clock_faults(value: Any, place: Place) -> Iterator[Fault]:
    if not isinstance(value, str) or CLOCK.fullmatch(value) is None:
        yield place, "应是时刻，写作 10:00"


def _trigger_faults(db: Session, trigger: Any) -> Iterator[Fault]:
    on = trigger.get("on") if isinstance(trigger, Mapping) else None
    if on not in TRIGGERS:
        yield ("trigger", "on"), f"应是其中之一：{'、'.join(TRIGGERS)}"
        return
    needed, free, further = _OF_TRIGGERS[on]
    wrong = list(_members(trigger, ("trigger",), ("on", *needed), free))
    yield from wrong or further(db, trigger)


def _event_faults(_: Session, trigger: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _kind_faults(trigger["kinds"], ("trigger", "kinds"), kinds=TRIGGER_KINDS)
    if "material" in trigger:
        yield from _number(trigger["material"], 1, 10**15, ("trigger", "material"), "素材的编号")
    if "amount" in trigger:
        yield from _number(trigger["amount"], 1, 10**7, ("trigger", "amount"), "至少多少元")
    for name in ("stores", "categories"):
        if name in trigger and not _is_texts(trigger[name]):
            yield ("trigger", name), "应是名称的列表，1–50 项，和订单里写的一样"


def _is_texts(value: Any) -> bool:
    right = isinstance(value, list) and 0 < len(value) <= 50
    return right and all(isinstance(one, str) and 0 < len(one) <= 64 and one.isprintable() for one in value)


def _segment_faults(db: Session, trigger: Mapping[str, Any]) -> Iterator[Fault]:
    given = trigger["segment"]
    found = given if isinstance(given, int) and 0 < given < LARGEST else 0
    if segments.living(db, found) is None:
        yield ("trigger", "segment"), "没有这个分层，或已删除"
    if not isinstance(trigger["first"], bool):
        yield ("trigger", "first"), "应是 true（现在就在分层里的人也出发）或 false（只有以后进入的人）"


def _stage_faults(_: Session, trigger: Mapping[str, Any]) -> Iterator[Fault]:
    to = trigger["to"]
    if not isinstance(to, list) or not to or not all(one in LIFE for one in to):
        yield ("trigger", "to"), f"应是列表，至少一项：{'、'.join(LIFE)}"


def _date_faults(_: Session, trigger: Mapping[str, Any]) -> Iterator[Fault]:
    if trigger["date"] not in DATES:
        yield ("trigger", "date"), f"应是其中之一：{'、'.join(DATES)}"
        return
    least, most = DATES[trigger["date"]]
    yield from _number(trigger["days"], least, most, ("trigger", "days"), "提前（负数）或推后多少天")
    if trigger["date"] == "near_points" and "points" in trigger:
        yield from _number(trigger["points"], 1, 10**9, ("trigger", "points"), "门槛是多少积分")
    elif "points" in trigger:
        yield ("trigger", "points"), "没有这一项"
    yield from _clock_faults(trigger["at"], ("trigger", "at"))


def _schedule_faults(_: Session, trigger: Mapping[str, Any]) -> Iterator[Fault]:
    if trigger["every"] not in EVERY:
        yield ("trigger", "every"), f"应是其中之一：{'、'.join(EVERY)}"
        return
    yield from _clock_faults(trigger["at"], ("trigger", "at"))
    most = {"day": 0, "week": 7, "month": 31}[trigger["every"]]
    days = trigger.get("days", [])
    right = isinstance(days, list) and all(isinstance(one, int) and 1 <= one <= most for one in days)
    if not right or bool(days) is not bool(most):
        yield ("trigger", "days"), "每天不写；每周是 1–7（周一到周日）的列表；每月是 1–31 的列表（没有的日子算月末）"


def _nothing_more(_: Session, __: Mapping[str, Any]) -> Iterator[Fault]:
    yield from ()


_OF_TRIGGERS: Mapping[str, tuple[Sequence[str], Sequence[str], Callable[[Session, Any], Iterator[Fault]]]] = (
    MappingProxyType(
        {
            "event": (("kinds",), ("material", "amount", "stores", "categories"), _event_faults),
            "segment": (("segment", "first"), (), _segment_faults),
            "stage": (("to",), (), _stage_faults),
            "date": (("date", "days", "at"), ("points",), _date_faults),
            "schedule": (("every", "at"), ("days",), _schedule_faults),
            "api": ((), (), _nothing_more),
        }
    )
)
"""Of each trigger: what it must say, what it may say, and what else can be wrong."""


def _again_faults(again: Any, trigger: Any) -> Iterator[Fault]:
    rule = again.get("rule") if isinstance(again, Mapping) else None
    if rule not in (NEVER, AFTER, EACH):
        yield ("again", "rule"), f"应是其中之一：{NEVER}（只走一次）、{AFTER}（隔多少天）、{EACH}（每件事各走一次）"
    elif wrong := list(_members(again, ("again",), ("rule", "days") if rule == AFTER else ("rule",))):
        yield from wrong
    elif rule == AFTER:
        yield from _number(again["days"], 1, MAX_DAYS, ("again", "days"), "隔多少天可以再走")
    elif rule == EACH and isinstance(trigger, Mapping) and trigger.get("on") in ("segment", "stage"):
        yield ("again", "rule"), "进入分层或阶段没有单独的“事”：请用 never 或 after"


def _exit_faults(exits: Any) -> Iterator[Fault]:
    wrong = list(_members(exits, ("exits",), ("kinds", "no_match")))
    yield from wrong
    if not wrong:
        yield from _kind_faults(exits["kinds"], ("exits", "kinds"), least=0)
        if not isinstance(exits["no_match"], bool):
            yield ("exits", "no_match"), "应是 true（不再符合条件就离开）或 false"


def _goal_faults(goal: Any) -> Iterator[Fault]:
    if goal is None:
        return
    wrong = list(_members(goal, ("goal",), ("kinds", "days")))
    yield from wrong
    if not wrong:
        yield from _kind_faults(goal["kinds"], ("goal", "kinds"))
        yield from _number(goal["days"], 1, MAX_DAYS, ("goal", "days"), "出发后多少天内算达成")


# --- the steps -------------------------------------------------------------------------------------------------------


def _steps_faults(db: Session, steps: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    names = [one.get("id") for one in steps]
    for number, step in enumerate(steps):
        place: Place = ("steps", number)
        name = step.get("id")
        if not isinstance(name, str) or NAME.fullmatch(name) is None or name == END or names.count(name) > 1:
            yield (*place, "id"), "每一步要有自己的名字：小写字母、数字、下划线，最多 20 个，不重复"
            continue
        known = _OF_STEPS.get(str(step.get("do")))
        if known is None:
            yield (*place, "do"), f"应是其中之一：{'、'.join(_OF_STEPS)}"
            continue
        needed, free, further = known
        wrong = list(_members(step, place, ("id", "do", *needed), (*free, "next")))
        wrong += [fault for one in TARGETS if step.get(one) for fault in _target_faults(step[one], (*place, one))]
        yield from wrong or further(db, step, place)


def _target_faults(value: Any, place: Place) -> Iterator[Fault]:
    if not isinstance(value, str) or NAME.fullmatch(value) is None:
        yield place, f"应是一个步骤的名字，或 {END}"


def _wait_faults(_: Session, step: Step, place: Place) -> Iterator[Fault]:
    units = [name for name in ("minutes", "hours", "days") if name in step]
    if len(units) != 1:
        yield place, "等多久：minutes、hours、days 三者写一个"
        return
    most = {"minutes": 1440, "hours": 240, "days": MAX_DAYS}[units[0]]
    yield from _number(step[units[0]], 0 if units[0] == "days" else 1, most, (*place, units[0]), "等多久")
    if "at" in step:
        yield from _clock_faults(step["at"], (*place, "at"))
    if step.get("days") == 0 and "at" not in step:
        yield (*place, "at"), "等 0 天要写几点"


def _window_faults(_: Session, step: Step, place: Place) -> Iterator[Fault]:
    yield from _clock_faults(step["from"], (*place, "from"))
    yield from _clock_faults(step["to"], (*place, "to"))
    if step["from"] == step["to"]:
        yield (*place, "to"), "两个时刻不能一样"
    if not isinstance(step.get("working_days", False), bool):
        yield (*place, "working_days"), "应是 true 或 false"


def _wait_for_faults(_: Session, step: Step, place: Place) -> Iterator[Fault]:
    yield from _kind_faults(step["kinds"], (*place, "kinds"))
    yield from _number(step["days"], 1, MAX_DAYS, (*place, "days"), "最多等多少天")


def _branch_faults(db: Session, step: Step, place: Place) -> Iterator[Fault]:
    ways = step["ways"]
    if not isinstance(ways, list) or not 0 < len(ways) <= 10:
        yield (*place, "ways"), "应是列表，1–10 条"
        return
    for number, one in enumerate(ways):
        here = (*place, "ways", number)
        wrong = list(_members(one, here, ("if", "to")))
        yield from wrong
        if not wrong:
            yield from _target_faults(one["to"], (*here, "to"))
            yield from _filter_faults(db, one["if"], (*here, "if"))


def _split_faults(_: Session, step: Step, place: Place) -> Iterator[Fault]:
    arms = step["arms"]
    if not isinstance(arms, list) or not 2 <= len(arms) <= 5:
        yield (*place, "arms"), "应是列表，2–5 组"
        return
    total = 0
    for number, one in enumerate(arms):
        here = (*place, "arms", number)
        wrong = list(_members(one, here, ("name", "share"), ("to",)))
        yield from wrong
        if not wrong:
            total += one["share"] if isinstance(one["share"], int) else 0
            yield from _arm_faults(one, here)
    if total != BUCKETS:
        yield (*place, "arms"), f"各组合起来应是 {BUCKETS}（万分之一万）"
    if len({str(one.get("name")) for one in arms if isinstance(one, Mapping)}) < len(arms):
        yield (*place, "arms"), "各组的名称不能相同"


def _arm_faults(arm: Mapping[str, Any], place: Place) -> Iterator[Fault]:
    name = arm["name"]
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 20 or not name.isprintable():
        yield (*place, "name"), "组的名称需 1–20 个字"
    yield from _number(arm["share"], 1, BUCKETS, (*place, "share"), "万分之几")
    if arm.get("to"):
        yield from _target_faults(arm["to"], (*place, "to"))


def _tag_faults(db: Session, step: Step, place: Place) -> Iterator[Fault]:
    for name in ("add", "remove"):
        if not isinstance(step.get(name, []), list):
            yield (*place, name), "应是标签的列表"
            return
    chosen = [*(step.get("add") or ()), *(step.get("remove") or ())]
    if not chosen:
        yield place, "写上加哪个标签（add），或去掉哪个（remove）"
        return
    for name in ("add", "remove"):
        if step.get(name):
            tree = {"field": "tag", "op": "has_any", "value": step[name]}
            for _, words in _filter_faults(db, tree, ()):
                yield (*place, name), words


def _send_faults(db: Session, step: Step, place: Place) -> Iterator[Fault]:
    ways = step["ways"]
    right = isinstance(ways, list) and bool(ways) and all(one in WAYS for one in ways)
    if not right or len(set(ways)) < len(ways):
        yield (*place, "ways"), f"应是列表，按先后试：{'、'.join(WAYS)}"
        return
    text = step["text"]
    if not isinstance(text, str) or not text.strip() or "\0" in text or placeholders.size_of(text) > TEXT_AT_MOST:
        yield (*place, "text"), f"写一段文字，最多 {TEXT_AT_MOST} 字节"
        return
    common = step.get("mass_text")
    if common is not None:
        yield from _mass_text_faults(db, step, place)
    allowed = COMMON if MASS in ways and common is None else PERSONAL
    yield from _placeholder_faults(db, text, allowed, (*place, "text"))
    if KF in ways and len(text.encode()) > KF_TEXT_AT_MOST:
        yield (*place, "text"), f"微信客服的消息最多 {KF_TEXT_AT_MOST} 字节（约 {KF_TEXT_AT_MOST // 3} 个汉字）"
    if KF in ways and step.get("attachments"):
        yield (*place, "attachments"), "微信客服只发文字：去掉附件，或不选微信客服"
    if "at" in step:
        yield from _clock_faults(step["at"], (*place, "at"))
    yield from _number(step.get("late_hours", 72), 1, 24 * 30, (*place, "late_hours"), "最多晚多少小时")
    if step.get("late", NEXT_WINDOW) not in LATENESS:
        yield (*place, "late"), f"应是其中之一：{'、'.join(LATENESS)}"
    yield from _attachment_faults(db, step.get("attachments", []), (*place, "attachments"))


def _placeholder_faults(db: Session, text: str, allowed: Sequence[str], place: Place) -> Iterator[Fault]:
    if wrong := sorted(set(PLACEHOLDER.findall(text)) - set(allowed)):
        named = "、".join("{" + one + "}" for one in wrong)
        many = "群发任务对所有人是同一段文字，只能用 {rep}"
        one_by_one = "可以用 {name}、{rep}、{points}、{expiring}、{me}，链接写作 {link:编号}"
        yield place, f"{named}：{many if tuple(allowed) == COMMON else one_by_one}"
    yield from ((place, words) for words in placeholders.problems(db, text))


def _mass_text_faults(db: Session, step: Step, place: Place) -> Iterator[Fault]:
    """What the mass task says where the others say something of the person's own."""
    text = step["mass_text"]
    if MASS not in step["ways"]:
        yield (*place, "mass_text"), "没有用到群发任务，这里不用写"
    elif not isinstance(text, str) or not text.strip() or "\0" in text or placeholders.size_of(text) > TEXT_AT_MOST:
        yield (*place, "mass_text"), f"写一段文字，最多 {TEXT_AT_MOST} 字节"
    else:
        yield from _placeholder_faults(db, text, COMMON, (*place, "mass_text"))


def _give_faults(db: Session, step: Step, place: Place) -> Iterator[Fault]:
    """So many at once as the shop's limits let one hand give without another's word."""
    yield from _number(
        step["points"], 1, min(MOST_GIVEN, authority.limits(db).person), (*place, "points"), "送多少积分"
    )
    reason = step["reason"]
    if not isinstance(reason, str) or not 0 < len(reason.strip()) <= 100 or not reason.isprintable():
        yield (*place, "reason"), "写 1–100 个字"


def _boost_faults(db: Session, step: Step, place: Place) -> Iterator[Fault]:
    """Once so many times as many points: at most as many more as one hand may give at once."""
    yield from _number(step["times"], 2, 10, (*place, "times"), "几倍积分")
    yield from _number(step["cap"], 1, authority.limits(db).person, (*place, "cap"), "最多多得多少积分")
    yield from _number(step["days"], 1, 90, (*place, "days"), "多少天内有效")


def _attachment_faults(db: Session, rows: Any, place: Place) -> Iterator[Fault]:
    if not isinstance(rows, list) or len(rows) > MAX_ATTACHMENTS:
        yield place, f"应是附件的列表，最多 {MAX_ATTACHMENTS} 个"
        return
    for number, one in enumerate(rows):
        if not isinstance(one, Mapping) or not all(_is_plain(each) for each in one.values()):
            yield (*place, number), "应写作 {kind、…}，每项是文字或编号"
        elif trouble := contents.trouble_with(db, one):
            yield (*place, number), trouble


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bool | None) or (isinstance(value, int) and abs(value) < LARGEST)


def _task_faults(_: Session, step: Step, place: Place) -> Iterator[Fault]:
    text = step["text"]
    if not isinstance(text, str) or not 0 < len(text.strip()) <= 200 or not text.isprintable():
        yield (*place, "text"), "写 1–200 个字"
    yield from _number(step.get("days", 0), 0, 60, (*place, "days"), "几天后到期")


def _webhook_faults(_: Session, step: Step, place: Place) -> Iterator[Fault]:
    try:
        parts = urlsplit(step["url"]) if isinstance(step["url"], str) else None
        right = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        yield (*place, "url"), "应是 https:// 开头的地址"


def _nothing_wrong(_: Session, __: Step, ___: Place) -> Iterator[Fault]:
    yield from ()


_StepFaults = Callable[[Session, Step, Place], Iterator[Fault]]
_OF_STEPS: Mapping[str, tuple[Sequence[str], Sequence[str], _StepFaults]] = MappingProxyType(
    {
        "wait": ((), ("minutes", "hours", "days", "at"), _wait_faults),
        "window": (("from", "to"), ("working_days",), _window_faults),
        "wait_for": (("kinds", "days"), ("then", "otherwise"), _wait_for_faults),
        "branch": (("ways",), ("otherwise",), _branch_faults),
        "split": (("arms",), (), _split_faults),
        "send": (("ways", "text"), ("at", "late_hours", "late", "attachments", "mass_text"), _send_faults),
        "give": (("points", "reason"), (), _give_faults),
        "boost": (("times", "cap", "days"), (), _boost_faults),
        "task": (("text",), ("days",), _task_faults),
        "tag": ((), ("add", "remove"), _tag_faults),
        "webhook": (("url",), (), _webhook_faults),
        "goal": ((), (), _nothing_wrong),
        "end": ((), (), _nothing_wrong),
    }
)
"""Of each kind of step: what it must say, what it may say, and what else can be wrong."""
STEPS = tuple(_OF_STEPS)
STANDING = ("wait", "window", "wait_for")
"""Steps at which time passes; a circle needs one."""


# --- the way ---------------------------------------------------------------------------------------------------------


def way_faults(definition: Definition) -> Iterator[Fault]:
    """Steps that are named and not there, that nobody comes to or gets out of, circles in which no time passes."""
    steps = steps_of(definition)
    if not steps:
        yield ("steps",), "至少要有一步"
        return
    numbers = {name: number for number, name in enumerate(steps)}
    leads = {name: [one for one in leads_to(definition, step) if one != END] for name, step in steps.items()}
    unknown = [(numbers[name], one) for name, to in leads.items() for one in to if one not in steps]
    if unknown:
        yield from ((("steps", number), f"没有名为 {one} 的步骤") for number, one in unknown)
        return
    first = next(iter(steps))
    reached = _reached(first, leads)
    for name in steps:
        if name not in reached:
            yield ("steps", numbers[name]), "没有路通到这一步"
    ends = {name for name, step in steps.items() if END in leads_to(definition, step)}
    for name in reached:
        if not _reached(name, leads) & ends:
            yield ("steps", numbers[name]), "从这一步走不到结束"
    hurried = {name: leads[name] for name, step in steps.items() if step["do"] not in STANDING}
    for name in hurried:
        if any(name in _reached(one, hurried) for one in hurried[name] if one in hurried):
            yield ("steps", numbers[name]), "这里会不停地转圈：圈里要有一步等待"


def _reached(start: str, leads: Mapping[str, Sequence[str]]) -> set[str]:
    """All steps one can come to from here, this one included."""
    found, waiting = {start}, [start]
    while waiting:
        for one in leads.get(waiting.pop(), ()):
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found
