"""Tags and their grounds: who gave them, what stays when one ground ends, and how WeCom's side comes here."""

import pytest

from people import persons
from storage.tables import Channel, OutboxRow, Person, PersonalTag, PersonTag, RelationTag, Tag, TagGround
from storage.work import Work
from tagging import marks, tags
from tagging.tags import Ground
from tests.shop import Shop


@pytest.fixture
def external(shop: Shop) -> str:
    """A customer of lisi who has come over a code that tags 来源/抖音."""
    arrival = shop.world.scan(shop.channel("抖音", tags=(("来源", "抖音"),)).code, userid="lisi")
    shop.catch_up()
    shop.advance(minutes=1)
    return arrival.external_userid


def names(shop: Shop) -> list[str]:
    with shop.db() as db:
        ids = [one.tag_id for one in db.query(PersonTag)]
        return sorted(one.name for one in db.query(Tag).filter(Tag.id.in_(ids)))


def shown(shop: Shop, external: str, userid: str = "lisi") -> list[str]:
    return sorted(shop.world.tag_names(shop.world.relation(userid, external)))


def test_a_tag_stays_as_long_as_one_of_its_grounds_does(shop: Shop, external: str) -> None:
    (first,) = shop.rows(TagGround)
    with shop.work() as work:
        person, tag = work.db.query(Person).one(), work.db.query(Tag).one()
        rule = Ground("keyword", "说了“抖音”", "rule:1")
        assert not tags.give(work, person, tag, rule)
        assert tags.withdraw(work, [person.id], tag, "channel", first.source_id) == []
    (head,) = shop.rows(PersonTag)
    assert (head.source, head.because) == ("keyword", "说了“抖音”")
    shop.catch_up()
    assert shown(shop, external) == ["抖音"]
    with shop.work() as work:
        person, tag = work.db.query(Person).one(), work.db.query(Tag).one()
        assert tags.withdraw(work, [person.id], tag, "keyword", "rule:1") == [person.id]
    shop.catch_up()
    assert names(shop) == []
    assert shown(shop, external) == []


def test_giving_twice_for_the_same_reason_is_one_ground(shop: Shop, external: str) -> None:
    for _ in range(2):
        with shop.work() as work:
            person, tag = work.db.query(Person).one(), work.db.query(Tag).one()
            tags.give(work, person, tag, Ground("keyword", "说了", "rule:1"))
    assert len(shop.rows(TagGround)) == 2


def test_what_a_rep_sets_in_the_client_arrives_as_by_hand(shop: Shop, external: str) -> None:
    shop.world.console_tags("口味", ("拿铁",))
    shop.catch_up()
    shop.world.rep_tags("lisi", external, add=["拿铁"], personal=[("我的", "熟客")])
    shop.catch_up()
    (ground,) = shop.rows(TagGround, TagGround.source == "manual")
    assert (ground.actor, ground.because) == ("lisi", "lisi在企业微信里打上")
    assert [(one.group_name, one.name) for one in shop.rows(PersonalTag)] == [("我的", "熟客")]


def test_what_a_rep_takes_off_in_the_client_goes(shop: Shop, external: str) -> None:
    shop.world.rep_tags("lisi", external, remove=["抖音"])
    shop.catch_up()
    assert names(shop) == []
    assert shop.rows(TagGround) == []
    (row,) = shop.rows(RelationTag)
    assert (row.wanted, row.at_wecom) == (False, "done")
    shop.world.edit_remark("lisi", external, remark="雨姐")
    shop.catch_up()
    assert shown(shop, external) == []


def test_a_tag_another_rep_still_shows_stays_on_the_person(shop: Shop, external: str) -> None:
    shop.world.scan(shop.channel("门店").code, userid="wangwu", external_userid=external)
    shop.catch_up()
    shop.advance(minutes=1)
    assert shown(shop, external, "wangwu") == ["抖音"]
    shop.world.rep_tags("lisi", external, remove=["抖音"])
    shop.catch_up()
    assert names(shop) == ["抖音"]
    assert shown(shop, external, "lisi") == []
    assert shown(shop, external, "wangwu") == ["抖音"]


def test_a_tag_on_its_way_to_wecom_is_not_taken_for_removed(shop: Shop) -> None:
    arrival = shop.world.scan(shop.channel("抖音", tags=(("来源", "抖音"),)).code, userid="lisi")
    shop.world.edit_remark("lisi", arrival.external_userid, remark="雨姐")
    shop.catch_up()
    assert names(shop) == ["抖音"]
    assert shown(shop, arrival.external_userid) == ["抖音"]


def test_corp_tags_are_renamed_and_deleted_as_at_wecom(shop: Shop, external: str) -> None:
    shop.world.console_tags("来源", ("小红书",))
    shop.catch_up()
    group = next(one for one in shop.world.tag_groups.values() if one.name == "来源")
    tag = next(iter(group.tags.values()))
    tag.name = "抖音直播"
    shop.world.emit({"Event": "change_external_tag", "ChangeType": "update", "Id": tag.id, "TagType": "tag"})
    shop.catch_up()
    assert names(shop) == ["抖音直播"]
    shop.world.console_delete_tag(tag.id)
    shop.catch_up()
    assert names(shop) == []
    assert [(one.name, one.deleted_at is None) for one in shop.rows(Tag)] == [("抖音直播", False), ("小红书", True)]


