"""Bulk tagging from end to end: brings the people of a list or a file into a job, and does the jobs.

Who asks sees some people and not others. That holds when the people are looked up, and again at the moment when each
is tagged: who was handed over in between is refused like somebody unknown (reliability.md S24).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from people import access, directory, lookups, persons
from people.access import Sight
from people.directory import Filter
from storage.database import reading, transaction
from storage.work import Work
from tagging import bulk, bulk_files
from tagging.bulk import Doer, Line
from tagging.bulk_files import Row

Some = TypeVar("Some")
NOT_NAMED = "这一行没有写是哪位客户"
SEVERAL = "有多位客户留过这个手机号，请改用客户 ID"
DIFFERENT = "这一行的几列指向不同的客户"


@dataclass(frozen=True)
class Order:
    """What is to be done to the people, by whom and why."""

    what: str
    """tag, untag."""
    tag_ids: Sequence[int]
    source: str
    """The file's name, or the filter in words."""
    reason: str
    by: str


@dataclass(frozen=True)
class BulkDesk:
    """Makes jobs to be looked at. Many rows are kept in many transactions: a job counts once it is whole."""

    engine: Engine
    work: Callable[[Session], Work]

    def of_list(self, sight: Sight, wanted: Filter, order: Order) -> int:
        """A job on everybody of a filtered list; its id. Raises ``bulk.CannotDo``."""
        with reading(self.engine) as db:
            ids = directory.every_id(db, sight, wanted)
            lines = (Line(number, persons.public_id(one), one) for number, one in enumerate(ids, start=1))
            return self._make(order, _portions(lines))

    def of_file(self, sight: Sight, data: bytes, order: Order) -> int:
        """A job on the people a CSV names; its id. Raises ``storage.sheets.BadSheet`` and ``bulk.CannotDo``."""
        rows = iter(bulk_files.read(data))
        return self._make(order, (self._looked_up(sight, some) for some in _portions(rows)))

    def _looked_up(self, sight: Sight, rows: Sequence[Row]) -> list[Line]:
        with reading(self.engine) as db:
            found = lookups.find_all(db, sight, (way for row in rows for way in row.ways))
        return [_line(row, found) for row in rows]

    def _make(self, order: Order, portions: Iterable[Sequence[Line]]) -> int:
        with transaction(self.engine) as db:
            work = self.work(db)
            wanted = {"source": order.source, "reason": order.reason, "by": order.by}
            job_id = bulk.begin(work, order.what, order.tag_ids, **wanted).id
        for some in portions:
            with transaction(self.engine) as db:
                bulk.add(self.work(db), job_id, some)
        with transaction(self.engine) as db:
            bulk.show(self.work(db), job_id)
        return job_id


def _line(row: Row, found: dict[tuple[str, str], set[int]]) -> Line:
    """Who a line of a file means: everything it says must be about one person."""
    if not row.ways:
        return Line(row.number, "", None, NOT_NAMED)
    meant = [found[way] for way in row.ways]
    if any(not some for some in meant):
        return Line(row.number, row.asked, None, bulk.NOT_FOUND)
    both = set.intersection(*meant)
    if len(both) != 1:
        return Line(row.number, row.asked, None, SEVERAL if both else DIFFERENT)
    return Line(row.number, row.asked, both.pop())


def _portions(rows: Iterable[Some]) -> Iterator[list[Some]]:
    rows = iter(rows)
    while some := list(islice(rows, bulk.ROWS_AT_ONCE)):
        yield some


def seen_by(db: Session, by: str, ids: Collection[int]) -> set[int]:
    """Who of these people the one who asked for a job may see now."""
    return lookups.visible(db, access.sight_of_asker(db, by), ids)


def doer(engine: Engine, work: Callable[[Session], Work], stopping: Callable[[], bool]) -> Doer:
    """Does the jobs, each in the sight of who asked for it."""
    return Doer(engine, work, seen_by, stopping)
