"""What the customer's own page says where something cannot be had, given or joined: plainly, with the fact."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from console.shown import exact, moment
from console.words import N_, _
from loyalty.group_buys import CannotJoin
from loyalty.ledger.book import Conflict
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.spend import InDebt
from loyalty.rewards import OPEN, RELEASED, RETURNED, USED, CannotRedeem
from loyalty.transfers import CannotGive

Refusal = CannotRedeem | CannotGive | CannotJoin | NotEnough | InDebt | Conflict
REFUSALS = (CannotRedeem, CannotGive, CannotJoin, NotEnough, InDebt, Conflict)
REWARDS: Mapping[str, str] = {
    "no_reward": N_("这个奖品已经没有了"),
    "not_live": N_("这个奖品现在不能兑换"),
    "early": N_("%(at)s 开始兑换"),
    "over": N_("兑换时间已经过了"),
    "level": N_("要到%(needed)s才能兑换"),
    "person_limit": N_("每人最多 %(most)s 份，你已经换满了"),
    "day_limit": N_("今天的 %(most)s 份已经换完了，明天再来"),
    "sold_out": N_("已经换完了"),
}
GIFTS: Mapping[str, str] = {
    "off": N_("店里现在不能转赠积分"),
    "oneself": N_("这是你自己的手机号"),
    "new": N_("刚成为会员，%(until)s 以后才能送积分"),
    "phone": N_("刚换过手机号，%(until)s 以后才能送积分"),
    "day_limit": N_("一天最多送 %(day)s 分，今天还能送 %(left)s 分"),
    "over": N_("已经有结果了，不能再改"),
    "gone": N_("这份积分不能接收了，会退回给对方"),
    "unknown": N_("没有这份积分"),
}
GROUPS: Mapping[str, str] = {
    "off": N_("店里现在不能开团"),
    "kind": N_("这个奖品不能拼团"),
    "no_group": N_("没有这个团"),
    "over": N_("这个团已经结束了"),
}
WORDS: Mapping[type, Mapping[str, str]] = {CannotRedeem: REWARDS, CannotGive: GIFTS, CannotJoin: GROUPS}
STATES: Mapping[str, str] = {
    OPEN: N_("待领取"),
    USED: N_("已领取"),
    RETURNED: N_("已退回"),
    RELEASED: N_("过期未领，积分已退回"),
}
GIFT_STATES: Mapping[str, str] = {
    "open": N_("等对方接收"),
    "done": N_("对方已接收"),
    "declined": N_("没有接收，已退回"),
    "released": N_("没有接收，已退回"),
}
"""What whoever gave is told; that it was declined is the other's own business."""
GROUP_STATES: Mapping[str, str] = {
    "open": N_("正在拼团"),
    "done": N_("已成团"),
    "failed": N_("没有拼满，积分已退回"),
}


def why_not(error: Refusal, shut: bool) -> str:
    """Why not; ``shut``: points are spent in an older system still."""
    if isinstance(error, Conflict):
        return _("这张表单已经用过了，请重新填写")
    if shut:
        return _("正在换积分系统，这里还不能用积分")
    if isinstance(error, NotEnough):
        has, missing = exact(error.available), exact(error.wanted - error.available)
        return _("能用的积分不够：现在有 %(n)s 分，还差 %(m)s 分", n=has, m=missing)
    if isinstance(error, InDebt):
        return _("还欠着 %(n)s 分，还清以后才能用", n=exact(error.debt))
    return _(WORDS[type(error)][error.code], **{name: _fact(one) for name, one in error.facts.items()})


def _fact(value: Any) -> Any:
    """A fact as it is written: times, and numbers with their thousands apart."""
    if isinstance(value, datetime):
        return moment(value)
    return exact(value) if isinstance(value, int) else value


def why_not_given(error: Refusal, shut: bool) -> str:
    """Why points cannot be given: what is short are those that they did not receive themselves."""
    if isinstance(error, NotEnough) and not shut:
        has, missing = exact(error.available), exact(error.wanted - error.available)
        return _("能送的积分不够：现在能送 %(n)s 分，还差 %(m)s 分", n=has, m=missing)
    return why_not(error, shut)
