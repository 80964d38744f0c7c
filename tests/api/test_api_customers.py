"""Customers through the open API: shapes literally, found by anything, paged without gaps, changed with a trace."""

from typing import Any

import pytest

from people import joining, persons
from storage.rows import insert_new
from storage.tables import AuditRow, Identity, Person, PersonTag, Review
from tests.api.caller import ONE_DATABASE, Caller, problem
from tests.shop import Shop


@pytest.fixture
def rain(shop: Shop) -> str:
    """小雨 came over a channel code and was tagged; her external_userid."""
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, name="小雨", userid="lisi", unionid="oU-rain")
    shop.catch_up()
    return arrival.external_userid


def test_a_customer_has_the_shape_others_build_on(shop: Shop, api: Caller, rain: str) -> None:
    code = api.get("/channels")["items"][0]["code"]
    assert api.get("/customers/p_1") == {
        "id": "p_1",
        "external_userid": rain,
        "name": "小雨",
        "unionid": "oU-rain",
        "birthday": None,
        "stage": "active",
        "identities": [
            {"type": "external_userid", "value": rain, "verified": True},
            {"type": "unionid", "value": "oU-rain", "verified": True},
        ],
        "relations": [
            {
                "userid": "lisi",
                "state": "active",
                "added_at": "2026-11-22T18:00:00+08:00",
                "ended_at": None,
                "channel": code,
                "remark": "小雨",
            }
        ],
        "tags": [
            {
                "id": "t_1",
                "group": "来源",
                "name": "抖音",
                "source": "channel",
                "because": "扫描渠道码“抖音直播间”添加了李四",
                "at": "2026-11-22T18:00:00+08:00",
                "at_wecom": "done",
            }
        ],
        "life_cycle": None,
        "points": {"available": 0, "pending": 0, "held": 0, "debt": 0, "tier": "silver", "expiring": []},
        "opted_out": False,
    }


def test_a_customer_is_found_by_number_by_external_userid_and_by_identity(api: Caller, rain: str) -> None:
    by_number = api.get("/customers/p_1")
    assert api.get(f"/customers/{rain}") == by_number
    assert api.get("/customers/by-identity", type="unionid", value="oU-rain") == by_number
    assert api.get("/customers/by-identity", type="external_userid", value=rain) == by_number
    assert api.get("/customers")["items"] == [by_number]


NOBODY = ("p_2", "p_", "p_99999999999999999999", "wm-nobody", "%00", "p_%D9%A1", "x" * 300,
          "by-identity?type=unionid&value=none")  # fmt: skip


def test_who_is_not_there_is_not_found(api: Caller, rain: str) -> None:
    for name in NOBODY:
        problem(api.ask("GET", f"/customers/{name}"), 404, "not-found")


def test_the_story_is_told_newest_first_and_by_kind(api: Caller, rain: str) -> None:
    lines = api.get("/customers/p_1/interactions")["items"]
    assert [line["kind"] for line in lines] == ["welcomed", "added"]
    assert set(lines[0]) == {"id", "kind", "at", "userid", "details"}
    assert lines[1]["userid"] == "lisi"
    assert [line["kind"] for line in api.get("/customers/p_1/interactions", kind="added")["items"]] == ["added"]
    assert len(api.get("/customers/p_1/interactions?kind=added&kind=welcomed")["items"]) == 2
    assert api.get("/customers/p_1/interactions", kind="nothing of the sort")["items"] == []
    assert [line["kind"] for line in api.walk("/customers/p_1/interactions", limit=1)] == ["welcomed", "added"]