def test_a_deleted_tag_comes_back_when_a_code_needs_it(shop: Shop, external: str) -> None:
    shop.world.console_delete_tag(shop.rows(Tag)[0].wecom_id)
    shop.catch_up()
    arrival = shop.world.scan(shop.rows(Channel)[0].code, userid="wangwu", name="阿哲")
    shop.catch_up()
    assert shown(shop, arrival.external_userid, "wangwu") == ["抖音"]
    assert [one.deleted_at for one in shop.rows(Tag)] == [None]


def test_two_tags_that_swap_their_names_keep_their_people(shop: Shop, external: str) -> None:
    shop.world.console_tags("来源", ("小红书",))
    shop.catch_up()
    group = next(one for one in shop.world.tag_groups.values() if one.name == "来源")
    first, second = group.tags.values()
    first.name, second.name = second.name, first.name
    shop.world.emit({"Event": "change_external_tag", "ChangeType": "update", "Id": first.id, "TagType": "tag"})
    shop.catch_up()
    assert names(shop) == [first.name] == ["小红书"]


def test_an_operator_renames_and_deletes_a_tag_here_and_at_wecom(shop: Shop, external: str) -> None:
    with shop.work() as work:
        tags.rename(work, work.db.query(Tag).one(), "抖音来的")
    shop.catch_up()
    assert shown(shop, external) == ["抖音来的"]
    with shop.work() as work:
        assert tags.remove(work, work.db.query(Tag).one()) == 1
    shop.catch_up()
    assert shown(shop, external) == []
    assert not any("抖音" in tag.name for group in shop.world.tag_groups.values() for tag in group.tags.values())


def test_a_tag_goes_from_here_only_when_wecom_has_deleted_it(shop: Shop, external: str) -> None:
    with shop.work() as work:
        assert tags.remove(work, work.db.query(Tag).one()) == 1
    assert names(shop) == ["抖音"]
    (tag,) = shop.rows(Tag)
    with shop.db() as db:
        assert marks.leaving(db) == {tag.wecom_id}
    shop.catch_up()
    assert (names(shop), shop.rows(TagGround), shop.rows(RelationTag)) == ([], [], [])
    assert shop.rows(Tag)[0].deleted_at is not None


def test_a_tag_that_wecom_made_elsewhere_is_neither_renamed_nor_deleted_by_us(shop: Shop, external: str) -> None:
    shop.world.console_tags("口味", ("拿铁",))
    shop.catch_up()
    shop.world.rep_tags("lisi", external, add=["拿铁"])
    shop.catch_up()
    for change in (lambda work, tag: tags.rename(work, tag, "燕麦拿铁"), tags.remove):
        with pytest.raises(ValueError, match="请管理员在企业微信管理后台"), shop.work() as work:
            change(work, work.db.query(Tag).filter(Tag.name == "拿铁").one())
    shop.catch_up()
    assert names(shop) == ["抖音", "拿铁"]
    assert shop.rows(OutboxRow, OutboxRow.name.in_(("EditCorpTag", "DeleteCorpTags"))) == []


@pytest.mark.parametrize("wish", ["rename", "remove"])
def test_what_wecom_refuses_to_change_is_here_as_it_is_there(shop: Shop, external: str, wish: str) -> None:
    """Its group is somebody else's, though the tag in it is ours: that cannot be known before."""
    group = next(one for one in shop.world.tag_groups.values() if one.name == "来源")
    group.agent_id = 0
    before = [(one.source, one.source_id) for one in shop.rows(TagGround)]
    with shop.work() as work:
        tag = work.db.query(Tag).one()
        tags.rename(work, tag, "抖音来的") if wish == "rename" else tags.remove(work, tag)
    shop.catch_up()
    (kept,) = shop.rows(Tag)
    assert (kept.name, kept.deleted_at, kept.made_here) == ("抖音", None, False)
    assert [(one.source, one.source_id) for one in shop.rows(TagGround)] == before
    assert (names(shop), shown(shop, external)) == (["抖音"], ["抖音"])
    assert not tags.may_change(kept)


def test_a_tag_that_was_gone_already_when_we_wished_to_delete_it_is_gone_here(shop: Shop, external: str) -> None:
    with shop.world.unheard():
        shop.world.console_delete_tag(shop.rows(Tag)[0].wecom_id)
    with shop.work() as work:
        tags.remove(work, work.db.query(Tag).one())
    shop.catch_up()
    assert (names(shop), shop.rows(TagGround)) == ([], [])


def test_a_tag_that_was_never_at_wecom_is_changed_at_once(shop: Shop) -> None:
    with shop.work() as work:
        tag = tags.tag_named(work, "意向", "问价")
        tags.give(work, persons.person_of(work, "wm1"), tag, Ground("manual", "李四手动添加"))
        tags.rename(work, tag, "问过价")
        assert tags.remove(work, tag) == 1
    assert names(shop) == []


def test_while_tags_are_only_watched_those_at_wecom_are_left_alone(shop: Shop, external: str) -> None:
    with shop.db() as db, pytest.raises(ValueError, match="观察模式"):
        tags.remove(Work(db, shop.now(), watch=("tags",)), db.query(Tag).one())
    assert names(shop) == ["抖音"]
