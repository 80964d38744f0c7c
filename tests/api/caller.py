"""A program that calls the open API with a key, and says what it got."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from people import api_keys
from storage.tables import ApiKey
from tests.opened import ONE
from tests.shop import Shop

PREFIX = "/api/v1"
ONE_DATABASE = pytest.mark.parametrize("opened_shop", ONE, indirect=True)
"""For what the database has no part in."""
PROBLEM = "application/problem+json"
Json = dict[str, Any]


def make_key(shop: Shop, *scopes: str, name: str = "pos", **more: Any) -> tuple[ApiKey, str]:
    """A key with these scopes, as an admin would make it."""
    with shop.work() as work:
        return api_keys.create(work, name, scopes or ("all",), "command line", **more)


class Caller:
    """Calls with one key."""

    def __init__(self, shop: Shop, *scopes: str, name: str = "pos", key: str | None = None) -> None:
        self.shop = shop
        self.key = key if key is not None else make_key(shop, *scopes, name=name)[1]
        self.client = shop.app.test_client()

    def ask(self, method: str, path: str, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return self.client.open(PREFIX + path, method=method, headers=headers, **more)

    def get(self, path: str, **query: Any) -> Json:
        """The answer of a GET that works."""
        answer = self.ask("GET", path, **({"query_string": query} if query else {}))
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == "application/json"
        found: Json = answer.get_json()
        return found

    def post(self, path: str, body: Any, *, once: str | None = None) -> TestResponse:
        return self.ask("POST", path, json=body, headers={"Idempotency-Key": once} if once else {})

    def patch(self, path: str, body: Any) -> TestResponse:
        return self.ask("PATCH", path, json=body)

    def delete(self, path: str) -> TestResponse:
        return self.ask("DELETE", path)

    def walk(self, path: str, **query: Any) -> list[Json]:
        """Every item of a list, page by page."""
        found: list[Json] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **query, **cursor)
            assert set(page) == {"items", "next_cursor"}
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}


def problem(answer: TestResponse, status: int, name: str) -> Json:
    """The problem this answer is; fails when it is another."""
    assert (answer.status_code, answer.mimetype) == (status, PROBLEM), answer.text
    found: Json = answer.get_json()
    assert found["type"] == f"{PREFIX}/problems/{name}", found
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found
