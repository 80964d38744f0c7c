"""Journeys through the open API: written, published, walked, changed only as a new version, stopped; faults named."""

from typing import Any

import pytest

from api.journeys import EXAMPLE
from people import consent
from storage.tables import AuditRow, Enrolment, Journey, Person, RepCard
from tests.api.caller import ONE_DATABASE, Caller, Json, problem
from tests.shop import Shop

BY_API = {"on": "api"}
JOBS = ("read what happened", "walk journeys")


def definition(**changes: Any) -> Json:
    return {**EXAMPLE, "control": 0, **changes}


def made(api: Caller, **changes: Any) -> str:
    answer = api.post("/journeys", {"name": "新客回访", "definition": definition(**changes)})
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["id"])


def live(api: Caller, **changes: Any) -> str:
    journey = made(api, **changes)
    answer = api.post(f"/journeys/{journey}/publish", {"cut": False})
    assert answer.status_code == 200, answer.text
    return journey


def arrive(shop: Shop, name: str = "小雨") -> int:
    """Somebody comes, and every job about journeys has looked."""
    external = shop.world.add_by_phone("lisi", name).external_userid
    shop.catch_up()
    shop.advance(seconds=30)
    shop.run(*JOBS)
    (person,) = shop.rows(Person, Person.name == name)
    assert external
    return int(person.id)


def test_a_journey_is_written_published_walked_and_read_back(shop: Shop, api: Caller) -> None:
    shop.open_for_business()
    journey = made(api)
    shown = api.get(f"/journeys/{journey}")
    assert (shown["state"], shown["live_version"], shown["versions"], shown["rounds"]) == ("off", None, [], {})
    assert shown["draft"] == definition()
    published = api.post(f"/journeys/{journey}/publish", {"cut": False}).get_json()
    assert (published["state"], published["live_version"], published["draft"]) == ("live", 1, None)
    assert published["live"] == definition()
    assert [(one["number"], one["by"]) for one in published["versions"]] == [(1, "key:pos")]
    person = arrive(shop)
    (round_,) = api.walk(f"/journeys/{journey}/rounds")
    assert (round_["customer_id"], round_["state"], round_["step"], round_["version"]) == (
        f"p_{person}",
        "live",
        "s1",
        1,
    )
    assert round_["because"]["kind"] == "added"
    assert round_["due_at"].startswith("2026-11-25T10:00:00+08:00")
    shop.advance(days=3)
    shop.run(*JOBS)
    assert [one.text for one in shop.rows(RepCard)] == ["你好 小雨，豆子喝得惯吗？"]
    assert api.get(f"/journeys/{journey}")["rounds"] == {"done": 1}
    assert api.walk(f"/journeys/{journey}/rounds", state="live") == []
    assert [one["state"] for one in api.walk(f"/journeys/{journey}/rounds", state="done", limit=1)] == ["done"]
    told = [one.action for one in shop.rows(AuditRow, AuditRow.subject == journey)]
    assert told == ["journey.create", "journey.publish"]


def test_what_is_live_changes_only_as_a_new_version_and_stops_either_way(shop: Shop, api: Caller) -> None:
    shop.open_for_business()
    journey = live(api)
    refused = problem(api.patch(f"/journeys/{journey}", {"name": "x"}), 409, "conflict")
    assert f"/journeys/{journey}/versions" in refused["detail"]
    problem(api.post(f"/journeys/{journey}/publish", {"cut": False}), 409, "conflict")
    arrive(shop)
    opened = api.post(f"/journeys/{journey}/versions", None)
    assert (opened.status_code, opened.get_json()["draft"]) == (201, definition())
    problem(api.ask("POST", f"/journeys/{journey}/versions"), 409, "conflict")
    steps = [{"id": "s1", "do": "wait", "days": 30}]
    assert api.patch(f"/journeys/{journey}", {"definition": definition(steps=steps)}).status_code == 200
    assert api.get(f"/journeys/{journey}")["live"] == definition()
    second = api.post(f"/journeys/{journey}/publish", {"cut": False}).get_json()
    assert (second["live_version"], second["live"]["steps"]) == (2, steps)
    arrive(shop, "阿哲")
    assert [one["version"] for one in api.walk(f"/journeys/{journey}/rounds")] == [2, 1]
    drained = api.post(f"/journeys/{journey}/stop", {"cut": False}).get_json()
    assert (drained["state"], drained["rounds"]) == ("draining", {"live": 2})
    cut = api.post(f"/journeys/{journey}/stop", {"cut": True}).get_json()
    assert (cut["state"], cut["rounds"]) == ("stopped", {"leaving": 2})
    shop.run("walk journeys")
    assert {one["left_because"] for one in api.walk(f"/journeys/{journey}/rounds", state="left")} == {"stopped"}
    problem(api.post(f"/journeys/{journey}/stop", {"cut": True}), 409, "conflict")


