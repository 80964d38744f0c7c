"""Customers, events and points out of files; each file again changes nothing; what is wrong stands beside it."""

import csv
import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot import people_desk, row_imports
from bot.row_imports import CUSTOMERS, EVENTS, Report
from bot.settings import Settings
from handlers import points_rows
from handlers.row_files import Shape
from loyalty import accounts, approvals, authority, takeover
from loyalty.ledger import proof, spend
from loyalty.ledger.book import About
from loyalty.ledger.lots import NotEnough
from people import blocking, guards, joining
from storage import sheets
from storage.database import utc_now
from storage.tables import (
    Approval,
    Evidence,
    Identity,
    Interaction,
    OldBalance,
    Person,
    PersonTag,
    PointsAccount,
    PointsLot,
    PointsTxn,
)
from tests.shop import Shop

WHO = Shape({}, {"source": "old", "identity_type": "old:member"})


@pytest.fixture
def settings(shop: Shop) -> Settings:
    return shop.parts.settings


def written(folder: Path, head: str, rows: Iterable[str], name: str = "file.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([head, *rows]), encoding="utf-8")
    return path


def counts(report: Report) -> tuple[int, int, int]:
    return report.counts["accepted"], report.counts["duplicate"], report.counts["rejected"]


# --- customers -------------------------------------------------------------------------------------------------------

CUSTOMER = "identity_value,name,phone,phone_verified,birthday,tags,colour"


def test_customers_come_in_with_what_is_known_of_them_and_again_change_nothing(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    path = written(tmp_path, CUSTOMER, [
        "m1,小雨,13812345678,true,1990-05-01,来源/抖音|意向/问价,red",
        "m2,阿哲,13912345678,,05-02,,blue",
        "m3,,,,,,",
        "m4,某某,,,31-31,,",
        "m5,某某,,maybe,,,",
        ",某某,,,,,",
        "m6,某某,,,,没有组,",
        "散客,某某,,,,,",
    ])  # fmt: skip
    before = len(shop.rows(Person))
    report = row_imports.import_rows(settings, path, WHO, CUSTOMERS)
    assert counts(report) == (4, 0, 4), report.examples
    assert report.unused == ["colour"]
    assert report.rejected_file is not None
    reasons = [row["error"] for row in csv.DictReader(report.rejected_file.read_text("utf-8-sig").splitlines())]
    assert [one.split(":")[0] for one in reasons] == [
        "birthday",
        "no identity",
        "tags",
        "this identity names nobody in particular",
    ]
    people = {one.name: one for one in shop.rows(Person) if one.name}
    assert (people["小雨"].birthday, people["小雨"].birth_year) == (501, 1990)
    known = {(one.type, one.verified) for one in shop.rows(Identity, Identity.person_id == people["小雨"].id)}
    assert known == {("old:member", True), ("phone", True)}
    assert len(shop.rows(PersonTag, PersonTag.person_id == people["小雨"].id)) == 2
    facts = len(shop.rows(Evidence)), len(shop.rows(Person)), len(shop.rows(Interaction))
    assert facts[1] >= before + 3
    again = row_imports.import_rows(settings, path, WHO, CUSTOMERS)
    assert counts(again) == (0, 4, 4)
    assert (len(shop.rows(Evidence)), len(shop.rows(Person)), len(shop.rows(Interaction))) == facts


def test_an_imported_name_stays_with_whom_it_came_and_the_first_one_known_is_shown(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    head = "identity_value,name,phone,phone_verified,birthday,tags"
    first = written(tmp_path, head, ["m1,钱小店,13912345602,true,,", "m2,孙小店,13912345603,true,,"])
    assert counts(row_imports.import_rows(settings, first, WHO, CUSTOMERS)) == (2, 0, 0)
    other = Shape({}, {"source": "web", "identity_type": "web:buyer"})
    second = written(tmp_path, head, ["x1,老钱,13912345602,true,05-20,来源/网店", "x2,老孙,13912345603,,,"], "web.csv")
    assert counts(row_imports.import_rows(settings, second, other, CUSTOMERS)) == (2, 0, 0)
    anchors = {one.value: one.anchor_id for one in shop.rows(Evidence, Evidence.home)}
    with shop.work() as work:
        joining.tie(work, anchors["m2"], anchors["x2"], by="boss")

    def named() -> dict[str, tuple[str, int | None]]:
        people = {one.id: one for one in shop.rows(Person)}
        heads = {value: people[people[anchor].merged_into or anchor] for value, anchor in anchors.items()}
        return {value: (heads[value].name, heads[value].birthday) for value in ("m1", "m2", "x1", "x2")}

    assert named() == {"m1": ("钱小店", 520), "m2": ("孙小店", None), "x1": ("钱小店", 520), "x2": ("孙小店", None)}
    assert counts(row_imports.import_rows(settings, second, other, CUSTOMERS)) == (0, 2, 0)
    with shop.work() as work:
        blocking.block(work, "phone", "13912345602", by="boss", why="门店电话")
        joining.cut(work, anchors["x2"], by="boss")
    assert named() == {"m1": ("钱小店", None), "m2": ("孙小店", None), "x1": ("老钱", 520), "x2": ("老孙", None)}
    assert [one.person_id for one in shop.rows(PersonTag)] == [anchors["x1"]]


def test_a_dry_run_says_the_same_and_keeps_nothing(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, CUSTOMER, ["m1,小雨,13812345678,true,,来源/抖音,", "m2,阿哲,,,,,"])
    before = len(shop.rows(Person)), len(shop.rows(Evidence))
    assert counts(row_imports.import_rows(settings, path, WHO, CUSTOMERS, dry=True)) == (2, 0, 0)
    assert (len(shop.rows(Person)), len(shop.rows(Evidence))) == before


def test_a_default_that_would_join_half_the_file_stops_it(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    n = guards.FEW + 10
    first = written(tmp_path, "identity_value,phone,phone_verified", [f"a{k},1381234{k:04d},true" for k in range(n)])
    assert counts(row_imports.import_rows(settings, first, WHO, CUSTOMERS)) == (n, 0, 0)
    other = Shape({}, {"source": "web", "identity_type": "web:buyer"})
    second = written(
        tmp_path, "identity_value,phone,phone_verified", [f"b{k},1381234{k:04d},true" for k in range(n)], "b.csv"
    )
    before = len(shop.rows(Person)), len(shop.rows(Evidence))
    report = row_imports.import_rows(settings, second, other, CUSTOMERS)
    assert "合并" in report.stopped
    assert (len(shop.rows(Person)), len(shop.rows(Evidence))) == before


# --- events ----------------------------------------------------------------------------------------------------------


def test_events_come_in_once_each(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    rows = ['e1,m1,2026-11-01 10:00,"{""stars"": 4}"', "e2,m1,2026-11-02,", "e3,m1,soon,", "e4,m1,2026-11-02,no json"]
    path = written(tmp_path, "event_id,identity_value,at,details", rows)
    shape = Shape({}, {**WHO.same, "kind": "review"})
    assert counts(row_imports.import_rows(settings, path, shape, EVENTS)) == (2, 0, 2)
    assert counts(row_imports.import_rows(settings, path, shape, EVENTS)) == (0, 2, 2)
    assert [one.details.get("stars") for one in shop.rows(Interaction, Interaction.kind == "did")] == [4, None]


# --- points ----------------------------------------------------------------------------------------------------------

BALANCE = "identity_value,points,expires,origin"


def points_of(shop: Shop, member: str) -> int:
    (own,) = shop.rows(Identity, Identity.type == "old:member", Identity.value == member)
    with shop.db() as db:
        return accounts.standing_of(db, [own.anchor_id or own.person_id], utc_now()).available


def test_balances_are_awarded_once_others_agree(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, BALANCE, ["m1,100,2027-12-31,", "m2,50,never,marketing", "m3,-5,,", "m1,100,2027-12-31,"])
    report = row_imports.import_balances(settings, path, WHO)
    assert counts(report) == (2, 0, 2), report.examples
    assert len(report.approvals) == 2
    assert {one.grade for one in shop.rows(Approval)} == {2}
    assert points_of(shop, "m1") == 0
    again = row_imports.import_balances(settings, path, WHO)
    assert [one[0] for one in again.approvals] == [one[0] for one in report.approvals]
    assert len(shop.rows(Approval)) == 2


def history(folder: Path) -> Path:
    return written(folder, "entry_no,identity_value,kind,points,at,expires", [
        "1,m1,earn,100,2026-10-01,2027-12-31",
        "2,m1,spend,-30,2026-10-05,",
        "3,m1,earn,50,2026-10-06,never",
        "4,m2,earn,10,2026-10-06,2026-10-31",
        "5,m2,spend,20,2026-10-07,",
        "6,m2,adjust,7,2026-11-02,",
        "7,m2,adjust,-2,2026-11-03,",
    ], "history.csv")  # fmt: skip


def test_a_history_is_written_as_of_its_days_and_again_changes_nothing(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    kind = row_imports.points(points_rows.take_history)
    report = row_imports.import_rows(settings, history(tmp_path), WHO, kind)
    assert counts(report) == (6, 0, 1), report.examples
    assert "10 were there then" in report.examples[0]
    assert (points_of(shop, "m1"), points_of(shop, "m2")) == (120, 5)
    assert counts(row_imports.import_rows(settings, history(tmp_path), WHO, kind)) == (0, 6, 1)
    with shop.db() as db:
        assert proof.verify(db).holds
    other = written(tmp_path, "entry_no,identity_value,kind,points,at,expires", ["1,m1,earn,101,2026-10-01,2027-12-31"])
    assert "told another one" in row_imports.import_rows(settings, other, WHO, kind).examples[0]


def redeem(shop: Shop, member: str, points: int) -> PointsTxn:
    (own,) = shop.rows(Identity, Identity.type == "old:member", Identity.value == member)
    (account,) = shop.rows(PointsAccount, PointsAccount.person_id == (own.anchor_id or own.person_id))
    with shop.work() as work:
        work.now = utc_now()
        return spend.redeem(work, account.id, points, About("redeem", f"r:{member}:{points}", utc_now(), "test"))


def balances(settings: Settings, folder: Path, day: date, **points: int) -> Report:
    path = written(folder, BALANCE, [f"{one},{n},2028-12-31," for one, n in points.items()], f"{day}.csv")
    return row_imports.import_balances(settings, path, WHO, day=day)


def test_while_an_older_system_runs_nothing_is_spent_here_and_the_switch_brings_its_balances(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    zone, today = shop.parts.zone, utc_now().astimezone(shop.parts.zone).date()
    first, last = today - timedelta(days=2), today - timedelta(days=1)
    assert counts(balances(settings, tmp_path, first, m1=100, m2=50)) == (2, 0, 0)
    assert counts(balances(settings, tmp_path, first, m1=100, m2=50)) == (0, 2, 0)
    with shop.work() as work:
        assert takeover.shut(work)
        assert list(takeover.differences(work.db, first, zone)) == []
    assert counts(balances(settings, tmp_path, last, m1=80, m2=50)) == (2, 0, 0)
    with shop.db() as db:
        (one,) = takeover.differences(db, last, zone)
        assert (one.ours, one.theirs) == (100, 80)
        told = takeover.summary(db, last, zone)
        assert (told.accounts, told.different, told.ours, told.theirs) == (2, 1, 150, 130)
    with pytest.raises(NotEnough):
        redeem(shop, "m1", 1)
    with shop.work() as work:
        work.now = utc_now()
        want = takeover.wanted(work, last)
        asked = approvals.Asked(takeover.KIND, want.payload, "接管", want.once, want.lines)
        approval = approvals.submit(work, asked, authority.of_user("lisi", "boss"))
        takeover.waits_for(work, approval.id, "lisi")
        number = approval.id
    with pytest.raises(takeover.NotNow):
        balances(settings, tmp_path, last, m1=1)
    carry_out(shop, number)
    assert (points_of(shop, "m1"), points_of(shop, "m2")) == (80, 50)
    with shop.work() as work:
        assert not takeover.shut(work)
    assert redeem(shop, "m1", 80).result["points"] == 80
    with pytest.raises(takeover.NotNow):
        balances(settings, tmp_path, last, m1=80)
    with shop.db() as db:
        assert proof.verify(db).holds
    assert {one.expires_at.astimezone(zone).date() for one in shop.rows(PointsLot)} == {date(2029, 1, 1)}


def carry_out(shop: Shop, number: int) -> None:
    """Nobody else is there to agree: the approval waits a day instead."""
    later = utc_now() + timedelta(hours=49)
    for _ in range(6):
        with shop.work() as work:
            approval = work.db.get_one(Approval, number)
            if approval.state == "done":
                return
            work.now = later if approval.state != "running" else utc_now()
            approvals.go_on(work, number)
    raise AssertionError(shop.rows(Approval)[0].state)


def test_a_history_needs_no_first_day_and_its_switch_moves_only_what_differs(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    row_imports.import_rows(settings, history(tmp_path), WHO, row_imports.points(points_rows.take_history))
    day = utc_now().astimezone(shop.parts.zone).date() - timedelta(days=1)
    balances(settings, tmp_path, day, m1=120, m2=9)
    with shop.db() as db:
        assert takeover.state(db).by == takeover.HISTORY
        assert [(one.ours, one.theirs) for one in takeover.differences(db, day, shop.parts.zone)] == [(5, 9)]
        assert [n for _, n in takeover.lines(db, day, shop.parts.zone)] == [0, 4]
    assert len(shop.rows(OldBalance)) == 2


# --- the command line, and out ---------------------------------------------------------------------------------------


def test_orders_go_out_as_a_spreadsheet_may_open_them_and_come_back_alike(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    from handlers import orders as road
    from people import orders

    told = {"source": "pos", "order_no": "=1+1", "paid_at": "2026-11-01T10:00:00+08:00", "amount": "60.00",
            "store": " @店", "identity": {"type": "phone", "value": "13812345678", "verified": True},
            "lines": [{"name": "\t拿铁", "quantity": 2, "amount": "60.00"}]}  # fmt: skip
    with shop.work() as work:
        assert road.take_orders(work, {0: orders.read_order(told, shop.now(), shop.parts.zone)}).accepted
    out = tmp_path / "orders.csv"
    assert people_desk.export(shop.parts.engine, "orders", out) == 1
    text = out.read_text("utf-8-sig")
    (row,) = csv.DictReader(text.splitlines())
    assert row["order_no"] == "'=1+1"
    assert sheets.plain(row["order_no"]) == "=1+1"
    assert (row["amount"], row["quantity"]) == ("60.00", "2")
    assert "13812345678" not in text


def test_the_commands_say_what_became_of_a_file(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot import settings as own
    from bot.cli import scrm

    monkeypatch.setattr(own, "load", lambda path=None: shop.parts.settings)
    path = written(tmp_path, "Card,name", ["m1,小雨"])
    shape = ["--map", "identity_value=Card", "--set", "source=old", "--set", "identity_type=old:member"]
    ran = CliRunner().invoke(scrm, ["import", "customers", str(path), *shape, "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["accepted"] == 1
    ran = CliRunner().invoke(scrm, ["import", "customers", str(path)])
    assert (ran.exit_code, "no column source" in ran.stderr) == (1, True)
    ran = CliRunner().invoke(scrm, ["import", "points", str(path), "--as-of", "2026-11-01"])
    assert (ran.exit_code, "--take-over" in ran.stderr) == (2, True)
