"""Customers who are our own people are known by any of their anchors."""

from datetime import UTC, datetime

from loyalty import insiders
from storage.database import open_engine, transaction
from storage.tables import Person
from storage.work import Work

NOW = datetime(2026, 11, 27, 4, tzinfo=UTC)


def test_our_own_people_are_known_by_any_of_their_anchors(database_url: str) -> None:
    engine = open_engine(database_url)
    with transaction(engine) as db:
        head, stranger = (Person(first_seen_at=NOW, last_seen_at=NOW) for _ in range(2))
        db.add_all((head, stranger))
        db.flush()
        db.add(Person(first_seen_at=NOW, last_seen_at=NOW, merged_into=head.id, phone="13800138001"))
        db.flush()
        assert insiders.among(db, [head.id, stranger.id]) == set()
        insiders.tell(Work(db, NOW), ["13800138001"], by="boss")
        assert insiders.among(db, [head.id, stranger.id]) == {head.id}
    engine.dispose()
