"""``scrm demo``: a whole shop on one machine, with a WeCom simulator instead of WeCom, filled and kept busy.

Everything lives in a folder that is removed at the end. Nothing here is used by the real product.
"""

import logging
import os
import random
import secrets
import shlex
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

import requests
from sqlalchemy import Engine, select
from sqlalchemy.orm import aliased

from bot import counter, narrator, sandbox_settings, serve, talk, treats
from bot.assembly import assemble
from bot.family import Family
from bot.narrator import Sandbox
from bot.settings import Settings
from bot.treats import Rich
from insight import segments
from loyalty import order_points
from outreach import broadcasts, occasions
from outreach.budget import Rules
from outreach.journeys import desk as journeys
from outreach.journeys.ready_made import READY
from people import persons, sign_in
from sandbox.clock import SystemClock
from sandbox.till import SOURCE
from sandbox.web import serve as serve_sandbox
from sandbox.world import World
from storage import audit, inbox
from storage.database import open_engine, reading, transaction, utc_now
from storage.tables import (
    Broadcast,
    Channel,
    Identity,
    Interaction,
    Member,
    Person,
    PersonTag,
    Progress,
    Tag,
    Welcome,
)
from storage.tables.orders import reference
from storage.work import Work
from tagging import tags
from tagging.channel_desk import Desk
from tagging.channels import Draft

log = logging.getLogger(__name__)

UP_WITHIN_SECONDS = 30.0
INVITATION = "本周六会员日，全场第二杯半价，当天还有手冲体验课，来坐坐吧。{rep}"
CHANNELS = (
    Draft(
        name="门店桌贴",
        members=("lisi", "wangwu"),
        spare=("zhangsan",),
        tags=(("来源", "门店"),),
        text="你好 {name}，我是豆子咖啡的{rep}。今天想喝点什么？把口味告诉我，下次直接给你做。",
        attachments=(
            {"kind": "link", "title": "本周豆单", "desc": "埃塞日晒 · 云南水洗", "url": "https://example.com/beans"},
        ),
    ),
    Draft(
        name="抖音直播间",
        members=("zhaoliu", "sunqi"),
        spare=("zhangsan",),
        tags=(("来源", "抖音"), ("意向", "看过直播")),
        text="{name}，欢迎从{channel}过来！我是{rep}，直播里的挂耳券我帮你留着，到店报名字就行。",
    ),
    Draft(
        name="老客推荐卡",
        members=("zhaoliu",),
        spare=("zhangsan",),
        tags=(("来源", "老客推荐"),),
        text="你好 {name}，谢谢朋友推荐你来。我是{rep}，第一杯我请。",
        daily_cap=30,
    ),
    Draft(
        name="企业团购",
        members=("zhaoliu", "sunqi"),
        spare=("zhangsan",),
        tags=(("来源", "企业团购"),),
        text="{name}，谢谢你想到豆子咖啡。我是{rep}，告诉我人数和日期，今天就给你报价。",
        skip_verify=False,
    ),
)
OPERATOR = "wangwu"
"""Who is there for what takes two: 王五, who runs codes and broadcasts."""
SECOND_ABOVE = 20
"""So few, that a second person can be tried in a shop of some hundred customers."""
CAME, PARTED = ("added", "half_added"), ("deleted_by_rep", "deleted_by_customer")
PAST_DAYS = 13
"""Days before today that the chart of the first page shows."""
PAST_WITHIN_SECONDS = 4.0
"""So long the shop waits for its past to be in the books; on a slow machine the rest comes in while it is open."""
OPEN_FROM, OPEN_HOURS = 9, 12
"""The hour at which the shop opens, and how long it is open."""


