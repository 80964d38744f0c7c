"""Points given from phone to phone and rewards got together on customers' own pages; and while a system is changed."""

import re
from typing import Any

import pytest

from console import gift_words
from loyalty import accounts, group_buys, reward_desk, rewards, takeover, transfers
from loyalty.group_buys import Terms
from loyalty.ledger import earn, history, standing
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from loyalty.reward_desk import Draft
from loyalty.transfers import Limits, Party
from people import joining, own_pages
from people.joining import Given
from storage.tables import AuditRow, Gift, GroupBuy, GroupSeat, PointsTxn, Redemption
from tests.console.own import Phone, award, nobody_has_asked, phone
from tests.journeys.test_own_page import bind, customer, member
from tests.shop import Shop

NUMBER, NOBODYS = "13922223333", "13944443333"
HIDDEN = re.compile(r'name="(?:csrf_token|key)" value="[^"]*"')
TROUBLE = re.compile(r'<p class="notice bad" role="alert">([^<]*)</p>')
KEY = re.compile(r'name="key" value="([^"]+)"')


@pytest.fixture(autouse=True)
def _own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_has_asked(monkeypatch)


def allow(shop: Shop, **facts: Any) -> None:
    with shop.work() as work:
        transfers.set_limits(work, Limits(**{"on": True, "new_days": 0, **facts}), by="boss")


def together(shop: Shop, **facts: Any) -> None:
    with shop.work() as work:
        group_buys.set_terms(work, Terms(**{"on": True, "seats": 2, "percent": 80, "hours": 24, **facts}), by="boss")


def put(shop: Shop, **facts: Any) -> int:
    with shop.work() as work:
        row = reward_desk.keep(work, Draft(**{"name": "马克杯", "points": 100, "stock": 5, **facts}), "boss")
        reward_desk.move(row, "go")
        return row.id


def come_in(shop: Shop, name: str, points: int = 200) -> Phone:
    """A customer with points who has signed in by WeChat."""
    who, external = customer(shop, name, f"u-{name}")
    if points:
        award(shop, who, points)
    mine = phone(shop, who)
    mine.by_wechat(shop, external)
    assert mine.inside
    return mine


def has_number(shop: Shop, mine: Phone, number: str = NUMBER) -> None:
    """A till knows for certain that it is theirs."""
    with shop.work() as work:
        found = own_pages.find(work.db, mine.path.rpartition("/")[2])
        assert found is not None
        joining.learn(work, found[0].person_id, [Given("phone", number)], source="pos-01", by="key:pos-01")


def give(mine: Phone, number: str, points: int = 50) -> str:
    """Both steps; the key of the form."""
    asked = mine.post("/gifts", {"phone": number, "points": str(points)})
    key = KEY.search(asked.text)
    assert key is not None, asked.text
    assert number in asked.text
    answer = mine.post("/gifts", {"phone": number, "points": str(points), "key": key[1], "sure": "1"})
    assert answer.status_code == 303, answer.text
    return key[1]


def seen(mine: Phone, more: str = "/gifts") -> str:
    """A page without what is new each time it is shown."""
    return HIDDEN.sub("", mine.get(more).text)


