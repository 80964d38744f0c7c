"""A shop to measure in: the sandbox as its WeCom, a database that has been opened for business, events to send."""

import base64
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import Engine, insert, text

from benchmarks import databases, load
from benchmarks.processes import SCRM, answers, free_port, running, wait_until
from bot.assembly import assemble
from bot.callback import arriving
from bot.narrator import Sandbox
from bot.settings import Settings
from bot.settings import load as read_settings
from bot.ticking import work_off
from sandbox.envelope import Envelope, outer_xml
from sandbox.events import as_xml
from sandbox.state import CORP_ID
from sandbox.world import AES_KEY, AGENT_ID, APP_SECRET, APP_TOKEN, past_customer
from storage import schema
from storage.database import open_engine, utc_now
from storage.tables import InboxRow
from storage.work import Work
from tagging.channel_desk import Desk
from tagging.channels import Draft
from wecom.events import read_event

CHANNEL = Draft(
    name="测速",
    members=("lisi", "wangwu", "zhaoliu", "sunqi"),
    tags=(("来源", "测速"),),
    text="你好 {name}，我是{rep}，欢迎从{channel}过来。",
)
CUSTOMER_EVENT = "change_external_contact"
SEALER = Envelope(APP_TOKEN, AES_KEY, CORP_ID)
CONFIG = """
[wecom]
corp_id = "{corp_id}"
agent_id = {agent_id}
secret = "{secret}"
token = "{token}"
encoding_aes_key = "{aes_key}"
api_base = "{sandbox}/cgi-bin/"
oauth_base = "{sandbox}"
login_base = "{sandbox}"

[storage]
url = "{url}"

[web]
port = {port}
base_url = "http://127.0.0.1:{port}"
secret_key = "a-key-for-measuring-only-that-guards-nothing"
"""


@dataclass(frozen=True)
class Simulator:
    """The sandbox in a process of its own."""

    sandbox: Sandbox
    port: int
    callback_port: int
    """Where it sends its callbacks, once they are switched on."""

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def token(self) -> str:
        """The app's access token."""
        query = {"corpid": CORP_ID, "corpsecret": APP_SECRET}
        return str(self.sandbox._http.get(f"{self.address}/cgi-bin/gettoken", params=query).json()["access_token"])

    def callbacks(self, on: bool) -> None:
        """Whether events are sent to the product."""
        url = f"http://127.0.0.1:{self.callback_port}/wecom/callback" if on else ""
        self.sandbox.act("app", agent_id=AGENT_ID, callback_url=url)

    def people(self, count: int) -> list[tuple[str, str]]:
        """So many customers more, from the past; (rep, customer) of each."""
        state = self.sandbox.view("state")
        reps = [one["userid"] for one in state["members"] if one["status"] == 1]
        first = state["customers"]
        self.sandbox.act("populate", relations=count)
        return [(reps[n % len(reps)], past_customer(first + n).external_userid) for n in range(count)]


@contextmanager
def simulator(folder: Path) -> Iterator[Simulator]:
    """The sandbox, with no limit on calls, sending no callbacks yet."""
    port, callback_port = free_port(), free_port()
    address = f"http://127.0.0.1:{callback_port}/wecom/callback"
    command = (*SCRM, "--log-level", "ERROR", "sandbox", "--port", str(port), "--callback-url", address)
    with running(*command, log=folder / "sandbox.log"):
        made = Simulator(Sandbox(f"http://127.0.0.1:{port}"), port, callback_port)
        wait_until(lambda: answers(f"{made.address}/"), "the sandbox")
        made.sandbox.act("limits", per_minute=10**9, per_hour=10**9)
        made.callbacks(on=False)
        yield made


def write_config(folder: Path, url: str, port: int, sandbox: str = "http://127.0.0.1:9") -> Path:
    """A config.toml for this database and port."""
    path = folder / f"config-{port}-{time.monotonic_ns()}.toml"
    values = {"corp_id": CORP_ID, "agent_id": AGENT_ID, "secret": APP_SECRET, "token": APP_TOKEN, "aes_key": AES_KEY}
    path.write_text(CONFIG.format(**values, url=url, port=port, sandbox=sandbox))
    return path