@dataclass(frozen=True)
class Place:
    """Where the demo listens and keeps its things."""

    folder: Path
    port: int
    sandbox_port: int

    @property
    def address(self) -> str:
        """The console."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox_address(self) -> str:
        """The simulator."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def config(self) -> Path:
        """The demo's settings as a file, for commands beside it."""
        return self.folder / "config.toml"

    def write_config(self, settings: Settings) -> None:
        """Write that file; only this user may read it."""
        names = ("wecom", "storage", "mp", "web", "contact", "points", "webhooks")
        self.config.touch(mode=0o600)
        self.config.write_text(
            sandbox_settings.as_toml({name: getattr(settings, name).model_dump(exclude_unset=True) for name in names}),
            encoding="utf-8",
        )

    def settings(self) -> Settings:
        """Settings that make the simulator our WeCom; every secret is made up for this run."""
        return Settings.model_validate(
            {
                **sandbox_settings.sections(self.sandbox_address),
                "storage": {"url": f"sqlite:///{self.folder / 'scrm.db'}"},
                "web": {
                    "port": self.port,
                    "base_url": self.address,
                    "secret_key": secrets.token_urlsafe(48),
                    "shop_name": "豆子咖啡",
                },
                "contact": {"second_above": SECOND_ABOVE},
                "points": {"pending_days": 0},
                "webhooks": {"private_networks": True},  # a listener on this machine can be told
            }
        )


class CannotShow(Exception):
    """Why the demo does not start; one line."""


def free_port(wanted: int) -> int:
    """The wanted port, or any free one when it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CannotShow("no free port on this machine")


def run_sandbox(port: int, callback_url: str, seed: int) -> None:
    """Serve the simulator until interrupted."""
    world = _world(callback_url, seed)
    sys.stdout.write(sandbox_settings.words(f"http://127.0.0.1:{port}", callback_url))
    sys.stdout.flush()
    serve_sandbox(world, port)


def household(place: Place, settings: Settings, seed: int) -> Family:
    """Simulator, web and worker, not started yet."""
    family = serve.family(settings)
    callback, zone = f"{place.address}/wecom/callback", settings.timezone
    family.add("sandbox", lambda: _quiet_sandbox(place.sandbox_port, callback, seed, zone))
    return family


def _quiet_sandbox(port: int, callback_url: str, seed: int, zone: ZoneInfo) -> None:
    world = _world(callback_url, seed)
    world.zone = zone.key
    serve_sandbox(world, port)


def _world(callback_url: str, seed: int) -> World:
    """The shop as WeCom has it; its app's home page is the console beside the callback."""
    home = urljoin(callback_url, "/")
    return World.demo(SystemClock(), seed=seed, callback_url=callback_url, home=home)


def wait_until(true: Callable[[], bool], what: str, within: float = UP_WITHIN_SECONDS) -> None:
    """Look ten times a second until it is so. Raises ``CannotShow``."""
    if not becomes(true, within):
        raise CannotShow(f"{what} did not come up within {within:.0f} s")


def becomes(true: Callable[[], bool], within: float) -> bool:
    """Look ten times a second; whether it has become so in time."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def answers(address: str) -> bool:
    """Whether something answers there."""
    try:
        return requests.get(address, timeout=1).status_code < 500
    except requests.RequestException:
        return False


def taken_over(engine: Engine) -> bool:
    """Whether the first fill is through."""
    with reading(engine) as db:
        progress = db.get(Progress, "first_fill")
        return progress is not None and progress.state == "done"


def handled(engine: Engine, at_least: int) -> bool:
    """Whether so many events have come in and none is left to handle."""
    with reading(engine) as db:
        box = inbox.health(db)
    return box.open == 0 and sum(box.counts.values()) >= at_least


def open_shop(engine: Engine, settings: Settings) -> list[Channel]:
    """Make the shop's channel codes, as an operator would."""
    parts = assemble(settings)

    def work(db: "object") -> Work:
        return Work(db, utc_now(), cause="demo", zone=settings.timezone)  # type: ignore[arg-type]

    def note(work: Work, channel: Channel) -> None:
        details = {"name": channel.name}
        audit.note(work.db, actor="demo", action="channel.create", subject=channel.code, details=details, at=work.now)

    desk = Desk(parts.engine, parts.gateway, work)
    return [desk.open(draft, by="demo", note=note) for draft in CHANNELS]


