"""What spreadsheets and tills write is read as what alone it can mean; what can mean two things stays as it is."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.row_files import WRITTEN, Shape, a_number, a_time, an_amount, columns


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026/3/5 14:20", "2026-03-05T14:20:00"),
        ("2026/03/05 9:05:07", "2026-03-05T09:05:07"),
        ("2026-3-5 9:05", "2026-03-05T09:05:00"),
        ("2026-03-05 9:05", "2026-03-05T09:05:00"),
        ("2026.3.5", "2026-03-05"),
        ("2026/12/31", "2026-12-31"),
        ("2026年3月5日", "2026-03-05"),
        ("2026年3月5日 14:20", "2026-03-05T14:20:00"),
        ("2026年3月5日14:20:09", "2026-03-05T14:20:09"),
        # as it is
        ("2026-03-05", "2026-03-05"),
        ("2026-03-05T14:20:00+08:00", "2026-03-05T14:20:00+08:00"),
        ("2026-03-05 14:20", "2026-03-05 14:20"),
        ("20260305", "20260305"),
        ("5/3/2026", "5/3/2026"),
        ("2026/3/5 2:20 PM", "2026/3/5 2:20 PM"),
        ("2026/3/5 下午2:20", "2026/3/5 下午2:20"),
        ("2026/3/5 14:20Z", "2026/3/5 14:20Z"),
        ("03-05", "03-05"),
        ("never", "never"),
        ("", ""),
    ],
)
def test_a_time_is_read_where_it_begins_with_the_year(written: str, read: str) -> None:
    assert a_time(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("¥88.00", "88.00"),
        ("￥ 1,234.50", "1234.50"),
        ("88元", "88"),
        ("1,234.5 元", "1234.5"),
        ("-¥88.00", "-88.00"),
        ("¥-88", "-88"),
        ("-1,234,567.89", "-1234567.89"),
        # as it is
        ("88.00", "88.00"),
        ("88", "88"),
        ("1,25.00", "1,25.00"),
        ("1.234,50", "1.234,50"),
        ("--88", "--88"),
        ("$88", "$88"),
        ("约88元", "约88元"),
        ("8 8", "8 8"),
        ("", ""),
    ],
)
def test_an_amount_is_read_without_sign_and_commas(written: str, read: str) -> None:
    assert an_amount(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1,200", "1200"),
        ("-1,200分", "-1200"),
        ("30 分", "30"),
        ("30", "30"),
        ("1,20", "1,20"),
        ("3.5", "3.5"),
        ("", ""),
    ],
)
def test_points_are_read_without_commas(written: str, read: str) -> None:
    assert a_number(written) == read


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.sampled_from(["-", "/", "."]))
def test_every_minute_is_the_same_however_it_is_written(at: datetime, between: str) -> None:
    written = between.join(map(str, (at.year, at.month, at.day))) + f" {at.hour}:{at.minute:02d}"
    assert datetime.fromisoformat(a_time(written)) == at.replace(second=0, microsecond=0)
    assert a_time(at.isoformat()) == at.isoformat()
    assert a_time(at.isoformat(" ", "minutes")) == at.isoformat(" ", "minutes")


@given(st.integers(-(10**10), 10**10))
def test_every_amount_is_the_same_however_it_is_written(fen: int) -> None:
    plain = f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
    grouped = f"{'-' if fen < 0 else ''}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"
    for written in (plain, grouped, f"¥{grouped}", f"{grouped}元"):
        assert an_amount(written) == plain


@given(st.text(max_size=30))
def test_what_is_read_anew_stays_as_it_was_read(text: str) -> None:
    for read in WRITTEN.values():
        assert read(read(text)) == read(text)


def test_only_columns_that_hold_such_things_are_read_so() -> None:
    own = columns(["order_no", "paid_at", "amount", "store"], ("order_no", "paid_at", "amount", "store"), (), Shape())
    cells = own.cells(["2026/3/5", "2026/3/5", "¥1,000", "¥1,000"])
    assert cells == {"order_no": "2026/3/5", "paid_at": "2026-03-05", "amount": "1000", "store": "¥1,000"}