@contextmanager
def opened(kind: str, folder: Path, wecom: Simulator) -> Iterator[tuple[str, str]]:
    """A database open for business: members read, a channel code made. Its address, and the code's State."""
    with databases.empty(kind, folder) as url:
        schema.migrate(url)
        settings = read_settings(write_config(folder, url, wecom.callback_port, wecom.address))
        yield url, _open_for_business(settings)


def _open_for_business(settings: Settings) -> str:
    parts = assemble(settings)
    parts.loop(lambda: None, lambda: False).run_due()
    desk = Desk(parts.engine, parts.gateway, lambda db: Work(db, utc_now(), zone=parts.zone))
    code = desk.open(CHANNEL, by="benchmark", note=lambda *_: None).code
    work_off(parts)
    parts.close()
    return code


@contextmanager
def engine_to(url: str) -> Iterator[Engine]:
    """A look of our own at the product's database."""
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


def count(engine: Engine, where: str = "1 = 1", table: str = "inbox") -> int:
    """How many rows of a table there are."""
    with engine.connect().execution_options(sqlite_begin="DEFERRED") as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table} WHERE {where}")) or 0)


def event(change: str, rep: str, customer: str, **more: str) -> str:
    """A customer event as WeCom writes it."""
    common = {"ToUserName": CORP_ID, "FromUserName": "sys", "CreateTime": int(time.time()), "MsgType": "event"}
    about = {"Event": CUSTOMER_EVENT, "ChangeType": change, "UserID": rep, "ExternalUserID": customer}
    return as_xml({**common, **about, **more})


def sealed(xml: str, number: int) -> bytes:
    """A callback as WeCom posts it, ready to be sent."""
    encrypt, stamp, nonce = SEALER.encrypt(xml), str(int(time.time())), str(number)
    query = {"msg_signature": SEALER.sign(stamp, nonce, encrypt), "timestamp": stamp, "nonce": nonce}
    return load.post(f"/wecom/callback?{urlencode(query)}", outer_xml(CORP_ID, AGENT_ID, encrypt))


def url_check() -> tuple[dict[str, str], bytes]:
    """The question WeCom asks when the address is saved, and the answer it wants."""
    encrypt, echo = SEALER.encrypt("1234567890"), b"1234567890"
    query = {"msg_signature": SEALER.sign("1", "n", encrypt), "timestamp": "1", "nonce": "n", "echostr": encrypt}
    return query, echo


def arrivals(count: int, first: int = 0) -> list[bytes]:
    """Sealed arrivals, each of another customer, with a welcome code as long as WeCom's."""
    code = base64.urlsafe_b64encode(bytes(32)).decode()
    xmls = (
        event("add_external_contact", "lisi", f"wmBenchmarkAAAAAAAAA{n:012d}", State="bench", WelcomeCode=code)
        for n in range(first, first + count)
    )
    return [sealed(xml, n) for n, xml in enumerate(xmls)]


def inbox_rows(xmls: Iterable[str], now: datetime) -> list[dict[str, object]]:
    """Events as the inbox keeps them."""
    return [arriving(read_event(xml), xml, now).row(now) for xml in xmls]


def preload(engine: Engine, rows: Sequence[dict[str, object]]) -> None:
    """Put rows straight into the inbox."""
    with engine.begin() as connection:
        for start in range(0, len(rows), 10_000):
            connection.execute(insert(InboxRow), rows[start : start + 10_000])


@contextmanager
def parts_running(role: str, configs: Sequence[Path], folder: Path) -> Iterator[list[int]]:
    """One process of this role for each config; their ids."""
    command = ("-m", "benchmarks.part", role)
    with ExitStack() as stack:
        made = [stack.enter_context(running(*command, str(one), log=folder / f"{role}.log")) for one in configs]
        yield [one.pid for one in made]
