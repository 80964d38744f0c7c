"""Tracked links: from a welcome on the customer's phone to a tag at WeCom, and every way in which that goes wrong."""

import re
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from insight import segments
from outreach import broadcasts, links, materials, opens
from outreach.materials import Draft
from people import persons, privacy
from sandbox.facts import Arrival
from storage.tables import (
    Broadcast,
    InboxRow,
    Interaction,
    LinkOpen,
    MassTask,
    Material,
    Person,
    PersonTag,
    RelationTag,
    RepCard,
    Tag,
    TagGround,
    TrackedLink,
)
from tagging import tags
from tagging.tags import Ground
from tests.handlers.kf_desk import open_desk
from tests.shop import Shop

HOME = "http://127.0.0.1:8000"
PAGE = "https://shop.example.com/menu?from=wecom&x=%E8%B1%86#top"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148 MicroMessenger/8.0.43"
PREVIEW = "Mozilla/5.0 (compatible; LinkPreviewBot/1.0)"
TOKEN = re.compile(re.escape(HOME) + r"/t/([A-Za-z0-9_-]{24})")


def menu(shop: Shop, **changes: Any) -> Material:
    """A link of the library that tags whoever opens it and lets the rep know."""
    draft = {
        "name": "秋季菜单",
        "kind": "link",
        "contents": ({"title": "秋季菜单", "url": PAGE, "desc": "新品"},),
        "open_tags": (("兴趣", "菜单"),),
        "tell_rep": True,
    }
    with shop.work() as work:
        return materials.create(work, Draft(**{**draft, **changes}), by="boss")


def card_of(material: Material) -> dict[str, Any]:
    return materials.message(material)[1][0]


def welcomed(shop: Shop, material: Material, text: str = "欢迎 {name}", name: str = "小雨") -> tuple[Arrival, str]:
    """Somebody arrives; the token of the link on their phone."""
    channel = shop.channel(text=text, attachments=(card_of(material),))
    arrival = shop.world.scan(channel.code, name=name, userid="lisi")
    shop.catch_up()
    (sent,) = [one for one in shop.world.sent if one.external_userid == arrival.external_userid]
    found = TOKEN.fullmatch(sent.attachments[0]["link"]["url"])
    assert found is not None
    return arrival, found[1]


def tap(shop: Shop, token: str, agent: str = PHONE, **more: Any) -> TestResponse:
    """One browser, with its cookies."""
    return shop.client.get(f"/t/{token}", headers={"User-Agent": agent}, **more)


def opened_lines(shop: Shop) -> list[Interaction]:
    return shop.rows(Interaction, Interaction.kind == "opened")


def test_a_link_in_a_welcome_leads_to_its_page_and_to_everything_that_follows(shop: Shop) -> None:
    material = menu(shop)
    arrival, token = welcomed(shop, material)
    answer = tap(shop, token)
    assert (answer.status_code, answer.headers["Location"]) == (302, PAGE)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    shop.catch_up()

    (person,) = shop.rows(Person)
    (link,) = shop.rows(TrackedLink)
    assert (link.person_id, link.userid, link.source, link.opens) == (person.id, "lisi", "welcome", 1)
    assert [(one.person_id, one.device) for one in shop.rows(LinkOpen)] == [(person.id, "wechat")]
    (line,) = opened_lines(shop)
    assert (line.userid, line.details["name"], line.details["url"]) == ("lisi", "秋季菜单", PAGE)
    assert line.details["link"] == link.id
    assert line.details["material"] == material.id
    (tag,) = shop.rows(PersonTag, PersonTag.source == "link")
    assert tag.because == "打开了“秋季菜单”"
    marks = [call.body for call in shop.world.calls_to("externalcontact/mark_tag")]
    assert marks[-1]["external_userid"] == arrival.external_userid
    assert {one.at_wecom for one in shop.rows(RelationTag)} == {"done"}
    (card,) = shop.rows(RepCard)
    assert (card.userid, card.kind, card.because) == ("lisi", "opened", "打开了“秋季菜单”")


def test_the_rep_hears_once_a_day_however_often_it_is_opened(shop: Shop) -> None:
    _, token = welcomed(shop, menu(shop))
    for _ in range(3):
        tap(shop, token)
        shop.advance(minutes=10)
        shop.catch_up()
    assert (len(opened_lines(shop)), len(shop.rows(RepCard))) == (3, 1)
    shop.advance(hours=24)
    tap(shop, token)
    shop.catch_up()
    assert (len(opened_lines(shop)), len(shop.rows(RepCard))) == (4, 2)


