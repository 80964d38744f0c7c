"""Tagging or untagging many people at once: looked at first, done in portions, undone in one action.

Before: ``scheduler.bulk_work`` brings the people, of a filtered list or of a file. Each is a row with an outcome of its
own, written in the transaction that gives the tag, so that a kill leaves nothing half done. A job gives a ground of its
own (``import``, ``bulk:4``): undone is that ground only, and a tag that somebody else gave too stays.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.orm import Session

from storage import sheets
from storage.database import is_away, is_crossed, reading, transaction
from storage.rows import insert_new
from storage.tables import BulkJob, BulkRow, Interaction, Person, PersonTag, Tag, TagGround, User
from storage.work import Work
from tagging import tags
from tagging.tags import Ground

log = logging.getLogger(__name__)

TAG, UNTAG = WHAT = ("tag", "untag")
READING, PREVIEW, RUNNING, PAUSED, CANCELLED, DONE = "reading", "preview", "running", "paused", "cancelled", "done"
UNDOING, UNDONE = "undoing", "undone"
WAITING, CHANGED, SAME, REFUSED = "waiting", "done", "same", "refused"
"""What becomes of a row; ``done`` is that something changed."""
SOURCE = "import"
PORTION = 20
"""People in one transaction: about a tenth of a second, so that nobody who writes waits long."""
ROWS_AT_ONCE = 1000
MAX_TAGS = 10
LONGEST_REASON = 200
ALONE_UP_TO = 1000
"""More people than this need the word of a second person (reliability.md S35)."""
CONFIRM = ("boss", "manager")
NOT_FOUND = "找不到这位客户"
"""The same for who does not exist and for who may not be seen."""
BROKEN = "处理这一行时出错，已记入日志"
ENDED = (CANCELLED, DONE, UNDONE)

Sees = Callable[[Session, str, Collection[int]], Collection[int]]
"""(db, who asked for the job, person ids) → those that they may see now."""


class CannotDo(ValueError):
    """Why a job cannot be made or go on, in words for the operator."""


@dataclass(frozen=True)
class Line:
    """One line of a file, or one person of a list: who was meant, who that is (None: nobody in sight), or why not."""

    number: int
    asked: str
    person_id: int | None
    why: str = ""


@dataclass(frozen=True)
class Counts:
    """How a job stands, in rows."""

    total: int = 0
    to_change: int = 0
    """Rows that will change something, or have."""
    already: int = 0
    """People who have the tags, or do not have them, as it should be; and lines that name somebody once more."""
    refused: int = 0
    waiting: int = 0
    """Rows not looked at yet."""
    by_reason: dict[str, int] = field(default_factory=dict)
    """Refused rows by their reason."""


# --- making a job ----------------------------------------------------------------------------------------------------


def begin(work: Work, what: str, tag_ids: Sequence[int], *, source: str, reason: str, by: str) -> BulkJob:
    """A job that still has no rows. Raises ``CannotDo``."""
    chosen = list(dict.fromkeys(tag_ids))
    known = work.db.scalars(select(Tag.id).where(Tag.id.in_(chosen), Tag.deleted_at.is_(None))).all()
    reason = reason.strip()
    if what not in WHAT or not 0 < len(chosen) <= MAX_TAGS or set(known) != set(chosen):
        raise CannotDo(f"请选 1–{MAX_TAGS} 个现有的标签")
    if not 0 < len(reason) <= LONGEST_REASON:
        raise CannotDo(f"请写明原因（1–{LONGEST_REASON} 个字），它会显示在每位客户的标签旁")
    job = BulkJob(
        what=what,
        tags=chosen,
        source=source[:200],
        reason=reason,
        state=READING,
        by=by,
        created_at=work.now,
        changed_at=work.now,
    )
    work.db.add(job)
    work.db.flush()
    return job


def add(work: Work, job_id: int, lines: Iterable[Line]) -> int:
    """Keep some hundred lines of a job that is being read; how many."""
    lines = list(lines)
    known: dict[int, int] = _first_numbers(work.db, job_id, {one.person_id for one in lines if one.person_id})
    rows = []
    for one in lines:
        outcome, detail = WAITING, None
        if one.person_id is None:
            outcome, detail = REFUSED, one.why or NOT_FOUND
        elif one.person_id in known:
            outcome, detail = SAME, f"与第 {known[one.person_id]} 行是同一位客户"
        else:
            known[one.person_id] = one.number
        row = {"job_id": job_id, "number": one.number, "asked": one.asked[:200], "person_id": one.person_id}
        rows.append({**row, "outcome": outcome, "detail": detail})
    if rows:
        work.db.execute(insert(BulkRow), rows)
        settled = sum(row["outcome"] != WAITING for row in rows)
        grown = {"total": BulkJob.total + len(rows), "done": BulkJob.done + settled, "changed_at": work.now}
        work.db.execute(update(BulkJob).where(BulkJob.id == job_id).values(**grown))
    return len(rows)


def _first_numbers(db: Session, job_id: int, person_ids: Collection[int]) -> dict[int, int]:
    own = select(BulkRow.person_id, func.min(BulkRow.number)).where(
        BulkRow.job_id == job_id, BulkRow.person_id.in_(person_ids)
    )
    return {person_id: number for person_id, number in db.execute(own.group_by(BulkRow.person_id)) if person_id}


def show(work: Work, job_id: int) -> BulkJob:
    """All lines are there: the job can be looked at. Older ones of the same person that were never started go.

    But for those that have a second person's word, or wait for it.
    """
    job = work.db.get_one(BulkJob, job_id, with_for_update=True, populate_existing=True)
    job.state, job.changed_at = PREVIEW, work.now
    unconfirmed = (BulkJob.state == PREVIEW, BulkJob.confirmed_by.is_(None))
    older = select(BulkJob).where(BulkJob.by == job.by, BulkJob.id != job.id, *unconfirmed)
    _remove(work.db, [one.id for one in work.db.scalars(older).all() if not wants_second(work.db, one)])
    return job


def _remove(db: Session, job_ids: Sequence[int]) -> None:
    db.execute(delete(BulkRow).where(BulkRow.job_id.in_(job_ids)))
    db.execute(delete(BulkJob).where(BulkJob.id.in_(job_ids)))


def forget_old(db: Session, before: datetime, most: int) -> int:
    """Remove jobs that ended, or were never started, before this moment, a job at a time; how many rows there were.

    What they gave stays, and can be undone no more from here.
    """
    over = (BulkJob.changed_at < before, BulkJob.state.in_((*ENDED, READING, PREVIEW)))
    job_id = db.scalar(select(BulkJob.id).where(*over).order_by(BulkJob.id).limit(1))
    if job_id is None:
        return 0
    some = select(BulkRow.id).where(BulkRow.job_id == job_id).limit(most)
    gone = len(db.scalars(delete(BulkRow).where(BulkRow.id.in_(some)).returning(BulkRow.id)).all())
    if gone < most:
        _remove(db, [job_id])
    return max(gone, 1)


# --- looking ---------------------------------------------------------------------------------------------------------


def find(db: Session, job_id: int) -> BulkJob | None:
    """A job that can be looked at."""
    job = db.get(BulkJob, job_id)
    return job if job is not None and job.state != READING else None


def listed(db: Session, by: str | None = None, most: int = 20) -> list[BulkJob]:
    """The newest jobs that were started, or wait for a second person; of one person or of all."""
    shown = select(BulkJob).where(BulkJob.state != READING).order_by(BulkJob.id.desc()).limit(most)
    return list(db.scalars(shown if by is None else shown.where(BulkJob.by == by)))


def counts(db: Session, job: BulkJob) -> Counts:
    """How the job stands. Of a job that was not started yet: what it would do, counted now."""
    rows = select(BulkRow.outcome, func.count()).where(BulkRow.job_id == job.id).group_by(BulkRow.outcome)
    found = dict(db.execute(rows).all())
    refused = select(BulkRow.detail, func.count()).where(BulkRow.job_id == job.id, BulkRow.outcome == REFUSED)
    reasons = {str(why): number for why, number in db.execute(refused.group_by(BulkRow.detail))}
    waiting = found.get(WAITING, 0)
    already = _already(db, job) if waiting and job.state == PREVIEW else 0
    foreseen = waiting - already if job.state == PREVIEW else 0
    return Counts(
        total=sum(found.values()),
        to_change=found.get(CHANGED, 0) + foreseen,
        already=found.get(SAME, 0) + already,
        refused=found.get(REFUSED, 0),
        waiting=waiting,
        by_reason=reasons,
    )


def _already(db: Session, job: BulkJob) -> int:
    """How many of the waiting people have every tag (or, to be untagged, none)."""
    own = (BulkRow.job_id == job.id, BulkRow.outcome == WAITING)
    has = PersonTag.tag_id.in_(job.tags)
    having = select(BulkRow.person_id).join(PersonTag, PersonTag.person_id == BulkRow.person_id).where(*own, has)
    if job.what == TAG:
        all_of_them = having.group_by(BulkRow.person_id).having(func.count() == len(job.tags))
        return db.scalars(select(func.count()).select_from(all_of_them.subquery())).one()
    waiting = db.scalars(select(func.count()).where(*own)).one()
    return waiting - db.scalars(select(func.count()).select_from(having.distinct().subquery())).one()


def rows(
    db: Session, job_id: int, *, outcome: str | None = None, after: int = 0, limit: int = 100
) -> list[tuple[BulkRow, Person | None]]:
    """Some rows of a job in their order, with the person where there is one; the next page begins after a number."""
    own = select(BulkRow, Person).outerjoin(Person, Person.id == BulkRow.person_id)
    own = own.where(BulkRow.job_id == job_id, BulkRow.number > after)
    if outcome is not None:
        own = own.where(BulkRow.outcome == outcome)
    return [(row, person) for row, person in db.execute(own.order_by(BulkRow.number).limit(limit))]


def rejects(db: Session, job_id: int) -> Iterator[str]:
    """The refused lines as CSV, each with its reason: to be mended and sent again as it is."""
    own = select(BulkRow.asked, BulkRow.detail, BulkRow.number).where(
        BulkRow.job_id == job_id, BulkRow.outcome == REFUSED
    )
    found = db.execute(own.order_by(BulkRow.number).execution_options(yield_per=1000))
    return sheets.lines(("客户", "原因", "行号"), (tuple(row) for row in found))


# --- starting and stopping -------------------------------------------------------------------------------------------


def wants_second(db: Session, job: BulkJob) -> bool:
    """Whether somebody else has to confirm: a big job, in a shop where there is somebody else who may."""
    if job.confirmed_by is not None or job.total - job.done <= ALONE_UP_TO:
        return False
    others = select(User.id).where(User.role.in_(CONFIRM), User.disabled_at.is_(None), User.userid != job.by)
    return db.scalar(others.limit(1)) is not None


def confirm(work: Work, job_id: int, by: str) -> None:
    """A second person's word; the caller has seen to it that they are a boss or a manager. Raises ``CannotDo``."""
    job = _held(work, job_id, PREVIEW)
    if by == job.by:
        raise CannotDo("请由另一位老板或主管确认")
    job.confirmed_by, job.changed_at = by, work.now


