"""F20: pulling fifty pages, killed at every page boundary and at every commit: nothing lost, nothing double."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.worker import Duty, Worker
from soak import FULL
from storage import inbox
from storage.tables import Conversation, InboxRow, Interaction, KeptFile, KfAccount
from tests import databases
from tests.faults.crashes import Died, Reaper
from tests.faults.test_commit_points import reopened, restarted
from tests.handlers.kf_desk import KfDesk, open_desk, refusals
from tests.shop import Shop, build_shop, close_shop

__all__ = ["reopened"]
PAGES, SIZE = 50, 4


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wecom.kf.PAGE", SIZE)


def with_a_long_list(url: str, pages: int) -> KfDesk:
    """A shop that has heard nothing yet of what was said: so many pages of it, from three customers."""
    shop = build_shop(url)
    desk = open_desk(shop)
    desk.answer()
    shop.world.faults.lose = 1.0
    customers = [shop.world.kf_enter(desk.account, name).external_userid for name in ("小雨", "阿哲", "林夕")]
    for number in range(pages * SIZE - len(customers)):
        kind = "image" if number % 10 == 7 else "text"
        shop.world.kf_say(desk.account, customers[number % 3], f"第 {number} 句", msgtype=kind)
    shop.world.faults.lose = 0.0
    return desk


def said_at_wecom(shop: Shop, account: str) -> Counter[str]:
    return Counter(str(one.body["msgid"]) for one in shop.world.kf_accounts[account].items)


def kept(shop: Shop) -> Counter[str]:
    ours = shop.rows(Interaction, Interaction.kind.in_(("kf_in", "kf_event")))
    return Counter(str(one.details["msgid"]) for one in ours)


def ring(desk: KfDesk) -> None:
    """One callback, for all of it."""
    desk.shop.world.kf_say(desk.account, next(iter(desk.shop.world.customers)), "最后一句")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.usefixtures("small_pages")
def test_fifty_pages_killed_at_every_page_boundary(
    reopened: Callable[[str], str], kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every page is read, and its reader killed as the commit reaches the disk; read again, and killed just after."""
    if kind == "postgresql":
        databases.need_postgres()
    url = reopened(kind)
    desk = with_a_long_list(url, PAGES)
    shop, kills = desk.shop, 0
    ring(desk)
    reaper = Reaper()
    for name in ("go_on", "finish"):
        monkeypatch.setattr(inbox, name, _then_dies(reaper, getattr(inbox, name)))
    while open_events(shop):
        reaper.before = kills % 2 == 0
        with reaper.watching(shop.parts.engine):
            try:
                for taken in shop.parts.dispatcher().claim("events", 1):
                    shop.parts.dispatcher().handle_one(taken)
            except Died:
                kills += 1
        if kills % 10 == 0:
            shop = restarted(shop, url)  # what a process keeps in memory matters little, and building one takes long
        rescue_now(shop)
    with capsys.disabled():
        print(f"\n{kind}: {kills} kills over {kills // 2} pages")
    assert kills // 2 >= PAGES
    told, ours = said_at_wecom(shop, desk.account), kept(shop)
    assert told - ours == Counter(), "lost"
    assert ours - told == Counter(), "double"
    assert max(told.values()) == max(ours.values()) == 1
    files = [one.interaction_id for one in shop.rows(KeptFile)]
    assert len(files) == len(set(files))
    close_shop(shop)


def _then_dies(reaper: Reaper, settle: Callable[..., bool]) -> Callable[..., bool]:
    """The commit that follows is the one the process dies at."""

    def settled(*args: Any) -> bool:
        reaper.at = reaper.commits + 1
        return settle(*args)

    return settled


def open_events(shop: Shop) -> list[InboxRow]:
    return shop.rows(InboxRow, InboxRow.state.in_(("waiting", "taken")))


def rescue_now(shop: Shop) -> None:
    """As if the lease of whoever died had run out; and each death is no try of the event's own."""
    with shop.db() as db:
        db.query(InboxRow).filter(InboxRow.state == "taken").update({"lease_until": shop.now() - timedelta(seconds=1)})
        inbox.rescue(db, shop.now())
        db.query(InboxRow).filter(InboxRow.state == "waiting").update({"tries": 0})