def test_points_go_to_a_number_and_are_accepted_once(shop: Shop) -> None:
    allow(shop)
    rain, zhe = come_in(shop, "小雨"), come_in(shop, "阿哲", 0)
    has_number(shop, zhe)
    key = give(rain, NUMBER)
    again = {"phone": NUMBER, "points": "50", "key": key, "sure": "1"}
    assert rain.post("/gifts", again).status_code == 303
    (gift,) = shop.rows(Gift)
    assert (gift.state, gift.named, gift.made_by) == ("open", "139****3333", "customer")
    page = rain.get("/gifts").text
    assert "139****3333" in page
    assert "等对方接收" in page
    assert "阿" not in page
    offered = zhe.get().text
    assert "来自 小**" in offered
    assert "小雨" not in offered
    assert zhe.post(f"/gifts/{gift.id}").status_code == 303
    assert [one.state for one in shop.rows(Gift)] == ["open"], "a form without a word decides nothing"
    for _ in range(2):
        assert zhe.post(f"/gifts/{gift.id}", {"do": "accept"}).status_code == 303
    assert "已接收 50 分" in zhe.get().text
    assert ">50 分<" in zhe.get().text
    assert "对方已接收" in rain.get("/gifts").text
    assert [one.kind for one in shop.rows(PointsTxn) if one.kind == "transfer"] == ["transfer"]
    assert "已经有结果了" in zhe.post(f"/gifts/{gift.id}", {"do": "decline"}, follow_redirects=True).text
    assert "没有这份积分" in rain.post(f"/gifts/{gift.id}", {"do": "accept"}, follow_redirects=True).text
    assert "能送的积分不够：现在能送 0 分，还差 10 分" in give_refused(zhe, NOBODYS, 10), (
        "what was received cannot be given on"
    )
    assert {one.action for one in shop.rows(AuditRow)} >= {"gift.give", "gift.accept"}


def give_refused(mine: Phone, number: str, points: int) -> str:
    """Said before the question is asked, and again where it is passed by."""
    form = {"phone": number, "points": str(points)}
    asked, sure = mine.post("/gifts", form), mine.post("/gifts", {**form, "key": "k", "sure": "1"})
    assert (asked.status_code, sure.status_code) == (422, 422)
    (words,) = TROUBLE.findall(asked.text)
    assert TROUBLE.findall(sure.text) == [words]
    return str(words)


def test_whoever_gives_is_never_told_whose_number_it_is_nor_whether_it_is_anybodys(shop: Shop) -> None:
    """The same page to the letter, at every step, until somebody accepts; also where nobody need accept else."""
    allow(shop, accept=False)
    rain, sun = come_in(shop, "小雨"), come_in(shop, "小阳")
    has_number(shop, come_in(shop, "阿哲", 0))
    told = []
    for mine, number in ((rain, NUMBER), (sun, NOBODYS)):
        steps = [seen(mine)]
        asked = mine.post("/gifts", {"phone": number, "points": "50"})
        key = KEY.search(asked.text)
        assert key is not None
        steps.append(HIDDEN.sub("", asked.text))
        answer = mine.post("/gifts", {"phone": number, "points": "50", "key": key[1], "sure": "1"})
        steps += [str(answer.status_code), seen(mine), seen(mine, ""), give_refused(mine, number, 500)]
        told.append([HIDDEN.sub("", one).replace(mine.path, "/me/x").replace(number, "N") for one in steps])
    for one, other in zip(*told, strict=True):
        assert re.sub("小雨|小阳", "", one) == re.sub("小雨|小阳", "", other)
    shop.advance(hours=72)
    assert "gifts: 2" in shop.run("let go of rewards")["let go of rewards"]
    assert {one.state for one in shop.rows(Gift)} == {"released"}


def test_a_program_of_the_shop_is_somebody_of_the_shop_to_a_customer(shop: Shop) -> None:
    allow(shop, accept=False)
    rain, zhe = come_in(shop, "小雨"), come_in(shop, "阿哲", 0)
    with shop.work() as work:
        parties = []
        for mine in (rain, zhe):
            found = own_pages.find(work.db, mine.path.rpartition("/")[2])
            assert found is not None
            owner = found[0].person_id
            parties.append(Party([owner], [accounts.open_account(work, owner)]))
        transfers.give(work, *parties, 50, "k", by="key:试用")
    assert beside(rain.get().text, "送出积分") == ["送给 阿** · 店员"]
    assert beside(zhe.get().text, "收到别人送的积分") == ["来自 小** · 店员"]


