"""How each line of a person's story reads: its words, its mark, and whose own words it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from console import chat_lines, here
from console.books import ACTORS
from console.shown import attached
from console.words import N_, _, listed, mark, said
from people import by_hand
from people.conversations import BOT, KF_EVENT
from storage.tables import Interaction

BY_RULE = ("rule:%(name)s", N_("规则“%(name)s”"))
EDIT_WORDS = {"remark": N_("备注名"), "description": N_("描述"), "phones": N_("备注电话")}


class Kind(NamedTuple):
    """How a kind of story line looks."""

    words: str
    icon: str
    tone: str = ""


KINDS: Mapping[str, Kind] = {
    "added": Kind(N_("添加了 %(rep)s"), "person-plus", "good"),
    "half_added": Kind(N_("添加了 %(rep)s，待确认"), "person-dash", "warn"),
    "taken_over": Kind(N_("接入前已是 %(rep)s 的客户"), "person-check"),
    "edited": Kind(N_("%(rep)s 修改了备注或资料"), "pencil"),
    "deleted_by_rep": Kind(N_("%(rep)s 删除了客户"), "person-x", "bad"),
    "deleted_by_customer": Kind(N_("客户删除了 %(rep)s"), "person-x", "bad"),
    "transferred": Kind(N_("从 %(rep)s 转交给同事"), "arrow-left-right"),
    "transfer_failed": Kind(N_("转交没有成功"), "arrow-left-right", "warn"),
    "archive_agreed": Kind(N_("同意了会话存档"), "shield-check"),
    "welcomed": Kind(N_("收到 %(rep)s 的欢迎语"), "chat-heart", "good"),
    "note": Kind(N_("%(by)s 写了备注"), "sticky"),
    "tagged": Kind(N_("%(by)s 添加了标签 %(tag)s"), "tag"),
    "untagged": Kind(N_("%(by)s 去掉了标签 %(tag)s"), "tag"),
    "birthday": Kind(N_("%(by)s 记下生日"), "cake2"),
    "owner_given": Kind(N_("%(by)s 把负责人改为 %(to)s"), "person-badge"),
    "kf_in": Kind(N_("在微信客服里说"), "chat-left-text"),
    "kf_out": Kind(N_("%(by)s 在微信客服里回复"), "chat-right-text"),
    "kf_event": Kind(N_("微信客服"), "headset"),
    "forwarded": Kind(N_("%(rep)s 转来客户的话"), "chat-left-quote"),
    "card_sent": Kind(N_("%(by)s 发了消息"), "send", "good"),
    "task": Kind(N_("%(by)s 记下待办"), "alarm"),
    "task_done": Kind(N_("%(by)s 完成了待办"), "check2-square", "good"),
    "group_joined": Kind(N_("进入客户群 %(group)s"), "people", "good"),
    "group_left": Kind(N_("离开客户群 %(group)s"), "people"),
    "opted_out": Kind(N_("不再接收消息"), "bell-slash", "warn"),
    "opted_in": Kind(N_("重新接收消息"), "bell"),
    "opened": Kind(N_("打开了“%(what)s”"), "link-45deg", "good"),
    "bought": Kind(N_("买了 %(amount)s 元"), "bag-check", "good"),
    "refunded": Kind(N_("退了 %(amount)s 元"), "bag-dash", "warn"),
    "boost_given": Kind(N_("得到一张 %(amount)s 倍积分券"), "ticket-perforated", "good"),
    "points_given": Kind(N_("得到 %(amount)s 积分"), "coin", "good"),
    "redeemed": Kind(N_("用 %(amount)s 积分兑换了“%(what)s”"), "gift", "good"),
    "collected": Kind(N_("领走了“%(what)s”"), "bag-heart", "good"),
    "reward_returned": Kind(N_("退回“%(what)s”，还回 %(amount)s 积分"), "arrow-counterclockwise", "warn"),
    "reward_missed": Kind(N_("没有来领“%(what)s”，%(amount)s 积分已退回"), "hourglass-bottom", "warn"),
    "points_sent": Kind(N_("送出 %(amount)s 积分"), "send"),
    "points_got": Kind(N_("收到别人送的 %(amount)s 积分"), "coin", "good"),
    "points_back": Kind(N_("送出的 %(amount)s 积分没有接收，已退回"), "arrow-counterclockwise", "warn"),
    "did": Kind(N_("在 %(source)s%(sign)s%(what)s"), "stars"),
    "merged": Kind(N_("和 %(customer)s 是同一位客户，已合并"), "union"),
    "separated": Kind(N_("和 %(customer)s 不是同一位客户，已拆开"), "subtract", "warn"),
    "confirmed": Kind(N_("%(by)s 确认了是客户本人"), "patch-check", "good"),
    "handed_over": Kind(N_("由 %(by)s 转交给 %(to)s"), "arrow-left-right"),
}
SPOKEN = frozenset({"note", "welcomed", "kf_in", "kf_out", "forwarded", "card_sent", "task", "task_done"})
"""Lines whose text is somebody's own words."""
AGAIN: Mapping[str, Kind] = {
    "added": Kind(N_("再次添加了 %(rep)s"), "person-plus", "good"),
    "half_added": Kind(N_("再次添加了 %(rep)s，待确认"), "person-dash", "warn"),
}
"""The same lines about somebody who had left this rep before."""
OF_KINDS: Mapping[tuple[str, str], Kind] = {
    ("redeemed", "donation"): Kind(N_("捐了 %(amount)s 积分给“%(what)s”"), "heart", "good"),
    ("collected", "experience"): Kind(N_("体验了“%(what)s”"), "bag-heart", "good"),
    ("reward_missed", "experience"): Kind(
        N_("没有来体验“%(what)s”，%(amount)s 积分已退回"), "hourglass-bottom", "warn"
    ),
}
"""The same lines about rewards that nobody takes home."""
FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "relation": (
        N_("来往"),
        (
            "added",
            "half_added",
            "taken_over",
            "deleted_by_rep",
            "deleted_by_customer",
            "transferred",
            "transfer_failed",
            "confirmed",
        ),
    ),
    "chat": (N_("聊天"), ("kf_in", "kf_out", "kf_event", "forwarded", "card_sent")),
    "welcome": (N_("欢迎语"), ("welcomed",)),
    "note": (N_("备注"), ("note",)),
    "task": (N_("待办"), ("task", "task_done")),
    "group": (N_("客户群"), ("group_joined", "group_left")),
    "orders": (N_("订单"), ("bought", "refunded", "did")),
    "points": (
        N_("积分和奖品"),
        (
            "redeemed",
            "collected",
            "reward_returned",
            "reward_missed",
            "points_given",
            "boost_given",
            "points_sent",
            "points_got",
            "points_back",
        ),
    ),
    "by_hand": (N_("标签和修改"), ("tagged", "untagged", "owner_given", "birthday", "edited")),
}


