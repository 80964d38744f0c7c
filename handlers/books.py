"""What a look at WeCom may read of our own books, in short readings between calls: never while one is made."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.database import reading


@dataclass(frozen=True)
class Books:
    """Our books, to be opened and closed again before WeCom is asked."""

    engine: Engine
    now: datetime
    received_at: datetime
    """When the event came in for which we look."""

    def open(self) -> AbstractContextManager[Session]:
        """A look into them, without the right to write."""
        return reading(self.engine)
