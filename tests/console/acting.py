"""People at the console, for tests: a visitor with a browser, and a shop whose reps each have a customer."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from people import by_hand, persons, sign_in
from storage.tables import AuditRow, Conversation, Interaction, KfAccount, Member, Person, Relation, Sealed, Tag, User
from storage.work import Work
from tests import databases
from tests.shop import Shop, build_shop, close_shop, twin

PASSWORD = "每天第一杯 please"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
ROLES = {"zhangsan": "boss", "wangwu": "operator", "zhaoliu": "manager", "lisi": "rep"}
REPS = ("zhangsan", "lisi", "wangwu", "zhaoliu", "sunqi")
SEEN_BY = {
    "zhangsan": set(REPS),
    "wangwu": set(REPS),
    "zhaoliu": {"zhaoliu", "sunqi"},
    "lisi": {"lisi"},
}
"""Whose customers each user may see: all, all, own and subordinate's, own."""


@dataclass
class Visitor:
    """A browser that fills in the hidden form token as people do without knowing."""

    client: FlaskClient
    token: str = ""

    def get(self, path: str, **more: Any) -> TestResponse:
        return self.client.get(path, buffered=True, **more)

    def post(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> TestResponse:
        if not self.token:
            self.learn_token()
        return self.client.post(path, data={"csrf_token": self.token, **(data or {})}, buffered=True, **more)

    def sends_as_it_is(self, path: str, **more: Any) -> TestResponse:
        """Opens a form and sends it back as the page shows it."""
        reader = FormReader("version")
        reader.feed(self.get(path).text)
        return self.post(path, {**reader.sent, **more})

    def learn_token(self) -> str:
        for path in ("/my-sign-in", "/sign-in?stay=1"):
            page = self.client.get(path)
            if found := TOKEN.search(page.text):
                self.token = found[1]
                return self.token
        raise AssertionError("no form token anywhere")

    def signs_in(self, userid: str, password: str = PASSWORD, **more: Any) -> TestResponse:
        answer = self.post("/sign-in", {"userid": userid, "password": password, **more})
        self.token = ""
        return answer


@dataclass
class Counter:
    """A shop with users of every role, and one customer, tag, note and chat for each rep."""

    shop: Shop
    people: dict[str, int] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    chats: dict[str, int] = field(default_factory=dict)
    tag_id: int = 0
    channel: str = ""

    def stranger(self) -> Visitor:
        return Visitor(self.shop.app.test_client())

    def visitor(self, userid: str) -> Visitor:
        """Somebody who has signed in."""
        client = self.shop.app.test_client()
        with self.shop.db() as db:
            user = db.scalars(select(User).where(User.userid == userid)).one()
            client.set_cookie("scrm", sign_in.open_session(db, user, self.shop.now()))
        return Visitor(client)

    def page_of(self, userid: str, rep: str) -> str:
        return self.visitor(userid).get(f"/customers/p_{self.people[rep]}").text

    def count(self, table: Any, *where: Any) -> int:
        with self.shop.db() as db:
            return int(db.scalar(select(func.count()).select_from(table).where(*where)) or 0)

    def audit(self, action: str) -> list[AuditRow]:
        return self.shop.rows(AuditRow, AuditRow.action == action)

    def lines(self, rep: str) -> list[Interaction]:
        return self.shop.rows(Interaction, Interaction.person_id == self.people[rep])


class FormReader(HTMLParser):
    """What a browser would send of the form that holds this field, as its page shows it, without any button."""

    def __init__(self, holding: str) -> None:
        super().__init__()
        self._holding, self._area, self._text = holding, "", ""
        self._choice = ""
        self._fields: dict[str, list[str]] = {}
        self.sent: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._fields = {}
        elif tag == "textarea":
            self._area, self._text = own["name"], ""
        elif tag == "select":
            self._choice = own.get("name", "")
        elif tag == "option" and self._choice and ("selected" in own or self._choice not in self._fields):
            self._fields[self._choice] = [own.get("value", "")]
        elif tag == "input" and "name" in own and (own.get("type") not in ("checkbox", "radio") or "checked" in own):
            self._fields.setdefault(own["name"], []).append(own.get("value", "on"))

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._fields[self._area] = [self._text.replace("\n", "\r\n")]
        elif tag == "select":
            self._choice = ""
        elif tag == "form" and self._holding in self._fields:
            self.sent = self._fields


def people_only(shop: Shop) -> Counter:
    """Members and users, nothing else: enough for the door."""
    with shop.db() as db:
        for member in shop.world.members.values():
            if db.get(Member, member.userid) is None:
                db.add(Member(userid=member.userid, name=member.name))
        for userid, role in ROLES.items():
            sign_in.add_user(db, userid, role, shop.now())
    return Counter(shop)


def _chat_of(work: Work, person: Person, external_userid: str) -> int:
    """A chat of this customer with an account that is not ours to answer, so that nothing is asked of WeCom for it."""
    if work.db.get(KfAccount, "wk1") is None:
        work.db.add(KfAccount(open_kfid="wk1", name="豆子客服"))
        work.db.flush()
    chat = Conversation(open_kfid="wk1", external_userid=external_userid, person_id=person.id, last_at=work.now)
    work.db.add(chat)
    work.db.flush()
    return chat.id


def code_only(shop: Shop) -> Counter:
    """In an opened shop, users and one channel code, to which nobody has come yet."""
    counter = people_only(shop)
    counter.channel = shop.channel(members=REPS, text="").code
    return counter


def set_up(shop: Shop) -> Counter:
    """In an opened shop, let one customer come to each rep, give everybody their users."""
    counter = code_only(shop)
    for rep in REPS:
        arrival = shop.world.scan(counter.channel, name=f"{rep}的客人", userid=rep)
        shop.catch_up()
        shop.advance(seconds=30)
        with shop.work() as work:
            person = persons.find_person(work.db, "external_userid", arrival.external_userid)
            assert person is not None
            person.phone = f"1380000{len(counter.people) + 1000}"
            by_hand.add_note(work, person, f"{rep}的备注", by=rep, once=f"n-{rep}")
            counter.people[rep] = person.id
            counter.chats[rep] = _chat_of(work, person, arrival.external_userid)
    with shop.db() as db:
        counter.tag_id = db.scalars(select(Tag.id)).first() or 0
        for rep, person_id in counter.people.items():
            own = select(Interaction.id).where(Interaction.person_id == person_id, Interaction.kind == "note")
            counter.notes[rep] = db.scalars(own).one()
    assert counter.count(Person) == len(REPS) == counter.count(Relation)
    return counter


@dataclass(frozen=True)
class Pattern:
    """A shop that was set up once, to be copied with its WeCom."""

    database: Path
    counter: Counter

    @classmethod
    def of(cls, url: str, set_up: Callable[[Shop], Counter]) -> "Pattern":
        """Set up a shop on this database, in which a shop was opened."""
        shop = build_shop(url)
        counter = set_up(shop)
        with shop.db() as db:
            db.query(Sealed).delete()
        close_shop(shop)
        return cls(Path(url.removeprefix("sqlite:///")), counter)

    def copied(self, folder: Path) -> Iterator[Counter]:
        """The same again, until its user is done with it."""
        shop = build_shop(databases.fresh_sqlite(folder, self.database), twin(self.counter.shop.world))
        found = replace(self.counter, shop=shop, people=dict(self.counter.people))
        yield replace(found, chats=dict(self.counter.chats), notes=dict(self.counter.notes))
        close_shop(shop)
