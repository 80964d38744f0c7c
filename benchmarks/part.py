"""``python -m benchmarks.part web|worker CONFIG``: one part of the product alone, as ``scrm serve`` runs it.

(On SQLite ``scrm serve`` itself only starts both together.)
"""

import sys
from pathlib import Path

from bot import logs, serve, worker
from bot.assembly import assemble
from bot.settings import load
from storage.bell import PipeBell


def main(role: str, config: Path) -> None:
    """Run the part until SIGTERM."""
    logs.configure("WARNING")
    settings = load(config)
    parts = assemble(settings, bell=PipeBell() if settings.storage.embedded else None)
    serve.run_web(parts) if role == "web" else worker.run(parts)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
