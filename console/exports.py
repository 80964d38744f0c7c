"""A list of customers as CSV: who asked, why and for how many is noted before; so often an hour; phones hidden."""

from collections.abc import Iterator
from datetime import timedelta

from flask import Response
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import TooManyRequests

from console import here
from console.customers import BATCH, EXPORTS_AN_HOUR, STAGES
from console.segment_words import LIFE_WORDS
from console.words import N_, _
from insight import segments
from people import access, cards, persons
from people.access import Sight
from people.cards import Card
from storage import sheets
from storage.database import reading
from storage.tables import AuditRow, Member
from storage.work import Work

ACTION = "customers.export"
HEADS = (
    N_("编号"),
    N_("客户 ID"),
    N_("姓名"),
    N_("状态"),
    N_("生命周期"),
    N_("负责人"),
    N_("手机"),
    N_("标签"),
    N_("首次见到"),
    N_("最近往来"),
)


def not_too_often(work: Work) -> None:
    """Raise ``TooManyRequests`` for who has exported enough this hour, whichever list it was."""
    hour = timedelta(hours=1)
    own = (AuditRow.action == ACTION, AuditRow.actor == here.viewer().userid, AuditRow.at > work.now - hour)
    times = work.db.scalars(select(AuditRow.at).where(*own).order_by(AuditRow.at)).all()
    if len(times) >= EXPORTS_AN_HOUR:
        raise TooManyRequests(retry_after=int((times[0] + hour - work.now).total_seconds()) + 1)


def stream(whom: ColumnElement[bool], sight: Sight, name: str, *, whole_phones: bool) -> Response:
    """Everybody in sight who fulfils the condition, a line each, read as they are sent."""
    heads = [_(one) for one in HEADS]
    stages = {stage: _(words) for stage, (words, _tone) in STAGES.items()}
    lives = {stage: _(words) for stage, (words, _tone) in LIFE_WORDS.items()}
    engine, zone = here.engine(), here.zone()

    def rows() -> Iterator[list[object]]:
        with reading(engine) as db:
            seen = select(Member.userid, Member.name).where(sight.reps(Member.userid.expression))
            names = {userid: words or userid for userid, words in db.execute(seen)}
            for card in _every(db, sight, whom):
                person = card.person
                yield [
                    persons.public_id(person.id),
                    card.known_as(persons.EXTERNAL),
                    person.name,
                    stages[card.stage],
                    lives.get(person.life_cycle or ""),
                    names.get(person.owner or ""),
                    person.phone if whole_phones else access.masked(person.phone),
                    "|".join(f"{one.tag.group_name}/{one.tag.name}" for one in card.tags),
                    f"{person.first_seen_at.astimezone(zone):%Y-%m-%d %H:%M}",
                    f"{person.last_seen_at.astimezone(zone):%Y-%m-%d %H:%M}",
                ]

    answer = Response(sheets.lines(heads, rows()), mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


def _every(db: Session, sight: Sight, whom: ColumnElement[bool]) -> Iterator[Card]:
    """All of them as cards, some hundreds at a time, in an order that does not move meanwhile."""
    before: int | None = None
    while True:
        found, before = segments.page(db, sight.people(), whom, limit=BATCH, before=before)
        yield from cards.cards(db, sight, found)
        if before is None:
            return
