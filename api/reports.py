"""The console's reports as data."""

from datetime import date
from typing import Annotated

from pydantic import Field

from api import here
from api.operations import Call, Reply
from api.problems import invalid
from api.shapes import Day, Query, Shape
from people import today
from storage.database import reading


class TodayQuery(Query):
    """Which day."""

    day: Annotated[Day, Field(description="A day of the shop; today if not said.")] | None = None


class TodayShape(Shape):
    """One day in figures. `arrivals = new_to_shop + new_to_rep + re_added + half`; `net = arrivals - lost`."""

    day: date
    arrivals: int
    new_to_shop: int
    new_to_rep: int = Field(description="Known to the shop, new to this rep.")
    re_added: int
    half: int = Field(description="Only one side has added the other, so far.")
    lost: int = Field(description="Ended by the customer or the rep; a transfer is none.")
    net: int
    welcomes: dict[str, int] = Field(description="The day's welcomes by outcome, such as sent, no_code or late.")
    median_welcome_seconds: float | None = Field(description="From the callback to WeCom's answer.")
    slowest_welcome_seconds: float | None


def get_today(call: Call, query: TodayQuery) -> Reply:
    """Arrivals by kind, losses, and how the welcomes came out."""
    day = query.day or here.local(here.now()).date()
    if not 2000 <= day.year <= 2200:
        raise invalid([(("query", "day"), "must lie between 2000 and 2200")])
    with reading(here.engine()) as db:
        figures = today.of_day(db, here.EVERYBODY, day, here.zone())
        welcomes = today.welcomes(db, here.EVERYBODY, day, here.zone())
        median, slowest = today.slowest_welcome(db, here.EVERYBODY, day, here.zone())
    return Reply(
        200,
        TodayShape(
            day=day,
            arrivals=figures.arrivals,
            new_to_shop=figures.new_to_shop,
            new_to_rep=figures.new_to_rep,
            re_added=figures.re_added,
            half=figures.half,
            lost=figures.lost,
            net=figures.net,
            welcomes=welcomes,
            median_welcome_seconds=median,
            slowest_welcome_seconds=slowest,
        ),
    )
