"""A backup is consistent under load, and a restore proves itself."""

import gzip
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot import backups
from bot.backups import BackupError
from people import access
from storage.database import open_engine, reading, transaction
from storage.tables import AuditRow, InboxRow, Person
from tests import databases
from tests.shop import Shop, event_xml


def count(url: str, table: type) -> int:
    engine = open_engine(url)
    with reading(engine) as db:
        found = db.scalars(select(func.count()).select_from(table)).one()
    engine.dispose()
    return found


def a_busy_day(shop: Shop) -> None:
    channel = shop.channel()
    for number in range(5):
        shop.world.scan(channel.code, name=f"客户{number}")
    shop.catch_up()


def test_a_backup_restores_into_an_empty_database_of_the_same_kind(shop: Shop, tmp_path: Path, request) -> None:
    a_busy_day(shop)
    url = shop.parts.settings.storage.url
    file = tmp_path / "shop.backup"
    assert "rows of" in backups.write(url, file)
    assert "is whole" in backups.restore(url, file, verify_only=True)
    if url.startswith("sqlite"):
        target = f"sqlite:///{tmp_path}/restored.db"
    else:
        databases.run("CREATE DATABASE scrm_restored")
        request.addfinalizer(lambda: databases.run("DROP DATABASE IF EXISTS scrm_restored WITH (FORCE)"))
        target = databases.sqlalchemy_url("scrm_restored")
    assert "every count and digest agrees" in backups.restore(target, file, verify_only=False)
    assert count(target, Person) == 5
    engine = open_engine(target)
    with transaction(engine) as db:
        db.add(Person(name="after", first_seen_at=shop.now(), last_seen_at=shop.now()))
    engine.dispose()
    assert count(target, Person) == 6


def test_a_backup_taken_on_sqlite_can_grow_into_postgresql(
    sqlite_url: str, postgres_url: str, tmp_path: Path, request
) -> None:
    engine = open_engine(sqlite_url)
    with transaction(engine) as db:
        from storage.database import utc_now

        db.add_all(Person(name=f"p{n}", first_seen_at=utc_now(), last_seen_at=utc_now()) for n in range(50))
    engine.dispose()
    file = tmp_path / "small.backup"
    backups.write(sqlite_url, file)
    backups.restore(postgres_url, file, verify_only=False)
    assert count(postgres_url, Person) == 50


def test_a_backup_under_load_is_one_moment(shop: Shop, tmp_path: Path) -> None:
    stop = threading.Event()

    def write_on() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with transaction(shop.parts.engine) as db:
                db.add(Person(name=f"n{number}", first_seen_at=shop.now(), last_seen_at=shop.now()))
            stop.wait(0.005)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        for number in range(3):
            file = tmp_path / f"{number}.backup"
            backups.write(shop.parts.settings.storage.url, file)
            assert "is whole" in backups.restore("", file, verify_only=True)
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("damage", ["cut", "byte", "row"])
def test_a_damaged_backup_is_refused(shop: Shop, tmp_path: Path, damage: str) -> None:
    a_busy_day(shop)
    file = tmp_path / "shop.backup"
    backups.write(shop.parts.settings.storage.url, file)
    raw = file.read_bytes()
    middle = len(raw) // 2
    if damage == "cut":
        file.write_bytes(raw[:middle])
    elif damage == "byte":
        file.write_bytes(raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :])
    else:
        lines = gzip.decompress(raw).splitlines(keepends=True)
        file.write_bytes(gzip.compress(b"".join(lines[:5] + lines[6:])))
    with pytest.raises(BackupError):
        backups.restore("", file, verify_only=True)


def test_a_restore_never_overwrites(shop: Shop, tmp_path: Path) -> None:
    a_busy_day(shop)
    url = shop.parts.settings.storage.url
    file = tmp_path / "shop.backup"
    backups.write(url, file)
    with pytest.raises(BackupError, match="is not empty"):
        backups.restore(url, file, verify_only=False)
    with pytest.raises(BackupError, match="exists"):
        backups.write(url, file)


def test_audit_rows_cannot_be_changed_or_deleted(shop: Shop) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from storage import audit

    with shop.db() as db:
        for number in range(3):
            audit.note(db, actor="boss", action="test.note", subject=str(number), at=shop.now())
    for attack in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(DBAPIError), shop.db() as db:
            db.execute(text(attack))
    with reading(shop.parts.engine) as db:
        assert audit.verify(db) == []
        assert db.scalars(select(func.count()).select_from(AuditRow)).one() >= 3
    assert access.masked("13812340000") == "138****0000"
    assert event_xml()
    assert count(shop.parts.settings.storage.url, InboxRow) == 0
