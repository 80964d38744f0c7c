"""Points out of a file: what people have in an older system (balances), or all that happened there (history).

Balances of a shop that starts with ours at once are awards of many and need others' words (``loyalty.approvals``). A
shop that takes over (``loyalty.takeover``) notes them day by day, or writes the whole history into the books.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from handlers.event_rows import who_of
from handlers.orders import Taken
from loyalty import approvals, programme, takeover
from loyalty.approvals import Asked
from loyalty.authority import KEY, Hand
from loyalty.ledger import book, bulk, earn
from loyalty.ledger.book import CLAWED, EXPIRED, REDEEMED, About, Conflict
from loyalty.ledger.lots import NotEnough, take
from loyalty.takeover import Told
from people import joining, orders
from people.orders import Bad, Who
from storage.tables import Approval, PointsTxn
from storage.tables.orders import reference
from storage.work import Work

COLUMNS = (
    "source", "kind", "entry_no", "identity_type", "identity_value", "identity_verified", "points", "at", "expires",
    "origin", "reason",
)  # fmt: skip
NEEDED = ("source", "identity_type", "identity_value", "points")
BALANCE, EARN, SPEND, EXPIRE, ADJUST = "balance", "earn", "spend", "expire", "adjust"
KINDS: Mapping[str, str] = {
    "": BALANCE, "balance": BALANCE, "余额": BALANCE, "earn": EARN, "获得": EARN, "spend": SPEND, "使用": SPEND,
    "expire": EXPIRE, "过期": EXPIRE, "adjust": ADJUST, "调整": ADJUST,
}  # fmt: skip
OUT: Mapping[str, tuple[str, str]] = {
    SPEND: ("redeem", REDEEMED),
    EXPIRE: ("expire", EXPIRED),
    ADJUST: ("adjust", CLAWED),
}
"""What goes out: the kind of its transaction, and the bucket it goes to."""
ORIGINS = ("purchase", "marketing", "compensation")
NEVER = "never"
ACTOR = "import"
COMMAND_LINE = Hand("command line", "command line", KEY)


@dataclass(frozen=True)
class GivenPoints:
    """A row, checked. ``points`` is above zero but for an adjustment."""

    source: str
    kind: str
    entry_no: str
    who: Who
    points: int
    at: datetime
    expires: datetime | None
    says_expiry: bool
    origin: str
    reason: str


def read_points(cells: Mapping[str, str], now: datetime, zone: ZoneInfo) -> GivenPoints:
    """A row's points. Raises ``Bad``."""
    kind = KINDS.get(cells.get("kind", "").strip().lower())
    if kind is None:
        raise Bad(f"kind: one of {', '.join(sorted(set(KINDS.values())))}")
    told = {**cells, "entry_no": cells.get("entry_no") or "balance"}
    if kind != BALANCE and not cells.get("entry_no"):
        raise Bad("entry_no: missing; it tells one entry from another")
    source, entry_no = orders.named(told, "entry_no", "import")
    who = orders.who(who_of(cells))
    if who is None:
        raise Bad("identity_value: missing")
    at = orders.moment(cells, "at", now, zone) if cells.get("at") else now
    if kind != BALANCE and not cells.get("at"):
        raise Bad("at: missing")
    origin = cells.get("origin", "").strip() or "purchase"
    if origin not in ORIGINS:
        raise Bad(f"origin: one of {', '.join(ORIGINS)}")
    says, expires = _expiry(cells.get("expires", "").strip(), zone)
    if expires is not None and expires <= at and kind in (EARN, BALANCE):
        raise Bad("expires: before the points are there")
    points = _points(cells.get("points", ""), kind)
    return GivenPoints(source, kind, entry_no, who, points, at, expires, says, origin, cells.get("reason", "")[:200])


def _points(text: str, kind: str) -> int:
    try:
        points = int(text.strip().removesuffix(".0"))
    except ValueError:
        raise Bad(f"points: {text[:20]!r} is not a whole number") from None
    if kind in (SPEND, EXPIRE):
        points = abs(points)
    if not points or (points < 0 and kind != ADJUST) or abs(points) > approvals.MOST_POINTS:
        raise Bad(f"points: {text[:20]}; 1 to {approvals.MOST_POINTS}" + ("" if kind != ADJUST else ", either sign"))
    return points


def _expiry(text: str, zone: ZoneInfo) -> tuple[bool, datetime | None]:
    """Whether the row says it, and the moment from which they are gone; a day is the last one they live."""
    if not text or text == NEVER:
        return bool(text), None
    try:
        if len(text) <= len("2026-12-31"):
            last = date.fromisoformat(text)
            return True, datetime.combine(last + timedelta(days=1), time(), zone).astimezone(UTC)
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Bad(f"expires: {text[:30]!r} is neither a day nor {NEVER}") from None
    return True, (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)


def _accounts(work: Work, given: Mapping[int, GivenPoints], taken: Taken) -> dict[int, int]:
    """The account of each row; identities that name nobody are refused."""
    found: dict[int, int] = {}
    whose: dict[int, int] = {}
    for number, one in given.items():
        type_, value, verified = one.who
        place = joining.person_by(work, type_, value, verified=verified, source=one.source, at=one.at)
        if place is None:
            taken.rejected[number] = "this identity names nobody in particular"
        else:
            whose[number] = place[1]
    accounts = bulk.open_accounts(work, set(whose.values())) if whose else {}
    for number, anchor in whose.items():
        found[number] = accounts[anchor]
    return found


