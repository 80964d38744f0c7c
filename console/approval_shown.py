"""Exactly what an approval does, in words: every value of what is agreed to, for the page that asks for it.

What is written in the payload is said, never what stands elsewhere by now: that is what is carried out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from sqlalchemy.orm import Session

from console import approval_words, here, points_words
from console.programme_words import times
from console.segment_words import called, on_one_line, sentences
from console.shown import count, day, exact, last_day, moment
from console.words import _
from handlers import rehearsal
from handlers.rehearsal import Tried
from insight import segments
from loyalty import approvals, deeds, programme
from loyalty.programme import Programme
from loyalty.tiers import Scheme
from storage.tables import Approval, Campaign, PointsTxn

Row = tuple[str, str]
"""What it is called, and its value, in the language of the answer."""


@dataclass(frozen=True)
class Exactly:
    """All that is agreed to."""

    rows: Sequence[Row] = ()
    campaign: Campaign | None = None
    """As it was asked for."""
    tried: Sequence[Tried] = ()
    """What the campaign would have made of earlier weeks, while it can be decided."""
    warning: str = ""
    """Why it would not come to what stands here."""
    programme: Programme | None = None
    scheme: Scheme | None = None


def of(db: Session, approval: Approval) -> Exactly:
    """What an approval does."""
    return SHOWN[approval.kind](db, approval)


def _life(_db: Session, approval: Approval) -> Exactly:
    """When points that are given die; nothing of points that are taken."""
    given = approval.preview["points"] > 0
    return Exactly([(_("送出的积分"), _until(approval.payload))] if given else ())


def _until(payload: Mapping[str, Any]) -> str:
    ends, idle = payload.get("expires_at"), payload.get("idle_months")
    if not ends:
        return _("不过期")
    at = datetime.fromisoformat(ends)
    whole_days = at.astimezone(here.zone()).time() == time()
    last = _("最后一天 %(day)s", day=day(last_day(at))) if whole_days else _("%(at)s 过期", at=moment(at))
    if idle is not None:
        return _("%(last)s，若到那时 %(n)s 个月没有消费也没有兑换", last=last, n=idle)
    return last


def _reissue(db: Session, approval: Approval) -> Exactly:
    lost = db.get(PointsTxn, approval.payload["lost_txn"])
    what = f"{points_words.title(lost.kind)} · {moment(lost.effective_at)}" if lost is not None else "–"
    return Exactly([(_("补的是"), what), *_life(db, approval).rows])


def _take_over(_db: Session, approval: Approval) -> Exactly:
    return Exactly([(_("旧系统哪一天的余额"), str(approval.payload["day"]))])


def _by_name(_db: Session, approval: Approval) -> Exactly:
    words, units = approval_words.TOLD[approval.kind], approval_words.UNITS[approval.kind]
    told = [(name, value) for name, value in approval.payload.items() if name in words]
    return Exactly(
        [(_(words[name]), _yes(n) if isinstance(n, bool) else _(units[name], n=exact(n))) for name, n in told]
    )


def _yes(value: bool) -> str:
    return _("是") if value else _("否")


# --- rules -----------------------------------------------------------------------------------------------------------


def _policy(_db: Session, approval: Approval) -> Exactly:
    since = datetime.fromisoformat(approval.payload["valid_from"])
    late = approval.state in approvals.OPEN and since <= here.now()
    warning = _("它该生效的时间已经过了，批准了也不会生效。请驳回，让提交人另选时间。") if late else ""
    own = Programme(**approval.payload["definition"])
    return Exactly([(_("从什么时候起"), moment(since))], programme=own, warning=warning)


def _tiers(_db: Session, approval: Approval) -> Exactly:
    return Exactly(scheme=Scheme(**approval.payload))


# --- a campaign ------------------------------------------------------------------------------------------------------


def _campaign(db: Session, approval: Approval) -> Exactly:
    wanted, still = deeds.campaign_of(approval.payload), approval.state in approvals.OPEN
    work = here.start_work(db)
    own = programme.rules_at(work, work.now).programme
    rows = [
        (_("名称"), wanted.name),
        (_("时间"), f"{moment(wanted.from_at)} – {moment(wanted.to_at)}"),
        (_("几倍"), times(wanted.multiplier)),
        (_("给谁"), _audience(db, wanted)),
        (_("每人最多多送"), _most(wanted.cap)),
        (_("一共最多多送"), _most(wanted.budget)),
        (_("和别的活动叠加"), _yes(wanted.stacks)),
        (_("退款收回的名额还给别人"), _yes(wanted.gives_back)),
    ]
    if "from_at" in approval.result:
        rows.append((_("实际从什么时候起"), moment(datetime.fromisoformat(approval.result["from_at"]))))
    return Exactly(
        rows,
        campaign=wanted,
        tried=rehearsal.campaign(db, wanted, own, here.now(), here.zone()) if still else (),
        warning=_late(db, approval, wanted) if still else "",
    )


def _most(points: int | None) -> str:
    return _("不限") if points is None else _("%(n)s 分", n=exact(points))


def _audience(db: Session, wanted: Campaign) -> str:
    """Whom it is for in a sentence, and how many they are now."""
    if not wanted.audience:
        return _("所有客户")
    words = on_one_line(sentences(wanted.audience, called(db, [wanted.audience])))
    fits = segments.condition(wanted.audience, segments.question(db, here.now(), here.zone()))
    return _("%(who)s（现在 %(n)s 人）", who=words, n=count(segments.count(db, fits)))


def _late(db: Session, approval: Approval, wanted: Campaign) -> str:
    row = db.get(Campaign, wanted.id)
    if row is None or deeds.campaign_facts(row) != approval.payload:
        return _("提交以后它被改过了，批准了也不会生效。请驳回，让提交人重新提交。")
    first = deeds.first_minute(here.now())
    if wanted.to_at <= first:
        return _("它已经过了结束的时间，批准了也不会生效。")
    if wanted.from_at < first:
        return _("它的开始时间已经过了：现在批准，只有从批准后的下一分钟起付款的订单多得，之前付款的不补。")
    return ""


SHOWN: Mapping[str, Callable[[Session, Approval], Exactly]] = {
    "award": _life,
    "adjust": _life,
    "reissue": _reissue,
    "transfer": lambda _db, _approval: Exactly(),
    "bulk_award": _life,
    "bulk_clear": lambda _db, _approval: Exactly(),
    "bulk_undo": _life,
    "take_over": _take_over,
    "campaign": _campaign,
    "policy": _policy,
    "tiers": _tiers,
    "gifts": _by_name,
    "groups": _by_name,
    "authority": _by_name,
}
"""One row for each of ``loyalty.deeds.DEEDS``. Of a transfer and a clearing the table of customers says it all."""
