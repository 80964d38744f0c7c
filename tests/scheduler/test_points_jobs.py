"""The jobs of the books of points: swept, let go, sealed, closed by the day, proved, and told of where they differ."""

from datetime import timedelta

from sqlalchemy import select, text

from loyalty import accounts
from loyalty.ledger import earn, proof, seals, spend
from loyalty.ledger.book import About
from loyalty.ledger.earn import Grant
from people import alarms
from scheduler import points_jobs
from storage.tables import Person, PointsDay, PointsSeal, PointsTxn
from storage.work import Work
from tests.shop import Shop


def somebody(work: Work, points: int = 100, *, days: float | None = 30, pends: float = 0) -> int:
    """An account with points."""
    person = Person(name="小雨", first_seen_at=work.now, last_seen_at=work.now)
    work.db.add(person)
    work.db.flush()
    account_id = accounts.open_account(work, person.id)
    alive = work.now + timedelta(days=pends)
    grant = Grant(points, alive, None if days is None else alive + timedelta(days=days), "purchase")
    earn.award(work, account_id, [grant], About("award", f"first:{account_id}", work.now, "test"))
    return account_id


def kinds(shop: Shop) -> list[str]:
    return [one.kind for one in shop.rows(PointsTxn)]


def test_what_comes_alive_and_dies_is_written_once_and_a_late_hold_lets_go(shop: Shop) -> None:
    with shop.work() as work:
        somebody(work, pends=1)
        holder = somebody(work)
        late = About("hold", "h", work.now, "test")
        spend.hold(work, holder, 40, work.now + timedelta(hours=1), late)
    shop.advance(days=1)
    assert shop.run("sweep points") == {"sweep points": "accounts: 1, holds let go: 1"}
    shop.advance(days=31)
    assert shop.run("sweep points") == {"sweep points": "accounts: 2, holds let go: 0"}
    assert shop.run("sweep points") == {"sweep points": "accounts: 0, holds let go: 0"}
    assert sorted(kinds(shop)) == ["activate", "award", "award", "expire", "expire", "hold", "release"]


def test_every_account_is_swept_however_few_are_looked_up_at_once(shop: Shop) -> None:
    with shop.work() as work:
        for _ in range(7):
            somebody(work, days=1)
    shop.advance(days=2)
    points_jobs.PORTION, kept = 3, points_jobs.PORTION
    try:
        assert points_jobs.sweep(shop.parts.engine, shop.work_in, lambda: False) == 7
    finally:
        points_jobs.PORTION = kept


def test_what_may_not_die_yet_is_passed_by(shop: Shop) -> None:
    with shop.work() as work:
        somebody(work, days=1)
    shop.advance(days=2)
    assert points_jobs.sweep(shop.parts.engine, shop.work_in, lambda: False, lambda lot: False) == 0
    assert kinds(shop) == ["award"]


def test_all_is_sealed_and_the_head_stands_outside_too(shop: Shop) -> None:
    with shop.work() as work:
        somebody(work)
    assert shop.run("seal points") == {"seal points": "transactions sealed: 1"}
    assert shop.run("seal points") == {"seal points": "transactions sealed: 0"}
    (seal,) = shop.rows(PointsSeal)
    if shop.parts.engine.dialect.name == "sqlite":
        assert seals.read_heads(points_jobs.heads_file(shop.parts.engine)) == [(1, seal.hash)]


def test_what_commits_much_later_is_sealed_at_night(shop: Shop) -> None:
    with shop.work() as work:
        somebody(work)
    shop.advance(days=5)
    with shop.work() as work:
        somebody(work)
    points_jobs.seal(shop.parts.engine, shop.work_in, lambda: False)
    with shop.work() as work:  # begun five days ago
        work.now -= timedelta(days=4)
        somebody(work)
    assert points_jobs.seal(shop.parts.engine, shop.work_in, lambda: False) == 0
    assert "all of it holds" in shop.run("reconcile points")["reconcile points"]
    with shop.db() as db:
        assert proof.verify(db).unsealed == 0


def test_at_night_days_are_closed_and_a_difference_is_told_until_it_is_gone(shop: Shop) -> None:
    with shop.work() as work:
        account_id = somebody(work)
    shop.advance(days=1)
    assert shop.run("reconcile points") == {"reconcile points": "days closed: 1, transactions: 1, all of it holds"}
    assert [one.closing for one in shop.rows(PointsDay)] == [100]
    for change, told in ((5, [points_jobs.ALARM]), (-5, [])):
        with shop.db() as db:
            db.execute(text("UPDATE points_account SET available = available + :n"), {"n": change})
        shop.run("reconcile points")
        with shop.db() as db:
            found = alarms.standing(db)
            assert [one.kind for one in found] == told
            assert all(f"points_account {account_id}" in one.text for one in found)


def test_a_chain_that_is_not_the_one_written_outside_is_told_of(shop: Shop) -> None:
    with shop.work() as work:
        somebody(work)
    shop.run("seal points")
    with shop.db() as db:
        (last,) = db.scalars(select(PointsSeal)).all()
        found = proof.verify(db)
        assert seals.hold_against(db, found, [(1, last.hash)]) == 1
        assert found.holds
        seals.hold_against(db, found, [(1, "0" * 64), (2, "1" * 64)])
        assert [(one.table, one.id) for one in found.faults] == [("points_seal", 1), ("points_seal", 2)]
