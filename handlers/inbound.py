"""The road of orders that other systems push through a door of theirs (``InboundDoor``): once for each message's id."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import select
from sqlalchemy.orm import Session
from standardwebhooks import Webhook as Signer

from handlers import orders as road
from outreach import webhooks
from people import templates
from storage.rows import insert_new
from storage.tables import InboundDoor, InboundSeen
from storage.work import Work

TOLERANCE = timedelta(minutes=5)
"""So much may a message's time differ from ours; older ones could be somebody's who overheard them."""
LONGEST_ID = 255


class NotSigned(Exception):
    """The message is not from who it says: which part of it, in a sentence that helps nobody to guess."""


class OtherMessage(Exception):
    """The id was used for another message."""


class NothingTaken(Exception):
    """None of it could be taken: why, by places in it."""

    def __init__(self, why: Mapping[int, str]) -> None:
        super().__init__("; ".join(f"{number}: {words}" for number, words in list(why.items())[:3]))
        self.why = dict(why)


@dataclass
class Answer:
    """What became of a message."""

    accepted: int = 0
    duplicate: int = 0
    rejected: dict[int, str] = field(default_factory=dict)
    again: bool = False
    """It had come before: nothing was done."""

    def told(self) -> dict[str, Any]:
        """As it is kept."""
        rejected = [{"index": number, "error": words} for number, words in sorted(self.rejected.items())]
        return {"accepted": self.accepted, "duplicate": self.duplicate, "rejected": rejected}


# --- doors -----------------------------------------------------------------------------------------------------------


def make_door(
    work: Work, cipher: Fernet, name: str, template: Mapping[str, str], by: str
) -> tuple[InboundDoor, str] | None:
    """A door and its secret, which nobody can read again; None when the name is taken. Raises ``BadTemplate``."""
    plain = webhooks.new_secret()
    row = {"name": name, "secret": cipher.encrypt(plain.encode()), "template": templates.checked(template),
           "made_at": work.now, "made_by": by[:100], "trouble": ""}  # fmt: skip
    ids = insert_new(work.db, InboundDoor, [row], ["name"])
    return (work.db.get_one(InboundDoor, ids[0]), plain) if ids else None


def change_secret(work: Work, cipher: Fernet, row: InboundDoor) -> str:
    """A new secret; for a day the one before opens the door, too."""
    plain = webhooks.new_secret()
    row.secret_before, row.before_until = row.secret, work.now + webhooks.BOTH_HOLD
    row.secret = cipher.encrypt(plain.encode())
    return plain


def doors(db: Session) -> Sequence[InboundDoor]:
    """Every door, by name."""
    return db.scalars(select(InboundDoor).order_by(InboundDoor.name)).all()


def door(db: Session, name: str) -> InboundDoor | None:
    """An open door."""
    return db.scalars(select(InboundDoor).where(InboundDoor.name == name, InboundDoor.shut_at.is_(None))).one_or_none()


# --- messages --------------------------------------------------------------------------------------------------------


def check(keys: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """The id of a message that somebody signed who has the secret. Raises ``NotSigned``."""
    name, stamp, given = (headers.get(f"webhook-{one}", "") for one in ("id", "timestamp", "signature"))
    if not (name and stamp and given) or len(name) > LONGEST_ID or "\x00" in name:
        raise NotSigned("webhook-id, webhook-timestamp and webhook-signature are needed")
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 12):
        raise NotSigned("webhook-timestamp: seconds since 1970")
    text = body.decode("utf-8", errors="replace")
    if abs(int(stamp) - now.timestamp()) > TOLERANCE.total_seconds():
        raise NotSigned("webhook-timestamp: more than 5 minutes from our time")
    wanted = [_signature(one, name, int(stamp), text) for one in keys]
    said = [one.encode() for one in given.split(" ")[:10]]
    if not any(hmac.compare_digest(one, other) for one in wanted for other in said):
        raise NotSigned("webhook-signature: none of them is right")
    return name


def _signature(key: str, name: str, stamp: int, body: str) -> bytes:
    at = datetime.fromtimestamp(stamp, UTC)
    return Signer(key).sign(name, at, body).encode()


def take(work: Work, row: InboundDoor, name: str, body: bytes) -> Answer:
    """Take a message, once for its id.

    Raises ``ValueError`` (no JSON), ``Bad``, ``NothingTaken`` (then nothing is kept, and it may come again) and
    ``OtherMessage``.
    """
    digest = hashlib.sha256(body).hexdigest()
    known = work.db.get(InboundSeen, (row.id, name))
    if known is None:
        own = {"door_id": row.id, "message": name, "digest": digest, "answer": {}, "at": work.now}
        if insert_new(work.db, InboundSeen, [own], ["door_id", "message"], "door_id"):
            return _take_new(work, row, name, body)
        known = work.db.get_one(InboundSeen, (row.id, name))
    if known.digest != digest:
        raise OtherMessage(name)
    return Answer(known.answer["accepted"], known.answer["duplicate"], _kept(known.answer), again=True)


def _kept(answer: Mapping[str, Any]) -> dict[int, str]:
    return {one["index"]: one["error"] for one in answer["rejected"]}


def _take_new(work: Work, row: InboundDoor, name: str, body: bytes) -> Answer:
    found = templates.read(row.template, templates.parsed(body), work.now, work.zone)
    answer = Answer(rejected=dict(found.rejected))
    for taken in (road.take_orders(work, found.orders), road.take_refunds(work, found.refunds)):
        answer.accepted += len(taken.accepted)
        answer.duplicate += len(taken.duplicate)
        answer.rejected |= taken.rejected
    if answer.rejected and not answer.accepted and not answer.duplicate:
        raise NothingTaken(answer.rejected)
    work.db.get_one(InboundSeen, (row.id, name)).answer = answer.told()
    row.heard_at, row.trouble = work.now, ""
    return answer


def try_out(template: Mapping[str, str], text: str, work: Work) -> templates.Read:
    """What a message would come to. Nothing is kept. Raises ``BadTemplate``, ``Bad`` and ``ValueError``."""
    return templates.read(templates.checked(template), templates.parsed(text.encode()), work.now, work.zone)


def no_secret() -> str:
    """One that nobody has: a door that is not there takes as long to refuse as one that is."""
    return webhooks.SECRET + secrets.token_hex(16)
