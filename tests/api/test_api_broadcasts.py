"""Broadcasts over the API: refused with the reason, looked at, approved by a second key, read back, stopped."""

from dataclasses import replace
from typing import Any

import pytest

from storage.tables import AuditRow, MassTask
from tests.api.caller import Caller, Json, problem
from tests.shop import Shop

COUNTED = ("states", "reps", "deleted")
"""What is counted over all receivers, so of one broadcast at a time."""
TEXT = "本周五会员日，全场八折。{rep}"


@pytest.fixture
def segment(shop: Shop, api: Caller) -> str:
    channel = shop.channel(text="")
    for name in ("小雨", "阿哲", "林夕"):
        shop.world.scan(channel.code, name=name)
    shop.catch_up()
    made: Json = api.post("/segments", {"name": "所有人", "filter": {"all": []}}).get_json()
    return str(made["id"])


def make(api: Caller, segment: str, **changes: Any) -> Json:
    answer = api.post(
        "/broadcasts", {"name": "双十一", "segment_id": segment, "text": TEXT, "send_at": None, **changes}
    )
    assert answer.status_code == 201, answer.text
    made: Json = answer.get_json()
    return made


def run(shop: Shop) -> None:
    for _ in range(6):
        shop.advance(seconds=30)
        shop.tick()


def test_a_broadcast_of_the_contracts_shape_goes_out_and_tells_how_it_stands(
    shop: Shop, api: Caller, segment: str
) -> None:
    made = make(api, segment)
    assert (made["state"], made["segment_id"]) == ("draft", segment)
    shown = api.post(f"/broadcasts/{made['id']}/preflight", {}).get_json()
    assert shown == {"selected": 3, "will_get_it": 3, "control": 0, "held_out": 0, "left_out": {}}
    assert api.post(f"/broadcasts/{made['id']}/approve", {}).get_json()["state"] == "approved"
    run(shop)
    assert sum(one.size for one in shop.rows(MassTask)) == 3
    for userid in shop.world.members:
        for errand in shop.world.mass_todos(userid):
            shop.world.confirm_mass(userid, errand.msgid)
    run(shop)
    found = api.get(f"/broadcasts/{made['id']}")
    assert (found["state"], found["states"]) == ("done", {"sent": 3})
    assert sum(one["sent"] for one in found["reps"]) == 3
    page = api.get("/broadcasts")
    assert page == {"items": [{k: v for k, v in found.items() if k not in COUNTED}], "next_cursor": None}
    assert found["deleted"] == 0
    reps = api.get(f"/broadcasts/{made['id']}/reps")["items"]
    assert all(one["confirmed_at"] and not one["open"] for one in reps)
    assert sum(one["states"]["sent"] for one in reps) == 3
    customers = list(api.walk(f"/broadcasts/{made['id']}/customers", limit=2))
    assert [(one["state"], one["arm"], one["deleted"]) for one in customers] == [("sent", "a", False)] * 3
    assert api.get(f"/broadcasts/{made['id']}/customers", state="quota")["items"] == []
    assert [one["id"] for one in api.walk("/broadcasts")] == [made["id"]]
    assert [one.action for one in shop.rows(AuditRow, AuditRow.subject == made["id"])] == [
        "broadcast.create",
        "broadcast.approve",
    ]


@pytest.mark.parametrize(
    ("changes", "loc"),
    [
        ({"text": "{name}你好"}, ["body", "text"]),
        ({"other_text": "{points}"}, ["body", "other_text"]),
        ({"segment_id": "s_99"}, ["body", "segment_id"]),
        ({"send_at": "2020-01-01T00:00:00+08:00"}, ["body", "send_at"]),
        ({"text": "字" * 2000}, ["body", "text"]),
    ],
)
def test_what_cannot_be_sent_is_refused_at_its_field(api: Caller, segment: str, changes: Json, loc: list[str]) -> None:
    answer = api.post("/broadcasts", {"name": "双十一", "segment_id": segment, "text": TEXT, **changes})
    assert [one["loc"] for one in problem(answer, 422, "invalid")["errors"]] == [loc]


