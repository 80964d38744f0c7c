"""``scrm sync`` on the command line: the comparison of ``scheduler.reconcile`` with a bar on a terminal."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tqdm import tqdm

from bot.assembly import assemble
from bot.settings import Settings
from scheduler.reconcile import FAILED, STOPPED, Reconcile
from scheduler.reconcile_report import NAMES, Report
from storage.tables import SyncRun


class Bars:
    """One bar for each subject on a terminal, one line for each elsewhere; all on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._subject = ""

    def show(self, subject: str, done: int, total: int | None) -> None:
        """So many of a subject are done."""
        if subject != self._subject:
            self.close()
            self._subject = subject
            if not sys.stderr.isatty():
                print(f"comparing {NAMES[subject]}", file=sys.stderr)
                return
            self._bar = tqdm(desc=NAMES[subject], total=total, unit="", leave=False)
        if self._bar is not None:
            self._bar.total = total if total is None else max(total, done)
            self._bar.n = done
            self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def sync(settings: Settings, *, dry: bool) -> SyncRun:
    """Compare everything with WeCom, now. Raises ``CannotSync`` and ``WeComError``.

    Told to stop (Ctrl-C) it ends between two pages; the next run goes on from there.
    """
    parts = assemble(settings)
    bars = Bars()
    try:
        with _stoppable() as told:
            hands = parts.hands(parts.bell.ring, lambda: bool(told))
            everything = Reconcile(
                hands.engine,
                hands.gateway,
                hands.clock,
                hands.zone,
                hands.stopping,
                watch=hands.watch,
                ring=hands.ring,
                show=bars.show,
            )
            return everything.run(by="command line", dry=dry)
    finally:
        bars.close()
        parts.close()


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """The first Ctrl-C (or TERM) is a request, the second an end."""
    told: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if told:
            raise KeyboardInterrupt
        told.append(number)

    before = {one: signal.signal(one, note) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def as_json(run: SyncRun) -> dict[str, Any]:
    """The run as one JSON document."""
    report = Report.read(run.report)
    return {
        "state": run.state,
        "dry": run.dry,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "different": report.different,
        "fixed": report.fixed,
        "subjects": report.as_json(),
    }


def as_text(run: SyncRun) -> str:
    """The run as lines: how many there are at WeCom and here, and what was fixed."""
    report = Report.read(run.report)
    lines = report.lines()
    notes = (one.note for one in report.subjects.values() if one.note)
    lines += [f"  {note}" for note in notes]
    if run.state in (STOPPED, FAILED):
        lines.append(f"stopped at {run.at.get('step') or 'the beginning'}; run `scrm sync` again to go on")
    elif run.dry and report.different:
        lines.append("nothing was changed: run without --dry-run to fix it")
    return "\n".join(lines)
