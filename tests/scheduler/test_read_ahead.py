"""Reading ahead gives everything in its order, raises what went wrong, and stops when nobody wants more."""

import threading
import time
from collections.abc import Iterator

import pytest

from scheduler.ahead import read_ahead


def test_everything_comes_in_its_order_and_no_more_than_so_many_together() -> None:
    together = list(read_ahead(iter(range(100)), 5))
    assert [one for some in together for one in some] == list(range(100))
    assert max(map(len, together)) <= 5


def test_who_is_slow_finds_several_ready() -> None:
    sizes = []
    for some in read_ahead(iter(range(30)), 5):
        sizes.append(len(some))
        time.sleep(0.02)
    assert sum(sizes) == 30
    assert max(sizes) == 5


def test_what_went_wrong_is_raised_after_what_went_well() -> None:
    def pages() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("the cursor is dead")

    got: list[int] = []

    def look() -> None:
        for some in read_ahead(pages(), 5):
            got.extend(some)

    with pytest.raises(ValueError, match="the cursor is dead"):
        look()
    assert got == [1, 2]


def test_nothing_at_all_is_nothing() -> None:
    assert list(read_ahead(iter(()), 5)) == []


def test_nobody_reads_on_when_nobody_looks_any_more() -> None:
    asked = []

    def endless() -> Iterator[int]:
        for number in range(10_000):
            asked.append(number)
            yield number

    for some in read_ahead(endless(), 3):
        assert some[0] == 0
        break
    assert len(asked) < 20
    assert not any(one.name == "read ahead" for one in threading.enumerate())
