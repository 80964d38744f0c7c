"""Files of orders: CSV, packed CSV, GB18030 and XLSX; lines anywhere; columns renamed; taken again without effect."""

import gzip
from pathlib import Path

import pytest

from bot import importing
from bot.settings import Settings
from handlers.row_files import Shape
from storage.sheets import BadSheet
from storage.tables import AuditRow, OrderLine, PointsTxn, Refund, ShopOrder
from tests.shop import Shop

HEAD = "source,order_no,paid_at,amount,identity_type,identity_value,sku,quantity,kind,refund_no"
ROWS = (
    "pos,A1,2026-11-01 10:00,60.00,pos:member,m1,S1,2,,",
    "pos,A2,2026-11-01 09:00,10.5,pos:member,m2,,,order,",
    "pos,A1,2026-11-01 10:00,39.90,pos:member,m1,S2,1,order,",
    "pos,A1,2026-11-01 12:00,-50.00,pos:member,m1,,,refund,R1",
    "pos,,2026-11-01 13:00,10.50,pos:member,m2,,,退款,R2",
)


@pytest.fixture
def settings(shop: Shop) -> Settings:
    return shop.parts.settings


def written(folder: Path, *rows: str, head: str = HEAD, name: str = "orders.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes("\n".join([head, *rows]).encode(encoding))
    return path


def test_lines_lie_anywhere_refunds_have_either_sign_and_the_same_file_changes_nothing(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    path = written(tmp_path, *ROWS)
    report = importing.import_orders(settings, path, Shape())
    assert (report.rows, report.orders["accepted"], report.refunds["accepted"]) == (5, 2, 2)
    assert (report.points, report.taken_back, report.rejected_file) == (99 + 10, 50, None)
    orders = {one.order_no: one.amount for one in shop.rows(ShopOrder)}
    assert orders == {"A1": 9990, "A2": 1050}
    assert [one.amount for one in shop.rows(OrderLine)] == [6000, 3990]
    assert report.parked_file is not None
    assert "R2" in report.parked_file.read_text("utf-8")
    before = len(shop.rows(PointsTxn))
    again = importing.import_orders(settings, path, Shape())
    assert (again.orders["duplicate"], again.refunds["duplicate"], again.points) == (2, 2, 0)
    assert len(shop.rows(PointsTxn)) == before


def test_refunds_that_name_no_order_are_matched_by_the_rule_that_was_asked_for(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    report = importing.import_orders(settings, written(tmp_path, *ROWS), Shape(), match="same-amount")
    assert (report.refunds["matched"], report.refunds["unmatched"], report.parked_file) == (1, 0, None)
    assert {one.refund_no: one.state for one in shop.rows(Refund)} == {"R1": "done", "R2": "done"}


def test_columns_are_renamed_and_what_the_file_lacks_is_given_once(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    path = written(tmp_path, "O1,2026-11-01,5.00,7,红", head="OrderID,When,Sum,Card,Colour")
    shape = Shape({"order_no": "OrderID", "paid_at": "When", "amount": "Sum", "identity_value": "Card"},
                  {"source": "old", "identity_type": "old:member"})  # fmt: skip
    report = importing.import_orders(settings, path, shape)
    assert (report.orders["accepted"], report.unused) == (1, ["Colour"])
    (order,) = shop.rows(ShopOrder)
    assert (order.source, order.identity_type, order.identity_value) == ("old", "old:member", "7")


def test_rows_that_cannot_be_taken_stand_in_a_file_with_the_reason_in_their_order(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    bad = ("pos,B1,2026-11-01,-1.00,,,,,,", "pos,B2,soon,1.00,,,,,,", "pos,B3,2026-11-01,1.00,,,,,gift,",
           "pos,A9,2026-11-01,1.00,pos:member,m1,,,,", "pos,A9,2026-11-01,1.00,pos:member,m2,,,,")  # fmt: skip
    report = importing.import_orders(settings, written(tmp_path, *ROWS, *bad), Shape())
    assert (report.orders["rejected"], report.rejected) == (4, 4)
    assert [one.partition(":")[0] for one in report.examples] == [f"row {number}" for number in range(7, 12)]
    assert report.rejected_file is not None
    lines = report.rejected_file.read_text("utf-8-sig").splitlines()
    assert lines[0].endswith(",error")
    reasons = ("below zero", "a time such as", "neither", "do not agree", "do not agree")
    assert all(reason in line for reason, line in zip(reasons, lines[1:], strict=True)), lines
    assert len(shop.rows(ShopOrder)) == 2


def test_who_was_made_for_an_order_and_which_are_nobodys_is_said(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    """A till's default telephone is a guest's number: its order is kept and earns for nobody."""
    orders = ("pos,A4,2026-11-01,5.00,phone,13900000001,,,,", "pos,A5,2026-11-01,5.00,phone,13900000001,,,,",
              "pos,A6,2026-11-01,5.00,,,,,,", "pos,A7,2026-11-01,5.00,pos:member,散客,,,,")  # fmt: skip
    report = importing.import_orders(settings, written(tmp_path, *orders), Shape())
    assert "orders: 4 new, 2 of these nobody's" in importing.as_text(report)
    assert "customers: 1 new" in importing.as_text(report)
    again = importing.import_orders(settings, written(tmp_path, *orders, orders[0].replace("A4", "A8")), Shape())
    assert (again.orders["accepted"], again.people) == (1, 0)


def test_amounts_may_be_grouped_as_spreadsheets_show_them_and_another_one_is_said_with_both_amounts(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    path = written(tmp_path, 'pos,A1,2026-11-01,"1,250.00",,,,,,', 'pos,A2,2026-11-01,"1,25.00",,,,,,')
    report = importing.import_orders(settings, path, Shape())
    assert [one.amount for one in shop.rows(ShopOrder)] == [125000]
    assert "not an amount in yuan" in report.examples[0]
    other = ("pos,A1,2026-11-01,12.50,,,,,,", "pos,A1,2026-11-02,1250.00,,,,,,")
    said = [importing.import_orders(settings, written(tmp_path, one), Shape()).examples[0] for one in other]
    assert "has told another one under this number before, of 1250.00; this one is of 12.50" in said[0]
    assert "of the same amount; something else of it differs" in said[1]


TOO_MUCH = "pos,A2,2026-11-01 14:00,10.51,,,,,refund,R3"


def test_a_dry_run_says_what_the_run_then_does_also_across_refunds_and_keeps_nothing(
    shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    """R3 is more than the order of the same file; R2 is found by the rule only among orders of this file."""
    path = written(tmp_path, *ROWS, TOO_MUCH)
    before = {table: len(shop.rows(table)) for table in (ShopOrder, Refund, PointsTxn, AuditRow)}
    dry = importing.import_orders(settings, path, Shape(), dry=True, match="same-amount")
    assert {table: len(shop.rows(table)) for table in before} == before
    assert (dry.orders["accepted"], dry.refunds["accepted"], dry.refunds["rejected"]) == (2, 2, 1)
    assert "points: 109 earned, 60 taken back" in importing.as_text(dry)
    real = importing.import_orders(settings, path, Shape(), match="same-amount")
    assert {**real.as_json(), "dry": True} == dry.as_json()


def test_a_refund_that_waited_counts_where_its_order_comes(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    """R1 took effect with the import of its order, R2 was more than it: both are said, R2 is listed."""
    early = ("pos,C1,2026-11-01 12:00,-12.00,,,,,refund,R1", "pos,C1,2026-11-01 13:00,-30.00,,,,,refund,R2")
    waiting = importing.import_orders(settings, written(tmp_path, *early, name="early.csv"), Shape())
    assert (waiting.refunds["unmatched"], waiting.refunds["aside"]) == (2, 0)
    order = "pos,C1,2026-11-01 10:00,40.00,pos:member,m1,,,,"
    report = importing.import_orders(settings, written(tmp_path, order), Shape())
    assert (report.points, report.taken_back) == (40, 12)
    assert (report.refunds["came"], report.refunds["aside"], report.refunds["unmatched"]) == (1, 1, 0)
    assert report.parked_file is not None
    assert "30.00 is more than the 28.00 left of order C1 (40.00)" in report.parked_file.read_text("utf-8")


def test_what_other_files_left_without_an_order_is_not_counted(settings: Settings, tmp_path: Path) -> None:
    importing.import_orders(settings, written(tmp_path, *ROWS, name="first.csv"), Shape())
    report = importing.import_orders(settings, written(tmp_path, ROWS[1].replace("A2", "A3")), Shape())
    assert (report.refunds["unmatched"], report.parked_file) == (0, None)


def test_the_parked_file_can_be_completed_and_taken_in(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    """Its times are the shop's; the first file and the completed one change nothing more."""
    path = written(tmp_path, *ROWS)
    parked = importing.import_orders(settings, path, Shape()).parked_file
    assert parked is not None
    text = parked.read_text("utf-8-sig")
    assert "pos,R2,,refund,2026-11-01 13:00:00+08:00,10.50,pos:member,m2,names no order" in text
    completed = tmp_path / "completed.csv"
    completed.write_text(text.replace("pos,R2,,", "pos,R2,A2,"), encoding="utf-8")
    report = importing.import_orders(settings, completed, Shape())
    assert (report.refunds["accepted"], report.taken_back, report.parked_file) == (1, 10, None)
    assert {one.refund_no: one.state for one in shop.rows(Refund)} == {"R1": "done", "R2": "done"}
    moves = len(shop.rows(PointsTxn))
    for again in (path, completed):
        report = importing.import_orders(settings, again, Shape())
        assert (report.refunds["accepted"], report.refunds["rejected"], report.parked_file) == (0, 0, None)
    assert len(shop.rows(PointsTxn)) == moves


@pytest.mark.parametrize("name", ["packed", "gb18030", "xlsx"])
def test_other_kinds_of_files(shop: Shop, settings: Settings, tmp_path: Path, name: str) -> None:
    row = "店,A1,2026-11-01 10:00,60.00,pos:member,m1,S1,2,订单,"
    path = written(tmp_path, row, encoding="gb18030" if name == "gb18030" else "utf-8")
    if name == "packed":
        (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = tmp_path / "orders.csv.gz"
    if name == "xlsx":
        path = spreadsheet(tmp_path / "orders.xlsx", [HEAD.split(","), row.split(",")])
    report = importing.import_orders(settings, path, Shape())
    assert report.orders["accepted"] == 1, report.examples
    assert [(one.source, one.amount) for one in shop.rows(ShopOrder)] == [("店", 6000)]


def spreadsheet(path: Path, rows: list[list[str]]) -> Path:
    """The smallest XLSX that holds these texts."""
    from zipfile import ZipFile

    def cell(text: str) -> str:
        return f'<c t="inlineStr"><is><t>{text}</t></is></c>'

    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{main}/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{main}/package/2006/relationships"><Relationship Id="r1" '
        f'Type="{main}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}/spreadsheetml/2006/main" '
        f'xmlns:r="{main}/officeDocument/2006/relationships"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{main}/package/2006/relationships"><Relationship Id="r1" '
        f'Type="{main}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}/spreadsheetml/2006/main">'
        f"<sheetData>{sheet}</sheetData></worksheet>",
    }
    with ZipFile(path, "w") as packed:
        for name, text in parts.items():
            packed.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return path


@pytest.mark.parametrize(
    ("head", "rows", "says"),
    [
        ("a,b", ["1,2"], "no column source"),
        ("", [], "empty"),
        (HEAD, ["\x00"], "CSV"),
    ],
)
def test_what_is_no_such_file_is_said_in_one_line(
    settings: Settings, tmp_path: Path, head: str, rows: list[str], says: str
) -> None:
    with pytest.raises(BadSheet, match=says):
        importing.import_orders(settings, written(tmp_path, *rows, head=head), Shape())


def test_a_column_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    path = written(tmp_path, *ROWS)
    with pytest.raises(BadSheet, match="no column Nummer"):
        importing.import_orders(settings, path, Shape({"order_no": "Nummer"}))
    with pytest.raises(BadSheet, match="colour is no column of ours"):
        importing.import_orders(settings, path, Shape({}, {"colour": "red"}))


def test_a_run_that_was_cut_off_is_completed_by_the_next(
    shop: Shop, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, *(f"pos,A{n},2026-11-01 10:00,10.00,pos:member,m{n % 7},,,," for n in range(40)))
    monkeypatch.setattr(importing, "PORTION", 10)
    keep, calls = importing._keep, []

    def cut(*args: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return keep(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(importing, "_keep", cut)
    with pytest.raises(KeyboardInterrupt):
        importing.import_orders(settings, path, Shape())
    assert len(shop.rows(ShopOrder)) == 20
    monkeypatch.setattr(importing, "_keep", keep)
    report = importing.import_orders(settings, path, Shape())
    assert (report.orders["accepted"], report.orders["duplicate"]) == (20, 20)
    assert len(shop.rows(PointsTxn)) == 40
