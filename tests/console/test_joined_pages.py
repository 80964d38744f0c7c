"""Who is one person, at the console: what waits is decided with a reason, parted with a preview, bound by a rep."""

from people import joining, persons
from people.joining import Given
from storage.tables import Identity, Interaction, PointsAccount, Relation, Review, ShopOrder
from tests.console.acting import Counter
from tests.console.test_side_door import come_in

PHONE = "13911112222"


def tell(fresh: Counter, person: int, *given: Given, source: str = "api") -> None:
    with fresh.shop.work() as work:
        joining.learn(work, person, given, source=source)


def member(fresh: Counter, *, verified: bool = True, orders: int = 2) -> int:
    """Somebody who is known at a till alone, by a number; the id of their anchor."""
    with fresh.shop.work() as work:
        place = joining.person_by(work, "phone", PHONE, verified=verified, source="pos", at=work.now)
        assert place is not None
        for number in range(orders):
            work.db.add(ShopOrder(source="pos", order_no=f"A{number}", person_id=place[0], anchor_id=place[1],
                                  paid_at=work.now, amount=1000, digest="d", received_at=work.now))  # fmt: skip
        return place[1]


def test_a_pair_that_waits_is_joined_with_a_reason_and_parted_with_a_preview(fresh: Counter) -> None:
    boss, his, hers = fresh.visitor("zhangsan"), fresh.people["lisi"], member(fresh)
    tell(fresh, his, Given("phone", PHONE, verified=False), source="remark")
    assert "有 1 对客户可能是同一人" in boss.get("/").text
    page = boss.get("/customers/same").text
    assert "139****2222" in page
    assert PHONE not in page
    (review,) = fresh.shop.rows(Review)
    assert boss.post(f"/customers/same/{review.id}/join", {"why": " "}).status_code == 422
    assert boss.post(f"/customers/same/{review.id}/join", {"why": "打电话问过"}).status_code == 303
    assert {one.person_id for one in fresh.shop.rows(ShopOrder)} == {his}
    assert boss.get(f"/customers/p_{hers}").headers["Location"].endswith(f"/customers/p_{his}")
    page = boss.get(f"/customers/p_{his}").text
    assert "已合并" in page
    assert f"/customers/p_{his}/separate/p_{hers}" in page
    assert "订单" in boss.get(f"/customers/p_{his}/separate/p_{hers}").text
    boss.post(f"/customers/p_{his}/separate/p_{hers}", {"why": "是她妈妈"})
    assert {one.person_id for one in fresh.shop.rows(ShopOrder)} == {hers}
    assert boss.get(f"/customers/p_{hers}").status_code == 200
    assert not [one for one in fresh.shop.rows(Review) if one.state == "open"]


def test_two_with_something_to_lose_need_two_people(fresh: Counter) -> None:
    his, hers = fresh.people["lisi"], member(fresh)
    with fresh.shop.work() as work:
        for person in (his, hers):
            work.db.add(PointsAccount(person_id=person, available=5000, made_at=work.now))
    tell(fresh, his, Given("phone", PHONE))
    (review,) = fresh.shop.rows(Review)
    assert (review.kind, review.why["reason"]) == ("guard", "guarded")
    boss, operator = fresh.visitor("zhangsan"), fresh.visitor("wangwu")
    boss.post(f"/customers/same/{review.id}/join", {"why": "本人在店里说的"})
    assert boss.post(f"/customers/same/{review.id}/join", {"why": "再来一次"}).status_code == 422
    assert {one.person_id for one in fresh.shop.rows(ShopOrder)} == {hers}
    assert operator.post(f"/customers/same/{review.id}/join", {"why": "核对过"}).status_code == 303
    assert {one.person_id for one in fresh.shop.rows(ShopOrder)} == {his}


def test_whoever_may_not_see_both_sees_no_pair(fresh: Counter) -> None:
    his, theirs = fresh.people["lisi"], fresh.people["sunqi"]
    for person in (his, theirs):
        tell(fresh, person, Given("phone", PHONE, verified=False), source="remark")
    (review,) = fresh.shop.rows(Review)
    manager = fresh.visitor("zhaoliu")
    assert "139****2222" not in manager.get("/customers/same").text
    assert manager.post(f"/customers/same/{review.id}/apart", {"why": "x"}).status_code == 404
    assert fresh.visitor("lisi").get("/customers/same").status_code == 404


def test_a_rep_binds_a_member_sees_their_orders_and_points_are_not_sure_yet(fresh: Counter) -> None:
    rep, his, hers = fresh.visitor("lisi"), fresh.people["lisi"], member(fresh)
    shown = rep.post(f"/customers/p_{his}/bind", {"phone": "139 1111 2222"}).text
    assert "2 笔订单" in shown
    assert "139****2222" in shown
    assert not [one for one in fresh.shop.rows(Identity) if one.person_id == his and one.type == "phone"]
    rep.post(f"/customers/p_{his}/bind", {"phone": PHONE, "sure": "1"})
    assert {one.person_id for one in fresh.shop.rows(ShopOrder)} == {his}
    with fresh.shop.work() as work:
        assert persons.anchors(work.db, his) == [his, hers]
        assert joining.confirmed(work.db, his) == {his}
        joining.learn(work, his, [Given("phone", PHONE)], source="api")  # the customer has confirmed
        assert joining.confirmed(work.db, his) == {his, hers}


def test_a_rep_does_not_get_a_colleagues_customer_by_their_number(fresh: Counter) -> None:
    rep, his, theirs = fresh.visitor("lisi"), fresh.people["lisi"], fresh.people["sunqi"]
    tell(fresh, theirs, Given("phone", PHONE))
    assert "别的成员" in rep.post(f"/customers/p_{his}/bind", {"phone": PHONE}).text
    rep.post(f"/customers/p_{his}/bind", {"phone": PHONE, "sure": "1"})
    assert {one.person_id for one in fresh.shop.rows(Relation) if one.userid == "sunqi"} == {theirs}
    assert [one.kind for one in fresh.shop.rows(Review)] == ["proposal"]
    assert not fresh.shop.rows(Interaction, Interaction.kind == "merged")


def test_beside_the_chat_a_rep_binds_a_member_in_two_taps(fresh: Counter) -> None:
    his = fresh.people["sunqi"]
    hers = member(fresh)
    (external,) = (one.external_userid for one in fresh.shop.rows(Relation) if one.person_id == his)
    visitor = fresh.stranger()
    name = come_in(fresh, visitor, "sunqi")
    asked = {"s": name, "external_userid": external, "phone": "139-1111-2222"}
    page = visitor.post("/sidebar/bind", asked)
    assert "2 笔订单" in page.text
    assert PHONE not in page.text.replace(f'value="{PHONE}"', "")
    assert "已绑定" in visitor.post("/sidebar/bind", {**asked, "sure": "1"}).text
    assert {one.person_id for one in fresh.shop.rows(ShopOrder)} == {his}
    assert "不像一个手机号" in visitor.post("/sidebar/bind", {**asked, "phone": "abc"}).text
    with fresh.shop.work() as work:
        assert joining.confirmed(work.db, his) == {his}
        assert hers in persons.anchors(work.db, his)
