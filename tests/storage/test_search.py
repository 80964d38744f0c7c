"""The words of the stories are found again, on both databases, wherever they stand in a text."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from people import by_hand
from storage import search
from storage.tables import Interaction, Person
from tests.shop import Shop

AT = datetime(2026, 11, 22, tzinfo=UTC)
SAID = ("我想买一件大衣，多少钱？", "老板 iPhone15 有货吗", "咖啡豆什么时候到货", "ＶＩＰ卡还能用吗😀")


@pytest.fixture
def talked(shop: Shop) -> Shop:
    with shop.work() as work:
        person = Person(first_seen_at=AT, last_seen_at=AT)
        work.db.add(person)
        work.db.flush()
        for number, text in enumerate(SAID):
            by_hand.add_note(work, person, text, by="lisi", once=str(number))
    return shop


def found(shop: Shop, wanted: str) -> list[str]:
    with shop.db() as db:
        rows = db.scalars(select(Interaction).where(search.holding(db, wanted)).order_by(Interaction.id))
        return [one.details["text"] for one in rows]


@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ("大衣", 0),
        ("件大", 0),
        ("多少钱", 0),
        ("iphone15", 1),
        ("有货吗", 1),
        ("到货", 2),
        ("vip", 3),
        ("卡还能用", 3),
        ("衣", 0),
    ],
)
def test_what_was_said_is_found_wherever_it_stands(talked: Shop, wanted: str, where: int) -> None:
    assert found(talked, wanted) == [SAID[where]]


@pytest.mark.parametrize("wanted", ["羽绒服", "钱多少", "iphone16", "'; DROP TABLE story_text; --", '"', "a' & 'b"])
def test_what_was_not_said_is_not_found(talked: Shop, wanted: str) -> None:
    assert found(talked, wanted) == []


def test_a_note_that_was_taken_back_is_not_found(talked: Shop) -> None:
    with talked.work() as work:
        by_hand.take_back(work, work.db.scalars(select(Interaction).order_by(Interaction.id)).first())
        assert work.db.scalars(select(Interaction.id).where(search.holding(work.db, "大衣"))).all() == []


@given(st.text(min_size=2, max_size=60), st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_every_pair_of_a_text_is_among_its_tokens(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, max(0, len(text) - 2)))
    part = text[start : start + 2]
    if part.strip() and all("\u4e00" <= one <= "\u9fff" for one in part):
        assert set(search.tokens(part)) <= set(search.tokens(text))