def test_what_is_declined_is_gone_for_the_one_and_comes_back_to_the_other_when_its_time_is_over(shop: Shop) -> None:
    allow(shop)
    rain, zhe = come_in(shop, "小雨"), come_in(shop, "阿哲", 0)
    has_number(shop, zhe)
    give(rain, NUMBER)
    (gift,) = shop.rows(Gift)
    before = [seen(rain), seen(rain)][1]  # without the banner that it was sent
    answer = zhe.post(f"/gifts/{gift.id}", {"do": "decline"}, follow_redirects=True).text
    assert "没有接收，到时间积分会退回给对方" in answer
    assert "来自 小**" not in answer
    assert seen(rain) == before, "whoever gave sees nothing of it"
    shop.advance(hours=71)
    shop.run("let go of rewards")
    assert [one.state for one in shop.rows(Gift)] == ["open"]
    shop.advance(hours=1)
    shop.run("let go of rewards")
    assert [one.state for one in shop.rows(Gift)] == ["declined"]
    with shop.work() as work:
        assert standing.standing(work.db, [gift.sender_id], work.now).available == 200


def beside(page: str, title: str) -> list[str]:
    """What stands beside a title in somebody's history."""
    return re.findall(rf"<span>{title}<small>([^<]*)</small>", page)


def test_a_gift_says_from_and_to_whom_as_far_as_each_may_know(shop: Shop) -> None:
    allow(shop)
    rain, zhe = come_in(shop, "小雨"), come_in(shop, "阿哲", 0)
    has_number(shop, zhe)
    give(rain, NUMBER)
    give(rain, "13955554444")
    (gift, nobodys) = shop.rows(Gift)
    both = ["送给 139****3333", "送给 139****4444"]
    assert sorted(beside(rain.get().text, "送出积分，等对方接收")) == both
    zhe.post(f"/gifts/{gift.id}", {"do": "accept"})
    assert beside(zhe.get().text, "收到别人送的积分") == ["来自 小**"]
    assert beside(rain.get().text, "对方接收了送出的 50 分") == ["接收的是 139****3333"]
    assert "阿" not in rain.get().text
    assert beside(rain.get(lang="en").text, "The 50 points given were accepted") == ["accepted by 139****3333"]
    rain.get(lang="zh")
    shop.advance(hours=73)
    shop.run("let go of rewards")
    with shop.db() as db:
        happened, _ = history.page(db, [gift.sender_id], limit=50)
        names = {gift.sender_id: "小雨", gift.receiver_id: "阿哲"}
        seen, hidden = (
            {
                tuple(one)
                for one in gift_words.lines(db, happened, [gift.sender_id], lambda _ids: names, hidden=only).values()
            }
            for only in (False, True)
        )
    assert ("送出的积分没有接收，退回", "原来要送给 139****4444") in seen & hidden
    assert ("对方接收了送出的 50 分", "接收的是 阿哲") in seen - hidden
    assert nobodys.receiver_id is None


def test_of_what_can_be_used_the_page_says_how_much_can_be_given(shop: Shop) -> None:
    allow(shop, day=5_000)
    rain, zhe = come_in(shop, "小雨", 2_000), come_in(shop, "阿哲", 1_446)
    assert "你现在能用 1,446 分，今天还能送 5,000 分" in zhe.get("/gifts").text
    has_number(shop, zhe)
    give(rain, NUMBER)
    (gift,) = shop.rows(Gift)
    zhe.post(f"/gifts/{gift.id}", {"do": "accept"})
    assert "你现在能用 1,496 分，其中能送 1,446 分" in zhe.get("/gifts").text
    assert "现在能送 1,446 分，还差 34 分" in give_refused(zhe, NOBODYS, 1_480)


def test_from_the_question_one_goes_back_to_what_was_typed(shop: Shop) -> None:
    allow(shop)
    rain = come_in(shop, "小雨")
    asked = rain.post("/gifts", {"phone": NUMBER, "points": "50"}).text
    assert "送出后还剩 150 分" in asked
    assert "返回修改" in asked
    back = rain.post("/gifts", {"phone": NUMBER, "points": "50", "change": "1"})
    assert (back.status_code, TROUBLE.findall(back.text)) == (200, [])
    assert f'value="{NUMBER}"' in back.text
    assert 'value="50"' in back.text
    assert shop.rows(Gift) == []


