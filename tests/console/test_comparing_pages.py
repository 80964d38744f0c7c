"""Comparing with WeCom in the console: asked for, followed, read; what a narrowed range means."""

import pytest

from people import alarms
from scheduler import reconcile_relations
from storage.tables import Person, SyncRun
from tests.console.acting import Counter
from tests.scheduler.syncing import SETTLED, run, unheard

HERE = "/operations/comparing"


@pytest.fixture
def lost(quiet: Counter) -> Counter:
    """A shop that was not told of a customer."""
    with unheard(quiet.shop):
        quiet.shop.world.scan(quiet.channel, name="小雨", userid="lisi")
    return quiet


def test_a_run_asked_for_here_is_done_by_the_worker_and_names_whom_it_found(lost: Counter) -> None:
    wangwu = lost.visitor("wangwu")
    page = wangwu.post(HERE, follow_redirects=True).text
    assert "马上开始核对" in page
    assert 'data-fresh="3"' in page
    assert lost.shop.rows(Person) == []
    lost.shop.advance(seconds=11)
    lost.shop.tick()
    (kept,) = lost.shop.rows(SyncRun)
    assert (kept.state, kept.by) == ("done", "wangwu")
    page = wangwu.get(f"{HERE}/{kept.id}").text
    (person,) = lost.shop.rows(Person)
    for words in ("有 1 处不同，都补好了", "企业微信 1 · 这里 0 · 补好 1", "没收到的添加", "李四", "王五"):
        assert words in page, words
    assert f'href="/customers/p_{person.id}">小雨</a>' in page
    assert [line.details for line in lost.audit("sync.ask")] == [{"dry": False}]


def test_a_dry_run_shows_what_it_would_do_and_does_nothing(lost: Counter) -> None:
    lost.visitor("wangwu").post(HERE, {"dry": "1"})
    lost.shop.advance(seconds=11)
    lost.shop.tick()
    page = lost.visitor("wangwu").get(HERE).text
    assert "有 1 处不同，都没有改" in page
    assert "只看不改" in page
    assert lost.shop.rows(Person) == []


def test_asking_twice_begins_one_run(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    wangwu.post(HERE)
    quiet.shop.advance(seconds=2)
    assert "已经在核对了" in wangwu.post(HERE, follow_redirects=True).text
    assert len(quiet.shop.rows(SyncRun)) == len(quiet.audit("sync.ask")) == 1


def test_progress_is_told_while_it_runs(quiet: Counter) -> None:
    with quiet.shop.work() as work:
        begun = {"state": "running", "started_at": work.now, "changed_at": work.now}
        counted = {"relations": {"wecom": 1204, "here": 1200, "different": 0, "fixed": 0, "examples": [], "note": ""}}
        work.db.add(SyncRun(by="nightly", at={"step": "relations"}, report=counted, **begun))
    page = quiet.visitor("zhangsan").get(HERE).text
    assert "第 4 步，共 7 步：客户" in page
    assert "1,204" in page
    assert "现在核对" not in page  # one at a time


def test_a_narrowed_range_is_explained(quiet: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_relations, "MANY", 0)
    quiet.shop.world.scan(quiet.channel, name="小雨", userid="lisi")
    quiet.shop.catch_up()
    quiet.shop.advance(minutes=SETTLED)
    with quiet.shop.world.unheard():
        quiet.shop.world.relations.by_member.pop("lisi")
    run(quiet.shop)
    with quiet.shop.db() as db:
        assert [one.kind for one in alarms.standing(db)] == [reconcile_relations.NARROWED]
    page = quiet.visitor("wangwu").get(HERE).text
    assert "可见范围" in page
    assert "所以没有当作已删除" in page
    assert "要人来看" in page


def test_before_the_first_run_the_page_says_when_it_comes(quiet: Counter) -> None:
    assert "每天凌晨三点" in quiet.visitor("wangwu").get(HERE).text
    assert quiet.visitor("wangwu").get(f"{HERE}/999").status_code == 404


def test_only_who_runs_the_shop_sees_and_asks(quiet: Counter) -> None:
    for userid in ("zhaoliu", "lisi"):
        assert quiet.visitor(userid).get(HERE).status_code == 404
        assert quiet.visitor(userid).post(HERE).status_code == 404
    assert quiet.shop.rows(SyncRun) == []


def test_the_page_speaks_english(lost: Counter) -> None:
    run(lost.shop)
    page = lost.visitor("wangwu").get(f"{HERE}?lang=en").text
    assert "WeCom 1 · here 0 · fixed 1" in page
    assert "arrived unheard" in page
