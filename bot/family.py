"""A supervisor: starts processes, starts them again when they die, and ends them all together.

The parent imports everything first and forks without threads or connections, so that the children share its memory.
A child whose parent is gone ends by itself.
"""

import ctypes
import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import FrameType

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 9.0
"""How long children may finish what they have in hand; a deploy waits ten seconds."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


def _give_back() -> None:
    """Return to the system what building everything has left free, or each child keeps a copy (2 MB; glibc only)."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)


@dataclass
class Child:
    """One process and what it runs."""

    name: str
    target: Callable[[], None]
    process: BaseProcess | None = None
    pause: float = FIRST_PAUSE
    started: float = 0.0


@dataclass
class Family:
    """The parent's view of its children."""

    children: list[Child] = field(default_factory=list)
    _ending: bool = False

    def __post_init__(self) -> None:
        self._context = multiprocessing.get_context("fork")
        self._alive_ear, self._alive_mouth = os.pipe()

    def add(self, name: str, target: Callable[[], None]) -> None:
        """Add a child; it starts with ``start``."""
        self.children.append(Child(name, target))

    def start(self) -> None:
        """Start every child that is not running."""
        gc.collect()
        gc.freeze()
        _give_back()
        for child in self.children:
            if child.process is None:
                self._start(child)

    def _start(self, child: Child) -> None:
        child.process = self._context.Process(target=self._life_of, args=(child,), name=child.name)
        child.process.start()
        child.started = time.monotonic()

    def _life_of(self, child: Child) -> None:
        os.close(self._alive_mouth)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when to end
        threading.Thread(target=self._end_with_parent, name="parent", daemon=True).start()
        child.target()

    def _end_with_parent(self) -> None:
        """The pipe's other end closes when the parent dies, however it dies."""
        os.read(self._alive_ear, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE_SECONDS)
        os._exit(1)

    def watch(self, step: Callable[[], None] = lambda: None) -> None:
        """Keep them running until SIGTERM or SIGINT; ``step`` is called about five times a second."""
        signal.signal(signal.SIGTERM, self._told)
        signal.signal(signal.SIGINT, self._told)
        while not self._ending:
            self.look_after_all()
            step()
            time.sleep(0.2)
        self.stop()

    def look_after_all(self) -> None:
        """Start again whoever has died."""
        for child in self.children:
            self._look_after(child)

    def end(self) -> None:
        """Leave ``watch`` at its next turn."""
        self._ending = True

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self._ending:
            self._kill_all()
        self._ending = True

    def _look_after(self, child: Child) -> None:
        process = child.process
        if process is None or process.is_alive():
            return
        if time.monotonic() - child.started > 10 * LONGEST_PAUSE:
            child.pause = FIRST_PAUSE
        log.warning("%s ended with %s; starting it again", child.name, process.exitcode)
        time.sleep(child.pause)
        child.pause = min(child.pause * 2, LONGEST_PAUSE)
        process.close()
        self._start(child)

    def stop(self) -> None:
        """Tell everybody to finish; who has not after a while is killed."""
        for process in self._living():
            process.terminate()
        deadline = time.monotonic() + PATIENCE_SECONDS
        for process in self._living():
            process.join(max(0.0, deadline - time.monotonic()))
        self._kill_all()

    def _kill_all(self) -> None:
        for process in self._living():
            process.kill()

    def _living(self) -> list[BaseProcess]:
        return [child.process for child in self.children if child.process is not None and child.process.is_alive()]
