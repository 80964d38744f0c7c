"""Who may call, how often, and what everything that goes wrong looks like."""

import json
import logging
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from api import docs
from api.problems import KINDS
from api.rate import PER_MINUTE, Rate
from api.table import OPERATIONS
from people import api_keys
from storage import answers
from storage.database import transaction
from storage.tables import ApiKey, AuditRow, Channel, IdempotentAnswer, Identity, PersonTag
from tests.api.caller import ONE_DATABASE, PREFIX, Caller, make_key, problem
from tests.shop import Shop

TAG = {"group": "意向", "name": "问价"}
IN_DOCS = {"api_docs.document", "api_docs.page", "api_docs.own", "api_docs.static", "api_docs.kinds", "api_docs.kind"}

SIGNED = {"api.receive"}
"""Doors that want a signature instead of a key."""


@pytest.fixture
def rain(shop: Shop) -> str:
    arrival = shop.world.scan(shop.channel().code, name="小雨", userid="lisi")
    shop.catch_up()
    return arrival.external_userid


# --- keys ------------------------------------------------------------------------------------------------------------


class Named(dict[str, str]):
    """What stands in an address: an id of its kind where nothing else is said, such as ``t_1`` for ``tag_id``."""

    def __missing__(self, name: str) -> str:
        return f"{name[0]}_1"


@ONE_DATABASE
def test_every_operation_wants_a_key_and_the_right_scope(shop: Shop) -> None:
    rules = [rule for rule in shop.app.url_map.iter_rules() if rule.rule.startswith(PREFIX)]
    guarded = {f"api.{one.name}" for one in OPERATIONS}
    assert {rule.endpoint for rule in rules} == guarded | IN_DOCS | SIGNED
    nobody = Caller(shop, key="scrm_" + "x" * 43)
    for one in OPERATIONS:
        path = one.path.format_map(Named(customer_id="p_1", code="c1"))
        answer = nobody.ask(one.method, path)
        problem(answer, 401, "no-valid-key")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        other = "reports" if one.subject != "reports" else "tags"
        wrong_verb = f"{one.subject}:{'write' if one.verb == 'read' else 'read'}"
        for scopes in ((other,), (wrong_verb,)):
            found = problem(Caller(shop, *scopes).ask(one.method, path), 403, "missing-scope")
            assert f"{one.subject}:{one.verb}" in found["detail"]
        for scope in ("all", one.subject, f"{one.subject}:{one.verb}"):
            assert Caller(shop, scope).ask(one.method, path).status_code not in (401, 403)


def test_a_key_that_expired_or_was_revoked_opens_nothing_from_the_next_request_on(shop: Shop) -> None:
    row, key = make_key(shop, "tags", expires_at=shop.now() + timedelta(hours=1))
    caller = Caller(shop, key=key)
    assert caller.ask("GET", "/tags").status_code == 200
    shop.advance(hours=1)
    problem(caller.ask("GET", "/tags"), 401, "no-valid-key")
    row, key = make_key(shop, "tags")
    caller = Caller(shop, key=key)
    assert caller.ask("GET", "/tags").status_code == 200
    with shop.work() as work:
        api_keys.revoke(work, row.id)
    problem(caller.ask("GET", "/tags"), 401, "no-valid-key")


@ONE_DATABASE
def test_only_the_header_counts(shop: Shop) -> None:
    _, key = make_key(shop)
    client = shop.app.test_client()
    with client.session_transaction() as session:
        session["user"] = "boss"
    for name in ("scrm", "__Host-scrm", "session", "api_key"):
        client.set_cookie(name, key)
    for headers in ({}, {"Authorization": key}, {"Authorization": f"Basic {key}"}, {"X-Api-Key": key},
                    {"Authorization": "Bearer"}, {"Authorization": "Bearer \xff"}):  # fmt: skip
        problem(client.get(f"{PREFIX}/tags", headers=headers), 401, "no-valid-key")
    problem(client.get(f"{PREFIX}/tags?api_key={key}"), 401, "no-valid-key")
    assert client.get(f"{PREFIX}/tags", headers={"Authorization": f"bearer {key}"}).status_code == 200