IDENTITIES = {"external_userid": N_("客户 ID"), "unionid": "unionid", "phone": N_("手机")}
PARTED: Mapping[str, str] = {
    "blocked": N_("店里停用了相同的%(what)s：%(value)s"),
    "crowded": N_("太多客户有相同的%(what)s，不再算数：%(value)s"),
}
"""What no longer joins two customers, by why it counts no more."""
DEEDS = {"review": N_("写了评价")}
"""What other systems say people did, where we have words for it."""


@dataclass(frozen=True)
class Line:
    """One line of the story as it is shown."""

    row: Interaction
    words: str
    icon: str
    tone: str
    text: str
    said: bool
    """Whether somebody said this, word for word."""
    own: bool


def line_of(row: Interaction, names: Mapping[str, str], again: bool, cause: str = "") -> Line:
    """The line; ``again``: it tells of somebody who had left this rep before. ``cause``: what it came of."""
    kind = KINDS.get(row.kind, Kind(row.kind, "dot"))
    if again:
        kind = AGAIN.get(row.kind, kind)
    details = row.details
    kind = OF_KINDS.get((row.kind, str(details.get("kind") or "")), kind)

    def called(userid: object) -> str:
        if userid == BOT:
            return _("机器人")
        return names.get(str(userid)) or said(str(userid), (*ACTORS, BY_RULE)) if userid else _("未知")

    values = {
        "rep": called(row.userid),
        "by": called(details.get("by")),
        "to": called(details.get("to")) if details.get("to") else _("自动"),
        "tag": details.get("tag") or "",
        "what": details.get("name") or details.get("url") or "",
        "group": details.get("name") or _("（没有名字的群）"),
        "amount": details.get("amount") or details.get("points") or details.get("times") or "",
        "customer": details.get("customer") or "",
        "source": details.get("source") or "",
        "sign": mark("："),
    }
    if row.kind == "did":
        values["what"] = (
            _(DEEDS[str(details.get("what"))]) if details.get("what") in DEEDS else details.get("what") or ""
        )
    spoken = row.kind in SPOKEN
    own = row.kind == by_hand.NOTE and details.get("by") == here.viewer().userid
    text = str(details.get("text") or "") if spoken else _aside(row, names)
    text = "\n".join([text, *map(attached, details.get("attachments") or [])]).strip() if spoken else text
    words = _(kind.words, **values) if row.kind in KINDS else kind.words
    if cause:
        words = _("%(what)s（%(rule)s）", what=words, rule=cause)
    return Line(row, words, kind.icon, kind.tone, text, spoken, own)


