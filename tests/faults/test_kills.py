"""F1, F2, F4 in small: `scrm serve` in processes of its own, killed while callbacks come in (long: `soak.kills`)."""

import pytest

from soak import kills
from soak.kills import Plan
from soak.tables import table
from tests import databases


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_killing_web_and_worker_loses_and_doubles_nothing(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    if database == "postgresql":
        databases.need_postgres()
    result = kills.run(Plan(seed=20261122, count=250, database=database, kills=1, hurry=True))
    with capsys.disabled():
        print("\n" + table(result.rows, f"250 callbacks on {database}"))
    assert result.problems == []
