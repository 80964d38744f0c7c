"""Many rows are kept as a few are, whichever way they go: copied, as one JSON, or spelt out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from storage.database import opened, transaction
from storage.rows import FEW, add_rows, insert_new_rows
from storage.tables import Department, Interaction, JobRun, Person, Setting

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
MANY = FEW + 5
ODD = ["plain", "", "引号\"'\\", "tab\tline\nend", "\\N", "%s %(x)s ?", "null", "[1]", "{}", "é😀", " blank "]


def people(count: int, **facts: Any) -> list[dict[str, Any]]:
    seen = {"first_seen_at": NOON, "last_seen_at": NOON}
    return [{"name": ODD[n % len(ODD)], **seen, **facts} for n in range(count)]


def lines(count: int, person: int, details: Sequence[Any] = ({},)) -> list[dict[str, Any]]:
    own = {"person_id": person, "userid": None, "kind": "note", "at": NOON}
    return [{**own, "details": details[n % len(details)], "once": f"one:{n}"} for n in range(count)]


def kept(url: str, table: Any) -> list[dict[str, Any]]:
    with opened(url) as engine, transaction(engine) as db:
        names = [one.name for one in table.__table__.columns if one.name not in ("id", "name")]
        return [{name: getattr(one, name) for name in names} for one in db.scalars(select(table).order_by(table.id))]


def test_new_rows_have_the_same_values_and_defaults_many_or_few(database_url: str) -> None:
    with opened(database_url) as engine, transaction(engine) as db:
        few = [insert_new_rows(db, Person, people(1), [], ["id", "first_seen_at"])[0] for _ in range(MANY)]
    first = kept(database_url, Person)
    with opened(database_url) as engine, transaction(engine) as db:
        db.execute(delete(Person))
        many = insert_new_rows(db, Person, people(MANY), [], ["id", "first_seen_at"])
        names = db.scalars(select(Person.name).order_by(Person.id)).all()
    assert kept(database_url, Person) == first
    assert {one.first_seen_at for one in many} == {one.first_seen_at for one in few} == {NOON}
    assert sorted(names) == sorted(one["name"] for one in people(MANY))


def test_of_many_only_those_are_told_that_were_new(database_url: str) -> None:
    with opened(database_url) as engine, transaction(engine) as db:
        (person,) = insert_new_rows(db, Person, people(1), [], ["id"])
        insert_new_rows(db, Interaction, lines(3, person.id), ["once"], ["once"])
        new = insert_new_rows(db, Interaction, lines(MANY, person.id), ["once"], ["id", "once"])
        assert sorted(one.once for one in new) == sorted(f"one:{n}" for n in range(3, MANY))
        assert len({one.id for one in new}) == MANY - 3
        assert insert_new_rows(db, Interaction, lines(MANY, person.id), [], ["id"]) == []


@pytest.mark.parametrize("way", ["new", "added"])
def test_what_is_json_comes_back_as_it_went(database_url: str, way: str) -> None:
    said = [
        {"half": "x\ud83dy"},
        {"a": [1, None, "引号\"'\\\n\t"]},
        {},
        {"n": 10**17, "t": True},
        {"x": "\\N"},
        {"y": "null"},
    ]
    with opened(database_url) as engine, transaction(engine) as db:
        (person,) = insert_new_rows(db, Person, people(1), [], ["id"])
        rows = lines(MANY, person.id, said)
        if way == "new":
            insert_new_rows(db, Interaction, rows, ["once"], ["id"])
        else:
            add_rows(db.connection(), Interaction, [{**one, "anchor_id": None, "id": n} for n, one in enumerate(rows)])
        found = {one.once: one.details for one in db.scalars(select(Interaction))}
    assert found == {f"one:{n}": said[n % len(said)] for n in range(MANY)}


def test_a_null_of_json_stays_one(database_url: str) -> None:
    rows = [{"name": f"s{n}", "value": None, "changed_at": NOON} for n in range(MANY)]
    with opened(database_url) as engine, transaction(engine) as db:
        insert_new_rows(db, Setting, rows[:1], ["name"], ["name"])
        insert_new_rows(db, Setting, rows, ["name"], ["name"])
        shown = "CAST(value AS TEXT)"
        assert set(db.scalars(text(f"SELECT {shown} FROM setting WHERE name LIKE 's%'"))) == {"null"}


def test_many_rows_are_copied_as_they_are(database_url: str) -> None:
    rows = [
        {"job": f"job {n}", "due_at": NOON, "started_at": NOON, "outcome": ODD[n % len(ODD)], "ended_at": None}
        for n in range(MANY)
    ]
    with opened(database_url) as engine:
        with transaction(engine) as db:
            add_rows(db.connection(), JobRun, rows)
        with transaction(engine) as db:
            found = {one.job: (one.due_at, one.outcome, one.ended_at) for one in db.scalars(select(JobRun))}
    assert found == {one["job"]: (NOON, one["outcome"], None) for one in rows}


def test_what_is_there_already_is_refused_whole_and_the_line_goes_on(database_url: str) -> None:
    rows = [{"job": "same", "due_at": NOON, "started_at": NOON} for _ in range(MANY)]
    with opened(database_url) as engine:
        with pytest.raises(IntegrityError), transaction(engine) as db:
            add_rows(db.connection(), JobRun, rows)
        with transaction(engine) as db:
            assert db.scalars(select(JobRun.job)).all() == []


def test_a_text_that_is_too_long_is_refused_and_not_cut_off(database_url: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("SQLite knows no lengths")
    with opened(database_url) as engine:
        with pytest.raises(DataError), transaction(engine) as db:
            insert_new_rows(db, Person, people(MANY, phone="1" * 400), [], ["id"])
        with pytest.raises(DBAPIError), transaction(engine) as db:
            add_rows(db.connection(), JobRun, [{"job": "x" * 400, "due_at": NOON, "started_at": NOON}] * MANY)


def test_a_time_without_a_zone_is_refused_among_many_too(database_url: str) -> None:
    with opened(database_url) as engine, pytest.raises((ValueError, StatementError)), transaction(engine) as db:
        insert_new_rows(db, Person, people(MANY, last_seen_at=NOON.replace(tzinfo=None)), [], ["id"])


def test_what_is_missing_is_missing_where_a_column_wants_it_so(database_url: str) -> None:
    with opened(database_url) as engine, transaction(engine) as db:
        insert_new_rows(db, Person, people(MANY, own=None), [], ["id"])
        assert db.scalar(select(func.count()).where(Person.own.is_(None))) == MANY


def test_names_that_are_words_of_sql_are_no_trouble(database_url: str) -> None:
    rows = [{"id": n + 1, "name": f"店{n}", "order": n} for n in range(MANY)]
    with opened(database_url) as engine, transaction(engine) as db:
        insert_new_rows(db, Department, rows, ["id"], ["id", "order"])
        db.execute(delete(Department))
        add_rows(db.connection(), Department, [{**one, "parent_id": None, "leaders": []} for one in rows])
        assert db.scalars(select(Department.order).order_by(Department.id)).all() == list(range(MANY))
