"""Today's figures, what stands still, and the two languages."""

import csv
import io
import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from babel.messages.pofile import read_po

from console import today, words
from console.shown import count, day, lasted, moment, share, yuan
from people import alarms
from storage.tables import Progress, Welcome
from tests.console.acting import REPS, Counter

FIGURES = ("新到店", "老客新加", "再次添加", "半添加", "流失", "净增")


def figures(page: str) -> dict[str, str]:
    """The big numbers by their names."""
    found = {}
    for part in page.split('class="figure-words">')[1:]:
        found[part.split("<")[0]] = part.split('class="figure-number">')[1].split("<")[0]
    return found


def test_the_day_adds_up_for_the_boss_and_a_rep_sees_only_their_own(counter: Counter) -> None:
    everybody = figures(counter.visitor("zhangsan").get("/").text)
    assert everybody == dict(zip(FIGURES, ("5", "0", "0", "0", "0", "5"), strict=True))
    assert figures(counter.visitor("zhaoliu").get("/").text)["新到店"] == "2"
    assert figures(counter.visitor("lisi").get("/").text)["新到店"] == "1"


def test_a_rep_hears_nothing_of_the_engine_room(counter: Counter) -> None:
    with counter.shop.work() as work:
        alarms.raise_alarm(work, "secret", "应用 Secret 不对")
    assert "应用 Secret 不对" in counter.visitor("zhangsan").get("/").text
    assert "收发" in counter.visitor("wangwu").get("/").text
    lisi = counter.visitor("lisi").get("/").text
    assert "应用 Secret 不对" not in lisi
    assert "收发" not in lisi


def test_the_table_of_the_chart_is_there_as_csv(counter: Counter) -> None:
    text = counter.visitor("lisi").get("/today.csv").text
    heads, *rows = csv.reader(io.StringIO(text[1:], newline=""))
    assert heads == ["日期", *FIGURES]
    assert len(rows) == 14
    assert rows[-1] == ["2026-11-22", "1", "0", "0", "0", "0", "1"]