def without_waiting(codes: Iterable[Channel]) -> list[Channel]:
    """The codes whose scans need no rep's yes: those that may be scanned with nobody at the sandbox page."""
    return [code for code in codes if code.skip_verify]


def past_scans(codes: list[Channel], chance: random.Random, now: datetime, zone: ZoneInfo) -> list[dict[str, Any]]:
    """Who scanned what in the days before today, the oldest first, as the sandbox takes it; some have left since."""
    people = narrator.names(chance)
    found = []
    for back in range(PAST_DAYS, 0, -1):
        opened = (now.astimezone(zone) - timedelta(days=back)).replace(hour=OPEN_FROM, minute=0)
        busy = 5 if opened.weekday() >= 5 else 0
        for _ in range(chance.randint(7 + busy, 13 + busy)):
            came = opened + timedelta(hours=chance.uniform(0, OPEN_HOURS))
            left = came + timedelta(days=chance.uniform(0.1, 5)) if chance.random() < 0.2 else None
            found.append(
                {
                    "state": chance.choices(codes, weights=(5, 4, 2, 1))[0].code,
                    "name": next(people),
                    "days_ago": (now - came) / timedelta(days=1),
                    "left_days_ago": (now - left) / timedelta(days=1) if left is not None and left < now else None,
                }
            )
    return found


def tell_the_past(sandbox: Sandbox, scans: Iterable[dict[str, Any]]) -> set[str]:
    """Let WeCom tell of two weeks at once, as after an outage; who came. Only the product writes into its database."""
    return {sandbox.act("past_scan", **scan)["external_userid"] for scan in scans}


