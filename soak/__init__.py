"""The long fault runs: seeded, printed as tables, ended with an exit code. `make soak` runs them all."""

import os

FULL = os.environ.get("SCRM_SOAK") == "1"
"""Whether tests that can be long or short are to be long."""


def many(quick: int, full: int) -> int:
    """How many of something: few in the ordinary suite, many in a soak run."""
    return full if FULL else quick
