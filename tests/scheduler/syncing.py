"""What the tests of the comparison with WeCom share: a run of it, and a day without callbacks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from scheduler.reconcile import DONE, Reconcile
from scheduler.reconcile_report import Report
from storage.tables import Relation, SyncRun
from tests.shop import Shop

SETTLED = 15
"""Minutes after which nothing is on its way any more."""


def comparison(shop: Shop, **more: Any) -> Reconcile:
    """A comparison that sleeps on the shop's clock."""
    parts = shop.parts
    own = {"stopping": lambda: False, "sleep": shop.clock.advance, "watch": parts.settings.wecom.watch, **more}
    return Reconcile(parts.engine, parts.gateway, parts.clock, parts.zone, **own)


def run(shop: Shop, *, dry: bool = False, **more: Any) -> SyncRun:
    """Compare everything, then make the calls that follow."""
    kept = comparison(shop, **more).run(by="test", dry=dry)
    shop.catch_up()
    return kept


def sync(shop: Shop, *, dry: bool = False, **more: Any) -> Report:
    """The report of a whole run."""
    kept = run(shop, dry=dry, **more)
    assert kept.state == DONE
    return Report.read(kept.report)


@contextmanager
def unheard(shop: Shop) -> Iterator[None]:
    """What happens meanwhile is told to nobody, and long ago afterwards."""
    with shop.world.unheard():
        yield
    shop.advance(minutes=SETTLED)


def relation_of(shop: Shop, external_userid: str, userid: str = "lisi") -> Relation:
    """The relation of these two."""
    own = (Relation.external_userid == external_userid, Relation.userid == userid)
    (found,) = shop.rows(Relation, *own)
    return found  # type: ignore[no-any-return]
