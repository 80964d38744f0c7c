"""Points for what is no purchase: joining once, a birthday once a year, a review whatever it says; mostly none."""

from datetime import timedelta

import pytest

from loyalty import programme
from people import birthdays, persons
from storage.tables import Person, PointsTxn
from tests.api.caller import Caller
from tests.shop import Shop


@pytest.fixture
def generous(shop: Shop) -> Shop:
    """A shop whose rules reward all three."""
    with shop.work() as work:
        programme.decide(work, {"acts": {"joining": 50, "birthday": 30, "review": 10}}, shop.now(), "boss")
    shop.advance(seconds=1)
    return shop


def given(shop: Shop) -> dict[str, int]:
    return {one.source: one.result["points"] for one in shop.rows(PointsTxn)}


def arrives(shop: Shop, name: str = "小雨", code: str = "") -> str:
    arrival = shop.world.scan(code or shop.channel().code, name=name, userid="lisi")
    shop.catch_up()
    return str(arrival.external_userid)


def test_nothing_is_given_until_the_shop_decides(shop: Shop) -> None:
    arrives(shop)
    assert given(shop) == {}


def test_joining_earns_once_also_when_somebody_comes_back(generous: Shop) -> None:
    code = generous.channel().code
    external = arrives(generous, code=code)
    assert given(generous) == {"act:joining": 50}
    generous.world.customer_deletes("lisi", external)
    generous.advance(minutes=5)
    generous.world.scan(code, external_userid=external, userid="lisi")
    generous.catch_up()
    assert len(generous.rows(PointsTxn)) == 1


def test_a_birthday_earns_once_a_year(generous: Shop) -> None:
    external = arrives(generous)
    today = generous.now().astimezone(generous.parts.zone)
    with generous.work() as work:
        person = persons.find_person(work.db, "external_userid", external)
        assert person is not None
        birthdays.keep(work, person, f"{today:%m-%d}", by="lisi")
    for _ in range(2):
        generous.run("give birthday points")
    assert given(generous) == {"act:joining": 50, "act:birthday": 30}
    assert len(generous.rows(PointsTxn)) == 2


def test_who_was_born_on_a_leap_day_has_a_birthday_every_year(shop: Shop) -> None:
    with shop.work() as work:
        now = shop.now()
        person = Person(name="闰", first_seen_at=now, last_seen_at=now, birthday=229)
        work.db.add(person)
        work.db.flush()
        day = now.date().replace(year=2027, month=2, day=28)
        assert list(birthdays.born_on(work.db, day)) == [person.id]
        assert list(birthdays.born_on(work.db, day.replace(year=2028))) == []
        assert list(birthdays.born_on(work.db, day.replace(year=2028) + timedelta(days=1))) == [person.id]


def test_a_review_earns_the_same_whatever_its_stars_and_only_once(generous: Shop) -> None:
    api = Caller(generous)
    at = generous.now().isoformat()
    for number, stars in enumerate((1, 5)):
        did = {"source": "app", "event_id": f"e{number}", "kind": "review", "at": at, "details": {"stars": stars},
               "identity": {"type": "app:user", "value": f"u{number}"}}  # fmt: skip
        assert api.post("/events", {"events": [did]}).get_json()["accepted"] == 1
        api.post("/events", {"events": [did]})
    assert [one.result["points"] for one in generous.rows(PointsTxn)] == [10, 10]