def start(work: Work, job_id: int) -> None:
    """Begin with a job that was looked at; ``go_on``, which the timetable calls, does it. Raises ``CannotDo``."""
    job = _held(work, job_id, PREVIEW)
    if wants_second(work.db, job):
        raise CannotDo(f"超过 {ALONE_UP_TO} 人，需要另一位老板或主管确认")
    job.state, job.changed_at = RUNNING, work.now


def pause(work: Work, job_id: int) -> None:
    """Stop after the portion that is under way. Raises ``CannotDo``."""
    _turn(work, job_id, (RUNNING,), PAUSED)


def resume(work: Work, job_id: int) -> None:
    """Go on where it was paused. Raises ``CannotDo``."""
    _turn(work, job_id, (PAUSED,), RUNNING)


def cancel(work: Work, job_id: int) -> None:
    """Do no more of it; what was done stays, and can be undone. Raises ``CannotDo``."""
    _turn(work, job_id, (PREVIEW, RUNNING, PAUSED), CANCELLED, ended=True)


def undo(work: Work, job_id: int) -> None:
    """Take back what the job gave, and nothing else. Raises ``CannotDo``: what was taken away nobody knows any more."""
    job = _held(work, job_id, RUNNING, PAUSED, CANCELLED, DONE)
    if job.what != TAG:
        raise CannotDo("去掉标签的任务不能撤销：原来的来由已经没有了")
    job.state, job.changed_at, job.ended_at = UNDOING, work.now, None


