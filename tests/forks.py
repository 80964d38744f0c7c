"""Processes of their own for tests: forked from one that has read our code already, so that they begin at once."""

import multiprocessing
from collections.abc import Callable
from typing import Any

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["bot.cli", "tests.loyalty.spender", "tests.shop"])
PATIENCE = 240
"""Seconds in which a process must be done."""


class Fork:
    """A process that does one thing; it may be killed, or kill itself, as a power cut would."""

    def __init__(self, does: Callable[..., Any], *args: Any) -> None:
        """Begin ``does(*args)``; both must be found by their name."""
        self._hears, says = _SERVER.Pipe(duplex=False)
        self._process = _SERVER.Process(target=_do, args=(says, does, args))
        self._process.start()
        says.close()

    def running(self) -> bool:
        return self._process.is_alive()

    def kill(self) -> None:
        self._process.kill()
        self.end()

    def end(self) -> int:
        """Wait for it; its exit code, negative the signal that killed it."""
        self._process.join(PATIENCE)
        code = self._process.exitcode
        assert code is not None, "it does not end"
        return code

    def told(self) -> Any:
        """What it came to; None if it died."""
        try:
            said = self._hears.recv() if self._hears.poll(PATIENCE) else None
        except EOFError:
            said = None
        self.end()
        self._hears.close()
        return said


def _do(says: Any, does: Callable[..., Any], args: tuple[Any, ...]) -> None:
    says.send(does(*args))
