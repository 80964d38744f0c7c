"""How fast one member may be written to.

WeCom lets an app send one member 30 messages a minute and 1,000 an hour, and silently drops what comes beyond
(frequency limits of message/send). So each message takes its share of a minute from a row that all processes share:
after a burst of some eleven at once they follow every four seconds. In any minute that makes 26 at the most, in any
hour 911.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.rows import insert_new
from storage.tables import Pace

SHARE = timedelta(seconds=4)
BURST = timedelta(seconds=40)


def take(db: Session, userid: str, now: datetime) -> datetime:
    """Take this member's next place: ``now`` when a message may go; otherwise none, and when to ask again."""
    insert_new(db, Pace, [{"userid": userid, "free_at": now}], ["userid"], returning="userid")
    row = db.scalars(select(Pace).where(Pace.userid == userid).with_for_update()).one()
    free_at = max(row.free_at, now)
    if free_at - now > BURST:
        return free_at - BURST
    row.free_at = free_at + SHARE
    return now
