"""Which channel codes there are: the list, its conditions and its pages, alike for console, exports and downloads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import ColumnElement, Select, String, cast, or_, select, true
from sqlalchemy.orm import Session

from storage.tables import Channel, ChannelSeat, Tag

MAX_PAGE = 500
LIVING = Channel.state != "deleted"
STATES: Mapping[str, ColumnElement[bool]] = MappingProxyType(
    {
        "all": LIVING,
        "active": (Channel.state == "active") & Channel.config_id.is_not(None),
        "stopped": Channel.state == "stopped",
        "trouble": LIVING & Channel.trouble.is_not(None),
        "unfinished": LIVING & Channel.config_id.is_(None),
        "deleted": Channel.state == "deleted",
    }
)


@dataclass(frozen=True)
class Filter:
    """What the list is narrowed to; every condition must hold. ``state`` is a name of ``STATES``."""

    q: str = ""
    state: str = "all"
    userid: str | None = None
    """A rep who sits on the code, as main or spare."""
    tag_id: int | None = None


def _listed(wanted: Filter) -> "Select[Channel]":
    conditions = [STATES.get(wanted.state, LIVING), _matching(wanted.q)]
    if wanted.userid:
        seated = select(ChannelSeat.channel_id).where(ChannelSeat.userid == wanted.userid)
        conditions.append(Channel.id.in_(seated))
    if wanted.tag_id is not None:
        conditions.append(_has_tag(wanted.tag_id))
    return select(Channel).where(*conditions).order_by(Channel.id.desc())


def _matching(q: str) -> ColumnElement[bool]:
    """A part of the name, or the whole code; typed text is never a pattern."""
    return or_(Channel.name.contains(q, autoescape=True), Channel.code == q) if q else true()


def _has_tag(tag_id: int) -> ColumnElement[bool]:
    """Tags are kept as a JSON list of numbers: ``[3, 17]``."""
    kept = cast(Channel.tags, String)
    ways = (f"[{tag_id}]", f"[{tag_id},%", f"%, {tag_id},%", f"%, {tag_id}]")
    return or_(*(kept.like(one) for one in ways))


def page(db: Session, wanted: Filter, *, limit: int, before: int | None = None) -> tuple[list[Channel], int | None]:
    """One page, newest first, and the id before which the next one lies (None at the end)."""
    question = _listed(wanted)
    if before is not None:
        question = question.where(Channel.id < before)
    limit = min(limit, MAX_PAGE)
    found = list(db.scalars(question.limit(limit + 1)))
    return found[:limit], (found[limit - 1].id if len(found) > limit else None)


def every(db: Session, wanted: Filter) -> Iterator[Channel]:
    """The whole list, for an export."""
    yield from db.scalars(_listed(wanted).execution_options(yield_per=500))


def find(db: Session, code: str) -> Channel | None:
    """The channel of this code, also a deleted one."""
    return db.scalars(select(Channel).where(Channel.code == code)).one_or_none()


def tags_in_use(db: Session) -> list[Tag]:
    """Every living tag, in the order of their groups."""
    return list(db.scalars(select(Tag).where(Tag.deleted_at.is_(None)).order_by(Tag.group_name, Tag.name)))
