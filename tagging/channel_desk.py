"""Making a channel code from first to last: intent kept, WeCom asked, answer kept. The same for console, API and CSV.

The network and a transaction are never open together, so this is three strides. A crash between them leaves a channel
without a QR picture, which ``finish`` completes; WeCom itself is asked whether it was made before it is made again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.database import reading, transaction
from storage.tables import Channel
from storage.work import Work
from tagging import channels
from tagging.channels import Draft, Invalid
from wecom.errors import Refused
from wecom.gateway import ContactWay, Gateway

StartWork = Callable[[Session], Work]
CLOCKS_DIFFER = timedelta(minutes=10)
UNFINISHED = "还没有在企业微信创建成功，请点“继续创建”"


@dataclass(frozen=True)
class Desk:
    """What is needed to make a code; ``work`` opens a ``Work`` on a session."""

    engine: Engine
    gateway: Gateway
    work: StartWork

    def open(self, draft: Draft, *, by: str, note: Callable[[Work, Channel], None]) -> Channel:
        """Make a channel code. ``note`` writes the audit line in the transaction that keeps the intent.

        Raises ``Invalid``; ``Refused`` when WeCom does not want it (then nothing is left behind); ``TryLater`` and
        ``Unclear`` leave the intent, which ``finish`` completes.
        """
        with transaction(self.engine) as db:
            work = self.work(db)
            channel = channels.create(work, draft, by=by)
            if not channels.serving_now(db, channel, work.now, work.zone).userids:
                raise Invalid([("members", "现在没有人能接待：请检查成员、时段和备用成员")])
            channel.trouble = UNFINISHED
            note(work, channel)
        try:
            return self._make(channel.id)
        except Refused:
            with transaction(self.engine) as db:
                db.delete(db.get_one(Channel, channel.id))
            raise

    def finish(self, channel_id: int) -> Channel:
        """Complete a code whose making was interrupted, first asking WeCom whether it was made after all."""
        with reading(self.engine) as db:
            channel = db.get_one(Channel, channel_id)
        if channel.config_id is not None:
            return channel
        way = self._made_before(channel)
        if way is None:
            return self._make(channel_id)
        return self._keep(channel_id, way.config_id, way.qr_code, list(way.users))

    def _make(self, channel_id: int) -> Channel:
        with reading(self.engine) as db:
            channel = db.get_one(Channel, channel_id)
            work = self.work(db)
            users = list(channels.serving_now(db, channel, work.now, work.zone).userids)
        config_id, qr_code = self.gateway.add_contact_way(
            users=users, state=channel.code, remark=channel.name, skip_verify=channel.skip_verify
        )
        return self._keep(channel_id, config_id, qr_code, users)

    def _keep(self, channel_id: int, config_id: str, qr_code: str, users: list[str]) -> Channel:
        with transaction(self.engine) as db:
            channel = db.get_one(Channel, channel_id)
            channels.made_at_wecom(channel, config_id, qr_code, users)
            return channel

    def _made_before(self, channel: Channel) -> ContactWay | None:
        """Only what was made since the intent was kept is looked at, and a while before: clocks differ."""
        cursor, since = "", channel.created_at - CLOCKS_DIFFER
        while True:
            ids, cursor = self.gateway.contact_way_ids(cursor, since)
            ways = (self.gateway.contact_way(config_id) for config_id in reversed(ids))
            found = next((way for way in ways if way.state == channel.code), None)
            if found is not None or not cursor:
                return found
