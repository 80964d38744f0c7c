"""The road of orders and refunds: kept once, whose they are, what they earn or take back, told in the person's story.

The API, a file and the till come in here with what they were told, checked one by one (``people.orders``). A refund
that comes before its order waits for it. Everything of one batch happens in the transaction of the caller.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from insight import segments
from loyalty import accounts, campaigns, order_points, tiers
from loyalty.earning import ONE
from loyalty.ledger import bulk, spend
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.spend import InDebt
from loyalty.order_points import Paid, Returned
from loyalty.tiers import Level
from people import acts, joining, orders, persons, refund_matching
from people.acts import Act
from people.orders import DONE, GivenOrder, GivenRefund, Line, Who
from storage.tables import Person, Refund, ShopOrder
from storage.tables.orders import reference
from storage.work import Work


@dataclass
class Taken:
    """What became of a batch, by places in it."""

    accepted: list[int] = field(default_factory=list)
    duplicate: list[int] = field(default_factory=list)
    rejected: dict[int, str] = field(default_factory=dict)
    points: int = 0
    """Earned by its orders, or taken back by its refunds."""
    ahead: Counter[str] = field(default_factory=Counter)
    """Refunds that had come before its orders, by the state they are in now."""
    taken_back: int = 0
    """Points those took."""
    people: frozenset[int] = frozenset()
    """Whose the orders or refunds are."""
    nobodys: int = 0
    """Orders kept that are nobody's: without an identity, or by one that stands for many."""


def take_orders(work: Work, given: Mapping[int, GivenOrder]) -> Taken:
    """Take a batch of orders; keys are their places in it."""
    orders.hold_sources(work, {one.source for one in given.values()})
    found = orders.sort_out(work.db, ShopOrder, given)
    new = list(found.new.values())
    whose = _whose(work, new)
    ids = orders.keep_orders(work, new, whose)
    kept = [one for one in new if one.key in ids]
    points = _earn(work, [(ids[one.key], one, whose[one.who]) for one in kept if one.who and one.who in whose])
    orders.heard_of(work, kept)
    known = [whose[one.who][0] for one in kept if one.who and one.who in whose]
    waited = orders.ahead_of(work.db, ids)
    taken_back = sum(_its_order_has_come(work, refund) for refund in waited)
    _look_at_levels(work, set(known))
    accepted = [number for number, one in found.new.items() if one.key in ids]
    raced = _raced(work, ShopOrder, {number: one for number, one in found.new.items() if one.key not in ids})
    return Taken(
        accepted,
        [*found.duplicate, *raced.duplicate],
        {**found.rejected, **raced.rejected},
        sum(points.values()),
        Counter(refund.state for refund in waited),
        taken_back,
        frozenset(known),
        len(kept) - len(known),
    )


def _raced(work: Work, table: type[ShopOrder] | type[Refund], given: Mapping[int, Any]) -> orders.Sorted:
    """What somebody else has kept since it was looked up: told before, or another one under a number that is taken."""
    return orders.sort_out(work.db, table, given) if given else orders.Sorted()


def _whose(work: Work, given: Iterable[GivenOrder | GivenRefund]) -> dict[Who, tuple[int, int]]:
    """The person and anchor of each identity; those that nobody is known by are made."""
    found: dict[Who, tuple[int, int]] = {}
    by_source: dict[str, list[GivenOrder | GivenRefund]] = {}
    for one in given:
        if one.who is not None:
            by_source.setdefault(one.source, []).append(one)
    for source, some in by_source.items():
        first = min(one.paid_at if isinstance(one, GivenOrder) else one.refunded_at for one in some)
        keys = list(dict.fromkeys(one.who for one in some if one.who))
        found |= joining.people_by(work, keys, source=source, at=first)
    return found