def _life(work: Work, one: GivenPoints) -> tuple[datetime | None, int | None]:
    """When they die, and after how many months of idleness: as the row says, or by the shop's rules of now.

    Of the day of the row the shop mostly had none yet, and the law of its place holds for what comes in now.
    """
    if one.says_expiry:
        return one.expires, None
    expiry = programme.rules_at(work, work.now).programme.expiry
    return expiry.ends(one.at, work.zone), expiry.idle_months


# --- history ---------------------------------------------------------------------------------------------------------


def take_history(work: Work, given: Mapping[int, GivenPoints]) -> Taken:
    """Write what happened into the books, as of when it did, each entry once. Raises ``takeover.NotNow``."""
    takeover.begin(work, takeover.HISTORY, actor=ACTOR)
    taken = Taken()
    accounts = _accounts(work, given, taken)
    for number, one in sorted(given.items(), key=lambda each: (each[1].at, each[0])):
        if number not in accounts:
            continue
        if one.kind == BALANCE:
            taken.rejected[number] = "kind: a history has earn, spend, expire and adjust, no balances"
            continue
        try:
            new = _write(work, accounts[number], one)
        except Conflict:
            taken.rejected[number] = f"entry_no: {one.source} has told another one as {one.entry_no} before"
        except NotEnough as error:
            taken.rejected[number] = f"points: {error.available} were there then, in the order of this file"
        else:
            (taken.accepted if new else taken.duplicate).append(number)
    return taken


def _write(work: Work, account_id: int, one: GivenPoints) -> bool:
    """One entry; False when it stands there already. Raises ``Conflict`` and ``NotEnough``."""
    name = reference("import", one.source, one.entry_no)
    comes = one.kind == EARN or (one.kind == ADJUST and one.points > 0)
    kind = ("award" if one.kind == EARN else "adjust") if comes else OUT[one.kind][0]
    request = {"account": account_id, "points": one.points, "at": one.at, "expires": one.expires}
    active = one.at if one.kind in (EARN, SPEND) else None
    about = About(kind, name, one.at, ACTOR, one.reason, name, active=active, request=request)
    if book.replayed(work.db, about) is not None:
        return False
    if comes:
        ends, idle_months = _life(work, one)
        own = programme.rules_at(work, work.now).programme
        grant = own.grant(one.points, one.at, ends, one.origin, work.now, idle_months=idle_months, channel=ACTOR)
        earn.award(work, account_id, [grant], about)
        return True
    draft = book.begin(work, about, account_id)
    if isinstance(draft, PointsTxn):
        return False
    for lot, n in take(draft.of(account_id), abs(one.points), one.at):
        draft.take_out(lot, OUT[one.kind][1], n)
    book.write(draft, {"points": abs(one.points)})
    return True


# --- balances --------------------------------------------------------------------------------------------------------


@dataclass
class Balances:
    """What a file of balances comes to; filled portion by portion."""

    day: date | None = None
    """Noted as of the end of that day, for taking over; none: to be awarded."""
    seen: set[tuple[int, datetime | None, str]] = field(default_factory=set)
    awards: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)
    """Points by account, by when they die (ISO 8601; empty: never) and after how many idle months (0: not of that)."""

    def take(self, work: Work, given: Mapping[int, GivenPoints]) -> Taken:
        """A portion: noted at once, or gathered. Raises ``takeover.NotNow``."""
        if self.day is not None:
            takeover.begin(work, takeover.BALANCES if not _history(work) else takeover.HISTORY, actor=ACTOR)
        taken, good = Taken(), dict[int, tuple[int, Told]]()
        accounts = _accounts(work, given, taken)
        for number, account_id in accounts.items():
            one = given[number]
            if one.kind != BALANCE:
                taken.rejected[number] = "kind: this is history; add --take-over, without --as-of"
                continue
            ends, idle_months = _life(work, one)
            told = Told(one.points, ends, one.origin, idle_months)
            key = (account_id, told.expires_at, told.origin)
            if key in self.seen:
                taken.rejected[number] = "the same customer, expiry and origin stand in this file already"
                continue
            self.seen.add(key)
            good[number] = (account_id, told)
        self._keep(work, good, taken)
        return taken

    def _keep(self, work: Work, good: Mapping[int, tuple[int, Told]], taken: Taken) -> None:
        if self.day is not None:
            news = takeover.note(work, self.day, list(good.values()))
            for number, (account_id, told) in good.items():
                (taken.accepted if (account_id, told) in news else taken.duplicate).append(number)
            return
        for number, (account_id, told) in good.items():
            ends = told.expires_at.isoformat() if told.expires_at else ""
            own = self.awards.setdefault((ends, told.idle_months or 0), {})
            own[account_id] = own.get(account_id, 0) + told.points
            taken.accepted.append(number)

    def ask(self, work: Work, reason: str) -> Sequence[Approval]:
        """Ask for what was gathered to be awarded: one approval for each way in which points die, once for this file.

        Raises ``approvals.CannotDo``.
        """
        found = []
        for (ends, idle_months), lines in sorted(self.awards.items()):
            content = hashlib.sha256(repr((ends, idle_months, sorted(lines.items()))).encode()).hexdigest()
            payload: dict[str, Any] = {"expires_at": ends} if ends else {}
            payload |= {"idle_months": idle_months} if idle_months else {}
            asked = Asked("bulk_award", payload, reason, f"import:{content}", sorted(lines.items()))
            found.append(approvals.submit(work, asked, COMMAND_LINE))
        return found


def _history(work: Work) -> bool:
    return takeover.state(work.db).by == takeover.HISTORY
