"""Reminders of points under two schedulers, the leader killed: each once, none lost (long: `soak.points_reminders`)."""

import pytest

from soak import FULL, points_reminders
from soak.points_reminders import Plan
from soak.tables import table
from tests import databases

REMINDERS = 1000 if FULL else 40


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_each_hears_once_of_points_that_die_whoever_leads_and_whoever_dies(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if database == "postgresql":
        databases.need_postgres()
    result = points_reminders.run(Plan(database, 2, REMINDERS))
    with capsys.disabled():
        print("\n" + table(result.rows, f"2 schedulers on {database}"))
    assert result.problems == []
