"""The time WeCom lives by: the real one, or one a test moves by hand.

Everything that waits (a code's 20 seconds, a token's two hours, a callback's retry) asks a clock, and is kept in an
`Agenda`: a list of things to do at a time. Moving a `ManualClock` does what falls due on the way, in order, at its
own time. Under a `SystemClock` an agenda needs `start()`, which gives it a thread.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol

Action = Callable[[], None]


class Clock(Protocol):
    """What the sandbox needs of time."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass before going on."""
        ...

    def agenda(self) -> "Agenda":
        """A new list of things to do, read by this clock."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Really wait."""
        if seconds > 0:
            time.sleep(seconds)

    def agenda(self) -> "Agenda":
        """A list of things to do, which runs once it is started."""
        return Agenda(self)


class ManualClock:
    """A time that stands still until told to move. Sleeping moves it, and costs nothing."""

    def __init__(self, start: float = 1_763_000_000.0) -> None:
        self._now = start
        self._agendas: list[Agenda] = []

    def now(self) -> float:
        """Unix seconds, as last set."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move on by so much."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move on, doing on the way what falls due."""
        target = self._now + max(seconds, 0.0)
        while (due := self._next_due()) <= target:
            self._now = max(self._now, due)
            self._do_what_is_due()
        self._now = max(self._now, target)

    def agenda(self) -> "Agenda":
        """A list of things to do, done when this clock is moved."""
        agenda = Agenda(self)
        self._agendas.append(agenda)
        return agenda

    def _next_due(self) -> float:
        return min((agenda.next_due() for agenda in self._agendas), default=NEVER)

    def _do_what_is_due(self) -> None:
        for agenda in self._agendas:
            agenda.do_due()


NEVER = float("inf")


class Agenda:
    """Things to do, each at its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._entries: list[tuple[float, int, Action]] = []
        self._serial = itertools.count()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def after(self, seconds: float, action: Action) -> None:
        """Do this when so many seconds have passed."""
        with self._changed:
            entry = (self._clock.now() + max(seconds, 0.0), next(self._serial), action)
            heapq.heappush(self._entries, entry)
            self._changed.notify()

    def next_due(self) -> float:
        """When the next thing is to be done."""
        with self._changed:
            return self._entries[0][0] if self._entries else NEVER

    def do_due(self) -> int:
        """Do everything whose time has come; how many things that was."""
        done = 0
        while (action := self._take_due()) is not None:
            action()
            done += 1
        return done

    def start(self) -> None:
        """Keep doing what falls due, in a thread of its own (for a clock that runs by itself)."""
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="sandbox-agenda", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _take_due(self) -> Action | None:
        with self._changed:
            if self._entries and self._entries[0][0] <= self._clock.now():
                return heapq.heappop(self._entries)[2]
            return None

    def _run(self) -> None:
        while self._wait():
            self.do_due()

    def _wait(self) -> bool:
        """Rest until something may be due. False when asked to stop."""
        with self._changed:
            if not self._stopping:
                rest = (self._entries[0][0] if self._entries else NEVER) - self._clock.now()
                if rest > 0:
                    self._changed.wait(min(rest, 1.0))
            return not self._stopping
