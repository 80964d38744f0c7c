"""``python -m benchmarks [NAME] [--quick]``: run one benchmark, or all of them."""

import argparse
import importlib
import logging
import time

from benchmarks import machine

NAMES = ("callback", "welcome", "drain", "sync", "keywords", "segments", "broadcast", "ledger", "import", "footprint")
"""In the order in which they are run; each is a module here with ``run(quick)``."""

MODULES = {"import": "importing"}
"""Where a module cannot be called so."""


def main() -> None:
    """Read the command line, describe the machine, measure."""
    reader = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the product on this machine.")
    reader.add_argument("name", nargs="?", choices=NAMES, help="one benchmark; all of them without a name")
    reader.add_argument(
        "--quick", action="store_true", help="tiny sizes, to see that it runs; the figures mean nothing"
    )
    asked = reader.parse_args()
    logging.basicConfig(level=logging.WARNING)
    print("\n".join(machine.header()), flush=True)
    for name in (asked.name,) if asked.name else NAMES:
        started = time.monotonic()
        print(f"\n== {name} ==\n", flush=True)
        importlib.import_module(f"benchmarks.{MODULES.get(name, name)}").run(quick=asked.quick)
        print(f"({name} took {time.monotonic() - started:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
