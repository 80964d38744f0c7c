"""Points over the API: seen, explained, spent at once or in two steps; refused by name, and done once."""

from datetime import timedelta
from typing import Any

import pytest

from loyalty import accounts
from loyalty.ledger import earn
from loyalty.ledger.book import About
from loyalty.ledger.claw import Policy, claw_back
from loyalty.ledger.earn import Grant
from people import persons
from storage.tables import AuditRow, Person, PointsHold, PointsTxn
from tests.api.caller import PROBLEM, Caller
from tests.shop import Shop

Json = dict[str, Any]


@pytest.fixture
def rain(shop: Shop) -> str:
    """A customer with 100 points until the end of the year, and 30 that wait."""
    with shop.work() as work:
        person = Person(name="小雨", first_seen_at=work.now, last_seen_at=work.now)
        work.db.add(person)
        work.db.flush()
    award(shop, person.id, 100, days=40, source="order:pos-01:A1")
    award(shop, person.id, 30, pends=7, source="order:pos-01:A2")
    return persons.public_id(person.id)


def award(shop: Shop, person_id: int, points: int, *, days: float | None = None, pends: float = 0, **about: Any) -> int:
    with shop.work() as work:
        alive = work.now + timedelta(days=pends)
        grant = Grant(points, alive, None if days is None else alive + timedelta(days=days), "purchase")
        account = accounts.open_account(work, person_id)
        what = About("award", f"test:{person_id}:{points}:{about}", work.now, "test", reason="消费", **about)
        return earn.award(work, account, [grant], what).id


def problem(answer: Any, status: int, kind: str) -> Json:
    assert (answer.status_code, answer.mimetype) == (status, PROBLEM), answer.text
    found: Json = answer.get_json()
    assert found["type"].endswith(kind)
    return found


def test_a_customer_has_points_pending_ones_and_days_on_which_they_end(api: Caller, shop: Shop, rain: str) -> None:
    last = (shop.now() + timedelta(days=40)).astimezone(shop.parts.zone)
    points = {
        "available": 100,
        "pending": 30,
        "held": 0,
        "debt": 0,
        "tier": "silver",
        "expiring": [{"on": f"{last:%Y-%m-%d}", "points": 100, "if_idle": 0}],
    }
    assert api.get(f"/customers/{rain}/points") == points
    assert api.get(f"/customers/{rain}")["points"] == points
    assert [one["points"] for one in api.get("/customers")["items"] if one["id"] == rain] == [points]


def test_somebody_without_an_account_has_nothing_and_can_spend_nothing(api: Caller, shop: Shop) -> None:
    with shop.work() as work:
        work.db.add(Person(name="新", first_seen_at=work.now, last_seen_at=work.now))
    (new,) = (persons.public_id(one.id) for one in shop.rows(Person, Person.name == "新"))
    assert api.get(f"/customers/{new}/points")["available"] == 0
    assert api.get(f"/customers/{new}/points/entries") == {"items": [], "next_cursor": None}
    told = problem(api.post("/points/redemptions", {"customer_id": new, "points": 1}), 409, "not-enough-points")
    assert told["available"] == 0


def test_points_are_spent_once_for_a_key_and_the_entries_say_so(api: Caller, shop: Shop, rain: str) -> None:
    body = {"customer_id": rain, "points": 60, "reason": "满减券"}
    first = api.post("/points/redemptions", body, once="till-1")
    assert first.status_code == 201
    assert (first.get_json()["points"], first.get_json()["available"]) == (60, 40)
    assert api.post("/points/redemptions", body, once="till-1").get_json() == first.get_json()
    problem(api.post("/points/redemptions", {**body, "points": 61}, once="till-1"), 409, "idempotency-key-reused")
    entries = api.walk(f"/customers/{rain}/points/entries", limit=2)
    assert [(one["kind"], one["points"], one["reason"]) for one in entries] == [
        ("redeem", -60, "满减券"),
        ("award", 30, "消费"),
        ("award", 100, "消费"),
    ]
    assert entries[0]["id"] == first.get_json()["id"]
    assert (entries[0]["actor"], entries[2]["source"]) == ("key:pos", "order:pos-01:A1")
    assert [(one["bucket"], one["points"]) for one in entries[0]["moves"]] == [("available", -60)]
    assert [one.action for one in shop.rows(AuditRow, AuditRow.subject == rain)] == ["points.redeem"]


