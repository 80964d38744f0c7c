"""Tag rules through the open API: made in the contract's shape, tried, applied to the past, undone."""

from typing import Any

import pytest

from people import persons
from storage import answers
from storage.tables import AuditRow, Person, PersonTag, TagRule
from tagging import rules
from tagging.rules import Words
from tests.api.caller import Caller, Json, problem
from tests.shop import Shop

PRICE = {
    "name": "问价",
    "any_keywords": ["多少钱", "价格"],
    "not_keywords": ["不谈价格"],
    "tags": [{"group": "意向", "name": "问价"}],
}


def make(api: Caller, **changes: Any) -> Json:
    answer = api.post("/tag-rules", {**PRICE, **changes})
    assert answer.status_code == 201, answer.text
    found: Json = answer.get_json()
    return found


def say(shop: Shop, text: str, external: str = "wm1") -> None:
    """A customer's line, heard by the rules there are."""
    with shop.work() as work:
        person = persons.person_of(work, external)
        details = {"text": text}
        once = f"{external}:{text}"
        row = {
            "person_id": person.id,
            "userid": None,
            "kind": "kf_in",
            "at": work.now,
            "details": details,
            "once": once,
        }
        line = persons.told(work, row)
        assert line is not None
        rules.hear(work, work.db.get_one(Person, person.id), Words(text, line, rules.KF, work.now))


def test_a_rule_of_the_contracts_shape_tags_from_the_next_message_on(shop: Shop, api: Caller) -> None:
    made = make(api)
    assert (made["id"], made["kind"], made["version"], made["state"]) == ("r_1", "keyword", 1, "active")
    assert made["any_keywords"] == ["多少钱", "价格"]
    assert [(tag["group"], tag["name"]) for tag in made["tags"]] == [("意向", "问价")]
    say(shop, "这件多少钱")
    (tag,) = api.get("/customers/p_1")["tags"]
    assert (tag["name"], tag["source"], tag["because"]) == ("问价", "keyword", "说了“多少钱”，符合规则“问价”")
    assert api.get("/tag-rules/r_1")["hits_30_days"] == 1
    assert [line.action for line in shop.rows(AuditRow, AuditRow.subject == "r_1")] == ["rule.create"]


def test_the_same_idempotency_key_makes_one_rule(shop: Shop, api: Caller) -> None:
    first = api.post("/tag-rules", PRICE, once="k1").get_json()
    assert api.post("/tag-rules", PRICE, once="k1").get_json() == first
    assert len(shop.rows(TagRule)) == 1


def test_a_rule_and_the_answer_kept_for_it_are_there_together_or_not_at_all(
    shop: Shop, api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise RuntimeError("the process dies")

    with monkeypatch.context() as patched:
        patched.setattr(answers, "keep", dies)
        problem(api.post("/tag-rules", PRICE, once="k1"), 500, "internal")
    assert shop.rows(TagRule) == []
    assert api.post("/tag-rules", PRICE, once="k1").status_code == 201


def test_a_rule_is_changed_stopped_and_deleted(shop: Shop, api: Caller) -> None:
    make(api)
    changed = api.patch("/tag-rules/r_1", {"any_keywords": ["怎么卖"], "cap": 3}).get_json()
    assert (changed["version"], changed["any_keywords"], changed["cap"]) == (2, ["怎么卖"], 3)
    assert changed["not_keywords"] == ["不谈价格"]
    assert api.patch("/tag-rules/r_1", {"state": "stopped"}).get_json()["state"] == "stopped"
    say(shop, "怎么卖")
    assert shop.rows(PersonTag) == []
    assert api.delete("/tag-rules/r_1").status_code == 204
    problem(api.ask("GET", "/tag-rules/r_1"), 404, "not-found")
    assert api.get("/tag-rules")["items"] == []


def test_a_preview_tells_what_would_have_been_and_changes_nothing(shop: Shop, api: Caller) -> None:
    say(shop, "多少钱一斤")
    say(shop, "几点开门", "wm2")
    make(api)
    seen = api.post("/tag-rules/r_1/preview", {"days": 7}).get_json()
    assert (seen["messages"], seen["hits"], seen["people"]) == (2, 1, 1)
    assert seen["keywords"] == [{"keyword": "多少钱", "hits": 1}]
    assert seen["samples"][0]["customer_id"] == "p_1"
    assert shop.rows(PersonTag) == []


def test_a_key_that_may_not_read_customers_gets_counts_but_nothing_they_said(shop: Shop, api: Caller) -> None:
    say(shop, "多少钱一斤")
    make(api)
    for scopes, samples in (
        (("tags:read",), 0),
        (("tags", "customers:write"), 0),
        (("tags:read", "customers:read"), 1),
    ):
        seen = Caller(shop, *scopes, name="+".join(scopes)).post("/tag-rules/r_1/preview", {}).get_json()
        assert (seen["hits"], seen["people"], len(seen["samples"])) == (1, 1, samples), scopes
        assert ("一斤" in str(seen)) is bool(samples), scopes


def test_backfill_and_undo_are_carried_out_by_the_worker(shop: Shop, api: Caller) -> None:
    say(shop, "多少钱一斤")
    make(api)
    answer = api.post("/tag-rules/r_1/backfill", {})
    assert (answer.status_code, answer.get_json()["backfill"]) == (202, "running")
    shop.advance(seconds=6)
    shop.tick()
    assert api.get("/tag-rules/r_1")["backfill"] == "done"
    assert [tag["name"] for tag in api.get("/customers/p_1")["tags"]] == ["问价"]
    assert api.post("/tag-rules/r_1/undo", None).status_code == 202
    shop.advance(seconds=6)
    shop.tick()
    undone = api.get("/tag-rules/r_1")
    assert (undone["undo"], undone["state"], undone["hits_30_days"]) == ("done", "stopped", 0)
    assert api.get("/customers/p_1")["tags"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**PRICE, "any_keywords": []}, "any_keywords"),
        ({**PRICE, "tags": []}, "tags"),
        ({**PRICE, "colour": "red"}, "colour"),
        ({**PRICE, "scope": {"channels": ["cNowhere"]}}, "scope"),
        ({**PRICE, "scope": {"who": ["rep"]}}, "who"),
        ({**PRICE, "any_keywords": [{"text": "(a+", "mode": "pattern"}]}, "any_keywords"),
    ],
)
def test_a_wrong_rule_is_refused_by_field(api: Caller, body: Json, field: str) -> None:
    refused = problem(api.post("/tag-rules", body), 422, "invalid")
    assert field in str(refused["errors"])


def test_a_key_without_the_scope_is_refused(shop: Shop, api: Caller) -> None:
    problem(Caller(shop, "customers:read", name="till").ask("GET", "/tag-rules"), 403, "missing-scope")
