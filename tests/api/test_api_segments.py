"""Segments through the open API: made in the contract's shape, counted, listed, frozen, refused at the exact place."""

from typing import Any

import pytest

from insight.fields import FIELDS
from insight.values import EVER, NEVER
from storage.tables import AuditRow, Segment
from tests.api.caller import ONE_DATABASE, Caller, Json, problem
from tests.shop import Shop

EVERYBODY: Json = {"all": []}


@pytest.fixture
def rain(shop: Shop) -> Json:
    """Two customers, one of whom came over a code with a tag."""
    code = shop.channel().code
    shop.world.scan(code, name="小雨", userid="lisi")
    shop.world.scan(shop.channel("门店", tags=()).code, name="阿明", userid="zhangsan")
    shop.catch_up()
    return {"field": "channel", "op": "has", "value": code}


def make(api: Caller, filter_: Json, name: str = "抖音来的", **more: Any) -> Json:
    answer = api.post("/segments", {"name": name, "filter": filter_, **more})
    assert answer.status_code == 201, answer.text
    found: Json = answer.get_json()
    return found


def test_a_segment_of_the_contracts_shape_counts_and_lists_its_members(shop: Shop, api: Caller, rain: Json) -> None:
    made = make(api, {"all": [rain, {"field": "last_talk_days", "op": "not_in_last", "value": 30}]})
    assert (made["id"], made["kind"], made["version"], made["size"]) == ("s_1", "live", 1, 1)
    assert [one["name"] for one in api.walk("/segments/s_1/members")] == ["小雨"]
    assert [one["name"] for one in api.walk("/segments/s_1/members", limit=1)] == ["小雨"]
    everybody = make(api, EVERYBODY, "所有人")
    assert everybody["size"] == 2
    assert [one["id"] for one in api.walk("/segments", limit=1)] == ["s_2", "s_1"]
    assert [line.action for line in shop.rows(AuditRow, AuditRow.subject == "s_1")] == ["segment.create"]


def test_a_tag_is_asked_for_by_its_id(api: Caller, rain: Json) -> None:
    (tag,) = [one for one in api.walk("/tags") if one["name"] == "抖音"]
    made = make(api, {"field": "tag", "op": "has", "value": tag["id"]})
    assert made["size"] == 1


def test_a_static_segment_stays_and_a_live_one_goes_on(shop: Shop, api: Caller, rain: Json) -> None:
    make(api, EVERYBODY, "所有人")
    frozen = make(api, EVERYBODY, "今天的所有人", kind="static")
    shop.world.scan(rain["value"], name="新来的", userid="lisi")
    shop.catch_up()
    assert api.get("/segments/s_1")["size"] == 3
    assert api.get(f"/segments/{frozen['id']}")["size"] == 2
    refused = problem(api.patch(f"/segments/{frozen['id']}", {"filter": rain}), 422, "invalid")
    assert refused["errors"][0]["loc"] == ["body", "filter"]
    assert api.patch(f"/segments/{frozen['id']}", {"name": "那天的"}).get_json()["name"] == "那天的"


def test_the_same_idempotency_key_makes_one_segment(shop: Shop, api: Caller, rain: Json) -> None:
    body = {"name": "所有人", "filter": EVERYBODY}
    first = api.post("/segments", body, once="k1").get_json()
    assert api.post("/segments", body, once="k1").get_json() == first
    problem(api.post("/segments", {**body, "name": "别的"}, once="k1"), 409, "idempotency-key-reused")
    assert len(shop.rows(Segment)) == 1


def test_a_segment_is_changed_and_deleted(api: Caller, rain: Json) -> None:
    make(api, EVERYBODY, "所有人")
    changed = api.patch("/segments/s_1", {"filter": rain}).get_json()
    assert (changed["version"], changed["size"], changed["name"]) == (2, 1, "所有人")
    assert api.patch("/segments/s_1", {}).get_json()["version"] == 2
    assert api.delete("/segments/s_1").status_code == 204
    problem(api.ask("GET", "/segments/s_1"), 404, "not-found")
    problem(api.ask("GET", "/segments/s_1/members"), 404, "not-found")
    assert api.get("/segments")["items"] == []


def test_every_field_is_listed_with_examples_that_have_the_right_form(api: Caller) -> None:
    listed = {one["field"]: one for one in api.get("/segments/fields")["items"]}
    assert list(listed) == [one.name for one in FIELDS]
    for field in FIELDS:
        for told in listed[field.name]["operators"]:
            bare = told["op"] in (EVER, NEVER)
            assert bare or list(field.form.faults(told["op"], told["example"])) == [], (field.name, told)


@pytest.mark.parametrize(
    ("filter_", "loc"),
    [
        ({"all": [{"field": "tag", "op": "has", "value": "t_99"}]}, ["body", "filter", "all", 0, "value"]),
        ({"any": []}, ["body", "filter", "any"]),
        ({"not": {"field": "colour", "op": "is", "value": 1}}, ["body", "filter", "not", "field"]),
    ],
)
@ONE_DATABASE
def test_a_wrong_tree_is_refused_at_the_exact_place(shop: Shop, api: Caller, filter_: Json, loc: list[Any]) -> None:
    refused = problem(api.post("/segments", {"name": "x", "filter": filter_}), 422, "invalid")
    assert [one["loc"] for one in refused["errors"]] == [loc]
    assert refused["errors"][0]["msg"]
    assert shop.rows(Segment) == []


@ONE_DATABASE
def test_customers_tell_and_are_found_by_their_life_cycle(shop: Shop, api: Caller, rain: Json) -> None:
    assert api.get("/customers/p_1")["life_cycle"] is None
    shop.advance(minutes=11)
    shop.tick()
    assert api.get("/customers/p_1")["life_cycle"] == "new"
    assert len(api.walk("/customers", life_cycle="new")) == 2
    assert api.walk("/customers", life_cycle="lost") == []
