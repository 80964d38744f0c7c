"""The product as an operator runs it: `scrm serve` in processes of its own, beside a WeCom of ours, to be killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import requests
from sqlalchemy import make_url

from sandbox.world import AGENT_ID, World

ROOT = Path(__file__).resolve().parents[1]
SERVER = os.environ.get("SCRM_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
READY_SECONDS = 60.0


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """A new, empty database of this kind, gone afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'scrm.db'}"
        return
    name = f"scrm_soak_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(SERVER, autocommit=True) as line:
        line.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield make_url(SERVER).set(drivername="postgresql+psycopg", database=name).render_as_string(False)
    finally:
        with psycopg.connect(SERVER, autocommit=True) as line:
            line.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def write_config(folder: Path, world: World, url: str, port: int) -> Path:
    """Settings that make our WeCom the product's."""
    app = world.app(AGENT_ID)
    path = folder / "config.toml"
    path.write_text(
        f"""
[wecom]
corp_id = "{world.corp_id}"
agent_id = {AGENT_ID}
secret = "{app.secret}"
token = "{app.token}"
encoding_aes_key = "{app.encoding_aes_key}"
api_base = "{world.base_url}/cgi-bin/"
oauth_base = "{world.base_url}"
login_base = "{world.base_url}"

[storage]
url = "{url}"

[web]
host = "127.0.0.1"
port = {port}
base_url = "http://127.0.0.1:{port}"
secret_key = "a key for one soak run, which guards nothing"
""",
        encoding="utf-8",
    )
    return path


@dataclass
class House:
    """`scrm serve` and what it started."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """Whether the web process answers just now."""
        try:
            return requests.get(f"{self.address}/healthz", timeout=1).status_code == 200
        except requests.RequestException:
            return False

    def wait_until_it_answers(self, patience: float = READY_SECONDS) -> float:
        """How many seconds it took."""
        started = time.monotonic()
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - started > patience:
                raise SystemExit(f"the product does not answer:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.02)
        return time.monotonic() - started

    def web(self) -> int | None:
        """The process that listens."""
        inode = listening_inode(self.port)
        return next((pid for pid in self.children() if inode and holds(pid, inode)), None)

    def workers(self) -> list[int]:
        """The processes that work."""
        web = self.web()
        return [pid for pid in self.children() if pid != web] if web else []

    def children(self) -> list[int]:
        """Everything it started."""
        mother = self.process.pid
        try:
            names = Path(f"/proc/{mother}/task/{mother}/children").read_text(encoding="ascii").split()
        except OSError:
            return []
        return [int(one) for one in names]

    def kill(self, which: str) -> bool:
        """End the web or the working processes as a power cut would; False when there is none just now."""
        web = self.web()
        pids = self.workers() if which == "worker" else [web] if web else []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pids)

    def stop(self) -> float:
        """Tell it to end, as a deploy does; how many seconds it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - started


@contextmanager
def running(config: Path, port: int, folder: Path) -> Iterator[House]:
    """The product, serving with these settings."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "bot", "serve", "--config", str(config), "--role", "all"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)  # noqa: S603  our own program
    house = House(process, port, log)
    try:
        house.wait_until_it_answers()
        yield house
    finally:
        if process.poll() is None:
            house.stop()


def listening_inode(port: int) -> str | None:
    """The socket that listens on this port."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].partition(":")[2], 16) == port:
            return fields[9]
    return None


def holds(pid: int, inode: str) -> bool:
    """Whether this process has that socket open."""
    try:
        return any(str(one.readlink()) == f"socket:[{inode}]" for one in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