def test_whoever_cannot_pay_alone_is_led_to_where_they_can_together(shop: Shop) -> None:
    mug = put(shop, points=250)
    gift = put(shop, name="券", points=250, kind="coupon")
    rain, link = come_in(shop, "小雨"), f"/rewards/{mug}"
    assert link not in rain.get().text
    together(shop)
    page = rain.get().text
    assert link in page
    assert "还差 50 分" in page
    assert "拼团每人 200 分" in page
    assert f"/rewards/{gift}" not in page, "a coupon is nobody's together"
    together(shop, percent=81)
    assert link not in rain.get().text
    assert "拼团每人" not in rain.get().text


def test_before_a_seat_is_taken_it_says_that_there_is_no_way_out(shop: Shop) -> None:
    together(shop)
    mug = put(shop)
    rain, zhe = come_in(shop, "小雨"), come_in(shop, "阿哲")
    assert "开团后积分预留 24 小时，不能中途退出；没拼满自动退回" in rain.get(f"/rewards/{mug}").text
    rain.post(f"/rewards/{mug}/group", {"key": "k"})
    (group,) = shop.rows(GroupBuy)
    words = r"参加后积分预留到 \d+月\d+日 \d\d:\d\d，不能中途退出；没拼满自动退回"
    assert re.search(words, zhe.get(f"/groups/{group.code}").text)
    assert not re.search(words, rain.get(f"/groups/{group.code}").text), "they are in it"


@pytest.mark.parametrize("wrong", ["139123456", "12345678901", "021-55556666", "+8613922223333x", "1392222333344"])
def test_a_gift_goes_to_what_can_be_a_mobile_number_only(shop: Shop, wrong: str) -> None:
    allow(shop)
    assert "大陆手机号是 11 位" in give_refused(come_in(shop, "小雨"), wrong, 5)


def test_what_was_sent_under_a_form_is_not_sent_to_another_number_with_it(shop: Shop) -> None:
    allow(shop)
    rain = come_in(shop, "小雨")
    key = give(rain, NUMBER)
    other = f"{NUMBER[:3]}0000{NUMBER[-4:]}"
    answer = rain.post("/gifts", {"phone": other, "points": "50", "key": key, "sure": "1"})
    assert answer.status_code == 422
    assert "这张表单已经用过了" in answer.text
    assert len(shop.rows(Gift)) == 1


def test_a_form_that_was_used_for_another_reward_says_so(shop: Shop) -> None:
    together(shop)
    rain, mug, cup = come_in(shop, "小雨", 500), put(shop), put(shop, name="杯垫")
    for path in (f"/rewards/{mug}/group", f"/rewards/{mug}"):
        assert rain.post(path, {"key": "k"}).status_code == 303
        assert "这张表单已经用过了" in rain.post(path.replace(str(mug), str(cup)), {"key": "k"}).text
    assert (len(shop.rows(GroupBuy)), len(shop.rows(Redemption))) == (1, 1)


def test_every_refusal_says_the_fact(shop: Shop) -> None:
    rain = come_in(shop, "小雨")
    has_number(shop, rain, NUMBER)
    assert "送积分给朋友" not in rain.get().text
    assert "店里现在不能转赠积分" in rain.get("/gifts").text
    assert "店里现在不能转赠积分" in give_refused(rain, NOBODYS, 5)
    allow(shop, day=30)
    assert "送积分给朋友" in rain.get().text
    assert "一天最多送 30 分，今天还能送 30 分" in give_refused(rain, NOBODYS, 31)
    assert "现在能送 200 分，还差 99,799 分" in give_refused(rain, NOBODYS, 99_999), "another day would not help"
    assert "这是你自己的手机号" in give_refused(rain, NUMBER, 5)
    allow(shop)
    assert "现在能送 200 分，还差 1 分" in give_refused(rain, NOBODYS, 201)
    allow(shop, new_days=30)
    assert re.search(r"刚成为会员，\d+月\d+日 \d\d:\d\d 以后才能送积分", give_refused(rain, NOBODYS, 5))
    for wrong in (
        {"phone": NUMBER, "points": "0"},
        {"phone": NUMBER, "points": "-5"},
        {"phone": NUMBER, "points": "x"},
    ):
        answer = rain.post("/gifts", wrong)
        assert (answer.status_code, "写一个大于 0 的整数" in answer.text) == (422, True)
    assert shop.rows(Gift) == []


