"""What is told at once is kept or refused as ever; what is asked at once sees what the others have left."""

import threading
import time
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import Engine, bindparam, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from storage.at_once import all_at_once, answers, change
from storage.database import among, is_crossed, open_engine, opened, packed, transaction
from storage.rows import add_rows
from storage.tables import JobRun, Setting

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
RUN = JobRun.__table__.c
HELD = select(RUN.job).where(RUN.job == bindparam("job")).with_for_update()
RUNS = (
    select(RUN.id, RUN.job, RUN.due_at, RUN.outcome)
    .where(RUN.job == bindparam("job"), RUN.outcome != "")
    .order_by(RUN.id)
)
OUTCOME = update(JobRun).where(RUN.job == bindparam("of_job")).values(outcome=bindparam("how"))


def _double(db: Session) -> None:
    """The same job run twice, and something after it."""
    db.connection().execute(insert(JobRun), [{"job": "one", "due_at": NOON, "started_at": NOON}] * 2)
    db.connection().execute(update(JobRun).values(outcome="after"))


def test_what_is_told_at_once_is_refused_as_ever_and_nothing_of_it_is_kept(database_url: str) -> None:
    with opened(database_url) as engine:
        with pytest.raises(IntegrityError), transaction(engine) as db, all_at_once(db.connection()):
            _double(db)
        with transaction(engine) as db:
            assert db.scalars(select(JobRun.job)).all() == []


def test_a_server_that_goes_away_meanwhile_is_an_error_of_operation_and_the_next_one_gets_a_new_line(
    database_url: str,
) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite has no server")
    with opened(database_url) as engine:
        with pytest.raises(OperationalError) as raised:
            _cut_off(engine, database_url)
        assert raised.value.connection_invalidated
        with transaction(engine) as db:
            assert db.scalar(select(JobRun.id).limit(1)) is None


def _cut_off(engine: Engine, database_url: str) -> None:
    with transaction(engine) as db:
        own = db.scalar(text("SELECT pg_backend_pid()"))
        with all_at_once(db.connection()):
            db.connection().execute(update(JobRun).values(outcome="after"))
            with psycopg.connect(database_url.replace("+psycopg", "")) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [own])
            time.sleep(0.2)


def test_who_is_told_to_stop_meanwhile_stops_and_nothing_is_kept(database_url: str) -> None:
    with opened(database_url) as engine:
        with pytest.raises(SystemExit), transaction(engine) as db, all_at_once(db.connection()):
            _stopped(db)
        with transaction(engine) as db:
            assert db.scalars(select(JobRun.job)).all() == []


def _stopped(db: Session) -> None:
    rows = [{"job": job, "due_at": NOON, "started_at": NOON} for job in ("one", "other")]
    db.connection().execute(insert(JobRun), rows)
    raise SystemExit


def _run(job: str, outcome: str = "") -> dict[str, object]:
    return {"job": job, "due_at": NOON, "started_at": NOON, "outcome": outcome}


def test_questions_asked_at_once_are_answered_as_they_are_one_by_one(database_url: str) -> None:
    with opened(database_url) as engine, transaction(engine) as db:
        db.execute(insert(JobRun), [_run("one", "done"), _run("other", "done")])
        db.execute(insert(Setting), [{"name": "some", "value": {"a": [1, None]}, "changed_at": NOON}])
        said = select(Setting.__table__.c.value.label("value"), Setting.__table__.c.changed_at.label("at"))
        line = db.connection()
        own = among(line.dialect.name, RUN.job, "jobs")
        several = {"jobs": packed(line.dialect.name, ["one", "other", "third"])}
        one, none, both, settings = answers(
            line,
            (RUNS, {"job": "one"}),
            (RUNS, {"job": "third"}),
            (select(RUN.job).where(own).order_by(RUN.job), several),
            (said, {}),
        )
        assert [(row.job, row.due_at, row.outcome) for row in one] == [("one", NOON, "done")]
        assert none == []
        assert [row.job for row in both] == ["one", "other"]
        assert [(row.value, row.at) for row in settings] == [({"a": [1, None]}, NOON)]


def test_a_question_asked_at_once_sees_what_the_one_before_it_had_to_wait_for(database_url: str) -> None:
    with opened(database_url) as engine:
        with transaction(engine) as db:
            db.execute(insert(JobRun), [_run("one")])
        held, seen = threading.Event(), []

        def later() -> None:
            held.wait(5)
            with transaction(engine) as db:
                seen.extend(answers(db.connection(), (HELD, {"job": "one"}), (RUNS, {"job": "one"}))[1])

        other = threading.Thread(target=later)
        other.start()
        with transaction(engine) as db:
            answers(db.connection(), (HELD, {"job": "one"}))
            held.set()
            time.sleep(0.3)
            db.execute(update(JobRun).values(outcome="done"))
        other.join()
        assert [row.outcome for row in seen] == ["done"]


def test_who_waits_too_long_for_what_another_holds_is_told_so_and_may_try_again(database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite lets only one in")
    with opened(database_url) as engine:
        with transaction(engine) as db:
            db.execute(insert(JobRun), [_run("one", "done")])
        impatient = open_engine(database_url, patience=0.2)
        with transaction(engine) as holder:
            answers(holder.connection(), (HELD, {"job": "one"}))
            with pytest.raises(DBAPIError) as raised, transaction(impatient) as db:
                answers(db.connection(), (HELD, {"job": "one"}), (RUNS, {"job": "one"}))
        assert is_crossed(raised.value)
        with transaction(impatient) as db:
            assert len(answers(db.connection(), (HELD, {"job": "one"}), (RUNS, {"job": "one"}))[1]) == 1
        impatient.dispose()


def test_a_parameter_that_is_missing_is_an_error_and_not_nothing(database_url: str) -> None:
    with opened(database_url) as engine:
        with pytest.raises(KeyError), transaction(engine) as db, all_at_once(db.connection()) as tell:
            change(db.connection(), tell, OUTCOME, [{"of_jobs": "one", "how": "done"}])
        with pytest.raises(KeyError), transaction(engine) as db:
            answers(db.connection(), (RUNS, {"jobs": "one"}))


@pytest.mark.parametrize("jobs", [["one"], [f"job {n}" for n in range(20)]], ids=["one row", "many rows"])
def test_rows_and_changes_told_in_the_drivers_words_are_all_kept(database_url: str, jobs: list[str]) -> None:
    with opened(database_url) as engine:
        with transaction(engine) as db, all_at_once(db.connection()) as tell:
            line = db.connection()
            add_rows(line, JobRun, [_run(job) for job in jobs], tell)
            change(line, tell, OUTCOME, [{"of_job": job, "how": f"{job} done"} for job in jobs])
            change(line, tell, OUTCOME, [])
        with transaction(engine) as db:
            found = {one.job: one.outcome for one in db.scalars(select(JobRun))}
        assert found == {job: f"{job} done" for job in jobs}
