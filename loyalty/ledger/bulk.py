"""Many awards at once, for orders that come in hundreds: the same books as one after the other, in a few statements."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from loyalty.ledger import book, earn
from loyalty.ledger.book import About, Conflict, Draft
from loyalty.ledger.earn import Grant
from storage.database import among, packed
from storage.rows import insert_new
from storage.tables import PointsAccount, PointsTxn
from storage.work import Work


@dataclass(frozen=True)
class Award:
    """What somebody is to get. Without grants it is written down that there was nothing to give, and why."""

    account_id: int
    grants: Sequence[Grant]
    about: About
    because: Mapping[str, Any]
    person: tuple[int, ...] = ()
    """All accounts of the same person: what they buy renews the points of each (``ledger.idle``)."""

    @property
    def accounts(self) -> set[int]:
        """All that it may touch."""
        return {self.account_id, *self.person}


def open_accounts(work: Work, person_ids: Collection[int]) -> dict[int, int]:
    """The account of each of these people, made where there is none, by person."""
    rows = [{"person_id": one, "made_at": work.now} for one in sorted(person_ids)]
    insert_new(work.db, PointsAccount, rows, ["person_id"])
    dialect = work.db.get_bind().dialect.name
    own = select(PointsAccount.person_id, PointsAccount.id).where(among(dialect, PointsAccount.person_id, "people"))
    found = work.db.execute(own, {"people": packed(dialect, sorted(person_ids))})
    return {person_id: account_id for person_id, account_id in found if person_id is not None}


def award_many(work: Work, awards: Sequence[Award]) -> None:
    """Let all these points come in, each award once for its key. Raises ``Conflict`` and ``NoAccount``.

    Whoever owes points is served alone: what comes in pays the debt first. So is whoever has points that idle, or gets
    such by several at once: each moves the ends of those before it.
    """
    if not awards:
        return
    accounts = book.hold(work, {account_id for one in awards for account_id in one.accounts})
    fresh = _unknown(work, awards)
    alone = _alone(fresh, accounts)
    apart = {one.about.key for one in alone}
    written = [_draft(work, one, accounts) for one in fresh if one.about.key not in apart]
    if written:
        book.write_all(written)
    for one in alone:
        earn.award(work, one.account_id, one.grants, one.about, one.because, one.person)


def _alone(fresh: Sequence[Award], accounts: Mapping[int, Any]) -> list[Award]:
    """Those that cannot be written with others."""
    times = Counter(each for one in fresh for each in one.accounts)
    idle = {one.account_id for one in fresh if any(each.idle_months is not None for each in one.grants)}
    return [
        one
        for one in fresh
        if accounts[one.account_id].debt
        or any(accounts[each].idles or (each in idle and times[each] > 1) for each in one.accounts)
    ]


def _unknown(work: Work, awards: Sequence[Award]) -> list[Award]:
    dialect = work.db.get_bind().dialect.name
    own = select(PointsTxn.key, PointsTxn.request_hash).where(among(dialect, PointsTxn.key, "keys"))
    known = dict(work.db.execute(own, {"keys": packed(dialect, [one.about.key for one in awards])}).all())
    fresh = []
    for one in awards:
        before = known.get(one.about.key)
        if before is None:
            fresh.append(one)
            known[one.about.key] = one.about.request_hash
        elif before != one.about.request_hash:
            raise Conflict(f"key {one.about.key} was used for another request")
    return fresh


def _draft(work: Work, one: Award, accounts: Mapping[int, Any]) -> tuple[Draft, Mapping[str, Any]]:
    own = {one.account_id: accounts[one.account_id]}
    draft = Draft(work, one.about, own, {}, debts={one.account_id: 0})
    return draft, earn.issue(draft, one.account_id, one.grants, one.because)
