"""The journey editor in a real browser: steps come and go, the phone follows, at the width of a phone too."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Open, signed_in

PHONE = {"width": 390, "height": 844}
WIDER = "[...document.querySelectorAll('.table-box, main')].filter(box => box.scrollWidth > box.clientWidth + 1).length"


@pytest.fixture
def page(browser: Browser, open_shop: Open) -> Iterator[Page]:
    yield from signed_in(browser, open_shop, viewport=PHONE, locale="zh-CN", reduced_motion="reduce")


def test_a_journey_is_written_published_and_fits_the_phone_in_both_languages(page: Page, open_shop: Open) -> None:
    page.goto(f"{open_shop.address}/journeys/new")
    page.get_by_label("名称", exact=True).fill("新客回访")
    expect(page.get_by_label("哪个分层")).to_be_hidden()
    for kind, place in (("wait", None), ("send", None), ("task", "0")):
        page.get_by_label("加什么步骤").select_option(kind)
        if place is not None:
            page.get_by_label("加在哪里").select_option(place)
        page.get_by_role("button", name="加一步").click()
        expect(page.locator(".step-card > details[open] > summary").first).to_be_focused()
    assert page.locator(".step-brief").all_inner_texts() == ["给成员记待办", "等一段时间：3 天 10:00", "对客户说"]
    page.get_by_role("button", name="去掉这一步").first.click()
    page.locator(".step-card summary").nth(1).click()
    page.get_by_label("说什么", exact=True).fill("你好 {name}")
    expect(page.locator("#phone .bubble")).to_have_text("你好 小雨")
    assert page.evaluate(WIDER) == 0
    page.get_by_role("button", name="存为草稿").click()
    page.get_by_role("button", name="发布第 1 版").click()
    expect(page.locator(".status-line")).to_contain_text("进行中")
    for language in ("zh", "en"):
        for path in ("/journeys", "/journeys/1", "/journeys/1/dry-run", "/journeys/new?like=1"):
            page.goto(f"{open_shop.address}{path}{'&' if '?' in path else '?'}lang={language}")
            assert page.evaluate(WIDER) == 0, (path, language)
