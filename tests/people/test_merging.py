"""What moves when two turn out to be one, and comes back when they part: stories, tags, journeys, opt-outs, lists."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from insight import segments
from people import access, blocking, consent, directory, guards, joining, merging, persons, privacy, resolving
from people.access import Sight
from people.joining import Given
from storage.database import reading
from storage.tables import (
    AuditRow,
    Base,
    Enrolment,
    Identity,
    Interaction,
    Journey,
    Person,
    PersonTag,
    PointsAccount,
    Review,
    Segment,
    SegmentMember,
    Tag,
    TagGround,
    TierChange,
    Touch,
)
from storage.work import SHANGHAI
from tagging import tags
from tagging.tags import Ground
from tests.people.joined import House

EVERYBODY = Sight(everybody=True)
PHONE = "13911110001"


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.close()


def two(house: House) -> tuple[int, int]:
    """Two anchors that share nothing yet."""
    return house.learn(Given("pos:member", "M1")), house.learn(Given("app:member", "A1"))


def join(house: House, *anchors: int) -> None:
    for one in anchors:
        house.learn(Given("phone", PHONE), anchor=one)


def cut(house: House, anchor: int) -> None:
    with house.work() as work:
        joining.cut(work, anchor, by="boss", why="两个人")


def everything(house: House) -> dict[str, list[str]]:
    """Every row of what follows people, but for stories of joining and parting themselves and the audit."""
    found = {}
    for follow in merging.FOLLOWS:
        if follow.how in (merging.MOVES, merging.BY_EXTERNAL) or follow.table in (PersonTag, Person):
            rows = [one for one in house.rows(follow.table) if getattr(one, "kind", "") not in ("merged", "separated")]
            found[follow.table.__tablename__] = sorted(
                str({name: value for name, value in vars(one).items() if name not in ("_sa_instance_state", "id")})
                for one in rows
            )
    return found


def test_of_every_table_that_holds_people_it_is_decided_what_a_merge_does() -> None:
    decided = [one.table.__tablename__ for one in merging.FOLLOWS]
    assert len(decided) == len(set(decided))
    naming = {
        table.name
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if any(key.column.table.name == "person" for key in column.foreign_keys)
    }
    hanging = {one.because for one in merging.FOLLOWS if one.how == merging.HANGS}
    assert naming <= set(decided)
    assert hanging <= {table.name for table in Base.metadata.sorted_tables}
    for one in merging.FOLLOWS:
        assert hasattr(one.table, "anchor_id") or one.how != merging.MOVES, one.table.__tablename__


def test_whatever_is_erased_of_a_person_is_decided_here_too() -> None:
    """A table that only names people by a text or an identity moves with nobody."""
    decided = {one.table for one in merging.FOLLOWS}
    for one in privacy.HOLDINGS:
        if one.at_erasure == privacy.DELETE and any(
            key.column.table.name == "person" for column in one.table.__table__.columns for key in column.foreign_keys
        ):
            assert one.table in decided


def test_a_story_follows_and_comes_back_exactly(house: House) -> None:
    first, second = two(house)
    for anchor in (first, second, second):
        house.tell(anchor)
    before = everything(house)
    join(house, first, second)
    assert {one.person_id for one in house.rows(Interaction)} == {first}
    house.tell(second)
    house.tell(first)
    cut(house, second)
    mine = [one.details["of"] for one in house.rows(Interaction, Interaction.person_id == second) if one.kind == "note"]
    assert mine == [second, second, second], "what came through an anchor meanwhile is its own"
    with house.work() as work:
        for line in work.db.scalars(select(Interaction).order_by(Interaction.id.desc()).limit(2)).all():
            assert line.kind == "separated"
    assert {one.anchor_id for one in house.rows(Interaction)} == {None}
    assert {name: rows for name, rows in everything(house).items() if name not in ("interaction", "person")} == {
        name: rows for name, rows in before.items() if name not in ("interaction", "person")
    }


def test_it_is_told_once_in_the_story_and_explained_in_the_audit(house: House) -> None:
    first, second = two(house)
    join(house, first, second)
    (line,) = house.rows(Interaction, Interaction.kind == "merged")
    assert (line.person_id, line.details) == (
        first,
        {"customer": f"p_{second}", "type": "phone", "value": "139****0001"},
    )
    (row,) = house.audits()
    assert row.details["before"] == {f"p_{first}": [f"p_{first}"], f"p_{second}": [f"p_{second}"]}
    assert row.details["after"] == {f"p_{first}": [f"p_{first}", f"p_{second}"]}
    assert len(row.details["evidence"]) == 2
    join(house, first, second)
    assert len(house.rows(Interaction, Interaction.kind == "merged")) == 1
    assert not [one for one in house.rows(AuditRow) if PHONE in str(one.details)]


def test_tags_are_the_persons_and_go_back_to_whom_they_were_given(house: House) -> None:
    first, second = two(house)
    names = {name: house.tag(name) for name in ("both", "hers", "later")}
    for anchor, name in ((first, "both"), (second, "both"), (second, "hers")):
        with house.work() as work:
            person, tag = work.db.get_one(Person, anchor), work.db.get_one(Tag, names[name])
            tags.give(work, person, tag, Ground("manual", "因为", actor="boss"))
    join(house, first, second)
    held = [(one.person_id, one.tag_id) for one in house.rows(PersonTag)]
    assert sorted(held) == [(first, names["both"]), (first, names["hers"])]
    with house.work() as work:
        work.via[first] = second
        tags.give(work, work.db.get_one(Person, first), work.db.get_one(Tag, names["later"]), Ground("keyword", "说了"))
    cut(house, second)
    held = [(one.person_id, one.tag_id) for one in house.rows(PersonTag)]
    assert sorted(held) == [(first, names["both"]), *((second, names[one]) for one in ("both", "hers", "later"))]
    assert {one.anchor_id for one in house.rows(TagGround)} == {None}


def test_of_two_rounds_of_one_journey_one_goes_on(house: House) -> None:
    first, second = two(house)
    with house.work() as work:
        journey = Journey(name="旅程", made_at=work.now, changed_at=work.now)
        other = Journey(name="另一个", made_at=work.now, changed_at=work.now)
        work.db.add_all([journey, other])
        work.db.flush()
        for person, on in ((first, journey), (second, journey), (second, other)):
            work.db.add(Enrolment(journey_id=on.id, version=1, person_id=person, since=work.now, began_at=work.now))
    join(house, first, second)
    rows = {(one.person_id, one.journey_id): (one.state, one.left_because) for one in house.rows(Enrolment)}
    assert rows == {(first, 1): ("live", ""), (second, 1): ("leaving", "merged"), (first, 2): ("live", "")}
    cut(house, second)
    assert {(one.person_id, one.journey_id) for one in house.rows(Enrolment)} == {(first, 1), (second, 1), (second, 2)}


def test_what_both_were_sent_stays_with_each(house: House) -> None:
    first, second = two(house)
    with house.work() as work:
        for person, source in ((first, "broadcast:1"), (second, "broadcast:1"), (second, "broadcast:2")):
            work.db.add(
                Touch(source=source, person_id=person, way="mass", state="sent", at=work.now, day=work.now.date())
            )
    join(house, first, second)
    assert sorted((one.person_id, one.source) for one in house.rows(Touch)) == [
        (first, "broadcast:1"),
        (first, "broadcast:2"),
        (second, "broadcast:1"),
    ]


@pytest.mark.parametrize("who", [0, 1])
def test_whoever_said_no_under_whatever_id_is_asked_nothing_more(house: House, who: int) -> None:
    anchors = two(house)
    with house.work() as work:
        consent.opt_out(work, work.db.get_one(Person, anchors[who]), "page")
    join(house, *anchors)
    heads = {one.id: one.opted_out for one in house.rows(Person)}
    assert heads[anchors[0]] is True
    cut(house, anchors[1])
    assert {one.id: one.opted_out for one in house.rows(Person)} == {anchors[who]: True, anchors[1 - who]: False}


def test_who_said_no_while_they_were_one_has_said_it_for_both(house: House) -> None:
    first, second = two(house)
    join(house, first, second)
    with house.work() as work:
        consent.opt_out(work, work.db.get_one(Person, first), "page")
    cut(house, second)
    assert all(one.opted_out for one in house.rows(Person))


def test_the_fields_of_a_person_come_from_all_and_each_keeps_its_own(house: House) -> None:
    first, second = two(house)
    with house.work() as work:
        hers = work.db.get_one(Person, second)
        hers.name, hers.birthday, hers.profile_at = "小雨", 520, work.now
    join(house, first, second)
    with house.work() as work:
        person = work.db.get_one(Person, first)
        assert (person.name, person.birthday) == ("小雨", 520)
        person.birth_year = 1990
        person.birthday = 521
    house.learn(Given("pos:member", "M2"), anchor=first)
    cut(house, second)
    rows = {one.id: (one.name, one.birthday, one.own) for one in house.rows(Person)}
    assert rows == {first: ("", 521, None), second: ("小雨", 520, None)}


@pytest.mark.parametrize("later", ["first", "second"])
def test_what_wecom_calls_somebody_wins_over_any_till_and_else_the_first_one_known(house: House, later: str) -> None:
    """A till's customer is never asked about at WeCom: that they came later says nothing of their name."""
    first, second = two(house)
    wecom = house.learn(Given("external_userid", "wm1"))
    with house.work() as work:
        people = {"first": work.db.get_one(Person, first), "second": work.db.get_one(Person, second)}
        people["first"].name, people["second"].name = "孙小店", "老孙"
        people[later].profile_at = work.now
    join(house, first, second)
    assert house.rows(Person, Person.id == first)[0].name == "孙小店"
    with house.work() as work:
        hers = work.db.get_one(Person, wecom)
        hers.name, hers.profile_at = "雨", work.now
        people[later].profile_at = work.now + timedelta(days=1)
    join(house, first, wecom)
    assert house.rows(Person, Person.id == first)[0].name == "雨"
    cut(house, wecom)
    assert {one.id: one.name for one in house.rows(Person)} == {first: "孙小店", second: "老孙", wecom: "雨"}