def run(port: int, seed: int) -> None:
    """Run the demo until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="wecom-scrm-demo-") as folder:
        chosen = free_port(port)
        if chosen != port:
            sys.stdout.write(f"  Port {port} is taken; using {chosen}.\n")
        place = Place(Path(folder), chosen, free_port(chosen + 1))
        settings = place.settings()
        place.write_config(settings)
        serve.ready_schema(settings)
        links = (serve.first_link(settings) or place.address, second_link(settings))
        family = household(place, settings, seed)
        family.add("people", lambda: play(place, settings, seed, links))
        family.start()
        family.watch()
    sys.stdout.write("\n  Closed. Nothing was kept.\n")


def second_link(settings: Settings) -> str:
    """A one-time address for an operator: the second person, who approves what the boss wrote."""
    engine = open_engine(settings.storage.url)
    try:
        with transaction(engine) as db:
            operator = sign_in.add_user(db, OPERATOR, "operator", utc_now())
            token = sign_in.issue_link(db, operator, utc_now())
            audit.note(db, actor="demo", action="user.add", subject=OPERATOR, at=utc_now())
    finally:
        engine.dispose()
    return f"{settings.web.base_url}/sign-in/link/{token}"


def play(place: Place, settings: Settings, seed: int, links: tuple[str, str]) -> None:
    """Open the shop and keep it busy, telling each thing in a line."""
    engine = open_engine(settings.storage.url)
    wait_until(lambda: answers(f"{place.sandbox_address}/"), "the sandbox")
    wait_until(lambda: answers(f"{place.address}/healthz"), "the console")
    wait_until(lambda: taken_over(engine), "the first fill")
    codes = open_shop(engine, settings)
    follow_newcomers(engine, settings)
    becomes(lambda: talk.has_account(engine), within=UP_WITHIN_SECONDS)
    open_kfid = talk.open_counter(engine)
    sandbox = Sandbox(place.sandbox_address)
    chance = random.Random(seed)  # noqa: S311  # plays a shop, guards nothing  # nosec B311
    earlier = tell_the_past(sandbox, past_scans(codes, chance, utc_now(), settings.timezone))
    becomes(lambda: handled(engine, at_least=len(earlier)), within=PAST_WITHIN_SECONDS)
    counter.connect(engine, settings, sandbox)
    counter.sell_the_past(sandbox, sorted(earlier), chance, PAST_DAYS)
    treats.lay_out(engine, settings)
    invite_some(engine, settings)
    _greet(place, *links, treats.richest(engine, settings))
    Day(sandbox, engine, without_waiting(codes), chance, settings, told=earlier, open_kfid=open_kfid).go_on()


def follow_newcomers(engine: Engine, settings: Settings) -> None:
    """Choose one of the ready-made journeys, once, and let it go live: who comes from now on sets out on it."""
    chosen = next(one for one in READY if one.key == "welcome")
    with transaction(engine) as db:
        if journeys.listed(db):
            return
        work = Work(db, utc_now(), cause="demo", zone=settings.timezone)
        journey = journeys.create(work, chosen.name, chosen.definition, by="demo", ready_made=chosen.key)
        journeys.publish(work, journey, by="demo")
        audit.note(db, actor="demo", action="journey.publish", subject=journeys.public_id(journey.id), at=work.now)


def invite_some(engine: Engine, settings: Settings) -> None:
    """A broadcast to those who came in the shop, let go: the tasks wait at the reps (at night: for the morning).

    The others are left for the newcomer's own broadcast, which would find no room in anybody's budget otherwise.
    """
    with transaction(engine) as db:
        if db.scalar(select(Broadcast.id).limit(1)) is not None:
            return  # the player begins anew after a trouble of its own
        work = Work(db, utc_now(), cause="demo", zone=settings.timezone)
        tag = db.scalar(select(Tag).where(Tag.group_name == "来源", Tag.name == "门店", Tag.deleted_at.is_(None)))
        came_in = (
            {"field": "tag", "op": "has_any", "value": [tags.public_id(tag.id)]} if tag is not None else {"all": []}
        )
        segment = segments.create(work, "从门店来的客户", came_in, by=serve.FIRST_USER)
        draft = broadcasts.Draft(name="周末会员日", segment_id=segment.id, text=INVITATION)
        one = broadcasts.create(work, draft, by=serve.FIRST_USER)
        shown = broadcasts.preflight(db, one, Rules(), work.now, work.zone)
        if shown.will:
            broadcasts.submit(work, one, shown.will, by=serve.FIRST_USER, above=shown.will)


def lay_out_cards(engine: Engine, settings: Settings) -> None:
    """Make the reps' cards for which there is reason by now: the job that does it comes every ten minutes only."""
    with transaction(engine) as db:
        occasions.make_all(Work(db, utc_now(), cause="demo", zone=settings.timezone), Rules())


