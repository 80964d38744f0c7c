"""Who was joined has their tags at WeCom on every relation, and loses them there again when they part."""

from people import joining, persons
from people.joining import Given
from storage.tables import Person, RelationTag
from tests.shop import Shop


def test_tags_reach_the_relations_that_joined_and_leave_those_that_parted(shop: Shop) -> None:
    channel = shop.channel()
    tagged = shop.world.scan(channel.code, name="小雨", userid="lisi").external_userid
    other = shop.world.add_by_phone("zhangsan", "小雨二号").external_userid
    shop.catch_up()
    assert shown(shop, "lisi", tagged) == 1
    with shop.work() as work:
        first, second = (persons.person_of(work, one) for one in (tagged, other))
        for one in (first, second):
            joining.learn(work, one, [Given("phone", "13911112222")], source="api")
    shop.run("tag who was joined")
    assert shown(shop, "zhangsan", other) == 1
    with shop.work() as work:
        joining.cut(work, second.id, by="boss", why="两个人")
    shop.run("tag who was joined")
    assert shown(shop, "zhangsan", other) == 0
    assert shown(shop, "lisi", tagged) == 1
    assert all(one.at_wecom == "done" for one in shop.rows(RelationTag))
    assert len(shop.rows(Person, Person.merged_into.is_(None))) == 2


def shown(shop: Shop, userid: str, external: str) -> int:
    """How many corp tags WeCom shows this rep on this customer."""
    return len(shop.world.relation(userid, external).tag_ids)
