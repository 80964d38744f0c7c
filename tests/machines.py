"""State machines on real databases: a few walks by default, the same ones every time; 500 in a soak run, drawn anew."""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from soak import FULL, many

STEPS = 30
AS_FOUND = (Phase.explicit, Phase.reuse, Phase.generate)
"""What fails is short enough as it is found: to shorten it takes minutes."""


@dataclass(frozen=True)
class Ground:
    """Where machines walk: databases of one kind, each empty but for its schema."""

    kind: str
    """sqlite or postgresql."""
    url: Callable[[], str]
    """The address of the next one. On PostgreSQL it is the last one again, put back: one at a time."""


def walk(machine: Callable[[str], RuleBasedStateMachine], ground: Ground, *, sqlite: int, postgresql: int = 0) -> None:
    """Let a machine walk, made anew on a fresh database so many times; on PostgreSQL fewer, which is slower."""
    run_state_machine_as_test(
        lambda: machine(ground.url()),
        settings=settings(
            max_examples=many({"sqlite": sqlite, "postgresql": postgresql}[ground.kind], 500),
            stateful_step_count=STEPS,
            phases=AS_FOUND,
            derandomize=not FULL,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