def _earn(work: Work, bought: Sequence[tuple[int, GivenOrder, tuple[int, int]]]) -> dict[str, int]:
    """Let orders earn in the order they were paid, and tell of them."""
    own = bulk.open_accounts(work, {anchor for _, _, (_, anchor) in bought})
    in_time = sorted(bought, key=lambda one: (one[1].paid_at, one[0]))
    meant, whole = _meant(work, in_time), _whole(work, in_time)
    levels = tiers.levels_at(work.db, [(whole[head], one.paid_at) for _, one, (head, _) in in_time])
    paid = [replace(_paid(one, own[anchor], meant[head], level), person=whole[head])
            for (_, one, (head, anchor)), level in zip(in_time, levels, strict=True)]  # fmt: skip
    points = order_points.earn(work, paid)
    joined = {one for some in whole.values() if len(some) > 1 for one in some}
    for together in accounts.owing_together(work.db, joined) if joined else ():
        spend.settle(work, together)
    acts.tell(work, [_bought(one, whose, points) for _, one, whose in in_time])
    return points


def _meant(work: Work, bought: Sequence[tuple[int, GivenOrder, tuple[int, int]]]) -> dict[int, frozenset[int]]:
    """For each of these people the campaigns with an audience that has them now: it is asked when points are earned."""
    heads = {head for _, _, (head, _) in bought}
    found: dict[int, set[int]] = {one: set() for one in heads}
    times = [one.paid_at for _, one, _ in bought]
    for one in campaigns.holding(work.db, min(times), max(times)) if times else ():
        if one.audience:
            fits = segments.condition(one.audience, segments.question(work.db, work.now, work.zone))
            for head in work.db.scalars(select(Person.id).where(Person.id.in_(heads), fits)):
                found[head].add(one.id)
    return {head: frozenset(ids) for head, ids in found.items()}


def _whole(work: Work, bought: Sequence[tuple[int, GivenOrder, tuple[int, int]]]) -> dict[int, tuple[int, ...]]:
    """All accounts of each of these people: caps are one person's, and so is what somebody has of their own to use."""
    anchors = persons.anchors_of(work.db, {head for _, _, (head, _) in bought})
    known = accounts.by_person(work.db, {one for some in anchors.values() for one in some})
    return {head: tuple(known[one] for one in some if one in known) for head, some in anchors.items()}


def _paid(one: GivenOrder, account_id: int, meant: frozenset[int], level: Level) -> Paid:
    by_category: dict[str, int] = {}
    for line in one.lines:
        by_category[line.category] = by_category.get(line.category, 0) + line.amount
    name, tier = reference("order", *one.key), level.name if level.factor != ONE else ""
    return Paid(name, account_id, one.paid_at, one.amount, by_category, one.store, meant, tier, level.factor)


def _bought(one: GivenOrder, whose: tuple[int, int], points: Mapping[str, int]) -> Act:
    name = reference("order", *one.key)
    details = {"source": one.source, "order_no": one.order_no, "amount": orders.yuan(one.amount),
               "store": one.store, "points": points[name]}  # fmt: skip
    return Act("bought", *whose, one.paid_at, name, {key: value for key, value in details.items() if value != ""})


FEW = 20
"""So many people's levels are looked at with their orders; after a file or a large batch the job of levels does it."""


def _look_at_levels(work: Work, heads: Collection[int]) -> None:
    """An upgrade comes with the order that reached it."""
    if len(heads) > FEW:
        return
    for some in persons.anchors_of(work.db, heads).values():
        if own := accounts.by_person(work.db, some):
            tiers.look(work, list(own.values()))


class NotYours(ValueError):
    """Why an order cannot be claimed, in a sentence."""


def claim(work: Work, order_no: str, amount: int, person: Person, by: str) -> ShopOrder:
    """Let an order of nobody be this person's (补登): a rep who knows its number and amount (fen) says so, once.

    It earns as if it had been told with them. Raises ``NotYours``.
    """
    found = orders.claimable(work.db, order_no, amount)
    if len(found) != 1:
        raise NotYours(NONE if not found else SEVERAL)
    (order,) = found
    order.person_id, order.claimed_by = person.id, by
    lines = [
        Line(one.sku, one.name, one.category, one.quantity, one.amount) for one in orders.lines_of(work.db, order.id)
    ]
    given = GivenOrder(order.source, order.order_no, order.paid_at, order.amount)
    given = replace(given, store=order.store, staff=order.staff, lines=tuple(lines))
    _earn(work, [(order.id, given, (person.id, person.id))])
    if order.refunded:
        name = reference("order", *given.key)
        order_points.take_back(work, Returned(f"claim:{name}", name, order.amount, order.refunded))
    return order