def _turn(work: Work, job_id: int, was: Sequence[str], becomes: str, *, ended: bool = False) -> None:
    job = _held(work, job_id, *was)
    job.state, job.changed_at = becomes, work.now
    if ended:
        job.ended_at = work.now


def _held(work: Work, job_id: int, *states: str) -> BulkJob:
    job = work.db.get(BulkJob, job_id, with_for_update=True, populate_existing=True)
    if job is None or job.state not in states:
        raise CannotDo("这个任务已经不在这一步了，请刷新页面")
    return job


# --- doing -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Doer:
    """Who does the jobs: the timetable's hands."""

    engine: Engine
    work: Callable[[Session], Work]
    sees: Sees
    stopping: Callable[[], bool]

    def go_on(self) -> int:
        """Do what the running jobs still want, and undo what is to be undone; how many rows were settled."""
        with reading(self.engine) as db:
            running = select(BulkJob.id, BulkJob.state).where(BulkJob.state.in_((RUNNING, UNDOING)))
            jobs = db.execute(running.order_by(BulkJob.id)).all()
        return sum(self._go_on_with(job_id, self._undo if state == UNDOING else self._do) for job_id, state in jobs)

    def _go_on_with(self, job_id: int, portion: Callable[[int, int], int]) -> int:
        count = alone = 0
        while not self.stopping():
            try:
                settled = portion(job_id, 1 if alone else PORTION)
            except Exception as error:
                if is_away(error) or is_crossed(error) or alone:
                    raise
                log.warning("bulk job %d: one of %d rows fails, each is tried alone", job_id, PORTION)
                alone = PORTION
                continue
            if not settled:
                break
            count, alone = count + settled, max(alone - 1, 0)
        return count

    def _do(self, job_id: int, size: int) -> int:
        """One portion, kept in one transaction with its outcomes; 0 when there is nothing (more) to do."""
        with transaction(self.engine) as db:
            work = self.work(db)
            job = db.get(BulkJob, job_id, with_for_update=True)
            if job is None or job.state != RUNNING:
                return 0
            waiting = select(BulkRow).where(BulkRow.job_id == job_id, BulkRow.outcome == WAITING)
            portion = db.scalars(waiting.order_by(BulkRow.number).limit(size)).all()
            if not portion:
                job.state, job.changed_at, job.ended_at = DONE, work.now, work.now
                return 0
            try:
                with db.begin_nested():
                    self._settle(work, job, portion)
            except Exception as error:
                if size > 1 or is_away(error) or is_crossed(error):
                    raise
                log.exception("bulk job %d: row %d", job_id, portion[0].number)
                portion[0].outcome, portion[0].detail = REFUSED, BROKEN
            job.done, job.changed_at = job.done + len(portion), work.now
        return len(portion)

    def _settle(self, work: Work, job: BulkJob, portion: Sequence[BulkRow]) -> None:
        ids = [one.person_id for one in portion if one.person_id is not None]
        seen = set(self.sees(work.db, job.by, ids))
        people = {one.id: one for one in work.db.scalars(select(Person).where(Person.id.in_(seen)))}
        own_tags = list(work.db.scalars(select(Tag).where(Tag.id.in_(job.tags)).order_by(Tag.id)))
        for row in portion:
            person = people.get(row.person_id or 0)
            if person is None:  # handed over, or gone, since it was looked at
                row.outcome, row.detail = REFUSED, NOT_FOUND
                continue
            changed = [tag for tag in own_tags if _apply(work, job, person, tag)]
            row.outcome = CHANGED if changed else SAME
            _tell(work, job, person, changed)
        work.db.flush()

    def _undo(self, job_id: int, size: int) -> int:
        """Take back one portion of what the job gave."""
        with transaction(self.engine) as db:
            work = self.work(db)
            job = db.get(BulkJob, job_id, with_for_update=True)
            if job is None or job.state != UNDOING:
                return 0
            for tag in db.scalars(select(Tag).where(Tag.id.in_(job.tags)).order_by(Tag.id)).all():
                given = (TagGround.tag_id == tag.id, TagGround.source == SOURCE, TagGround.source_id == source_id(job))
                ids = db.scalars(select(TagGround.person_id).where(*given).limit(size)).all()
                gone = set(tags.withdraw(work, ids, tag, SOURCE, source_id(job)))
                for person in db.scalars(select(Person).where(Person.id.in_(gone))).all():
                    _tell(work, job, person, [tag], undone=True)
                if ids:
                    job.changed_at = work.now
                    return len(ids)
            job.state, job.changed_at, job.ended_at = UNDONE, work.now, work.now
        return 0


def source_id(job: BulkJob) -> str:
    """How a job's grounds name it."""
    return f"bulk:{job.id}"


def _apply(work: Work, job: BulkJob, person: Person, tag: Tag) -> bool:
    """Give or take one tag; whether that changed anything."""
    if job.what == UNTAG:
        return tags.take_away(work, person, tag)
    ground = Ground(SOURCE, f"批量打标签：{job.reason}", source_id(job), actor=job.by[:64])
    return tags.give(work, person, tag, ground)


def _tell(work: Work, job: BulkJob, person: Person, changed: Sequence[Tag], *, undone: bool = False) -> None:
    """A line of the story for each tag, as for one given by hand."""
    kind = "untagged" if undone or job.what == UNTAG else "tagged"
    details = {"by": job.by, "because": job.reason, "bulk": job.id}
    lines = [
        {
            "person_id": person.id,
            "userid": None,
            "kind": kind,
            "at": work.now,
            "details": {**details, "tag": f"{tag.group_name}/{tag.name}"},
            "once": f"bulk:{job.id}:{person.id}:{tag.id}:{kind}{':undone' if undone else ''}",
        }
        for tag in changed
    ]
    insert_new(work.db, Interaction, lines, ["once"])
