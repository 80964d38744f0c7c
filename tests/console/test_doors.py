"""Every door of the console, found by walking the route map: who passes, what a form needs, what an answer carries."""

import re
from collections.abc import Callable, Iterator

import pytest
from werkzeug.routing import Rule

from bot.assembly import assemble
from bot.web import create_app
from console import doors
from people import sign_in
from people.access import RIGHTS
from sandbox.world import World
from storage.database import transaction
from storage.tables import Interaction, PersonTag, SignIn
from tests.console.acting import REPS, ROLES, SEEN_BY, Counter
from tests.shop import SECRET_KEY, line_to, settings_for

OBJECTS: dict[str, Callable[[Counter, str], object]] = {
    "person_id": lambda counter, rep: f"p_{counter.people[rep]}",
    "note_id": lambda counter, rep: counter.notes[rep],
    "tag_id": lambda counter, rep: f"t_{counter.tag_id}",
    "code": lambda counter, rep: counter.channel,
    "media_id": lambda counter, rep: 1,
    "plan_id": lambda counter, rep: "1",
    "chat_id": lambda counter, rep: counter.chats[rep],
    "file_id": lambda counter, rep: 1,
    "answer_id": lambda counter, rep: 1,
    "open_kfid": lambda counter, rep: "wk1",
    "verb": lambda counter, rep: "stop",
    "token": lambda counter, rep: "x",
    "filename": lambda counter, rep: "console.css",
    "receiver": lambda counter, rep: "contact",
    "call_id": lambda counter, rep: 1,
    "row_id": lambda counter, rep: 1,
    "event_id": lambda counter, rep: 1,
    "user_id": lambda counter, rep: 1,
    "key_id": lambda counter, rep: 1,
    "userid": lambda counter, rep: rep,
    "day": lambda counter, rep: "2026-11-22",
    "rule_id": lambda counter, rep: 1,
    "job_id": lambda counter, rep: 1,
    "campaign_id": lambda counter, rep: 1,
    "reward_id": lambda counter, rep: 1,
    "redemption_id": lambda counter, rep: 1,
    "group_id": lambda counter, rep: 1,
    "gift_id": lambda counter, rep: 1,
    "txn_id": lambda counter, rep: 1,
    "refund_id": lambda counter, rep: 1,
    "order_id": lambda counter, rep: 1,
    "run_id": lambda counter, rep: 1,
    "handover_id": lambda counter, rep: 1,
    "task_id": lambda counter, rep: 1,
    "erasure_id": lambda counter, rep: 1,
    "segment_id": lambda counter, rep: 1,
    "material_id": lambda counter, rep: 1,
    "broadcast_id": lambda counter, rep: 1,
    "approval_id": lambda counter, rep: 1,
    "journey_id": lambda counter, rep: 1,
    "key": lambda counter, rep: "welcome",
    "stage": lambda counter, rep: "new",
    "card_id": lambda counter, rep: 1,
    "webhook_id": lambda counter, rep: 1,
    "message_id": lambda counter, rep: 1,
    "door_id": lambda counter, rep: 1,
    "deed": lambda counter, rep: "off",
    "how": lambda counter, rep: "done",
    "review_id": lambda counter, rep: 1,
    "blocked_id": lambda counter, rep: 1,
    "anchor_id": lambda counter, rep: "p_1",
}
"""What stands in an address for one rep's customer and what hangs on it. A new kind of parameter needs a line here."""
SOMEBODYS = {"person_id", "chat_id"}
"""What in an address says whose customer it is about."""


def rules(counter: Counter, method: str) -> list[Rule]:
    """Every guarded route of the console with this method."""
    app = counter.shop.app
    return [
        rule
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ()) and doors.right_of(app, rule.endpoint) is not None
    ]


def address(counter: Counter, rule: Rule, rep: str) -> str:
    unknown = rule.arguments - OBJECTS.keys()
    assert not unknown, f"{rule.rule}: add {unknown} to OBJECTS in this file"
    values = {name: OBJECTS[name](counter, rep) for name in rule.arguments}
    for name in rule.arguments:
        if f"<int:{name}>" in rule.rule:
            values[name] = str(values[name]).removeprefix("t_")
    built = counter.shop.app.url_map.bind("localhost").build(
        rule.endpoint, values, method=next(iter(rule.methods or ()))
    )
    return str(built)


def cases(counter: Counter, method: str) -> Iterator[tuple[Rule, str]]:
    """Each route once, and once for each rep's customer where it is about a customer."""
    for rule in rules(counter, method):
        for rep in REPS if SOMEBODYS & rule.arguments else ("lisi",):
            yield rule, rep


def test_no_route_is_without_a_decision(counter: Counter) -> None:
    assert doors.undecided(counter.shop.app) == []


def test_every_public_door_that_is_listed_exists(counter: Counter) -> None:
    assert {name for name in doors.PUBLIC if name not in counter.shop.app.view_functions} == set()


