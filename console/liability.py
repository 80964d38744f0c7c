"""积分负债: what open points are worth, how many will be redeemed and when, and how well that was known before.

For the boss. Reading a large shop's books takes seconds, so what a day that is over said is kept in this process, and
what today says for some minutes; what a point is worth is put to it anew at each request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request
from sqlalchemy.orm import Session

from console import here, liability_charts
from console.doors import guarded
from console.layout import back_to, say
from console.shown import month as month_name
from console.words import N_, _
from loyalty import tiers
from loyalty.ledger import proof
from loyalty.liability import facts as books
from loyalty.liability import holders, parameters, policy, published, report
from loyalty.liability.accounting import WHOLE, nearest, posted
from loyalty.liability.facts import OTHER, PURCHASE, Facts
from loyalty.liability.forecast import ALL, CHAIN, ENDS, OTHERS, OVER, TAIL, UNKNOWN
from loyalty.liability.journal import HEAD, SPLIT_HEAD, split_cells
from loyalty.liability.parameters import BadParameters, Parameters
from loyalty.liability.published import CannotPublish
from loyalty.liability.report import Report
from loyalty.liability.splits import ALONE, FEW, REST, SHORT
from loyalty.liability.triangle import Cohort, pooled
from storage import sheets

pages = Blueprint("liability", __name__, url_prefix="/points/liability")

KEPT, SETTLES, FRESH = 12, timedelta(hours=1), timedelta(minutes=5)
"""Reports kept; so long after its end a day changes no more; so long one is shown that still may."""
COHORTS, AGES, MONTHS = 24, 18, 12
"""So many of each are shown, later months as one sum; all are in the document of ``scrm liability --json``."""
CURVES = 6
SHADES = 8
FEN = 100
KIND_WORDS: Mapping[str, str] = {PURCHASE: N_("消费积分"), OTHER: N_("赠送积分")}
METHOD_WORDS: Mapping[str, str] = {
    OVER: N_("已无剩余"),
    CHAIN: N_("按自己的兑换推算"),
    OTHERS: N_("太新，参考老月份"),
    ALL: N_("无从推算，全部计入"),
}
TAIL_WORDS: Mapping[str, str] = {
    ENDS: N_("积分到期的月龄都已经见过，不用外推。"),
    TAIL: N_("积分活得比已有的月份长，之后的部分按走势外推。"),
    UNKNOWN: N_("月份还不够推算规律，先按没兑换的全部会兑换来算：宁可多计，不猜。"),
}
STATE_WORDS: Mapping[str, str] = {
    holders.ACTIVE: N_("活跃：90 天内来过"),
    holders.DORMANT: N_("沉睡：一年内来过"),
    holders.LOST: N_("流失：一年以上没来"),
    holders.NEW: N_("第一次来"),
    REST: N_("其余合在一起"),
}
SPLIT_WHY: Mapping[str, str] = {
    ALONE: N_("自己的月份"),
    FEW: N_("全部一起：兑换过的不到 30 人"),
    SHORT: N_("全部一起：月份不够长"),
}
CHANGE_WORDS: Mapping[str, str] = {
    policy.EXPIRY: N_("积分有效期的规则变了"),
    policy.CLEAR: N_("批量清零过积分"),
}
WHY_NOT: Mapping[str, str] = {
    "month": N_("只能公布已经过完的一个月末"),
    "empty": N_("那时还没有积分"),
    "parameters": N_("先填每分抵多少钱"),
    "published": N_("这个月末或更晚的已经公布过"),
}
WRONG: Mapping[str, str] = {
    "face": N_("请填大于 0 的金额，最多六位小数，例如 0.01"),
    "cost": N_("请填金额，最多六位小数，例如 0.006"),
    "tax": N_("请填 0 到 100，最多两位小数，例如 6"),
}


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """A report that was worked out before."""

    read_at: datetime
    worth: str
    facts: Facts
    report: Report


def _report(as_of: date) -> tuple[Report, list[Parameters]]:
    """The report of a day, and every version of the parameters."""
    memory: dict[date, Known] = current_app.extensions.setdefault("liability_reports", {})
    with proof.one_moment(here.engine()) as db:
        versions = parameters.versions(db)
        known = memory.get(as_of)
        facts = known.facts if known and _still_good(known) else books.read(db, as_of, here.zone())
    worth = versions[-1].since if versions else ""
    if known is None or known.facts is not facts or known.worth != worth:
        known = Known(here.now(), worth, facts, report.report(facts, versions, here.zone()))
        memory.pop(as_of, None)
        memory[as_of] = known
        while len(memory) > KEPT:
            memory.pop(next(iter(memory)))
    return known.report, versions


def _still_good(known: Known) -> bool:
    over = datetime.combine(known.facts.as_of + timedelta(days=1), time(), here.zone())
    return known.read_at > over + SETTLES or here.now() - known.read_at < FRESH


def _asked_day() -> date:
    """The day of the address; today for none, for what is no day, and for one that is to come."""
    try:
        return min(date.fromisoformat(request.args.get("as_of", "")), here.today())
    except ValueError:
        return here.today()


# --- the page --------------------------------------------------------------------------------------------------------


@pages.get("")
@guarded("see_liability")
def show() -> str:
    """All of it, as of a day."""
    return _page({})


def _page(typed: Mapping[str, str], errors: Mapping[str, str] | None = None) -> str:
    one, versions = _report(_asked_day())
    last = published.month_end(here.today())
    with here.reading() as db:
        records = published.records(db)
        obstacle = _obstacle(db, last)
        postings = published.journal(db, one)
        levels = tiers.scheme(db).levels
    triangle = pooled(one.facts.cells.values()).cohorts
    ages = min(max((cohort.age for cohort in triangle), default=0), AGES)
    return render_template(
        "liability/show.html",
        one=one,
        kinds=KIND_WORDS,
        methods=METHOD_WORDS,
        tails=sorted({TAIL_WORDS[of.tail] for of in one.forecast.patterns.values()}) if one.open else [],
        cost_given=_yuan(one.cost_of((OTHER,))),
        deferred=_yuan(one.deferred),
        cost=_yuan(one.cost_of()),
        yuan_of=_yuan,
        percent=_percent,
        whole=lambda number: nearest(Fraction(number)),
        triangle=triangle[-COHORTS:],
        tiers={each.key: each.name for each in levels},
        states=STATE_WORDS,
        whys=SPLIT_WHY,
        changes=CHANGE_WORDS,
        ages=ages,
        shade=_shade,
        curve=_curve(one),
        months=_by_month(one),
        month_chart=_month_chart(one),
        records=records,
        obstacle=WHY_NOT.get(obstacle or ""),
        last=last,
        postings=postings,
        versions=list(reversed(versions)),
        typed={**_as_typed(one.parameters), **typed},
        errors=errors or {},
    )


def _obstacle(db: Session, last: date) -> str | None:
    """Why the last month's end cannot be published, as far as it is known without reading the books of it."""
    newest = published.latest(db)
    if newest is not None and newest.as_of >= last:
        return "published"
    return None if parameters.versions(db) else "parameters"