def test_the_list_is_narrowed_by_tag_owner_words_and_stage(shop: Shop, api: Caller, rain: str) -> None:
    other = shop.world.scan(shop.channel("门店", tags=()).code, name="阿明", userid="zhangsan")
    shop.catch_up()

    def names(**query: Any) -> list[str]:
        return [one["name"] for one in api.get("/customers", **query)["items"]]

    assert names() == ["阿明", "小雨"]
    assert names(tag="t_1") == ["小雨"]
    assert names(tag="t_77") == []
    assert names(owner="zhangsan") == ["阿明"]
    assert names(q="雨") == ["小雨"]
    for typed in ("%", "_", "' OR 1=1 --", '"', "\\", "雨'; DROP TABLE person; --"):
        assert names(q=typed) == names(owner=typed) == []
    assert names(q=rain) == ["小雨"]
    assert names(stage="active") == ["阿明", "小雨"]
    shop.world.customer_deletes("zhangsan", other.external_userid)
    shop.catch_up()
    assert names(stage="active") == ["小雨"]
    assert names(stage="lost") == ["阿明"]
    assert names(stage="half") == names(stage="new") == []
    assert names(stage="lost", owner="lisi") == []


def test_every_customer_has_exactly_one_stage_and_is_listed_under_it(shop: Shop, api: Caller, rain: str) -> None:
    waiting = shop.channel("要验证", skip_verify=False)
    shop.world.scan(waiting.code, name="半半", userid="lisi")
    shop.catch_up()
    with shop.work() as work:
        work.db.add(Person(name="只买过", first_seen_at=work.now, last_seen_at=work.now))
    everybody = {one["id"]: one["stage"] for one in api.walk("/customers")}
    for stage in ("new", "active", "half", "lost"):
        listed = {one["id"] for one in api.walk("/customers", stage=stage)}
        assert listed == {name for name, told in everybody.items() if told == stage}
    assert everybody["p_1"] == "active"
    assert "new" in everybody.values()


def test_a_thousand_customers_are_paged_without_gap_or_repetition_while_others_come(shop: Shop, api: Caller) -> None:
    with shop.work() as work:
        rows = [
            {"name": f"客{n}", "first_seen_at": work.now, "last_seen_at": work.now, "gender": 0, "kind": 1,
             "owner_by_hand": False, "opted_out": False}
            for n in range(1003)
        ]  # fmt: skip
        insert_new(work.db, Person, rows, ["id"])
    there = {f"p_{n}" for n in range(1, 1004)}
    first = api.get("/customers", limit=400)
    with shop.work() as work:
        work.db.add(Person(name="新来的", first_seen_at=work.now, last_seen_at=work.now))
        work.db.get_one(Person, 3).last_seen_at = work.now.replace(year=2027)
    second = api.get("/customers", limit=400, cursor=first["next_cursor"])
    third = api.get("/customers", limit=400, cursor=second["next_cursor"])
    ids = [one["id"] for page in (first, second, third) for one in page["items"]]
    assert len(ids) == len(set(ids)) == 1003
    assert set(ids) == there
    assert third["next_cursor"] is None


def test_a_cursor_counts_only_in_its_own_list_and_only_as_it_was_given(shop: Shop, api: Caller, rain: str) -> None:
    shop.world.scan(shop.channel("门店").code, name="阿明")
    shop.catch_up()
    cursor = api.get("/customers", limit=1)["next_cursor"]
    problem(api.ask("GET", "/customers", query_string={"cursor": cursor + "x"}), 400, "bad-cursor")
    problem(api.ask("GET", "/customers", query_string={"cursor": "WzFd"}), 400, "bad-cursor")
    problem(api.ask("GET", "/channels", query_string={"cursor": cursor}), 400, "bad-cursor")


WRONG_QUERIES = ("limit=501", "limit=0", "limit=-1", "limit=x", "limit=5.0", "limit=1&limit=2", "tag=5", "tag=t_x",
                 "stage=customer", "colour=red", "q=%00", "owner=" + "x" * 65)  # fmt: skip


@ONE_DATABASE
def test_a_wrong_or_unknown_parameter_is_refused(api: Caller) -> None:
    for query in WRONG_QUERIES:
        found = problem(api.ask("GET", f"/customers?{query}"), 422, "invalid")
        assert found["errors"][0]["loc"][:2] == ["query", query.partition("=")[0]]
        assert found["errors"][0]["msg"]


# --- identities ------------------------------------------------------------------------------------------------------


