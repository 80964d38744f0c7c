"""How approvals are said: kinds, states, grades and why, and why not."""

from collections.abc import Mapping, Sequence

from console.shown import exact
from console.words import N_, _
from loyalty import approvals
from loyalty.approvals import CannotDo
from loyalty.deeds import Look
from loyalty.ledger.book import Conflict
from storage.tables import Approval, ApprovalWord

KINDS: Mapping[str, str] = {
    "award": N_("发积分"),
    "adjust": N_("调整积分"),
    "reissue": N_("补发积分"),
    "transfer": N_("转赠积分"),
    "bulk_award": N_("批量发积分"),
    "bulk_clear": N_("批量清零"),
    "bulk_undo": N_("撤回一批"),
    "take_over": N_("接管旧积分"),
    "campaign": N_("积分活动"),
    "policy": N_("积分规则"),
    "tiers": N_("等级规则"),
    "gifts": N_("转赠规则"),
    "groups": N_("拼团规则"),
    "authority": N_("审批额度"),
}
STATES: Mapping[str, tuple[str, str]] = {
    "waiting": (N_("等人审批"), "warn"),
    "approved": (N_("已批准，到时间执行"), "info"),
    "running": (N_("正在执行"), "info"),
    "done": (N_("已执行"), "good"),
    "rejected": (N_("被驳回"), "bad"),
    "cancelled": (N_("已撤销"), "quiet"),
    "expired": (N_("没有人批，已过期"), "quiet"),
    "returned": (N_("退回给提交人"), "bad"),
}
ALONE = (N_("没有第二个人，一天后执行"), "warn")
GRADES: Mapping[int, str] = {
    0: N_("不用审批"),
    1: N_("一位同事批准"),
    2: N_("两位同事批准，其中一位是老板"),
    3: N_("两位同事批准，其中一位是老板，再等一天"),
}
MISSING: Mapping[tuple[int, bool], str] = {
    (1, False): N_("还差一位同事"),
    (1, True): N_("还差一位老板"),
    (2, False): N_("还差两位同事"),
    (2, True): N_("还差两位同事，其中一位是老板"),
}
"""Whose words are missing: how many, and whether a boss's is among them."""
BECAUSE: Mapping[str, str] = {
    "kind": N_("这类操作至少要这一级"),
    "person": N_("一天内给同一位客户的积分超过额度"),
    "day": N_("提交人一天内的积分合计超过额度"),
    "many": N_("一次涉及许多客户"),
    "large": N_("提交人一天内的积分合计很大"),
    "huge": N_("提交人一天内的积分合计非常大"),
    "rep_month": N_("在成员每月的额度内"),
}
NOTES: Mapping[str, str] = {
    "changed": N_("内容和大家看过的不一样，没有执行。请重新提交。"),
    "drift": N_("现在执行的结果和提交时相差超过百分之二，没有执行。请按现在的数字重新提交。"),
    "not_enough": N_("现在的积分不够，没有执行。"),
    "in_debt": N_("客户还欠着积分，没有执行。"),
    "not_possible": N_("现在不能这样做了，没有执行。"),
}
WHY_NOT: Mapping[str, str] = {
    "own": N_("自己提交的不能自己批，老板也一样；用自己建的接口密钥也不行"),
    "no_right": N_("你不能审批积分"),
    "not_maker": N_("只有提交人能撤销；别人不同意，请驳回并写明原因"),
    "over": N_("它已经有结果了"),
    "not_enough": N_("积分不够：能用的有 %(available)s 分，要的是 %(wanted)s 分"),
    "nothing": N_("没有可做的：没有人，或他们没有积分"),
    "no_reason": N_("请写明原因，最多 %(most)s 个字"),
    "bad_points": N_("积分要是整数，不能是 0，最多 %(most)s"),
    "rep_kind": N_("成员只能发积分"),
    "over_budget": N_("本月额度还剩 %(left)s 分"),
    "in_debt": N_("客户还欠着 %(debt)s 分，还清之前不能用"),
    "not_possible": N_("不能这样做"),
    "bad_limits": N_("额度要是整数，而且从上到下越来越大"),
    "bad_rules": N_("规则不对：%(why)s"),
    "no_batch": N_("只有执行完的批量发积分和批量清零可以撤回"),
    "unknown_kind": N_("没有这种操作"),
}