def _yuan(fen: Fraction | None) -> Decimal | None:
    return None if fen is None else Decimal(nearest(fen)) / FEN


def _percent(part: Fraction | None, sign: str = "") -> str:
    return "–" if part is None else f"{100 * float(part):{sign}.1f}%".replace("-", "−")


def _shade(cohort: Cohort, age: int) -> int:
    """How dark a cell of the triangle is, 0 to 8: eighths of all points of that month that were kept."""
    return min(SHADES, -(-SHADES * max(cohort.at(age), 0) // cohort.kept)) if cohort.kept > 0 else 0


def _curve(one: Report) -> liability_charts.Sketch | None:
    """Share redeemed by age: the last months as they went, and what is expected of one."""
    cohorts = [cohort for cohort in pooled(one.facts.cells.values()).cohorts if cohort.age and cohort.kept > 0]
    if not cohorts:
        return None
    some = [("seen", [cohort.at(age) / cohort.kept for age in range(cohort.age + 1)]) for cohort in cohorts[-CURVES:]]
    kept = max(
        one.forecast.cells, key=lambda piece: (piece[1], sum(each.cohort.kept for each in one.forecast.cells[piece]))
    )
    pattern, rate = one.forecast.patterns[kept], float(one.rate or 0)
    ages = max(len(shares) for _look, shares in some) - 1
    if pattern.tail != UNKNOWN:
        ages = max(ages, min(len(pattern.developed) - 1, AGES))
        some.append(("expected", [rate * float(pattern.share(age)) for age in range(ages + 1)]))
    ages = min(ages, AGES)
    return liability_charts.curves([(look, shares[: ages + 1]) for look, shares in some], ages)


def _months(one: Report) -> list[tuple[date, Any]]:
    return one.months()[:MONTHS]


def _by_month(one: Report) -> list[tuple[date, Any, int]]:
    """Month by month in whole points that add up to all that is expected; later months as one, without a range."""
    some = one.months()
    rows = [*some[:MONTHS], *([(some[MONTHS][0], None)] if some[MONTHS:] else [])]
    values = [Fraction(of.value) for _month, of in some]
    whole = posted([*values[:MONTHS], *([sum(values[MONTHS:], Fraction())] if some[MONTHS:] else [])])
    return [(month, of, points) for (month, of), points in zip(rows, whole, strict=True)]


def _month_chart(one: Report) -> liability_charts.Sketch | None:
    some = []
    for month, of in _months(one):
        words = _("%(month)s 预计 %(n)s 分，%(low)s–%(high)s", month=month_name(month), n=f"{nearest(of.value):,}",
                  low=f"{of.low:,.0f}", high=f"{of.high:,.0f}")  # fmt: skip
        some.append((f"{month:%y-%m}", float(of.value), of.low, of.high, words))
    return liability_charts.months(some) if some else None


def _as_typed(one: Parameters | None) -> dict[str, str]:
    if one is None:
        return {"face": "", "cost": "", "tax": "0"}
    return {
        "face": f"{Decimal(one.face) / (WHOLE * FEN):f}",
        "cost": f"{Decimal(one.cost) / (WHOLE * FEN):f}",
        "tax": f"{Decimal(one.tax) * FEN / WHOLE:f}",
    }


# --- what leaves the house -------------------------------------------------------------------------------------------


@pages.get("/journal.csv")
@guarded("see_liability")
def journal_csv() -> Response:
    """The journal lines up to a day, in Chinese, for the accountant."""
    one, _versions = _report(_asked_day())
    with here.reading() as db:
        lines = published.journal(db, one)
    answer = Response("".join(sheets.lines(HEAD, (line.cells() for line in lines))), mimetype="text/csv")
    name = f"points-journal-{one.facts.as_of}.csv"
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


@pages.get("/splits.csv")
@guarded("see_liability")
def splits_csv() -> Response:
    """By what the forecast of a day is split, in Chinese, for the accountant."""
    one, _versions = _report(_asked_day())
    answer = Response("".join(sheets.lines(SPLIT_HEAD, split_cells(one))), mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=f"points-splits-{one.facts.as_of}.csv")
    return answer


# --- deciding --------------------------------------------------------------------------------------------------------


@pages.post("/parameters")
@guarded("set_liability")
def decide() -> Any:
    """What a point is worth and costs, from now on. A second person's word, where the shop wants it, comes in here."""
    typed = {name: request.form.get(name, "").strip()[:20] for name in WRONG}
    face, cost = (_whole(typed[name], WHOLE * FEN) for name in ("face", "cost"))
    tax = _whole(typed["tax"], WHOLE // FEN)
    try:
        with here.working() as work:
            kept = parameters.decide(work, Parameters(face, cost, tax), here.viewer().userid)
            if kept is not None:
                here.note(work, "liability.parameters", details=typed)
    except BadParameters as error:
        return _page(typed, {error.name: _(WRONG[error.name])}), 422
    say(_("已保存：从现在起按它来；以前分摊好的不重算") if kept else _("没有变化"))
    return back_to("liability.show")


def _whole(typed: str, scale: int) -> int:
    """A decimal in units of its last digit; -1 for what is none."""
    try:
        value = Decimal(typed) * scale if typed.isascii() else Decimal(-1)
    except InvalidOperation:
        return -1
    whole = value.is_finite() and abs(value) < here.LARGEST and value == value.to_integral_value()
    return int(value) if whole else -1


@pages.post("/publish")
@guarded("set_liability")
def publish() -> Any:
    """Put the boss's name to the forecast of the last month's end, for good."""
    one, _versions = _report(published.month_end(here.today()))
    try:
        with here.working() as work:
            row = published.publish(work, one, here.viewer().userid)
            here.note(
                work, "liability.publish", row.as_of.isoformat(), {"expected": row.figures["expected_redemptions"]}
            )
    except CannotPublish as error:
        say(_(WHY_NOT[error.why]), "warn")
    else:
        say(_("已公布：以后每过完一个月，都会拿实际兑换来对它"))
    return back_to("liability.show")
