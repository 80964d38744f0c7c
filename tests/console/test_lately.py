"""Figures over everything: counted at most once a minute, and never those of another database."""

from datetime import timedelta
from typing import Any

import pytest

from console.lately import Lately
from storage.database import reading
from tagging import answer_uses, tags
from tests.console.acting import Counter
from tests.shop import Shop


def test_figures_are_counted_anew_after_a_minute_and_not_before(shop: Shop) -> None:
    counted: list[Any] = []
    figures = Lately(lambda _db, now: counted.append(now) or len(counted))
    start = shop.now()
    with shop.db() as db:
        seen = [figures.of(db, start + timedelta(seconds=passed)) for passed in (0, 30, 59.9, 60, 119, 121, 0)]
    assert seen == [1, 1, 1, 2, 2, 3, 4]


@pytest.mark.parametrize(("page", "module", "count"), [("/tags", tags, "pushed"), ("/answers", answer_uses, "given")])
def test_pages_count_over_everything_once_a_minute(
    quiet: Counter, monkeypatch: pytest.MonkeyPatch, page: str, module: Any, count: str
) -> None:
    asked, real = [], getattr(module, count)
    monkeypatch.setattr(module, count, lambda *given: asked.append(given) or real(*given))
    wangwu = quiet.visitor("wangwu")
    for expected in (1, 1, 2):
        assert wangwu.get(page).status_code == 200
        assert len(asked) == expected
        quiet.shop.advance(seconds=40)


def test_every_database_has_its_own_figures(quiet: Counter, counter: Counter) -> None:
    figures = Lately(lambda db, _now: db.get_bind().engine.url.database)
    for shop in (quiet.shop, counter.shop, quiet.shop):
        for _again in range(2):
            with reading(shop.parts.engine) as db:
                assert figures.of(db, shop.now()) == shop.parts.engine.url.database
