"""A broadcast in a real browser: written, looked at before, approved by somebody else, and what became of it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from insight import segments
from tests.browser.conftest import Open

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WIDER = "[...document.querySelectorAll('.table-box, main')].filter(box => box.scrollWidth > box.clientWidth + 1).length"


def page_of(browser: Browser, shop: Open, userid: str, viewport: dict[str, int]) -> Page:
    """A page on which this user is signed in."""
    own = browser.new_context(viewport=viewport, locale="zh-CN", reduced_motion="reduce")  # type: ignore[arg-type]
    cookie = shop.counter.visitor(userid).client.get_cookie("scrm")
    assert cookie is not None
    own.add_cookies([{"name": "scrm", "value": cookie.value, "url": shop.address}])
    return own.new_page()


@pytest.fixture
def maker(browser: Browser, open_shop: Open) -> Iterator[Page]:
    page = page_of(browser, open_shop, "wangwu", DESK)
    yield page
    page.context.close()


@pytest.fixture
def checker(browser: Browser, open_shop: Open) -> Iterator[Page]:
    """Somebody else, on the way, with a phone."""
    page = page_of(browser, open_shop, "zhangsan", PHONE)
    yield page
    page.context.close()


@pytest.fixture
def segment(open_shop: Open, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everybody: five people, which is more than one may reach alone."""
    monkeypatch.setitem(
        open_shop.counter.shop.app.extensions, "rules", replace(open_shop.counter.shop.parts.rules, second_above=2)
    )
    with open_shop.counter.shop.work() as work:
        return segments.create(work, "全部老客", {"all": []}, by="wangwu").name


def run(open_shop: Open, rounds: int = 4) -> None:
    for _ in range(rounds):
        open_shop.counter.shop.advance(seconds=30)
        open_shop.counter.shop.tick()


def test_from_the_first_word_to_what_each_rep_made_of_it(
    maker: Page, checker: Page, open_shop: Open, segment: str
) -> None:
    maker.goto(f"{open_shop.address}/broadcasts")
    maker.get_by_role("link", name="新建群发").click()
    maker.get_by_label("名称", exact=True).fill("会员日")
    maker.get_by_label("分层", exact=True).select_option(label=segment)
    maker.get_by_label("文字", exact=True).fill("周五会员日，{name}")
    expect(maker.locator("#c-text")).to_have_text("24 / 4,000 字节")
    expect(maker.locator(".bubble")).to_have_text("周五会员日，{name}")
    expect(maker.get_by_label("时间", exact=True)).to_be_hidden()
    maker.get_by_label("到一个时间").check()
    expect(maker.get_by_label("时间", exact=True)).to_be_visible()
    maker.get_by_label("批准后尽快").check()
    save = maker.get_by_role("button", name="保存，看谁会收到")
    save.click()
    expect(maker.locator("#e-text")).to_contain_text("企业微信没有占位符")
    maker.get_by_label("文字", exact=True).fill("周五会员日，全场八折。")
    maker.get_by_role("button", name="插入").first.click()
    expect(maker.locator(".bubble")).to_have_text("周五会员日，全场八折。王五")
    save.click()

    expect(maker.get_by_text("草稿：还没有提交")).to_be_visible()
    expect(maker.locator(".figure", has_text="会收到").locator(".figure-number")).to_have_text("5")
    maker.get_by_role("button", name="提交：5 人会收到").click()
    expect(maker.get_by_text("要另一位同事批准才会开始")).to_be_visible()
    expect(maker.get_by_role("button", name="批准")).to_have_count(0)

    checker.goto(f"{open_shop.address}/broadcasts")
    assert checker.evaluate(WIDER) == 0
    checker.get_by_role("link", name="会员日").first.click()
    assert checker.evaluate(WIDER) == 0
    checker.get_by_role("button", name="批准：5 人会收到").click()
    expect(checker.get_by_text("已批准", exact=True)).to_be_visible()

    run(open_shop)
    world = open_shop.counter.shop.world
    (errand,) = world.mass_todos("lisi")
    world.confirm_mass("lisi", errand.msgid)
    run(open_shop, 8)
    maker.reload()
    row = maker.locator("tr", has_text="李四")
    expect(row).to_contain_text("已确认")
    expect(row).to_contain_text("1 / 1")
    expect(maker.locator("tr", has_text="孙七")).to_contain_text("还没有确认")
    expect(maker.get_by_role("button", name="提醒没确认的 4 位")).to_be_visible()
    assert maker.evaluate(WIDER) == 0
    checker.reload()
    assert checker.evaluate(WIDER) == 0
    maker.once("dialog", lambda dialog: dialog.accept())
    maker.get_by_role("button", name="停止", exact=True).click()
    expect(maker.get_by_text("已经发出的 1 份收不回来", exact=False).first).to_be_visible()


def test_a_second_wording_has_a_phone_of_its_own_and_an_attachment_a_row(maker: Page, open_shop: Open) -> None:
    maker.goto(f"{open_shop.address}/broadcasts/new")
    maker.get_by_label("文字", exact=True).fill("第一种说法")
    maker.locator("summary", has_text="比较效果").click()
    maker.get_by_label("第二种文字（可不填）").fill("第二种说法")
    expect(maker.locator(".phone")).to_have_count(2)
    maker.get_by_role("button", name="加链接").click()
    maker.get_by_label("标题").fill("菜单")
    expect(maker.locator(".sent-card")).to_have_count(2)
    expect(maker.get_by_label("文字", exact=True)).to_have_value("第一种说法")
