"""Why an order earned so many points, and what became of refunds, as sentences."""

from collections.abc import Mapping
from typing import Any

from console.words import N_, _, listed, said
from loyalty.earning import ONE, exact
from people.orders import ASIDE, CONTESTED, LEFT, PARKED, WAITING, yuan

REFUND_STATES: Mapping[str, tuple[str, str]] = {
    WAITING: (N_("等订单"), "warn"),
    PARKED: (N_("没有订单号"), "warn"),
    ASIDE: (N_("金额对不上"), "bad"),
    CONTESTED: (N_("写明的订单后来到了"), "bad"),
    LEFT: (N_("已搁下"), "quiet"),
}
LIMIT_WORDS = {"order": N_("每单最多 %(n)s 分"), "day": N_("当天最多还能得 %(n)s 分")}


BECAUSE = (
    ("same-amount: %(rule)s", N_("照规则：同一位客户最近一笔金额相同、还没退过的订单")),
    ("latest: %(rule)s", N_("照规则：同一位客户 90 天内最近一笔还够退的订单")),
    ("by hand: %(who)s", N_("%(who)s 指明")),
    ("moved from %(order)s: %(who)s", N_("原先记在订单 %(order)s 上，%(who)s 改记到它写明的这一笔")),
    ("kept here: %(who)s", N_("写明的是另一笔，%(who)s 决定仍记在这里")),
    ("left: %(reason)s (%(who)s)", N_("%(who)s 决定不处理：%(reason)s")),
    ("", N_("退款写明了订单号")),
)


def matched(because: str) -> str:
    """How the order of a refund was found."""
    return said(because, BECAUSE)


def earned(because: Mapping[str, Any], points: int) -> str:
    """``199.90 元 × 每元 1 分，金卡 1.2 倍，活动“加速日”2 倍 = 479 分``."""
    if not because:
        return ""
    rate = _number(int(because["rate"]))
    parts = [_("%(amount)s 元 × 每元 %(rate)s 分", amount=yuan(int(because["basis"])), rate=rate)]
    factors = [int(one) for one in because["factors"]]
    if factors and factors[0] != ONE:
        parts.append(_("%(tier)s %(factor)s 倍", tier=because.get("tier") or _("等级"), factor=_number(factors[0])))
    for _id, name, factor in because.get("campaigns", ()):
        parts.append(_("活动“%(name)s” %(factor)s 倍", name=name, factor=_number(factor)))
    parts += [_limit(name, n) for name, n in because.get("limits", {}).items()]
    full = exact(int(because["basis"]), int(because["rate"]), factors)
    rounded = "" if full == points else _("（不设上限时 %(n)s 分）", n=full)
    return _("%(how)s = %(points)s 分", how=listed(parts, "，"), points=points) + rounded


def taken_back(because: Mapping[str, Any], points: int) -> str:
    """Which refund took so many points, of how much money, and the sum; empty: it was written down before sums were."""
    if "still" not in because:
        return ""
    left, earned, still = yuan(int(because["left"])), int(because["earned"]), int(because["still"])
    told = _("原得 %(earned)s 分，剩 %(left)s 元还得 %(still)s 分", earned=earned, left=left, still=still)
    if not because["refund"]:
        return _("之前退过款：%(told)s，收回 %(points)s 分", told=told, points=points)
    _what, _source, number = because["refund"].split(":", 2)
    money = yuan(int(because["money"]))
    return _(
        "退款 %(no)s 退了 %(money)s 元：%(told)s，这次收回 %(points)s 分",
        no=number,
        money=money,
        told=told,
        points=points,
    )


def _limit(name: str, points: int) -> str:
    if name in LIMIT_WORDS:
        return _(LIMIT_WORDS[name], n=points)
    return _("活动名额还剩 %(n)s 分", n=points)


def _number(factor: int) -> str:
    """Ten-thousandths as people write them: 1.2."""
    return f"{factor / ONE:.4f}".rstrip("0").rstrip(".")