def test_only_what_was_never_published_is_thrown_away(shop: Shop, api: Caller) -> None:
    draft, published = made(api), live(api)
    assert api.delete(f"/journeys/{draft}").status_code == 204
    assert api.ask("GET", f"/journeys/{draft}").status_code == 404
    assert problem(api.delete(f"/journeys/{published}"), 409, "conflict")["detail"].startswith("已经发布过")
    assert [one.subject for one in shop.rows(AuditRow, AuditRow.action == "journey.discard")] == [draft]


def test_another_system_lets_a_customer_set_out_once_for_each_key(shop: Shop, api: Caller) -> None:
    shop.open_for_business()
    person = arrive(shop)
    journey = live(api, trigger=BY_API, again={"rule": "each"})
    body = {"customer_id": f"p_{person}", "key": "A1001"}
    path = f"/journeys/{journey}/enrolments"
    first = api.post(path, body, once="k1")
    assert (first.status_code, first.get_json()["set_out"], first.get_json()["round"]["key"]) == (
        201,
        True,
        "api:A1001",
    )
    assert api.post(path, body, once="k1").get_json() == first.get_json()
    again = api.post(path, body)
    assert (again.status_code, again.get_json()["set_out"], again.get_json()["because"]) == (200, False, "on_the_way")
    assert api.post(path, {**body, "key": "A1002"}).status_code == 201
    assert len(shop.rows(Enrolment)) == 2
    with shop.work() as work:
        consent.opt_out(work, work.db.get_one(Person, person), by="kf")
    assert api.post(path, {**body, "key": "A1003"}).get_json()["because"] == "opted_out"
    problem(api.post(path, {**body, "customer_id": "p_99"}), 404, "not-found")
    other = live(api)
    problem(api.post(f"/journeys/{other}/enrolments", body), 409, "conflict")
    assert [one.action for one in shop.rows(AuditRow, AuditRow.action == "journey.enrol")] == ["journey.enrol"] * 2


def test_a_draft_is_tried_on_last_month_and_a_live_one_tells_how_far_people_come(shop: Shop, api: Caller) -> None:
    shop.open_for_business()
    arrive(shop)
    journey = made(api, control=5000)
    tried = api.post(f"/journeys/{journey}/dry-run", None).get_json()
    assert (tried["by_day"], tried["set_out"], tried["left_out"]) == ({"2026-11-22": 1}, 1, {})
    assert (tried["walked"], tried["steps"]) == (1, {"s1": 1})
    before = api.get(f"/journeys/{journey}/outcome")
    assert (before["steps"], before["arms"], before["saying"]) == ([], [], None)
    empty = made(api, steps=[])
    problem(api.post(f"/journeys/{empty}/dry-run", None), 422, "invalid")
    api.post(f"/journeys/{journey}/publish", {"cut": False})
    for name in ("一", "二", "三", "四", "五", "六"):
        arrive(shop, name)
    told = api.get(f"/journeys/{journey}/outcome")
    assert told["steps"] == [{"id": "s1", "waiting": 6, "outcomes": {}, "opens": 0}]
    assert [one["control"] for one in told["arms"]] == [False, True]
    assert sum(one["assigned"] for one in told["arms"]) == 6
    assert {(one["over"], one["reached"]) for one in told["arms"]} == {(0, None)}
    assert (told["saying"], told["said_at"][:10]) == (None, "2027-02-20")


