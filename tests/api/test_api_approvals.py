"""Points given over the API: at once where it is little, by another key's word where it is not."""

import pytest

from loyalty.ledger import standing
from storage.tables import Approval, AuditRow, PointsAccount, PointsTxn
from tests.api.caller import Caller, Json, problem
from tests.shop import Shop


@pytest.fixture
def rain(shop: Shop) -> str:
    shop.world.scan(shop.channel(text="").code, name="小雨")
    shop.catch_up()
    return "p_1"


def available(shop: Shop) -> int:
    with shop.db() as db:
        return standing.standing(db, [one.id for one in db.query(PointsAccount)], shop.now()).available


def award(api: Caller, points: int, to: str = "p_1", **more: str) -> Json:
    answer = api.post("/points/awards", {"customer_id": to, "points": points, "reason": "生日"}, **more)
    assert answer.status_code in (201, 202), answer.text
    found: Json = answer.get_json()
    assert (found["approval"] is None) == (answer.status_code == 201)
    return found


def test_a_little_is_there_at_once_and_once(shop: Shop, api: Caller, rain: str) -> None:
    first = award(api, 150, once="k1")
    assert (first["customer_id"], first["available"]) == (rain, 150)
    assert award(api, 150, once="k1") == first
    external = api.get(f"/customers/{rain}")["external_userid"]
    assert award(api, 50, to=external)["available"] == 200
    (txn, _) = shop.rows(PointsTxn)
    assert (str(txn.id), txn.actor, txn.reason) == (first["transaction_id"], "key:pos", "生日")
    assert [one.action for one in shop.rows(AuditRow, AuditRow.subject == rain)][-2:] == ["points.award"] * 2


def test_much_waits_for_another_key(shop: Shop, api: Caller, rain: str) -> None:
    asked = award(api, 500)
    approval = asked["approval"]
    assert (asked["transaction_id"], asked["available"]) == (None, None)
    assert (approval["state"], approval["grade"], approval["because"]) == ("waiting", 1, ["person"])
    path = f"/approvals/{approval['id']}"
    refused = problem(api.post(f"{path}/approve", {}), 403, "not-yours-to-decide")
    assert refused["because"] == "own"
    problem(api.post(f"{path}/reject", {"reason": "不"}), 403, "not-yours-to-decide")
    other = Caller(shop, name="office")
    for _ in range(2):
        assert other.post(f"{path}/approve", {}).get_json()["state"] == "done"
    assert available(shop) == 500
    assert api.get(path)["words"][0]["by"] == "key:office"
    problem(api.post(f"{path}/cancel", {}), 409, "conflict")
    assert [one["id"] for one in api.walk("/approvals", limit=1)] == [approval["id"]]
    assert api.get("/approvals", state="waiting")["items"] == []


def test_a_no_ends_it(shop: Shop, api: Caller, rain: str) -> None:
    path = f"/approvals/{award(api, 500)['approval']['id']}"
    other = Caller(shop, name="office")
    assert problem(other.post(f"{path}/cancel", {}), 403, "not-yours-to-decide")["because"] == "not_maker"
    assert other.post(f"{path}/reject", {"reason": "不对"}).get_json()["note"] == "不对"
    assert problem(other.post(f"{path}/approve", {}), 409, "conflict")["state"] == "rejected"
    assert available(shop) == 0


def test_whoever_asked_lets_it_be(shop: Shop, api: Caller, rain: str) -> None:
    path = f"/approvals/{award(api, 500)['approval']['id']}"
    for _ in range(2):
        assert api.post(f"{path}/cancel", {}).get_json()["state"] == "cancelled"
    assert available(shop) == 0


def test_a_correction_takes_exactly_so_many_or_nothing(shop: Shop, api: Caller, rain: str) -> None:
    award(api, 100)
    down = {"customer_id": rain, "points": -30, "reason": "重复"}
    done = api.post("/points/adjustments", down)
    assert (done.status_code, done.get_json()["available"]) == (201, 70)
    refused = problem(api.post("/points/adjustments", {**down, "points": -71}), 409, "conflict")
    assert refused["available"] == 70
    assert (available(shop), len(shop.rows(Approval))) == (70, 2)
    problem(api.post("/points/adjustments", {**down, "points": 0}), 422, "invalid")


def test_what_is_wrong_is_named(shop: Shop, api: Caller, rain: str) -> None:
    body = {"customer_id": rain, "points": 5, "reason": "生日"}
    problem(api.post("/points/awards", {**body, "customer_id": "p_999"}), 404, "not-found")
    problem(api.post("/points/awards", {**body, "points": -5}), 422, "invalid")
    problem(api.post("/points/awards", {**body, "reason": " "}), 422, "invalid")
    problem(api.ask("GET", "/approvals/a_9"), 404, "not-found")
    problem(Caller(shop, "points:read", name="eye").post("/points/awards", body), 403, "missing-scope")
    problem(Caller(shop, "points:write", name="till").post("/approvals/a_1/approve", {}), 403, "missing-scope")
