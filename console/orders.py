"""Orders: what was bought, by whom, what it earned and why; refunds without an order; tills and how fresh they are."""

from datetime import date
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from console import here, order_words
from console.cursors import read_cursor, write_cursor
from console.customers import number_of
from console.doors import guarded
from console.layout import back_to, say
from console.person import person_of
from console.today import rep_names
from console.words import _, said
from handlers import orders as road
from handlers.orders import CannotMove, NotYours
from loyalty import order_points
from loyalty.earning import by_line
from people import order_lists, orders, persons, today
from people.order_lists import Asked
from people.orders import Bad
from storage.database import past_crossings
from storage.tables.orders import reference

pages = Blueprint("orders", __name__)

PAGE = 50


@pages.get("/orders")
@guarded("see_orders")
def index() -> str:
    """Orders, the newest first, with whose they are."""
    q, source, store, state = (request.args.get(name, "").strip()[:100] for name in ("q", "source", "store", "state"))
    day = _day(request.args.get("day"))
    paid = today.bounds(day, here.zone()) if day else None
    asked = Asked(q, source, store, state, number_of("p_", request.args.get("person", "")), paid)
    with here.reading() as db:
        sight = here.sight(db)
        found, after = order_lists.page(db, sight, asked, limit=PAGE, after=read_cursor(request.args.get("after")))
        return render_template(
            "orders/index.html",
            orders=found,
            following=write_cursor(after),
            asked=asked,
            day=day,
            undone=undone(db),
            names=rep_names(db, sight, [order.staff for order, _person in found if order.staff]),
            yuan=orders.yuan,
        )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def undone(db: Session) -> int:
    """How many refunds wait for the viewer; the tabs of the orders say it."""
    return sum(order_lists.undone_counts(db).values()) if here.may("match_refunds") else 0


@pages.get("/orders/<int:order_id>")
@guarded("see_orders")
def show(order_id: int) -> str:
    """One order: its lines, what came back of it, what it earned and why."""
    with here.reading() as db:
        found = order_lists.one(db, here.sight(db), order_id)
        if found is None:
            here.not_here(f"order:{order_id}")
        order, person = found
        name = reference("order", order.source, order.order_no)
        award = order_points.award_of(db, name)
        return render_template(
            "orders/show.html",
            order=order,
            person=person,
            lines=(lines := orders.lines_of(db, order.id)),
            shares=by_line([one.amount for one in lines], int(award.result["points"]) if award else 0),
            refunds=order_lists.refunds_of(db, order.id),
            without_effect=order_lists.without_effect(db, order),
            states=order_words.REFUND_STATES,
            moves=order_points.moves_of(db, name),
            award=award,
            names=rep_names(db, here.sight(db), [one for one in (order.staff, order.claimed_by) if one]),
            yuan=orders.yuan,
            earned=order_words.earned,
            taken_back=order_words.taken_back,
            matched=order_words.matched,
        )


@pages.get("/orders/refunds")
@guarded("match_refunds")
def refunds() -> str:
    """Refunds that somebody is to look at: without an order, above it, or on another than the one they name."""
    state = request.args.get("state", "")
    with here.reading() as db:
        found, following = order_lists.undone(db, state, limit=PAGE, before=here.number(request.args.get("before")))
        return render_template(
            "orders/refunds.html",
            refunds=found,
            following=following,
            chosen=state,
            counts=order_lists.undone_counts(db),
            states=order_words.REFUND_STATES,
            named=order_lists.by_id(db, [one.order_id for one in found]),
            yuan=orders.yuan,
            matched=order_words.matched,
        )


@pages.post("/orders/refunds/<int:refund_id>/match")
@guarded("match_refunds")
def match(refund_id: int) -> Any:
    """Say by hand which order a refund belongs to."""
    order_no = request.form.get("order_no", "").strip()[:100]
    trouble = past_crossings(lambda: _match(refund_id, order_no))
    say(trouble or _("退款已记在订单 %(order)s 上", order=order_no), "bad" if trouble else "good")
    return back_to("orders.refunds", state=request.form.get("state") or None)


