"""Many awards at once, for orders that come in hundreds: the same books as one after the other, in a few statements."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from loyalty.ledger import book, earn
from loyalty.ledger.book import About, Conflict, Draft, NoAccount
from loyalty.ledger.earn import Grant
from storage.database import among, insert_new, packed
from storage.tables import PointsAccount, PointsTxn
from storage.work import Work


@dataclass(frozen=True)
class Award:
    """What somebody is to get. Without grants it is written down that there was nothing to give, and why."""

    account_id: int
    grants: Sequence[Grant]
    about: About
    because: Mapping[str, Any]


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

    Whoever owes points is served alone: what comes in pays the debt first.
    """
    if not awards:
        return
    accounts = _hold(work, {one.account_id for one in awards})
    fresh = _unknown(work, awards)
    written = [_draft(work, one, accounts) for one in fresh if not accounts[one.account_id].debt]
    if written:
        book.write_all(written)
    for one in fresh:
        if accounts[one.account_id].debt:
            earn.award(work, one.account_id, one.grants, one.about, one.because)


def _hold(work: Work, ids: Collection[int]) -> dict[int, Any]:
    work.db.flush()
    accounts = {one.id: one for one in work.db.connection().execute(book.OWN, {"ids": sorted(ids)})}
    if missing := set(ids) - set(accounts):
        raise NoAccount(f"no account {min(missing)}")
    return accounts


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
