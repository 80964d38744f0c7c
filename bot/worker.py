"""The worker: lanes that take work, oldest first, and hand it to a few threads each; and the loop of the timetable.

Each lane waits for the bell or a second, claims as much as it has hands for, and stops between two rows when told to.
The welcome lanes serve nothing else, so that no amount of other work holds a greeting up; under ``scrm serve`` they
have a process of their own, since threads of one process share one processor.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from bot.assembly import Parts
from storage.inbox import EVENTS, WELCOME
from storage.outbox import Claimed

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 1.0
TROUBLE_SECONDS = 1.0
RESCUE_SECONDS = 2.0
EVENT_HANDS, GREETING_HANDS, CALL_HANDS, TAG_HANDS, KF_HANDS, FILE_HANDS = 4, 24, 4, 5, 4, 2
"""How many rows a lane works on at once. Greetings wait for WeCom most of the time: 50 a second need a dozen.

Each file on its way may take 20 MB of memory."""

Claim = Callable[[int], tuple[Sequence[Any], bool]]
"""Given how many rows there is room for: the rows taken, and whether there may be more to take at once."""
Serve = Callable[[Any], Iterable[str]]


class Lane:
    """Claims rows and serves them with up to ``hands`` threads, born when first needed.

    It claims up to ``ahead`` rows more than it has hands for, so that one claim serves several of them. With
    ``in_order`` the end of one row may make another one due; with ``always`` it also claims when there is no room.
    """

    def __init__(
        self,
        name: str,
        hands: int,
        claim: Claim,
        serve: Serve,
        ring: Callable[[Iterable[str]], None],
        *,
        ahead: int = 0,
        in_order: bool = True,
        always: bool = False,
    ) -> None:
        self.name = name
        self._hands, self._ahead, self._claim, self._serve, self._ring = hands, ahead, claim, serve, ring
        self._pool = ThreadPoolExecutor(hands, thread_name_prefix=name)
        self._busy = 0
        self._in_order, self._always, self._full = in_order, always, False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"lane {name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look now rather than in a second."""
        self._wake.set()

    def halt(self) -> None:
        """Claim nothing more."""
        self._stopping = True
        self._wake.set()

    def stop(self) -> None:
        """Return when the rows in hand are done."""
        self.halt()
        self._thread.join()
        self._pool.shutdown(wait=True)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                more = self._take()
            except Exception as error:
                known = isinstance(error, SQLAlchemyError)
                log.error("lane %s: %s", self.name, type(error).__name__, exc_info=None if known else error)
                more = False
                self._wake.wait(TROUBLE_SECONDS)
            if not more:
                self._wake.wait(LOOK_AGAIN_SECONDS)

    def _take(self) -> bool:
        """Claim for the free hands; whether there may be more. If not, whoever brings more rings the bell."""
        with self._lock:
            room = self._hands + self._ahead - self._busy
            self._full = room <= 0 or self._busy > self._hands  # nobody to take it, or rows lie ready
        if self._full and not self._always:
            return False
        rows, more = self._claim(max(room, 0))
        with self._lock:
            self._busy += len(rows)
        for row in rows:
            self._pool.submit(self._serve_one, row).add_done_callback(self._free_hand)
        return more

    def _serve_one(self, row: Any) -> None:
        try:
            self._ring(self._serve(row))
        except SQLAlchemyError as error:
            log.error("lane %s: row %d is left to its lease: %s", self.name, row.id, type(error).__name__)

    def _free_hand(self, done: "Future[None]") -> None:
        with self._lock:
            self._busy -= 1
            called = self._in_order or self._full
        if called:
            self._wake.set()
        if error := done.exception():
            log.error("lane %s: a hand failed", self.name, exc_info=error)


@dataclass(frozen=True)
class Duty:
    """What one process works at: its lanes with their hands, and whether it keeps the timetable and frees lost work."""

    inboxes: Mapping[str, int]
    outboxes: Mapping[str, int]
    greeters: int = 0
    """Hands that take arrivals and greet them."""
    keeps_time: bool = True
    kindness: int = 0
    """How much it lets other processes go first (``nice``)."""


