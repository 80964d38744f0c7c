"""A real browser where there is one, and a shop it can reach over HTTP."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from tests import databases
from tests.console.acting import Counter, set_up
from tests.shop import build_shop, close_shop


@dataclass
class Open:
    """A shop that listens."""

    counter: Counter
    address: str


@pytest.fixture(scope="module")
def open_shop(tmp_path_factory: pytest.TempPathFactory, opened_sqlite: Path) -> Iterator[Open]:
    shop = build_shop(databases.fresh_sqlite(tmp_path_factory.mktemp("browser"), opened_sqlite))
    counter = set_up(shop)
    server = make_server("127.0.0.1", 0, shop.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Open(counter, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()
    close_shop(shop)


def signed_in(browser: Browser, shop: Open, **context: Any) -> Iterator[Page]:
    """A page on which the boss is signed in; ``context`` is Playwright's (viewport, locale …)."""
    own = browser.new_context(**context)
    cookie = shop.counter.visitor("zhangsan").client.get_cookie("scrm")
    assert cookie is not None
    own.add_cookies([{"name": "scrm", "value": cookie.value, "url": shop.address}])
    yield own.new_page()
    own.close()
