"""Numbers as people write them: found, told where they are from, hidden, and only proposed as whose they are."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from people import access, by_hand, identities, joining, persons, phones
from people.access import Sight
from people.joining import Given
from storage.tables import Identity, Person
from tests.shop import Shop

ALL = Sight(everybody=True)
NUMBER = "13812345678"


@pytest.mark.parametrize(
    "written",
    [
        "13812345678",
        "138 1234 5678",
        "138-1234-5678",
        "138.1234.5678",
        "138　1234　5678",
        "+86 138 1234 5678",
        "+8613812345678",
        "86-138-1234-5678",
        "008613812345678",
        "（+86）13812345678",
        "１３８１２３４５６７８",
        "１３８－１２３４－５６７８",
        "电话13812345678，下午打",
        "wx13812345678",
    ],
)
def test_a_number_is_found_however_it_is_written(written: str) -> None:
    assert phones.found(written) == [NUMBER]
    assert "12345678" not in phones.hidden(written).replace("-", "")
    assert phones.found(phones.hidden(written)) == []


@pytest.mark.parametrize(
    "text",
    ["", None, "310101199013812345678", "20241381234567812", "12812345678", "1381234567", "138 12 34 56 78", "一二三"],
)
def test_what_is_no_mobile_number_is_left_alone(text: str | None) -> None:
    assert phones.found(text) == []
    assert phones.hidden(text) == (text or "")


def test_several_numbers_are_found_each_once_in_their_order() -> None:
    text = "老张 13912345678/138-1234-5678，老号139 1234 5678"
    assert phones.found(text) == ["13912345678", NUMBER]
    assert phones.hidden(text) == "老张 139****5678/138****5678，老号139****5678"


@given(st.text())
def test_any_text_can_be_looked_through(text: str) -> None:
    assert all(phones.valid(one) for one in phones.found(text))
    assert phones.found(phones.hidden(text)) == []


def test_twenty_thousand_equal_digits_cost_nothing() -> None:
    assert phones.found("1" * 20_000 + "3" * 20_000) == []


def test_a_region_is_told_without_the_operator() -> None:
    assert phones.region(NUMBER) == phones.Region("江苏", "连云港")
    beijing = phones.region("13800138000")
    assert beijing is not None
    assert beijing.words == "北京"
    assert phones.region("+85291234567") is None
    assert phones.region("12345") is None
    assert not phones.valid("+85291234567")


def test_a_person_shows_every_number_with_where_it_stands(shop: Shop) -> None:
    channel = shop.channel()
    external = shop.world.scan(channel.code, name="小雨", userid="lisi").external_userid
    shop.catch_up()
    shop.world.edit_remark("lisi", external, remark="小雨 139-1234-5678", mobiles=["138 1234 5678"])
    shop.catch_up()
    with shop.work() as work:
        person = work.db.scalars(select(Person)).one()
        by_hand.add_note(work, person, "先生的手机 13700001111", by="lisi", once="1")
        joining.learn(work, person, [Given("phone", "+85291234567")], source="api")
    with shop.db() as db:
        person = db.scalars(select(Person)).one()
        found = {one.number: one for one in phones.of_person(db, ALL, person)}
        others = phones.of_person(db, Sight(everybody=False, userids=frozenset({"wangwu"})), person)
    assert {number: one.places for number, one in found.items()} == {
        "+85291234567": ("identity",),
        NUMBER: ("profile",),
        "13912345678": ("remark",),
        "13700001111": ("note",),
    }
    assert (found[NUMBER].valid, found[NUMBER].region and found[NUMBER].region.words) == (True, "江苏连云港")
    assert (found["+85291234567"].valid, found["+85291234567"].region) == (False, None)
    assert found[NUMBER].masked == access.masked(NUMBER) == "138****5678"
    assert [one.number for one in others] == ["+85291234567", NUMBER]


def test_a_number_in_a_remark_only_proposes_who_it_is(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    channel = shop.channel()
    external = shop.world.scan(channel.code, name="小雨", userid="lisi").external_userid
    shop.catch_up()
    shop.world.edit_remark("lisi", external, remark="甲", mobiles=["+86 138-1234-5678", "不是号码"])
    shop.catch_up()
    assert known(shop) == [(NUMBER, False, "remark")]
    assert shop.rows(Person)[0].phone == NUMBER
    shop.advance(seconds=5)
    shop.world.edit_remark("lisi", external, remark="乙", mobiles=["13912345678"])
    shop.catch_up()
    assert known(shop) == [("13912345678", False, "remark")]
    assert shop.rows(Person)[0].phone == "13912345678"
    with shop.work() as work:
        other = persons.person_of(work, "wmother000001")
        assert joining.learn(work, other, [Given("phone", "13912345678")], source="api").id == other.id
    (row,) = shop.rows(Identity, Identity.type == "phone")
    assert (row.person_id, row.verified) == (other.id, True)
    assert all(number not in caplog.text for number in (NUMBER, "13912345678", "138-1234-5678"))


def known(shop: Shop) -> list[tuple[str, bool, str]]:
    return [(one.value, one.verified, one.source) for one in shop.rows(Identity, Identity.type == "phone")]


def test_the_first_fill_knows_numbers_too(shop: Shop) -> None:
    from scheduler.first_fill import take_over_page

    external = shop.world.remember("lisi", "老客户", days_ago=30).external_userid
    shop.world.edit_remark("lisi", external, mobiles=["138 1234 5678"])
    page, _ = shop.parts.gateway.relations(["lisi"])
    with shop.work() as work:
        take_over_page(work, page)
    assert known(shop) == [(NUMBER, False, "remark")]
    assert shop.rows(Person)[0].phone == NUMBER


def test_numbers_are_spelt_alike_wherever_they_come_from() -> None:
    assert identities.spelt("phone", "１３８ １２３４ ５６７８") == NUMBER
    assert identities.spelt_phones(["138 1234 5678", "+8613812345678", "", "x"]) == [NUMBER]
