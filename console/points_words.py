"""Points in words: what happened, and why the number is what it is."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from console import here, order_words
from console.programme_words import ACT_WORDS
from console.words import N_, _
from loyalty import accounts
from loyalty.ledger.history import Happening
from people import persons
from storage.tables import Person, PointsLot, PointsTxn

KINDS: Mapping[str, tuple[str, str]] = {
    "award": (N_("得到积分"), "plus-circle"),
    "redeem": (N_("兑换"), "gift"),
    "hold": (N_("预留"), "lock"),
    "capture": (N_("用掉预留的"), "gift"),
    "release": (N_("放回预留的"), "unlock"),
    "settle": (N_("用自己的积分还了欠的"), "arrow-left-right"),
    "give_back": (N_("退回花掉的"), "arrow-counterclockwise"),
    "claw": (N_("退款收回"), "arrow-counterclockwise"),
    "unclaw": (N_("退款改记，收回的还给客户"), "arrow-counterclockwise"),
    "transfer": (N_("转赠"), "arrow-left-right"),
    "donate": (N_("捐赠"), "heart"),
    "reissue": (N_("补发"), "plus-circle"),
    "adjust": (N_("调整"), "sliders"),
    "activate": (N_("到账"), "check2-circle"),
    "expire": (N_("过期"), "hourglass-bottom"),
    "clear": (N_("清零"), "eraser"),
}
"""Each kind of transaction: its words and its icon."""
ORIGINS: Mapping[str, str] = {
    "purchase": N_("消费"),
    "marketing": N_("赠送"),
    "compensation": N_("补偿"),
    "transfer": N_("别人转赠"),
    "reissue": N_("补发"),
    "restored": N_("预留放回，宽限几天"),
}
FLOWS: Mapping[str, str] = {
    "issued": N_("发放"),
    "reissued": N_("补发"),
    "pending": N_("待到账"),
    "available": N_("可用"),
    "held": N_("预留"),
    "redeemed": N_("兑换"),
    "expired": N_("过期"),
    "donated": N_("捐赠"),
    "clawed": N_("退款收回"),
    "claw_loss": N_("收不回"),
    "transit": N_("转赠和恢复"),
    "debt": N_("抵欠"),
}
"""Where points come from and go to, in the day's report."""
BUCKETS: Mapping[str, str] = {
    "pending": N_("待到账"),
    "available": N_("可用"),
    "held": N_("预留"),
    "debt": N_("欠的"),
}
CLOCK = "clock"
KEY = re.compile(r"key:(.+)")
ORDER = re.compile(r"(order|refund):([^:]+):(.+)")

ABOUT: Mapping[str, str] = {"gift": N_("转赠"), "group": N_("拼团"), "reward": N_("奖品")}
"""What customers do with points, by the beginning of its source."""
BY: Mapping[str, str] = {
    "orders": N_("按订单，自动"),
    "rules": N_("按规则，自动"),
    "import": N_("从文件读入"),
    "customer": N_("客户自己"),
}
"""Who did it, where it was nobody with a name."""
CHANNELS: Mapping[str, str] = {
    "order": N_("订单"),
    "act": N_("客户的动作"),
    "journey": N_("旅程"),
    "import": N_("从文件读入"),
}
"""By what points came, of a lot."""


def title(kind: str) -> str:
    """What it was."""
    return _(KINDS[kind][0]) if kind in KINDS else kind


def why(one: Happening, names: Mapping[str, str], whom: str = "") -> list[str]:
    """Why the number is what it is, in parts: about what, by which rule, for what reason, who.

    ``whom``: from or to whom a gift is (``console.gift_words``), which says what it is about.
    """
    txn = one.txn
    parts = [
        whom or about(txn.source),
        _sum(txn),
        rules(txn.rule_version) if txn.rule_version is not None else "",
        txn.reason,
        _pending(one),
        _("其中 %(n)s 分已经花掉，收不回", n=txn.result["lost"]) if txn.result.get("lost") else "",
        _by(txn, names),
    ]
    return [part for part in parts if part]


def _sum(txn: PointsTxn) -> str:
    because, points = txn.result.get("because") or {}, int(txn.result.get("points", 0))
    if txn.kind == "claw":
        by_key = about(txn.key.removesuffix(":claw")) if txn.key.startswith("refund:") else ""
        return order_words.taken_back(because, points) or by_key
    return order_words.earned(because, points) if txn.kind == "award" else ""


def rules(version: int) -> str:
    """By which version of the rules; the first are those nobody has written."""
    return _("规则第 %(n)s 版", n=version) if version else _("按最初的规则")


def about(source: str) -> str:
    """What a transaction is about."""
    first, _colon, rest = source.partition(":")
    if first == "act" and rest in ACT_WORDS:
        return _(ACT_WORDS[rest])
    if first == "approval":
        return _("审批 %(n)s", n=rest)
    if (found := ORDER.fullmatch(source)) is not None:
        words = N_("订单 %(number)s（%(source)s）") if found[1] == "order" else N_("退款 %(number)s（%(source)s）")
        return _(words, number=found[3], source=found[2])
    return _(ABOUT[first]) if first in ABOUT else source


def _by(txn: PointsTxn, names: Mapping[str, str]) -> str:
    """Who did it; a group's seats are spent by the last that was taken, also where the books say it was the clock."""
    if txn.kind == "capture" and txn.source.startswith("group:"):
        return _("拼满了，自动")
    return who(txn.actor, names)


def who(actor: str, names: Mapping[str, str]) -> str:
    """Who did it; a key of the API goes by its name where ``names`` has no other for it."""
    if actor == CLOCK:
        return _("到了时间，自动")
    if actor in names:
        return names[actor]
    if (found := KEY.fullmatch(actor)) is not None:
        return _("接口 %(name)s", name=found[1])
    return _(BY[actor]) if actor in BY else actor


def actors(found: Collection[Happening]) -> list[str]:
    """Whose names are needed: a key has its own."""
    return sorted({one.txn.actor for one in found if KEY.fullmatch(one.txn.actor) is None} - BY.keys())


def came_by(lot: PointsLot, campaigns: Mapping[str, str]) -> str:
    """By what a lot came, in which store, of which campaign; ``campaigns``: their names by number."""
    own = _("活动“%(name)s”", name=campaigns[lot.campaign]) if lot.campaign in campaigns else lot.campaign
    if lot.campaign.startswith("boost:"):
        own = _("个人加速")
    channel = _(CHANNELS[lot.channel]) if lot.channel in CHANNELS else lot.channel
    return " · ".join(part for part in (channel, lot.store, own) if part)


def _pending(one: Happening) -> str:
    if one.txn.kind != "award" or one.change["pending"] <= 0:
        return ""
    return _("%(n)s 分过了退货期才到账", n=one.change["pending"])


def card(db: Session, person: Person) -> dict[str, Any] | None:
    """What the page about a person shows of their points; None for who may not see them."""
    if not here.may("see_points"):
        return None
    standing = accounts.standing_of(db, persons.anchors(db, person.id), here.now())
    return {"standing": standing, "ends": standing.ends(here.now(), here.zone())[:3]}
