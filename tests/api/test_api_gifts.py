"""Gifts of points and groups over the API: once for a key, within the shop's limits, refused by name."""

from typing import Any

import pytest

from loyalty import group_buys, transfers
from loyalty.group_buys import Terms
from loyalty.transfers import Limits
from people import persons
from storage.tables import AuditRow, Gift, GroupBuy, GroupSeat, Person
from tests.api.caller import Caller
from tests.api.test_api_points import award, problem
from tests.api.test_api_points import rain as rain
from tests.api.test_api_rewards import put
from tests.shop import Shop


@pytest.fixture
def zhe(shop: Shop) -> str:
    """Another customer, with as many points."""
    with shop.work() as work:
        person = Person(name="阿哲", first_seen_at=work.now, last_seen_at=work.now)
        work.db.add(person)
        work.db.flush()
    award(shop, person.id, 100)
    return persons.public_id(person.id)


def allow(shop: Shop, **facts: Any) -> None:
    with shop.work() as work:
        transfers.set_limits(work, Limits(**{"on": True, "new_days": 0, **facts}), by="boss")
        group_buys.set_terms(work, Terms(on=True, seats=2, percent=80, hours=24), by="boss")


def test_points_are_given_accepted_and_declined_each_once(api: Caller, shop: Shop, rain: str, zhe: str) -> None:
    allow(shop)
    body = {"customer_id": rain, "to_customer_id": zhe, "points": 30}
    first = api.post("/points/gifts", body, once="g-1")
    assert first.status_code == 201
    assert api.post("/points/gifts", body, once="g-1").get_json() == first.get_json()
    gift = first.get_json()
    assert (gift["state"], gift["customer_id"], gift["to_customer_id"]) == ("open", rain, zhe)
    assert api.get(f"/customers/{rain}/points")["available"] == 70
    done = api.post(f"/points/gifts/{gift['id']}/accept", None).get_json()
    assert (done["state"], done["ended_at"] is None) == ("done", False)
    assert api.post(f"/points/gifts/{gift['id']}/accept", None).get_json() == done
    assert problem(api.post(f"/points/gifts/{gift['id']}/decline", None), 409, "conflict")["reason"] == "over"
    other = api.post("/points/gifts", body).get_json()
    assert api.post(f"/points/gifts/{other['id']}/decline", None).get_json()["state"] == "declined"
    assert [one["id"] for one in api.walk("/points/gifts", limit=1)] == [other["id"], gift["id"]]
    assert [one["id"] for one in api.get("/points/gifts", customer_id=zhe, state="done")["items"]] == [gift["id"]]
    assert api.get(f"/points/gifts/{gift['id']}") == done
    assert api.get(f"/customers/{zhe}/points")["available"] == 130
    assert {one.action for one in shop.rows(AuditRow)} >= {"gift.give", "gift.accept", "gift.decline"}


def test_what_is_set_apart_for_a_gift_or_a_group_is_settled_there_alone(
    api: Caller, shop: Shop, rain: str, zhe: str
) -> None:
    allow(shop)
    gift = api.post("/points/gifts", {"customer_id": rain, "to_customer_id": zhe, "points": 30}).get_json()
    group = api.post("/points/groups", {"customer_id": rain, "reward_id": put(shop, stock=2)}).get_json()
    ((of_gift,), (of_seat,)) = ([one.hold_id for one in shop.rows(table)] for table in (Gift, GroupSeat))
    for hold in (of_gift, of_seat):
        for what in ("capture", "release"):
            problem(api.post(f"/points/holds/h_{hold}/{what}", {} if what == "capture" else None), 409, "conflict")
    assert api.post(f"/points/gifts/{gift['id']}/accept", None).get_json()["state"] == "done"
    joined = api.post(f"/points/groups/{group['id']}/seats", {"customer_id": zhe}).get_json()
    assert joined["state"] == "done"
    assert [api.get(f"/customers/{one}/points")["available"] for one in (rain, zhe)] == [100 - 30 - 48, 130 - 48]


