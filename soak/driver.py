"""Behaves like WeCom: makes things happen, tells of each up to three times, and again when nobody answers."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

from sandbox.facts import ContactWay, Event
from sandbox.forgeries import sealed
from sandbox.world import AGENT_ID, World

TRIES = 60
PAUSE = 0.25
TIMEOUT = 5.0
KINDS: Mapping[str, int] = {
    "arrive": 50,
    "half": 10,
    "edit": 18,
    "customer_deletes": 6,
    "member_deletes": 6,
    "return": 6,
    "strange": 4,
}
"""What happens, and how often in a hundred."""


@dataclass
class Told:
    """One event, and what the product said to it."""

    event: Event
    deliveries: int = 0
    acknowledged: int = 0
    tries: int = 0


@dataclass
class Driver:
    """Makes ``count`` events over ``connections`` connections. ``each`` is called with the number of events told."""

    world: World
    way: ContactWay
    address: str
    seed: int
    connections: int = 8
    rate: float = 0.0
    """Events a second; 0 is as fast as it goes."""
    each: Callable[[int], None] = lambda _: None
    told: dict[int, Told] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311  chance, not secrecy
        self._lock = threading.Lock()
        self._local = threading.local()
        self._pairs: list[tuple[str, str]] = []
        self._gone: list[tuple[str, str]] = []
        self._last: dict[str, int] = {}
        self._new = 0
        self.world.on_event(self._hear)
        self._heard: list[Event] = []

    def run(self, count: int) -> None:
        """Let it all happen."""
        with ThreadPoolExecutor(self.connections, "driver") as pool:
            pending, started = [], time.monotonic()
            while len(self.told) < count:
                if self.rate:
                    time.sleep(max(0.0, started + len(self.told) / self.rate - time.monotonic()))
                for event in self._happen():
                    self.told[event.id] = Told(event)
                    turns = self._rng.choice((1, 2, 3))
                    pending += [pool.submit(self._deliver, self.told[event.id]) for _ in range(turns)]
                    self.each(len(self.told))
                while len(pending) > 4 * self.connections:
                    pending.pop(0).result()
            for one in pending:
                one.result()

    # --- what happens -------------------------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        self._heard.append(event)
        self._last[str(event.fields.get("ExternalUserID"))] = int(event.at)

    def _happen(self) -> list[Event]:
        """One more thing that somebody does, and the events that tell of it."""
        kind = self._rng.choices(list(KINDS), list(KINDS.values()))[0]
        self._heard = []
        getattr(self, f"_{kind}")()
        return self._heard

    def _arrive(self) -> None:
        self._new += 1
        self.world.half_add = False
        arrival = self.world.scan(self.way.config_id, name=f"客户{self._new}", external_userid=f"wmSoak{self._new:07d}")
        self._pairs.append((arrival.userid, arrival.external_userid))

    def _half(self) -> None:
        self._new += 1
        self.world.half_add, self.world.half_delay = True, None
        arrival = self.world.scan(self.way.config_id, name=f"客户{self._new}", external_userid=f"wmSoak{self._new:07d}")
        if self._rng.random() < 0.8:
            self.world.confirm(arrival.userid, arrival.external_userid)
            self._pairs.append((arrival.userid, arrival.external_userid))

    def _edit(self) -> None:
        if self._pairs:
            userid, external = self._rng.choice(self._pairs)
            self.world.edit_remark(userid, external, remark=f"备注{self._rng.getrandbits(20)}")

    def _customer_deletes(self) -> None:
        self._part(self.world.customer_deletes)

    def _member_deletes(self) -> None:
        self._part(self.world.member_deletes)

    def _part(self, act: Callable[[str, str], None]) -> None:
        if len(self._pairs) > 20:
            pair = self._pairs.pop(self._rng.randrange(len(self._pairs)))
            act(*pair)
            self._gone.append(pair)

    def _return(self) -> None:
        """Whoever comes back does so in another second than he went: within one, nobody could tell the order."""
        now = self.world.second()
        pair = next((one for one in self._gone if self._last[one[1]] < now), None)
        if pair is not None:
            self._gone.remove(pair)
            self.world.half_add = False
            self.world.scan(self.way.config_id, external_userid=pair[1], userid=pair[0])
            self._pairs.append(pair)

    def _strange(self) -> None:
        fields = {"Event": f"brand_new_{self._rng.randrange(5)}", "Number": str(self._rng.getrandbits(40))}
        self.world.emit(fields, receiver=AGENT_ID)

    # --- telling of it ------------------------------------------------------------------------------------------------

    def _deliver(self, told: Told) -> None:
        """Sealed anew at each try, until it is received; then nobody asks again."""
        app = self.world.app(AGENT_ID)
        with self._lock:
            told.deliveries += 1
        for _ in range(TRIES):
            with self.world.lock:
                params, body = sealed(self.world, app, told.event.xml)
            started = time.monotonic()
            status = self._post(params, body)
            with self._lock:
                told.tries += 1
                self.statuses[status] += 1
                self.seconds.append(time.monotonic() - started)
            if status == 200:
                with self._lock:
                    told.acknowledged += 1
                return
            time.sleep(PAUSE)

    def _post(self, params: Mapping[str, str], body: bytes) -> int:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        try:
            answer = self._local.session.post(
                f"{self.address}/wecom/callback",
                params=params,
                data=body,
                headers={"Content-Type": "text/xml"},
                timeout=TIMEOUT,
            )
        except requests.RequestException:
            return 0
        return int(answer.status_code)
