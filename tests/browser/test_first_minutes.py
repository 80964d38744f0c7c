"""A newcomer's first minutes, in a real browser: a customer in the sandbox, welcomed, then found in the console."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, expect

OPEN_WITHIN_LINES = 40


@dataclass
class Demo:
    """Where a running demo is to be opened."""

    link: str
    sandbox: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def demo() -> Iterator[Demo]:
    command = [sys.executable, "-m", "bot", "--log-level", "ERROR", "demo", "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        for _ in range(OPEN_WITHIN_LINES):
            said += process.stdout.readline()
            link = re.search(r"Open: +(http://\S+)", said)
            sandbox = re.search(r"yourself: +(http://\S+)", said)
            if link and sandbox:
                break
        else:
            raise AssertionError(f"the demo did not say where to open it: {said}")
        yield Demo(link[1], sandbox[1])
        process.terminate()
        process.stdout.read()
        assert process.wait(20) == 0


def test_a_newcomer_scans_is_welcomed_and_finds_themselves(browser: Browser, demo: Demo) -> None:
    expect.set_options(timeout=20_000)  # what is looked at is that it comes, not how fast a busy machine is
    context = browser.new_context(locale="zh-CN")
    customer = context.new_page()
    customer.goto(demo.sandbox)
    customer.fill("#new-name", "路人甲")
    customer.press("#new-name", "Enter")
    expect(customer.locator("#customer option:checked")).to_have_text("路人甲")
    customer.locator("#ways").get_by_text("门店桌贴").first.wait_for()
    poster = customer.locator("#ways > *", has_text="门店桌贴").first
    poster.locator("button").first.click()
    welcome = customer.locator("#customer-screen").get_by_text("你好 路人甲，我是豆子咖啡的")
    expect(welcome.first).to_be_visible(timeout=60_000)

    phone = customer.locator("#customer-notice")
    expect(phone).to_have_text(re.compile("^已添加 (李四|王五)$"))
    poster.locator("button").first.click()
    poster.locator("button").first.click()
    expect(phone).to_have_text(re.compile("^你和 (李四|王五) 已经是好友了$"))
    expect(customer.locator("#rep-screen .facts dd").first).to_contain_text("门店桌贴")
    customer.get_by_role("button", name="删除该成员").click()
    expect(customer.locator("#customer-screen .chat-head .state")).to_have_text("你删除了对方")
    expect(customer.locator("#rep-screen .chat-head .state")).to_have_text("已被客户删除")

    asking = customer.locator("#ways > *", has_text="企业团购").first
    asking.locator("button").click()
    expect(phone).to_have_text(re.compile("^申请已发给 (赵六|孙七)，等对方通过$"))
    customer.locator("#rep-screen").get_by_role("button", name="通过").first.click()
    expect(customer.locator("#customer-screen").get_by_text("谢谢你想到豆子咖啡").first).to_be_visible(timeout=60_000)
    expect(customer.get_by_role("link", name="控制台")).to_have_attribute("href", demo.link.partition("sign-in")[0])

    boss = context.new_page()
    boss.goto(demo.link)
    boss.locator("main form button.btn-primary").click()
    expect(boss.get_by_role("heading", name="今日")).to_be_visible()
    expect(boss.locator(".chart .past .up-number")).not_to_have_count(0)
    expect(boss.locator(".places > .to-sandbox")).to_have_attribute("href", f"{demo.sandbox}?lang=zh")
    found = boss.locator("table").get_by_role("link", name="路人甲").first
    for _ in range(60):  # the demo's two weeks of past may still be on their way into the books
        boss.goto(demo.link.partition("/sign-in")[0] + "/customers?q=路人甲")
        if found.count():
            break
        boss.wait_for_timeout(500)
    found.click()
    expect(boss.get_by_role("heading", name="路人甲")).to_be_visible()
    story = boss.locator("main")
    expect(story.get_by_text("门店桌贴").first).to_be_visible()
    expect(story.get_by_text("你好 路人甲，我是豆子咖啡的").first).to_be_visible()
    context.close()