def _aside(row: Interaction, names: Mapping[str, str]) -> str:
    """What else is known about a line."""
    if row.kind == "edited":
        changed = row.details.get("changed") or {}
        return listed((_change(name, before, after) for name, (before, after) in changed.items()), "；")
    if row.kind == KF_EVENT:
        return chat_lines.happened(row.details, names)
    if row.kind in ("bought", "refunded"):
        return " · ".join(_of_order(row))
    if row.kind == "collected":
        return str(row.details.get("store") or "")
    if row.kind == "points_given":
        return str(row.details.get("because") or "")
    if row.kind == "merged":
        return _by_what(row.details)
    if row.kind == "separated":
        return _parted_by(row.details)
    if row.kind == "transfer_failed":
        return str(row.details.get("reason") or "")
    channel = row.details.get("channel")
    return _("来自渠道“%(channel)s”", channel=channel) if channel else ""


def _by_what(told: Mapping[str, Any]) -> str:
    """What two customers had in common, as far as anybody may read it."""
    if not told.get("type"):
        return _("有人这样决定") if told.get("by_hand") else ""
    return _("相同的%(what)s：%(value)s", what=_(IDENTITIES.get(told["type"], told["type"])), value=told["value"])


def _parted_by(told: Mapping[str, Any]) -> str:
    """Why two customers parted again, as far as anybody may read it."""
    words = PARTED.get(told.get("why", ""))
    if words is None:
        return _("有人这样决定") if told.get("by_hand") else ""
    return _(words, what=_(IDENTITIES.get(told["type"], told["type"])), value=told["value"])


def _of_order(row: Interaction) -> list[str]:
    """Its number, where it was, and what it did to points."""
    told = row.details
    parts = [_("订单 %(no)s", no=told["order_no"])] if told.get("order_no") else []
    parts += [str(told["store"])] if told.get("store") else []
    parts += [_("得 %(n)s 积分", n=told["points"])] if told.get("points") else []
    parts += [_("收回 %(n)s 积分", n=told["taken"])] if told.get("taken") else []
    return parts + ([_("还回 %(n)s 积分", n=told["given_back"])] if told.get("given_back") else [])


def _change(name: str, before: Any, after: Any) -> str:
    words = _(EDIT_WORDS.get(name, name))
    old, new = ((listed(one) if isinstance(one, list) else str(one)) or _("（空）") for one in (before, after))
    return f"{words}{mark('：')}{old} → {new}"