def test_another_day_is_looked_at_by_address_and_none_that_has_not_come(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert figures(boss.get("/?day=2026-11-21").text)["新到店"] == "0"
    for odd in ("2999-01-01", "nonsense", "2026-13-01", ""):
        assert figures(boss.get(f"/?day={odd}").text)["新到店"] == "5"


def test_each_outcome_of_a_welcome_has_its_word_and_leads_to_its_list(fresh: Counter) -> None:
    outcomes = ("sent", "late", "no_code", "already", "refused")
    with fresh.shop.db() as db:
        for welcome, outcome in zip(db.query(Welcome).order_by(Welcome.id), outcomes, strict=True):
            welcome.outcome, welcome.seconds = outcome, 0.42 if outcome == "sent" else None
    boss = fresh.visitor("zhangsan")
    page = boss.get("/").text
    assert "一般 0.42 秒，最慢 0.42 秒" in page
    for outcome, rep in zip(outcomes, REPS, strict=True):
        assert f"/welcomes?outcome={outcome}&amp;day=2026-11-22" in page
        listed = boss.get(f"/welcomes?outcome={outcome}&day=2026-11-22").text
        assert [one for one in REPS if f"{one}的客人" in listed] == [rep]


def test_welcomes_stand_in_the_order_of_the_arrivals_shown_and_pages_follow(
    fresh: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh.shop.db() as db:
        for number, welcome in enumerate(db.query(Welcome).order_by(Welcome.id)):
            welcome.event_at = fresh.shop.now() - timedelta(hours=number % 3)
    monkeypatch.setattr(today, "PAGE", 2)
    boss, path, seen = fresh.visitor("zhangsan"), "/welcomes?day=2026-11-22", []
    while path:
        page = boss.get(path).text
        seen += re.findall(r'class="row-link cut"[^>]*>(\w+)的客人<', page)
        onward = re.search(r'href="([^"]+)" rel="next"', page)
        path = onward[1].replace("&amp;", "&") if onward else ""
    assert seen == [REPS[number] for number in (3, 0, 4, 1, 2)]
    assert boss.get("/welcomes?before=17").status_code == 200


def test_a_welcome_shows_what_was_sent(fresh: Counter) -> None:
    with fresh.shop.db() as db:
        welcome = db.query(Welcome).order_by(Welcome.id).first()
        welcome.outcome, welcome.detail, welcome.text = "sent", None, "你好\n我是张三 13800001234"
        welcome.attachments = [{"kind": "link", "title": "本周豆单"}]
    page = fresh.visitor("zhangsan").get("/welcomes?outcome=sent").text
    assert 'title="你好\n我是张三 138****1234\n[链接] 本周豆单"' in page
    assert "[Link] 本周豆单" in fresh.visitor("zhangsan").get("/welcomes?outcome=sent&lang=en").text


def test_a_day_gone_by_does_not_speak_of_todays_relations(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert "现有 5 段关系" in boss.get("/").text
    assert "现有" not in boss.get("/?day=2026-11-21").text


def test_lists_are_written_as_the_language_writes_them(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    path = f"/channels/{fresh.channel}"
    assert "张三、李四" in boss.get(path).text
    english = boss.get(f"{path}?lang=en").text
    assert "张三, 李四" in english
    assert "、" not in english


def test_only_the_day_that_goes_on_shows_itself_anew(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert 'data-fresh="30"' in boss.get("/").text
    assert "data-fresh" not in boss.get("/?day=2026-11-21").text


def test_the_way_to_the_sandbox_is_shown_only_where_there_is_one(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    assert "沙盒：扮演客户" not in boss.get("/").text
    fresh.shop.app.extensions["sandbox"] = "http://127.0.0.1:8001/"
    assert 'href="http://127.0.0.1:8001/?lang=zh"' in boss.get("/customers").text
    assert "127.0.0.1:8001" not in fresh.stranger().get("/sign-in?stay=1").text


def test_an_empty_shop_has_one_thing_to_do(door: Counter) -> None:
    page = door.visitor("zhangsan").get("/").text
    assert "创建第一个渠道活码" in page
    assert "创建第一个渠道活码" not in door.visitor("lisi").get("/").text


def test_the_first_fill_shows_how_far_it_is(door: Counter) -> None:
    now = door.shop.now()
    with door.shop.db() as db:
        at = {"step": "relations"}
        db.add(Progress(name="first_fill", state="running", at=at, done=123_456, started_at=now, changed_at=now))
    page = door.visitor("zhangsan").get("/").text
    assert "正在读：客户。已读入 12.3 万 段客户关系" in page


def test_what_a_page_is_for_is_said_until_one_has_read_it(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert "每一位客户，按最近往来排列" in boss.get("/customers").text
    boss.client.set_cookie("seen", "today.customers")
    assert "每一位客户，按最近往来排列" not in boss.get("/customers").text


def test_navigation_lists_only_what_one_may_use(counter: Counter) -> None:
    assert "/settings" not in counter.visitor("lisi").get("/").text
    assert "/channels" not in counter.visitor("lisi").get("/customers").text


# --- languages -------------------------------------------------------------------------------------------------------


def test_english_is_chosen_by_address_cookie_or_setting(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    assert ">新到店<" in boss.get("/").text
    assert boss.post("/language", {"language": "en", "next": "/customers"}).headers["Location"] == "/customers"
    assert ">New to shop<" in boss.get("/").text
    assert ">New to shop<" in fresh.visitor("zhangsan").get("/").text
    assert '<html lang="en">' in fresh.visitor("zhangsan").get("/sign-in?stay=1&lang=en", follow_redirects=True).text


def test_the_language_of_an_address_stays_until_another_is_chosen(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    assert ">New to shop<" in boss.get("/?lang=en").text
    assert ">New to shop<" in boss.get("/").text
    chosen = boss.post("/language", {"language": "zh", "next": "/customers?lang=en&q=%E9%9B%A8"})
    assert chosen.headers["Location"] == "/customers?q=%E9%9B%A8"
    assert ">新到店<" in boss.get("/").text
    assert ">新到店<" in fresh.visitor("zhangsan").get("/").text
    assert boss.get("/?lang=tlh").headers.get("Set-Cookie") is None


def test_the_word_for_who_serves_is_one_in_each_language() -> None:
    with words.CATALOGUE.open("rb") as file:
        sentences = [(str(one.id), str(one.string)) for one in read_po(file)]
    assert not [chinese for chinese, _english in sentences if "员工" in chinese]
    assert not [english for _chinese, english in sentences if re.search(r"\bmembers?\b", english, re.IGNORECASE)]


def test_every_sentence_has_its_english() -> None:
    assert words.untranslated() == []


def test_the_compiled_catalogue_is_the_written_one() -> None:
    assert words.compiled_is_current()


def test_every_sentence_of_the_code_is_in_the_catalogue() -> None:
    assert words.missing() == []


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("zh", ["12,345", "12.3 万", "−5", "45%", "–", "11月22日 18:00", "2025年1月2日", "3 天 4 小时", "¥1,234.50"]),
        ("en", ["12,345", "123k", "−5", "45%", "–", "22 Nov 18:00", "2 Jan 2025", "3 d 4 h", "¥1,234.50"]),
    ],
)
def test_numbers_and_times_are_shown_one_way(door: Counter, language: str, shown: list[str]) -> None:
    with door.shop.app.test_request_context(f"/?lang={language}"):
        assert [
            count(12_345),
            count(123_456),
            count(-5),
            share(45, 100),
            share(0, 0),
            moment(door.shop.now()),
            day(date(2025, 1, 2)),
            lasted(timedelta(days=3, hours=4, minutes=5)),
            yuan(Decimal("1234.5")),
        ] == shown
