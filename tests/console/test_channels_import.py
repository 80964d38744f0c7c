"""Many channel codes from a CSV, and one each for reps and stores: shown first, made once, whatever breaks."""

import csv
import io
from typing import Any

import pytest

from storage import sheets
from storage.tables import Channel, Progress
from tagging.channel_imports import PREFIX
from tests.console.acting import Counter, Visitor

ADD = "externalcontact/add_contact_way"
HEAD = "名称,接待成员,备用成员,标签,欢迎语,自动通过,每日上限\r\n"
GOOD = "静安店门口,张三|lisi,赵六,来源/门店|门店/静安店,你好 {name},是,20\r\n"
ROWS = (
    HEAD
    + GOOD
    + '小红书,wangwu,,来源/小红书,"你好，\n这是第二行",否,\r\n'
    + "没有人,,,,,,\r\n"
    + "错的,陌生人;李四,,抖音,{nickname},也许,很多\r\n"
    + "静安店门口,lisi,,,,,\r\n"
    + "抖音直播间,lisi,,,,,\r\n"
)


def uploaded(visitor: Visitor, data: bytes | str, name: str = "a.csv") -> Any:
    content = data.encode("utf-8-sig") if isinstance(data, str) else data
    return visitor.post("/channels/import", {"file": (io.BytesIO(content), name)})


def prepared(visitor: Visitor, data: bytes | str) -> str:
    """The address of the plan that a file became."""
    answer = uploaded(visitor, data)
    assert answer.status_code == 303
    return str(answer.headers["Location"])


def names(counter: Counter) -> list[str]:
    return [one.name for one in counter.shop.rows(Channel) if one.code != counter.channel]


