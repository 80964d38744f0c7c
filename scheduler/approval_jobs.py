"""The job about approvals: carry out what has waited long enough, end what nobody decided, tell everybody concerned.

Approvers get a card in WeCom that leads to the approval's page, where they decide, on the phone too; its maker gets
one when it is decided.
"""

from typing import TYPE_CHECKING

from loyalty import approvals, authority
from loyalty.approvals import APPROVED, CANCELLED, DONE, EXPIRED, REJECTED, RETURNED, RUNNING, WAITING
from outreach import telling
from people import persons
from people.tasks import rep_key
from storage.database import reading, transaction
from storage.tables import Approval
from storage.work import Work
from wecom.commands import textcard_to

if TYPE_CHECKING:
    from scheduler.timetable import Hands

KIND_WORDS = {
    "award": "发积分",
    "adjust": "调整积分",
    "reissue": "补发积分",
    "transfer": "转赠积分",
    "bulk_award": "批量发积分",
    "bulk_clear": "批量清零",
    "bulk_undo": "撤回一批",
    "take_over": "接管旧积分",
    "campaign": "积分活动",
    "policy": "积分规则",
    "tiers": "等级规则",
    "gifts": "转赠规则",
    "groups": "拼团规则",
    "authority": "审批额度",
}
BECAME = {
    APPROVED: "已批准，到时间执行",
    RUNNING: "已批准，正在执行",
    DONE: "已执行",
    REJECTED: "被驳回",
    CANCELLED: "已撤销",
    EXPIRED: "72 小时没有人批，已过期",
    RETURNED: "和批准时不一样了，退回给你",
}
TURNS = 50
"""So many portions of one thing done to many in one run of the job."""


def tend_approvals(hands: "Hands") -> str:
    """Carry out what is due, end what is over, tell."""
    with reading(hands.engine) as db:
        due = approvals.due(db, hands.clock())
    done = sum(_carry_out(hands, one) for one in due)
    with transaction(hands.engine) as db:
        ended = approvals.over(hands.work(db, "tend approvals"))
    told = _tell_all(hands)
    if told:
        hands.ring()
    return f"carried out: {done}, over: {ended}, told: {told}"


def _carry_out(hands: "Hands", approval_id: int) -> int:
    """One after the other, each portion kept by itself; whoever dies within is replaced and nothing is done twice."""
    count = 0
    for _ in range(TURNS):
        if hands.stopping():
            break
        with transaction(hands.engine) as db:
            some = approvals.go_on(hands.work(db, "tend approvals"), approval_id)
        count += some
        if not some:
            break
    return count


def _tell_all(hands: "Hands") -> int:
    with reading(hands.engine) as db:
        waiting = approvals.untold(db)
    told = 0
    for one in waiting:
        with transaction(hands.engine) as db:
            work = hands.work(db, "tend approvals")
            approval = approvals.locked(work.db, one)
            told += _tell(work, approval)
            approval.told = approval.state
    return told


def _tell(work: Work, approval: Approval) -> int:
    """Those who can decide, once; its maker, what became of it."""
    what = f"{_what(approval)} · {approval.reason}"
    if approval.state == WAITING:
        others = authority.deciders(work.db, approval.hand)
        who = persons.rep_name(work.db, approval.hand)
        until = approval.expires_at.astimezone(work.zone)
        words = f"{who} 提交：{what}\n{until:%m月%d日 %H:%M} 前有效"
        return sum(_card(work, approval, one, "积分审批等你处理", words) for one in others)
    title = f"积分审批{BECAME[approval.state]}"[:40]
    return _card(work, approval, approval.hand, title, what + (f"\n{approval.note}" if _said(approval) else ""))


def _what(approval: Approval) -> str:
    """What it is, by its name where it has one, and how many points it moves where it moves any."""
    kind, name = KIND_WORDS.get(approval.kind, approval.kind), approval.payload.get("name", "")
    if approval.kind == "campaign":
        budget = approval.payload["budget"]
        return f"{kind}“{name}”最多 {budget:,} 分" if budget is not None else f"{kind}“{name}”没有总额"
    return f"{kind} {approval.size:,} 分" if approval.size else kind


def _said(approval: Approval) -> bool:
    """Whether its note is what somebody wrote, rather than a code of ours."""
    return approval.state == REJECTED


def _card(work: Work, approval: Approval, userid: str, title: str, words: str) -> int:
    known = telling.member(work, userid)
    if known is None:
        return 0
    card = textcard_to(known.userid, title, words, f"/approvals/{approval.id}", "打开")
    once = f"approval:{approval.id}:{approval.state}:{known.userid}"
    return int(work.ask(card, once=once, key=rep_key(known.userid)))
