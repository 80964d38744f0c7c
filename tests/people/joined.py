"""A database of people for tests of identities: telling of somebody, and reading back who is one person."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select

from people import evidence, joining, persons, resolving
from people.joining import Given
from people.resolving import Edge, Partition
from storage.database import open_engine, transaction
from storage.tables import (
    AuditRow,
    Base,
    BlockedValue,
    Evidence,
    Identity,
    Interaction,
    Person,
    PersonTag,
    Review,
    Tag,
    TagGround,
    Verdict,
)
from storage.work import Work

START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
LEFT = (Interaction, PersonTag, TagGround, Identity, Evidence, Verdict, Review, BlockedValue)


class House:
    """People in one database; every call is one transaction, a minute after the last."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self.now = START
        self.lines = 0

    def close(self) -> None:
        self.engine.dispose()

    def empty(self) -> None:
        """Nobody is known any more (the audit stays: it cannot be changed)."""
        with transaction(self.engine) as db:
            for table in LEFT:
                db.execute(delete(table))
            db.execute(delete(Person))

    @contextmanager
    def work(self) -> Iterator[Work]:
        self.now += timedelta(minutes=1)
        with transaction(self.engine) as db:
            yield Work(db, self.now)

    def learn(self, *told: Given, anchor: int | None = None, source: str = "pos", at: datetime | None = None) -> int:
        """The id of who they are."""
        with self.work() as work:
            return joining.learn(work, anchor, told, source=source, by="tester", at=at).id

    def tell(self, anchor: int) -> None:
        """One line of a story, a tag, told of an anchor through whoever speaks for it now."""
        with self.work() as work:
            person = persons.head_of(work.db, work.db.get_one(Person, anchor))
            if person.id != anchor:
                work.via[person.id] = anchor
            self.lines += 1
            once = f"line:{anchor}:{self.lines}:{self.now.isoformat()}"
            persons.tell(work, person.id, "note", work.now, once=once, details={"of": anchor})

    def forget_story(self) -> None:
        """Nothing has been told so far."""
        with transaction(self.engine) as db:
            db.execute(delete(Interaction))

    def rows(self, table: type[Base], *where: Any) -> list[Any]:
        with transaction(self.engine) as db:
            found = list(db.scalars(select(table).where(*where)).all())
            db.expunge_all()
            return found

    def heads(self) -> dict[int, int]:
        return {one.id: one.merged_into or one.id for one in self.rows(Person)}

    def groups(self) -> set[frozenset[int]]:
        found: dict[int, set[int]] = defaultdict(set)
        for anchor, head in self.heads().items():
            found[head].add(anchor)
        return {frozenset(one) for one in found.values()}

    def known_as(self) -> set[frozenset[tuple[str, str]]]:
        """The people, each by what their anchors were made for: says the same whatever the ids are."""
        found: dict[int, set[tuple[str, str]]] = defaultdict(set)
        heads = self.heads()
        for one in self.rows(Evidence):
            if one.home:
                found[heads[one.anchor_id]].add((one.type, one.value))
        return {frozenset(one) for one in found.values()}

    def edges(self) -> list[Edge]:
        return [
            Edge(
                one.anchor_id, one.type, one.value,
                resolving.strength(verified=one.verified, source=one.source, rep=evidence.REP),
                one.first_seen_at, one.seen_at, one.released_at, one.home,
            )
            for one in self.rows(Evidence)
        ]  # fmt: skip

    def rebuilt(self) -> Partition:
        """Who is one person, worked out from everything at once."""
        said = [one for one in self.rows(Verdict) if one.withdrawn_at is None]
        waits = [one for one in self.rows(Review) if one.kind == "guard" and one.state in ("open", "asked")]
        return resolving.resolve(
            self.edges(),
            cuts=[(one.a, one.b) for one in said if not one.same],
            ties=[(one.a, one.b) for one in said if one.same],
            guarded=[(one.a, one.b) for one in waits],
            blocked=[(one.type, one.value) for one in self.rows(BlockedValue)],
        )

    def audits(self) -> Sequence[AuditRow]:
        return sorted(self.rows(AuditRow, AuditRow.action == "customer.resolve"), key=lambda one: one.id)

    def tag(self, name: str) -> int:
        with self.work() as work:
            tag = Tag(group_name="组", name=name, created_at=work.now)
            work.db.add(tag)
            work.db.flush()
            return tag.id