def as_started() -> list[str]:
    """The command as it works from where the demo was started: ``scrm`` need not be on anybody's path."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return [_from_here(sys.executable), "-m", started.parent.name]
    if (on_path := shutil.which(started.name)) and Path(on_path).samefile(started):
        return [started.name]
    return [_from_here(started)]


def _from_here(program: str | Path) -> str:
    """The shorter of its two addresses: from this folder, or from the root."""
    whole = os.path.abspath(program)  # noqa: PTH100  # links stay links: behind python's is another environment
    return min(whole, os.path.relpath(whole), key=len)


def _greet(place: Place, link: str, second: str, rich: Sequence[Rich]) -> None:
    here = [*as_started(), "--config", str(place.config)]
    check, boss = shlex.join([*here, "check"]), shlex.join([*here, "user", "add", "zhangsan", "--role", "boss"])
    sys.stdout.write(
        "\n  豆子咖啡 is open.  Ctrl-C closes it.\n\n"
        f"  Open:     {link}\n"
        "            (works once, in one browser; 设置 → 谁能登录 → 登录链接 gives another)\n"
        f"  A second person:                  {second}\n"
        f"            (works once, in a private window: the operator approves broadcasts to more than {SECOND_ABOVE},\n"
        "            large gifts of points, days of double points)\n"
        f"  Be a customer or a rep yourself:  {place.sandbox_address}/\n"
        f"  A rep's chat with the sidebar:    {place.sandbox_address}/client?userid=lisi\n"
        f"  The shop's till:                  {place.sandbox_address}/till\n"
        f"{''.join(map(_own_page, rich))}"
        f"  Ask it from another terminal:     {check}\n"
        f"  Another boss, for what needs two: {boss}\n\n"
    )
    sys.stdout.flush()


def _own_page(one: Rich) -> str:
    """Whose page it is, and as whom to sign in with WeChat there; to their number points can be given."""
    who = f"  {one.name}'s own page:"
    return f"{who:36}{one.address}\n            (their phone {one.phone}, their WeChat …{one.external_userid[-4:]})\n"


@dataclass
class Day:
    """An unhurried day in the shop."""

    sandbox: Sandbox
    engine: Engine
    codes: list[Channel]
    chance: random.Random
    settings: Settings
    told: set[str] = field(default_factory=set)
    """Customers of our own making or of the past; the others are played by whoever sits at the sandbox page."""
    open_kfid: str = ""
    seen: int = 0
    """The last line of anybody's story that was looked at."""

    def go_on(self) -> None:
        """Play until the process is ended; quick at first, then calm."""
        people = narrator.names(self.chance)
        here: list[dict[str, object]] = []
        turn = 0
        while os.getppid() != 1:
            turn += 1
            lay_out_cards(self.engine, self.settings)
            if here and self.chance.random() < 0.12:
                self._leave(here.pop(self.chance.randrange(len(here))))
            elif here and self.chance.random() < 0.25:
                self._buy(self.chance.choice(here))
            elif here and self.open_kfid and self.chance.random() < 0.3:
                self._chat(self.chance.choice(here))
            else:
                here.append(self._arrive(next(people)))
            self._rest(self.chance.uniform(0.8, 2.0) if turn < 14 else self.chance.uniform(8, 20))

    def _rest(self, seconds: float) -> None:
        """Wait, telling meanwhile what you do at the sandbox page."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.5)
            for line, person, external, back in yours(self.engine, self.seen, self.told):
                self.seen = max(self.seen, line.id)
                arrival: dict[str, object] = {"external_userid": external, "userid": line.userid}
                if line.kind in PARTED:
                    rep = self._rep(str(line.userid))
                    who = (person.name, rep) if line.kind == "deleted_by_customer" else (rep, person.name)
                    say(self.settings, f"{who[0]} deletes {who[1]} (you): lost, history kept")
                else:
                    self._tell(_coming(person, line, back), arrival, line.details.get("state"))

    def _arrive(self, name: str) -> dict[str, object]:
        code = self.chance.choices(self.codes, weights=(5, 4, 2))[0]
        arrival = narrator.scan(self.sandbox, code.code, name)
        self.told.add(arrival["external_userid"])
        self._tell(f"{name} scans “{code.name}”", arrival, code.code)
        return {**arrival, "name": name}

    def _leave(self, arrival: dict[str, object]) -> None:
        self.sandbox.act("customer_deletes", userid=arrival["userid"], external_userid=arrival["external_userid"])
        say(self.settings, f"{arrival['name']} deletes {self._rep(str(arrival['userid']))}: lost, history kept")

    def _buy(self, arrival: dict[str, object]) -> None:
        """One who is here buys something at the till."""
        customer = str(arrival["external_userid"])
        receipt = counter.sell(self.sandbox, customer, self.chance)
        bought = ", ".join(f"{name} ×{pieces}" for name, pieces in receipt["lines"])
        earned = self._earned(str(receipt["number"])) if receipt["told"] == "ok" else receipt["told"]
        say(self.settings, f"{arrival['name']} buys {bought} for {receipt['amount'] / 100:.2f} → {earned}")

    def _earned(self, number: str) -> str:
        """What a sale brought, as the books say: on a day of double points twice as much."""
        with reading(self.engine) as db:
            award = order_points.award_of(db, reference("order", SOURCE, number))
        return f"{award.result['points']} points" if award is not None else "no points"

    def _chat(self, arrival: dict[str, object]) -> None:
        """One who is here writes to 微信客服; what the words became."""
        customer, name = str(arrival["external_userid"]), str(arrival["name"])
        said = talk.chat(self.sandbox, self.open_kfid, customer, name, self.chance, self.chance.randint(1, 2))
        for remark in said:
            became = f" → tags {' '.join(remark.tags)}" if remark.tags else " → answered" if remark.answered else ""
            say(self.settings, f"{name} writes: {remark.text}{became}")

    def _tell(self, words: str, arrival: dict[str, object], code: str | None) -> None:
        """Wait a moment for the outcome, then say it all in one line."""
        external, deadline = str(arrival["external_userid"]), time.monotonic() + 6
        welcome: Welcome | None = None
        tags: list[str] = []
        while time.monotonic() < deadline and (welcome is None or welcome.outcome == "waiting" or not tags):
            time.sleep(0.1)
            welcome, tags = outcome(self.engine, external, code)
        greeted = "no welcome yet"
        if welcome is not None:
            took = f" in {welcome.seconds:.2f} s" if welcome.seconds is not None else ""
            greeted = f"welcome {welcome.outcome}{took}"
        say(
            self.settings,
            f"{words} → {self._rep(str(arrival['userid']))} · {greeted} · {'  '.join(tags) or 'no tags yet'}",
        )

    def _rep(self, userid: str) -> str:
        with reading(self.engine) as db:
            return db.scalar(select(Member.name).where(Member.userid == userid)) or userid


def yours(engine: Engine, seen: int, told: set[str]) -> list[tuple[Interaction, Person, str, bool]]:
    """New lines of people who are nobody's play here: who came or went, how WeCom knows them, had they gone before."""
    before = aliased(Interaction)
    gone = before.kind.in_(PARTED) & (before.person_id == Interaction.person_id) & (before.id < Interaction.id)
    shown = (Interaction, Person, Identity.value, select(before.id).where(gone).exists())
    with reading(engine) as db:
        lines = select(*shown).join(Person, Person.id == Interaction.person_id)
        known = lines.join(Identity, Identity.person_id == Person.id).where(Identity.type == persons.EXTERNAL)
        new = known.where(
            Interaction.id > seen,
            Interaction.kind.in_((*CAME, *PARTED)),
            Identity.value.not_in(told),
            Person.name != "",
        )
        return [(line, who, known_as, back) for line, who, known_as, back in db.execute(new.order_by(Interaction.id))]


