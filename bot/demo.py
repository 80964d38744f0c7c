"""``scrm demo``: a whole shop on one machine, with a WeCom simulator instead of WeCom, filled and kept busy.

Everything lives in a folder that is removed at the end. Nothing here is used by the real product.
"""

import logging
import os
import random
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import requests
from sqlalchemy import Engine, select

from bot import narrator, serve
from bot.assembly import assemble
from bot.family import Family
from bot.narrator import Sandbox
from bot.settings import Settings
from sandbox.clock import SystemClock
from sandbox.web import serve as serve_sandbox
from sandbox.world import AES_KEY, AGENT_ID, APP_SECRET, APP_TOKEN, World
from storage import audit
from storage.database import open_engine, reading, utc_now
from storage.tables import Channel, Identity, Member, Person, PersonTag, Progress, Tag, Welcome
from storage.work import Work
from tagging.channel_desk import Desk
from tagging.channels import Draft

log = logging.getLogger(__name__)

UP_WITHIN_SECONDS = 30.0
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
)


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

    def settings(self) -> Settings:
        """Settings that make the simulator our WeCom; every secret is made up for this run."""
        return Settings.model_validate(
            {
                "wecom": {
                    "corp_id": "wwsandbox000000001",
                    "agent_id": AGENT_ID,
                    "secret": APP_SECRET,
                    "token": APP_TOKEN,
                    "encoding_aes_key": AES_KEY,
                    "api_base": f"{self.sandbox_address}/cgi-bin/",
                    "oauth_base": self.sandbox_address,
                    "login_base": self.sandbox_address,
                },
                "storage": {"url": f"sqlite:///{self.folder / 'scrm.db'}"},
                "web": {"port": self.port, "base_url": self.address, "secret_key": secrets.token_urlsafe(48)},
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
    world = World.demo(SystemClock(), seed=seed, callback_url=callback_url)
    sys.stdout.write(f"WeCom sandbox on http://127.0.0.1:{port}, callbacks to {callback_url}\n")
    sys.stdout.flush()
    serve_sandbox(world, port)


def household(place: Place, settings: Settings, seed: int) -> Family:
    """Simulator, web and worker, not started yet."""
    family = serve.family(settings)
    family.add("sandbox", lambda: _quiet_sandbox(place.sandbox_port, f"{place.address}/wecom/callback", seed))
    return family


def _quiet_sandbox(port: int, callback_url: str, seed: int) -> None:
    world = World.demo(SystemClock(), seed=seed, callback_url=callback_url)
    serve_sandbox(world, port)


def wait_until(true: Callable[[], bool], what: str, within: float = UP_WITHIN_SECONDS) -> None:
    """Look ten times a second until it is so. Raises ``CannotShow``."""
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            raise CannotShow(f"{what} did not come up within {within:.0f} s")
        time.sleep(0.1)


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


def open_shop(engine: Engine, settings: Settings) -> list[Channel]:
    """Make the shop's channel codes, as an operator would."""
    parts = assemble(settings)

    def work(db: "object") -> Work:
        return Work(db, utc_now(), cause="demo", zone=settings.timezone)  # type: ignore[arg-type]

    def note(work: Work, channel: Channel) -> None:
        audit.note(work.db, actor="demo", action="channel.create", subject=channel.name, at=work.now)

    desk = Desk(parts.engine, parts.gateway, work)
    return [desk.open(draft, by="demo", note=note) for draft in CHANNELS]


def run(port: int, seed: int) -> None:
    """Run the demo until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="wecom-scrm-demo-") as folder:
        chosen = free_port(port)
        if chosen != port:
            sys.stdout.write(f"  Port {port} is taken; using {chosen}.\n")
        place = Place(Path(folder), chosen, free_port(chosen + 1))
        settings = place.settings()
        serve.ready_schema(settings)
        link = serve.first_link(settings)
        family = household(place, settings, seed)
        family.add("people", lambda: play(place, settings, seed, link or place.address))
        family.start()
        family.watch()
    sys.stdout.write("\n  Closed. Nothing was kept.\n")


def play(place: Place, settings: Settings, seed: int, link: str) -> None:
    """Open the shop and keep it busy, telling each thing in a line."""
    engine = open_engine(settings.storage.url)
    wait_until(lambda: answers(f"{place.sandbox_address}/"), "the sandbox")
    wait_until(lambda: answers(f"{place.address}/healthz"), "the console")
    wait_until(lambda: taken_over(engine), "the first fill")
    codes = open_shop(engine, settings)
    _greet(place, link)
    sandbox = Sandbox(place.sandbox_address)
    chance = random.Random(seed)  # noqa: S311  # plays a shop, guards nothing  # nosec B311
    Day(sandbox, engine, codes, chance, settings).go_on()


def _greet(place: Place, link: str) -> None:
    sys.stdout.write(
        "\n  豆子咖啡 is open.  Ctrl-C closes it.\n\n"
        f"  Open:     {link}\n"
        "            (works once, in one browser; start the demo again for another)\n"
        f"  Be a customer or a rep yourself:  {place.sandbox_address}/\n\n"
    )
    sys.stdout.flush()


@dataclass
class Day:
    """An unhurried day in the shop."""

    sandbox: Sandbox
    engine: Engine
    codes: list[Channel]
    chance: random.Random
    settings: Settings
    told: set[str] = field(default_factory=set)
    """Customers of our own making; the others are played by whoever sits at the sandbox page."""

    def go_on(self) -> None:
        """Play until the process is ended; quick at first, then calm."""
        people = narrator.names(self.chance)
        here: list[dict[str, object]] = []
        turn = 0
        while os.getppid() != 1:
            turn += 1
            if here and self.chance.random() < 0.12:
                self._leave(here.pop(self.chance.randrange(len(here))))
            else:
                here.append(self._arrive(next(people)))
            self._rest(self.chance.uniform(0.8, 2.0) if turn < 14 else self.chance.uniform(8, 20))

    def _rest(self, seconds: float) -> None:
        """Wait, telling meanwhile what you do at the sandbox page."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(0.5)
            for person, welcome in yours(self.engine, self.told):
                self.told.add(welcome.external_userid)
                self._tell(
                    f"{person.name} (you) came", {"external_userid": welcome.external_userid, "userid": welcome.userid}
                )

    def _arrive(self, name: str) -> dict[str, object]:
        code = self.chance.choices(self.codes, weights=(5, 4, 2))[0]
        arrival = narrator.scan(self.sandbox, code.code, name)
        self.told.add(arrival["external_userid"])
        self._tell(f"{name} scans “{code.name}”", arrival)
        return {**arrival, "name": name}

    def _leave(self, arrival: dict[str, object]) -> None:
        self.sandbox.act("customer_deletes", userid=arrival["userid"], external_userid=arrival["external_userid"])
        say(self.settings, f"{arrival['name']} deletes {self._rep(str(arrival['userid']))}: lost, history kept")

    def _tell(self, words: str, arrival: dict[str, object]) -> None:
        """Wait a moment for the outcome, then say it all in one line."""
        external, deadline = str(arrival["external_userid"]), time.monotonic() + 6
        welcome: Welcome | None = None
        tags: list[str] = []
        while time.monotonic() < deadline and (welcome is None or welcome.outcome == "waiting" or not tags):
            time.sleep(0.1)
            welcome, tags = outcome(self.engine, external)
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


def yours(engine: Engine, told: set[str]) -> list[tuple[Person, Welcome]]:
    """People who came and whom nobody has told about yet, with their welcome."""
    with reading(engine) as db:
        known = select(Person, Welcome).join(Identity, Identity.person_id == Person.id)
        came = known.join(Welcome, Welcome.external_userid == Identity.value).where(Welcome.outcome != "waiting")
        rows = db.execute(came.where(Welcome.external_userid.not_in(told)).order_by(Welcome.id))
        return [(person, welcome) for person, welcome in rows if person.name]


def outcome(engine: Engine, external_userid: str) -> tuple[Welcome | None, list[str]]:
    """The latest welcome of this customer and their tags, as our books say."""
    with reading(engine) as db:
        latest = select(Welcome).where(Welcome.external_userid == external_userid).order_by(Welcome.id.desc()).limit(1)
        welcome = db.scalars(latest).one_or_none()
        named = (
            select(Tag.group_name, Tag.name)
            .join(PersonTag, PersonTag.tag_id == Tag.id)
            .join(Person, Person.id == PersonTag.person_id)
            .where(Person.identities.any(value=external_userid))
        )
        return welcome, [f"{group}/{name}" for group, name in db.execute(named)]


def say(settings: Settings, words: str) -> None:
    """One short line of the story, with the shop's time."""
    sys.stdout.write(f"  {datetime.now(UTC).astimezone(settings.timezone):%H:%M:%S}  {words}\n")
    sys.stdout.flush()
