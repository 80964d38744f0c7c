"""What stands still until the viewer says a word: pairs of customers, refunds, points by hand, broadcasts (今日).

Only what this viewer may decide, each with how many there are and where it is decided.
"""

from typing import NamedTuple

from flask import url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console import here
from console.words import N_
from loyalty import approvals, authority
from outreach import broadcasts
from people import order_lists, reviews
from people.access import Sight
from storage.tables import Broadcast


class Waits(NamedTuple):
    """Things of one kind."""

    icon: str
    words: str
    """A sentence with ``%(n)s`` in it."""
    number: int
    href: str


def for_viewer(db: Session, sight: Sight) -> list[Waits]:
    """Whatever there is any of; a question for each kind that the viewer may decide."""
    found = []
    if here.may("join_people"):
        words = N_("有 %(n)s 对客户可能是同一人，要人来定。")
        found.append(Waits("people", words, reviews.count(db, sight), url_for("joined.index")))
    if here.may("match_refunds"):
        number = sum(order_lists.undone_counts(db).values())
        words = N_("有 %(n)s 笔退款没有对上订单，要人看一眼。")
        found.append(Waits("receipt", words, number, url_for("orders.refunds")))
    if here.may("decide_points"):
        words = N_("有 %(n)s 件积分审批等你说话。")
        found.append(Waits("shield-check", words, _approvals(db), url_for("approvals.index")))
    if here.may("approve_broadcasts"):
        words = N_("有 %(n)s 个群发等你批准。")
        found.append(Waits("send", words, _broadcasts(db, sight), url_for("broadcasts.index")))
    return [one for one in found if one.number]


def _approvals(db: Session) -> int:
    viewer = here.viewer()
    return approvals.waiting_for(db, authority.of_user(viewer.userid, viewer.role), here.now())


def _broadcasts(db: Session, sight: Sight) -> int:
    own = (Broadcast.state == broadcasts.ASKED, Broadcast.made_by != here.viewer().userid)
    asked = select(func.count()).select_from(Broadcast).where(*own, broadcasts.seen_by(sight))
    return db.scalars(asked).one()