def test_an_identity_is_added_once_and_found_however_it_is_written(shop: Shop, api: Caller, rain: str) -> None:
    answer = api.post("/customers/p_1/identities", {"type": "phone", "value": "+86 139-1234-0000"})
    assert (answer.status_code, answer.get_json()) == (
        201,
        {"type": "phone", "value": "13912340000", "verified": True},
    )
    again = api.post("/customers/p_1/identities", {"type": "phone", "value": "13912340000"})
    assert (again.status_code, again.get_json()) == (200, answer.get_json())
    for spelling in ("13912340000", "86 13912340000", "(+86)139 1234 0000"):
        assert api.get("/customers/by-identity", type="phone", value=spelling)["id"] == "p_1"
    (row,) = shop.rows(Identity, Identity.type == "phone")
    assert row.source == "api"
    (line,) = shop.rows(AuditRow, AuditRow.action == "customer.identity")
    assert (line.actor, line.subject, line.address) == ("key:pos", "p_1", "127.0.0.1")
    assert "139" not in str(line.details)


def another(shop: Shop, unionid: str | None) -> int:
    with shop.work() as work:
        person = persons.person_of(work, "wmanother0001")
        person.name = "另一位"
        if unionid:
            joining.learn(work, person, [joining.Given("unionid", unionid)], source="wecom")
        return person.id


MEMBER = {"type": "pos-01:member", "value": "M1"}


def test_who_is_known_for_certain_by_the_same_is_one_customer_under_both_ids(
    shop: Shop, api: Caller, rain: str
) -> None:
    another(shop, None)
    assert api.post("/customers/p_1/identities", MEMBER).status_code == 201
    assert api.post("/customers/p_2/identities", MEMBER).status_code == 201
    assert api.get("/customers/p_2") == api.get("/customers/p_1")
    assert api.get("/customers/p_2")["id"] == "p_1"
    assert api.get("/customers/by-identity", **MEMBER)["id"] == "p_1"
    assert api.get("/customers/wmanother0001")["id"] == "p_1"
    assert [one["id"] for one in api.get("/customers")["items"]] == ["p_1"]


def test_an_identity_of_somebody_else_is_a_conflict_that_waits_for_a_person(shop: Shop, api: Caller, rain: str) -> None:
    another(shop, "oU-another")
    assert api.post("/customers/p_1/identities", MEMBER).status_code == 201
    problem(api.post("/customers/p_2/identities", MEMBER), 409, "conflict")
    assert len(shop.rows(Identity, Identity.type == "pos-01:member")) == 1
    (waits,) = shop.rows(Review)
    assert (waits.a, waits.b, waits.kind, waits.why["reason"]) == (1, 2, "conflict", "two_unionids")


def test_a_value_that_names_nobody_is_refused(shop: Shop, api: Caller, rain: str) -> None:
    for value in ("13800138000", "10086", "11111111111"):
        problem(api.post("/customers/p_1/identities", {"type": "phone", "value": value}), 422, "invalid")


def test_an_identity_that_was_only_proposed_becomes_certain(shop: Shop, api: Caller, rain: str) -> None:
    proposed = {"type": "phone", "value": "13912340000", "verified": False}
    assert api.post("/customers/p_1/identities", proposed).get_json()["verified"] is False
    assert api.post("/customers/p_1/identities", {**proposed, "verified": True}).get_json()["verified"] is True
    assert api.post("/customers/p_1/identities", proposed).get_json()["verified"] is True
    assert len(shop.rows(AuditRow, AuditRow.action == "customer.identity")) == 2


WRONG_IDENTITIES: list[tuple[Any, list[str]]] = [
    ({"type": "phone"}, ["body", "value"]),
    ({"type": "phone", "value": "not a phone"}, ["body", "value"]),
    ({"type": "phone", "value": 13912340000}, ["body", "value"]),
    ({"type": "nickname", "value": "x"}, ["body", "type"]),
    ({"type": "pos:member", "value": "  "}, ["body", "value"]),
    ({"type": "pos:member", "value": "a\u0000b"}, ["body", "value"]),
    ({"type": "pos:member", "value": "x", "verified": "yes"}, ["body", "verified"]),
    ({"type": "pos:member", "value": "x", "person_id": 2}, ["body", "person_id"]),
    (["phone"], ["body"]),
]