def why_not(error: CannotDo | Conflict) -> str:
    """Why it cannot be done, in the language of this answer."""
    if isinstance(error, Conflict):
        return _("这张表单已经提交过了，内容和现在不同。请从客户页重新打开它。")
    return _(WHY_NOT.get(error.code, WHY_NOT["not_possible"]), **{"most": 0, **error.facts})


def state_of(approval: Approval) -> tuple[str, str]:
    """How it stands: words and tone."""
    if approval.state == "waiting" and approval.due_at is not None:
        return ALONE
    return STATES[approval.state]


def missing(approval: Approval, said: Sequence[ApprovalWord]) -> str:
    """Whose word it waits for; empty where it waits for none."""
    left = approvals.missing(approval, said)
    if left not in MISSING:
        return ""
    who = _(MISSING[left])
    return _("%(who)s；同意后再等一天执行", who=who) if approval.grade == 3 else who


def moved(kind: str, look: Look) -> str:
    """What it does to points and to how many customers, with the direction."""
    n, up, down = exact(look.accounts), (look.size + look.points) // 2, (look.size - look.points) // 2
    if kind == "transfer":
        return _("把 %(m)s 分从一位客户转给另一位", m=exact(look.size))
    if up and down:
        return _("涉及 %(n)s 位客户，共加 %(up)s 分，扣 %(down)s 分", n=n, up=exact(up), down=exact(down))
    if down:
        return _("从 %(n)s 位客户扣 %(m)s 分", n=n, m=exact(down))
    return _("给 %(n)s 位客户 +%(m)s 分", n=n, m=exact(up))


def note_of(approval: Approval) -> str:
    """Why it was rejected or is back: what somebody wrote, or what we say."""
    return _(NOTES[approval.note]) if approval.note in NOTES else approval.note


LIMITS: Mapping[str, str] = {
    "person": N_("一天内给同一位客户，不用审批的积分"),
    "day": N_("一个人一天内合计，不用审批的积分"),
    "large": N_("超过它要两位同事批准"),
    "huge": N_("超过它还要再等一天"),
    "rep_month": N_("每位成员每月可以自己发的积分（0：不能发）"),
}
"""The shop's limits, in the order of the form."""
GIFTS: Mapping[str, str] = {
    "on": N_("客户可以转赠积分"),
    "day": N_("每人每天最多送出的积分"),
    "new_days": N_("新客户头几天不能送"),
    "phone_days": N_("换手机号后几天不能送"),
    "accept": N_("接口直接赠送时，也要对方接收"),
}
GROUPS: Mapping[str, str] = {
    "on": N_("客户可以开团"),
    "seats": N_("几个人成团"),
    "percent": N_("每人付原价的百分之几"),
    "hours": N_("几小时内要拼满"),
}
TOLD: Mapping[str, Mapping[str, str]] = {
    "authority": LIMITS,
    "gifts": GIFTS,
    "groups": {**GROUPS, "percent": N_("每人付")},
}
"""Rules whose every value is shown by name, in the order of their forms."""
UNITS: Mapping[str, Mapping[str, str]] = {
    "authority": dict.fromkeys(LIMITS, N_("%(n)s 分")),
    "gifts": {"day": N_("%(n)s 分"), "new_days": N_("%(n)s 天"), "phone_days": N_("%(n)s 天")},
    "groups": {"seats": N_("%(n)s 人"), "percent": N_("原价的 %(n)s%%"), "hours": N_("%(n)s 小时")},
}
"""What their numbers count."""
