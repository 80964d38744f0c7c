"""Takes the pictures of README and docs from a running demo: ``python -m tests.browser.screenshots docs/screenshots``.

Each at desktop and phone width; the phone ones in the dark.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conftest import ARGUMENTS, CHROMIUM

DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
BUSY_SECONDS, COMPARED_SECONDS = 30, 120
FORM = {"name": "咖啡节摊位", "text": "你好 {name}，我是{rep}。咖啡节见到你很高兴，凭这条消息到店换一杯手冲。"}
PAGES = {
    "chats": ("/chats", ""),
    "chat": ("/chats", ".chat-row a.row-link"),
    "rules": ("/rules", ""),
    "rule": ("/rules", "main table a.row-link:text('问价')"),
    "rule-form": ("/rules/new", ""),
    "tags": ("/tags", ""),
    "sync": ("/operations/comparing", "main table a.row-link"),
    "bulk": ("/customers/bulk", ""),
    "segments": ("/segments", ""),
    "day": ("/day?rep=lisi", ""),
    "journeys": ("/journeys", ""),
    "journey": ("/journeys", "main table a.row-link"),
    "broadcasts": ("/broadcasts", ""),
    "broadcast": ("/broadcasts", "main table a.row-link"),
    "broadcast-form": ("/broadcasts/new", ""),
    "materials": ("/materials", ""),
    "calendar": ("/calendar", ""),
    "journey-form": ("/journeys/new?like=1", ""),
    "orders": ("/orders", ""),
    "order": ("/orders", "main table a.row-link"),
    "points": ("/points", ""),
    "points-of": ("/points", "main table a.row-link"),
    "earning": ("/points/rules", ""),
    "rewards": ("/points/rewards", ""),
    "counter": ("/counter", ""),
    "tiers": ("/tiers", ""),
    "approvals": ("/approvals", ""),
    "liability": ("/points/liability", ""),
    "joined": ("/customers/same", ""),
}
"""Further pages: where they are, and the row on them to open, if any."""


def main() -> None:
    """Start the demo, let some customers come, take the pictures, end it."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bot", "--log-level", "ERROR", "demo", "--port", "8950"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo, sync_playwright() as playwright:
        assert demo.stdout is not None
        said = ""
        while "Ask it from another" not in said:
            said += demo.stdout.readline()
        link = re.search(r"Open: +(http://\S+)", said)[1]
        sandbox = re.search(r"yourself: +(http://\S+)", said)[1]
        time.sleep(BUSY_SECONDS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            take(browser, link, sandbox, folder)
        finally:
            browser.close()
            demo.terminate()


def take(browser: Browser, link: str, sandbox: str, folder: Path) -> None:
    """Sign in once, then every page at both widths."""
    desk = browser.new_context(viewport=DESKTOP, color_scheme="light", locale="zh-CN")
    page = desk.new_page()
    page.goto(link)
    page.locator("main form button.btn-primary").click()
    page.wait_for_load_state()
    phone = browser.new_context(
        viewport=PHONE, color_scheme="dark", locale="zh-CN", device_scale_factor=2, storage_state=desk.storage_state()
    )
    home = link.partition("/sign-in")[0]
    page.goto(home + "/operations/comparing")
    page.locator("main form button").first.click()  # compare now: there is a report to show
    for _ in range(COMPARED_SECONDS // 5):
        page.wait_for_timeout(5000)
        page.goto(home + "/operations/comparing")
        if page.locator(PAGES["sync"][1]).count():
            break
    for context, suffix in ((desk, ""), (phone, "-phone")):
        pages(context, home, sandbox, folder, suffix)


def pages(context: BrowserContext, home: str, sandbox: str, folder: Path, suffix: str) -> None:
    """Every page at one width."""
    page = context.new_page()
    page.goto(home)
    page.screenshot(path=folder / f"today{suffix}.png")
    page.goto(home + "/customers")
    page.locator("table a[href*='/customers/p_']").nth(1).click()
    page.wait_for_load_state()
    page.screenshot(path=folder / f"customer{suffix}.png")
    page.goto(home + "/channels/new")
    for name, value in FORM.items():
        page.locator(f"[name={name}]").first.fill(value)
    page.locator("input[name=members]").nth(1).check()
    page.wait_for_timeout(400)
    page.screenshot(path=folder / f"channel-form{suffix}.png")
    for name, (path, row) in PAGES.items():
        page.goto(home + path)
        if row and not page.locator(row).count():
            sys.stderr.write(f"{name}: nothing to open on {path}; the old picture stays\n")
            continue
        if row:
            page.locator(row).first.click()
            page.wait_for_load_state()
        page.screenshot(path=folder / f"{name}{suffix}.png")
    page.goto(sandbox)
    page.wait_for_timeout(1500)
    page.locator("#customer-screen .item").first.click()
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / f"sandbox{suffix}.png")
    page.goto(sandbox.rstrip("/") + "/till")
    page.wait_for_timeout(500)
    page.screenshot(path=folder / f"till{suffix}.png")
    sidebar(page, home, sandbox)
    page.screenshot(path=folder / f"sidebar{suffix}.png")
    page.close()


def sidebar(page: Page, home: str, sandbox: str) -> None:
    """A rep's chat with the sidebar beside it, and a card in it."""
    page.goto(home + "/day?rep=lisi")
    page.locator(".day-list a").first.click()
    page.wait_for_load_state()
    page.goto(page.locator(".relation a[href*='/client']").first.get_attribute("href"))
    page.frame_locator("#toolbar").locator("#send").wait_for(timeout=BUSY_SECONDS * 1000)
    if page.viewport_size == PHONE:  # the client on a phone shows the page alone
        whole = {"position": "fixed", "inset": "0", "width": "100vw", "height": "100vh", "zIndex": "9"}
        page.locator("#toolbar").evaluate("(frame, style) => Object.assign(frame.style, style)", whole)
        page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