NONE = "没有这样一笔无人认领的订单：请核对订单号和实付金额"
SEVERAL = "有几笔订单的订单号和金额都一样，请让店长在“订单”里指定"


# --- refunds ---------------------------------------------------------------------------------------------------------


def take_refunds(work: Work, given: Mapping[int, GivenRefund]) -> Taken:
    """Take a batch of refunds; keys are their places in it.

    One that named no order and waits for somebody's word may be told again with its order.
    """
    orders.hold_sources(work, {one.source for one in given.values()})
    found = orders.sort_out(work.db, Refund, given)
    taken = Taken(duplicate=list(found.duplicate), rejected=dict(found.rejected))
    late = _named_late(work, given, taken)
    whose = _whose(work, found.new.values())
    taken.people = frozenset(head for head, _ in whose.values())
    in_time = sorted([*found.new.items(), *late.items()], key=lambda one: (one[1].refunded_at, one[0]))
    for number, one in in_time:
        order = orders.order_of(work.db, one.source, one.order_no) if one.order_no else None
        if order is not None and (why := orders.too_much(order, one.amount)):
            taken.rejected[number] = f"amount: {why}"
            continue
        if number in late:
            refund = _name_order(work, one)
        elif ids := orders.keep_refunds(work, [one], whose):
            refund = work.db.get_one(Refund, ids[one.key])
        else:
            raced = _raced(work, Refund, {number: one})
            taken.duplicate += raced.duplicate
            taken.rejected |= raced.rejected
            continue
        taken.accepted.append(number)
        if order is not None:
            taken.points += apply(work, refund, order)
    return taken


def _named_late(work: Work, given: Mapping[int, GivenRefund], taken: Taken) -> dict[int, GivenRefund]:
    """Of what was told differently before: those told without an order then, and with one now, each once.

    What was named so before is a duplicate. Both are taken out of ``taken.rejected``.
    """
    late: dict[tuple[str, str], int] = {}
    for number in list(taken.rejected):
        one = given[number]
        kept = orders.alike_but_for_order(work.db, one)
        if kept is None:
            continue
        if kept.order_no == one.order_no:
            taken.duplicate.append(number)
        elif kept.state == orders.PARKED and one.order_no and one.key not in late:
            late[one.key] = number
        else:
            continue
        del taken.rejected[number]
    return {number: given[number] for number in late.values()}


def _name_order(work: Work, one: GivenRefund) -> Refund:
    """Let a refund that named no order wait for the one it names now; it stays known by what was told first."""
    refund = orders.alike_but_for_order(work.db, one)
    if refund is None:
        raise LookupError(f"refund {one.key} was here a moment ago")
    refund.order_no, refund.state = one.order_no, orders.WAITING
    return refund


def apply(work: Work, refund: Refund, order: ShopOrder, because: str = "") -> int:
    """Let a refund have its effects on its order, which can give so much back; the points taken back.

    Its source is held. One that names an order that has not come can be another's: it is looked at again when it comes.
    """
    ahead = refund.state == orders.WAITING and refund.order_no != order.order_no
    refund.state = orders.GUESSED if ahead else DONE
    return _put_on(work, refund, order, because, reference("refund", refund.source, refund.refund_no))


def _put_on(work: Work, refund: Refund, order: ShopOrder, because: str, once: str) -> int:
    order.refunded += refund.amount
    refund.order_id, refund.because = order.id, because
    refund.person_id, refund.anchor_id = order.person_id, order.anchor_id
    work.db.flush()
    own = reference("refund", refund.source, refund.refund_no)
    moved = order_points.take_back(work, replace(_returned_of(order, once), refund=own, money=refund.amount))
    if order.person_id is not None:
        acts.tell(work, [_returned(refund, order, moved)])
        if moved["taken"]:
            _look_at_levels(work, {order.person_id})
    return moved["taken"]


