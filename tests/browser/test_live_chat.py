"""An open chat shows what comes in while somebody writes, and keeps what they have typed."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Open, signed_in
from tests.handlers.kf_desk import KfDesk, open_desk


@pytest.fixture
def page(browser: Browser, open_shop: Open) -> Iterator[Page]:
    yield from signed_in(browser, open_shop)


@pytest.fixture
def desk(open_shop: Open) -> KfDesk:
    desk = open_desk(open_shop.counter.shop)
    desk.enter("小雨")
    desk.say("在吗")
    return desk


def test_new_words_appear_beside_a_half_written_reply(page: Page, open_shop: Open, desk: KfDesk) -> None:
    page.goto(f"{open_shop.address}/chats/{desk.chat().id}")
    page.fill("#reply", "稍等，我去看看")
    desk.say("周末有手冲课吗")
    expect(page.get_by_text("周末有手冲课吗")).to_be_visible(timeout=15_000)
    assert page.input_value("#reply") == "稍等，我去看看"
    page.click("text=发送")
    expect(page.locator(".chat-line.out").get_by_text("稍等，我去看看")).to_be_visible()
    desk.shop.catch_up()
    assert desk.replies() == ["稍等，我去看看"]


def test_the_list_waits_while_somebody_types_a_search_and_goes_on_after(
    page: Page, open_shop: Open, desk: KfDesk
) -> None:
    page.goto(f"{open_shop.address}/chats")
    page.fill("input[name=q]", "手冲")
    desk.say("新的一句")
    page.wait_for_timeout(7_000)
    assert page.input_value("input[name=q]") == "手冲"
    page.fill("input[name=q]", "")
    page.locator("h1").click()
    expect(page.get_by_text("新的一句")).to_be_visible(timeout=15_000)
