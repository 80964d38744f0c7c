"""When somebody's birthday is: every way of writing it, days that do not exist, and where it shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from people import birthdays
from storage.tables import Interaction, Person
from tests.shop import Shop


@pytest.mark.parametrize(
    ("text", "read"),
    [("1990-05-20", (520, 1990)), ("5-20", (520, None)), (" 02-29 ", (229, None)), ("2000-2-29", (229, 2000))],
)
def test_a_day_is_read_with_or_without_its_year(text: str, read: tuple[int, int | None]) -> None:
    assert birthdays.read(text) == read


@pytest.mark.parametrize(
    "text", ["02-31", "2-30", "1999-02-29", "13-01", "0-5", "明天", "1990/05/20", "0001-05-20", "5", ""]
)
def test_a_day_that_does_not_exist_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="05-20"):
        birthdays.read(text)


@given(st.dates())
def test_every_day_of_the_last_century_is_read_as_itself(day: object) -> None:
    if getattr(day, "year", 0) >= birthdays.OLDEST:
        assert birthdays.read(f"{day}")[1] == getattr(day, "year", 0)


def test_it_is_kept_told_once_and_forgotten_again(shop: Shop) -> None:
    with shop.work() as work:
        person = Person(name="小雨", first_seen_at=work.now, last_seen_at=work.now)
        work.db.add(person)
        work.db.flush()
        assert birthdays.keep(work, person, "1990-05-20", by="lisi")
        assert not birthdays.keep(work, person, "1990-5-20", by="lisi")
        assert birthdays.shown(person) == "1990-05-20"
        with pytest.raises(ValueError, match="将来"):
            birthdays.keep(work, person, "2090-05-20", by="lisi")
    shop.advance(seconds=1)
    with shop.work() as work:
        assert birthdays.keep(work, work.db.get_one(Person, person.id), "", by="lisi")
    lines = shop.rows(Interaction, Interaction.kind == "birthday")
    assert [one.details["text"] for one in lines] == ["1990-05-20", ""]
