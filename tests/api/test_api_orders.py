"""Orders, refunds and events over the open API: each of a batch for itself, once, and the person they make or find."""

from typing import Any

from storage.tables import PointsTxn, Refund, ShopOrder
from tests.api.caller import Caller, problem
from tests.shop import Shop

PAID = "2026-11-01T10:00:00+08:00"


def order(number: str = "A1001", **more: Any) -> dict[str, Any]:
    who = {"type": "pos-01:member", "value": "m1"}
    return {"source": "pos-01", "order_no": number, "paid_at": PAID, "amount": "199.90", "identity": who, **more}


def test_a_batch_is_counted_and_each_bad_order_is_named_by_its_place(shop: Shop, api: Caller) -> None:
    told = [order(), order("A2", amount="-1.00"), order("A3", currency="USD"), order(), order("A4", colour="red")]
    answer = api.post("/orders", {"orders": told})
    assert answer.status_code == 200, answer.text
    found = answer.get_json()
    assert (found["accepted"], found["duplicate"]) == (1, 1)
    assert [one["index"] for one in found["rejected"]] == [1, 2, 4]
    assert [one["error"].split(":")[0] for one in found["rejected"]] == ["amount", "currency", "colour"]
    assert [one.order_no for one in shop.rows(ShopOrder)] == ["A1001"]


def test_the_contract_s_order_makes_a_person_that_later_evidence_finds(shop: Shop, api: Caller) -> None:
    code = shop.channel().code
    shop.world.scan(code, name="小雨", userid="lisi")
    shop.catch_up()
    (known,) = api.get("/customers")["items"]
    who = {"type": "external_userid", "value": known["external_userid"]}
    told = {**order(identity=who), "store": "上海静安店", "staff": "zhangsan",
            "lines": [{"sku": "S1", "name": "拿铁", "category": "咖啡", "quantity": 2, "amount": "60.00"}]}  # fmt: skip
    assert api.post("/orders", {"orders": [told]}).get_json()["accepted"] == 1
    lines = api.get(f"/customers/{known['id']}/interactions")["items"]
    assert "bought" in [one["kind"] for one in lines]
    found = api.get("/customers/by-identity", type="external_userid", value=known["external_userid"])
    assert found["id"] == known["id"]


def test_the_same_key_gives_the_first_answer_and_another_body_is_refused(shop: Shop, api: Caller) -> None:
    body = {"orders": [order()]}
    first = api.post("/orders", body, once="k1").get_json()
    assert api.post("/orders", body, once="k1").get_json() == first
    problem(api.post("/orders", {"orders": [order("A2")]}, once="k1"), 409, "idempotency-key-reused")
    assert len(shop.rows(PointsTxn)) == 1


def test_a_refund_takes_back_and_one_above_the_order_is_refused(shop: Shop, api: Caller) -> None:
    api.post("/orders", {"orders": [order()]})
    refund = {"source": "pos-01", "refund_no": "R1", "order_no": "A1001", "refunded_at": PAID, "amount": "50.00"}
    answer = api.post("/refunds", {"refunds": [refund, {**refund, "refund_no": "R2", "amount": "150.00"}]}).get_json()
    assert (answer["accepted"], [one["index"] for one in answer["rejected"]]) == (1, [1])
    assert [one.refund_no for one in shop.rows(Refund)] == ["R1"]
    assert [one.kind for one in shop.rows(PointsTxn)] == ["award", "claw"]


def test_what_people_did_is_told_once(shop: Shop, api: Caller) -> None:
    api.post("/orders", {"orders": [order()]})
    did = {"source": "app", "event_id": "e1", "kind": "review", "at": PAID, "identity": order()["identity"],
           "details": {"stars": 2}}  # fmt: skip
    assert api.post("/events", {"events": [did, {**did, "kind": "SHOUT"}]}).get_json()["accepted"] == 1
    assert api.post("/events", {"events": [did]}).get_json()["duplicate"] == 1
    (person,) = api.get("/customers")["items"]
    lines = api.get(f"/customers/{person['id']}/interactions", kind="did")["items"]
    assert len(lines) == 1


def test_a_batch_has_1_to_1000_and_a_key_needs_the_scope(shop: Shop, api: Caller) -> None:
    problem(api.post("/orders", {"orders": []}), 422, "invalid")
    problem(api.post("/orders", {"orders": [order(str(n)) for n in range(1001)]}), 422, "invalid")
    reader = Caller(shop, "orders:read", name="reader")
    problem(reader.post("/orders", {"orders": [order()]}), 403, "missing-scope")
