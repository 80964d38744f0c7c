"""Two who tell of one identity at the same moment: both are kept, and it is one person."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from people import joining
from people.joining import Given
from storage.database import transaction
from storage.tables import Evidence, Person
from storage.work import Work
from tests.people.joined import House


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    house = House(database_url)
    yield house
    house.close()


def test_what_two_tell_at_once_joins_them(house: House) -> None:
    pairs = [[house.learn(Given(f"{shop}:member", f"M{number}")) for shop in ("pos", "app")] for number in range(6)]
    for number, pair in enumerate(pairs):
        start = Barrier(2)

        def tell(anchor: int, start: Barrier = start, value: str = f"1391111{number:04}") -> None:
            start.wait()
            with transaction(house.engine) as db:
                joining.learn(Work(db, house.now), anchor, [Given("phone", value)], source="api")

        with ThreadPoolExecutor(2) as both:
            list(both.map(tell, pair))
    assert house.groups() == {frozenset(pair) for pair in pairs}


def test_one_identity_that_comes_at_once_by_many_ways_makes_one_person(house: House) -> None:
    start = Barrier(4)

    def buy(_: int) -> joining.Place | None:
        start.wait()
        with transaction(house.engine) as db:
            return joining.person_by(Work(db, house.now), "pos:member", "M1", verified=True, source="pos", at=house.now)

    with ThreadPoolExecutor(4) as many:
        places = set(many.map(buy, range(4)))
    assert len(places) == len(house.rows(Person)) == len(house.rows(Evidence)) == 1


def test_five_hundred_at_once_are_found_again_in_the_same_places(house: House) -> None:
    keys = [("pos:member", f"M{one}", True) for one in range(300)]
    keys += [("phone", f"1391000{one:04}", one % 2 == 0) for one in range(200)]
    with house.work() as work:
        first = joining.people_by(work, [*keys, ("phone", "13800138000", True)], source="pos", at=work.now)
    with house.work() as work:
        again = joining.people_by(work, keys, source="pos", at=work.now)
    assert first == again
    assert set(first) == set(keys)
    assert len(house.rows(Person)) == 500


def test_a_number_that_is_not_certain_is_never_somebodys_who_is_known_by_it(house: House) -> None:
    known = house.learn(Given("pos:member", "M1"), Given("phone", "13911110001"))
    with house.work() as work:
        typed = joining.person_by(work, "phone", "13911110001", verified=False, source="shop", at=work.now)
        sure = joining.person_by(work, "phone", "13911110001", verified=True, source="shop", at=work.now)
    assert typed is not None
    assert typed[0] != known
    assert sure == (known, known)
