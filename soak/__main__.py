"""Every long run, one after the other; exit 0 only if all promises held. The seed of each is printed.

Example: python -m soak
"""

import os
import random
import subprocess
import sys

from soak import kills, schedulers
from tests import databases

TESTS = ["tests/faults", "tests/handlers", "tests/people", "tests/scheduler", "tests/security", "tests/storage"]
TESTS += ["tests/tagging", "tests/wecom", "tests/outreach", "tests/insight", "tests/loyalty", "tests/journeys"]
TESTS += ["tests/fixtures_outside"]


def main() -> int:
    """The kills on each database, several schedulers, then the fault tests at their full length."""
    seed = int(os.environ.get("SCRM_SEED", random.SystemRandom().randrange(10**6)))
    kinds = ["sqlite"] + ([] if databases.postgres_trouble() else ["postgresql"])
    codes = [kills.main(["--seed", str(seed), "--database", kind]) for kind in kinds]
    codes += [schedulers.main(["--processes", many, "--database", kind]) for kind in kinds for many in ("2", "4")]
    command = [sys.executable, "-m", "pytest", *TESTS]
    done = subprocess.run(command, env={**os.environ, "SCRM_SOAK": "1"}, check=False)  # noqa: S603  our own tests
    codes.append(done.returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
