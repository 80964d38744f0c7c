"""Taking over an older points system (积分对照): how it compares day by day and person by person, and the switch."""

from collections.abc import Iterable
from datetime import date
from itertools import islice
from typing import Any

from flask import Blueprint, Response, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console import here
from console.approval_words import why_not
from console.approvals import me
from console.channels import csv_answer
from console.doors import guarded
from console.layout import back_to, say
from console.words import N_, _, said
from loyalty import approvals, takeover
from loyalty.approvals import Asked, CannotDo
from loyalty.ledger.book import Conflict
from loyalty.takeover import Difference, NotNow
from people import persons
from storage.tables import Approval, Person, PointsAccount

pages = Blueprint("takeover", __name__, url_prefix="/points/takeover")

SHOWN = 100
DAYS = 31
TROUBLES = (
    ("there is nothing to take over", N_("没有要接管的积分")),
    ("the switch waits for approval already", N_("切换已经在等审批")),
)


@pages.get("")
@guarded("see_ledger")
def show() -> str:
    """Each day's sums, and who differs on the day that was chosen."""
    with here.reading() as db:
        state, days = takeover.state(db), takeover.days(db)[:DAYS]
        day = _day(days)
        found = list(islice(takeover.differences(db, day, here.zone()), SHOWN + 1)) if day else []
        return render_template(
            "takeover/show.html",
            state=state,
            approval=db.get(Approval, state.approval) if state.approval else None,
            days=[takeover.summary(db, one, here.zone()) for one in days],
            day=day,
            newest=days[0] if days else None,
            found=found[:SHOWN],
            more=len(found) > SHOWN,
            people=_people(db, found),
            public=persons.public_id,
        )


def _day(days: Iterable[date]) -> date | None:
    """The day that the address names, if something is noted of it; else the newest."""
    days = list(days)
    return next((one for one in days if one.isoformat() == request.args.get("day")), days[0] if days else None)


def _people(db: Session, found: Iterable[Difference]) -> dict[int, Person]:
    """Whose accounts these are."""
    head = func.coalesce(Person.merged_into, Person.id)
    ids = [one.account_id for one in found]
    own = select(PointsAccount.id, head).join(Person, Person.id == PointsAccount.person_id)
    heads = dict(db.execute(own.where(PointsAccount.id.in_(ids))).all())
    known = {one.id: one for one in db.scalars(select(Person).where(Person.id.in_(set(heads.values()))))}
    return {account_id: known[head_id] for account_id, head_id in heads.items()}


@pages.get("/differences.csv")
@guarded("see_ledger")
def differences() -> Response:
    """Everybody who differs on a day, by our ids; this, too, is a line in the audit."""
    with here.reading() as db:
        day = _day(takeover.days(db))
        found = list(takeover.differences(db, day, here.zone())) if day else []
        people = _people(db, found)
    with here.working() as work:
        here.note(work, "points.differences", details={"day": str(day), "count": len(found)})
    rows = ([persons.public_id(people[one.account_id].id) if one.account_id in people else "", one.ours, one.theirs,
             one.theirs - one.ours] for one in found)  # fmt: skip
    head = [_("客户"), _("这里"), _("旧系统"), _("相差")]
    return csv_answer(f"differences-{day}.csv", head, rows)


@pages.post("/switch")
@guarded("make_points")
def switch() -> Any:
    """Ask for the switch: what the older system said last becomes what people have here, once others agree."""
    reason = request.form.get("reason", "").strip()
    try:
        with here.working() as work:
            day = next(iter(takeover.days(work.db)), None)
            if day is None:
                raise NotNow("there is nothing to take over")
            want = takeover.wanted(work, day)
            approval = approvals.submit(work, Asked(takeover.KIND, want.payload, reason, want.once, want.lines), me())
            takeover.waits_for(work, approval.id, here.viewer().userid)
            here.note(
                work, "points.take_over", f"a_{approval.id}", {"day": day.isoformat(), "accounts": len(want.lines)}
            )
    except NotNow as error:
        say(said(str(error), TROUBLES), "bad")
        return back_to("takeover.show")
    except (CannotDo, Conflict) as error:
        say(why_not(error), "bad")
        return back_to("takeover.show")
    say(_("已提交审批；执行完，积分就在这里用"))
    return back_to("takeover.show")
