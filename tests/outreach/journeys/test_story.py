"""How far journeys have read the story: no line is missed, however late its writer commits."""

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from outreach.journeys import story
from storage.database import transaction
from storage.tables import Interaction
from tests.outreach.journeys.life import Life


@pytest.fixture
def life(database_url: str) -> Iterator[Life]:
    life = Life(database_url)
    life.people.append(life.add_person("lisi"))
    yield life
    life.close()


def told(life: Life, db: Session, once: str) -> int:
    """A line, not committed yet."""
    line = Interaction(person_id=life.people[0], kind="message_in", at=life.now, details={}, once=once)
    db.add(line)
    db.flush()
    return line.id


def tell(life: Life, once: str) -> int:
    with life.db() as db:
        return told(life, db, once)


def read(life: Life) -> list[int]:
    """The lines one reading looks at."""
    with life.work() as work:
        after, begun = story.begin_reading(work)
    seen = [one.id for one in life.rows(Interaction, Interaction.id > after)]
    with life.work() as work:
        story.keep_read(work, max(seen, default=begun.line), begun)
    return seen


def test_what_was_read_is_not_read_for_ever(life: Life) -> None:
    read(life)
    first = tell(life, "a")
    assert read(life) == [first]
    read(life)
    assert read(life) == []
    second = tell(life, "b")
    assert read(life) == [second]


def test_a_line_committed_late_is_read(postgres_url: str) -> None:
    life = Life(postgres_url)
    life.people.append(life.add_person("lisi"))
    read(life)
    read(life)
    with transaction(life.engine) as slow:
        late = told(life, slow, "late")
        quick = tell(life, "quick")
        assert late < quick
        for _ in range(3):
            assert read(life) == [quick]
    assert read(life) == [late, quick]
    read(life)
    assert read(life) == []
    life.close()


def test_a_line_committed_between_reading_and_remembering_is_read(postgres_url: str) -> None:
    life = Life(postgres_url)
    life.people.append(life.add_person("lisi"))
    read(life)
    read(life)
    with life.work() as work:
        after, begun = story.begin_reading(work)
    with transaction(life.engine) as slow:
        late = told(life, slow, "late")
        quick = tell(life, "quick")
        assert [one.id for one in life.rows(Interaction, Interaction.id > after)] == [quick]
    with life.work() as work:
        story.keep_read(work, quick, begun)
    assert late in read(life)
    life.close()
