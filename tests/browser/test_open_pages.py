"""Pages left open: figures go on by themselves, and nothing lies over what one writes."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from storage.tables import Relation
from tests.browser.conftest import Open, signed_in

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(browser: Browser, open_shop: Open) -> Iterator[Page]:
    yield from signed_in(browser, open_shop, viewport=PHONE, locale="zh-CN", reduced_motion="reduce")


def test_today_goes_on_by_itself_but_not_under_somebodys_hands(page: Page, open_shop: Open) -> None:
    shop = open_shop.counter.shop
    page.goto(open_shop.address)
    page.evaluate("window.stayed = true; document.querySelector('[data-fresh]').dataset.fresh = '1'")
    arrivals = page.locator(".figure-number").first
    before = int(arrivals.inner_text())
    page.keyboard.press("Tab")
    page.locator("main a").first.focus()
    page.keyboard.press("Tab")
    assert page.locator("main :focus-visible").count() == 1
    shop.world.scan(open_shop.counter.channel, name="小雨")
    shop.catch_up()
    page.wait_for_timeout(2500)
    assert int(arrivals.inner_text()) == before

    page.evaluate("document.activeElement.blur()")
    expect(arrivals).to_have_text(str(before + 1))
    assert page.evaluate("window.stayed")
    page.get_by_role("button", name="知道了").click()
    expect(page.locator("[data-about]")).to_have_count(0)


def test_the_bar_of_the_channel_form_lies_over_nothing(page: Page, open_shop: Open) -> None:
    page.goto(f"{open_shop.address}/channels/new")
    page.locator("#f-text").focus()
    boxes = [page.locator(one).bounding_box() for one in ("#f-text", ".bottom-bar", ".places")]
    welcome, bar, places = [box for box in boxes if box is not None]
    assert welcome["y"] + welcome["height"] <= min(bar["y"], places["y"])


def test_the_language_one_chose_stays(page: Page, open_shop: Open) -> None:
    page.goto(f"{open_shop.address}/?lang=en")
    page.locator(".me summary").click()
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name="今日")).to_be_visible()
    page.locator(".me summary").click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    page.goto(f"{open_shop.address}/customers")
    expect(page.get_by_role("heading", name="Customers", exact=True)).to_be_visible()


WIDER = "[...document.querySelectorAll('.table-box, main')].filter(box => box.scrollWidth > box.clientWidth + 1).length"
PAGES = ("/customers", "/operations/jobs", "/operations/events", "/operations/calls", "/settings", "/settings/users",
         "/settings/keys", "/welcomes")  # fmt: skip


@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_is_cut_off_at_the_width_of_a_phone(page: Page, open_shop: Open, language: str) -> None:
    with open_shop.counter.shop.db() as db:
        for relation in db.scalars(select(Relation)):
            relation.remark = "静安店 每周三来 喜欢埃塞俄比亚日晒 要发票"
    for path in PAGES:
        page.goto(f"{open_shop.address}{path}?lang={language}")
        assert page.evaluate(WIDER) == 0, path
    page.goto(f"{open_shop.address}/operations/jobs?lang={language}")
    name = page.locator("table.list td").first.bounding_box()
    assert name is not None
    assert name["width"] > 300


def test_the_tabs_of_a_group_are_all_in_sight_on_a_phone(page: Page, open_shop: Open) -> None:
    page.goto(f"{open_shop.address}/settings?lang=en")
    for tab in page.locator(".tabs a").all():
        box = tab.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE["width"]
