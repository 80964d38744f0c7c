"""What a mass message carries, at the last moment before the call: brought again, waited for, or given up."""

from datetime import timedelta

from outreach import contents, mass
from outreach.mass import Content
from storage.tables import MassTask, Media, OutboxRow, Person, Touch
from tagging import pictures
from tests.shop import TINY_PNG, Shop

IMAGE = {"kind": "image", "media": 1}


def test_what_wecom_has_forgotten_is_brought_again_and_waited_for(shop: Shop) -> None:
    with shop.work() as work:
        pictures.keep(work, TINY_PNG)
    shop.catch_up()
    with shop.work() as work:
        ready = contents.ready(work, [IMAGE])
    assert [one["msgtype"] for one in ready.attachments] == ["image"]
    shop.advance(days=4)
    with shop.work() as work:
        assert contents.ready(work, [IMAGE]).waits
    shop.catch_up()
    with shop.work() as work:
        again = contents.ready(work, [IMAGE])
    assert again.attachments[0]["image"]["media_id"] != ready.attachments[0]["image"]["media_id"]
    assert [one.name for one in shop.rows(OutboxRow, OutboxRow.name == "UploadMedia")] == ["UploadMedia"] * 2


def test_a_task_waits_for_its_picture_and_is_refused_with_wecoms_reason_when_it_is_not_taken(shop: Shop) -> None:
    with shop.work() as work:
        pictures.keep(work, TINY_PNG)
        person = Person(name="小雨", owner="lisi", first_seen_at=work.now, last_seen_at=work.now)
        work.db.add(person)
        work.db.flush()
        held = {"state": "held", "at": work.now, "day": work.now.date(), "arm": "a"}
        work.db.add(Touch(source="broadcast:1", person_id=person.id, userid="lisi", external_userid="wm1", **held))
        task = mass.cut(work, "broadcast:1", {"a": Content("你好", (IMAGE,))}, work.now)
        assert task is not None
        number = task.id
        work.db.get_one(Media, 1).media_id = None
    with shop.work() as work:
        task = work.db.get_one(MassTask, number)
        task.chat_ids, task.audience = ["wr1"], "groups"  # the same for both, without a relation to look at
        assert not mass.ask(work, number, shop.parts.rules)
        assert (task.state, task.due_at) == ("planned", work.now + timedelta(minutes=1))
        work.db.get_one(Media, 1).trouble = "图片违规"
        assert not mass.ask(work, number, shop.parts.rules)
    (over,) = shop.rows(MassTask)
    assert (over.state, over.outcome) == ("refused", "企业微信没有接受图片：图片违规")
    assert [one.state for one in shop.rows(Touch)] == ["refused"]