def test_both_stories_say_why_they_parted(house: House) -> None:
    def why(*people: int) -> list[dict[str, object]]:
        rows = house.rows(Interaction, Interaction.kind == "separated", Interaction.person_id.in_(people))
        told = [{name: value for name, value in one.details.items() if name != "customer"} for one in rows]
        house.forget_story()
        return told

    first, second = two(house)
    for one in (first, second):
        house.learn(Given("phone", PHONE), anchor=one)
    with house.work() as work:
        blocking.block(work, "phone", PHONE, by="boss", why="门店电话")
    assert why(first, second) == [{"why": "blocked", "type": "phone", "value": "139****0001"}] * 2
    with house.work() as work:
        blocking.unblock(work, "phone", PHONE, by="boss")
    cut(house, second)
    assert why(first, second) == [{"by_hand": True}] * 2
    with house.work() as work:
        joining.uncut(work, first, second, by="boss")
    house.forget_story()
    for number in range(resolving.MOST_ANCHORS - 1):
        house.learn(Given("pos:member", f"N{number}"), Given("phone", PHONE, verified=False))
    assert why(first, second) == [{"why": "crowded", "type": "phone", "value": "139****0001"}] * 2


def test_lists_segments_and_search_have_each_person_once(house: House) -> None:
    first, second = two(house)
    with house.work() as work:
        for one in (first, second):
            work.db.get_one(Person, one).name = "小雨"
        static = segments.create(work, "名单", {"all": []}, by="boss", kind="static")
        assert static.size == 2
    join(house, first, second)
    with reading(house.engine) as db:
        asked = segments.question(db, house.now, SHANGHAI)
        static = db.scalars(select(Segment)).one()
        assert segments.count(db, segments.condition({"all": []}, asked)) == 1
        assert segments.count(db, segments.members(static, asked)) == 1
        found, _ = directory.page(db, EVERYBODY, directory.Filter(q="小雨"), limit=10)
        assert [one.id for one in found] == [first]
        assert directory.count(db, EVERYBODY, directory.Filter()) == 1
        seen = access.person_in_sight(db, EVERYBODY, second)
        assert seen is not None
        assert seen.id == first
    cut(house, second)
    assert sorted(one.person_id for one in house.rows(SegmentMember)) == [first, second]


