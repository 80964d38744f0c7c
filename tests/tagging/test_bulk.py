"""Many people tagged at once: counted before, done in portions, row by row, stopped and undone, never half."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from people import joining, persons
from people.access import Sight
from people.directory import Filter
from people.joining import Given
from scheduler import bulk_work
from scheduler.bulk_work import BulkDesk, Order
from storage.sheets import BadSheet
from storage.tables import BulkJob, BulkRow, Interaction, Member, Person, PersonTag, Relation, Tag, TagGround, User
from storage.work import Work
from tagging import bulk, tags
from tagging.bulk import CannotDo
from tagging.tags import Ground
from tests.faults.crashes import Died, Reaper
from tests.shop import Shop

ALL = Sight(everybody=True)


@pytest.fixture
def tag(shop: Shop) -> Tag:
    with shop.work() as work:
        return tags.tag_named(work, "活动", "双十一")


def people(shop: Shop, count: int, rep: str = "lisi") -> list[int]:
    ids = []
    with shop.work() as work:
        for number in range(count):
            external = f"wm{rep}{number:024d}"
            person = persons.person_of(work, external)
            person.name = f"客户{number}"
            relation = persons.relation_of(work.db, person, rep, external)
            relation.state, relation.added_at = "active", work.now
            ids.append(person.id)
    return ids


def desk(shop: Shop) -> BulkDesk:
    return BulkDesk(shop.parts.engine, maker(shop))


def maker(shop: Shop) -> Callable[[Any], Work]:
    return lambda db: Work(db, shop.now(), cause="test", zone=shop.parts.zone)


def order(tag: Tag, what: str = "tag", by: str = "command line") -> Order:
    return Order(what, [tag.id], "名单.csv", "双十一预热", by)


def csv(*lines: str, head: str = "客户 ID") -> bytes:
    return "\r\n".join((head, *lines)).encode("utf-8-sig")


def begin(shop: Shop, job_id: int) -> None:
    with shop.work() as work:
        bulk.start(work, job_id)


def do(shop: Shop, stopping: Callable[[], bool] = lambda: False) -> int:
    return bulk_work.doer(shop.parts.engine, maker(shop), stopping).go_on()


def tick(shop: Shop) -> None:
    """The next beat of the clock, at which the job looks again."""
    shop.advance(seconds=10)
    shop.tick()


def counted(shop: Shop, job_id: int) -> bulk.Counts:
    with shop.db() as db:
        return bulk.counts(db, db.get_one(BulkJob, job_id))


def outcomes(shop: Shop, job_id: int) -> list[tuple[int, str, str | None]]:
    rows = shop.rows(BulkRow, BulkRow.job_id == job_id)
    return [(one.number, one.outcome, one.detail) for one in rows]


def state(shop: Shop, job_id: int) -> str:
    with shop.db() as db:
        return db.get_one(BulkJob, job_id).state


def having(shop: Shop, tag: Tag) -> int:
    with shop.db() as db:
        return db.scalars(select(func.count()).where(PersonTag.tag_id == tag.id)).one()


def test_a_filtered_list_is_counted_and_then_tagged_with_its_reason(shop: Shop, tag: Tag) -> None:
    ids = people(shop, 3)
    with shop.work() as work:
        tags.give(work, work.db.get_one(Person, ids[0]), tag, Ground("manual", "李四手动添加"))
    job = desk(shop).of_list(ALL, Filter(), order(tag))
    assert (counted(shop, job).total, counted(shop, job).to_change, counted(shop, job).already) == (3, 2, 1)
    assert having(shop, tag) == 1
    begin(shop, job)
    tick(shop)
    assert dict(shop.jobs_run)["do bulk work"] == "bulk rows settled: 3"
    assert state(shop, job) == "done"
    assert sorted(one for _, one, _ in outcomes(shop, job)) == ["done", "done", "same"]
    assert (counted(shop, job).to_change, counted(shop, job).already) == (2, 1)
    grounds = shop.rows(TagGround, TagGround.source == "import")
    assert [(one.source_id, one.because) for one in grounds] == [(f"bulk:{job}", "批量打标签：双十一预热")] * 3
    told = shop.rows(Interaction, Interaction.kind == "tagged")
    assert [(one.details["tag"], one.details["because"]) for one in told] == [("活动/双十一", "双十一预热")] * 2
    with shop.db() as db:
        done = db.get_one(BulkJob, job)
        assert (done.total, done.done, done.ended_at) == (3, 3, shop.now())


def test_a_file_may_name_people_in_any_of_four_ways(shop: Shop, tag: Tag) -> None:
    ids = people(shop, 4)
    with shop.work() as work:
        joining.learn(work, ids[2], [Given("unionid", "ounion0000000001")], source="wecom")
        joining.learn(work, ids[3], [Given("phone", "13812345678", verified=False)], source="remark")
    data = csv(f"p_{ids[0]}", f"wmlisi{1:024d}", "ounion0000000001", "+86 138-1234-5678", "", "p_999", "p_x")
    job = desk(shop).of_file(ALL, data, order(tag))
    assert counted(shop, job).to_change == 4
    assert [one for one in outcomes(shop, job) if one[1] != "waiting"] == [
        (7, "refused", "找不到这位客户"),
        (8, "refused", "找不到这位客户"),
    ]
    assert counted(shop, job).by_reason == {"找不到这位客户": 2}


def test_columns_of_their_own_must_agree(shop: Shop, tag: Tag) -> None:
    ids = people(shop, 2)
    for one in ids:
        with shop.work() as work:
            work.db.get_one(Person, one).phone = "13800001111"
    with shop.work() as work:
        work.db.get_one(Person, ids[1]).phone = "13900002222"
        third = persons.person_of(work, "wmthird0000000000000000000000")
        third.phone = "13900002222"
    first = f"wmlisi{0:024d}"
    lines = [f"{first},13800001111,", f"{first},13900002222,", ",13900002222,甲", ",,乙", f"{first},,"]
    job = desk(shop).of_file(ALL, csv(*lines, head="external_userid,手机号,备注"), order(tag))
    assert outcomes(shop, job) == [
        (2, "waiting", None),
        (3, "refused", "这一行的几列指向不同的客户"),
        (4, "refused", "有多位客户留过这个手机号，请改用客户 ID"),
        (5, "refused", "这一行没有写是哪位客户"),
        (6, "same", "与第 2 行是同一位客户"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_read_in_whichever_way_it_was_saved(shop: Shop, tag: Tag, encoding: str) -> None:
    (one,) = people(shop, 1)
    data = f"姓名,客户ID\r\n小雨,p_{one}\r\n".encode(encoding)
    job = desk(shop).of_file(ALL, data, order(tag))
    assert counted(shop, job).to_change == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "文件是空的"),
        (
            "姓名,电话号码\r\n小雨,1\r\n".encode(),
            "至少要有其中一列：客户 ID、external_userid、unionid、手机号；文件里的是：姓名、",
        ),
        ("客户 ID\r\n\r\n".encode(), "除了表头没有内容"),
        (b"PK\x03\x04\x00\x00", "这不是 CSV 文本"),
        ('客户 ID\r\n"p_1'.encode(), "CSV 格式有误"),
    ],
)
def test_what_is_no_such_file_is_refused_by_name(shop: Shop, tag: Tag, data: bytes, why: str) -> None:
    with pytest.raises(BadSheet, match=why):
        desk(shop).of_file(ALL, data, order(tag))
    assert shop.rows(BulkJob) == []


def test_a_hundred_thousand_lines_are_read_and_one_more_is_too_many(shop: Shop, tag: Tag) -> None:
    from tagging import bulk_files

    lines = ["p_1"] * 100_000
    assert len(bulk_files.read(csv(*lines))) == 100_000
    with pytest.raises(BadSheet, match="最多 100000 行"):
        bulk_files.read(csv(*lines, "p_1"))


def test_people_out_of_sight_are_refused_like_unknown_ones(shop: Shop, tag: Tag) -> None:
    mine, hers = people(shop, 1), people(shop, 1, "wangwu")
    sight = Sight(everybody=False, userids=frozenset({"lisi"}))
    job = desk(shop).of_file(sight, csv(f"p_{mine[0]}", f"p_{hers[0]}", "p_9999"), order(tag))
    assert outcomes(shop, job)[1:] == [(3, "refused", "找不到这位客户"), (4, "refused", "找不到这位客户")]
    (row,) = [one for one in shop.rows(BulkRow) if one.number == 3]
    assert row.person_id is None
    assert counted(shop, desk(shop).of_list(sight, Filter(), order(tag))).total == 1


def test_who_was_handed_over_in_between_is_refused_too(shop: Shop, tag: Tag) -> None:
    ids = people(shop, 2)
    with shop.work() as work:
        work.db.add(User(userid="lisi", role="rep", created_at=work.now))
    sight = Sight(everybody=False, userids=frozenset({"lisi"}))
    job = desk(shop).of_list(sight, Filter(), order(tag, by="lisi"))
    begin(shop, job)
    with shop.work() as work:
        relation = work.db.scalars(select(Relation).where(Relation.person_id == ids[0])).one()
        relation.state = "transferred"
    do(shop)
    assert sorted((one, why) for _, one, why in outcomes(shop, job)) == [("done", None), ("refused", "找不到这位客户")]
    with shop.work() as work:
        work.db.scalars(select(User).where(User.userid == "lisi")).one().disabled_at = work.now
    other = desk(shop).of_list(sight, Filter(), order(tag, what="untag", by="lisi"))
    begin(shop, other)
    do(shop)
    assert {one for _, one, _ in outcomes(shop, other)} == {"refused"}


def test_refused_lines_come_back_as_a_file_that_can_be_sent_again(shop: Shop, tag: Tag) -> None:
    (one,) = people(shop, 1)
    job = desk(shop).of_file(ALL, csv("=1+1", f"p_{one}", "p_77"), order(tag))
    with shop.db() as db:
        text = "".join(bulk.rejects(db, job))
    assert text.splitlines() == ["\ufeff客户,原因,行号", "'=1+1,找不到这位客户,2", "p_77,找不到这位客户,4"]
    again = desk(shop).of_file(ALL, text.encode(), order(tag))
    assert counted(shop, again).refused == 2


def test_a_job_is_paused_goes_on_and_is_called_off(shop: Shop, tag: Tag) -> None:
    people(shop, 120)
    job = desk(shop).of_list(ALL, Filter(), order(tag))
    begin(shop, job)
    turns = iter([False, True])
    assert do(shop, lambda: next(turns)) == bulk.PORTION
    with shop.work() as work:
        bulk.pause(work, job)
    assert do(shop) == 0
    with shop.db() as db:
        half = db.get_one(BulkJob, job)
        assert (half.state, half.done, half.total) == ("paused", bulk.PORTION, 120)
    with shop.work() as work:
        bulk.resume(work, job)
    turns = iter([False, True])
    assert do(shop, lambda: next(turns)) == bulk.PORTION
    with shop.work() as work:
        bulk.cancel(work, job)
    assert do(shop) == 0
    assert having(shop, tag) == 2 * bulk.PORTION
    with pytest.raises(CannotDo), shop.work() as work:
        bulk.resume(work, job)
    with shop.work() as work:
        bulk.undo(work, job)
    do(shop)
    assert (state(shop, job), having(shop, tag)) == ("undone", 0)


def test_undone_is_the_ground_of_this_job_only(shop: Shop, tag: Tag) -> None:
    ids = people(shop, 60)
    jobs = [desk(shop).of_list(ALL, Filter(), order(tag)) for _ in range(1)]
    with shop.work() as work:
        tags.give(work, work.db.get_one(Person, ids[0]), tag, Ground("keyword", "说到“双十一”", "rule:5"))
    begin(shop, jobs[0])
    do(shop)
    with shop.work() as work:
        tags.give(work, work.db.get_one(Person, ids[1]), tag, Ground("manual", "李四手动添加"))
        bulk.undo(work, jobs[0])
    tick(shop)
    left = shop.rows(PersonTag)
    assert sorted((one.person_id, one.source) for one in left) == [(ids[0], "keyword"), (ids[1], "manual")]
    assert state(shop, jobs[0]) == "undone"
    told = [one.kind for one in shop.rows(Interaction) if one.kind in ("tagged", "untagged")]
    assert (told.count("tagged"), told.count("untagged")) == (59, 58)
    with pytest.raises(CannotDo), shop.work() as work:
        bulk.undo(work, jobs[0])


def test_a_job_whose_tag_became_one_of_wecoms_is_undone_all_the_same(shop: Shop, tag: Tag) -> None:
    with shop.work() as work:
        persons.person_of(work, "wm1")  # with nobody of ours, so that WeCom has never heard of the tag
    job = desk(shop).of_list(ALL, Filter(), order(tag))
    begin(shop, job)
    do(shop)
    shop.world.console_tags("活动", ("双11",))
    shop.catch_up()
    shop.world.console_rename_tag("双11", "双十一")
    shop.catch_up()
    (merged,) = shop.rows(Tag, Tag.group_name == "活动")
    assert having(shop, merged) == 1
    with shop.work() as work:
        bulk.undo(work, job)
    do(shop)
    assert having(shop, merged) == 0


def test_untagging_takes_the_tag_away_and_cannot_be_undone(shop: Shop, tag: Tag) -> None:
    ids = people(shop, 2)
    with shop.work() as work:
        tags.give(work, work.db.get_one(Person, ids[0]), tag, Ground("keyword", "说到“双十一”", "rule:5"))
    job = desk(shop).of_list(ALL, Filter(), order(tag, what="untag"))
    assert (counted(shop, job).to_change, counted(shop, job).already) == (1, 1)
    begin(shop, job)
    do(shop)
    assert having(shop, tag) == 0
    assert sorted(one for _, one, _ in outcomes(shop, job)) == ["done", "same"]
    with pytest.raises(CannotDo, match="不能撤销"), shop.work() as work:
        bulk.undo(work, job)


def test_one_row_that_breaks_stops_nobody_else(
    shop: Shop, tag: Tag, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ids = people(shop, 60)
    give = tags.give

    def broken(work: Work, person: Person, *args: Any) -> bool:
        if person.id == ids[30]:
            raise RuntimeError("a bug")
        return give(work, person, *args)

    monkeypatch.setattr(tags, "give", broken)
    job = desk(shop).of_list(ALL, Filter(), order(tag))
    begin(shop, job)
    do(shop)
    assert (state(shop, job), having(shop, tag)) == ("done", 59)
    assert [why for _, one, why in outcomes(shop, job) if one == "refused"] == [bulk.BROKEN]
    assert "a bug" in caplog.text
    assert "客户30" not in caplog.text


def test_more_than_a_thousand_people_need_a_second_persons_word(shop: Shop, tag: Tag) -> None:
    with shop.work() as work:
        work.db.add(User(userid="zhangsan", role="boss", created_at=work.now))
        bulk_job = bulk.begin(work, "tag", [tag.id], source="名单", reason="双十一", by="zhangsan").id
        one = persons.person_of(work, "wmone").id
        bulk.add(work, bulk_job, [bulk.Line(1, "p_1", one)])
        bulk.show(work, bulk_job)
        work.db.get_one(BulkJob, bulk_job).total = 1001
    with shop.work() as work:
        job = work.db.get_one(BulkJob, bulk_job)
        assert not bulk.wants_second(work.db, job)
        work.db.add(User(userid="lisi", role="manager", created_at=work.now))
        work.db.add(User(userid="wangwu", role="rep", created_at=work.now))
        work.db.flush()
        assert bulk.wants_second(work.db, job)
    with pytest.raises(CannotDo, match="超过 1000 人"):
        begin(shop, bulk_job)
    with pytest.raises(CannotDo, match="另一位"), shop.work() as work:
        bulk.confirm(work, bulk_job, "zhangsan")
    with shop.work() as work:
        bulk.confirm(work, bulk_job, "lisi")
    begin(shop, bulk_job)
    with shop.db() as db:
        assert db.get_one(BulkJob, bulk_job).confirmed_by == "lisi"


def test_a_new_job_leaves_those_that_have_or_await_a_second_persons_word(shop: Shop, tag: Tag) -> None:
    people(shop, 1)
    with shop.work() as work:
        for userid in ("zhangsan", "lisi"):
            work.db.add(User(userid=userid, role="boss", created_at=work.now))

    def another(total: int, confirmed: bool = False) -> int:
        job_id = desk(shop).of_list(ALL, Filter(), order(tag, by="zhangsan"))
        with shop.work() as work:
            work.db.get_one(BulkJob, job_id).total = total
            if confirmed:
                bulk.confirm(work, job_id, "lisi")
        return job_id

    awaits, has = another(1001), another(1001, confirmed=True)
    another(1)
    newest = another(1)
    assert [one.id for one in shop.rows(BulkJob)] == [awaits, has, newest]
    assert {one.job_id for one in shop.rows(BulkRow)} == {awaits, has, newest}


@pytest.mark.parametrize(
    ("what", "tag_ids", "reason"), [("tag", [], "x"), ("tag", [999], "x"), ("tag", None, " "), ("gift", None, "x")]
)
def test_a_job_says_what_it_lacks(shop: Shop, tag: Tag, what: str, tag_ids: list[int] | None, reason: str) -> None:
    wanted = [tag.id] if tag_ids is None else tag_ids
    with pytest.raises(CannotDo), shop.work() as work:
        bulk.begin(work, what, wanted, source="", reason=reason, by="boss")


@pytest.mark.parametrize("phase", ["doing", "undoing"])
def test_a_job_killed_at_any_commit_ends_as_if_nothing_had_happened(shop: Shop, tag: Tag, phase: str) -> None:
    people(shop, 130)
    if phase == "undoing":
        job = desk(shop).of_list(ALL, Filter(), order(tag))
        begin(shop, job)
        do(shop)
        with shop.work() as work:
            bulk.undo(work, job)
    else:
        job = desk(shop).of_list(ALL, Filter(), order(tag))
        begin(shop, job)
    for number in range(1, 6):
        for before in (True, False):
            reaper = Reaper()
            reaper.at, reaper.before = number, before
            with reaper.watching(shop.parts.engine):
                try:
                    do(shop)
                except Died:
                    pass
            check_whole(shop, job, tag)
    do(shop)
    want = (130, "done") if phase == "doing" else (0, "undone")
    assert (having(shop, tag), state(shop, job)) == want
    told = [one.kind for one in shop.rows(Interaction) if one.kind in ("tagged", "untagged")]
    assert told.count("tagged") == 130
    assert told.count("untagged") == (0 if phase == "doing" else 130)


def check_whole(shop: Shop, job_id: int, tag: Tag) -> None:
    """Rows, tags and the count of the job agree at every moment."""
    with shop.db() as db:
        job = db.get_one(BulkJob, job_id)
        changed = select(func.count()).where(BulkRow.job_id == job_id, BulkRow.outcome == "done")
        if job.state in ("running", "done"):
            assert db.scalars(changed).one() == job.done == having_now(db, tag)


def having_now(db: Any, tag: Tag) -> int:
    return db.scalars(select(func.count()).where(PersonTag.tag_id == tag.id)).one()


def test_reading_a_file_killed_in_the_middle_leaves_a_job_that_is_never_shown(shop: Shop, tag: Tag) -> None:
    people(shop, 1)
    lines = [f"p_{number}" for number in range(2500)]
    reaper = Reaper()
    reaper.at, reaper.before = 3, True
    with reaper.watching(shop.parts.engine), pytest.raises(Died):
        desk(shop).of_file(ALL, csv(*lines), order(tag))
    (job,) = shop.rows(BulkJob)
    with shop.db() as db:
        assert bulk.find(db, job.id) is None
        assert bulk.listed(db) == []
    with pytest.raises(CannotDo):
        begin(shop, job.id)
    shop.advance(days=91)
    with shop.db() as db:
        while bulk.forget_old(db, shop.now(), 1000):
            pass
    assert (shop.rows(BulkJob), shop.rows(BulkRow)) == ([], [])


def test_tags_of_a_bulk_job_reach_wecom(shop: Shop, tag: Tag) -> None:
    channel = shop.channel(tags=())
    for name in ("小雨", "阿哲"):
        shop.world.scan(channel.code, name=name, userid="lisi")
    shop.catch_up()
    job = desk(shop).of_list(ALL, Filter(), order(tag))
    begin(shop, job)
    tick(shop)
    assert [shop.world.tag_names(row) for row in shop.world.relations.all()] == [["双十一"]] * 2
    with shop.work() as work:
        bulk.undo(work, job)
    tick(shop)
    assert [shop.world.tag_names(row) for row in shop.world.relations.all()] == [[], []]


def test_rows_are_shown_page_by_page(shop: Shop, tag: Tag) -> None:
    people(shop, 5)
    job = desk(shop).of_list(ALL, Filter(), order(tag))
    with shop.db() as db:
        first = bulk.rows(db, job, limit=3)
        rest = bulk.rows(db, job, after=first[-1][0].number, limit=3)
        assert [row.number for row, _ in (*first, *rest)] == [1, 2, 3, 4, 5]
        assert first[0][1] is not None
        assert bulk.rows(db, job, outcome="refused") == []
    assert shop.rows(Member)