EXPRESS = Duty({}, {"welcome": GREETING_HANDS}, greeters=GREETING_HANDS, keeps_time=False)
ORDINARY = Duty(
    {EVENTS: EVENT_HANDS},
    {"calls": CALL_HANDS, "tags": TAG_HANDS, "kf": KF_HANDS, "files": FILE_HANDS},
    kindness=5,
)
EVERYTHING = Duty(ORDINARY.inboxes, {**EXPRESS.outboxes, **ORDINARY.outboxes}, greeters=GREETING_HANDS)


class Worker:
    """The lanes and the loop of one process."""

    def __init__(self, parts: Parts, duty: Duty = EVERYTHING) -> None:
        dispatcher, sender = parts.dispatcher(), parts.sender()
        self._duty, self._bell = duty, parts.bell
        self._rescues = dispatcher.rescue, sender.rescue
        self._stop = threading.Event()
        self._loop = parts.loop(self.ring_all, self._stop.is_set)
        self._dispatcher = dispatcher
        lanes = [
            Lane(f"inbox:{name}", hands, _claim(dispatcher.claim, name), dispatcher.handle_one, self.ring, ahead=hands)
            for name, hands in duty.inboxes.items()
        ]
        lanes += [
            Lane(name, hands, _claim(sender.claim, name), sender.deliver_one, self.ring)
            for name, hands in duty.outboxes.items()
        ]
        if duty.greeters:
            name = f"inbox:{WELCOME}"
            lanes.append(
                Lane(name, duty.greeters, self._greet, sender.deliver_one, self.ring, in_order=False, always=True)
            )
        self._lanes = {one.name: one for one in lanes}
        parts.bell.listen(self._called)

    def _greet(self, room: int) -> tuple[list[Claimed], bool]:
        """From arrivals to the calls that greet them; after some there may be others, of the same customers too."""
        greeted = self._dispatcher.greet(room)
        self.ring(greeted.lanes)
        return greeted.calls, greeted.arrivals > 0

    def ring(self, lanes: Iterable[str]) -> None:
        """Wake these lanes, here or wherever they are served: what they wait for has just been kept."""
        for name in lanes:
            if name in self._lanes:
                self._lanes[name].wake()
            else:
                self._bell.ring(name)

    def ring_all(self) -> None:
        """Wake every lane, wherever it is served."""
        self.wake_all()
        self._bell.ring()

    def _called(self, lane: str) -> None:
        """The bell rang, for one lane or for all."""
        if not lane:
            self.wake_all()
        elif lane in self._lanes:
            self._lanes[lane].wake()

    def wake_all(self) -> None:
        """Wake every lane of this process."""
        for lane in self._lanes.values():
            lane.wake()

    def start(self) -> None:
        """Begin to work."""
        for lane in self._lanes.values():
            lane.start()
        if self._duty.keeps_time:
            threading.Thread(target=self._rescue_lost, name="rescue", daemon=True).start()
            self._loop.start()

    def stop(self) -> None:
        """Finish what is in hand, claim nothing more."""
        self._stop.set()
        for lane in self._lanes.values():
            lane.halt()
        for lane in self._lanes.values():
            lane.stop()
        if self._duty.keeps_time:
            self._loop.stop()

    def _rescue_lost(self) -> None:
        """Every few seconds free the events and calls whose worker died: a welcome has only twenty."""
        while not self._stop.wait(RESCUE_SECONDS):
            for rescue in self._rescues:
                try:
                    self.ring(rescue())
                except Exception as error:
                    known = isinstance(error, SQLAlchemyError)
                    log.error("rescue: %s", type(error).__name__, exc_info=None if known else error)


def _claim(claim: Callable[[str, int], Sequence[Any]], lane: str) -> Claim:
    def take(room: int) -> tuple[Sequence[Any], bool]:
        rows = claim(lane, room)
        return rows, len(rows) == room

    return take


def run(parts: Parts, duty: Duty = EVERYTHING) -> None:
    """Work until SIGTERM or SIGINT; what is in hand is finished first. A second signal ends at once."""
    os.nice(duty.kindness)
    worker = Worker(parts, duty)
    told = threading.Event()

    def tell(number: int, frame: FrameType | None) -> None:
        if told.is_set():
            os._exit(1)
        told.set()

    signal.signal(signal.SIGTERM, tell)
    signal.signal(signal.SIGINT, tell)
    worker.start()
    log.info("worker %d at work", os.getpid())
    told.wait()
    worker.stop()
