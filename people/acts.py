"""Lines of people's stories about what they did in the shop: bought, brought back, redeemed; many at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, update

from storage.rows import insert_new
from storage.tables import Interaction, Person
from storage.work import Work


@dataclass(frozen=True)
class Act:
    """A line of a person's story."""

    kind: str
    person_id: int
    anchor_id: int
    at: datetime
    once: str
    """Why there can be only one."""
    details: Mapping[str, Any]
    there: bool = True
    """Whether they were here then themselves."""


def tell(work: Work, acts: Iterable[Act]) -> None:
    """Write these lines, each once, and let it be seen when these people were here."""
    rows, seen = [], dict[int, datetime]()
    for one in acts:
        anchor = None if one.anchor_id == one.person_id else one.anchor_id
        rows.append({"person_id": one.person_id, "anchor_id": anchor, "userid": None, "kind": one.kind, "at": one.at,
                     "details": dict(one.details), "once": one.once})  # fmt: skip
        if one.there:
            seen[one.person_id] = max(one.at, seen.get(one.person_id, one.at))
    insert_new(work.db, Interaction, rows, ["once"])
    later = update(cast(Table, Person.__table__)).where(
        Person.id == bindparam("who"), Person.last_seen_at < bindparam("then")
    )
    if seen:
        moments = [{"who": one, "then": seen[one]} for one in sorted(seen)]
        work.db.connection().execute(later.values(last_seen_at=bindparam("then")), moments)
