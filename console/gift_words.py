"""Points given from one customer to another, as lines of either one's history: what it was, from or to whom.

Whoever gives to a phone number is shown that number, its middle hidden, and nothing else; whoever gets it as much of a
name as customers are shown of each other. Who may see both sides in the console sees both by name.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from console.shown import exact
from console.words import N_, _
from loyalty import transfers
from loyalty.ledger.history import Happening
from storage.tables import Approval, Gift, PointsTxn

Names = Callable[[Sequence[int]], Mapping[int, str]]
"""What whoever has these accounts is called, for whoever looks."""
GIVEN, GOT = N_("送出积分"), N_("收到别人送的积分")
HELD = N_("送出积分，等对方接收")
ACCEPTED = N_("对方接收了送出的 %(n)s 分")
BACK = N_("送出的积分没有接收，退回")
TO, FROM = N_("送给 %(who)s"), N_("来自 %(who)s")
WHOM = {ACCEPTED: N_("接收的是 %(who)s"), BACK: N_("原来要送给 %(who)s")}
"""How the receiver is named where it is not to them that points go now."""


class Line(NamedTuple):
    """A line about a gift."""

    title: str
    whom: str
    """Empty where nobody is to be named."""


def lines(
    db: Session, happened: Sequence[Happening], own: Collection[int], names: Names, *, hidden: bool
) -> dict[int, Line]:
    """The lines about gifts among these of the owner of the accounts ``own``, by transaction.

    ``hidden``: whoever was named by a number stays that number.
    """
    gifts = transfers.of_txns(db, [one.txn for one in happened])
    decided = _decided(db, [one.txn for one in happened if one.points])  # none: whoever had both ends is one by now
    ends = {end for one in gifts.values() for end in (one.sender_id, one.receiver_id) if end is not None}
    called = names(sorted({*ends, *chain.from_iterable(decided.values())}))
    found = {one.txn.id: _line(one, gifts[one.txn.id], own, called, hidden) for one in happened if one.txn.id in gifts}
    return found | {one.txn.id: _moved(one, *decided[one.txn.id], called) for one in happened if one.txn.id in decided}


def _decided(db: Session, txns: Sequence[PointsTxn]) -> dict[int, tuple[int, int]]:
    """From which account to which points went over by an approval, by transaction."""
    by = {one.approval_id: one.id for one in txns if one.kind == "transfer" and one.approval_id is not None}
    if not by:
        return {}
    approvals = db.scalars(select(Approval).where(Approval.id.in_(by), Approval.kind == "transfer"))
    return {by[one.id]: (one.payload["account_ids"][0], one.payload["receiver"]) for one in approvals}


def _moved(one: Happening, sender: int, receiver: int, called: Mapping[int, str]) -> Line:
    if one.points > 0:
        return Line(_(GOT), _said(FROM, called.get(sender, "")))
    return Line(_(GIVEN), _said(TO, called.get(receiver, "")))


def _line(one: Happening, gift: Gift, own: Collection[int], called: Mapping[int, str], hidden: bool) -> Line:
    if one.txn.kind == "transfer" and one.points > 0 and gift.receiver_id in own:
        return Line(_(GOT), _said(FROM, called.get(gift.sender_id, "")))
    name, title = called.get(gift.receiver_id or 0, ""), _title(one, gift)
    whom = gift.named if gift.named and (hidden or not name) else name
    return Line(_(title, n=exact(gift.points)), _said(WHOM.get(title, TO), whom))


def _title(one: Happening, gift: Gift) -> str:
    if one.txn.kind == "hold":
        return HELD
    if one.txn.kind == "transfer":
        return GIVEN if one.points else ACCEPTED
    return ACCEPTED if gift.txn_id is not None else BACK


def _said(words: str, who: str) -> str:
    return _(words, who=who) if who else ""