def test_an_undecided_route_would_answer_404(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(counter.shop.app.view_functions["today.show"], "guarded_by")
    assert doors.undecided(counter.shop.app) == ["today.show /"]
    assert counter.visitor("zhangsan").get("/").status_code == 404


@pytest.mark.parametrize("number", [2**53, 99999999999999999999])
def test_a_number_that_no_id_can_be_leads_nowhere(counter: Counter, number: int) -> None:
    boss = counter.visitor("zhangsan")
    ask = {"GET": boss.get, "POST": boss.post}
    for method in ask:
        for rule in (one for one in rules(counter, method) if "<int:" in one.rule):
            way = address(counter, rule, "lisi")
            far = re.sub(r"/\d+(?=/|$)", f"/{number}", way)
            assert (far != way, ask[method](far).status_code) == (True, 404), rule.rule
    names = ["before", "after", "line", "days", "tag", "department", "year", "again", "id"]
    for rule in (one for one in rules(counter, "GET") if not one.arguments or one.endpoint == "rules.show"):
        for asked in (number, -number, "٣"):
            query = "&".join(f"{name}={asked}" for name in names)
            assert boss.get(f"{address(counter, rule, 'lisi')}?{query}").status_code < 500, rule.rule
    assert boss.post("/operations/events/replay", {"id": str(number)}).status_code == 303


def test_a_right_nobody_defined_opens_nothing() -> None:
    with pytest.raises(ValueError, match="no such right"):
        doors.guarded("see_peple")


def test_a_stranger_is_led_to_the_sign_in_page_and_back(counter: Counter) -> None:
    for rule, rep in cases(counter, "GET"):
        answer = counter.stranger().get(address(counter, rule, rep))
        assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (303, "/sign-in"), rule.rule
        assert answer.headers["Cache-Control"] == "no-store"
    assert counter.stranger().get("/customers?q=小雨").headers["Location"].startswith("/sign-in?next=/customers?q%3D")


def test_a_stranger_with_a_good_form_token_changes_nothing(counter: Counter) -> None:
    stranger = counter.stranger()
    for rule, rep in cases(counter, "POST"):
        answer = stranger.post(address(counter, rule, rep))
        assert (answer.status_code, answer.headers.get("Location")) == (303, "/sign-in"), rule.rule


@pytest.mark.parametrize("userid", ROLES)
def test_everybody_sees_exactly_what_their_role_and_sight_allow(counter: Counter, userid: str) -> None:
    visitor, app = counter.visitor(userid), counter.shop.app
    nothing = visitor.get("/customers/p_999999")
    assert nothing.status_code == 404
    for rule, rep in cases(counter, "GET"):
        right = doors.right_of(app, rule.endpoint) or ""
        allowed = ROLES[userid] in RIGHTS[right] and (not SOMEBODYS & rule.arguments or rep in SEEN_BY[userid])
        answer = visitor.get(address(counter, rule, rep))
        where = f"{userid} ({ROLES[userid]}) {rule.rule} of {rep}: {answer.status_code}"
        if not allowed:
            assert (answer.status_code, answer.data) == (404, nothing.data), where
        elif set(rule.arguments) <= SOMEBODYS:
            assert answer.status_code in (200, 302, 303), where
        assert answer.status_code < 500, where


@pytest.mark.parametrize("userid", ROLES)
def test_nobody_changes_what_they_may_not_see(counter: Counter, userid: str) -> None:
    visitor, app = counter.visitor(userid), counter.shop.app
    nothing = visitor.post("/customers/p_999999/notes", {"text": "x"})
    assert nothing.status_code == 404
    before = counter.count(Interaction), counter.count(PersonTag)
    for rule, rep in cases(counter, "POST"):
        right = doors.right_of(app, rule.endpoint) or ""
        may = ROLES[userid] in RIGHTS[right]
        if may and (not SOMEBODYS & rule.arguments or rep in SEEN_BY[userid]):
            continue
        data = {"text": "x", "tag": f"t_{counter.tag_id}", "owner": userid, "reason": "just so"}
        answer = visitor.post(address(counter, rule, rep), data)
        where = f"{userid} ({ROLES[userid]}) POST {rule.rule} of {rep}: {answer.status_code}"
        assert (answer.status_code, answer.data) == (404, nothing.data), where
    assert (counter.count(Interaction), counter.count(PersonTag)) == before


def test_each_refusal_leaves_a_line(counter: Counter) -> None:
    before = len(counter.audit("access.refuse"))
    counter.visitor("lisi").get(f"/customers/p_{counter.people['wangwu']}")
    (line,) = counter.audit("access.refuse")[before:]
    assert (line.actor, line.subject) == ("lisi", f"p_{counter.people['wangwu']}")


# --- forms -----------------------------------------------------------------------------------------------------------


def unsafe(counter: Counter) -> list[Rule]:
    found = [
        rule
        for rule in counter.shop.app.url_map.iter_rules()
        if doors.UNSAFE & (rule.methods or set()) and not rule.rule.startswith(doors.MACHINES)
    ]
    assert len(found) > 10
    return found


def test_every_form_without_its_token_is_refused(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    for rule in unsafe(counter):
        answer = boss.client.post(address(counter, rule, "lisi"), data={})
        assert answer.status_code == 403, rule.rule


@pytest.mark.parametrize(
    "sent",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_every_form_from_another_site_is_refused_whatever_it_brings(counter: Counter, sent: dict[str, str]) -> None:
    boss = counter.visitor("zhangsan")
    for rule in unsafe(counter):
        answer = boss.post(address(counter, rule, "lisi"), headers=sent)
        assert answer.status_code == 403, rule.rule
    assert boss.get("/").status_code == 200


def test_a_form_from_our_own_page_passes(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    own = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}
    answer = boss.post("/language", {"language": "zh", "next": "/customers"}, headers=own)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/customers")


def test_one_visitors_token_is_nothing_in_anothers_hands(counter: Counter) -> None:
    token = counter.visitor("lisi").learn_token()
    answer = counter.visitor("zhangsan").client.post("/language", data={"csrf_token": token, "language": "en"})
    assert answer.status_code == 403


# --- what every answer carries ---------------------------------------------------------------------------------------

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.mark.parametrize(
    "path",
    ["/", "/nope", "/sign-in", "/customers", "/customers/p_0", "/healthz", "/metrics", "/wecom/callback",
     "/api/v1/nope", "/static/console/console.css", "/static/console/../../x",
     "/bootstrap/static/css/bootstrap.min.css"],
)  # fmt: skip
def test_every_answer_carries_the_headers(counter: Counter, path: str) -> None:
    answer = counter.visitor("zhangsan").get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "Cache-Control" in answer.headers


def test_an_error_page_shows_nothing_of_the_inside(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*args: object, **kwargs: object) -> None:
        raise RuntimeError("SELECT secret FROM /srv/app.py")

    monkeypatch.setattr("people.today.days", breaks)
    monkeypatch.setitem(counter.shop.app.config, "PROPAGATE_EXCEPTIONS", False)
    answer = counter.visitor("zhangsan").get("/")
    assert answer.status_code == 500
    assert "出了点问题" in answer.text
    for inside in ("SELECT", "secret", ".py", "Traceback", "RuntimeError"):
        assert inside not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_data_is_never_kept_by_browsers_but_versioned_files_are(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    assert boss.get("/customers").headers["Cache-Control"] == "no-store"
    assert "immutable" in boss.get("/static/console/console.css?v=1").headers["Cache-Control"]


def test_a_first_visit_weighs_less_than_200_kb(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    packed = {"Accept-Encoding": "gzip"}
    page = boss.get("/customers")
    files = [part.split('"')[0] for part in page.text.replace('src="', 'href="').split('href="')[1:]]
    wanted = ["/customers", *(one.replace("&amp;", "&") for one in files if "/static/" in one or "favicon" in one)]
    assert len(wanted) >= 5
    assert sum(len(boss.get(one, headers=packed).data) for one in wanted) < 200_000
    assert boss.get("/customers", headers=packed).headers["Content-Encoding"] == "gzip"


def test_no_page_has_inline_scripts_or_styles(counter: Counter) -> None:
    boss = counter.visitor("zhangsan")
    for rule, rep in cases(counter, "GET"):
        page = boss.get(address(counter, rule, rep))
        if page.mimetype == "text/html":
            for inline in ("<style", " style=", "<script>", "javascript:", " onclick=", "//cdn", "https://unpkg"):
                assert inline not in page.text, (rule.rule, inline)


def test_no_page_shows_a_secret(counter: Counter) -> None:
    boss, app = counter.visitor("zhangsan"), counter.shop.world.app(1000002)
    secrets = {app.secret, app.token, app.encoding_aes_key, SECRET_KEY, "argon2id"}
    secrets |= {row.digest for row in counter.shop.rows(SignIn)}
    for rule, rep in cases(counter, "GET"):
        page = boss.get(address(counter, rule, rep)).data
        assert [one for one in secrets if one.encode() in page] == [], rule.rule


def test_over_tls_cookies_and_headers_are_for_tls_only(sqlite_url: str) -> None:
    world = World.small_shop(seed=7)
    settings = settings_for(world, sqlite_url)
    web = settings.web.model_copy(update={"base_url": "https://crm.shop.example"})
    parts = assemble(settings.model_copy(update={"web": web}), http=line_to(world))
    app = create_app(parts)
    with transaction(parts.engine) as db:
        token = sign_in.issue_link(db, sign_in.add_user(db, "boss", "boss", parts.clock()), parts.clock())
    client = app.test_client()
    page = client.get(f"/sign-in/link/{token}", base_url="https://crm.shop.example")
    form = page.text.split('csrf_token" value="')[1].split('"')[0]
    answer = client.post(f"/sign-in/link/{token}", data={"csrf_token": form}, base_url="https://crm.shop.example")
    assert answer.status_code == 303
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    cookies = [*page.headers.getlist("Set-Cookie"), *answer.headers.getlist("Set-Cookie")]
    assert {one.split("=")[0] for one in cookies} == {"__Host-scrm", "__Host-scrm-form"}
    for cookie in cookies:
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}
        assert "Domain" not in cookie
    parts.close()
