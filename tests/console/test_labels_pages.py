"""Labels of points: each rule and how many fit, numbers that are refused, tags given each morning with their reason."""

from sqlalchemy import select

from loyalty.ledger import book, earn, spend
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from storage.tables import PersonTag, Tag, TagGround
from tests.console.acting import Counter

FORM = {
    "wealthy-points": "5000", "wealthy-on": "1", "expiring-points": "1", "expiring-days": "30",
    "experience-times": "2", "experience-days": "365", "near-points": "1000",
}  # fmt: skip


def give(fresh: Counter, rep: str, points: int) -> int:
    with fresh.shop.work() as work:
        account = book.open_account(work, fresh.people[rep]).id
        about = About("award", f"order-{rep}-{points}", work.now, "till")
        earn.award(work, account, [Grant(points, work.now, None, "purchase")], about)
        return account


def tagged(fresh: Counter) -> dict[int, str]:
    """The names of tags by person."""
    with fresh.shop.db() as db:
        own = (
            select(PersonTag.person_id, Tag.name).join(Tag, Tag.id == PersonTag.tag_id).where(Tag.group_name == "积分")
        )
        return dict(db.execute(own).all())


def test_each_rule_is_shown_with_how_many_fit_and_nothing_is_given_until_asked_for(fresh: Counter) -> None:
    give(fresh, "lisi", 6_000)
    give(fresh, "wangwu", 850)
    page = fresh.visitor("zhangsan").get("/points/labels").text
    for words in (
        "可用积分至少 5,000 分",
        "30 天内过期的积分至少 1 分",
        "最近 365 天里换奖品至少 2 次：体验",
        "可用积分少于 1,000 分",
    ):
        assert words in page, words
    assert page.count("现在有 1 位") == 2
    assert "disabled" not in page
    assert fresh.visitor("zhaoliu").get("/points/labels").text.count("disabled") == 6
    assert fresh.shop.run("put labels") == {"put labels": "labels given: 0, taken: 0"}
    assert tagged(fresh) == {}


def test_the_tag_comes_in_the_morning_says_why_and_goes_when_the_points_do(fresh: Counter) -> None:
    account = give(fresh, "lisi", 6_000)
    fresh.visitor("zhangsan").post("/points/labels", FORM)
    assert fresh.shop.run("put labels") == {"put labels": "labels given: 1, taken: 0"}
    assert tagged(fresh) == {fresh.people["lisi"]: "高净值积分持有者"}
    assert [one.because for one in fresh.shop.rows(TagGround, TagGround.source == "points")] == [
        "可用积分至少 5,000 分"
    ]
    assert fresh.shop.run("put labels") == {"put labels": "labels given: 0, taken: 0"}
    fresh.visitor("zhangsan").post("/points/labels", {**FORM, "wealthy-points": "5500"})
    fresh.shop.run("put labels")
    assert [one.because for one in fresh.shop.rows(TagGround, TagGround.source == "points")] == [
        "可用积分至少 5,500 分"
    ]
    assert tagged(fresh) == {fresh.people["lisi"]: "高净值积分持有者"}
    with fresh.shop.work() as work:
        spend.redeem(work, account, 1_000, About("redeem", "r", work.now, "till"))
    assert fresh.shop.run("put labels") == {"put labels": "labels given: 0, taken: 1"}
    assert tagged(fresh) == {}


def test_switched_off_it_is_taken_from_everybody(fresh: Counter) -> None:
    give(fresh, "lisi", 6_000)
    boss = fresh.visitor("zhangsan")
    boss.post("/points/labels", FORM)
    fresh.shop.run("put labels")
    boss.post("/points/labels", {name: value for name, value in FORM.items() if name != "wealthy-on"})
    assert fresh.shop.run("put labels") == {"put labels": "labels given: 0, taken: 1"}


def test_nonsense_is_explained_and_a_rep_sees_nothing(fresh: Counter) -> None:
    boss = fresh.visitor("zhangsan")
    answer = boss.post("/points/labels", {**FORM, "near-points": "-3"})
    assert answer.status_code == 422
    assert "请填 1–1,000,000,000 的整数" in answer.text
    assert fresh.visitor("lisi").get("/points/labels").status_code == 404