def test_previews_machines_and_impatient_taps_are_no_openings(shop: Shop) -> None:
    _, token = welcomed(shop, menu(shop))
    for answer in (
        tap(shop, token, PREVIEW),
        tap(shop, token, ""),
        tap(shop, token, "curl/8.5"),
        shop.client.get(f"/t/{token}", headers={"User-Agent": PHONE, "Sec-Purpose": "prefetch"}),
        shop.client.head(f"/t/{token}", headers={"User-Agent": PHONE}),
    ):
        assert (answer.status_code, answer.headers["Location"]) == (302, PAGE)
    shop.catch_up()
    assert opened_lines(shop) == []
    tap(shop, token)
    shop.advance(seconds=59)
    tap(shop, token)  # the same browser knows
    shop.app.test_client().get(f"/t/{token}", headers={"User-Agent": "Mozilla/5.0 Firefox/130.0"})  # another does not
    shop.catch_up()
    assert [one.device for one in shop.rows(LinkOpen)] == ["wechat", "desktop"]
    shop.advance(seconds=2)
    tap(shop, token)
    shop.catch_up()
    assert len(opened_lines(shop)) == 3


def test_nobody_is_led_anywhere_by_a_link_we_did_not_make(shop: Shop) -> None:
    long = "x" * 3000
    for path in (
        "https://evil.example.com",
        "A" * 24,
        "%2F%2Fevil.example.com",
        "x?url=https://evil.example.com",
        long,
    ):
        answer = shop.client.get(f"/t/{path}", headers={"User-Agent": PHONE}, follow_redirects=True)
        assert answer.status_code == 404
        assert answer.request.host == "localhost"
    assert shop.rows(InboxRow, InboxRow.name == opens.EVENT) == []


def test_what_is_added_to_a_link_changes_nothing_of_where_it_leads(shop: Shop) -> None:
    _, token = welcomed(shop, menu(shop))
    for more in ("?url=https://evil.example.com", "?next=//evil.example.com", "?token=x"):
        assert tap(shop, token + more).headers["Location"] == PAGE
    with shop.db() as db:
        db.query(TrackedLink).update({"url": "javascript:alert(1)"})
    assert tap(shop, token).status_code == 404


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example.com", "https:///x", "ftp://a.b", "https://a b"])
def test_what_is_no_address_of_the_web_cannot_be_tracked(url: str) -> None:
    assert not links.leads_outside(url)
    assert links.leads_outside("http://shop.example.com/a?b=c#d")


def test_an_unknown_link_answers_customers_kindly_and_shows_no_way_into_the_console(shop: Shop) -> None:
    page = shop.client.get("/t/nothing").text
    assert "链接已失效" in page
    assert "/sign-in" not in page


