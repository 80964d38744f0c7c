"""Rewards over the API: listed, redeemed once, shown as they stand; refused by name."""

from typing import Any

import pytest

from loyalty import reward_desk, rewards
from loyalty.reward_desk import Draft
from storage.tables import AuditRow, PointsHold, Redemption, Reward
from tests.api.caller import Caller
from tests.api.test_api_points import problem
from tests.api.test_api_points import rain as rain
from tests.shop import Shop


def put(shop: Shop, **facts: Any) -> str:
    with shop.work() as work:
        row = reward_desk.keep(work, Draft(**{"name": "杯子", "points": 60, "stock": 1, **facts}), "boss")
        reward_desk.move(row, "go")
        return f"rw_{row.id}"


def test_a_reward_is_listed_redeemed_once_for_a_key_and_shown_until_it_is_handed_out(
    api: Caller, shop: Shop, rain: str
) -> None:
    cup = put(shop, stores=("静安店",), per_person=2)
    (listed,) = api.get("/rewards")["items"]
    assert (listed["id"], listed["points"], listed["stock"], listed["stores"]) == (cup, 60, 1, ["静安店"])
    body = {"customer_id": rain, "reward_id": cup}
    first = api.post("/points/redemptions", body, once="m-1")
    assert first.status_code == 201
    assert api.post("/points/redemptions", body, once="m-1").get_json() == first.get_json()
    told = first.get_json()
    assert (told["state"], told["points"], told["available"], told["reward_id"]) == ("open", 60, 40, cup)
    assert api.get(f"/points/redemptions/{told['id']}") == told
    (row,) = shop.rows(Redemption)
    assert rewards.read_code(told["code"]) == row.code
    with shop.work() as work:
        rewards.hand_out(work, row.id, "静安店", "lisi", "x")
    done = api.get(f"/points/redemptions/{told['id']}")
    assert (done["state"], done["store"], done["code"]) == ("used", "静安店", None)
    assert [one.details["redemption"] for one in shop.rows(AuditRow, AuditRow.action == "points.redeem")] == [row.id]


def test_a_coupon_tells_its_code_to_whoever_asked_for_it(api: Caller, shop: Shop, rain: str) -> None:
    coupon = put(shop, kind="coupon", points=10)
    with shop.work() as work:
        reward_desk.add_codes(work, reward_desk.held(work, int(coupon[3:])), ["TEN-OFF"])
    told = api.post("/points/redemptions", {"customer_id": rain, "reward_id": coupon}).get_json()
    assert (told["state"], told["coupon"], told["available"]) == ("used", "TEN-OFF", 90)


@pytest.mark.parametrize(
    ("facts", "reason"), [({"stock": 0}, "sold_out"), ({"level": "black"}, "level"), ({"per_day": 1}, "day_limit")]
)
def test_what_stands_in_the_way_is_told_by_a_reason(
    api: Caller, shop: Shop, rain: str, facts: dict[str, Any], reason: str
) -> None:
    cup = put(shop, **{"points": 10, "stock": None, **facts})
    body = {"customer_id": rain, "reward_id": cup}
    if reason == "day_limit":
        assert api.post("/points/redemptions", body).status_code == 201
    assert problem(api.post("/points/redemptions", body), 409, "conflict")["reason"] == reason


def test_too_few_points_and_rewards_that_are_not_there_are_refused(api: Caller, shop: Shop, rain: str) -> None:
    dear = put(shop, points=101)
    told = problem(api.post("/points/redemptions", {"customer_id": rain, "reward_id": dear}), 409, "not-enough-points")
    assert told["available"] == 100
    for wrong in ("rw_999", "7", "x" * 40):
        problem(api.post("/points/redemptions", {"customer_id": rain, "reward_id": wrong}), 422, "invalid")
    problem(api.post("/points/redemptions", {"customer_id": rain, "reward_id": dear, "points": 1}), 422, "invalid")
    for wrong in ("rd_999", "x_1", "rd_"):
        problem(api.ask("GET", f"/points/redemptions/{wrong}"), 404, "not-found")
    assert shop.rows(Redemption) == []
    assert [one.stock for one in shop.rows(Reward)] == [1]


def test_the_hold_of_a_redemption_is_not_settled_behind_its_back(api: Caller, shop: Shop, rain: str) -> None:
    api.post("/points/redemptions", {"customer_id": rain, "reward_id": put(shop)})
    (hold,) = shop.rows(PointsHold)
    for verb, body in (("release", None), ("capture", {})):
        problem(api.post(f"/points/holds/h_{hold.id}/{verb}", body), 409, "conflict")
    assert [one.state for one in shop.rows(PointsHold)] == ["open"]