def test_points_stay_in_their_accounts(house: House) -> None:
    first, second = two(house)
    with house.work() as work:
        for one in (first, second):
            work.db.add(PointsAccount(person_id=one, available=10, made_at=work.now))
    join(house, first, second)
    assert {one.person_id for one in house.rows(PointsAccount)} == {first, second}
    with house.work() as work:
        assert persons.anchors(work.db, second) == [first, second]


def test_two_with_many_points_wait_for_two_people(house: House) -> None:
    first, second = two(house)
    with house.work() as work:
        for one in (first, second):
            work.db.add(PointsAccount(person_id=one, available=guards.MANY_POINTS + 1, made_at=work.now))
    join(house, first, second)
    assert house.groups() == {frozenset({first}), frozenset({second})}
    (review,) = house.rows(Review)
    assert (review.kind, review.state, review.why["stakes"]) == ("guard", "open", ["points"])
    with house.work() as work:
        assert joining.tie(work, first, second, by="boss")
    assert house.groups() == {frozenset({first, second})}


def test_two_with_different_tiers_wait_for_two_people_and_the_review_says_what_is_at_stake(house: House) -> None:
    first, second = two(house)
    third = house.learn(Given("web:member", "W1"))
    until = house.now.date() + timedelta(days=300)
    with house.work() as work:
        for one, tier, ends in ((first, "gold", until), (second, "black", until), (third, "silver", None)):
            account = PointsAccount(person_id=one, available=guards.MANY_POINTS + 1, made_at=work.now)
            work.db.add(account)
            work.db.flush()
            change = {"why": "up", "before": "silver", "after": tier, "until": ends, "points": 0}
            work.db.add(TierChange(account_id=account.id, at=work.now, recorded_at=work.now, **change))
            account.available = 0
    join(house, first, third)
    assert house.groups() == {frozenset({first, third}), frozenset({second})}
    join(house, second)
    assert house.groups() == {frozenset({first, third}), frozenset({second})}
    (review,) = house.rows(Review)
    assert (review.kind, review.state, review.why["stakes"]) == ("guard", "open", ["tiers"])