SEND = {"id": "s1", "do": "send", "ways": ["card"], "text": "你好"}
WRONG: list[tuple[Json, list[Any]]] = [
    ({"steps": [SEND, {**SEND, "id": "s2", "text": ""}]}, ["steps", 1, "text"]),
    ({"steps": [{**SEND, "ways": ["mass"], "text": "{name}你好"}]}, ["steps", 0, "text"]),
    ({"steps": [{**SEND, "text": "看看 {link}"}]}, ["steps", 0, "text"]),
    ({"steps": [{**SEND, "text": "看看 {link:99}"}]}, ["steps", 0, "text"]),
    ({"steps": [{**SEND, "ways": [{"a": 1}]}]}, ["steps", 0, "ways"]),
    ({"steps": [{**SEND, "attachments": [{"kind": "image", "media": 10**30}]}]}, ["steps", 0, "attachments", 0]),
    ({"steps": [{**SEND, "attachments": [{"kind": "link", "title": "x", "url": "ftp://x"}]}]},
     ["steps", 0, "attachments", 0]),
    ({"steps": [{**SEND, "next": {"to": 1}}]}, ["steps", 0, "next"]),
    ({"steps": [{"id": "s1", "do": "tag", "add": 5}]}, ["steps", 0, "add"]),
    ({"steps": [{"id": "s1", "do": "dance"}]}, ["steps", 0, "do"]),
    ({"steps": [{"id": "s1", "do": "split", "arms": [{"name": "a", "share": 5000}, {"name": "a", "share": 5000}]}]},
     ["steps", 0, "arms"]),
    ({"steps": [{"id": "s1", "do": "branch", "ways": [{"if": {"any": []}, "to": "end"}]}]},
     ["steps", 0, "ways", 0, "if", "any"]),
    ({"trigger": {"on": "segment", "segment": 10**30, "first": False}}, ["trigger", "segment"]),
    ({"trigger": {"on": "date", "date": "birthday", "days": 99, "at": "10:00"}}, ["trigger", "days"]),
    ({"again": {"rule": "after", "days": 3, "more": float("nan")}}, ["again", "more"]),
    ({"who": {"field": "tag", "op": "has", "value": "t_99"}}, ["who", "value"]),
    ({"control": 9000}, ["control"]),
]  # fmt: skip


@ONE_DATABASE
def test_everything_wrong_is_named_at_its_place_and_nothing_is_kept(shop: Shop, api: Caller) -> None:
    for changes, place in WRONG:
        answer = api.post("/journeys", {"name": "x", "definition": definition(**changes)})
        refused = problem(answer, 422, "invalid")
        assert [one["loc"] for one in refused["errors"]] == [["body", "definition", *place]], changes
        assert refused["errors"][0]["msg"]
    assert shop.rows(Journey) == []


@pytest.mark.parametrize(
    ("steps", "loc"),
    [
        ([], ["steps"]),
        ([{**SEND, "next": "s9"}], ["steps", 0]),
        ([{"id": "s1", "do": "end"}, {**SEND, "id": "s2"}], ["steps", 1]),
        ([{**SEND, "next": "s1"}], ["steps", 0]),
    ],
)
@ONE_DATABASE
def test_what_leads_nowhere_may_be_kept_but_not_published(api: Caller, steps: list[Json], loc: list[Any]) -> None:
    journey = made(api, steps=steps)
    refused = problem(api.post(f"/journeys/{journey}/publish", {"cut": False}), 422, "invalid")
    assert refused["errors"][0]["loc"] == ["body", "definition", *loc]
    assert api.get(f"/journeys/{journey}")["state"] == "off"


@ONE_DATABASE
def test_journeys_are_listed_the_newest_first_and_made_once_for_each_key(api: Caller) -> None:
    body = {"name": "一", "definition": definition()}
    first = api.post("/journeys", body, once="k").get_json()
    assert api.post("/journeys", body, once="k").get_json() == first
    made(api)
    assert [one["id"] for one in api.walk("/journeys", limit=1)] == ["j_2", "j_1"]
    for path in ("/journeys/j_99", "/journeys/99", "/journeys/j_99/rounds"):
        problem(api.ask("GET", path), 404, "not-found")
    problem(api.ask("GET", "/journeys/j_1/rounds?state=dancing"), 422, "invalid")
