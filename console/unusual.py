"""Days on which a customer bought more often than one person does: who, how often, whether they are one of ours."""

from datetime import date
from itertools import groupby
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select

from console import here
from console.doors import guarded
from console.layout import back_to, say
from console.orders import undone
from console.person import person_of
from console.words import _
from loyalty import insiders
from people import unusual
from people.orders import yuan
from storage.tables import Person

pages = Blueprint("unusual", __name__, url_prefix="/orders/unusual")

DAYS = 30


@pages.get("")
@guarded("see_orders")
def show() -> str:
    """The last thirty days, day by day; customers within sight."""
    return _page("")


def _page(error: str) -> str:
    with here.reading() as db:
        sight = here.sight(db)
        found = unusual.recent(db, here.today(), DAYS, here.zone(), sight)
        ids = {one.person_id for one in found}
        names = dict(db.execute(select(Person.id, Person.name).where(Person.id.in_(ids), sight.people())).all())
        days: list[tuple[date, list[unusual.Busy]]] = [
            (day, list(rows)) for day, rows in groupby(found, key=lambda one: one.day)
        ]
        return render_template(
            "orders/unusual.html",
            days=days,
            span=DAYS,
            names=names,
            ours=insiders.among(db, ids),
            limits=unusual.limits(db),
            fine=unusual.fine_people(db) if sight.everybody else [],
            yuan=yuan,
            error=error,
            undone=undone(db),
        )


@pages.post("")
@guarded("edit_points_programme")
def set_limits() -> Any:
    """Set from where on it is told."""
    orders, stores = (here.number(request.form.get(name)) for name in ("orders", "stores"))
    try:
        with here.working() as work:
            unusual.set_limits(work, orders or 0, stores or 0, by=here.viewer().userid)
            here.note(work, "orders.unusual", details={"orders": orders, "stores": stores})
    except ValueError:
        return _page(_("两个数都请填 2–1,000 的整数")), 422
    say(_("已保存"))
    return back_to("unusual.show")


@pages.post("/<person_id>")
@guarded("edit_points_programme")
def say_fine(person_id: str) -> Any:
    """Somebody was looked at and is all right, or is to be told of again."""
    fine = request.form.get("fine") == "1"
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is None:
            here.not_here(person_id)
        unusual.say_fine(work, person.id, fine, by=here.viewer().userid)
        here.note(work, "orders.unusual_fine", person_id, {"fine": fine})
    say(_("以后不再提醒这位客户") if fine else _("这位客户又会提醒了"))
    return back_to("unusual.show")
