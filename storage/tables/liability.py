"""Published forecasts of redemptions and how they did: rows that are only ever added.

``points_forecast`` is what the boss published for the end of a month: what was expected, and what was posted by then.
``points_forecast_score`` says of each month of it, once it is over, what came. ``loyalty.liability`` alone writes here.
"""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from storage.tables.base import Base, Key


class PointsForecast(Base):
    """What was expected at the end of a month, and the position by then; never changed."""

    __tablename__ = "points_forecast"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    as_of: Mapped[date] = mapped_column(unique=True)
    """The last day of a month: entries recorded by its end are what it knew."""
    published_at: Mapped[datetime]
    published_by: Mapped[str] = mapped_column(String(100))
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Value and cost of a point, tax: as they held."""
    figures: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The headline: points, fen; and by what the forecast was split."""
    positions: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Of each cohort, in fen: allocated, recognised, provided for."""
    months: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Redemptions expected in each month to come, with their range and, in the order of the splits, of each of them."""


class PointsForecastScore(Base):
    """What came in a month of a published forecast."""

    __tablename__ = "points_forecast_score"
    forecast_id: Mapped[int] = mapped_column(ForeignKey("points_forecast.id"), primary_key=True, autoincrement=False)
    month: Mapped[date] = mapped_column(primary_key=True)
    """Its first day."""
    expected: Mapped[int] = mapped_column(BigInteger)
    actual: Mapped[int] = mapped_column(BigInteger)
    """Redeemed in it of the points that were there when it was published."""
    splits: Mapped[list[int]] = mapped_column(default=list, server_default=sql("'[]'"))
    """The same of each split of the forecast, in their order."""
    scored_at: Mapped[datetime]