def test_a_group_is_begun_found_by_its_code_filled_and_picked_up(shop: Shop) -> None:
    together(shop)
    mug = put(shop)
    rain, zhe = come_in(shop, "小雨"), come_in(shop, "阿哲")
    page = rain.get(f"/rewards/{mug}").text
    assert "每人只要 80 分" in page
    key = KEY.findall(page)[-1]
    first, again = (rain.post(f"/rewards/{mug}/group", {"key": key}) for _ in range(2))
    assert first.location == again.location
    (group,) = shop.rows(GroupBuy)
    mine = rain.client.get(first.location).text
    assert f"{group.code[:4]}-{group.code[4:]}" in mine
    assert f"/me/g/{group.code}" in mine
    assert "2 人中已有 1 人" in mine
    front = zhe.client.get(f"/me/g/{group.code.lower()}").text
    assert "每人 80 分" in front
    assert "小" not in front.replace("小时", "")
    found = zhe.get("/groups", code=f"{group.code[:4]} {group.code[4:]}")
    assert found.location.endswith(f"/groups/{group.code}")
    theirs = zhe.client.get(found.location).text
    assert "<span>小**</span>" in theirs
    assert "小雨" not in theirs
    assert "什么也不扣" in theirs
    for _ in range(2):
        assert zhe.post(f"/groups/{group.code}").status_code == 303
    assert [one.state for one in shop.rows(GroupSeat)] == ["captured", "captured"]
    assert [one.points for one in shop.rows(Redemption)] == [80, 80]
    assert {one.actor for one in shop.rows(PointsTxn) if one.kind == "capture"} == {"group"}
    for who in (rain, zhe):
        assert beside(who.get().text, "用掉预留的") == ["拼团 · 马克杯 · 拼满了，自动"]
        done = who.get(f"/groups/{group.code}").text
        assert "已成团" in done
        assert "看领取码" in done
        (shown,) = re.findall(r"/redemptions/\d+", done)
        assert re.search(r"最后一天 (\d+年)?\d+月\d+日：到店", who.get(shown).text)
        assert "马克杯" in who.get().text
    sun = come_in(shop, "小阳")
    assert "这个团已经结束了" in sun.post(f"/groups/{group.code}").text
    assert "这个团已经结束了" in sun.client.get(f"/me/g/{group.code}").text


def test_a_group_that_is_not_full_at_its_deadline_costs_nothing(shop: Shop) -> None:
    together(shop)
    mug = put(shop)
    who, external = customer(shop, "小雨", "u-rain")
    award(shop, who, 200)
    rain = phone(shop, who)
    rain.by_wechat(shop, external)
    rain.post(f"/rewards/{mug}/group", {"key": "k"})
    assert ">120 分<" in rain.get().text
    shop.advance(minutes=20)
    shop.advance(hours=24)
    shop.run("let go of rewards")
    (group,) = shop.rows(GroupBuy)
    assert group.state == "failed"
    rain.by_wechat(shop, external)
    for page in (rain.get().text, rain.get(f"/groups/{group.code}").text):
        assert "要 2 人，当时有 1 人" in page
    with shop.work() as work:
        own = [one.account_id for one in shop.rows(GroupSeat)]
        assert standing.standing(work.db, own, work.now).available == 200


