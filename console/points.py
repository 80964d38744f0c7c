"""Points (积分): who has how many, one person's lots and every entry with its reason, and how the books stand."""

from collections.abc import Sequence
from datetime import date

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import by_approval, gift_words, here, known, points_words
from console.books import in_words
from console.confirming import page_of
from console.doors import guarded
from console.person import person_of
from console.today import rep_names
from console.words import N_
from loyalty import accounts, notices, overview
from loyalty.ledger import daily, history
from loyalty.ledger.standing import Standing
from people import alarms, joining, own_pages, persons
from storage.tables import Campaign, JobRun, Person

pages = Blueprint("points", __name__, url_prefix="/points")

PAGE = 50
FURTHEST = 200
"""Pages of the list; whoever looks for somebody further down searches."""
NIGHTLY = "reconcile points"
SORTS = {
    "available": N_("可用最多"),
    "pending": N_("待到账"),
    "held": N_("有预留"),
    "debt": N_("欠积分"),
}


TOLD_WORDS = {
    notices.KF: N_("微信客服里告诉了客户"),
    notices.CARD: N_("成员看到了提醒卡片"),
    notices.MASS: N_("群发任务告诉了客户"),
    notices.PAGE: N_("客户在自己的积分页看到了"),
}


@pages.get("")
@guarded("list_points")
def index() -> str:
    """Everybody in sight who has an account, those with the most points first."""
    by, q = request.args.get("by", ""), request.args.get("q", "").strip()[:60]
    by, number = by if by in SORTS else "available", min(here.number(request.args.get("page")) or 1, FURTHEST)
    with here.reading() as db:
        whom = here.sight(db).people()
        offset = (number - 1) * PAGE
        found, more = overview.holders(db, whom, by=by, q=q, limit=PAGE, offset=offset)
        return render_template(
            "points/index.html",
            holders=found,
            standings=accounts.standings(db, _anchors(db, [one.person for one in found]), here.now()),
            ends=_first_end,
            by=by,
            q=q,
            number=number,
            more=more,
            sorts=SORTS,
            waiting=notices.waiting(db, here.now()) if here.sight(db).everybody else None,
        )


def _anchors(db: Session, people: list[Person]) -> dict[int, list[int]]:
    """The anchors of each, in one question."""
    found = {one.id: [one.id] for one in people}
    joined = select(Person.id, Person.merged_into).where(Person.merged_into.in_(found))
    for anchor, head in db.execute(joined):
        found[head or anchor].append(anchor)
    return found


def _first_end(standing: Standing) -> tuple[date, int] | None:
    """The next day on which some end, and how many."""
    return next(iter(standing.ends(here.now(), here.zone())), None)


@pages.get("/<person_id>")
@guarded("see_points")
def show(person_id: str) -> str:
    """What one person has, which lots it is made of, and every entry with why it is so many."""
    with here.reading() as db:
        person = person_of(db, person_id)
        if person is None:
            here.not_here(person_id)
        anchors = persons.anchors(db, person.id)
        own, before = accounts.accounts_of(db, anchors), here.number(request.args.get("before"))
        standing = accounts.standing_of(db, anchors, here.now())
        happened, following = history.page(db, own, limit=PAGE, before=before)
        return render_template(
            "points/show.html",
            person=person,
            public=persons.public_id(person.id),
            standing=standing,
            ends=standing.ends(here.now(), here.zone()),
            lots=(lots := history.lots(db, [one.lot_id for one in standing.lots if one.points])),
            campaigns=_campaigns(db, {one.campaign for one in lots.values()}),
            idle=standing.idle(here.now(), here.zone()),
            told={(one.lot_id, one.expires_at): one for one in notices.of_accounts(db, own)},
            told_words=TOLD_WORDS,
            soon=here.now() + notices.EARLY,
            happened=happened,
            following=following,
            names=rep_names(db, here.sight(db), points_words.actors(happened)),
            words=points_words,
            gifts=gift_words.lines(db, happened, own, lambda ids: _called(db, ids), hidden=False),
            unsure=_unsure(db, person, standing),
            lost=by_approval.left_of(db, own, happened),
            **page_of(db, person),
        )


def _campaigns(db: Session, numbers: set[str]) -> dict[str, str]:
    """The names of these campaigns."""
    ids = [int(one) for one in numbers if one.isdecimal()]
    return {str(one): name for one, name in db.execute(select(Campaign.id, Campaign.name).where(Campaign.id.in_(ids)))}


def _called(db: Session, account_ids: Sequence[int]) -> dict[int, str]:
    """Whose each of these accounts is, by name where it is in sight."""
    return {account: one.words for account, one in known.whose(db, here.sight(db), account_ids).items()}


def _unsure(db: Session, person: Person, standing: Standing) -> int:
    """How many of these points a rep has bound, and the customer has not confirmed: seen and not spent."""
    sure = sorted(joining.confirmed(db, own_pages.anchor_of(db, person)))
    return standing.available - accounts.standing_of(db, sure, here.now()).available


@pages.get("/books")
@guarded("see_ledger")
def books() -> str:
    """How the books stand: sealed how far, proved when, and what each day did, adding up."""
    with here.reading() as db:
        latest = daily.latest(db)
        day = _day(request.args.get("day")) or latest
        return render_template(
            "points/books.html",
            state_of=overview.state(db, here.now()),
            alarm=next((one for one in alarms.standing(db) if one.kind == "points"), None),
            proved=_last_proof(db),
            day=day,
            latest=latest,
            lines=daily.report(db, day) if day else [],
            before=day - daily.DAY if day else None,
            after=day + daily.DAY if day and latest and day < latest else None,
            words=points_words,
            in_words=in_words,
        )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _last_proof(db: Session) -> JobRun | None:
    """The last night's proof, as the timetable tells of it."""
    ran = (JobRun.job == NIGHTLY, JobRun.ended_at.is_not(None), JobRun.outcome.not_like("left out%"))
    own = select(JobRun).where(*ran)
    return db.scalars(own.order_by(JobRun.due_at.desc()).limit(1)).one_or_none()
