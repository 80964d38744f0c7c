"""The page about the API in a real browser: it shows every operation, and nothing breaks the content policy."""

import threading

from playwright.sync_api import Browser
from werkzeug.serving import make_server

from api.table import OPERATIONS
from outreach.webhooks import EVENTS
from tests.api.caller import ONE_DATABASE
from tests.shop import Shop


@ONE_DATABASE
def test_the_page_shows_every_operation_under_the_policy_of_the_house(shop: Shop, browser: Browser) -> None:
    server = make_server("127.0.0.1", 0, shop.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    complaints: list[str] = []
    try:
        page = browser.new_page()
        page.on("console", lambda said: complaints.append(said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://127.0.0.1:{server.port}/api/v1/docs")
        page.wait_for_selector(".opblock")
        assert page.locator(".opblock").count() == len(OPERATIONS) + len(EVENTS)
        page.locator("#operations-channels-open_channel").click()
        page.wait_for_selector("text=channels:write")
        page.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert complaints == []
