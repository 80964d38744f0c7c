"""The page about the API in a real browser: it shows every operation, and nothing breaks the content policy."""

import shutil
import threading

import pytest
from werkzeug.serving import make_server

from api.table import OPERATIONS
from tests import databases
from tests.api.caller import ONE_DATABASE
from tests.shop import Shop

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@ONE_DATABASE
def test_the_page_shows_every_operation_under_the_policy_of_the_house(shop: Shop) -> None:
    if CHROMIUM is None:
        (pytest.fail if databases.required("chromium") else pytest.skip)("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    server = make_server("127.0.0.1", 0, shop.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    complaints: list[str] = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("console", lambda said: complaints.append(said.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"http://127.0.0.1:{server.port}/api/v1/docs")
            page.wait_for_selector(".opblock")
            assert page.locator(".opblock").count() == len(OPERATIONS)
            page.locator("#operations-channels-open_channel").click()
            page.wait_for_selector("text=channels:write")
            browser.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert complaints == []
