"""The segment editor in a real browser: conditions come and go, the count follows, at the width of a phone too."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Open, signed_in

PHONE = {"width": 390, "height": 844}
WIDER = "[...document.querySelectorAll('.table-box, main')].filter(box => box.scrollWidth > box.clientWidth + 1).length"


@pytest.fixture
def page(browser: Browser, open_shop: Open) -> Iterator[Page]:
    yield from signed_in(browser, open_shop, viewport=PHONE, locale="zh-CN", reduced_motion="reduce")


def test_a_segment_is_written_counted_and_kept(page: Page, open_shop: Open) -> None:
    page.goto(f"{open_shop.address}/segments/new")
    number = page.locator(".counted-number")
    expect(number).to_have_text("5")
    page.get_by_label("加一个条件").select_option("channel")
    expect(page.locator("#count")).to_contain_text("还没有写完")
    page.locator(".pick summary").click()
    page.locator(".pick label").first.click()
    expect(page.locator(".pick summary")).to_have_text("抖音直播间")
    expect(number).to_have_text("5")
    page.keyboard.press("Escape")
    page.get_by_label("这组条件怎样算").select_option("none")
    expect(number).to_have_text("0")
    page.get_by_label("加一个条件").select_option("last_talk_days")
    expect(page.locator(".condition")).to_have_count(2)
    page.get_by_label("怎样算").last.select_option("between")
    expect(page.get_by_label("从哪天")).to_be_visible()
    expect(page.get_by_label("天数")).to_be_hidden()
    page.get_by_label("去掉这个条件").last.click()
    expect(page.locator(".condition")).to_have_count(1)
    assert page.evaluate(WIDER) == 0
    page.get_by_label("名称", exact=True).fill("不是抖音来的")
    page.get_by_role("button", name="保存", exact=True).last.click()
    expect(page.get_by_role("heading", name="不是抖音来的")).to_be_visible()
    assert page.evaluate(WIDER) == 0


@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_is_cut_off_at_the_width_of_a_phone(page: Page, open_shop: Open, language: str) -> None:
    for path in ("/segments", "/segments/new", "/segments/life-cycle"):
        page.goto(f"{open_shop.address}{path}?lang={language}")
        assert page.evaluate(WIDER) == 0, path
        here = page.locator(".places ul a[aria-current]").bounding_box()
        assert here is not None
        assert 0 <= here["x"] <= PHONE["width"] - here["width"]
