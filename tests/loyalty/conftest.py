"""Books on each kind of database, which must hold when a test is done with them."""

from collections.abc import Iterator

import pytest

from tests.loyalty.books import Books


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    books = Books(database_url)
    yield books
    proof = books.verify()
    assert proof.holds, proof.faults
    books.close()