def _match(refund_id: int, order_no: str) -> str:
    """Why not; empty: it is done."""
    with here.working() as work:
        refund = orders.refund_of(work, refund_id)
        if refund is None or refund.state in orders.EFFECTIVE:
            return _("这笔退款刚才已经处理了")
        order = orders.order_of(work.db, refund.source, order_no)
        if order is None:
            return _("来源 %(source)s 没有订单 %(order)s", source=refund.source, order=order_no)
        if orders.too_much(order, refund.amount):
            left = orders.yuan(order.amount - order.refunded)
            return _("订单 %(order)s 只剩 %(left)s 元可退", order=order_no, left=left)
        road.apply(work, refund, order, because=f"by hand: {here.viewer().userid}")
        here.note(work, "refund.match", f"refund:{refund_id}", {"order": order_no})
    return ""


@pages.post("/orders/refunds/<int:refund_id>/leave")
@guarded("match_refunds")
def leave(refund_id: int) -> Any:
    """Say, with a reason, that nothing is to be done about a refund without effect."""
    reason = request.form.get("reason", "").strip()[:200]
    trouble = past_crossings(lambda: _leave(refund_id, reason)) if reason else _("请写上不处理的原因")
    say(trouble or _("已搁下，原因记在这笔退款上"), "bad" if trouble else "good")
    return back_to("orders.refunds", state=request.form.get("state") or None)


def _leave(refund_id: int, reason: str) -> str:
    """Why not; empty: it is done."""
    with here.working() as work:
        refund = orders.refund_of(work, refund_id)
        if refund is None or refund.state in {*orders.EFFECTIVE, orders.LEFT}:
            return _("这笔退款刚才已经处理了")
        road.leave(refund, f"left: {reason} ({here.viewer().userid})")
        here.note(work, "refund.leave", f"refund:{refund_id}", {"reason": reason})
    return ""


@pages.post("/orders/refunds/<int:refund_id>/move")
@guarded("match_refunds")
def move(refund_id: int) -> Any:
    """The order a refund names has come after another one gave for it: move it there, or leave it where it is."""
    there = request.form.get("do") == "move"
    try:
        order_no = past_crossings(lambda: _move(refund_id, there=there))
    except CannotMove as error:
        say(said(str(error)), "bad")
    else:
        if there:
            say(_("退款已改记到订单 %(order)s，两笔的积分都已更正", order=order_no))
        else:
            say(_("退款仍记在订单 %(order)s 上", order=order_no))
    return back_to("orders.refunds", state=request.form.get("state") or None)


def _move(refund_id: int, *, there: bool) -> str:
    """The number of the order it is on then. Raises ``CannotMove`` with nothing changed."""
    with here.working() as work:
        refund = orders.refund_of(work, refund_id)
        if refund is None or refund.state != orders.CONTESTED:
            raise CannotMove(road.DECIDED)
        before, by = order_lists.numbers(work.db, [refund.order_id])[refund.order_id or 0], here.viewer().userid
        if there:
            road.move(work, refund, f"moved from {before}: {by}")
        else:
            road.stay(refund, f"kept here: {by}")
        after, did = (refund.order_no or "", "refund.move") if there else (before, "refund.stay")
        here.note(work, did, f"refund:{refund_id}", {"from": before, "order": after})
    return after


@pages.get("/orders/sources")
@guarded("see_orders")
def sources() -> str:
    """Tills and shops that tell us of orders, and when they last did."""
    with here.reading() as db:
        return render_template("orders/sources.html", sources=order_lists.sources(db), undone=undone(db))


@pages.post("/customers/<person_id>/orders/claim")
@guarded("edit_people")
def claim(person_id: str) -> Any:
    """Say that an order of nobody was this customer's (补登): by its number and exact amount."""
    order_no, paid = request.form.get("order_no", "").strip()[:100], request.form.get("amount", "").strip()
    trouble = ""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is None:
            here.not_here(person_id)
        try:
            order = road.claim(work, order_no, orders.fen(paid, "amount"), person, here.viewer().userid)
            here.note(work, "order.claim", persons.public_id(person.id), {"order": order.order_no})
        except Bad:
            trouble = _("金额写成 199.90 这样")
        except NotYours as error:
            trouble = said(str(error))
    say(trouble or _("订单 %(order)s 已记在这位客户名下", order=order_no), "bad" if trouble else "good")
    return back_to("person.show", person_id=person_id)
