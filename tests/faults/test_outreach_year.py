"""A month of messages in each of WeCom's modes, with kills and an outage; a year of it with SCRM_SOAK=1."""

from pathlib import Path

import pytest

from soak import FULL, many
from soak.outreach_year import WRONG, run
from tests import databases

MODES = ("day_1", "week_7", "month_days") if FULL else ("day_1",)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_refused_for_quota_nor_comes_at_night_or_after_a_no_nor_twice(
    tmp_path: Path, sqlite_template: Path, mode: str
) -> None:
    url = databases.fresh_sqlite(tmp_path, sqlite_template)
    found, raced = run(url, many(200, 5000), many(30, 365), mode, seed=11)  # type: ignore[arg-type]
    assert {one: found[one] for one in WRONG} == dict.fromkeys(WRONG, 0), (dict(found), raced)
    assert found["ours delivered"] > many(100, 10_000)
    assert found["kills"] > 0