def _returned_of(order: ShopOrder, once: str) -> Returned:
    return Returned(once, reference("order", order.source, order.order_no), order.amount, order.refunded)


def _returned(refund: Refund, order: ShopOrder, moved: Mapping[str, int]) -> Act:
    details: dict[str, Any] = {"source": refund.source, "refund_no": refund.refund_no, "order_no": order.order_no,
               "amount": orders.yuan(refund.amount)}  # fmt: skip
    details |= {key: value for key, value in moved.items() if value}
    who = order.person_id or 0
    name = reference("refund", refund.source, refund.refund_no)
    return Act("refunded", who, order.anchor_id or who, refund.refunded_at, name, details)


def _its_order_has_come(work: Work, refund: Refund) -> int:
    """Take it from its order; the points taken back.

    Somebody looks at one that is more than the order was, or was another's so far.
    """
    if refund.state == orders.GUESSED:
        refund.state = orders.CONTESTED
        return 0
    order = orders.order_of(work.db, refund.source, refund.order_no or "")
    if order is None:
        return 0
    if why := orders.too_much(order, refund.amount):
        refund.state, refund.because, refund.order_id = orders.ASIDE, why, order.id
        return 0
    return apply(work, refund, order)


class CannotMove(ValueError):
    """Why a refund cannot be moved to the order it names, in a sentence."""


DECIDED = "这笔退款刚才已经处理了"
TOO_MUCH = "它写明的订单退不了这么多，请先核对那一笔的退款"
SPENT = "当时还回的积分客户已经用掉，收不回来，不能改记"


def move(work: Work, refund: Refund, because: str) -> None:
    """Take a contested refund off the order it was put on and put it on the one it names, with the points of both.

    It is held with its source (``orders.refund_of``). Once: its state says that it was done. Raises ``CannotMove`` with
    nothing changed but what the caller undoes.
    """
    named, found = orders.order_of(work.db, refund.source, refund.order_no or ""), refund.order_id
    if named is None or found is None or orders.too_much(named, refund.amount):
        raise CannotMove(TOO_MUCH)
    order = work.db.get_one(ShopOrder, found, with_for_update=True, populate_existing=True)
    once = f"moved:{refund.id}"
    order.refunded -= refund.amount
    work.db.flush()
    try:
        order_points.let_back(work, _returned_of(order, once))
    except (NotEnough, InDebt):
        raise CannotMove(SPENT) from None
    orders.untell(work, reference("refund", refund.source, refund.refund_no))
    refund.state = DONE
    _put_on(work, refund, named, because, once)
    if order.person_id is not None:
        _look_at_levels(work, {order.person_id})


def stay(refund: Refund, because: str) -> None:
    """Leave a contested refund with the order it was put on, for good."""
    refund.state, refund.because = DONE, because


def leave(refund: Refund, because: str) -> None:
    """Let a refund without effect be, also when its order comes; it can still be put on an order by hand."""
    refund.state, refund.because = orders.LEFT, because


def match_refunds(
    work: Work,
    source: str,
    rule: str | None,
    after: tuple[datetime, int],
    limit: int,
    may: Callable[[Refund], bool] = lambda _one: True,
) -> list[tuple[Refund, int | None]]:
    """The next refunds of a source that have had no effect, each looked up by a rule of ``refund_matching`` if given.

    Those that are more than the order they name stay whatever the rule. ``after``: time and id of the last one looked
    at; ``may``: which of them the rule is asked about. Each refund with the points it took back, or None: it stays.
    """
    orders.hold_sources(work, {source})
    found: list[tuple[Refund, int | None]] = []
    for refund in orders.undone(work.db, source, after, limit):
        asked = rule if refund.state != orders.ASIDE and may(refund) else None
        order = refund_matching.order_for(work.db, refund, asked) if asked else None
        found.append((refund, apply(work, refund, order[0], because=order[1]) if order else None))
    return found
