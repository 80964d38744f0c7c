"""Rewards in words: kinds, states, what is wrong with a draft, why something cannot be handed out."""

from collections.abc import Mapping

from console.shown import day, last_day, moment
from console.words import N_, _, listed
from loyalty.reward_desk import BadCodes
from loyalty.rewards import CannotHandOut

KINDS: Mapping[str, str] = {
    "goods": N_("实物"),
    "coupon": N_("券码"),
    "experience": N_("体验"),
    "donation": N_("捐赠"),
}
STATES: Mapping[str, tuple[str, str]] = {
    "live": (N_("可兑换"), "good"),
    "draft": (N_("草稿"), "quiet"),
    "paused": (N_("已暂停"), "warn"),
}
BECAME: Mapping[str, tuple[str, str]] = {
    "open": (N_("待领取"), "info"),
    "used": (N_("已领取"), "good"),
    "returned": (N_("已退回"), "quiet"),
    "released": (N_("过期未领"), "warn"),
}
WRONG: Mapping[tuple[str, str], str] = {
    ("name", "length"): N_("写一个 60 字以内的名称"),
    ("about", "length"): N_("最多 1000 字"),
    ("kind", "kind"): N_("选一种"),
    ("kind", "fixed"): N_("开始兑换以后不能换种类，请另建一个"),
    ("points", "points"): N_("整数，至少 1"),
    ("stock", "number"): N_("整数，至少 0；不限请留空"),
    ("per_person", "number"): N_("整数，至少 1；不限请留空"),
    ("per_day", "number"): N_("整数，至少 1；不限请留空"),
    ("stores", "length"): N_("最多 200 家，每家的名字最多 64 个字"),
    ("to_at", "order"): N_("结束要在开始之后"),
    ("level", "level"): N_("没有这个等级"),
    ("days", "days"): N_("0 到 366 之间的整数"),
    ("cause", "length"): N_("写明捐给谁，最多 60 个字"),
    ("worth", "fen"): N_("写一份折多少元，例如 1 或 0.50"),
}
CODES: Mapping[str, str] = {
    "empty": N_("文件里没有券码"),
    "too_many": N_("一次最多 100,000 个券码，请分成几个文件"),
    "bad": N_("第 %(line)s 行不像券码：最多 60 个字符，不含换行和控制字符"),
}


def bad_codes(error: BadCodes) -> str:
    """What is wrong with a file of codes."""
    return _(CODES[error.code], line=error.line)


def why_not(error: CannotHandOut, names: Mapping[str, str]) -> str:
    """Why it cannot be handed out, with what one needs to tell the customer; ``names`` of members by userid."""
    facts = error.facts
    if error.code == "used":
        told = {"at": moment(facts["at"]), "by": names.get(facts["by"], facts["by"])}
        if facts["store"]:
            return _("已经领过了：%(at)s 在%(store)s，由%(by)s核销。", store=facts["store"], **told)
        return _("已经领过了：%(at)s。", at=told["at"])
    if error.code == "late":
        return _("已过领取期限：最后一天是 %(day)s。积分会自动退回客户。", day=day(last_day(facts["until"])))
    if error.code == "wrong_store":
        return _("不能在这家店领：请去 %(stores)s。", stores=listed(facts["stores"]))
    return _(SAID[error.code])


SAID: Mapping[str, str] = {
    "no_code": N_("没有这个码。请对照客户手机上的再输一次；看错一位会认出来，不会变成别人的。"),
    "of_group": N_("这是拼团的码，不是领取码。拼满以后，客户在自己的页面上才有领取码。"),
    "returned": N_("这份已经退回，积分还给客户了。"),
    "released": N_("过期没有领取，积分已经退回客户。"),
    "donation": N_("捐赠不能退回。"),
}
