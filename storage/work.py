"""What a step has in its hands: the open transaction, the time, and the way to ask WeCom for something later."""

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from storage import outbox
from storage.outbox import Command, Wish

Found = TypeVar("Found")
SHANGHAI = ZoneInfo("Asia/Shanghai")
READS = "reads"
"""The sender of calls that change nothing at WeCom; they are made in watch mode too."""


@dataclass
class Work:
    """One unit of work: everything done through it is kept together, or none of it."""

    db: Session
    now: datetime
    cause: str = ""
    """What started this work, in words for the outbox list: an event, a page, a job."""
    inbox_id: int | None = None
    received_at: datetime | None = None
    looked_at: datetime | None = None
    """When we began to read, from WeCom, the facts this work is about."""
    zone: ZoneInfo = SHANGHAI
    """The shop's time zone: its days begin at its midnight."""
    watch: Collection[str] = ()
    """Senders that only show what they would do."""
    notice: str = ""
    """The shop's privacy notice, for the first thing we write to somebody."""
    pending_days: int = 7
    """Days until points of an order can be spent (the return window), where the shop's rules say nothing else."""
    home: str = ""
    """Where customers' own pages are reached from outside, such as ``https://t.example.com``; no slash at its end."""
    goes_on: bool = False
    """Set by a step that has kept one portion of an event and wants the next: the event stays open, due at once."""
    lanes: set[str] = field(default_factory=set)
    """Lanes of the outbox in which something now waits; after the commit their bell is rung."""
    via: dict[int, int] = field(default_factory=dict)
    """Through which anchor a person was met here, if it is not the one that speaks for them: facts remember it."""
    _found: dict[Hashable, Any] = field(default_factory=dict)

    def found(self, key: Hashable, look: Callable[[], Found]) -> Found:
        """What ``look`` finds, looked up once in this work; the steps of an event ask for the same things."""
        if key not in self._found:
            self._found[key] = look()
        return cast(Found, self._found[key])

    def forget(self, key: Hashable) -> None:
        """Look again next time: this work has changed it."""
        self._found.pop(key, None)

    def look_again(self) -> None:
        """Look everything up anew from here on: who was found may be somebody else by now. What only counts stays."""
        self._found = {key: one for key, one in self._found.items() if key == ("merge tally",)}

    def ask(self, command: Command, *, once: str, key: str, before: datetime | None = None) -> bool:
        """Plan a call to WeCom, to be made after this transaction has been kept. False when it is planned already."""
        wish = Wish(command, once, key, before, self.cause)
        planned = outbox.ask(self.db, wish, self.now, watched=self.watches(command.sender))
        if planned:
            self.lanes.add(command.lane)
        return planned

    def ask_many(self, wishes: Sequence[Wish]) -> int:
        """Plan calls of one sender, as ``ask`` does; how many were not planned already."""
        if not wishes:
            return 0
        watched = self.watches(wishes[0].command.sender)
        planned = outbox.ask_many(self.db, wishes, self.now, watched=watched)
        if planned:
            self.lanes |= {one.command.lane for one in wishes}
        return planned

    def ask_again(self, command: Command, *, stem: str, key: str) -> bool:
        """Plan a call that may be needed more than once, unless one is under way."""
        once = outbox.next_turn(self.db, stem, watched=self.watches(command.sender))
        return once is not None and self.ask(command, once=once, key=key)

    def watches(self, sender: str) -> bool:
        """Whether this sender only shows what it would do."""
        return sender != READS and (sender in self.watch or "all" in self.watch)
