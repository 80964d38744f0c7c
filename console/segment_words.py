"""How filters and the life cycle read: each condition a sentence, each stage a word, each fault what to do about it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask import Flask
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from console.broadcast_words import WEEKDAYS
from console.shown import day
from console.words import N_, _, listed, mark, said
from insight.fields import BY_NAME
from insight.values import BETWEEN, EVER, NEVER, Names, Since, Times, number_of
from loyalty import tiers
from storage.tables import Channel, Department, Member, Segment, Tag

DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
LIFE_WORDS: Mapping[str, tuple[str, str]] = {
    "prospect": (N_("潜在"), "quiet"),
    "new": (N_("新客"), "info"),
    "active": (N_("活跃"), "good"),
    "loyal": (N_("忠诚"), "good"),
    "dormant": (N_("沉睡"), "warn"),
    "lost": (N_("流失"), "bad"),
}
RELATION_WORDS: Mapping[str, str] = {
    "active": N_("在联"),
    "half": N_("待确认"),
    "lost": N_("已流失"),
    "new": N_("未加好友"),
}
BEHAVIOUR_WORDS: Mapping[str, str] = {
    "added": N_("添加成员"),
    "half_added": N_("添加成员，待确认"),
    "deleted_by_customer": N_("删除成员"),
    "deleted_by_rep": N_("被成员删除"),
    "handed_over": N_("被转交给同事"),
    "welcomed": N_("收到欢迎语"),
    "kf_in": N_("在微信客服里说话"),
    "kf_out": N_("收到微信客服的回复"),
    "forwarded": N_("说的话由成员转来"),
    "group_joined": N_("进入客户群"),
    "group_left": N_("离开客户群"),
    "opted_out": N_("表示不再接收消息"),
    "opted_in": N_("表示愿意接收消息"),
    "bought": N_("下单"),
    "refunded": N_("退款"),
    "redeemed": N_("兑换奖品"),
    "collected": N_("到店领走奖品"),
}
REWARD_WORDS: Mapping[str, str] = {
    "goods": N_("实物"),
    "coupon": N_("券"),
    "experience": N_("体验"),
    "donation": N_("捐赠"),
}
KIND_WORDS: Mapping[str, str] = {**BEHAVIOUR_WORDS, **REWARD_WORDS}
FIELD_WORDS: Mapping[str, str] = {
    "tag": N_("标签"),
    "life_cycle": N_("生命周期"),
    "relation": N_("和成员的关系"),
    "channel": N_("来自渠道"),
    "store": N_("门店（部门和它的下级）"),
    "rep": N_("在联成员"),
    "owner": N_("负责人"),
    "arrival_days": N_("添加过成员"),
    "last_talk_days": N_("说过话"),
    "messages": N_("说过几条"),
    "kf_opens": N_("打开微信客服几次"),
    "opens": N_("打开链接几次"),
    "rhythm": N_("比自己平时沉默得久"),
    "behaviour": N_("做过什么"),
    "region": N_("手机号归属地"),
    "list": N_("在名单里"),
    "last_order_days": N_("下过单"),
    "first_order_days": N_("第一次下单"),
    "orders": N_("下单几次"),
    "order_sum": N_("消费多少"),
    "order_hours": N_("在什么时候下单"),
    "order_store": N_("在哪家店买过"),
    "order_category": N_("买过哪类东西"),
    "points": N_("可用积分"),
    "points_expiring": N_("快过期的积分"),
    "redemptions": N_("换过几次奖品"),
    "tier": N_("等级"),
    "opted_out": N_("是否愿意接收"),
}
NAMED_OPS: Mapping[str, str] = {
    "has_any": N_("有其中任何一个"),
    "has_none": N_("一个也没有"),
    "in": N_("是其中之一"),
    "not_in": N_("不是其中任何一个"),
}
SINCE_OPS: Mapping[str, str] = {
    "<=": N_("就在最近"),
    "not_in_last": N_("没有，至少"),
    ">": N_("有，但已超过"),
    "between": N_("在这些天里"),
    "ever": N_("什么时候都算"),
    "never": N_("从来没有"),
    "<": N_("就在最近，不到"),
    ">=": N_("有，但已至少"),
}
RARE_OPS = ("<", ">=")
"""Offered only where a condition has it already: an hour's difference is no choice to make."""
TIMES_OPS: Mapping[str, str] = {
    ">=": N_("至少"),
    ">": N_("多于"),
    "=": N_("正好"),
    "<": N_("少于"),
    "<=": N_("最多"),
}
NAMED_SENTENCES: Mapping[str, str] = {
    "has_any": N_("%(field)s有其中任何一个：%(names)s"),
    "has_none": N_("%(field)s一个也没有：%(names)s"),
    "in": N_("%(field)s是其中之一：%(names)s"),
    "not_in": N_("%(field)s不是其中任何一个：%(names)s"),
}
SINCE_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "arrival_days": {
        "<=": N_("最近 %(n)s 天里添加过成员"),
        "not_in_last": N_("最近 %(n)s 天里没有添加过成员"),
        ">": N_("添加过成员，最近一次在 %(n)s 天以前"),
        "between": N_("%(first)s 到 %(last)s 之间添加过成员"),
        "ever": N_("添加过成员"),
        "never": N_("从来没有添加过成员"),
        "<": N_("不到 %(n)s 天前添加过成员"),
        ">=": N_("添加过成员，最近一次在 %(n)s 天前或更早"),
    },
    "last_talk_days": {
        "<=": N_("最近 %(n)s 天里说过话"),
        "not_in_last": N_("最近 %(n)s 天里没有说过话"),
        ">": N_("说过话，最近一次在 %(n)s 天以前"),
        "between": N_("%(first)s 到 %(last)s 之间说过话"),
        "ever": N_("说过话"),
        "never": N_("从来没有说过话"),
        "<": N_("不到 %(n)s 天前说过话"),
        ">=": N_("说过话，最近一次在 %(n)s 天前或更早"),
    },
    "last_order_days": {
        "<=": N_("最近 %(n)s 天里下过单"),
        "not_in_last": N_("最近 %(n)s 天里没有下过单"),
        ">": N_("下过单，最近一次在 %(n)s 天以前"),
        "between": N_("%(first)s 到 %(last)s 之间下过单"),
        "ever": N_("下过单"),
        "never": N_("从来没有下过单"),
        "<": N_("不到 %(n)s 天前下过单"),
        ">=": N_("下过单，最近一次在 %(n)s 天前或更早"),
    },
    "first_order_days": {
        "<=": N_("第一次下单就在最近 %(n)s 天里"),
        "not_in_last": N_("最近 %(n)s 天里没有第一次下单"),
        ">": N_("第一次下单在 %(n)s 天以前"),
        "between": N_("第一次下单在 %(first)s 到 %(last)s 之间"),
        "ever": N_("有过第一次下单"),
        "never": N_("还没有第一次下单"),
        "<": N_("第一次下单不到 %(n)s 天"),
        ">=": N_("第一次下单在 %(n)s 天前或更早"),
    },
}
TIMES_SENTENCES: Mapping[str, str] = {
    "messages": N_("最近 %(days)s 天里说的话%(op)s %(times)s 条"),
    "kf_opens": N_("最近 %(days)s 天里打开微信客服%(op)s %(times)s 次"),
    "opens": N_("最近 %(days)s 天里打开链接%(op)s %(times)s 次"),
    "rhythm": N_("%(days)s 天没有说话，%(op)s是平时间隔的 %(times)s 倍"),
    "behaviour": N_("最近 %(days)s 天里%(op)s %(times)s 次：%(kinds)s"),
    "orders": N_("最近 %(days)s 天里下单%(op)s %(times)s 次"),
    "order_sum": N_("最近 %(days)s 天里消费%(op)s %(times)s 元（已减去退款）"),
    "order_hours": N_("最近 %(days)s 天里，在%(weekdays)s的 %(first)s–%(last)s 点下单%(op)s %(times)s 次"),
    "redemptions": N_("最近 %(days)s 天里换奖品%(op)s %(times)s 次：%(kinds)s"),
    "points": N_("可用积分%(op)s %(times)s 分"),
    "points_expiring": N_("%(days)s 天内过期的积分%(op)s %(times)s 分"),
}
GROUP_WORDS: Mapping[str, str] = {
    "all": N_("以下都符合"),
    "any": N_("以下至少符合一个"),
    "none": N_("以下一个也不符合"),
    "not": N_("不符合这一条"),
}
BECAUSE = (
    N_("已经没有成员在联"),
    N_("还没有成员和客户互为好友"),
    N_("%(day)s 第一次添加，未满 %(n)s 天"),
    N_("%(n)s 天里有 %(times)s 天说过话"),
    N_("%(n)s 天内有往来，最近一次是 %(day)s"),
    N_("%(n)s 天没有往来，最近一次是 %(day)s"),
)
"""Why somebody is where they are in the life cycle, as ``insight.lifecycle`` writes it."""
FAULTS = (
    N_("名称需 1–%(n)s 个字"),
    N_("已有同名的分层"),
    N_("最多 %(n)s 个分层；请先删除不用的"),
    N_("名单的人已经定下，条件不能改；可以新建一个"),
    N_("应是 1–%(n)s 项的列表，每项是%(what)s"),
    N_("应是天数：%(span)s 的整数"),
    N_("应是次数：%(span)s 的整数"),
    N_("应是日期，写作 2026-11-01"),
    N_("结束日期不能早于开始日期"),
    N_("应是其中之一：%(words)s"),
    N_("应是列表，至少一项：%(words)s"),
    N_("没有 %(name)s，或已删除"),
    N_("最多 %(n)s 个条件"),
    N_("最多嵌套 %(n)s 层"),
    N_("应是条件的列表"),
    N_('至少要有一个条件；所有客户写作 {"all": []}'),
    N_("条件只有 field、op、value 三项"),
    N_("这里不需要 value"),
    N_("应有且只有 all、any、not 其中之一，或是 field、op、value 三项"),
    N_("应是 true 或 false"),
    N_("应写作 %(example)s"),
    N_("应是 %(span)s 的整数"),
    N_("两个时刻不能一样"),
    N_("要比“多久没有往来算沉睡”更长；不按沉默算流失请填 0"),
    N_("应是%(what)s"),
)
"""What ``insight`` says is wrong; the more particular before the more general."""