def test_two_of_one_tier_or_whose_tier_has_ended_are_joined_by_evidence(house: House) -> None:
    first, second = two(house)
    with house.work() as work:
        for one, tier in ((first, "gold"), (second, "black")):
            account = PointsAccount(person_id=one, made_at=work.now)
            work.db.add(account)
            work.db.flush()
            change = {"why": "up", "before": "silver", "after": tier, "until": house.now.date(), "points": 0}
            work.db.add(TierChange(account_id=account.id, at=work.now, recorded_at=work.now, **change))
    join(house, first, second)
    assert house.groups() == {frozenset({first, second})}


def test_a_storm_of_merges_says_that_its_batch_must_stop(house: House) -> None:
    for number in range(30):
        house.learn(Given("pos:member", f"M{number}"), Given("phone", f"139{number // 2:08}"))
    with house.work() as work:
        for number in range(12):
            joining.learn(
                work, None, [Given("app:member", f"N{number}"), Given("phone", f"139{number:08}")], source="x"
            )
        assert guards.storm(work, 100) is not None
        assert guards.storm(work, 10_000) is None


def test_all_of_a_person_is_erased_at_once(house: House) -> None:
    first, second = two(house)
    join(house, first, second)
    for one in (first, second):
        house.tell(one)
    with house.work() as work:
        receipt = privacy.erase(work, work.db.get_one(Person, second), "boss")
        assert receipt.person == f"p_{first}"
    for table in (Person, Interaction, Identity, Review):
        assert not house.rows(table), table


def test_a_merge_asks_the_database_for_nobody_elses_rows(house: House) -> None:
    first, second = two(house)
    for number in range(40):
        other = house.learn(Given("pos:member", f"X{number}"))
        house.tell(other)
    before = {one.id: one.person_id for one in house.rows(Interaction)}
    touched: list[int] = []

    def count(*found: object) -> None:
        cursor = found[1]
        if str(found[2]).startswith("UPDATE"):
            touched.append(cursor.rowcount)  # type: ignore[attr-defined]

    event.listen(house.engine, "after_cursor_execute", count)
    join(house, first, second)
    event.remove(house.engine, "after_cursor_execute", count)
    after = {one.id: one.person_id for one in house.rows(Interaction)}
    assert {one: after[one] for one in before} == before
    assert sum(touched) < 20


def test_a_number_that_was_given_up_parts_nobody_and_joins_nobody_later(house: House) -> None:
    first, second = two(house)
    join(house, first, second)
    with house.work() as work:
        assert joining.release(work, first, "phone", PHONE, by="boss")
    assert house.groups() == {frozenset({first, second})}
    later = house.learn(Given("till:member", "T1"), Given("phone", PHONE), at=house.now + timedelta(days=1))
    assert house.groups() == {frozenset({first, second}), frozenset({later})}