def test_a_locked_database_does_not_make_the_customer_wait(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = welcomed(shop, menu(shop))

    def locked(event: object) -> None:
        raise OperationalError("INSERT", None, Exception("database is locked"))

    monkeypatch.setattr(shop.parts.intake, "accept", locked)
    assert tap(shop, token).headers["Location"] == PAGE


def test_everybody_has_their_own_address_and_asking_again_gives_the_same(shop: Shop) -> None:
    material = menu(shop)
    with shop.work() as work:
        one, two = (persons.person_of(work, external) for external in ("wm-1", "wm-2"))
        other = materials.create(work, Draft("别的", "link", contents=({"title": "别", "url": PAGE + "2"},)), by="boss")

        def address(of: Material, *whom: Any) -> str:
            return links.personal(work, f"{{link:{of.id}}}", (), *whom)[0]

        first = address(material, one, "card", "lisi")
        assert address(material, one, "card", "lisi") == first
        others = {
            address(material, two, "card", "lisi"),
            address(material, one, "card", "zhangsan"),
            address(material, one, "answer:1"),
            address(other, one, "card", "lisi"),
        }
        assert len(others | {first}) == 5
    assert all(len(one.token) == 24 for one in shop.rows(TrackedLink))


def test_half_adds_two_codes_and_repeated_events_make_one_address(shop: Shop) -> None:
    material = menu(shop)
    channel = shop.channel(text=f"看 {{link:{material.id}}}", attachments=())
    shop.world.scan(channel.code, name="小雨", userid="lisi")
    for event in list(shop.world.events):
        shop.deliverer.redeliver(event.id)
    shop.catch_up()
    (link,) = shop.rows(TrackedLink)
    assert [one.text for one in shop.world.sent] == [f"看 {HOME}/t/{link.token}"]


def test_a_channel_without_links_costs_the_welcome_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> None:
        raise AssertionError("the library was asked")

    monkeypatch.setattr(links, "_filled", never)
    channel = shop.channel(attachments=({"kind": "link", "title": "菜单", "url": PAGE},))
    shop.world.scan(channel.code, userid="lisi")
    shop.catch_up()
    assert shop.world.sent[0].attachments[0]["link"]["url"] == PAGE
    assert shop.rows(TrackedLink) == []


def test_whoever_is_erased_takes_their_links_along(shop: Shop) -> None:
    arrival, token = welcomed(shop, menu(shop))
    tap(shop, token)
    shop.catch_up()
    with shop.work() as work:
        person = persons.find_person(work.db, persons.EXTERNAL, arrival.external_userid)
        assert person is not None
        privacy.erase(work, person, by="boss")
    shop.advance(minutes=5)
    assert tap(shop, token).status_code == 404
    assert (shop.rows(TrackedLink), shop.rows(LinkOpen), opened_lines(shop)) == ([], [], [])
    assert shop.rows(InboxRow, InboxRow.name == opens.EVENT) == []


def test_an_opening_that_comes_after_the_erasure_is_nobodys(shop: Shop) -> None:
    arrival, token = welcomed(shop, menu(shop))
    tap(shop, token)
    with shop.work() as work:
        person = persons.find_person(work.db, persons.EXTERNAL, arrival.external_userid)
        assert person is not None
        privacy.erase(work, person, by="boss")
    shop.catch_up()
    assert (shop.rows(LinkOpen), shop.rows(Person)) == ([], [])


def test_the_tags_of_a_link_are_taken_back_as_a_whole(shop: Shop) -> None:
    material = menu(shop)
    _, first = welcomed(shop, material)
    tap(shop, first)
    shop.catch_up()
    with shop.work() as work:
        own = work.db.get_one(Material, material.id)
        assert opens.tagged_by(work.db, own) == 1
        opens.ask_to_take_back(work, own)
    shop.run("carry out rules")
    shop.catch_up()
    assert shop.rows(PersonTag, PersonTag.source == "link") == []
    assert shop.world.calls_to("externalcontact/mark_tag")[-1].body["remove_tag"] != []


def test_an_answer_of_the_service_desk_carries_the_customers_own_address(shop: Shop) -> None:
    material = menu(shop)
    desk = open_desk(shop)
    desk.answer(text=f"菜单在这里：{{link:{material.id}}}")
    desk.enter()
    desk.say("几点开门")
    (reply,) = desk.replies()
    found = TOKEN.search(reply)
    assert found is not None
    tap(shop, found[1])
    shop.catch_up()
    (line,) = opened_lines(shop)
    assert (line.person_id, line.details["name"]) == (desk.person().id, "秋季菜单")


def test_a_mass_message_has_one_address_for_each_task_and_names_nobody(shop: Shop) -> None:
    material = menu(shop)
    channel = shop.channel(text="")
    for number in range(3):
        shop.world.scan(channel.code, name=f"客户{number}", userid="lisi" if number else "zhangsan")
    shop.catch_up()
    with shop.work() as work:
        everybody = segments.create(work, "所有人", {"all": []}, by="boss")
        draft = broadcasts.Draft("会员日", everybody.id, f"看 {{link:{material.id}}}", attachments=(card_of(material),))
        broadcast = broadcasts.create(work, draft, by="key:shop")
        broadcasts.submit(work, broadcast, 3, by="key:shop")
        source = broadcasts.source_of(broadcast)
    for _ in range(4):
        shop.advance(seconds=30)
        shop.tick()
    tasks = shop.rows(MassTask)
    assert {one.state for one in tasks} == {"made"}
    made = {one.task_id: one for one in shop.rows(TrackedLink)}
    assert set(made) == {one.id for one in tasks}
    for one in tasks:
        address = f"{HOME}/t/{made[one.id].token}"
        assert (one.text, one.attachments[0]["url"]) == (f"看 {address}", address)
        (told,) = shop.world.mass_todos(one.userid)
        shop.world.confirm_mass(one.userid, told.msgid)
    received = {one.receiver: shop.world.mass_tasks[one.msgid].text for one in shop.world.mass_received()}
    assert (len(received), set(received.values())) == (3, {one.text for one in tasks})
    first = made[min(made)]
    tap(shop, first.token)
    shop.catch_up()
    assert opened_lines(shop) == []
    with shop.db() as db:
        counted = links.opens_of(db, source)
        assert (counted.links, counted.opened, counted.opens, counted.people) == (2, 1, 1, 0)
        assert (counted.by_arm, counted.by_rep) == ({"a": 1}, {first.userid: 1})
        assert materials.numbers(db, [material.id])[material.id].task_opens == 1
        assert [one.what for one in materials.uses(db, db.get_one(Material, material.id))] == ["broadcast"]
        assert db.get_one(Broadcast, 1).contents[0]["attachments"][0]["url"] == PAGE


def test_tags_of_many_are_taken_back_in_portions_and_what_the_link_gives_meanwhile_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opens, "AT_ONCE", 2)
    monkeypatch.setattr(opens, "LOOKED_AT", 3)
    material = menu(shop)

    def give(names: range) -> None:
        with shop.work() as work:
            (tag,) = work.db.query(Tag).filter(Tag.name == "菜单")
            for number in names:
                person = persons.person_of(work, f"wm-back-{number}")
                source = "material:999" if number % 3 == 0 else opens.source_id(material)
                tags.give(work, person, tag, Ground("link", "打开了", source_id=source))

    give(range(9))
    with shop.work() as work:
        opens.ask_to_take_back(work, material)
        (name,) = opens.to_take_back(work.db)
    give(range(9, 11))
    portions: list[int | None] = [0]
    while portions[-1] is not None:
        with shop.work() as work:
            portions.append(opens.take_back(work, name))
    assert max(one or 0 for one in portions) <= 2
    assert sum(one or 0 for one in portions) == 6
    left = [one.source_id for one in shop.rows(TagGround, TagGround.source == "link")]
    assert sorted(left) == [opens.source_id(material)] + ["material:999"] * 4
    with shop.db() as db:
        assert opens.to_take_back(db) == []