def _coming(person: Person, line: Interaction, back: bool) -> str:
    """What you did at the sandbox page: came or came back, over which code, and whether a rep has to say yes."""
    came = "came back" if back else "came"
    over = f" over “{line.details['channel']}”" if line.details.get("channel") else ""
    return f"{person.name} (you) {came}{over}{', waiting for the rep' if line.kind == 'half_added' else ''}"


def outcome(engine: Engine, external_userid: str, code: str | None) -> tuple[Welcome | None, list[str]]:
    """The latest welcome of this customer, and which tags of the code they have now, as our books say."""
    with reading(engine) as db:
        latest = select(Welcome).where(Welcome.external_userid == external_userid).order_by(Welcome.id.desc()).limit(1)
        welcome = db.scalars(latest).one_or_none()
        own = db.scalar(select(Channel.tags).where(Channel.code == code)) or []
        named = (
            select(Tag.group_name, Tag.name)
            .join(PersonTag, PersonTag.tag_id == Tag.id)
            .join(Person, Person.id == PersonTag.person_id)
            .where(Person.identities.any(value=external_userid), Tag.id.in_(own))
        )
        return welcome, [f"{group}/{name}" for group, name in db.execute(named)]


def say(settings: Settings, words: str) -> None:
    """One short line of the story, with the shop's time."""
    sys.stdout.write(f"  {datetime.now(UTC).astimezone(settings.timezone):%H:%M:%S}  {words}\n")
    sys.stdout.flush()
