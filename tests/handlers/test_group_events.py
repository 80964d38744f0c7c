"""Customer groups, told by events: who is in them, and what of that belongs to somebody's story."""

from datetime import timedelta

from storage.tables import GroupChat, GroupMember, InboxRow, Interaction, Person
from tests.scheduler.syncing import sync
from tests.shop import Shop, event_xml


def settle(shop: Shop) -> None:
    """WeCom writes groups down asynchronously: two seconds later all is handled."""
    shop.advance(seconds=2)
    shop.catch_up()


def known(shop: Shop, *names: str) -> list[str]:
    """Customers of lisi."""
    found = [shop.world.add_by_phone("lisi", name).external_userid for name in names]
    shop.catch_up()
    return found


def stays(shop: Shop) -> dict[str, bool]:
    """Who was ever in a group, and whether they are now."""
    return {one.name: one.left_at is None for one in shop.rows(GroupMember)}


def story(shop: Shop) -> list[tuple[str, str]]:
    rows = shop.rows(Interaction, Interaction.kind.in_(("group_joined", "group_left")))
    names = {one.id: one.name for one in shop.rows(Person)}
    return [(names[one.person_id], one.kind) for one in rows]


def test_a_new_group_is_kept_with_its_members(shop: Shop) -> None:
    (external,) = known(shop, "小雨")
    chat = shop.world.open_group("lisi", "豆友群", [external])
    settle(shop)
    (kept,) = shop.rows(GroupChat)
    assert (kept.chat_id, kept.name, kept.owner, kept.version) == (chat.chat_id, "豆友群", "lisi", chat.version)
    assert stays(shop) == {"李四": True, "小雨": True}
    (line,) = shop.rows(Interaction, Interaction.kind == "group_joined")
    assert line.details == {"chat_id": chat.chat_id, "name": "豆友群", "scene": 1}
    assert line.userid == "lisi"


def test_a_group_event_waits_until_wecom_can_tell_the_same(shop: Shop) -> None:
    shop.world.open_group("lisi", "豆友群")
    shop.catch_up()
    waiting = [one for one in shop.rows(InboxRow) if one.state == "waiting"]
    assert [one.due_at - one.received_at for one in waiting] == [timedelta(seconds=2)]
    assert shop.world.calls_to("externalcontact/groupchat/get") == []
    settle(shop)
    assert len(shop.rows(GroupChat)) == 1


def test_several_who_join_together_and_one_who_leaves_are_told_each_once(shop: Shop) -> None:
    people = known(shop, "小雨", "阿哲", "林夕")
    chat = shop.world.open_group("lisi", "豆友群")
    settle(shop)
    shop.advance(minutes=5)
    shop.world.join_group(chat.chat_id, people, scene=3)
    settle(shop)
    shop.advance(minutes=5)
    shop.world.leave_group(chat.chat_id, [people[1]], scene=1)
    settle(shop)
    assert stays(shop) == {"李四": True, "小雨": True, "阿哲": False, "林夕": True}
    assert sorted(story(shop)) == [
        ("小雨", "group_joined"),
        ("林夕", "group_joined"),
        ("阿哲", "group_joined"),
        ("阿哲", "group_left"),
    ]
    (left,) = shop.rows(Interaction, Interaction.kind == "group_left")
    assert left.details["scene"] == 1
    assert sync(shop).different == 0
    assert len(story(shop)) == 4


def test_who_joins_again_has_stayed_twice(shop: Shop) -> None:
    (external,) = known(shop, "小雨")
    chat = shop.world.open_group("lisi", "豆友群", [external])
    settle(shop)
    for act in (shop.world.leave_group, shop.world.join_group):
        shop.advance(minutes=5)
        act(chat.chat_id, [external])
        settle(shop)
    assert [kind for _, kind in story(shop)] == ["group_joined", "group_left", "group_joined"]
    assert len(shop.rows(GroupMember, GroupMember.member == external)) == 2


def test_a_stranger_in_a_group_is_no_person_until_they_become_one(shop: Shop) -> None:
    stranger = shop.world.new_customer("路人").external_userid
    chat = shop.world.open_group("lisi", "豆友群", [stranger])
    settle(shop)
    assert stays(shop)["路人"]
    assert shop.rows(Person) == []
    shop.advance(minutes=5)
    shop.world.leave_group(chat.chat_id, [stranger])
    settle(shop)
    shop.world.add_by_phone("lisi", external_userid=stranger)
    shop.catch_up()
    assert story(shop) == [("路人", "group_joined"), ("路人", "group_left")]


def test_another_name_another_owner_and_the_end(shop: Shop) -> None:
    (external,) = known(shop, "小雨")
    chat = shop.world.open_group("lisi", "豆友群", [external])
    shop.world.rename_group(chat.chat_id, "手冲群")
    shop.world.give_group(chat.chat_id, "wangwu")
    settle(shop)
    (kept,) = shop.rows(GroupChat)
    assert (kept.name, kept.owner) == ("手冲群", "wangwu")
    shop.advance(minutes=5)
    shop.world.dismiss_group(chat.chat_id)
    shop.catch_up()
    (kept,) = shop.rows(GroupChat)
    assert kept.dismissed_at is not None
    assert set(stays(shop).values()) == {False}
    assert story(shop)[-1] == ("小雨", "group_left")
    assert sync(shop).different == 0


def test_an_event_about_a_group_that_is_gone_by_now_does_no_harm(shop: Shop) -> None:
    chat = shop.world.open_group("lisi", "豆友群")
    shop.world.dismiss_group(chat.chat_id)
    settle(shop)
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    assert shop.rows(GroupChat) == []


def test_an_event_of_a_group_without_its_id_is_kept(shop: Shop) -> None:
    shop.post(event_xml("change_external_chat", ChangeType="update", CreateTime="1"))
    settle(shop)
    assert [one.outcome for one in shop.rows(InboxRow)] == ["kept: no step follows this event"]


def test_a_group_event_that_wecom_refuses_to_explain_is_done(shop: Shop) -> None:
    shop.world.fail_next("externalcontact/groupchat/get", 60011)
    shop.world.open_group("lisi", "豆友群")
    settle(shop)
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}
    assert sync(shop).of("groups").fixed == 1
