"""What the steps of a comparison with WeCom have in their hands: patient reading, mending, and the place they reached.

Each difference is mended in a transaction of its own, which also counts it in the run's report. The place moves after
that, so that a run which died goes on without counting or mending anything twice.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from scheduler.patience import Patience
from scheduler.reconcile_report import PROFILES, RELATIONS, Example, Report
from storage.database import Clock, is_away, is_crossed, transaction
from storage.tables import SyncRun
from storage.work import Work
from wecom.errors import Refused
from wecom.gateway import Gateway

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
HANDS = 4
"""So many answers are waited for at a time where one call tells of one thing only."""
AT_ONCE = 100
"""So many of these are read before what they differ in is mended."""
CROSSINGS = 3
BEAT_SECONDS = 20.0
JUST_NOW = timedelta(minutes=10)
"""What happened so lately may not have reached us yet (WeCom tries a callback thrice): the next run looks at it."""

PAIRS = (RELATIONS, PROFILES)
"""Subjects whose differences are each about one rep and one customer."""

Mend = Callable[[Work], bool]
Show = Callable[[str, int, int | None], None]
"""Told the step, how many are done, and of how many if that is known."""


class Stopped(Exception):
    """We were told to stop: the run goes on from the place reached."""


@dataclass
class Comparing:
    """One run. ``beat`` keeps the lease and is called every now and then, also while waiting."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    zone: ZoneInfo
    run_id: int
    dry: bool
    stopping: Callable[[], bool]
    listening_since: datetime
    """When the first fill began: since then arrivals are told to us."""
    last_run: datetime | None = None
    """When the last whole run began: whoever was in sight then is known."""
    report: Report = field(default_factory=Report)
    place: dict[str, Any] = field(default_factory=dict)
    watch: Collection[str] = ()
    ring: Callable[[], None] = lambda: None
    show: Show = lambda *_: None
    beat: Callable[[], None] = lambda: None
    sleep: Callable[[float], None] = time.sleep
    _foreseen: set[str] = field(default_factory=set)
    _beaten: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    # --- reading -----------------------------------------------------------------------------------------------------

    def patiently(self, ask: Callable[[], T]) -> T:
        """What WeCom answers, however long it takes; raises ``TryLater``, ``Refused``, and ``Stopped`` when told to."""
        self._keep_lease()
        return Patience(self.stopping, self._rest, waits_for_admins=False).read(ask)

    def each(self, read: Callable[[T], R], of: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Read several things, a few at a time, in their order; what WeCom refuses to tell is left out."""
        with ThreadPoolExecutor(HANDS) as hands:
            asked = [hands.submit(self.patiently, partial(read, one)) for one in of]
            try:
                for one, answer in zip(of, asked, strict=True):
                    try:
                        told = answer.result()
                    except Refused as error:
                        log.warning("one of many was not told: %s", error)
                    else:
                        yield one, told
            finally:
                for answer in asked:
                    answer.cancel()

    def _rest(self, seconds: float) -> None:
        self.sleep(seconds)
        self._keep_lease()

    def _keep_lease(self) -> None:
        with self._lock:
            if time.monotonic() - self._beaten >= BEAT_SECONDS:
                self.beat()
                self._beaten = time.monotonic()

    # --- the place ---------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Ask between two pages whether to go on; raises ``Stopped``."""
        if self.stopping():
            raise Stopped

    def reached(self, **place: Any) -> None:
        """Write down how far the present step has come (with ``step``: which is next), and the report up to here."""
        self.place = {"step": self.place.get("step")} | place
        with transaction(self.engine) as db:
            self.write(db, self.report)

    def write(self, db: Session, report: Report) -> None:
        """Keep place and report in this transaction."""
        kept = {"at": self.place, "report": report.as_json(), "changed_at": self.clock()}
        db.execute(update(SyncRun).where(SyncRun.id == self.run_id).values(**kept))

    # --- differences -------------------------------------------------------------------------------------------------

    def work(self, db: Session, looked_at: datetime | None = None) -> Work:
        """Work inside an open transaction."""
        return Work(db, self.clock(), cause="sync", watch=self.watch, zone=self.zone, looked_at=looked_at)

    def count(self, subject: str, *, wecom: int = 0, here: int = 0) -> None:
        """So many more were looked at."""
        self.report = self.report.counted(subject, wecom=wecom, here=here)

    def note(self, subject: str, words: str) -> None:
        """Say something about a subject."""
        self.report = self.report.noted(subject, words)

    def leave(self, subject: str, example: Example, count: int = 1) -> None:
        """A difference, or many alike, that we do not mend."""
        self.report = self.report.differed(subject, example, fixed=False, count=count)

    def differs(self, subject: str, example: Example, mend: Mend, looked_at: datetime | None = None) -> None:
        """A difference: mended unless this is a dry run, and counted.

        ``mend`` looks again inside its transaction and gives False when there is no difference any more. ``looked_at``:
        when we began to read what it is about.
        """
        if self.dry:
            self._foresee(subject, example)
            return
        for turn in range(1, CROSSINGS + 1):
            try:
                self._mend(subject, example, mend, looked_at)
            except Exception as error:  # any bug of ours: one difference must not hold the others up
                if is_crossed(error) and turn < CROSSINGS:
                    continue
                if is_away(error):
                    raise
                log.error("sync could not mend %s of %s", example.kind, example.who, exc_info=error)
                self.leave(subject, example)
            return

    def _foresee(self, subject: str, example: Example) -> None:
        """What is not mended is found again by the next step that looks at the same pair: count it once."""
        if subject in PAIRS:
            if example.who in self._foreseen:
                return
            self._foreseen.add(example.who)
        self.leave(subject, example)

    def _mend(self, subject: str, example: Example, mend: Mend, looked_at: datetime | None) -> None:
        with transaction(self.engine) as db:
            work = self.work(db, looked_at)
            if not mend(work):
                return
            after = self.report.differed(subject, example, fixed=True)
            self.write(db, after)
        self.report = after
        if work.lanes:
            self.ring()