def test_a_big_one_needs_a_second_key(shop: Shop, api: Caller, segment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(shop.app.extensions, "rules", replace(shop.parts.rules, second_above=2))
    made = make(api, segment)
    approve = f"/broadcasts/{made['id']}/approve"
    assert api.post(approve, {}).get_json()["state"] == "asked"
    problem(api.post(approve, {}), 422, "invalid")
    second = Caller(shop, "broadcasts", name="second")
    assert second.post(approve, {}).get_json()["state"] == "approved"


def test_a_stopped_one_reaches_nobody_any_more(shop: Shop, api: Caller, segment: str) -> None:
    made = make(api, segment)
    api.post(f"/broadcasts/{made['id']}/approve", {})
    run(shop)
    assert api.post(f"/broadcasts/{made['id']}/stop", {}).get_json()["state"] == "stopped"
    run(shop)
    assert all(not shop.world.mass_todos(one) for one in shop.world.members)
    assert api.get(f"/broadcasts/{made['id']}")["states"] == {"cancelled": 3}


def test_nobody_is_no_audience(api: Caller) -> None:
    empty = api.post("/segments", {"name": "没有人", "filter": {"not": {"all": []}}}).get_json()["id"]
    made = make(api, empty)
    assert problem(api.post(f"/broadcasts/{made['id']}/approve", {}), 422, "invalid")["errors"][0]["loc"] == [
        "body",
        "segment_id",
    ]
    problem(api.ask("GET", "/broadcasts/b_99"), 404, "not-found")


def test_attachments_recurrence_and_control_go_through_and_come_back(shop: Shop, api: Caller, segment: str) -> None:
    link = {"kind": "link", "title": "菜单", "url": "https://shop.example/menu"}
    repeat = {"every": "week", "days": [5], "at": "10:00", "until": "2027-03-31"}
    made = make(api, segment, attachments=[link], repeat=repeat, control=2000, metric="left", other_text="周五见")
    assert made["contents"] == [
        {"arm": "a", "text": TEXT, "attachments": [link]},
        {"arm": "b", "text": "周五见", "attachments": [link]},
    ]
    assert (made["control"], made["metric"], made["parent_id"]) == (2000, "left", None)
    assert made["repeat"] == {**repeat, "working": True}
    assert api.post(f"/broadcasts/{made['id']}/approve", {}).get_json()["send_at"] == "2026-11-27T10:00:00+08:00"


def test_a_broadcast_to_groups_counts_groups_and_says_which_were_reached(shop: Shop, api: Caller) -> None:
    room = shop.world.open_group("lisi", "一群", []).chat_id
    shop.advance(seconds=10)
    shop.catch_up()
    made = api.post("/broadcasts", {"name": "群里说", "text": "今天有新品", "chat_ids": [room, "wr-none"]}).get_json()
    shown = api.post(f"/broadcasts/{made['id']}/preflight", {}).get_json()
    assert shown == {"selected": 2, "will_get_it": 1, "control": 0, "held_out": 0, "left_out": {"gone": 1}}
    api.post(f"/broadcasts/{made['id']}/approve", {})
    run(shop)
    (errand,) = shop.world.mass_todos("lisi")
    reminded = api.post(f"/broadcasts/{made['id']}/remind", {"userids": ["lisi"]}).get_json()
    assert reminded == {"reminded": ["lisi"], "refused": []}
    run(shop)
    assert errand.reminders == 1
    for _ in range(2):
        api.post(f"/broadcasts/{made['id']}/remind", {})
        shop.advance(seconds=2)
    assert api.post(f"/broadcasts/{made['id']}/remind", {}).get_json() == {"reminded": [], "refused": ["lisi"]}
    shop.world.confirm_mass("lisi", errand.msgid)
    shop.advance(minutes=30)
    run(shop)
    (line,) = api.get(f"/broadcasts/{made['id']}/reps")["items"]
    assert (line["userid"], line["groups_reached"]) == ("lisi", [room])


def test_the_outcome_is_told_at_its_time_and_not_before(shop: Shop, api: Caller, segment: str) -> None:
    made = make(api, segment, control=5000)
    outcome = f"/broadcasts/{made['id']}/outcome"
    assert api.get(outcome)["comparison"] is None
    api.post(f"/broadcasts/{made['id']}/approve", {})
    run(shop)
    early = api.get(outcome)["comparison"]
    assert (early["over"], early["pairs"]) == (False, [])
    assert {one["did"] for one in early["arms"]} == {None}
    shop.advance(days=8)
    late = api.get(outcome)["comparison"]
    assert [one["saying"] for one in late["pairs"]] == ["not enough data"]
    assert sum(one["assigned"] for one in late["arms"]) == 3


def test_an_attachment_or_a_rule_that_cannot_be_is_refused_at_its_place(api: Caller, segment: str) -> None:
    own = {"name": "双十一", "segment_id": segment, "text": TEXT}
    for wrong, loc in (
        ({"attachments": [{"kind": "image", "media": 99}]}, ["body", "attachments", 0]),
        ({"repeat": {"every": "week", "at": "10:00"}}, ["body", "repeat"]),
    ):
        errors = problem(api.post("/broadcasts", {**own, **wrong}), 422, "invalid")["errors"]
        assert [one["loc"] for one in errors] == [loc]
