"""F11, S31: two, then four schedulers at once, the leading one killed: each reminder once (long: `soak.schedulers`)."""

import pytest

from soak import FULL, schedulers
from soak.schedulers import Plan
from soak.tables import table
from tests import databases

SIZES = [(2, 1000), (4, 1000)] if FULL else [(2, 60)]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(("processes", "reminders"), SIZES)
def test_reminders_are_planned_once_whoever_leads_and_whoever_dies(
    database: str, processes: int, reminders: int, capsys: pytest.CaptureFixture[str]
) -> None:
    if database == "postgresql":
        databases.need_postgres()
    small = {} if FULL else {"over_seconds": 3.0, "members": 0, "hurry": True}
    result = schedulers.run(Plan(database, processes, reminders, **small))  # type: ignore[arg-type]
    with capsys.disabled():
        print("\n" + table(result.rows, f"{processes} schedulers on {database}"))
    assert result.problems == []
