"""``scrm demo --story``: a fixed, seeded story without a browser, and a table of what was promised and what was seen.

Real processes: the simulator, the web, the worker. WeCom misbehaves as it does in life (events twice and out of order,
busy answers, lines that break after the work was done), and the worker is killed in the middle. What counts is not what
we believe but what the simulator says reached the customers.
"""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import time as clock
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, func, select

from bot import counter, demo, narrator, reminding, serve, talk
from bot.family import Family
from bot.narrator import Sandbox
from bot.settings import Settings
from loyalty.ledger.proof import verify
from storage import inbox, outbox
from storage.database import open_engine, reading
from storage.tables import (
    Channel,
    InboxRow,
    Interaction,
    Interval,
    Person,
    PersonTag,
    PointsEntry,
    Relation,
    RelationTag,
    RepCard,
    ShopOrder,
    TagGround,
    Welcome,
)

SCANS, LEAVERS, RE_ADDED = 36, 5, 2
SALES, TOLD_AGAIN, REFUNDS, REDEMPTIONS = 24, 3, 5, 4
REDEEMED = 10
"""Points that each redemption takes."""
KILL_AFTER = 14
ENDING_KF, ENDING_CARD = 3, 2
TOLD_SECONDS = 240.0
"""A journey begins at the next full minute; on a busy machine, after its scheduler was killed, that may take some."""
TALKERS, LINES = 8, 4
SETTLE_SECONDS = 25.0
WITHIN_SECONDS = 20.0
FAULTS = {
    "busy": 0.01,
    "reset_after_effect": 0.01,
    "unknown_fields": 0.05,
    "duplicate": 0.25,
    "reorder": 0.05,
    "odd_xml": 0.02,
}


@dataclass(frozen=True)
class Line:
    """One promise, and whether it was kept."""

    promise: str
    seen: str
    held: bool


@dataclass
class Stage:
    """Everything on stage."""

    sandbox: Sandbox
    engine: Engine
    family: Family
    codes: list[Channel]
    chance: random.Random
    zone: ZoneInfo
    arrivals: list[dict[str, Any]] = field(default_factory=list)
    left: list[dict[str, Any]] = field(default_factory=list)
    came_back: list[dict[str, Any]] = field(default_factory=list)
    open_kfid: str = ""
    said: list[tuple[str, talk.Remark]] = field(default_factory=list)
    """Who said what in 微信客服."""
    sold: list[dict[str, Any]] = field(default_factory=list)
    """Receipts of the till, as they stand at the end."""
    redeemed: int = 0
    ending: dict[str, str] = field(default_factory=dict)
    """Who has points that die soon, and by which way they are to hear of it."""
    ends: str = ""
    """How that is spelt."""


