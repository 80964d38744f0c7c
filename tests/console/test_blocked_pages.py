"""Identities that name nobody, at the console: blocked and released with a reason, after what would be was said."""

from people import joining
from people.joining import Given
from storage.tables import BlockedValue, Person, Review
from tests.console.acting import Counter, Visitor
from tests.console.test_joined_pages import PHONE, member, tell

SHOPS = {"type": "phone", "value": "139 1111 2222"}


def blocked(fresh: Counter, boss: Visitor, **more: str) -> int:
    """The shop's telephone is blocked; the number of its row."""
    boss.post("/customers/blocked", {**SHOPS, "sure": "1", "why": "柜台座机", **more})
    (row,) = fresh.shop.rows(BlockedValue)
    return int(row.id)


def heads(fresh: Counter) -> dict[int, int]:
    return {one.id: one.merged_into or one.id for one in fresh.shop.rows(Person)}


def test_a_number_is_blocked_after_a_look_and_whom_it_alone_joined_part(fresh: Counter) -> None:
    boss, his, hers = fresh.visitor("zhangsan"), fresh.people["lisi"], member(fresh)
    tell(fresh, his, Given("phone", PHONE))
    assert heads(fresh)[hers] == his
    shown = boss.post("/customers/blocked", SHOPS)
    assert shown.status_code == 200
    assert "拆成 2 位" in shown.text
    assert "139****2222" in shown.text
    assert not fresh.shop.rows(BlockedValue)
    assert heads(fresh)[hers] == his
    assert boss.post("/customers/blocked", {**SHOPS, "sure": "1", "why": " "}).status_code == 422
    blocked(fresh, boss)
    assert heads(fresh)[hers] == hers
    page = boss.get("/customers/blocked").text
    for words in ("139****2222", "柜台座机"):
        assert page.count(words) == 2, "in the list and in its history"
    assert PHONE not in page
    with fresh.shop.work() as work:
        assert joining.person_by(work, "phone", PHONE, verified=True, source="pos", at=work.now) is None
    (line,) = fresh.audit("identity.block")
    assert PHONE not in str((line.subject, line.details))


def test_a_customer_s_page_marks_what_is_blocked_and_says_why_they_parted(fresh: Counter) -> None:
    boss, his, hers = fresh.visitor("zhangsan"), fresh.people["lisi"], member(fresh)
    tell(fresh, his, Given("phone", PHONE))
    assert "停用的身份，不算数" not in boss.get(f"/customers/p_{his}").text
    blocked(fresh, boss)
    for number in (his, hers):
        page = boss.get(f"/customers/p_{number}").text
        assert "停用的身份，不算数" in page.split("<h2>身份</h2>")[1]
        assert "店里停用了相同的手机：139****2222" in page
        assert PHONE not in page


def test_a_number_that_only_other_systems_know_is_the_customer_s_number(fresh: Counter) -> None:
    boss, his = fresh.visitor("zhangsan"), fresh.people["lisi"]
    with fresh.shop.work() as work:
        work.db.get_one(Person, his).phone = None
    assert "没有手机号" in boss.get(f"/customers/p_{his}").text
    tell(fresh, his, Given("phone", PHONE))
    page = boss.get(f"/customers/p_{his}").text
    assert "没有手机号" not in page
    assert "139****2222" in page.split("</header>")[0]
    assert PHONE in boss.post(f"/customers/p_{his}/phone").text.split("</header>")[0]
    assert fresh.visitor("lisi").post(f"/customers/p_{his}/phone").status_code == 404


def test_before_it_is_released_it_is_said_who_becomes_one(fresh: Counter) -> None:
    boss, his, hers = fresh.visitor("zhangsan"), fresh.people["lisi"], member(fresh)
    row = blocked(fresh, boss)
    tell(fresh, his, Given("phone", PHONE))
    assert heads(fresh)[hers] == hers
    page = boss.get(f"/customers/blocked/{row}").text
    assert "1 组客户会各自合成一位" in page
    assert f'href="/customers/p_{hers}"' in page
    assert boss.post(f"/customers/blocked/{row}", {"why": ""}).status_code == 422
    assert boss.post(f"/customers/blocked/{row}", {"why": "号码已经是他的了"}).status_code == 303
    assert (heads(fresh)[hers], fresh.shop.rows(BlockedValue)) == (his, [])
    assert "号码已经是他的了" in boss.get("/customers/blocked").text
    assert boss.post(f"/customers/blocked/{row}", {"why": "再来一次"}).status_code == 404


def test_a_hint_and_two_with_something_to_lose_wait_for_somebody(fresh: Counter) -> None:
    boss, his = fresh.visitor("zhangsan"), fresh.people["lisi"]
    row = blocked(fresh, boss)
    for rep in ("lisi", "sunqi"):
        tell(fresh, fresh.people[rep], Given("phone", PHONE, verified=False), source="remark")
    page = boss.get(f"/customers/blocked/{row}").text
    assert "没有客户会因此合并或拆开" in page
    assert "1 对客户会到“是不是同一位”等人决定" in page
    boss.post(f"/customers/blocked/{row}", {"why": "试试"})
    assert [(one.kind, one.state) for one in fresh.shop.rows(Review)] == [("proposal", "open")]
    assert heads(fresh)[his] == his


def test_what_too_many_have_is_listed_with_its_rule(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    for rep in fresh.people:
        tell(fresh, fresh.people[rep], Given("phone", PHONE, verified=False), source="remark")
    assert "没有被超过 5 位客户共用的身份" in boss.get("/customers/blocked?by=rule").text
    member(fresh, orders=0)
    page = boss.get("/customers/blocked?by=rule").text
    assert "规则：超过 5 位客户共用" in page
    assert "139****2222" in page


def test_what_cannot_be_blocked_is_said(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    blocked(fresh, boss)
    for type_, value, words in (
        ("phone", PHONE, "已经停用了"),
        ("phone", "13800138000", "本来就不算数"),
        ("phone", "abc", "不像一个手机号"),
        ("external_userid", "wm1", "请选一种身份"),
    ):
        answer = boss.post("/customers/blocked", {"type": type_, "value": value, "sure": "1", "why": "x"})
        assert (answer.status_code, words in answer.text) == (422, True), words
    assert len(fresh.shop.rows(BlockedValue)) == 1


def test_operators_look_and_only_a_boss_blocks(fresh: Counter) -> None:
    row = blocked(fresh, fresh.visitor("zhangsan"))
    operator, manager = fresh.visitor("wangwu"), fresh.visitor("zhaoliu")
    assert "139****2222" in operator.get("/customers/blocked").text
    assert '<button class="btn btn-primary">' not in operator.get(f"/customers/blocked/{row}").text
    assert operator.post(f"/customers/blocked/{row}", {"why": "x"}).status_code == 404
    assert manager.get("/customers/blocked").status_code == 404
    assert manager.post("/customers/blocked", SHOPS).status_code == 404
