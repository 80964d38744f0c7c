"""Who hears of a broadcast among ourselves: the leaders of stores, and whoever tries it out."""

from outreach import telling, trying
from storage.tables import Broadcast, Department, Material, Member, TrackedLink
from tests.shop import Shop


def test_a_store_without_a_leader_belongs_to_the_one_above_it(shop: Shop) -> None:
    with shop.db() as db:
        db.query(Department).delete()
        db.add(Department(id=1, name="总部", parent_id=0, leaders=["zhangsan"]))
        db.add(Department(id=2, name="东区", parent_id=1, leaders=["wangwu"]))
        db.add(Department(id=3, name="静安店", parent_id=2, leaders=[]))
        for userid, number in (("lisi", 3), ("wangwu", 2), ("sunqi", 3)):
            db.get_one(Member, userid).departments = [1, number]
        db.flush()
        stores = telling.unconfirmed(db, [("lisi", "李四"), ("sunqi", "孙七"), ("wangwu", "王五"), ("gone", "走了")])
    assert [(one.name, one.leaders, one.reps) for one in stores] == [
        ("", (), ("走了",)),
        ("东区", (), ("王五",)),
        ("静安店", ("wangwu",), ("李四", "孙七")),
    ]


def test_a_long_text_comes_in_pieces_that_a_message_takes_and_nothing_is_lost() -> None:
    text = "第一行\n" + "字" * 1200 + "\n最后"
    found = list(trying.pieces(text))
    assert "".join(found) == text
    assert all(0 < len(one.encode()) <= 2048 for one in found)
    assert list(trying.pieces("")) == []


def test_a_try_shows_both_wordings_with_links_as_where_they_lead(shop: Shop) -> None:
    with shop.work() as work:
        made = {"made_at": work.now, "changed_at": work.now}
        menu = Material(kind="link", name="菜单", contents=[{"name": "a", "url": "https://shop.example/menu"}], **made)
        work.db.add(menu)
        work.db.flush()
        texts = (f"看菜单 {{link:{menu.id}}} {{rep}}", "第二种说法")
        told = [{"arm": arm, "text": text, "attachments": []} for arm, text in zip("ab", texts, strict=True)]
        broadcast = Broadcast(name="会员日", contents=told, made_by="lisi", **made)
        work.db.add(broadcast)
        work.db.flush()
        assert trying.try_out(work, broadcast, "lisi") == 5
    shop.catch_up()
    seen = [one.content["content"] for one in shop.world.app_messages.values() if one.userid == "lisi"]
    assert seen[1:] == ["第 1 种文字：", "看菜单 https://shop.example/menu 李四", "第 2 种文字：", "第二种说法"]
    assert shop.rows(TrackedLink) == []
