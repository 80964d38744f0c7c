"""Segments: a tree means the same to both databases as to plain Python; wrong ones are refused at the exact place."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Engine, event, false, select
from sqlalchemy.orm import Session

from insight import segments
from insight.fields import FIELDS, Question
from insight.segments import WrongFilter
from soak import FULL
from storage.database import open_engine, reading, transaction
from storage.tables import Person, Segment, SegmentMember
from storage.work import Work
from tests import databases
from tests.insight.crowd import NOW, ZONE, Somebody, crowd, fits, keep
from tests.insight.trees import NAMES, some_value, trees

EXAMPLES = 3000 if FULL else 150
TAG = {"field": "tag", "op": "has", "value": "t_1"}


class Place:
    """A crowd and the database that holds it."""

    def __init__(self, engine: Engine, people: list[Somebody]) -> None:
        self.engine, self.people = engine, people

    @property
    def question(self) -> Question:
        return Question(self.engine.dialect.name, NOW, ZONE)

    def found(self, tree: dict[str, Any]) -> set[int]:
        with reading(self.engine) as db:
            return set(segments.ids(db, segments.condition(tree, self.question)))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One crowd for all tests of this file; they take back what they change."""
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        addresses = iter([databases.fresh_sqlite(tmp_path_factory.mktemp("crowd"), template)])
    else:
        addresses = databases.fresh_postgres(request.getfixturevalue("postgres_template"))
    engine = open_engine(next(addresses))
    people = crowd(seed=7)
    with transaction(engine) as db:
        keep(db, people)
    yield Place(engine, people)
    engine.dispose()
    next(addresses, None)


def work_in(db: Session) -> Work:
    return Work(db, NOW, zone=ZONE)


# --- meaning ---------------------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(tree=trees())
def test_a_tree_means_the_same_to_the_database_as_to_plain_python(place: Place, tree: dict[str, Any]) -> None:
    with reading(place.engine) as db:
        segments.check(db, tree)
        where = segments.condition(tree, place.question)
        assert set(segments.ids(db, where)) == {one.id for one in place.people if fits(tree, one)}
        assert segments.count(db, where) == len(set(segments.ids(db, where)))
        walking = segments.condition(tree, replace(place.question, walks=True))
        assert set(segments.ids(db, walking)) == set(segments.ids(db, where))


def test_every_condition_of_every_field_means_the_same(place: Place) -> None:
    for field in FIELDS:
        for name in NAMES.get(field.name, []):
            for op in field.form.ops:
                tree = {"field": field.name, "op": op, "value": name if op in ("has", "is") else [name]}
                assert place.found(tree) == {one.id for one in place.people if fits(tree, one)}, tree


def test_everybody_and_nobody(place: Place) -> None:
    everybody = {one.id for one in place.people}
    assert place.found({"all": []}) == everybody
    assert place.found({"not": {"all": []}}) == set()


