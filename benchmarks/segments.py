"""What it costs to count a segment and to list its first page, over 1 million people and 10 million lines of story.

Reference: the same question written by hand in SQL, once with EXISTS and once with IN, of which the quicker counts; run
in turn on the same database, its rows read by the same code. A way by hand that takes longer than ``PATIENCE`` is cut
off and does not count: PostgreSQL looks through a NOT IN too large for its memory once for each person. Both databases
as the product has them: SQLite without statistics, PostgreSQL with its own ANALYZE. A third table says how long the
life cycle takes to look at everybody.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from benchmarks import databases
from benchmarks.report import held, ms, ratio, show
from benchmarks.shop import engine_to
from insight import segments
from scheduler import insight_jobs
from storage import schema
from storage.database import reading, transaction, utc_now
from storage.tables import (
    Channel,
    Department,
    Interaction,
    Interval,
    Member,
    Person,
    PersonTag,
    Relation,
    Tag,
)
from storage.work import Work

ROUNDS = 5
PAGE = 50
MOST = 1.5
SLACK = 0.010
"""Seconds: where a page takes a millisecond, to put the question into words is most of it."""
PATIENCE = 15
"""Seconds."""
ZONE = ZoneInfo("Asia/Shanghai")
REPS = 200
HEADS = (
    "database",
    "segment",
    "people",
    "count",
    "by hand",
    "ratio",
    f"≤ {MOST}",
    "list",
    "by hand",
    "ratio",
    f"≤ {MOST}",
)
NIGHT_HEADS = ("database", "life cycle, first night", "a night when nobody moves", "static segment of everybody")


@dataclass(frozen=True)
class Asked:
    """One question: as a tree, and as two people would write it in SQL."""

    name: str
    tree: dict[str, Any]
    exists: str
    within: str


TALKED = "i.kind IN ('kf_in', 'forwarded')"
QUESTIONS = (
    Asked("everybody", {"all": []}, "1 = 1", "1 = 1"),
    Asked(
        "dormant or lost",
        {"field": "life_cycle", "op": "in", "value": ["dormant", "lost"]},
        "p.life_cycle IN ('dormant', 'lost')",
        "p.life_cycle IN ('dormant', 'lost')",
    ),
    Asked(
        "tagged, silent for 30 days, wants to hear",
        {
            "all": [
                {"field": "tag", "op": "has", "value": "t_1"},
                {"field": "last_talk_days", "op": "not_in_last", "value": 30},
                {"field": "opted_out", "op": "is", "value": False},
            ]
        },
        "NOT p.opted_out AND EXISTS (SELECT 1 FROM person_tag t WHERE t.person_id = p.id AND t.tag_id = 1) AND NOT "
        f"EXISTS (SELECT 1 FROM interaction i WHERE i.person_id = p.id AND {TALKED} AND i.at >= :d30)",
        "NOT p.opted_out AND p.id IN (SELECT t.person_id FROM person_tag t WHERE t.tag_id = 1) AND p.id NOT IN "
        f"(SELECT i.person_id FROM interaction i WHERE {TALKED} AND i.at >= :d30)",
    ),
    Asked(
        "in a store, came within 90 days",
        {
            "all": [
                {"field": "store", "op": "is", "value": "d_2"},
                {"field": "arrival_days", "op": "<=", "value": 90},
            ]
        },
        "EXISTS (SELECT 1 FROM relation r WHERE r.person_id = p.id AND r.userid IN ({store}) AND r.state IN "
        "('active', 'half')) AND EXISTS (SELECT 1 FROM relation_interval v WHERE v.person_id = p.id AND "
        "v.began_at >= :d90)",
        "p.id IN (SELECT r.person_id FROM relation r WHERE r.userid IN ({store}) AND r.state IN ('active', 'half')) "
        "AND p.id IN (SELECT v.person_id FROM relation_interval v WHERE v.began_at >= :d90)",
    ),
    Asked(
        "said 3 things in 30 days",
        {"field": "messages", "op": ">=", "value": {"times": 3, "days": 30}},
        f"(SELECT count(*) FROM interaction i WHERE i.person_id = p.id AND {TALKED} AND i.at >= :d30) >= 3",
        f"p.id IN (SELECT i.person_id FROM interaction i WHERE {TALKED} AND i.at >= :d30 GROUP BY i.person_id "
        "HAVING count(*) >= 3)",
    ),
    Asked(
        "from a code, or from 江苏, or joined a group",
        {
            "any": [
                {"field": "channel", "op": "has", "value": "c1"},
                {"field": "region", "op": "in", "value": ["江苏"]},
                {"field": "behaviour", "op": ">=", "value": {"kinds": ["group_joined"], "times": 1, "days": 90}},
            ]
        },
        "EXISTS (SELECT 1 FROM relation_interval v WHERE v.person_id = p.id AND v.channel_id = 1) OR p.province = "
        "'江苏' OR EXISTS (SELECT 1 FROM interaction i WHERE i.person_id = p.id AND i.kind = 'group_joined' AND "
        "i.at >= :d90)",
        "p.id IN (SELECT v.person_id FROM relation_interval v WHERE v.channel_id = 1) OR p.province = '江苏' OR p.id "
        "IN (SELECT i.person_id FROM interaction i WHERE i.kind = 'group_joined' AND i.at >= :d90)",
    ),
)


def run(quick: bool) -> None:
    """Measure on every database this machine has."""
    people, lines = (5_000, 50_000) if quick else (1_000_000, 10_000_000)
    print(f"{people:,} people, {lines:,} lines of story, {REPS} reps; {ROUNDS} rounds\n", flush=True)
    rows, nights = [], []
    with tempfile.TemporaryDirectory(prefix="scrm-bench-") as name:
        for kind in databases.kinds():
            with _filled(kind, Path(name), people, lines) as engine:
                nights.append([kind, *_nights(engine, people)])
                settle(engine)
                rows += [_row(kind, engine, asked) for asked in QUESTIONS]
    show(HEADS, rows)
    show(NIGHT_HEADS, nights)


@contextmanager
def _filled(kind: str, folder: Path, people: int, lines: int) -> Iterator[Engine]:
    with databases.empty(kind, folder) as url:
        schema.migrate(url)
        with engine_to(url) as engine:
            started = time.monotonic()
            fill(engine, people, lines)
            print(f"{kind}: filled in {time.monotonic() - started:.0f} s", flush=True)
            yield engine


# --- one question ----------------------------------------------------------------------------------------------------


def _row(kind: str, engine: Engine, asked: Asked) -> list[str]:
    """Rounds of ours and of both written by hand, counting and listing, side by side."""
    now = utc_now()
    found = _ours_counted(engine, asked, now)
    counts = _rounds(
        partial(_ours_counted, engine, asked, now),
        *(partial(_hand_counted, engine, one, now, found) for one in (asked.exists, asked.within)),
    )
    pages = _rounds(
        partial(_ours_listed, engine, asked, now, found),
        *(partial(_hand_listed, engine, one, now) for one in (asked.exists, asked.within)),
    )
    return [kind, asked.name, f"{found:,}", *_told(counts), *_told(pages)]


def _rounds(*works: Callable[[], object]) -> list[list[float]]:
    """Seconds of each work, in turn; the first turn warms up and does not count, and leaves out what was cut off."""
    patient = [work for work in works if _ends(work)]
    times: list[list[float]] = [[] for _ in patient]
    for _ in range(ROUNDS):
        for kept, work in zip(times, patient, strict=True):
            started = time.perf_counter()
            work()
            kept.append(time.perf_counter() - started)
    return times


def _ends(work: Callable[[], object]) -> bool:
    try:
        work()
    except OperationalError as error:
        if isinstance(error.orig, QueryCanceled):
            return False
        raise
    return True


def _told(times: Sequence[list[float]]) -> list[str]:
    ours, hand = times[0], min(times[1:], key=median)
    share = ratio(ours, hand)
    right = share <= MOST or median(ours) - median(hand) <= SLACK
    return [ms(median(ours)), ms(median(hand)), f"{share:.2f}", held(right)]


def _ours_counted(engine: Engine, asked: Asked, now: datetime) -> int:
    with reading(engine) as db:
        return segments.count(db, segments.condition(asked.tree, segments.question(db, now, ZONE)))


def _ours_listed(engine: Engine, asked: Asked, now: datetime, size: int) -> int:
    with reading(engine) as db:
        question = segments.question(db, now, ZONE, paged=size)
        return len(segments.page(db, segments.condition(asked.tree, question), limit=PAGE)[0])


def _hand_counted(engine: Engine, where: str, now: datetime, expected: int) -> None:
    with reading(engine) as db:
        _lose_patience(db)
        found = db.scalar(text(f"SELECT count(*) FROM person p WHERE {_worded(db, where)}"), _days(db, now))
    if found != expected:
        raise SystemExit(f"the question written by hand finds {found}, ours {expected}: {where}")


def _hand_listed(engine: Engine, where: str, now: datetime) -> int:
    with reading(engine) as db:
        _lose_patience(db)
        asked = text(f"SELECT p.* FROM person p WHERE {_worded(db, where)} ORDER BY p.id DESC LIMIT {PAGE + 1}")
        return len(db.scalars(select(Person).from_statement(asked), _days(db, now)).all())


def _lose_patience(db: Session) -> None:
    if not _is_sqlite(db.get_bind()):
        db.execute(text(f"SET LOCAL statement_timeout = '{PATIENCE}s'"))


BELOW = """WITH RECURSIVE below(id) AS (
    SELECT id FROM department WHERE id = 2 UNION SELECT d.id FROM department d JOIN below ON d.parent_id = below.id
) SELECT m.userid FROM member m JOIN {each} ON true WHERE {own} IN (SELECT id FROM below)"""


def _worded(db: Session, where: str) -> str:
    if _is_sqlite(db.get_bind()):
        return where.format(store=BELOW.format(each="json_each(m.departments) own", own="own.value"))
    each = "json_array_elements_text(m.departments) own(value)"
    return where.format(store=BELOW.format(each=each, own="own.value::int"))


def _days(db: Session, now: datetime) -> dict[str, Any]:
    """Moments as this database keeps them."""
    found = {f"d{days}": now - timedelta(days=days) for days in (30, 90)}
    if not _is_sqlite(db.get_bind()):
        return found
    return {name: f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}" for name, at in found.items()}


def _is_sqlite(bind: Any) -> bool:
    return bool(bind.dialect.name == "sqlite")


# --- a night ---------------------------------------------------------------------------------------------------------


def _nights(engine: Engine, people: int) -> list[str]:
    """Seconds in which the life cycle of everybody is settled, and everybody becomes a list."""

    night = utc_now()  # the same for both: in the minutes between, somebody would come of an age

    def work(db: Session) -> Work:
        return Work(db, night, zone=ZONE)

    taken = []
    for moved in (people, 0):
        started = time.monotonic()
        seen = insight_jobs.settle_life_cycles(engine, work, lambda: False)
        taken.append(f"{time.monotonic() - started:.1f} s")
        if seen != (people, moved):
            raise SystemExit(f"the life cycle looked at and moved {seen}, not {(people, moved)}")
    started = time.monotonic()
    with transaction(engine) as db:
        segments.create(work(db), "everybody", segments.EVERYBODY, by="benchmark", kind=segments.STATIC)
    return [*taken, f"{time.monotonic() - started:.1f} s"]


# --- filling ---------------------------------------------------------------------------------------------------------


def fill(engine: Engine, people: int, lines: int) -> None:
    """A shop of this size, its numbers strewn by multiplication; indexes are built at the end, as that is quicker."""
    with engine.begin() as connection:
        _fill_house(connection)
        for table in (Person, Relation, Interval, PersonTag, Interaction):
            for index in table.__table__.indexes:
                index.drop(connection)
        series = partial(_series, connection)
        ago, small = _ago(connection), _small

        def run_sql(statement: str) -> None:
            connection.execute(text(statement))

        run_sql(
            "INSERT INTO person (id, name, gender, kind, owner, owner_by_hand, opted_out, first_seen_at, last_seen_at, "
            f"province, city) SELECT n, 'p' || n, 0, 1, 'rep' || {_one_of('n', REPS)}, false, {small('n', 20)} = 0, "
            f"{ago('n', 800)}, {ago('n', 60)}, CASE {small('n', 7)} WHEN 0 THEN '江苏' WHEN 1 THEN '上海' END, "
            f"CASE {small('n', 7)} WHEN 0 THEN '南京' WHEN 1 THEN '上海' END FROM {series(people)}"
        )
        run_sql(
            "INSERT INTO relation (id, person_id, userid, external_userid, state, added_at, channel_id, remark_phones) "
            f"SELECT n, n, 'rep' || {_one_of('n', REPS)}, 'wm' || n, CASE {small('n', 10)} WHEN 0 THEN "
            f"'ended_by_customer' WHEN 1 THEN 'half' ELSE 'active' END, {ago('n', 800)}, {_one_of('n', 20)}, '[]' "
            f"FROM {series(people)}"
        )
        run_sql(
            "INSERT INTO relation_interval (relation_id, number, person_id, userid, began_at, origin, channel_id) "
            f"SELECT n, 1, n, 'rep' || {_one_of('n', REPS)}, {ago('n', 800)}, 'arrival', {_one_of('n', 20)} "
            f"FROM {series(people)}"
        )
        run_sql(
            "INSERT INTO person_tag (person_id, tag_id, source, because, at) SELECT 1 + (n - 1) / 2, "
            f"CASE WHEN n % 2 = 0 THEN 1 + {small('n', 10)} ELSE 11 + {small('n', 10)} END, 'manual', '', "
            f"{ago('n', 300)} FROM {series(2 * people)}"
        )
        run_sql(
            "INSERT INTO interaction (person_id, kind, at, details, once) SELECT 1 + (n * 2654435761) % "
            f"{people}, CASE WHEN {small('n', 10)} < 5 THEN 'kf_in' WHEN {small('n', 10)} < 8 THEN 'kf_out' "
            f"WHEN {small('n', 10)} = 8 THEN 'welcomed' ELSE 'group_joined' END, {ago('n', 400)}, '{{}}', "
            f"{_padded(connection)} FROM {series(lines)}"
        )
        for table in (Person, Relation, Interval, PersonTag, Interaction):
            for index in table.__table__.indexes:
                index.create(connection)
    settle(engine)


def settle(engine: Engine) -> None:
    """Do what PostgreSQL does by itself after a while."""
    if not _is_sqlite(engine):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _fill_house(connection: Connection) -> None:
    with Session(connection) as db:
        now = utc_now()
        db.add_all(
            Department(id=one, name=f"d{one}", parent_id=None if one == 1 else 1 + one % 3) for one in range(1, 21)
        )
        db.add_all(
            Member(userid=f"rep{one}", name=f"rep{one}", departments=[1 + one % 20]) for one in range(1, REPS + 1)
        )
        db.add_all(Tag(id=one, group_name="g", name=f"t{one}", created_at=now) for one in range(1, 21))
        db.add_all(
            Channel(id=one, code=f"c{one}", name=f"c{one}", created_at=now, changed_at=now) for one in range(1, 21)
        )
        db.flush()


def _series(connection: Connection, count: int) -> str:
    """The numbers from 1 to ``count`` as ``n``."""
    if _is_sqlite(connection):
        counted = f"SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {count}"
        return f"(WITH RECURSIVE series(n) AS ({counted}) SELECT n FROM series)"
    return f"generate_series(1::bigint, {count}) AS series(n)"


def _ago(connection: Connection) -> Callable[[str, int], str]:
    """SQL for a moment within the last days, strewn by ``n``."""
    began = int(time.time())

    def strewn(n: str, days: int) -> str:
        seconds = f"(({n} * 48271) % 2147483647) % {days * 86_400}"
        if _is_sqlite(connection):
            return f"strftime('%Y-%m-%d %H:%M:%S.000000', {began} - {seconds}, 'unixepoch')"
        return f"to_timestamp({began} - {seconds})"

    return strewn


def _small(n: str, below: int) -> str:
    """SQL for a number below ``below``, strewn by ``n`` otherwise than the moments are."""
    return f"(({n} * 69621) % 2147483629) % {below}"


def _one_of(n: str, count: int) -> str:
    return f"(1 + (({n} * 16807) % 2147483587) % {count})"


def _padded(connection: Connection) -> str:
    return "printf('b%010d', n)" if _is_sqlite(connection) else "'b' || lpad(n::text, 10, '0')"
