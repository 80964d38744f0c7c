"""Frequency limits: when a window is full, the endpoint stays shut for as long as the window is."""

from dataclasses import dataclass, field

from sandbox.knobs import Limits


@dataclass(slots=True)
class Window:
    """So many calls in so many seconds."""

    seconds: int
    calls: int
    started: float = 0.0
    count: int = 0

    def counts(self, now: float) -> bool:
        """Take one more call in. False when that is one too many."""
        if now - self.started >= self.seconds:
            self.started, self.count = now, 0
        self.count += 1
        return self.count <= self.calls


@dataclass(slots=True)
class Gate:
    """One endpoint's windows."""

    windows: tuple[Window, ...]
    shut_until: float = 0.0


@dataclass(slots=True)
class Gates:
    """All endpoints' windows, of one corp."""

    limits: Limits
    gates: dict[str, Gate] = field(default_factory=dict)

    def is_shut(self, path: str, now: float) -> bool:
        """Whether an endpoint is shut just now."""
        return now < self._gate(path).shut_until

    def lets_in(self, path: str, now: float) -> bool:
        """Count a call; False when it is over a limit, and from then on until the window's length has passed."""
        gate = self._gate(path)
        if now < gate.shut_until:
            return False
        for window in gate.windows:
            if not window.counts(now):
                gate.shut_until = now + window.seconds
                window.count = 0
                return False
        return True

    def _gate(self, path: str) -> Gate:
        """The endpoint's gate; a new one when its limits were turned."""
        wanted = self.limits.windows(path)
        gate = self.gates.get(path)
        if gate is None or tuple((one.seconds, one.calls) for one in gate.windows) != wanted:
            gate = self.gates[path] = Gate(tuple(Window(*window) for window in wanted))
        return gate
