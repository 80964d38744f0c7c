"""The jobs of 微信客服: what WeCom's refusals mean."""

from datetime import timedelta

import pytest

from storage.tables import JobRun
from tests.shop import Shop

LIST = "kf/account/list"


def listed(shop: Shop, errcode: int) -> JobRun:
    """The next run of the job that lists the accounts, while WeCom answers so."""
    shop.advance(hours=1)
    shop.world.fail_next(LIST, errcode, times=4)
    shop.tick()
    this = (JobRun.job == "list kf accounts", JobRun.started_at > shop.now() - timedelta(minutes=30))
    (run,) = shop.rows(JobRun, *this)
    return run  # type: ignore[no-any-return]


@pytest.mark.parametrize("errcode", [48001, 48002, 95017])
def test_a_corp_without_the_right_to_it_has_no_accounts(shop: Shop, errcode: int) -> None:
    run = listed(shop, errcode)
    assert run.ok
    assert (run.outcome or "").startswith("not for us")


@pytest.mark.parametrize("errcode", [-1, 40001, 40013, 60020])
def test_that_wecom_is_busy_or_refuses_us_as_a_whole_is_no_good_run(shop: Shop, errcode: int) -> None:
    run = listed(shop, errcode)
    assert not run.ok
    assert str(errcode) in (run.outcome or "")