def install(app: Flask) -> None:
    """Give the templates the reasons of the life cycle."""
    app.jinja_env.filters.update(life_because=because)


def fault(words: str) -> str:
    """What is wrong, in the language of this answer."""
    return said(words, ((one, one) for one in FAULTS))


def because(words: str) -> str:
    """A reason of the life cycle, in the language of this answer, its day as days are written."""
    told = said(words, ((one, one) for one in BECAUSE))
    return DAY.sub(lambda found: day(date.fromisoformat(found[0])), told)


# --- what ids are called ---------------------------------------------------------------------------------------------

Called = Mapping[str, Mapping[str, str]]
"""For each form of names (``tags``, ``members`` …) what its values are called."""


def _of_numbers(prefix: str, table: Any, *name: Any) -> "Any":
    def asked(values: Sequence[str]) -> Select[Any]:
        return select(table.id, *name).where(table.id.in_([number_of(one) for one in values]))

    return lambda db, values: {f"{prefix}{row[0]}": "/".join(row[1:]) for row in db.execute(asked(values))}


def _of_texts(key: Any, name: Any) -> "Any":
    return lambda db, values: {
        value: words or value for value, words in db.execute(select(key, name).where(key.in_(values)))
    }


LOOK_UPS = {
    "tags": _of_numbers("t_", Tag, Tag.group_name, Tag.name),
    "departments": _of_numbers("d_", Department, Department.name),
    "lists": _of_numbers("s_", Segment, Segment.name),
    "tiers": lambda db, values: {one.key: one.name for one in tiers.scheme(db).levels if one.key in values},
    "channels": _of_texts(Channel.code, Channel.name),
    "members": _of_texts(Member.userid, Member.name),
}