def test_too_many_points_are_refused_with_what_there_is_and_nothing_changes(api: Caller, shop: Shop, rain: str) -> None:
    before = len(shop.rows(PointsTxn))
    for path in ("/points/redemptions", "/points/holds"):
        told = problem(api.post(path, {"customer_id": rain, "points": 101}), 409, "not-enough-points")
        assert told["available"] == 100
    assert len(shop.rows(PointsTxn)) == before


def test_who_owes_points_cannot_spend_and_is_told_how_many(api: Caller, shop: Shop, rain: str) -> None:
    with shop.work() as work:
        own = accounts.accounts_of(work.db, [int(rain[2:])])
    (order,) = (one.id for one in shop.rows(PointsTxn) if one.source.endswith("A1"))
    api.post("/points/redemptions", {"customer_id": rain, "points": 90})
    with shop.work() as work:
        claw_back(work, own, order, 100, About("claw", "r", work.now, "test", reverses=order), Policy())
    told = problem(api.post("/points/redemptions", {"customer_id": rain, "points": 1}), 409, "in-debt")
    assert told["debt"] == api.get(f"/customers/{rain}/points")["debt"] > 0


def test_what_is_set_apart_is_captured_in_part_or_released_and_decided_once(api: Caller, shop: Shop, rain: str) -> None:
    hold = api.post("/points/holds", {"customer_id": rain, "points": 70, "purpose": "cart"}, once="h1")
    assert hold.status_code == 201
    made = hold.get_json()
    assert (made["state"], made["customer_id"], made["purpose"]) == ("open", rain, "cart")
    assert (api.get(f"/customers/{rain}/points")["held"], api.get(f"/customers/{rain}/points")["available"]) == (70, 30)
    done = api.post(f"/points/holds/{made['id']}/capture", {"points": 50})
    assert (done.status_code, done.get_json()["state"], done.get_json()["captured"]) == (200, "captured", 50)
    assert api.get(f"/customers/{rain}/points")["available"] == 50
    told = problem(api.post(f"/points/holds/{made['id']}/release", None), 409, "hold-settled")
    assert told["state"] == "captured"
    other = api.post("/points/holds", {"customer_id": rain, "points": 20}).get_json()
    assert api.post(f"/points/holds/{other['id']}/release", None).get_json()["state"] == "released"
    assert api.get(f"/customers/{rain}/points")["available"] == 50
    assert sorted(one.state for one in shop.rows(PointsHold)) == ["captured", "released"]


@pytest.mark.parametrize(
    ("path", "change", "loc"),
    [
        ("/points/redemptions", {"points": 0}, ["body", "points"]),
        ("/points/redemptions", {"points": 1.5}, ["body", "points"]),
        ("/points/redemptions", {"points": None}, ["body", "points"]),
        ("/points/redemptions", {"reward_id": "w_1"}, ["body", "reward_id"]),
        ("/points/holds", {"until": "2020-01-01T00:00:00+08:00"}, ["body", "until"]),
        ("/points/holds", {"until": "2026-12-01T00:00:00"}, ["body", "until"]),
        ("/points/holds", {"extra": 1}, ["body", "extra"]),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(
    api: Caller, rain: str, path: str, change: Json, loc: list[str]
) -> None:
    told = problem(api.post(path, {"customer_id": rain, "points": 5, **change}), 422, "invalid")
    assert loc in [one["loc"] for one in told["errors"]]


def test_a_hold_nobody_knows_and_too_many_of_one_are_refused(api: Caller, rain: str) -> None:
    for name in ("h_1", "h_x", "17", "h_" + "9" * 30):
        problem(api.post(f"/points/holds/{name}/capture", {}), 404, "not-found")
    made = api.post("/points/holds", {"customer_id": rain, "points": 5}).get_json()
    problem(api.post(f"/points/holds/{made['id']}/capture", {"points": 6}), 422, "invalid")
    assert api.post(f"/points/holds/{made['id']}/capture", {}).get_json()["captured"] == 5


def test_only_a_key_for_points_sees_and_spends_them(shop: Shop, rain: str) -> None:
    eye = Caller(shop, "points:read", name="eye")
    assert eye.get(f"/customers/{rain}/points")["available"] == 100
    problem(eye.post("/points/redemptions", {"customer_id": rain, "points": 1}), 403, "missing-scope")
    other = Caller(shop, "customers", name="other")
    problem(other.ask("GET", f"/customers/{rain}/points"), 403, "missing-scope")
