"""Who is whose customer: every (member, customer) pair there is or was, quick to find from either side."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from sandbox.facts import READABLE, Customer, Relation, Status


@dataclass(slots=True)
class Relations:
    """Rows are only ever added; a parting changes the row's status, a return revives it."""

    by_member: dict[str, list[Relation]] = field(default_factory=dict)
    by_customer: dict[str, list[Relation]] = field(default_factory=dict)
    made: int = 0

    def find(self, userid: str, external_userid: str) -> Relation | None:
        """The relation of these two, whatever its status."""
        rows = self.by_customer.get(external_userid, ())
        return next((row for row in rows if row.userid == userid), None)

    def add(self, userid: str, customer: Customer, status: Status, createtime: int) -> Relation:
        """A new relation."""
        self.made += 1
        row = Relation(self.made, userid, customer, status, createtime)
        self.by_member.setdefault(userid, []).append(row)
        self.by_customer.setdefault(customer.external_userid, []).append(row)
        return row

    def of_customer(self, external_userid: str) -> list[Relation]:
        """The relations the API shows for a customer."""
        return [row for row in self.by_customer.get(external_userid, ()) if row.status in READABLE]

    def of_member(self, userid: str) -> Iterator[Relation]:
        """The relations the API shows for a member."""
        return (row for row in self.by_member.get(userid, ()) if row.status in READABLE)

    def after(self, userid: str, serial: int, count: int) -> list[Relation]:
        """The next rows of a member behind a serial: a page that deletions do not shift."""
        rows = self.by_member.get(userid, [])
        start = bisect_right(rows, serial, key=lambda row: row.serial)
        return list(islice((row for row in islice(rows, start, None) if row.status in READABLE), count))

    def all(self) -> Iterator[Relation]:
        """Every relation there is or was."""
        return (row for rows in self.by_customer.values() for row in rows)