def called(db: Session, trees: Sequence[Mapping[str, Any]]) -> Called:
    """What everything that these filters name is called: one question for each kind of thing."""
    wanted: dict[str, dict[str, None]] = {}
    for tree in trees:
        for leaf in leaves(tree):
            form = BY_NAME[leaf["field"]].form
            if form.name in LOOK_UPS:
                wanted.setdefault(form.name, {}).update(dict.fromkeys(form.named(leaf["op"], leaf.get("value"))))
    return {name: LOOK_UPS[name](db, list(values)) for name, values in wanted.items()}


def leaves(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every condition of a filter."""
    if "field" in tree:
        yield tree
    for inside in (tree["not"],) if "not" in tree else (tree.get("all") or tree.get("any") or ()):
        yield from leaves(inside)


def word_of(form: str, field_name: str, value: str, names: Called) -> str:
    """What one value of a field is called."""
    if field_name == "life_cycle":
        return _(LIFE_WORDS.get(value, (value,))[0])
    if field_name == "relation":
        return _(RELATION_WORDS.get(value, value))
    if form == "regions":
        return value.replace("/", "")
    if form in ("order_stores", "order_categories"):
        return value
    return names.get(form, {}).get(value) or _("%(name)s（已不在）", name=value)


# --- sentences -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A filter in words: a sentence, or what joins those below it."""

    words: str
    below: Sequence["Said"] = field(default_factory=tuple)


def sentences(tree: Mapping[str, Any], names: Called) -> Said:
    """The filter as a person would say it."""
    if "field" in tree:
        return Said(sentence(tree, names))
    if "not" in tree:
        inside = sentences(tree["not"], names)
        none = "any" in tree["not"] and inside.below
        words = GROUP_WORDS["none" if none else "not"]
        return Said(_(words), inside.below if none else (inside,))
    join = "all" if "all" in tree else "any"
    if not tree[join]:
        return Said(_("所有客户"))
    if len(tree[join]) == 1:
        return sentences(tree[join][0], names)
    return Said(_(GROUP_WORDS[join]), tuple(sentences(one, names) for one in tree[join]))


def on_one_line(told: Said) -> str:
    """The same as one line, for a list."""
    if not told.below:
        return told.words
    inside = listed((on_one_line(one) for one in told.below), "；")
    return f"{told.words}{mark('：')}{inside}"


def sentence(leaf: Mapping[str, Any], names: Called) -> str:
    """One condition as a sentence."""
    asked, op = BY_NAME[leaf["field"]], leaf["op"]
    value: Any = leaf.get("value")
    if isinstance(asked.form, Names):
        wanted = [word_of(asked.form.name, asked.name, one, names) for one in asked.form.named(op, value)]
        op = {"has": "has_any", "is": "in"}.get(op, op)
        return _(NAMED_SENTENCES[op], field=_(FIELD_WORDS[asked.name]), names=listed(wanted))
    if isinstance(asked.form, Since):
        told = SINCE_SENTENCES[asked.name][op]
        if op == BETWEEN:
            return _(told, first=value["from"], last=value["to"])
        return _(told) if op in (EVER, NEVER) else _(told, n=value)
    if isinstance(asked.form, Times):
        values = {"op": _(TIMES_OPS[op]), "times": f"{value[asked.form.unit]:,}", "days": value.get("days", "")}
        values["kinds"] = listed(_(KIND_WORDS[one]) for one in value.get("kinds", ()))
        values["weekdays"] = listed((_(WEEKDAYS[one - 1]) for one in value.get("weekdays", ())), "、")
        return _(TIMES_SENTENCES[asked.name], **values, first=value.get("from", ""), last=value.get("to", ""))
    return _("不再接收消息") if value else _("愿意接收消息")