def test_a_file_is_shown_with_reasons_first_and_then_made(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    plan = prepared(wangwu, ROWS)
    page = wangwu.get(plan).text
    for words in (
        "2 行可以创建，4 行有问题",
        "请至少选择一名接待成员",
        "通讯录里没有成员 陌生人",
        "标签写作 组/标签",
        "不认识 {nickname}",
        "填 是 或 否",
        "填整数",
        "文件里有同名的行",
        "已有同名的渠道码，跳过",
    ):
        assert words in page, words
    assert names(quiet) == []

    wangwu.post(f"{plan}/start")
    quiet.shop.advance(seconds=10)
    quiet.shop.run("make imported codes")
    assert names(quiet) == ["静安店门口", "小红书"]
    first, second = (one for one in quiet.shop.rows(Channel) if one.code != quiet.channel)
    assert [(seat.userid, seat.spare) for seat in first.seats] == [
        ("zhangsan", False),
        ("lisi", False),
        ("zhaoliu", True),
    ]
    assert (first.daily_cap, first.welcome["text"], second.skip_verify) == (20, "你好 {name}", False)
    assert second.welcome["text"] == "你好，\n这是第二行"
    assert {one.state for one in quiet.shop.world.contact_ways.values()} >= {first.code, second.code}
    assert [line.details["line"] for line in quiet.audit("channel.create")] == [2, 3]
    page = wangwu.get(plan).text
    assert page.count("已创建") >= 2
    assert "已完成" in page


def test_rejected_rows_come_back_as_a_file_that_can_be_mended_and_sent_again(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    plan = prepared(wangwu, ROWS.replace("没有人", "=没有人"))
    answer = wangwu.get(f"{plan}/rejected.csv")
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert [row["名称"] for row in rows] == ["'=没有人", "错的", "静安店门口", "抖音直播间"]
    assert all(row["原因"] for row in rows)
    mended = answer.data.replace("'=没有人,,".encode(), "'=没有人,lisi,".encode())
    assert "=没有人" in wangwu.get(prepared(wangwu, mended)).text
    assert len(quiet.audit("channel_import.rejected")) == 1


def test_sending_the_same_file_again_changes_nothing(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    for _ in range(2):
        plan = prepared(wangwu, HEAD + GOOD)
        wangwu.post(f"{plan}/start")
        quiet.shop.advance(seconds=10)
        quiet.shop.run("make imported codes")
    assert names(quiet) == ["静安店门口"]
    assert "没有可以创建的行" in wangwu.get(plan).text


def test_an_import_waits_while_wecom_is_away_and_makes_no_code_twice(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    plan = prepared(wangwu, ROWS)
    wangwu.post(f"{plan}/start")
    quiet.shop.world.fail_next(ADD, -1)
    quiet.shop.advance(seconds=10)
    quiet.shop.run("make imported codes")
    page = wangwu.get(plan).text
    assert "稍后自动继续" in page
    assert "等企业微信回应" in page
    assert names(quiet) == ["静安店门口"]
    quiet.shop.advance(seconds=10)
    quiet.shop.run("make imported codes")
    assert names(quiet) == ["静安店门口", "小红书"]
    assert all(one.config_id for one in quiet.shop.rows(Channel))


def test_a_row_wecom_refuses_is_named_and_the_others_are_made(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    plan = prepared(wangwu, ROWS)
    wangwu.post(f"{plan}/start")
    quiet.shop.world.fail_next(ADD, 40098)
    quiet.shop.advance(seconds=10)
    quiet.shop.run("make imported codes")
    assert names(quiet) == ["小红书"]
    assert "成员未实名认证" in wangwu.get(plan).text
    assert "成员未实名认证" in wangwu.get(f"{plan}/rejected.csv").text


def test_an_import_can_be_stopped_and_gone_on_with(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    plan = prepared(wangwu, ROWS)
    wangwu.post(f"{plan}/start")
    wangwu.post(f"{plan}/stop")
    quiet.shop.advance(seconds=10)
    quiet.shop.run("make imported codes")
    assert names(quiet) == []
    assert "接着创建" in wangwu.get(plan).text
    wangwu.post(f"{plan}/resume")
    quiet.shop.advance(seconds=10)
    quiet.shop.run("make imported codes")
    assert len(names(quiet)) == 2
    assert [len(quiet.audit(f"channel_import.{verb}")) for verb in ("prepare", "start", "stop", "resume")] == [1] * 4


def test_a_file_from_excel_in_gbk_is_read_too(counter: Counter) -> None:
    answer = uploaded(counter.visitor("wangwu"), (HEAD + GOOD).encode("gb18030"))
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "空的"),
        (b"\xff\xfen\x00a\x00", "CSV"),
        ("名称\r\n店\r\n", "缺少：接待成员"),
        (HEAD, "除了表头没有内容"),
        (HEAD + 'a,"unclosed', "格式有误"),
        (HEAD + "a,lisi\r\n" * 501, "最多 500 行"),
    ],
)
def test_a_file_that_is_no_list_of_codes_is_told_what_is_wrong(counter: Counter, data: Any, words: str) -> None:
    answer = uploaded(counter.visitor("wangwu"), data)
    assert answer.status_code == 422
    assert words in answer.text


def test_the_example_is_itself_a_good_file(counter: Counter) -> None:
    visitor = counter.visitor("wangwu")
    example = visitor.get("/channels/import/example.csv").data
    assert "2 行可以创建，0 行有问题" in visitor.get(prepared(visitor, example)).text


def test_one_code_for_each_rep_and_one_for_each_store(quiet: Counter) -> None:
    wangwu = quiet.visitor("wangwu")
    answer = wangwu.post(
        "/channels/copies", {"like": quiet.channel, "members": ["lisi", "sunqi", "nobody"], "departments": ["3", "99"]}
    )
    plan = str(answer.headers["Location"])
    assert "3 行可以创建，0 行有问题" in wangwu.get(plan).text
    wangwu.post(f"{plan}/start")
    quiet.shop.advance(seconds=10)
    quiet.shop.run("make imported codes")
    made = [one for one in quiet.shop.rows(Channel) if one.code != quiet.channel]
    assert [one.name for one in made] == ["抖音直播间·李四", "抖音直播间·孙七", "抖音直播间·会员服务"]
    assert [tuple(one.at_wecom) for one in made] == [("lisi",), ("sunqi",), ("zhaoliu", "sunqi")]
    assert wangwu.post("/channels/copies", {"like": quiet.channel}).status_code == 422


def test_a_plan_is_nobody_elses_business(counter: Counter) -> None:
    plan = prepared(counter.visitor("wangwu"), HEAD + GOOD)
    for userid in ("zhaoliu", "lisi"):
        assert counter.visitor(userid).get(plan).status_code == 404
        assert counter.visitor(userid).post(f"{plan}/start").status_code == 404
    assert counter.visitor("wangwu").get("/channels/import/unknown").status_code == 404
    assert counter.count(Progress, Progress.state == "running", Progress.name.startswith(PREFIX)) == 0


@pytest.mark.parametrize(
    "cell", ["=1+1", " =1", "'=1", '"=1', "+86 138", "-1", "@x", "\tx", "\rx", "＝1", "a=b", "'", ""]
)
def test_a_cell_is_no_formula_and_reads_back_as_it_was(cell: str) -> None:
    line = "".join(sheets.lines(["x"], [[cell]])).splitlines()
    assert sheets.plain(str(sheets.guarded(cell))) == cell
    assert not str(sheets.guarded(cell)).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert line[0] == "\ufeffx"
