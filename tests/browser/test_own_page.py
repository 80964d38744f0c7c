"""A customer's own page on a real phone: no script, no word cut off, light and dark, and it opens by itself."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from loyalty import group_buys, reward_desk, transfers
from loyalty.group_buys import Terms
from loyalty.reward_desk import Draft
from loyalty.transfers import Limits
from people import own_pages
from storage.tables import Person
from tests.browser.conftest import Open
from tests.console.own import address_of, award

PHONE = {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 640}


@pytest.fixture(params=["light", "dark"])
def phone(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    own = browser.new_context(
        viewport=PHONE, color_scheme=request.param, locale="zh-CN", java_script_enabled=False, has_touch=True
    )
    yield own.new_page()
    own.close()


def fits(page: Page) -> None:
    """Nothing is wider than the screen, and whatever is tapped is large enough for a finger."""
    for size in (PHONE, NARROW):
        page.set_viewport_size(size)
        main = page.locator("main").bounding_box()
        assert main is not None
        assert main["x"] >= 0
        assert main["x"] + main["width"] <= size["width"]
        for one in page.locator("main section, main button, main a").all():
            box = one.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= size["width"] + 1
    page.set_viewport_size(PHONE)
    for one in page.locator("main button, main a.button").all():
        box = one.bounding_box()
        assert box is not None
        assert box["height"] >= 40


def test_the_page_opens_by_itself_once_its_code_is_confirmed(open_shop: Open, phone: Page) -> None:
    shop, who = open_shop.counter.shop, open_shop.counter.people["lisi"]
    award(shop, who, 137, days=40)
    phone.goto(open_shop.address + address_of(shop, who))
    expect(phone.locator(".number")).to_have_text("1** 分")
    fits(phone)
    phone.get_by_role("button", name="出示确认码").click()
    expect(phone.locator(".digits")).to_be_visible()
    fits(phone)
    digits = phone.locator(".digits").inner_text().replace(" ", "")
    with shop.work() as work:
        assert own_pages.confirm(work, digits, by="wangwu") is not None
    expect(phone.get_by_role("button", name="出示会员码")).to_be_visible(timeout=15_000)
    expect(phone.locator(".number")).to_have_text("137 分")
    fits(phone)
    phone.get_by_role("button", name="出示会员码").click()
    expect(phone.locator(".code img")).to_be_visible()
    assert phone.locator(".code img").bounding_box()["width"] >= 200  # type: ignore[index]
    fits(phone)
    phone.get_by_role("link", name="我的积分").click()
    phone.get_by_role("button", name="退出").click()
    expect(phone.locator(".number")).to_have_text("1** 分")
    phone.get_by_role("button", name="不再接收店里的消息").click()
    expect(phone.get_by_role("button", name="重新接收店里的消息")).to_be_visible()
    phone.get_by_role("button", name="重新接收店里的消息").click()
    expect(phone.get_by_role("button", name="不再接收店里的消息")).to_be_visible()


def test_points_are_given_and_a_group_is_begun_with_a_thumb(open_shop: Open, phone: Page) -> None:
    shop, who = open_shop.counter.shop, open_shop.counter.people["sunqi"]
    award(shop, who, 500)
    with shop.work() as work:
        transfers.set_limits(work, Limits(on=True, new_days=0), by="boss")
        group_buys.set_terms(work, Terms(on=True), by="boss")
        reward = reward_desk.keep(
            work, Draft(name="一个名字长得两行也写不完的手冲咖啡壶和滤杯套装", points=100, stock=9), "boss"
        )
        reward_desk.move(reward, "go")
        page = own_pages.find(work.db, own_pages.address(work, work.db.get_one(Person, who)).rpartition("/")[2])
        assert page is not None
        cookie = own_pages.come_in(work, page[0], by=own_pages.WECHAT)
    path = address_of(shop, who)
    phone.context.add_cookies([{"name": "me", "value": cookie, "url": open_shop.address + path}])
    phone.goto(open_shop.address + path)
    fits(phone)
    phone.get_by_role("link", name="送积分给朋友").click()
    phone.get_by_label("对方的手机号").fill("139 5555 6666")
    phone.get_by_label("送多少分").fill("50")
    fits(phone)
    phone.get_by_role("button", name="下一步").click()
    expect(phone.get_by_text("13955556666")).to_be_visible()
    fits(phone)
    phone.get_by_role("button", name="确认送出").click()
    expect(phone.get_by_text("139****6666").first).to_be_visible()
    phone.get_by_role("link", name="我的积分").click()
    phone.get_by_role("link", name="一个名字").first.click()
    fits(phone)
    phone.get_by_role("button", name="开团").click()
    expect(phone.get_by_text("3 人中已有 1 人")).to_be_visible()
    fits(phone)
    phone.goto(phone.locator(".address").inner_text().replace("http://127.0.0.1:8000", open_shop.address))
    fits(phone)


def test_a_hostile_name_is_only_a_name(open_shop: Open, browser: Browser) -> None:
    shop, who = open_shop.counter.shop, open_shop.counter.people["wangwu"]
    with shop.db() as db:
        db.get_one(Person, who).name = "<img src=x onerror=alert(1)>"
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    seen: list[str] = []
    page.on("dialog", lambda one: seen.append(one.message))
    page.on("console", lambda one: seen.append(one.text))
    page.goto(open_shop.address + address_of(shop, who))
    expect(page.locator(".who")).to_have_text("<**")
    assert seen == []
    context.close()
