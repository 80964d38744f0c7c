"""Who is in which arm of an experiment: by a salted hash that never changes its mind. Pure.

Kept apart from ``outreach.experiments``, whose statistics no worker needs while it plans.
"""

from collections.abc import Mapping

from storage.database import bucket as place_of

BUCKETS = 10_000
CONTROL = "control"
"""Gets nothing of one journey or broadcast, and is asked the same questions."""
HELD_OUT = "held_out"
"""The same for all of them (``outreach.holdout``): apart, so that no journey's own control grows by it."""
GHOSTS = (CONTROL, HELD_OUT)


def bucket(key: str, person: str) -> int:
    """0 to 9,999: where a person (``p_17``) falls in the experiment of this key, the same for ever."""
    return place_of(f"exp:{key}|{person}")


def arm_of(key: str, person: str, arms: Mapping[str, int]) -> str:
    """The arm of a person; ``arms`` are names with their shares in ten-thousandths, together 10,000."""
    if sum(arms.values()) != BUCKETS:
        raise ValueError(f"the shares of the arms make {sum(arms.values())}, not {BUCKETS}")
    place = bucket(key, person)
    for name, share in arms.items():
        if place < share:
            return name
        place -= share
    raise AssertionError("the shares make up everybody")