def test_a_wrong_identity_is_refused_with_the_field(shop: Shop, api: Caller, rain: str) -> None:
    for body, where in WRONG_IDENTITIES:
        found = problem(api.post("/customers/p_1/identities", body), 422, "invalid")
        assert where in [one["loc"] for one in found["errors"]]
    assert {row.type for row in shop.rows(Identity)} == {"external_userid", "unionid"}


# --- tags ------------------------------------------------------------------------------------------------------------


def test_a_tag_reaches_wecom_with_its_reason_and_is_taken_off_again(shop: Shop, api: Caller, rain: str) -> None:
    answer = api.post("/customers/p_1/tags", {"group": "意向", "name": "问价", "because": "在收银台问了会员价"})
    assert answer.status_code == 201
    given = answer.get_json()
    assert given == {
        "id": "t_2",
        "group": "意向",
        "name": "问价",
        "source": "api",
        "because": "在收银台问了会员价",
        "at": "2026-11-22T18:00:00+08:00",
        "at_wecom": "pending",
    }
    shop.catch_up()
    wecom_id = api.get("/tags")["items"][1]["wecom_id"]
    assert shop.world.calls_to("externalcontact/mark_tag")[-1].body == {
        "userid": "lisi",
        "external_userid": rain,
        "add_tag": [wecom_id],
        "remove_tag": [],
    }
    assert api.get("/customers/p_1")["tags"][0]["at_wecom"] == "done"

    assert api.post("/customers/p_1/tags", {"id": "t_2"}).status_code == 200
    gone = api.delete("/customers/p_1/tags/t_2")
    assert (gone.status_code, gone.data) == (204, b"")
    shop.catch_up()
    assert shop.world.calls_to("externalcontact/mark_tag")[-1].body["remove_tag"] == [wecom_id]
    assert [tag["id"] for tag in api.get("/customers/p_1")["tags"]] == ["t_1"]
    problem(api.delete("/customers/p_1/tags/t_2"), 404, "not-found")
    actions = [(line.actor, line.action) for line in shop.rows(AuditRow, AuditRow.subject == "p_1")]
    assert actions == [("key:pos", "customer.tag"), ("key:pos", "customer.untag")]


@ONE_DATABASE
def test_a_tag_says_which_key_put_it_on_when_nobody_says_why(shop: Shop, api: Caller, rain: str) -> None:
    assert api.post("/customers/p_1/tags", {"group": "意向", "name": "问价"}).get_json()["because"] == (
        "由 API 密钥“pos”打上"
    )
    (row,) = shop.rows(PersonTag, PersonTag.source == "api")
    assert row.actor == "key:pos"


WRONG_TAGS: list[Any] = [
    {}, {"group": "意向"}, {"id": "t_1", "name": "x"}, {"id": "t_99"}, {"id": 1}, {"group": "  ", "name": "x"},
     {"group": "意" * 31, "name": "x"}, {"group": "意\n向", "name": "x"}, {"group": "意向", "name": "问价", "x": 1},
]  # fmt: skip


def test_a_wrong_tag_is_refused(shop: Shop, api: Caller, rain: str) -> None:
    for body in WRONG_TAGS:
        problem(api.post("/customers/p_1/tags", body), 422, "invalid")
    assert len(shop.rows(PersonTag)) == 1


@ONE_DATABASE
def test_a_tag_for_nobody_is_not_found(api: Caller) -> None:
    problem(api.post("/customers/p_1/tags", {"group": "意向", "name": "问价"}), 404, "not-found")
    problem(api.delete("/customers/p_1/tags/t_1"), 404, "not-found")


def test_a_birthday_is_kept_as_it_was_said_and_a_day_that_does_not_exist_is_refused(
    shop: Shop, api: Caller, rain: str
) -> None:
    assert api.patch("/customers/p_1", {"birthday": "1996-02-29"}).status_code == 200
    wrong = api.patch("/customers/p_1", {"birthday": "02-31"})
    assert (wrong.status_code, wrong.get_json()["errors"][0]["loc"]) == (422, ["body", "birthday"])
    assert api.get("/customers/p_1")["birthday"] == "1996-02-29"
    assert api.patch("/customers/p_1", {"birthday": None}).get_json()["birthday"] is None
