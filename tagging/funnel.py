"""What became of those who came over a channel code: scanned, half added, added, welcomed, still there.

WeCom tells of a scan only when something came of it (a request or an addition); a look at the code alone it does not
tell. So ``scans`` are arrivals, and ``scans = half + added``. Days are the shop's days, by the moment of arrival.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from storage.tables import Channel, Interval, Relation, Welcome
from tagging.channel_numbers import midnight
from tagging.welcomes import CODE_LIVES

NEW_TO_SHOP, NEW_TO_REP, RE_ADDED = KINDS = ("new_to_shop", "new_to_rep", "re_added")


@dataclass
class Steps:
    """How many reached each step."""

    scans: int = 0
    half: int = 0
    added: int = 0
    welcomed: int = 0
    still_there: int = 0

    def count(self, arrival: "Arrival") -> None:
        """Count one arrival in."""
        self.scans += 1
        self.half += not arrival.added
        self.added += arrival.added
        self.welcomed += arrival.welcomed
        self.still_there += arrival.added and arrival.stayed


@dataclass(frozen=True)
class Arrival:
    """One arrival over a code, and how far it came."""

    at: datetime
    kind: str
    added: bool
    stayed: bool
    welcomed: bool = False


@dataclass(frozen=True)
class Funnel:
    """The steps of a time, in all, by kind of arrival, and by day."""

    first: date
    last: date
    total: Steps = field(default_factory=Steps)
    by_kind: Mapping[str, Steps] = field(default_factory=lambda: {kind: Steps() for kind in KINDS})
    by_day: Mapping[date, Steps] = field(default_factory=dict)


def of_channel(db: Session, channel: Channel, first: date, last: date, zone: ZoneInfo) -> Funnel:
    """The funnel of one code over these days, both included."""
    days = {first + timedelta(days=n): Steps() for n in range((last - first).days + 1)}
    found = Funnel(first, last, by_day=days)
    for arrival in _arrivals(db, channel, midnight(first, zone), midnight(last + timedelta(days=1), zone)):
        for steps in (found.total, found.by_kind[arrival.kind], days[arrival.at.astimezone(zone).date()]):
            steps.count(arrival)
    return found


def _arrivals(db: Session, channel: Channel, start: datetime, end: datetime) -> Iterable[Arrival]:
    earlier = aliased(Interval)
    known = (
        select(earlier.id).where(earlier.person_id == Interval.person_id, earlier.began_at < Interval.began_at).exists()
    )
    rows = db.execute(
        select(
            Relation.external_userid,
            Relation.userid,
            Interval.began_at,
            Interval.confirmed_at,
            Interval.ended_at,
            Interval.number,
            known,
        )
        .join(Relation, Relation.id == Interval.relation_id)
        .where(
            Interval.channel_id == channel.id,
            Interval.origin == "arrival",
            Interval.began_at >= start,
            Interval.began_at < end,
        )
    ).all()
    greeted = _greeted(db, channel, start)
    for external, userid, began, confirmed, ended, number, seen in rows:
        if began is not None:
            kind = RE_ADDED if number > 1 else NEW_TO_REP if seen else NEW_TO_SHOP
            welcomed = _within(greeted[(external, userid)], began - CODE_LIVES, ended)
            yield Arrival(began, kind, confirmed is not None, ended is None, welcomed)


def _greeted(db: Session, channel: Channel, start: datetime) -> dict[tuple[str, str], list[datetime]]:
    """When our welcome reached each pair over this code, oldest first."""
    sent = select(Welcome.external_userid, Welcome.userid, Welcome.event_at).where(
        Welcome.channel_id == channel.id, Welcome.outcome == "sent", Welcome.event_at >= start - CODE_LIVES
    )
    found: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for external, userid, at in db.execute(sent.order_by(Welcome.event_at)):
        found[(external, userid)].append(at)
    return found


def _within(moments: list[datetime], start: datetime, end: datetime | None) -> bool:
    """Whether one of these (sorted) moments lies in this time."""
    place = bisect_right(moments, start)
    return place < len(moments) and (end is None or moments[place] <= end)