def test_a_question_is_one_statement_however_big_the_tree(place: Place) -> None:
    asked: list[str] = []
    event.listen(place.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    leaves = [{"field": "tag", "op": "has_any", "value": ["t_1", "t_2"]}, {"not": TAG}]
    leaves += [{"field": "store", "op": "in", "value": ["d_3"]}, {"field": "last_talk_days", "op": ">", "value": 30}]
    with reading(place.engine) as db:
        segments.count(db, segments.condition({"all": leaves}, place.question))
    assert len(asked) == 1


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_lead_through_everybody_once(place: Place) -> None:
    tree = {"field": "opted_out", "op": "is", "value": False}
    seen: list[int] = []
    before = None
    with reading(place.engine) as db:
        where = segments.condition(tree, place.question)
        while True:
            found, before = segments.page(db, where, limit=7, before=before)
            seen += [one.id for one in found]
            if before is None:
                break
    assert seen == sorted(place.found(tree), reverse=True)


def test_the_callers_clause_narrows_everything(place: Place) -> None:
    mine = Person.owner == "lisi"
    with reading(place.engine) as db:
        own = set(db.scalars(select(Person.id).where(mine)))
        assert set(segments.ids(db, mine, segments.condition(segments.EVERYBODY, place.question))) == own
        assert segments.count(db, false(), segments.condition(segments.EVERYBODY, place.question)) == 0


# --- keeping ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_stays_as_it_was_and_can_be_asked_for(place: Place) -> None:
    had = place.found(TAG)
    with transaction(place.engine) as db:
        live = segments.create(work_in(db), "有标签", TAG, by="boss")
        taken = segments.snapshot(work_in(db), live, "有标签的名单", by="boss")
        again = segments.snapshot(work_in(db), taken, "名单的名单", by="boss")
        assert (live.size, taken.size, again.size) == (len(had),) * 3
        assert set(segments.ids(db, segments.members(again, place.question))) == had
        with pytest.raises(WrongFilter, match="名单的人已经定下"):
            segments.change(work_in(db), taken, name="x", tree=segments.EVERYBODY, by="boss")
        listed = {"field": "list", "op": "is", "value": segments.public_id(taken.id)}
        segments.check(db, listed)
        assert set(segments.ids(db, segments.condition(listed, place.question))) == had
        with pytest.raises(WrongFilter, match=r"filter\.value：没有 s_"):
            segments.check(db, {**listed, "value": segments.public_id(live.id)})
        segments.delete(work_in(db), taken, by="boss")
        db.flush()
        assert segments.living(db, taken.id) is None
        assert db.scalars(select(SegmentMember).where(SegmentMember.segment_id == taken.id)).all() == []
        db.rollback()


def test_a_changed_segment_is_counted_anew_and_its_version_grows(place: Place) -> None:
    with transaction(place.engine) as db:
        one = segments.create(work_in(db), "所有人", segments.EVERYBODY, by="boss")
        assert one.size == len(place.people)
        assert not segments.change(work_in(db), one, name="所有人", tree=segments.EVERYBODY, by="boss")
        assert segments.change(work_in(db), one, name="所有人", tree=TAG, by="lisi")
        assert (one.version, one.size, one.changed_by) == (2, len(place.found(TAG)), "lisi")
        with pytest.raises(WrongFilter, match="已有同名"):
            segments.create(work_in(db), " 所有人 ", TAG, by="boss")
        db.rollback()


# --- wrong trees -----------------------------------------------------------------------------------------------------


def deep(levels: int) -> dict[str, Any]:
    return TAG if levels == 1 else {"not": deep(levels - 1)}


@pytest.mark.parametrize(
    ("tree", "place_", "words"),
    [
        ([], "filter", "应是"),
        ({}, "filter", "应有且只有"),
        ({"all": [], "any": []}, "filter", "应有且只有"),
        ({"al": []}, "filter", "应有且只有"),
        ({"all": TAG}, "filter.all", "应是条件的列表"),
        ({"any": []}, "filter.any", "至少要有一个条件"),
        ({"not": []}, "filter.not", "应是"),
        ({"all": [TAG, {"any": [TAG, "x"]}]}, "filter.all[1].any[1]", "应是"),
        ({"field": "tags", "op": "has", "value": "t_1"}, "filter.field", "tag、life_cycle"),
        ({"field": ["tag"], "op": "has", "value": "t_1"}, "filter.field", "应是其中之一"),
        ({"field": "tag", "op": "is", "value": "t_1"}, "filter.op", "has、has_any、has_none"),
        ({**TAG, "colour": 1}, "filter.colour", "只有 field、op、value"),
        ({**TAG, "value": 1}, "filter.value", "例如 t_5"),
        ({**TAG, "value": "t_99"}, "filter.value", "没有 t_99"),
        ({**TAG, "op": "has_any", "value": "t_1"}, "filter.value", "列表"),
        ({**TAG, "op": "has_any", "value": []}, "filter.value", "列表"),
        ({**TAG, "op": "has_any", "value": ["t_1", "t_99"]}, "filter.value[1]", "没有 t_99"),
        ({"field": "channel", "op": "has", "value": "cNowhere"}, "filter.value", "没有 cNowhere"),
        ({"field": "rep", "op": "is", "value": "a\x00b"}, "filter.value", "userid"),
        ({"field": "store", "op": "is", "value": "d_9"}, "filter.value", "没有 d_9"),
        ({"field": "life_cycle", "op": "is", "value": "gone"}, "filter.value", "prospect"),
        ({"field": "region", "op": "is", "value": "江苏/"}, "filter.value", "江苏/南京"),
        ({"field": "opted_out", "op": "is", "value": 1}, "filter.value", "true 或 false"),
        ({"field": "last_talk_days", "op": ">", "value": True}, "filter.value", "0–3650"),
        ({"field": "last_talk_days", "op": ">", "value": 3651}, "filter.value", "0–3650"),
        ({"field": "last_talk_days", "op": "never", "value": 3}, "filter.value", "不需要"),
        ({"field": "arrival_days", "op": "between", "value": {"from": "2026-11-02"}}, "filter.value", "from"),
        ({"field": "arrival_days", "op": "between", "value": {"from": "2026-11-02", "to": "2026-02-30"}},
         "filter.value.to", "应是日期"),
        ({"field": "arrival_days", "op": "between", "value": {"from": "2026-11-02", "to": "2026-11-01"}},
         "filter.value.to", "不能早于"),
        ({"field": "messages", "op": ">", "value": {"times": 1}}, "filter.value", "times"),
        ({"field": "messages", "op": ">", "value": {"times": -1, "days": 0}}, "filter.value.times", "0–1000"),
        ({"field": "behaviour", "op": ">", "value": {"times": 1, "days": 1, "kinds": ["dances"]}},
         "filter.value.kinds[0]", "added"),
        ({"all": [TAG] * 101}, "filter.all[99]", "最多 100 个条件"),
        (deep(9), "filter" + ".not" * 8, "最多嵌套 8 层"),
    ],
)  # fmt: skip
def test_a_wrong_tree_is_refused_at_the_exact_place(place: Place, tree: Any, place_: str, words: str) -> None:
    with reading(place.engine) as db, pytest.raises(WrongFilter) as refused:
        segments.check(db, tree)
    spelt = {segments.spelt(one): said for one, said in refused.value.faults}
    assert words in spelt[place_], spelt


def test_every_fault_is_named_at_once(place: Place) -> None:
    tree = {"all": [{**TAG, "value": "x"}, {"any": []}, {"field": "nothing"}]}
    with reading(place.engine) as db, pytest.raises(WrongFilter) as refused:
        segments.check(db, tree)
    assert [segments.spelt(one) for one, _ in refused.value.faults] == [
        "filter.all[0].value",
        "filter.all[1].any",
        "filter.all[2].field",
    ]


def test_a_segment_needs_a_name(place: Place) -> None:
    with transaction(place.engine) as db:
        for name in ("", " ", "x" * 61, "a\nb"):
            with pytest.raises(WrongFilter, match="name"):
                segments.create(work_in(db), name, TAG, by="boss")
        assert db.scalars(select(Segment).where(Segment.kind == "live")).all() == []


def test_every_comparison_of_orders_and_points_means_the_same(place: Place) -> None:
    asked = [
        one for one in FIELDS if one.name.startswith(("order", "points", "first_order", "last_order", "redemptions"))
    ]
    chance = random.Random(11)
    met = set()
    for field in asked:
        for op in field.form.ops:
            for _ in range(6):
                tree = {"field": field.name, "op": op, **some_value(field, op, chance)}
                wanted = {one.id for one in place.people if fits(tree, one)}
                assert place.found(tree) == wanted, tree
                met |= {(field.name, one.id in wanted) for one in place.people}
    assert met == {(one.name, found) for one in asked for found in (True, False)}