def test_only_a_digest_is_kept_and_the_last_use_is_noted_once_a_minute(shop: Shop) -> None:
    row, key = make_key(shop)
    assert key not in json.dumps([row.digest, row.hint, row.name])
    caller = Caller(shop, key=key)
    used = []
    for seconds in (0, 30, 31):
        shop.advance(seconds=seconds)
        assert caller.ask("GET", "/tags").status_code == 200
        used.append(shop.rows(ApiKey)[-1].last_used_at)
    assert used[0] == used[1]
    assert used[2] - used[0] == timedelta(seconds=61)


# --- how often -------------------------------------------------------------------------------------------------------


@ONE_DATABASE
def test_one_key_is_slowed_down_and_another_is_not(shop: Shop, api: Caller) -> None:
    assert shop.app.extensions["api_rate"].per_minute == PER_MINUTE == 600
    shop.app.extensions["api_rate"] = Rate(30)
    other = Caller(shop, "tags", name="other")
    statuses = [api.ask("GET", "/tags").status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    answer = api.ask("GET", "/tags")
    problem(answer, 429, "too-many-requests")
    assert answer.headers["Retry-After"] == "2"
    assert other.ask("GET", "/tags").status_code == 200
    shop.advance(seconds=2)
    assert [api.ask("GET", "/tags").status_code for _ in range(2)] == [200, 429]


# --- what goes wrong -------------------------------------------------------------------------------------------------


@ONE_DATABASE
def test_everything_below_our_address_goes_wrong_as_a_problem(shop: Shop, api: Caller, rain: str) -> None:
    problem(api.ask("GET", "/nothing"), 404, "not-found")
    problem(api.ask("GET", ""), 404, "not-found")
    problem(shop.app.test_client().get("/api/v1/nothing"), 404, "not-found")
    answer = api.ask("PUT", "/channels", json={})
    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    post = f"/customers/{rain}/tags"
    problem(api.ask("POST", post, data="{", content_type="application/json"), 400, "malformed-json")
    problem(api.ask("POST", post, data=b"\xff\xfe", content_type="application/json"), 400, "malformed-json")
    problem(api.ask("POST", post, data="", content_type="application/json"), 400, "malformed-json")
    problem(api.ask("POST", post, data='{"group": "\\ud800"}', content_type="application/json"), 400, "malformed-json")
    problem(api.ask("POST", post, data="[" * 5000, content_type="application/json"), 400, "malformed-json")
    problem(api.ask("POST", post, data="group=a"), 415, "unsupported-media-type")
    problem(api.ask("POST", post, data={"group": "a"}), 415, "unsupported-media-type")
    large = json.dumps({**TAG, "because": "x" * 1024 * 1024})
    problem(api.ask("POST", post, data=large, content_type="application/json"), 413, "too-large")
    problem(api.post(post, TAG, once="x" * 256), 400, "bad-request")
    problem(api.post(post, TAG, once="密"), 400, "bad-request")
    assert len(shop.rows(PersonTag)) == 1


@ONE_DATABASE
def test_an_unexpected_error_tells_nothing_of_our_insides(
    shop: Shop, api: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("secret of the house in /srv/app.py")

    monkeypatch.setattr("tagging.tags.page", broken)
    with caplog.at_level(logging.ERROR):
        answer = api.ask("GET", "/tags")
    problem(answer, 500, "internal")
    assert "secret" not in answer.text
    assert "/srv" not in answer.text
    assert "RuntimeError" in caplog.text

    def locked(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("SELECT secret", None, Exception("locked"))

    monkeypatch.setattr("tagging.tags.page", locked)
    answer = api.ask("GET", "/tags")
    problem(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert "SELECT" not in answer.text


@ONE_DATABASE
def test_every_kind_of_problem_is_explained_at_its_address(shop: Shop) -> None:
    client = shop.app.test_client()
    listed = client.get(f"{PREFIX}/problems").get_json()["items"]
    assert [one["type"] for one in listed] == [kind.type for kind in KINDS]
    for one in listed:
        assert client.get(one["type"]).get_json() == one
        assert one["meaning"]
    problem(client.get(f"{PREFIX}/problems/none"), 404, "not-found")


@ONE_DATABASE
def test_answers_are_not_kept_by_anybody_and_carry_the_headers_of_the_house(shop: Shop, api: Caller) -> None:
    for path in ("/tags", "/nothing"):
        answer = api.ask("GET", path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in answer.headers
        assert "Access-Control-Allow-Origin" not in answer.headers
    whole, head = api.ask("GET", "/tags"), api.ask("HEAD", "/tags")
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    options = shop.app.test_client().options(f"{PREFIX}/channels")
    assert options.status_code == 200
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


# --- repeating safely ------------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer_and_does_nothing(shop: Shop, api: Caller, rain: str) -> None:
    first = api.post("/customers/p_1/tags", TAG, once="order-17")
    assert api.delete("/customers/p_1/tags/t_2").status_code == 204
    again = api.ask(
        "POST",
        "/customers/p_1/tags",
        data=json.dumps(dict(reversed(TAG.items())), indent=2),
        content_type="application/json",
        headers={"Idempotency-Key": "order-17"},
    )
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert (first.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert "Idempotency-Replayed" not in first.headers
    assert [tag["id"] for tag in api.get("/customers/p_1")["tags"]] == ["t_1"]
    shop.advance(hours=25)
    assert api.post("/customers/p_1/tags", TAG, once="order-17").data == first.data


def test_a_key_used_for_another_request_is_a_conflict(shop: Shop, api: Caller, rain: str) -> None:
    assert api.post("/customers/p_1/tags", TAG, once="k").status_code == 201
    problem(api.post("/customers/p_1/tags", {**TAG, "name": "别的"}, once="k"), 409, "idempotency-key-reused")
    problem(api.post(f"/customers/{rain}/tags", TAG, once="k"), 409, "idempotency-key-reused")
    identity = {"type": "pos:member", "value": "1"}
    problem(api.post("/customers/p_1/identities", identity, once="k"), 409, "idempotency-key-reused")
    assert Caller(shop, name="other").post("/customers/p_1/tags", TAG, once="k").status_code == 200
    assert len(shop.rows(PersonTag)) == 2
    assert len(shop.rows(Identity)) == 1


def test_a_request_that_failed_leaves_its_key_free(shop: Shop, api: Caller, rain: str) -> None:
    problem(api.post("/customers/p_2/tags", TAG, once="k"), 404, "not-found")
    problem(api.post("/customers/p_1/tags", {"id": "t_99"}, once="k"), 422, "invalid")
    assert api.post("/customers/p_1/tags", TAG, once="k").status_code == 201
    assert len(shop.rows(IdempotentAnswer)) == 1


def test_twelve_at_once_make_one_code(shop: Shop) -> None:
    body = {"name": "同时", "members": ["lisi"]}
    caller = Caller(shop)
    statuses: list[tuple[int, str]] = []
    start = threading.Barrier(12)

    def ask() -> None:
        own = Caller(shop, key=caller.key)
        start.wait()
        answer = own.post("/channels", body, once="same")
        statuses.append((answer.status_code, answer.get_json().get("type", answer.get_json().get("code"))))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shop.rows(Channel)) == len(shop.world.contact_ways) == 1
    assert len(statuses) == 12
    code = shop.rows(Channel)[0].code
    assert set(statuses) <= {(201, code), (409, f"{PREFIX}/problems/in-progress")}
    assert (201, code) in statuses
    assert caller.post("/channels", body, once="same").get_json()["code"] == code


def test_a_request_whose_process_died_is_taken_over_after_a_minute(shop: Shop, api: Caller, rain: str) -> None:
    def die(*args: Any, **kwargs: Any) -> None:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagging.tags.give", die)
        with pytest.raises(SystemExit):
            api.post("/customers/p_1/tags", TAG, once="k")
    answer = api.post("/customers/p_1/tags", TAG, once="k")
    problem(answer, 409, "in-progress")
    assert answer.headers["Retry-After"] == "1"
    shop.advance(seconds=59)
    problem(api.post("/customers/p_1/tags", TAG, once="k"), 409, "in-progress")
    shop.advance(seconds=1)
    assert api.post("/customers/p_1/tags", TAG, once="k").status_code == 201
    assert len(shop.rows(AuditRow, AuditRow.action == "customer.tag")) == 1


def test_a_code_whose_process_died_after_wecom_made_it_is_completed(shop: Shop, api: Caller) -> None:
    body = {"name": "半路", "members": ["lisi"]}

    def die(*args: Any, **kwargs: Any) -> None:
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tagging.channels.made_at_wecom", die)
        with pytest.raises(SystemExit):
            api.post("/channels", body, once="k")
    assert len(shop.world.contact_ways) == 1
    shop.advance(minutes=1)
    made = api.post("/channels", body, once="k")
    assert made.status_code == 201
    assert list(shop.world.contact_ways) == [made.get_json()["config_id"]]
    assert len(shop.rows(Channel)) == 1


def test_a_slow_request_that_was_taken_over_undoes_its_work(shop: Shop) -> None:
    row, _ = make_key(shop)
    with transaction(shop.parts.engine) as db:
        slow = answers.claim(db, row.id, "k", "digest", shop.now())
    assert isinstance(slow, answers.Claim)
    shop.advance(minutes=2)
    with transaction(shop.parts.engine) as db:
        quick = answers.claim(db, row.id, "k", "digest", shop.now())
    assert isinstance(quick, answers.Claim)
    with pytest.raises(answers.StillRunning), transaction(shop.parts.engine) as db:
        answers.keep(db, slow, 201, "{}")
    with pytest.raises(answers.StillRunning), transaction(shop.parts.engine) as db:
        answers.note(db, slow, "c1")
    with transaction(shop.parts.engine) as db:
        answers.release(db, slow)
        answers.keep(db, quick, 201, '{"a": 1}')
    with transaction(shop.parts.engine) as db:
        assert answers.claim(db, row.id, "k", "digest", shop.now()) == answers.Kept(201, '{"a": 1}')
        assert answers.forget_old(db, shop.now() + timedelta(hours=47)) == 0
        assert answers.forget_old(db, shop.now() + timedelta(hours=49)) == 1


# --- the pages about it ----------------------------------------------------------------------------------------------


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON that says nothing twice."""
    found = dict(pairs)
    assert len(found) == len(pairs), [name for name, _ in pairs]
    return found


@ONE_DATABASE
def test_the_document_and_the_page_need_no_key_and_hold_no_data(shop: Shop, rain: str) -> None:
    client = shop.app.test_client()
    document = json.loads(client.get(f"{PREFIX}/openapi.json").text, object_pairs_hook=without_repetition)
    assert document["openapi"] == "3.1.0"
    told = {(method.upper(), path) for path, some in document["paths"].items() for method in some}
    assert told == {(one.method, one.path) for one in OPERATIONS}
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)
    text = json.dumps(document)
    assert rain not in text
    assert "小雨" not in text
    names = set(document["components"]["schemas"])
    for reference in text.split('"#/components/schemas/')[1:]:
        assert reference.partition('"')[0] in names
    page = client.get(f"{PREFIX}/docs")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    assert "https://" not in page.text
    page.close()
    for name in ("docs/docs.js", "docs/docs.css", "docs/ui/js/swagger-ui-bundle.js", "docs/ui/css/swagger-ui.css"):
        answer = client.get(f"{PREFIX}/{name}")
        assert answer.status_code == 200
        answer.close()
    for name in ("docs/docs.html", "docs/ui/..%2f..%2f__init__.py", "docs/../openapi.json.py"):
        assert client.get(f"{PREFIX}/{name}").status_code == 404
    assert docs.HERE.is_dir()
