"""A channel code from its making to its end, and who it leads to meanwhile."""

from datetime import UTC, datetime

import pytest

from storage.tables import Channel, Interval, OutboxRow, Welcome
from tagging import channels
from tagging.channels import Draft, Invalid
from tests.shop import Shop, event_xml
from wecom.errors import Refused

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xdc\xccY\xe7\x00\x00\x00\x00IEND\xaeB`\x82"
)


def users_at_wecom(shop: Shop, channel: Channel) -> tuple[str, ...]:
    return tuple(shop.world.contact_ways[channel.config_id].users)


def kept(shop: Shop, channel: Channel) -> Channel:
    (row,) = shop.rows(Channel, Channel.id == channel.id)
    return row


def test_making_a_code_asks_wecom_and_keeps_its_qr_picture(shop: Shop) -> None:
    channel = kept(shop, shop.channel())
    assert channel.qr_code.startswith("http")
    assert channel.trouble is None
    way = shop.world.contact_ways[channel.config_id]
    assert (way.state, way.users) == (channel.code, ("zhangsan", "lisi"))


def test_what_wecom_refuses_leaves_nothing_behind(shop: Shop) -> None:
    shop.world.fail_next("externalcontact/add_contact_way", 41045)
    with pytest.raises(Refused):
        shop.channel()
    assert shop.rows(Channel) == []


def test_a_leaver_is_taken_off_every_code_at_once(shop: Shop) -> None:
    channel = shop.channel(members=("lisi", "wangwu"), spare=("zhangsan",))
    alone = shop.channel(name="只有李四", members=("lisi",), spare=("zhangsan",))
    shop.world.dismiss_member("lisi")
    shop.catch_up()
    assert users_at_wecom(shop, channel) == ("wangwu",)
    assert users_at_wecom(shop, alone) == ("zhangsan",)


def test_a_code_that_nobody_can_answer_is_flagged(shop: Shop) -> None:
    channel = shop.channel(members=("lisi",))
    shop.world.dismiss_member("lisi")
    shop.catch_up()
    assert "没有" in kept(shop, channel).trouble


def test_the_daily_cap_leads_the_code_to_others_and_midnight_leads_it_back(shop: Shop) -> None:
    channel = shop.channel(members=("lisi",), spare=("wangwu",), daily_cap=2)
    for number in range(2):
        shop.world.scan(channel.code, name=f"第{number}位")
        shop.catch_up()
    assert users_at_wecom(shop, channel) == ("wangwu",)
    shop.clock.advance(7 * 3600)  # from 18:00 to 01:00 of the next day
    shop.tick()
    assert users_at_wecom(shop, channel) == ("lisi",)


def test_the_timetable_is_kept_by_the_minute_and_only_changes_are_sent(shop: Shop) -> None:
    day = {"days": [1, 2, 3, 4, 5, 6, 7], "from": "09:00", "to": "20:00", "members": ["lisi"]}
    channel = shop.channel(members=("lisi",), spare=("wangwu",), timetable=(day,))
    assert users_at_wecom(shop, channel) == ("lisi",)
    shop.advance(minutes=1)
    shop.tick()
    assert shop.world.calls_to("externalcontact/update_contact_way") == []
    shop.advance(hours=2)
    shop.tick()
    assert users_at_wecom(shop, channel) == ("wangwu",)


def test_stopping_needs_a_spare_and_keeps_the_printed_code_alive(shop: Shop) -> None:
    channel = shop.channel(members=("lisi",), spare=("wangwu",))
    with shop.work() as work:
        channels.stop(work, work.db.get_one(Channel, channel.id))
    shop.catch_up()
    assert users_at_wecom(shop, channel) == ("wangwu",)
    arrival = shop.world.scan(channel.code, name="迟到的客人")
    shop.catch_up()
    assert arrival.userid == "wangwu"
    assert len(shop.world.sent) == 1
    lonely = shop.channel(name="没有备用", members=("lisi",))
    with pytest.raises(Invalid, match="备用"), shop.work() as work:
        channels.stop(work, work.db.get_one(Channel, lonely.id))


def test_a_deleted_codes_state_never_loses_the_customer(shop: Shop) -> None:
    channel = shop.channel()
    with shop.work() as work:
        channels.delete(work, work.db.get_one(Channel, channel.id))
    shop.catch_up()
    assert channel.config_id not in shop.world.contact_ways
    late = event_xml(
        ChangeType="add_external_contact",
        UserID="lisi",
        ExternalUserID="wmlate",
        State=channel.code,
        CreateTime=str(int(shop.clock.now())),
    )
    assert shop.post(late) == 200
    shop.catch_up()
    (interval,) = shop.rows(Interval)
    assert interval.channel_id == channel.id


def test_a_picture_is_uploaded_ahead_and_kept_fresh(shop: Shop) -> None:
    from storage.tables import Media

    with shop.work() as work:
        media = Media(
            digest="0" * 64,
            file_name="a.png",
            content_type="image/png",
            size=len(PNG),
            content=PNG,
            created_at=work.now,
        )
        work.db.add(media)
        work.db.flush()
        media_id = media.id
    shop.world.scan(shop.channel(attachments=({"kind": "image", "media": media_id},)).code)
    shop.catch_up()
    (first,) = shop.rows(Media)
    assert first.trouble is None
    assert shop.world.sent[0].attachments[0]["image"]["media_id"] == first.media_id
    shop.advance(hours=61)
    shop.tick()
    (again,) = shop.rows(Media)
    assert again.media_id != first.media_id
    assert again.uploaded_at > first.uploaded_at


def test_watch_mode_shows_what_it_would_do_and_writes_nothing(database_url: str) -> None:
    from tests.shop import build_shop, close_shop

    shop = build_shop(database_url, watch=("welcome", "tags"))
    shop.open_for_business()
    channel = shop.channel()
    shop.world.scan(channel.code, name="小雨")
    shop.catch_up()
    assert shop.world.sent == []
    assert shop.world.calls_to("externalcontact/mark_tag") == []
    assert shop.world.calls_to("externalcontact/add_corp_tag") == []
    assert [one.outcome for one in shop.rows(Welcome)] == ["watched"]
    assert {one.name for one in shop.rows(OutboxRow, OutboxRow.state == "watched")} == {"SendWelcome", "AddCorpTag"}
    close_shop(shop)


def test_bad_drafts_name_every_field_at_once(shop: Shop) -> None:
    draft = Draft(name="", members=("nobody",), text="{nickname} hi", daily_cap=0, tags=(("", "x"),))
    with pytest.raises(Invalid) as refused, shop.work() as work:
        channels.create(work, draft, by="boss")
    assert {field for field, _ in refused.value.problems} == {"name", "members", "welcome", "daily_cap", "tags"}
    assert datetime.fromtimestamp(shop.clock.now(), UTC) == shop.now()
