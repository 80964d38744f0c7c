"""How journeys read: who sets out, each step a sentence, why somebody is on one or off it, what came of a step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from console.broadcast_seen import rules
from console.broadcast_words import EVERY_WORDS, WEEKDAYS, rule_words
from console.broadcast_words import FROM_BELOW as OF_BROADCASTS
from console.segment_words import BEHAVIOUR_WORDS, FAULTS, LIFE_WORDS, Called, called, on_one_line, sentences
from console.words import N_, _, listed, said
from insight.values import Place
from outreach.arms import BUCKETS
from outreach.journeys import definition as shape
from outreach.journeys import desk, parting, rounds
from outreach.journeys.definition import END, Definition, Step
from storage.tables import Material, Segment

STATE_WORDS: Mapping[str, tuple[str, str]] = {
    desk.OFF: (N_("还没有启用"), "quiet"),
    desk.LIVE: (N_("进行中"), "good"),
    desk.DRAINING: (N_("不再有人出发，路上的走完"), "info"),
    desk.STOPPED: (N_("已停止"), "quiet"),
}
ROUND_WORDS: Mapping[str, tuple[str, str]] = {
    rounds.LIVE: (N_("在路上"), "info"),
    rounds.LEAVING: (N_("正在离开"), "quiet"),
    rounds.DONE: (N_("走完了"), "quiet"),
    rounds.GOAL: (N_("达成目标"), "good"),
    rounds.LEFT: (N_("已离开"), "warn"),
}
KIND_WORDS: Mapping[str, str] = {**BEHAVIOUR_WORDS, "opened": N_("打开我们的链接"), shape.EARNED: N_("得到积分")}
"""What happens with a customer, as a thing they do."""
DATE_WORDS: Mapping[str, str] = {
    "birthday": N_("生日"),
    "points_end": N_("积分过期"),
    "tier_end": N_("等级到期，眼看保不住"),
    "last_order": N_("一直没有下单"),
    "near_points": N_("积分接近一个门槛"),
}
"""Days that a journey can wait for."""
TRIGGER_WORDS: Mapping[str, str] = {
    "event": N_("发生了一件事"),
    "segment": N_("进入一个分层"),
    "stage": N_("到了一个生命周期阶段"),
    "date": N_("到了客户的日子：生日、积分过期、多久没下单……"),
    "schedule": N_("到了固定的时间"),
    "api": N_("其他系统通过接口通知"),
}
AGAIN_WORDS: Mapping[str, str] = {
    shape.NEVER: N_("每位客户只走一次"),
    shape.AFTER: N_("隔一些天可以再走"),
    shape.EACH: N_("每件事各走一次"),
}
STEP_WORDS: Mapping[str, tuple[str, str]] = {
    "wait": (N_("等一段时间"), "hourglass-split"),
    "window": (N_("等到合适的时段"), "clock"),
    "wait_for": (N_("等客户做一件事"), "bell"),
    "branch": (N_("按条件分路"), "signpost-split"),
    "split": (N_("随机分组"), "shuffle"),
    "send": (N_("对客户说"), "chat-left-text"),
    "task": (N_("给成员记待办"), "check2-square"),
    "tag": (N_("打标签"), "tag"),
    "give": (N_("送积分"), "coin"),
    "boost": (N_("送倍数积分券"), "ticket-perforated"),
    "webhook": (N_("通知其他系统"), "box-arrow-up-right"),
    "goal": (N_("看看目标达成没有"), "flag"),
    "end": (N_("到此结束"), "stop-circle"),
}
"""Of each kind of step what it is called, and its icon."""
WAY_WORDS: Mapping[str, str] = {
    shape.KF: N_("微信客服（48 小时内说过话的）"),
    shape.CARD: N_("成员的卡片（一键发出）"),
    shape.MASS: N_("群发任务（成员确认）"),
}
LATE_WORDS: Mapping[str, str] = {
    shape.NEXT_WINDOW: N_("晚了也说，等到合适的时候"),
    shape.SEND_NOW: N_("晚了也马上说"),
    shape.SKIP: N_("晚了就不说"),
}
LEFT_WORDS: Mapping[str, str] = {
    "opted_out": N_("不再接收消息"),
    "no_relation": N_("没有成员和他是好友"),
    parting.EXIT: N_("做了让他离开的事"),
    "no_match": N_("不再符合条件"),
    "stopped": N_("旅程停止了，或换了新版本"),
    "too_old": N_("走得太久"),
    "loop": N_("总是转回同一步"),
    "failed": N_("这一步三次都没有成功"),
    "merged": N_("和另一位客户合并了"),
    "erased": N_("资料已删除"),
}
"""Why somebody left."""
CAME_OF: Mapping[str, tuple[str, str]] = {
    "done": (N_("做了"), "good"),
    "would": (N_("对照组，有意不做"), "quiet"),
    "failed": (N_("没有成功"), "bad"),
    "late": (N_("太晚了，跳过"), "warn"),
    "opted_out": (N_("不再接收消息"), "quiet"),
    "no_way": (N_("没有能用的方式"), "warn"),
    "no_relation": (N_("没有成员和他是好友"), "quiet"),
    "same_day": (N_("当天已安排过"), "quiet"),
    "card:held": (N_("已放进成员的清单"), "info"),
    "card:sent": (N_("成员已发出"), "good"),
    "card:expired": (N_("成员没有发，过期了"), "warn"),
    "card:cancelled": (N_("从清单里撤回了"), "quiet"),
    "mass:held": (N_("等着安排群发任务"), "info"),
    "mass:asked": (N_("等成员确认"), "info"),
    "mass:sent": (N_("已发出"), "good"),
    "mass:no_friend": (N_("未送达：不是好友"), "bad"),
    "mass:quota": (N_("未送达：已达上限"), "bad"),
    "mass:refused": (N_("企业微信没有接受"), "bad"),
    "mass:cancelled": (N_("已撤回，没有发"), "quiet"),
    "mass:expired": (N_("成员没有按时确认"), "warn"),
    "mass:left_out": (N_("没有安排"), "quiet"),
    "kf:asked": (N_("正在发出"), "info"),
    "kf:sent": (N_("已发出"), "good"),
    "kf:refused": (N_("企业微信没有接受"), "bad"),
    "kf:cancelled": (N_("已撤回，没有发"), "quiet"),
    "kf:expired": (N_("没有发出，过期了"), "warn"),
    "rep_full": (N_("成员的待办已满"), "warn"),
    "quota": (N_("触达额度用完"), "warn"),
    "gap": (N_("离上一条太近"), "warn"),
    "time": (N_("等不到合适的时段"), "warn"),
    "skipped": (N_("跳过"), "quiet"),
    "gone": (N_("积分已经没有了，不用说"), "quiet"),
    "told": (N_("几天前说过了，这些积分都在里面"), "quiet"),
    "points_budget": (N_("今天能送的积分已送完"), "warn"),
}
"""What came of a step; why it was skipped; of one that says something how that stands (``results.steps``)."""
WAITS_WORDS: Mapping[str, str] = {
    "quota": N_("触达额度用完，等有额度"),
    "gap": N_("离上一条太近，再等等"),
    "time": N_("等到合适的时段"),
    "yielded": N_("让给更重要的旅程"),
}
WHY_NOT: Mapping[str, str] = {
    "no_fit": N_("不符合条件"),
    "opted_out": N_("不再接收消息"),
    "no_relation": N_("没有成员和他是好友"),
    "again": N_("已经走过，还不能再走"),
}
"""Why somebody would not have set out."""
READY_WORDS = (
    N_("新客跟进（第 1、3、7 天）"),
    N_("加好友后第 1、3 天各由成员一键问候，第 7 天还没聊过就记一个待办"),
    N_("首单跟进"),
    N_("第一次下单后第 2 天问用得怎么样；由接口告诉我们谁下了单"),
    N_("两周没来，请回来看看"),
    N_("每天早上看谁 14 天没有往来：先由成员一键问候，三天没有回音再经群发任务"),
    N_("生日祝福"),
    N_("生日当天早上给成员一张写好的卡片，一键发出"),
    N_("看了没买"),
    N_("打开了链接、两天内没有说话：提醒成员问一句"),
    N_("比自己的节奏沉默"),
    N_("沉默超过自己平时间隔的两倍、且至少 10 天：给成员记一个待办"),
    N_("积分快过期了"),
    N_("到期前 30、7、1 天，每人一次说清哪天过期多少；先微信客服，再成员卡片，最后群发任务"),
    N_("就差一点能换了"),
    N_("可用积分到了最便宜的奖品的八成、还不够换：告诉客户还差一点，30 天内最多一次"),
    N_("等级快保不住了"),
    N_("等级到期前 30 天、按现在的积分会降级：成员一键提醒"),
    N_("两周没下单，送双倍积分"),
    N_("14 天没有下单：送一张双倍积分券，再告诉客户；下了单就不再打扰"),
    N_("售后满意度"),
    N_("订单完成 3 天后问满不满意，没有回音就请成员跟一下；由接口告诉我们哪一单"),
)
"""``outreach.journeys.ready_made`` in words."""
FROM_BELOW = (
    N_("最多 %(n)s 个旅程"),
    N_("旅程正在运行，不能直接改：请先建一个新版本，改好后再发布"),
    N_("已经有一个还没发布的版本"),
    N_("还没有发布过，没有可以退回的版本"),
    N_("没有还没发布的版本"),
    N_("已经发布过，不能扔掉；可以停止它"),
    N_("它没有在运行"),
    N_("名称需 1–%(n)s 个字"),
    N_("没有这个分层，或已删除"),
    N_("应是时刻，写作 10:00"),
    N_("每天不写；每周是 1–7（周一到周日）的列表；每月是 1–31 的列表（没有的日子算月末）"),
    N_("进入分层或阶段没有单独的“事”：请用 never 或 after"),
    N_("等 0 天要写几点"),
    N_("两个时刻不能一样"),
    N_("应是列表，1–10 条"),
    N_("应是列表，2–5 组"),
    N_("各组合起来应是 %(n)s（万分之一万）"),
    N_("各组的名称不能相同"),
    N_("组的名称需 1–20 个字"),
    N_("写上加哪个标签（add），或去掉哪个（remove）"),
    N_("写一段文字，最多 %(n)s 字节"),
    N_("%(what)s：群发任务对所有人是同一段文字，只能用 {rep}"),
    N_("%(what)s：可以用 {name}、{rep}、{points}、{expiring}、{me}，链接写作 {link:编号}"),
    N_("没有用到群发任务，这里不用写"),
    N_("写 1–100 个字"),
    N_("应是名称的列表，1–50 项，和订单里写的一样"),
    N_("素材库里没有链接 %(number)s；请在“素材”里找到它的编号"),
    N_("微信客服的消息最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("微信客服只发文字：去掉附件，或不选微信客服"),
    N_("写 1–200 个字"),
    N_("应是 https:// 开头的地址"),
    N_("至少要有一步"),
    N_("没有名为 %(name)s 的步骤"),
    N_("没有路通到这一步"),
    N_("从这一步走不到结束"),
    N_("这里会不停地转圈：圈里要有一步等待"),
    N_("应是步骤的列表，最多 %(n)s 步"),
    N_("应是 %(span)s 的整数（万分之几的人作对照）"),
    N_("应是 %(span)s 的整数（优先级，大的先）"),
    N_("应是 %(span)s 的整数（最多走多少天）"),
    N_("应是 %(span)s 的整数（提前（负数）或推后多少天）"),
    N_("应是 %(span)s 的整数（隔多少天可以再走）"),
    N_("应是 %(span)s 的整数（出发后多少天内算达成）"),
    N_("应是 %(span)s 的整数（等多久）"),
    N_("应是 %(span)s 的整数（最多等多少天）"),
    N_("应是 %(span)s 的整数（万分之几）"),
    N_("应是 %(span)s 的整数（最多晚多少小时）"),
    N_("应是 %(span)s 的整数（几天后到期）"),
    N_("应是 %(span)s 的整数（素材的编号）"),
    N_("应是 %(span)s 的整数（至少多少元）"),
    N_("应是 %(span)s 的整数（门槛是多少积分）"),
    N_("应是 %(span)s 的整数（送多少积分）"),
    N_("应是 %(span)s 的整数（几倍积分）"),
    N_("应是 %(span)s 的整数（最多多得多少积分）"),
    N_("应是 %(span)s 的整数（多少天内有效）"),
)
"""What ``outreach.journeys`` says is wrong; the more particular before the more general."""
SHORT = 60
"""Signs of a text in a sentence about it."""


# --- faults ----------------------------------------------------------------------------------------------------------


def told(words: str) -> str:
    """What is wrong, in the language of this answer."""
    return said(words, ((one, one) for one in (*FROM_BELOW, *FAULTS, *OF_BROADCASTS)))


def fault(place: Place, words: str) -> str:
    """The same for whoever chose in a form, and did not write a list."""
    last = place[-1] if place else ""
    if last in ("kinds", "to") and words.startswith("应是列表"):
        return _("请至少选一项")
    if last == "ways" and words.startswith("应是列表，按先后试"):
        return _("请选至少一种方式，同一种只选一次")
    if last == "days" and words.startswith("每天不写"):
        return _("请选在哪几天")
    if last == "rule" and words.startswith("进入分层"):
        return _("进入分层或阶段没有单独的“事”：请选另外两种之一")
    if last in ("arms", "share") and "万分之" in words:
        return _("各组的百分比合起来应是 100，每组是 1–100 的整数")
    if last == "control":
        return _("请填 0–50 的整数")
    if words.startswith("写上加哪个标签"):
        return _("请选要加或要去掉的标签")
    if words.startswith('应是 {"all"'):
        return _("请选一个分层作条件")
    return told(words)


def spelt_faults(faults: Sequence[tuple[Place, str]]) -> list[str]:
    """Every fault on a line of its own, with the number of the step it is about."""
    return [_spelt(place, fault(place, words)) for place, words in faults]


def _spelt(place: Place, words: str) -> str:
    of_step = place[:1] == ("steps",) and len(place) > 1
    return _("第 %(n)s 步：%(what)s", n=int(place[1]) + 1, what=words) if of_step else words


# --- what a definition names -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """What everything that definitions name is called."""

    filters: Called
    segments: Mapping[int, str]
    materials: Mapping[int, str]


def names_of(db: Session, definitions: Sequence[Definition]) -> Names:
    """What these definitions name; a handful of questions however many they are."""
    trees = [tree for one in definitions for tree in _filters(one)]
    triggers = [one["trigger"] for one in definitions]
    own = select(Segment.id, Segment.name).where(
        Segment.id.in_([one["segment"] for one in triggers if "segment" in one])
    )
    said_of = select(Material.id, Material.name)
    said_of = said_of.where(Material.id.in_([one["material"] for one in triggers if "material" in one]))
    return Names(called(db, trees), dict(db.execute(own).all()), dict(db.execute(said_of).all()))


def _filters(definition: Definition) -> Iterator[Mapping[str, Any]]:
    yield definition["who"]
    for step in definition["steps"]:
        if step["do"] == "branch":
            yield from (one["if"] for one in step["ways"])
        if step["do"] == "tag":
            yield from (
                {"field": "tag", "op": "has_any", "value": step[one]} for one in ("add", "remove") if step.get(one)
            )


def kinds(given: Sequence[str]) -> str:
    """Things that happen, one of them."""
    return listed((_(KIND_WORDS[one]) for one in given), "、") if len(given) < 2 else _(
        "%(kinds)s（其中一件）", kinds=listed(_(KIND_WORDS[one]) for one in given)
    )  # fmt: skip


# --- the head --------------------------------------------------------------------------------------------------------


def trigger(definition: Definition, names: Names) -> str:
    """Who sets out, when."""
    return _OF_TRIGGERS[definition["trigger"]["on"]](definition["trigger"], names)


def _by_event(asked: Mapping[str, Any], names: Names) -> str:
    parts = [_("客户一%(what)s就出发", what=kinds(asked["kinds"]))]
    if "material" in asked:
        name = names.materials.get(asked["material"]) or _("（已删除的素材）")
        parts.append(_("只算素材“%(name)s”的链接", name=name))
    if "amount" in asked:
        parts.append(_("至少 %(n)s 元", n=f"{asked['amount']:,}"))
    if "stores" in asked:
        parts.append(_("在%(stores)s", stores=listed(asked["stores"], "、")))
    if "categories" in asked:
        parts.append(_("买了%(what)s", what=listed(asked["categories"], "、")))
    return listed(parts, "，")


def _by_segment(asked: Mapping[str, Any], names: Names) -> str:
    name = names.segments.get(asked["segment"]) or _("（已删除的分层）")
    words = _("客户进入分层“%(name)s”就出发", name=name)
    return listed((words, _("现在就在里面的也算") if asked["first"] else _("现在就在里面的不算")), "，")


def _by_stage(asked: Mapping[str, Any], _names: Names) -> str:
    return _("客户成为%(stages)s就出发", stages=listed(_(LIFE_WORDS[one][0]) for one in asked["to"]))


def _by_date(asked: Mapping[str, Any], _names: Names) -> str:
    days, at = asked["days"], asked["at"]
    if asked["date"] == "points_end":
        return _("有积分在 %(n)s 天后过期的，%(at)s 出发", n=-days, at=at)
    if asked["date"] == "tier_end":
        return _("等级还有 %(n)s 天到期、按现在的积分会降级的，%(at)s 出发", n=-days, at=at)
    if asked["date"] == "last_order":
        return _("%(n)s 天没有下单的，%(at)s 出发", n=days, at=at)
    if asked["date"] == "near_points" and "points" not in asked:
        return _("可用积分有最便宜的奖品的八成、还不够换的，%(at)s 出发", at=at)
    if asked["date"] == "near_points":
        return _("可用积分有 %(points)s 分的八成、还不到的，%(at)s 出发", points=f"{asked['points']:,}", at=at)
    if not days:
        return _("生日当天 %(at)s 出发", at=at)
    return (
        _("生日前 %(n)s 天 %(at)s 出发", n=-days, at=at)
        if days < 0
        else _("生日后 %(n)s 天 %(at)s 出发", n=days, at=at)
    )


def _by_schedule(asked: Mapping[str, Any], _names: Names) -> str:
    every, at, days = asked["every"], asked["at"], asked.get("days", ())
    if every == "week":
        told_days = _("每%(days)s %(at)s", days=listed(_(WEEKDAYS[one - 1]) for one in days), at=at)
    elif every == "month":
        told_days = _("每月 %(days)s 日 %(at)s", days=listed(days), at=at)
    else:
        told_days = f"{_(EVERY_WORDS['day'])} {at}"
    return _("%(when)s，符合条件的客户一起出发", when=told_days)


def _by_api(_asked: Mapping[str, Any], _names: Names) -> str:
    return _("其他系统通过接口点名的客户出发")


_OF_TRIGGERS = {
    "event": _by_event,
    "segment": _by_segment,
    "stage": _by_stage,
    "date": _by_date,
    "schedule": _by_schedule,
    "api": _by_api,
}


def head(definition: Definition, names: Names) -> list[tuple[str, str]]:
    """What stands above the steps: a term and a sentence each."""
    goal, exits, control = definition["goal"], definition["exits"], definition["control"]
    rule, days = definition["again"]["rule"], definition["again"].get("days")
    aim = _("出发后 %(n)s 天内%(what)s；达成就不再打扰", n=goal["days"], what=kinds(goal["kinds"])) if goal else ""
    apart = _("%(n)s 的人一路走过，但什么也收不到，用来比较", n=percent(control)) if control else ""
    off = [kinds(exits["kinds"])] if exits["kinds"] else []
    off += [_("不再符合条件")] if exits["no_match"] else []
    return [
        (_("出发"), trigger(definition, names)),
        (_("谁"), on_one_line(sentences(definition["who"], names.filters))),
        (_("再走一次"), _("隔 %(n)s 天可以再走", n=days) if rule == shape.AFTER else _(AGAIN_WORDS[rule])),
        (_("目标"), aim or _("没有设")),
        (_("提前离开"), listed(off, "；") or _("只在不再接收消息、没有成员在联时")),
        (_("对照组"), apart or _("没有留")),
        (_("其他"), _("优先级 %(n)s（大的先）；最多走 %(m)s 天", n=definition["priority"], m=definition["max_days"])),
    ]  # fmt: skip


def percent(share: int) -> str:
    """Ten-thousandths in percent: 5%."""
    return f"{share * 100 / BUCKETS:g}%"


# --- the steps -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StepSaid:
    """One step as it reads."""

    number: int
    id: str
    do: str
    icon: str
    words: str
    text: str = ""
    """What is said word for word."""
    below: Sequence[str] = ()
    """Its ways, one a line."""


def steps(definition: Definition, names: Names) -> list[StepSaid]:
    """Every step, in order, numbered from 1."""
    numbers = {str(one["id"]): place for place, one in enumerate(definition["steps"], 1)}
    return [_step(one, place, numbers, names) for place, one in enumerate(definition["steps"], 1)]


def _step(step: Step, place: int, numbers: Mapping[str, int], names: Names) -> StepSaid:
    words, below = _OF_STEPS[step["do"]](step, numbers, names)
    if step.get("next"):
        words = listed((words, _("然后%(to)s", to=to(step["next"], numbers))), "；")
    icon = STEP_WORDS[step["do"]][1]
    text = str(step.get("text", "")) if step["do"] in ("send", "task") else ""
    if step.get("mass_text"):
        text += "\n\n" + _("群发任务里说：%(text)s", text=step["mass_text"])
    return StepSaid(place, str(step["id"]), str(step["do"]), icon, words, text, below)


def to(name: Any, numbers: Mapping[str, int]) -> str:
    """Where somebody goes: on, to a step by its number, or to the end."""
    if not name:
        return _("接着往下走")
    if name == END:
        return _("结束")
    return _("去第 %(n)s 步", n=numbers[str(name)]) if str(name) in numbers else _("去一个已不在的步骤")


_Words = tuple[str, Sequence[str]]


def _wait(step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    if "minutes" in step:
        return _("等 %(n)s 分钟", n=step["minutes"]), ()
    if "hours" in step:
        return _("等 %(n)s 小时", n=step["hours"]), ()
    if "at" not in step:
        return _("等 %(n)s 天", n=step["days"]), ()
    return (
        _("等 %(n)s 天，到 %(at)s", n=step["days"], at=step["at"]) if step["days"] else _("等到 %(at)s", at=step["at"])
    ), ()


def _window(step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    words = _("等到 %(first)s–%(last)s 之间", first=step["from"], last=step["to"])
    return listed((words, _("只在工作日")), "，") if step.get("working_days") else words, ()


def _wait_for(step: Step, numbers: Mapping[str, int], _names: Names) -> _Words:
    words = _("等客户%(what)s，最多 %(n)s 天", what=kinds(step["kinds"]), n=step["days"])
    return words, (
        _("等到了：%(to)s", to=to(step.get("then"), numbers)),
        _("没等到：%(to)s", to=to(step.get("otherwise"), numbers)),
    )


def _branch(step: Step, numbers: Mapping[str, int], names: Names) -> _Words:
    ways = [
        _(
            "如果%(if)s：%(to)s",
            **{"if": on_one_line(sentences(one["if"], names.filters)), "to": to(one["to"], numbers)},
        )
        for one in step["ways"]
    ]
    return _("按条件分路，先符合的先走"), (*ways, _("否则：%(to)s", to=to(step.get("otherwise"), numbers)))


def _split(step: Step, numbers: Mapping[str, int], _names: Names) -> _Words:
    return _("随机、固定地分成几组"), tuple(
        _("%(name)s（%(n)s）：%(to)s", name=one["name"], n=percent(one["share"]), to=to(one.get("to"), numbers))
        for one in step["arms"]
    )


def _send(step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    ways = [_(WAY_WORDS[one]) for one in step["ways"]]
    words = _("经%(way)s说", way=ways[0])
    if len(ways) > 1:
        words = _("经%(way)s说；不行就经%(others)s", way=ways[0], others=listed(ways[1:]))
    if "at" in step:
        words = listed((words, _("在 %(at)s", at=step["at"])), "，")
    extra = [_("附件 %(n)s 个", n=len(step["attachments"]))] if step.get("attachments") else []
    if "late" in step or "late_hours" in step:
        late = _(LATE_WORDS[step.get("late", shape.NEXT_WINDOW)])
        extra.append(_("%(late)s，最多晚 %(n)s 小时", late=late, n=step.get("late_hours", 72)))
    return words, tuple(extra)


def _task(step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    days = step.get("days", 0)
    return (_("给负责的成员记待办，%(n)s 天后到期", n=days) if days else _("给负责的成员记待办，当天到期")), ()


def _tag(step: Step, _numbers: Mapping[str, int], names: Names) -> _Words:
    def spelt(name: str) -> str:
        known = names.filters.get("tags", {})
        return listed(known.get(one) or _("%(name)s（已不在）", name=one) for one in step[name])

    parts = [_("打上标签 %(tags)s", tags=spelt("add"))] if step.get("add") else []
    parts += [_("去掉标签 %(tags)s", tags=spelt("remove"))] if step.get("remove") else []
    return listed(parts, "，"), ()


def _give(step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    return _("送 %(n)s 积分：%(why)s", n=f"{step['points']:,}", why=step["reason"]), ()


def _boost(step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    words = _("送一张 %(times)s 倍积分券：%(days)s 天内的一笔订单用，最多多得 %(cap)s 分", **{
        "times": step["times"], "days": step["days"], "cap": f"{step['cap']:,}"})  # fmt: skip
    return words, ()


def _webhook(step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    return _("通知其他系统：%(url)s", url=step["url"]), ()


def _goal(_step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    return _("看看目标达成没有：达成了就在这里结束"), ()


def _end(_step: Step, _numbers: Mapping[str, int], _names: Names) -> _Words:
    return _("到此结束"), ()


_OF_STEPS = {
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
    "goal": _goal,
    "end": _end,
}


# --- one round -------------------------------------------------------------------------------------------------------


def because(why: Mapping[str, Any], segment_names: Mapping[int, str]) -> str:
    """Why somebody set out."""
    on = why.get("on")
    if on == "event":
        return _(KIND_WORDS.get(str(why.get("kind")), str(why.get("kind"))))
    if on == "segment":
        name = segment_names.get(int(why.get("segment") or 0)) or _("（已删除的分层）")
        return _("进入分层“%(name)s”", name=name)
    if on == "stage":
        after = str(why.get("to"))
        return _("成为%(stage)s", stage=_(LIFE_WORDS[after][0]) if after in LIFE_WORDS else after)
    if on == "date":
        return _since_day(why)
    if on == "schedule":
        return _("到了固定的时间（%(day)s）", day=str(why.get("turn", "")).removeprefix("turn:"))
    return _("其他系统点名（%(who)s）", who=str(why.get("by", "")).removeprefix("key:"))


def _since_day(why: Mapping[str, Any]) -> str:
    """Whose day it was, and which."""
    day_, what = str(why.get("day", "")), why.get("date")
    if what == "points_end":
        return _("积分在 %(day)s 过期", day=day_)
    if what == "tier_end":
        return _("等级到 %(day)s 为止", day=day_)
    if what == "last_order":
        return _("%(day)s 以后没有下单", day=day_)
    if what == "near_points":
        return _("积分接近 %(n)s 分", n=f"{why.get('points', 0):,}")
    return _("生日")


def left(because_of: str, act: str | None = None) -> str:
    """Why somebody left; ``act``: the kind of what was done, where that is why."""
    words = _(LEFT_WORDS.get(because_of, because_of))
    if act is None or act not in KIND_WORDS:
        return words
    done = _(KIND_WORDS[act])
    return _("客户%(what)s", what=done) if because_of == parting.EXIT else listed((words, done), "：")


def waits(why: str) -> str:
    """What a step waits for beside its time, with the shop's own rule where one is behind it; nothing else: nothing."""
    return _with_rule(_(WAITS_WORDS[why]), why) if why in WAITS_WORDS else ""


def _with_rule(words: str, why: str) -> str:
    rule = rule_words(why, rules())
    return _("%(what)s（%(rule)s）", what=words, rule=rule) if rule else words


def came_of(word: str, definition: Definition) -> tuple[str, str]:
    """What came of a step, by the word that ``results.steps`` counts it under, and its tone."""
    if word.startswith("left:"):
        gone, exits = word.removeprefix("left:"), definition["exits"]["kinds"]
        why = _("客户%(what)s", what=kinds(exits)) if gone == parting.EXIT and exits else left(gone)
        return _("达成目标，不用做了") if gone == rounds.GOAL else _("离开了：%(why)s", why=why), "quiet"
    words, tone = CAME_OF.get(word, (word, "quiet"))
    return _with_rule(_(words), word), tone
