"""A scan becomes a known, tagged, welcomed customer."""

from storage.tables import Interaction, Interval, Person, PersonTag, Relation, RelationTag, Welcome
from tests.shop import Shop, event_xml


def test_a_scan_becomes_a_known_tagged_welcomed_customer(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, name="小雨", userid="lisi")
    shop.catch_up()

    assert [sent.text for sent in shop.world.sent] == ["你好 小雨，我是李四，欢迎来到抖音直播间"]
    (person,) = shop.rows(Person)
    assert (person.name, person.owner) == ("小雨", "lisi")
    (relation,) = shop.rows(Relation)
    assert (relation.state, relation.channel_id, relation.userid) == ("active", channel.id, "lisi")
    (tag,) = shop.rows(PersonTag)
    assert tag.because == "扫描渠道码“抖音直播间”添加了李四"
    assert [row.at_wecom for row in shop.rows(RelationTag)] == ["done"]
    assert [welcome.outcome for welcome in shop.rows(Welcome)] == ["sent"]
    assert {line.kind for line in shop.rows(Interaction)} == {"added", "welcomed"}
    marks = [call.body for call in shop.world.calls_to("externalcontact/mark_tag")]
    assert [mark["external_userid"] for mark in marks] == [arrival.external_userid]


def test_an_event_delivered_three_times_welcomes_once(shop: Shop) -> None:
    channel = shop.channel()
    arrival = shop.world.scan(channel.code)
    for event in list(shop.world.events):
        shop.deliverer.redeliver(event.id)
        shop.deliverer.redeliver(event.id)
    shop.catch_up()

    assert len(shop.world.sent) == 1
    assert len(shop.rows(Interval)) == 1
    assert len(shop.world.calls_to("externalcontact/mark_tag")) == 1
    assert arrival.external_userid


def test_a_nickname_with_dollars_and_braces_is_harmless(shop: Shop) -> None:
    channel = shop.channel()
    shop.world.scan(channel.code, name="$1 {rep} {{7*7}} {0}", userid="lisi")
    shop.catch_up()
    assert shop.world.sent[0].text == "你好 $1 {rep} {{7*7}} {0}，我是李四，欢迎来到抖音直播间"
    assert event_xml()