@pytest.mark.usefixtures("small_pages")
def test_a_chat_killed_at_any_commit_ends_as_if_nothing_had_happened(
    reopened: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A question, its answer, a picture and a hand-over: killed at each commit, before and after it."""

    def run(reaper: Reaper) -> tuple[dict[str, Any], Shop]:
        url = reopened("sqlite")
        shop = build_shop(url)
        shop.deliverer.spacing = (0.5, 0.5, 0.5)
        desk = open_desk(shop)
        desk.answer()
        killed = False
        with reaper.watching(shop.parts.engine, shop.parts.front):
            try:
                talk(desk)
                shop.catch_up()
            except Died:
                killed = True
        if killed:
            if not desk.customer or len(shop.world.kf_chat(desk.account, desk.customer)) < 3:
                shop.world.faults.lose = 1.0  # what was said after the death is pulled by the job
            talk(desk)
            shop.world.faults.lose = 0.0
            shop = restarted(shop, url)
        for _ in range(5):
            shop.advance(seconds=31)
            shop.parts.sender().rescue()
            with shop.db() as db:
                inbox.rescue(db, shop.now())
            shop.catch_up()
            with shop.db() as db:
                db.query(KfAccount).update({"pulled_at": None})
            shop.run("pull kf accounts", "tend conversations")
        return standing(shop, desk), shop

    def talk(desk: KfDesk) -> None:
        """Go on with what was said: it happens at WeCom, whether or not we live."""
        world = desk.shop.world
        if not desk.customer:
            visit = world.customers and next(iter(world.customers))
            desk.customer = str(visit or world.kf_enter(desk.account, "小雨").external_userid)
        done = len([one for one in world.kf_chat(desk.account, desk.customer) if one.who == "customer"])
        for step in (
            lambda: world.kf_say(desk.account, desk.customer, "几点开门"),
            lambda: world.kf_send_file(desk.account, desk.customer, "image"),
            lambda: world.kf_say(desk.account, desk.customer, "转人工"),
        )[done:]:
            step()

    def standing(shop: Shop, desk: KfDesk) -> dict[str, Any]:
        chats = [(one.state, one.sent_since) for one in shop.rows(Conversation)]
        story = sorted(
            (one.kind, str(one.details.get("text")), str(one.details.get("fate"))) for one in shop.rows(Interaction)
        )
        at_wecom = [
            str(one.content.get("content"))
            for one in shop.world.kf_chat(desk.account, desk.customer)
            if one.who == "app"
        ]
        files = [one.state for one in shop.rows(KeptFile)]
        return {"chats": chats, "story": story, "customer reads": at_wecom, "files": files, "refused": refusals(shop)}

    counter = Reaper()
    undisturbed, shop = run(counter)
    close_shop(shop)
    assert len(undisturbed["customer reads"]) == 2
    points = [(number, before) for number in range(1, counter.commits + 1) for before in (True, False)]
    tried, different = points if FULL else points[::11], []
    for number, before in tried:
        reaper = Reaper()
        reaper.at, reaper.before = number, before
        end, shop = run(reaper)
        close_shop(shop)
        if end != undisturbed:
            different.append((number, before, {n: (end[n], undisturbed[n]) for n in end if end[n] != undisturbed[n]}))
    with capsys.disabled():
        print(f"\n{counter.commits} commits, {len(tried)} of {len(points)} points killed at")
    assert not different, "\n".join(map(str, different))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.usefixtures("small_pages")
def test_several_accounts_are_pulled_at_once_and_each_by_one(reopened: Callable[[str], str], kind: str) -> None:
    """Real threads, real time: eight accounts, doubled and lost callbacks, empty and short pages."""
    if kind == "postgresql":
        databases.need_postgres()
    shop = build_shop(reopened(kind))
    desks = [open_desk(shop, name=f"客服 {n}") for n in range(8)]
    faults, chance = shop.world.faults, random.Random(5)
    faults.empty_page, faults.short_page, faults.duplicate = 0.2, 0.3, 0.3
    for one in desks:
        one.customer = shop.world.kf_enter(one.account, f"客户 {one.account[-3:]}").external_userid
    worker = Worker(shop.parts, Duty({"events": 8}, {"kf": 2, "files": 2}, keeps_time=False))
    worker.start()
    try:
        for number in range(200):
            one = chance.choice(desks)
            shop.world.kf_say(one.account, one.customer, f"{number}")
        done = threading.Event()
        for _ in range(600):
            if sum(kept(shop).values()) >= sum(sum(said_at_wecom(shop, one.account).values()) for one in desks):
                done.set()
                break
            threading.Event().wait(0.1)
    finally:
        worker.stop()
    shop.catch_up()
    told = sum((said_at_wecom(shop, one.account) for one in desks), Counter[str]())
    assert kept(shop) == told
    assert max(shop.world.kf_pulls_at_once(one.account) for one in desks) == 1
    close_shop(shop)


def test_no_call_is_made_within_a_block(reopened: Callable[[str], str], small_pages: None) -> None:
    """Pulls without a token are few: a long list waits for the next minute instead of asking on."""
    desk = with_a_long_list(reopened("sqlite"), 40)
    shop = desk.shop
    shop.world.limits.kf_pulls_without_token_per_minute = 6
    shop.advance(minutes=11)
    shop.tick()
    for _ in range(40):
        shop.advance(seconds=20)
        shop.catch_up()
    told, ours = said_at_wecom(shop, desk.account), kept(shop)
    assert told == ours
    refused = [one.at for one in shop.world.calls if one.errcode == 45009]
    pulls = [one.at for one in shop.world.calls if one.path == "kf/sync_msg"]
    assert refused
    assert not any(at < other < at + 60 for at in refused for other in pulls)
    close_shop(shop)