def test_a_group_that_was_sent_by_wechat_is_where_one_arrives(shop: Shop) -> None:
    together(shop)
    mug = put(shop)
    come_in(shop, "小雨").post(f"/rewards/{mug}/group", {"key": "k"})
    (group,) = shop.rows(GroupBuy)
    _who, external = customer(shop, "阿哲", "u-zhe")
    browser = shop.app.test_client()
    asked = browser.get(f"/me/go?group={group.code}")
    state = re.search(r"state=(\w+)", asked.location)
    assert state is not None
    code = shop.world.sign_in.give_code(external, False, "snsapi_userinfo")
    landed = browser.get(f"/me/wechat?code={code}&state={state[1]}")
    assert landed.location.endswith(f"/groups/{group.code}")
    assert "参加" in browser.get(landed.location).text or "能用的积分不够" in browser.get(landed.location).text


@pytest.mark.parametrize("typed", ["", "ABCD-2345", "%00", "../x", "482913"])
def test_a_code_that_is_no_groups_leads_nowhere(shop: Shop, typed: str) -> None:
    together(shop)
    rain = come_in(shop, "小雨")
    assert "没有这个团" in rain.client.get(f"{rain.path}/groups?code={typed}", follow_redirects=True).text
    if "/" not in typed and typed:
        assert rain.client.get(f"/me/g/{typed}").status_code == 404


def test_the_page_shows_what_redeeming_would_say(shop: Shop) -> None:
    """A limit is the whole person's, also where what is joined only by a rep's word does not pay."""
    older = member(shop, 500)
    mug = put(shop, points=10, per_person=1)
    till = phone(shop, older)
    who, external = customer(shop)
    award(shop, who, 20)
    with shop.work() as work:
        rewards.redeem(work, [older], accounts.accounts_of(work.db, [older]), mug, "till")
    bind(shop, who)
    mine = phone(shop, who)
    mine.by_wechat(shop, external)
    words = "每人最多 1 份，你已经换满了"
    assert words in mine.get().text
    assert words in mine.get(f"/rewards/{mug}").text
    assert words in mine.post(f"/rewards/{mug}", {"key": "k"}).text
    assert len(shop.rows(Redemption)) == 1
    assert till.path != mine.path


def test_points_for_something_else_do_not_pay_and_the_page_knows(shop: Shop) -> None:
    mug, cup = put(shop, points=100), put(shop, name="杯垫", points=100)
    who, external = customer(shop)
    with shop.work() as work:
        grant = Grant(150, work.now, None, "marketing", uses={"rewards": [cup]})
        own = accounts.open_account(work, who)
        earn.award(work, own, [grant], About("award", "u", work.now, "rules", source="order:pos-01:1"))
    mine = phone(shop, who)
    mine.by_wechat(shop, external)
    words = "现在有 0 分，还差 100 分"
    assert words in mine.get(f"/rewards/{mug}").text
    assert words in mine.post(f"/rewards/{mug}", {"key": "k"}).text
    assert "确认兑换" in mine.get(f"/rewards/{cup}").text


def test_while_a_system_is_changed_the_page_says_which_books_count(shop: Shop) -> None:
    allow(shop)
    together(shop)
    mug = put(shop, points=10)
    rain = come_in(shop, "小雨")
    bare = phone(shop, customer(shop, "阿哲", "u-zhe")[0])
    assert "正在换积分系统" not in rain.get().text + bare.get().text
    with shop.work() as work:
        takeover.begin(work, takeover.BALANCES, actor="test")
    for page in (rain.get().text, bare.get().text):
        assert "现在算数的还是原来的积分系统" in page
        assert "不能兑换、转赠和拼团" in page
    words = "正在换积分系统，这里还不能用积分"
    assert words in rain.get(f"/rewards/{mug}").text
    assert "确认兑换" not in rain.get(f"/rewards/{mug}").text
    assert words in rain.post(f"/rewards/{mug}", {"key": "k"}).text
    assert words in rain.post(f"/rewards/{mug}/group", {"key": "k"}).text
    assert words in rain.get("/gifts").text
    assert words in give_refused(rain, NOBODYS, 5)
    assert shop.rows(Gift) == shop.rows(GroupBuy) == shop.rows(Redemption) == []
