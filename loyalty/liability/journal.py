"""Journal lines for accountants (分录): from what was posted last to where the books stand now, each with its reason.

Cumulative amounts are rounded to fen and the difference to what was posted before is posted, so that nothing is lost
over a cohort's life and its last posting takes the rest. Points that were sold: 主营业务收入 against 合同负债. Points
that were given: 销售费用 against 预计负债, by the change of what they are expected to cost.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from loyalty.liability.accounting import nearest
from loyalty.liability.facts import PURCHASE
from loyalty.liability.report import Line, Report, yuan
from loyalty.liability.splits import ALONE, FEW, REST, SHORT

REVENUE, CONTRACT = "主营业务收入", "合同负债——积分"
EXPENSE, PROVISION = "销售费用——积分", "预计负债——积分"
HEAD = ("日期", "科目", "借方", "贷方", "批次", "摘要")
"""Of the file; an accountant in China reads it in Chinese whatever the console speaks."""
SOLD, GIVEN = "消费积分", "赠送积分"
AMOUNTS = ("allocated", "recognised", "provided")


@dataclass(frozen=True)
class Posting:
    """One line: fen on one side."""

    day: date
    account: str
    debit: int
    credit: int
    cohort: str
    """``2026-03 消费积分``."""
    why: str

    def cells(self) -> Sequence[str]:
        """Under ``HEAD``; money in yuan."""
        sides = (f"{one / 100:.2f}" if one else "" for one in (self.debit, self.credit))
        return (self.day.isoformat(), self.account, *sides, self.cohort, self.why)


SPLIT_HEAD = ("截至", "来由", "发放时的客户", "等级", "未兑换", "预计还会兑换", "最终兑换率", "预计成本", "推算依据")
STATES = {"active": "活跃", "dormant": "沉睡", "lost": "流失", "new": "第一次来", REST: "其余"}
BY = {ALONE: "自己的月份", FEW: "全部一起：兑换过的不到 30 人", SHORT: "全部一起：月份不够"}


def split_cells(one: Report) -> list[Sequence[str]]:
    """The splits of the forecast, a line each under ``SPLIT_HEAD``, and their sum; money in yuan."""
    day = one.facts.as_of.isoformat()
    lines = []
    for each, points, cost in zip(one.splits, one.split_points(), one.split_costs(), strict=True):
        kind, state, tier = each.part.name
        rate = "" if each.rate is None else f"{100 * float(each.rate):.2f}%"
        names = (SOLD if kind == PURCHASE else GIVEN, STATES[state], "其余" if tier == REST else tier)
        lines.append((day, *names, str(each.open), str(points), rate, yuan(cost) or "", BY[each.part.why]))
    total = (day, "合计", "", "", str(one.open), str(nearest(one.future)), "", yuan(one.cost_of()) or "", "")
    return [*lines, total]


def booked_by(one: Report) -> list[dict[str, Any]]:
    """The position of each cohort in whole fen, and why; as a publication keeps it."""
    return [_booked(each) for each in one.lines]


def _booked(one: Line) -> dict[str, Any]:
    money = one.money
    allocated = nearest(money.allocated) if money else 0
    whole = money is not None and money.recognised == money.allocated
    recognised = allocated if whole else nearest(money.recognised) if money else 0
    provided = nearest(one.cost) if one.cost is not None and one.kind != PURCHASE else 0
    cohort = one.cohort
    return {
        "kind": one.kind,
        "month": f"{one.month:%Y-%m}",
        "allocated": allocated,
        "recognised": recognised,
        "provided": provided,
        "redeemed": cohort.so_far,
        "expected": nearest(Fraction(one.estimate.ultimate)),
        "kept": cohort.kept,
        "open": cohort.open,
    }


def postings(day: date, now: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> Iterator[Posting]:
    """The lines that lead from one position to another, cohort by cohort; none where nothing has changed.

    A cohort that is not in the books any more (there is none) would be posted back to nothing.
    """
    were = {(one["kind"], one["month"]): one for one in before}
    are = {(one["kind"], one["month"]): one for one in now}
    for key in sorted({*were, *are}, key=lambda one: (one[0] != PURCHASE, one[1])):
        yield from _cohort(day, key, are.get(key, {}), were.get(key, {}))


def _cohort(day: date, key: tuple[str, str], now: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Posting]:
    kind, month = key
    name = f"{month} {SOLD if kind == PURCHASE else GIVEN}"
    change = {one: now.get(one, 0) - before.get(one, 0) for one in AMOUNTS}
    so_far = f"已兑换 {now.get('redeemed', 0)} 分，预计共兑换 {now.get('expected', 0)} 分"
    yield from _pair(day, REVENUE, CONTRACT, change["allocated"], name, _why_allocated(now, before))
    over = "" if now.get("open") else "，已无剩余积分，余额全部转入收入"
    yield from _pair(day, CONTRACT, REVENUE, change["recognised"], name, f"按兑换比例确认收入：{so_far}{over}")
    yield from _pair(day, EXPENSE, PROVISION, change["provided"], name, f"未兑换赠送积分的预计成本变动：{so_far}")


def _why_allocated(now: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    kept = now.get("kept", 0)
    if not before:
        return f"从售价中分摊给积分：{kept} 分"
    return f"分摊额变动：积分由 {before['kept']} 分变为 {kept} 分（新发放或退货收回）"


def _pair(day: date, debit: str, credit: str, fen: int, cohort: str, why: str) -> Iterator[Posting]:
    """Both lines of an entry; a negative one is posted the other way round."""
    if fen < 0:
        debit, credit, fen = credit, debit, -fen
    if fen:
        yield Posting(day, debit, fen, 0, cohort, why)
        yield Posting(day, credit, 0, fen, cohort, why)
