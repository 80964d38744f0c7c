"""The form of a rule: whatever the API accepts is the same after it was opened in the console and saved."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.rate import Rate
from console.rule_form import read_keyword, shown_keyword
from storage.tables import Channel, Member, TagRule
from tagging import rules
from tagging.keywords import MODES, Keyword
from tests.api.caller import Caller
from tests.console.acting import Counter

SIGNS = '价格码不 =＝!！"“”/{}~%,，;|[0-9]\\:a\u2028\u3000'
WORDS = st.text(SIGNS, min_size=1, max_size=12)
PATTERNS = st.sampled_from(
    ["尺码[0-9]+", "码 !价", "/码/", "价/ !格", "[!！]价", '{"text": "价"}', "价$", "(?:a|价)\\d"]
)
ROWS = st.fixed_dictionaries(
    {"text": WORDS | PATTERNS},
    optional={"mode": st.sampled_from(MODES), "exclude": st.lists(WORDS, max_size=3), "guard": st.booleans()},
)
KEYWORDS = st.lists(WORDS | ROWS, max_size=4)
NAMES = st.text("价格 /%,2F", max_size=8).map("组".__add__)
TAGS = st.lists(st.fixed_dictionaries({"group": NAMES, "name": NAMES}), min_size=1, max_size=3)
SCOPES = st.fixed_dictionaries(
    {},
    optional={
        "where": st.lists(st.sampled_from(rules.SOURCES), max_size=3),
        "accounts": st.lists(st.sampled_from(["wk1", "wk2"]), max_size=3),
        "reps": st.lists(st.sampled_from(["zhangsan", "lisi", "gone", "never here"]), max_size=4),
        "days": st.lists(st.sampled_from(rules.EVERY_DAY), max_size=8),
        "channels": st.lists(st.sampled_from(["c-old", "c-deleted"]), max_size=2),
    },
)
TIMES = st.sampled_from([{}, {"from": "22:00", "to": "06:00"}, {"from": "09:30", "to": "09:30"}])
BODIES = st.fixed_dictionaries(
    {
        "name": st.text("问价 ", min_size=1, max_size=9).map("N".__add__),
        "tags": TAGS,
        "scope": st.builds(dict.__or__, SCOPES, TIMES),
        "any_keywords": KEYWORDS.map(["多少钱"].__add__),
    },
    optional={
        "kind": st.sampled_from(rules.KINDS),
        "all_keywords": KEYWORDS,
        "not_keywords": KEYWORDS,
        "lost_by": st.lists(st.sampled_from(rules.LOST_BY), max_size=3),
        "cap": st.integers(1, 1000),
    },
)


@given(ROWS)
@settings(max_examples=500, deadline=None)
def test_every_keyword_has_a_line_that_is_read_as_the_same_keyword(row: dict[str, Any]) -> None:
    try:
        keyword = Keyword.read(row)
    except ValueError:
        return
    line = shown_keyword(keyword.row())
    assert Keyword.read(read_keyword(line)) == keyword, line


def test_lines_are_written_as_people_would() -> None:
    lines = ["多少钱", "=在吗", '"大衣" !大衣柜', "/尺码[0-9]+/ !尺码表", "充电 !充电器 !充电宝", "价格 !!", "/a !b/"]
    assert [shown_keyword(read_keyword(line)) for line in lines] == lines
    assert read_keyword("/尺码[0-9]+/ !尺码表") == {"text": "尺码[0-9]+", "mode": "pattern", "exclude": ["尺码表"]}


def test_whatever_the_api_accepts_is_the_same_after_it_was_opened_and_saved(quiet: Counter) -> None:
    shop, wangwu = quiet.shop, quiet.visitor("wangwu")
    shop.app.extensions["api_rate"] = Rate(10**9)
    api = Caller(shop)
    with shop.work() as work:
        work.db.add(Member(userid="gone", name="走了的人", left_at=work.now))
        own = {"created_at": work.now, "changed_at": work.now}
        for code, state in (("c-old", "active"), ("c-deleted", "deleted"), *((f"c{n}", "active") for n in range(201))):
            work.db.add(Channel(code=code, name=code, state=state, **own))
            work.db.flush()
    seen = {"accepted": 0, "asked": 0}

    @given(BODIES)
    @settings(max_examples=80, deadline=None)
    def survives(body: dict[str, Any]) -> None:
        seen["asked"] += 1
        made = api.post("/tag-rules", {**body, "name": f"{body['name'][:9]}{seen['asked']}"})
        assert made.status_code in (201, 422), made.text
        if made.status_code == 422:
            return
        seen["accepted"] += 1
        number = int(made.get_json()["id"].removeprefix("r_"))
        (before,) = shop.rows(TagRule, TagRule.id == number)
        answer = wangwu.sends_as_it_is(f"/rules/{number}/edit", do="save")
        (after,) = shop.rows(TagRule, TagRule.id == number)
        assert (answer.status_code, rules.said(after)) == (303, rules.said(before))
        assert after.version == 1

    survives()
    assert seen["accepted"] > 20
