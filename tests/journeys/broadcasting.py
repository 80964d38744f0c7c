"""What journeys of broadcasts have in common: written, let go, confirmed, read back."""

from collections import Counter
from typing import Any

from insight import segments
from outreach import broadcasts
from outreach.broadcasts import Draft
from people import sign_in
from sandbox.clock import ManualClock
from sandbox.world import World
from storage.tables import Broadcast, Segment, Touch
from tests.shop import START, Shop, build_shop

TEXT = "本周五会员日，全场八折。{rep}"
BY, BOSS = "wangwu", "zhangsan"


def open_shop(url: str, customers: int = 12) -> Shop:
    """So many customers of old, and nothing sent to anybody. It is six in the evening."""
    world = World.small_shop(ManualClock(START), seed=3)
    world.populate(customers)
    shop = build_shop(url, world)
    shop.open_for_business()
    with shop.db() as db:
        for userid, role in ((BY, "operator"), (BOSS, "boss")):
            sign_in.add_user(db, userid, role, shop.now())
    return shop


def everybody(shop: Shop) -> int:
    with shop.work() as work:
        return segments.create(work, "所有人", {"all": []}, by=BY).id


def written(shop: Shop, **changes: Any) -> int:
    with shop.work() as work:
        draft = Draft(**{"name": "会员日", "segment_id": everybody_of(work), "text": TEXT, **changes})
        return broadcasts.create(work, draft, by=BY).id


def begin(shop: Shop, *, above: int = 500, **changes: Any) -> int:
    """Written, looked at and let go."""
    number = written(shop, **changes)
    with shop.work() as work:
        broadcast = work.db.get_one(Broadcast, number)
        shown = broadcasts.preflight(work.db, broadcast, shop.parts.rules, work.now, work.zone)
        broadcasts.submit(work, broadcast, shown.will, by=BY, above=above)
        return broadcast.id


def everybody_of(work: Any) -> int:
    known = work.db.query(Segment).first()
    return known.id if known is not None else segments.create(work, "所有人", {"all": []}, by=BY).id


JOBS = ("plan broadcasts", "make mass tasks", "read mass tasks", "watch for deletions", "read own sends")
"""What the timetable does about mass messages; the other jobs have no part in it."""


def run(shop: Shop, minutes: int = 3) -> None:
    for _ in range(2 * minutes):
        shop.advance(seconds=30)
        shop.run(*JOBS)


def read_back(shop: Shop) -> None:
    """So long that WeCom has been asked about every task again."""
    for _ in range(4):
        shop.advance(minutes=10)
        shop.run(*JOBS)


def confirm_all(shop: Shop) -> None:
    for userid in list(shop.world.members):
        for errand in shop.world.mass_todos(userid):
            shop.world.confirm_mass(userid, errand.msgid)


def received(shop: Shop) -> Counter[str]:
    return Counter(one.receiver for one in shop.world.mass_received())


def states(shop: Shop) -> Counter[str]:
    return Counter(one.state for one in shop.rows(Touch))


def state(shop: Shop, broadcast_id: int) -> str:
    with shop.db() as db:
        return db.get_one(Broadcast, broadcast_id).state