def play(seed: int) -> bool:
    """Play the story; True when every promise held."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wecom-scrm-story-") as folder:
        port = demo.free_port(0)
        place = demo.Place(Path(folder), port, demo.free_port(0))
        settings = _at_any_hour(place.settings())
        serve.ready_schema(settings)
        family = demo.household(place, settings, seed)
        family.start()
        try:
            engine = open_engine(settings.storage.url)
            demo.wait_until(lambda: demo.answers(f"{place.sandbox_address}/"), "the sandbox")
            demo.wait_until(lambda: demo.answers(f"{place.address}/healthz"), "the web")
            demo.wait_until(lambda: demo.taken_over(engine), "the first fill")
            codes = demo.without_waiting(demo.open_shop(engine, settings))
            stage = Stage(Sandbox(place.sandbox_address), engine, family, codes, random.Random(seed), settings.timezone)  # noqa: S311  # nosec B311
            demo.becomes(lambda: talk.has_account(engine), within=demo.UP_WITHIN_SECONDS)
            stage.open_kfid = talk.open_counter(engine)
            counter.connect(engine, settings, stage.sandbox)
            lines = _acts(stage)
        finally:
            family.stop()
    return _report(lines, seed, time.monotonic() - started)


def _at_any_hour(settings: Settings) -> Settings:
    """The story is told at night too: no quiet hours."""
    contact = settings.contact.model_copy(update={"quiet_from": clock(), "quiet_to": clock()})
    return settings.model_copy(update={"contact": contact})


def _acts(stage: Stage) -> list[Line]:
    before = _people(stage.engine)
    _say(f"{before} customers were there before us; nobody greets them")
    stage.sandbox.act("faults", **FAULTS)
    _many_scan(stage)
    _some_leave(stage)
    _some_come_back(stage)
    _some_chat(stage)
    _some_buy(stage)
    _points_end(stage)
    _say("waiting until everything has settled")
    _until(stage, lambda: _told_of_the_end(stage) >= len(stage.ending), TOLD_SECONDS)
    _until(stage, lambda: _settled(stage.engine), SETTLE_SECONDS)
    time.sleep(1.0)
    return _compare(stage, before)


def _many_scan(stage: Stage) -> None:
    people = narrator.names(stage.chance)
    for number in range(SCANS):
        code = stage.chance.choice(stage.codes)
        arrival = narrator.scan(stage.sandbox, code.code, next(people))
        stage.arrivals.append({**arrival, "code": code})
        if number == KILL_AFTER:
            _kill_worker(stage)
        stage.family.look_after_all()
        time.sleep(stage.chance.uniform(0.05, 0.25))
    _say(f"{SCANS} customers scanned {len(stage.codes)} channel codes, every fourth event sent twice")


def _kill_worker(stage: Stage) -> None:
    worker = next(child for child in stage.family.children if child.name == "worker")
    if worker.process is not None and worker.process.pid is not None:
        os.kill(worker.process.pid, signal.SIGKILL)
        _say("the worker was killed (kill -9) in the middle; its supervisor starts it again")


def _some_leave(stage: Stage) -> None:
    time.sleep(1.0)
    for arrival in stage.chance.sample(stage.arrivals, LEAVERS):
        stage.sandbox.act("customer_deletes", userid=arrival["userid"], external_userid=arrival["external_userid"])
        stage.left.append(arrival)
    _say(f"{LEAVERS} customers deleted their rep")


def _some_come_back(stage: Stage) -> None:
    time.sleep(1.5)
    for arrival in stage.left[:RE_ADDED]:
        again = narrator.scan(
            stage.sandbox,
            arrival["code"].code,
            "",
            external_userid=arrival["external_userid"],
            userid=arrival["userid"],
        )
        stage.came_back.append(again)
    _say(f"{RE_ADDED} of them scanned again")


def _some_chat(stage: Stage) -> None:
    """Some write to 微信客服, several lines at once; WeCom says only that there is something."""
    people = narrator.names(stage.chance)
    stayed = [one for one in stage.arrivals if one not in stage.left]
    for arrival in stage.chance.sample(stayed, TALKERS):
        customer = arrival["external_userid"]
        said = talk.chat(stage.sandbox, stage.open_kfid, customer, next(people), stage.chance, LINES)
        stage.said += [(customer, one) for one in said]
    _say(f"{TALKERS} of them wrote {len(stage.said)} lines to 微信客服")


def _points_end(stage: Stage) -> None:
    """Some have points that die in seven days: of those who wrote and of those who did not."""
    _until(stage, lambda: _settled(stage.engine), SETTLE_SECONDS)
    wrote = list(dict.fromkeys(customer for customer, _ in stage.said))[:ENDING_KF]
    silent = [one["external_userid"] for one in stage.arrivals if one not in stage.left]
    silent = [one for one in silent if one not in {customer for customer, _ in stage.said}][:ENDING_CARD]
    stage.ending = {**dict.fromkeys(wrote, "kf"), **dict.fromkeys(silent, "card")}
    zone = stage.zone
    stage.ends = reminding.hand_out(stage.engine, zone, list(stage.ending))
    reminding.tell_of_it(stage.engine, zone)
    _say(f"{len(stage.ending)} customers have points that die in {reminding.DAYS} days; a journey is to tell them")


def _cards_told(engine: Engine) -> int:
    with reading(engine) as db:
        return db.scalars(select(func.count()).where(RepCard.text.contains(reminding.SAYS))).one()


def _told_in_chat(stage: Stage) -> list[str]:
    """What reached customers about points that die, as the simulator saw it."""
    sent = [str(one) for one in stage.sandbox.view("kf_sent", limit=1000)]
    return [one for one in sent if reminding.SAYS in one]


def _told_of_the_end(stage: Stage) -> int:
    return len(_told_in_chat(stage)) + _cards_told(stage.engine)


def _ending_lines(stage: Stage) -> list[Line]:
    """Points that die in seven days reached each person by the way that was open, with the right words."""
    said, ways = _told_in_chat(stage), Counter(stage.ending.values())
    spelt = sum(stage.ends in one for one in said)
    return [
        _line(
            f"points that die in {reminding.DAYS} days: told in 微信客服 where that is open",
            ways["kf"],
            len(said),
            "people",
        ),
        _line("… with the day and how many", ways["kf"], spelt, "messages"),
        _line("… on their rep's list where it is not", ways["card"], _cards_told(stage.engine), "people"),
    ]


def _some_buy(stage: Stage) -> None:
    """Some buy at the till, which tells every third sale twice; some give back, some spend points."""
    stayed = [one["external_userid"] for one in stage.arrivals if one not in stage.left]
    for number in range(SALES):
        times = 2 if number % TOLD_AGAIN == 0 else 1
        counter.sell(stage.sandbox, stage.chance.choice(stayed), stage.chance, times=times)
    receipts = stage.sandbox.view("till")["receipts"]
    for receipt in stage.chance.sample(receipts, REFUNDS):
        stage.sandbox.act("refund_sale", number=receipt["number"], amount=receipt["amount"] // 2)
    for receipt in receipts:
        if stage.redeemed < REDEMPTIONS * REDEEMED:
            told = stage.sandbox.act("redeem", customer=receipt["customer"], points=REDEEMED)["told"]
            stage.redeemed += REDEEMED if told == "ok" else 0
    stage.sold = stage.sandbox.view("till")["receipts"]
    _say(f"{SALES} sales at the till, every third told twice; {REFUNDS} refunds of a half; some points spent")


def _points_lines(stage: Stage) -> list[Line]:
    """What the till sold against what the books of points say."""
    earned = sum(one["amount"] // 100 for one in stage.sold)
    given = len(stage.ending) * reminding.POINTS
    left = sum((one["amount"] - one["refunded"]) // 100 for one in stage.sold)
    with reading(stage.engine) as db:
        orders = db.scalars(select(func.count()).select_from(ShopOrder)).one()
        moved = dict(
            db.execute(select(PointsEntry.bucket, func.sum(PointsEntry.amount)).group_by(PointsEntry.bucket)).all()
        )
        proof = verify(db)
    return [
        _line("every sale is one order, told twice or not", len(stage.sold), orders, "orders"),
        _line("every order earns a point a whole yuan", earned, -int(moved.get("issued", 0)) - given, "points"),
        _line("refunds take back what is not earned any more", earned - left, int(moved.get("clawed", 0)), "points"),
        _line("points spent at the till", stage.redeemed, int(moved.get("redeemed", 0)), "points"),
        Line("the books of points prove themselves", "they hold" if proof.holds else str(proof.faults[0]), proof.holds),
    ]


def _settled(engine: Engine) -> bool:
    with reading(engine) as db:
        return inbox.health(db).open == 0 and outbox.health(db).open == 0


def _until(stage: Stage, true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        stage.family.look_after_all()
        time.sleep(0.2)


def _people(engine: Engine) -> int:
    with reading(engine) as db:
        return db.scalars(select(func.count()).select_from(Person)).one()


def _compare(stage: Stage, before: int) -> list[Line]:
    sent = stage.sandbox.view("sent", limit=1000)
    came = stage.arrivals + stage.came_back
    with reading(stage.engine) as db:
        welcomes = list(db.scalars(select(Welcome)))
        events = list(db.scalars(select(InboxRow)))
        intervals = db.scalars(select(func.count()).where(Interval.origin == "arrival")).one()
        lost = db.scalars(select(func.count()).where(Relation.state == "ended_by_customer")).one()
        tags = db.scalars(select(func.count()).select_from(PersonTag)).one()
        heard = db.scalars(select(func.count()).where(Interaction.kind == "kf_in")).one()
        keyword = db.scalars(select(func.count()).where(TagGround.source == "keyword")).one()
        shown = Counter(db.scalars(select(RelationTag.at_wecom)))
        held = outbox.health(db).counts.get("held", 0)
    people = _people(stage.engine) - before
    greeted = Counter((one["userid"], one["external_userid"]) for one in sent)
    scanned = Counter((one["userid"], one["external_userid"]) for one in came)
    by_words = {(customer, tag) for customer, one in stage.said for tag in one.tags}
    wanted_tags = sum(len(arrival["code"].tags) for arrival in stage.arrivals) + len(by_words)
    outcomes = Counter(one.outcome for one in welcomes)
    seconds = sorted(one["seconds_since_event"] for one in sent)
    aside = sum(one.state == "aside" for one in events)
    known_lost = len(stage.left) - len(stage.came_back)
    return [
        _line("every scan becomes a known customer", len(stage.arrivals), people, "customers"),
        _line("every arrival is written once, re-adding too", len(came), intervals, "arrivals"),
        _line(
            "every arrival's welcome has an outcome",
            len(came),
            sum(outcomes.values()) - outcomes["waiting"],
            "welcomes",
        ),
        _line("welcomes that reached customers", len(came), len(sent), "welcomes"),
        _line("greeted more often than they scanned", 0, sum((greeted - scanned).values()), "customers"),
        Line(
            f"every welcome inside {WITHIN_SECONDS:.0f} s",
            _spread(seconds),
            bool(seconds) and seconds[-1] <= WITHIN_SECONDS,
        ),
        _line("every tag of code and rule on every person, with its reason", wanted_tags, tags, "tags"),
        _line("every line said to 微信客服 is kept, once", len(stage.said), heard, "lines"),
        _line("every line that meets a rule becomes its tag", len(by_words), keyword, "tags"),
        _line(
            "questions of the FAQ that were answered by themselves",
            sum(one.answered for _, one in stage.said),
            _answers_given(stage),
            "answers",
        ),
        _line("every tag shown at WeCom", wanted_tags, shown["done"], "tags"),
        _line("who left and stayed away is marked lost", known_lost, lost, "relations"),
        *_points_lines(stage),
        *_ending_lines(stage),
        _line("events set aside", 0, aside, "events"),
        _line("calls whose outcome nobody knows", 0, held, "calls"),
    ]


def _answers_given(stage: Stage) -> int:
    """Answers of ours that reached a customer, as the simulator saw them."""
    texts = {one.text for one in talk.ANSWERS}
    return sum(any(text in str(one) for text in texts) for one in stage.sandbox.view("kf_sent", limit=1000))


def _line(promise: str, promised: int, seen: int, counted: str) -> Line:
    return Line(promise, f"{seen} of {promised} {counted}" if promised else f"{seen} {counted}", seen == promised)


def _spread(seconds: list[float]) -> str:
    return f"median {seconds[len(seconds) // 2]:.2f} s, longest {seconds[-1]:.2f} s" if seconds else "none was sent"


def _report(lines: Iterable[Line], seed: int, took: float) -> bool:
    from bot.commands import table

    rows = [["✓" if line.held else "✗", line.promise, line.seen] for line in lines]
    held = all(row[0] == "✓" for row in rows)
    sys.stdout.write("\n" + table(rows, ["", "promised", "seen at WeCom and in our books"]) + "\n\n")
    sys.stdout.write(f"{'All held' if held else 'NOT all held'}; seed {seed}, {took:.0f} s\n")
    return held


def _say(words: str) -> None:
    sys.stdout.write(f"  {words}\n")
    sys.stdout.flush()
