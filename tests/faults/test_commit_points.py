"""F3: one arrival, killed at every commit, before and after it reaches the disk. The end is always the same."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from soak import FULL
from storage import inbox
from storage.tables import (
    Channel,
    Identity,
    InboxRow,
    Interaction,
    Interval,
    OutboxRow,
    Person,
    PersonTag,
    Relation,
    RelationTag,
    Tag,
    Welcome,
)
from tests import databases
from tests.faults.crashes import Died, Reaper
from tests.shop import Shop, build_shop, close_shop

SEND = "externalcontact/send_welcome_msg"
FULL_DAY: dict[str, Any] = {"days": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "23:59", "members": ["lisi"]}


def arrive(shop: Shop, channel: Channel) -> None:
    """A half add and its confirmation, over a code whose tag WeCom does not have yet and whose cap is reached by it."""
    shop.world.half_add, shop.world.half_delay = True, None
    arrival = shop.world.scan(channel.code, name="小雨", userid="lisi")
    shop.world.confirm("lisi", arrival.external_userid)


def set_up(url: str) -> tuple[Shop, Channel]:
    shop = build_shop(url)
    shop.deliverer.spacing = (0.5, 0.5, 0.5)
    channel = shop.channel(members=("lisi",), spare=("wangwu",), daily_cap=1)
    with shop.db() as db:
        tag = db.query(Tag).one()
        shop.world.drop_tag(str(tag.wecom_id))
        tag.wecom_id = None
        db.query(OutboxRow).delete()
        db.query(InboxRow).delete()
    return shop, channel


def work(shop: Shop) -> None:
    """The worker, until nothing is left: some seconds, with what is rescued on the way."""
    for _ in range(16):
        shop.advance(seconds=2.5)
        shop.parts.sender().rescue()
        with shop.db() as db:
            inbox.rescue(db, shop.now())
        shop.catch_up()


def restarted(shop: Shop, url: str) -> Shop:
    """New processes on the same database, with the same WeCom."""
    shop.parts.close()
    shop.world.listeners.clear()
    old = shop.deliverer
    again = build_shop(url, world=shop.world)
    again.deliverer.spacing = old.spacing
    return again


def run(url: str, reaper: Reaper) -> tuple[dict[str, str], Shop]:
    """One arrival, perhaps killed on the way and started again; how everything stands at the end."""
    shop, channel = set_up(url)
    killed = False
    with reaper.watching(shop.parts.engine, shop.parts.front):
        try:
            arrive(shop, channel)
            shop.catch_up()
        except Died:
            killed = True
    if killed:
        untold = [one for one in shop.world.events if one.fields.get("Event") == "change_external_contact"]
        known = {one.event_id for one in shop.deliverer.log if one.fate == "received"}
        shop = restarted(shop, url)
        if not any(one.fields["ChangeType"] == "add_external_contact" for one in untold):
            shop.world.confirm("lisi", str(untold[0].fields["ExternalUserID"]))
        for event in untold:
            if event.id not in known:
                shop.deliverer.redeliver(event.id)
    work(shop)
    return standing(shop), shop


def standing(shop: Shop) -> dict[str, str]:
    """Everything that matters, without ids, clock times and the code that was drawn by lot."""
    (channel,) = shop.rows(Channel)
    tables = {
        "people": [(one.name, one.owner) for one in shop.rows(Person)],
        "identities": [(one.type, one.value) for one in shop.rows(Identity)],
        "relations": [(one.userid, one.state, one.channel_id, one.source_state) for one in shop.rows(Relation)],
        "intervals": [(one.number, one.origin, one.ended_by) for one in shop.rows(Interval)],
        "tags": [(one.tag_id, one.source, one.because) for one in shop.rows(PersonTag)],
        "shown": [(one.tag_id, one.wanted, one.at_wecom) for one in shop.rows(RelationTag)],
        "story": sorted((one.kind, str(one.details)) for one in shop.rows(Interaction)),
        "welcomes": [(one.userid, one.outcome, one.text) for one in shop.rows(Welcome)],
        "inbox": sorted((one.name, one.state) for one in shop.rows(InboxRow)),
        "outbox": sorted((one.name, one.state) for one in shop.rows(OutboxRow) if one.state != "dropped"),
        "code leads to": [one.at_wecom for one in shop.rows(Channel)],
    }
    world = {
        "welcomes at WeCom": [(one.userid, one.text) for one in shop.world.sent],
        "tags at WeCom": [shop.world.tag_names(row) for row in shop.world.relations.all()],
        "corp tags": sorted(tag.name for _, tag in shop.world.tags.values()),
        "way": [way.users for way in shop.world.contact_ways.values()],
    }
    return {name: str(value).replace(channel.code, "CODE") for name, value in {**tables, **world}.items()}


@pytest.fixture
def reopened(request: pytest.FixtureRequest, tmp_path: Path, opened_sqlite: Path) -> Callable[[str], str]:
    """Makes one opened shop's database after the other, of that kind; on PostgreSQL the former is gone then."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return databases.fresh_sqlite(tmp_path, opened_sqlite)
        return str(request.getfixturevalue("opened_postgres").put_back())

    return make


@pytest.fixture
def fresh(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[Any]:
    """Makes one fresh database after the other, of the kind asked for."""
    made: list[Iterator[str]] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            return databases.fresh_sqlite(tmp_path, sqlite_template)
        made.append(databases.fresh_postgres(request.getfixturevalue("postgres_template")))
        return next(made[-1])

    yield make
    for one in made:
        next(one, None)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_arrival_killed_at_any_commit_ends_as_if_nothing_had_happened(
    reopened: Callable[[str], str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "postgresql":
        databases.need_postgres()
    counter = Reaper()
    undisturbed, shop = run(reopened(kind), counter)
    close_shop(shop)
    assert undisturbed["welcomes at WeCom"] == "[('lisi', '你好 小雨，我是李四，欢迎来到抖音直播间')]"
    assert undisturbed["way"] == "[('wangwu',)]"
    points = [(number, before) for number in range(1, counter.commits + 1) for before in (True, False)]
    tried = points if FULL else points[:: 11 if kind == "sqlite" else 19]
    different = []
    for number, before in tried:
        reaper = Reaper()
        reaper.at, reaper.before = number, before
        end, shop = run(reopened(kind), reaper)
        close_shop(shop)
        if end != undisturbed:
            changed = {name: (end[name], undisturbed[name]) for name in end if end[name] != undisturbed[name]}
            different.append((number, "before" if before else "after", changed))
    with capsys.disabled():
        print(f"\n{kind}: {counter.commits} commits, {len(tried)} of {len(points)} points killed at")
    assert not different, "\n".join(map(str, different))
