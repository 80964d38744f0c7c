"""Figures over everything there is, worked out at most once a minute in each process.

Whoever looks again meanwhile sees the same ones; where they stand the page says so.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Pool
from sqlalchemy.orm import Session

LIVES = timedelta(minutes=1)
Figures = TypeVar("Figures")


class Lately(Generic[Figures]):
    """What ``work`` counts in a database, as it was up to a minute ago."""

    def __init__(self, work: Callable[[Session, datetime], Figures]) -> None:
        self._work = work
        self._known: WeakKeyDictionary[Pool, tuple[datetime, Figures]] = WeakKeyDictionary()

    def of(self, db: Session, now: datetime) -> Figures:
        """The figures known already, or counted now."""
        database = db.get_bind().engine.pool  # ``reading`` has an engine of its own each time, on the same pool
        known = self._known.get(database)
        if known is not None and known[0] <= now < known[0] + LIVES:
            return known[1]
        figures = self._work(db, now)
        self._known[database] = now, figures
        return figures