def test_what_need_not_be_accepted_is_there_at_once(api: Caller, shop: Shop, rain: str, zhe: str) -> None:
    allow(shop, accept=False)
    gift = api.post("/points/gifts", {"customer_id": rain, "to_customer_id": zhe, "points": 30}).get_json()
    assert gift["state"] == "done"


def test_refusals_of_gifts_say_their_reason_and_its_facts(api: Caller, shop: Shop, rain: str, zhe: str) -> None:
    def refused(points: int = 10, to: str = zhe, kind: str = "conflict") -> dict[str, Any]:
        return problem(
            api.post("/points/gifts", {"customer_id": rain, "to_customer_id": to, "points": points}), 409, kind
        )

    assert refused()["reason"] == "off"
    allow(shop, day=5)
    assert (refused()["reason"], refused()["left"]) == ("day_limit", 5)
    assert refused(to=rain)["reason"] == "oneself"
    allow(shop, new_days=30)
    assert (refused()["reason"], refused()["until"][:4]) == ("new", str(shop.now().year))
    allow(shop)
    assert refused(101, kind="not-enough-points")["available"] == 100
    body = {"customer_id": rain, "to_customer_id": "p_999", "points": 1}
    problem(api.post("/points/gifts", body), 404, "not-found")
    problem(api.post("/points/gifts", {**body, "points": 0}), 422, "invalid")
    for wrong in ("g_999", "7", "g_"):
        problem(api.ask("GET", f"/points/gifts/{wrong}"), 404, "not-found")
    problem(api.ask("GET", "/points/gifts?state=lost"), 422, "invalid")
    assert shop.rows(Gift) == []


def test_a_group_is_begun_once_joined_and_full(api: Caller, shop: Shop, rain: str, zhe: str) -> None:
    allow(shop)
    cup = put(shop, stock=2)
    body = {"customer_id": rain, "reward_id": cup}
    first = api.post("/points/groups", body, once="b-1")
    assert first.status_code == 201
    assert api.post("/points/groups", body, once="b-1").get_json() == first.get_json()
    group = first.get_json()
    assert (group["state"], group["seats"], group["points"]) == ("open", 2, 48)
    assert [one["customer_id"] for one in group["joined"]] == [rain]
    full = api.post(f"/points/groups/{group['id']}/seats", {"customer_id": zhe}).get_json()
    assert full["state"] == "done"
    assert [one["customer_id"] for one in full["joined"]] == [rain, zhe]
    for one in full["joined"]:
        assert api.get(f"/points/redemptions/{one['redemption_id']}")["points"] == 48
    assert api.get(f"/points/groups/{group['id']}") == full
    assert api.get("/points/groups", state="open")["items"] == []
    assert [one["id"] for one in api.walk("/points/groups")] == [group["id"]]
    assert api.post(f"/points/groups/{group['id']}/seats", {"customer_id": zhe}).status_code == 200


def test_refusals_of_groups_say_their_reason(api: Caller, shop: Shop, rain: str, zhe: str) -> None:
    cup, coupon = put(shop), put(shop, kind="coupon")
    body = {"customer_id": rain, "reward_id": cup}
    assert problem(api.post("/points/groups", body), 409, "conflict")["reason"] == "off"
    allow(shop)
    assert problem(api.post("/points/groups", {**body, "reward_id": coupon}), 409, "conflict")["reason"] == "kind"
    problem(api.post("/points/groups", {**body, "reward_id": "rw_999"}), 422, "invalid")
    group = api.post("/points/groups", body).get_json()["id"]
    told = problem(api.post(f"/points/groups/{group}/seats", {"customer_id": zhe}), 409, "conflict")
    assert told["reason"] == "sold_out", "the only piece is kept for the first seat"
    shop.advance(hours=25)
    told = problem(api.post(f"/points/groups/{group}/seats", {"customer_id": zhe}), 409, "conflict")
    assert (told["reason"], told["state"]) == ("over", "open")
    problem(api.ask("GET", "/points/groups/gb_999"), 404, "not-found")
    assert len(shop.rows(GroupBuy)) == 1
