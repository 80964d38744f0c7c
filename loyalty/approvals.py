"""Approvals (审批): what is done to points by hand, as grave as it is, once, exactly as others agreed to it.

Everything comes in by ``submit`` and is graded (``loyalty.authority``). Grade 0 is carried out at once. What is graver
waits for others' words, or for a day where there are no others; then exactly the payload that was shown is carried
out, once, unless it would come to something else by now: then it is back with its maker. What a kind does says
``loyalty.deeds.DEEDS``.

Before: the console and the API, which say who asks (``authority.Hand``). After: ``scheduler.approval_jobs`` carries out
what has waited long enough, works off the lines of what is done to many, and tells everybody concerned.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, and_, exists, func, insert, literal_column, or_, select
from sqlalchemy.orm import Session

from loyalty import authority, group_buys, insiders, programme, tiers, transfers
from loyalty.authority import DELAY, DRIFT, LIVES, PEOPLE, REP, WINDOW, Facts, Hand
from loyalty.deeds import DEEDS, NOTHING, Look, look_rules
from loyalty.ledger import book
from loyalty.ledger.book import digest
from loyalty.ledger.earn import TooMuch
from loyalty.ledger.lots import NotEnough
from loyalty.ledger.spend import InDebt
from storage.rows import insert_new
from storage.tables import (
    Approval,
    ApprovalLine,
    ApprovalWord,
    Gate,
    Person,
    PointsAccount,
    PointsLotNow,
    PointsTxn,
)
from storage.work import Work

WAITING, APPROVED, RUNNING, DONE = "waiting", "approved", "running", "done"
REJECTED, CANCELLED, EXPIRED, RETURNED = "rejected", "cancelled", "expired", "returned"
OPEN = (WAITING, APPROVED)
COUNTS = (WAITING, APPROVED, RUNNING, DONE)
"""What the sums of a hand are made of."""
LONGEST_REASON = 200
MOST_POINTS = 10**8
MOST_LINES = 1_000_000
PORTION = 5_000
LINES_A_TURN = 200
STAFF_SHOWN = 20


RULES: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "policy": lambda payload: programme.Programme(**payload["definition"]),
    "tiers": tiers.of,
    "gifts": lambda payload: transfers.Limits(**payload),
    "groups": lambda payload: group_buys.Terms(**payload),
    "authority": lambda payload: authority.Limits(**payload),
}
"""Rules of the house, each read out of its payload; ``ValueError`` where it makes no sense."""


class CannotDo(ValueError):
    """Why not: a code, of which console and API know the words, and what belongs to it."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(f"{code} {facts or ''}".strip())
        self.code, self.facts = code, facts


# --- asking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What is to be done: ``payload`` is carried out as it is, ``lines`` are (account, points) where it is many."""

    kind: str
    payload: Mapping[str, Any]
    reason: str
    once: str
    """Asking again under the same name with the same payload gives the first answer."""
    lines: Sequence[tuple[int, int]] = ()


def submit(work: Work, asked: Asked, maker: Hand) -> Approval:
    """Carry it out (grade 0) or let it wait for others' words. Raises ``CannotDo`` and ``book.Conflict``."""
    payload = _checked(asked)
    one_at_a_time(work.db, maker.hand)
    content = _hash(asked.kind, payload, asked.reason.strip())
    if (known := work.db.scalars(select(Approval).where(Approval.once == asked.once)).one_or_none()) is not None:
        if (known.payload_hash, known.hand) != (content, maker.hand):
            raise book.Conflict(f"{asked.once} was used for something else")
        return known
    approval = _kept(work, asked, payload, maker, content)
    look = DEEDS[asked.kind].look(work.db, approval, work.now)
    _sensible(asked, payload, look)
    _graded(work, approval, look, maker)
    approval.preview = {**look.told(), "staff": staff_in(work.db, approval)}
    if _ready(work.db, approval) is not None:
        _settle(work, approval)
    if approval.grade == 0:
        approval.told = approval.state
    if approval.grade == 0 and approval.state == RETURNED:
        raise CannotDo(approval.note, **approval.result)
    return approval


def one_at_a_time(db: Session, hand: str) -> None:
    """Two requests of one hand wait for each other: otherwise both would see the sum without the other."""
    name = f"points:{hashlib.sha256(hand.encode()).hexdigest()[:32]}"
    insert_new(db, Gate, [{"api": name, "used": 0}], ["api"], returning="api")
    db.execute(select(Gate.api).where(Gate.api == name).with_for_update())


def _checked(asked: Asked) -> dict[str, Any]:
    if asked.kind not in DEEDS:
        raise CannotDo("unknown_kind", kind=asked.kind)
    if not asked.reason.strip() or len(asked.reason.strip()) > LONGEST_REASON:
        raise CannotDo("no_reason", most=LONGEST_REASON)
    payload = dict(asked.payload)
    if "points" in payload:
        points = payload["points"]
        negative = asked.kind == "adjust"
        if type(points) is not int or not 0 < (abs(points) if negative else points) <= MOST_POINTS:
            raise CannotDo("bad_points", most=MOST_POINTS)
    if DEEDS[asked.kind].each is not None:
        if not 0 < len(asked.lines) <= MOST_LINES:
            raise CannotDo("nothing")
        if asked.kind == "bulk_award" and not all(0 < points <= MOST_POINTS for _, points in asked.lines):
            raise CannotDo("bad_points", most=MOST_POINTS)
        payload |= {"count": len(asked.lines), "lines": _lines_hash(sorted(asked.lines))}
    if asked.kind in RULES:
        try:
            RULES[asked.kind](payload)
        except ValueError as error:
            code = "bad_limits" if asked.kind == "authority" else "bad_rules"
            raise CannotDo(code, why=_in_words(error)[:500]) from None
    return payload


def _in_words(error: ValueError) -> str:
    """What makes no sense, each by the name it has in the payload."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(": ".join([*map(str, one["loc"]), one["msg"]]) for one in error.errors())


def _hash(kind: str, payload: Mapping[str, Any], reason: str) -> str:
    return digest({"kind": kind, "payload": dict(payload), "reason": reason})


def _lines_hash(lines: Iterable[tuple[int, int]]) -> str:
    whole = hashlib.sha256()
    for account_id, points in lines:
        whole.update(f"{account_id}:{points};".encode())
    return whole.hexdigest()


def _kept(work: Work, asked: Asked, payload: dict[str, Any], maker: Hand, content: str) -> Approval:
    approval = Approval(
        kind=asked.kind,
        grade=0,
        reasons=[],
        payload=payload,
        payload_hash=content,
        preview={},
        size=0,
        account_id=next(iter(payload.get("account_ids", ())), None),
        reason=asked.reason.strip(),
        made_by=maker.actor,
        hand=maker.hand,
        once=asked.once,
        state=WAITING,
        people=0,
        boss=False,
        short=False,
        made_at=work.now,
        expires_at=work.now + LIVES,
    )
    work.db.add(approval)
    work.db.flush()
    for first in range(0, len(asked.lines), PORTION):
        some = asked.lines[first : first + PORTION]
        rows = [{"approval_id": approval.id, "account_id": one, "points": n, "state": WAITING} for one, n in some]
        work.db.execute(insert(ApprovalLine), rows)
    return approval


def _sensible(asked: Asked, payload: Mapping[str, Any], look: Look) -> None:
    """What cannot be done as it is asked for is refused now, not after others have looked at it."""
    if DEEDS[asked.kind].look is look_rules:
        return
    if look == NOTHING:
        raise CannotDo("nothing")
    wanted = abs(payload.get("points", 0)) * max(1, len(asked.lines))
    if asked.kind != "bulk_clear" and wanted and look.size < wanted:
        raise CannotDo("not_enough", wanted=wanted, available=look.size)


def _graded(work: Work, approval: Approval, look: Look, maker: Hand) -> None:
    """Its grade, and who has to agree."""
    approval.size = look.size
    limits = authority.limits(work.db)
    if maker.role == REP:
        _within_budget(work, approval, limits.rep_month)
        approval.grade, approval.reasons = 0, ["rep_month"]
        return
    lately = (Approval.hand == maker.hand, Approval.made_at > work.now - WINDOW, Approval.id != approval.id)
    total = look.size + _sum(work.db, *lately)
    person = abs(look.top[0][1]) if look.top else 0
    if approval.account_id is not None:
        person += _sum(work.db, *lately, Approval.account_id == approval.account_id)
    accounts = 1 if approval.account_id is not None else look.accounts
    facts = Facts(approval.kind, accounts, person, total)
    approval.grade, approval.reasons = authority.grade(facts, limits)
    others, bosses = authority.others(work.db, maker.hand, work.now)
    approval.people = min(PEOPLE[approval.grade], others)
    approval.boss = approval.grade >= 2 and bosses > 0
    approval.short = others < PEOPLE[approval.grade] or (approval.grade >= 2 and not bosses)


def _sum(db: Session, *where: ColumnElement[bool]) -> int:
    own = select(func.coalesce(func.sum(Approval.size), 0)).where(Approval.state.in_(COUNTS), *where)
    return int(db.scalar(own) or 0)


def _within_budget(work: Work, approval: Approval, budget: int) -> None:
    """A rep gives from what the month allows, and does nothing else. Raises ``CannotDo``."""
    if approval.kind != "award":
        raise CannotDo("rep_kind")
    left = budget - spent_this_month(work, approval.hand, but=approval.id)
    if approval.size > left:
        raise CannotDo("over_budget", left=max(0, left))


def spent_this_month(work: Work, hand: str, but: int = 0) -> int:
    """What a rep has given since the month began in the shop's time zone."""
    local = work.now.astimezone(work.zone)
    since = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return _sum(work.db, Approval.hand == hand, Approval.made_at >= since, Approval.id != but)


def chance() -> str:
    """A name that nothing else was asked for under."""
    return secrets.token_hex(16)


def listed(
    db: Session, states: Sequence[str] = (), *, limit: int, before: int | None = None, hand: str = ""
) -> tuple[Sequence[Approval], int | None]:
    """One page of what needed others' words, the newest first, and the id the next page comes before."""
    own = select(Approval).where(Approval.grade > 0).order_by(Approval.id.desc()).limit(limit + 1)
    own = own.where(Approval.state.in_(states)) if states else own
    own = own.where(Approval.hand == hand) if hand else own
    found = db.scalars(own.where(Approval.id < before) if before is not None else own).all()
    return found[:limit], (found[limit - 1].id if len(found) > limit else None)


def waiting_for(db: Session, who: Hand, now: datetime) -> int:
    """How many wait for others' words and may be decided by this one, who has not said yes yet."""
    mine = or_(func.lower(Approval.hand) == who.hand.lower(), func.lower(Approval.made_by) == who.actor.lower())
    agreed = exists().where(ApprovalWord.approval_id == Approval.id, ApprovalWord.hand == who.hand, ApprovalWord.yes)
    alive = or_(Approval.due_at.is_not(None), Approval.expires_at > now)
    own = (Approval.state == WAITING, alive, ~mine, ~agreed)
    return db.scalars(select(func.count()).select_from(Approval).where(*own)).one()


# --- deciding --------------------------------------------------------------------------------------------------------


def locked(db: Session, approval_id: int) -> Approval:
    """The approval, held until the end of the transaction. Raises ``LookupError``."""
    found = db.get(Approval, approval_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise LookupError(f"no approval {approval_id}")
    return found


def approve(work: Work, approval_id: int, who: Hand) -> Approval:
    """Somebody else's yes; the last that is needed carries it out. Saying it again changes nothing.

    Raises ``CannotDo`` to its maker, to who has no say, and when it is over; ``LookupError``.
    """
    approval = locked(work.db, approval_id)
    _may_say(approval, who)
    said = _word_of(work.db, approval_id, who.hand)
    if said is not None and said.yes:
        return approval
    _still_open(work, approval)
    _say(work, approval, who, yes=True)
    _settle(work, approval)
    return approval


def reject(work: Work, approval_id: int, who: Hand, words: str) -> Approval:
    """Somebody else's no, which ends it. Raises as ``approve`` does, and when no reason is given."""
    approval = locked(work.db, approval_id)
    _may_say(approval, who)
    said = _word_of(work.db, approval_id, who.hand)
    if said is not None and not said.yes:
        return approval
    if approval.state not in OPEN:
        raise CannotDo("over", state=approval.state)
    if not words.strip():
        raise CannotDo("no_reason", most=LONGEST_REASON)
    if said is not None:
        said.yes, said.at = False, work.now
    else:
        _say(work, approval, who, yes=False)
    _end(work, approval, REJECTED, words.strip()[:LONGEST_REASON])
    return approval


def cancel(work: Work, approval_id: int, who: Hand) -> Approval:
    """Its maker lets it be, as long as it has not been begun; everybody else says no with a reason (``reject``)."""
    approval = locked(work.db, approval_id)
    if not made_by(approval, who):
        raise CannotDo("not_maker")
    if approval.state == CANCELLED:
        return approval
    if approval.state not in OPEN:
        raise CannotDo("over", state=approval.state)
    _end(work, approval, CANCELLED)
    return approval


def made_by(approval: Approval, who: Hand) -> bool:
    """Whether it is their own: of the person, of a key of theirs, or of the same key."""
    return who.hand.lower() == approval.hand.lower() or who.actor.lower() == approval.made_by.lower()


def _may_say(approval: Approval, who: Hand) -> None:
    if made_by(approval, who):
        raise CannotDo("own")
    if not who.may_decide:
        raise CannotDo("no_right")


def _still_open(work: Work, approval: Approval) -> None:
    if approval.state not in OPEN:
        raise CannotDo("over", state=approval.state)
    if approval.state == WAITING and approval.due_at is None and approval.expires_at <= work.now:
        raise CannotDo("over", state=EXPIRED)


def _word_of(db: Session, approval_id: int, hand: str) -> ApprovalWord | None:
    own = (ApprovalWord.approval_id == approval_id, ApprovalWord.hand == hand)
    return db.scalars(select(ApprovalWord).where(*own)).one_or_none()


def _say(work: Work, approval: Approval, who: Hand, *, yes: bool) -> None:
    word = ApprovalWord(approval_id=approval.id, said_by=who.actor, hand=who.hand, boss=who.is_boss, yes=yes)
    word.payload_hash, word.at = approval.payload_hash, work.now
    work.db.add(word)
    work.db.flush()


def words(db: Session, approval_id: int) -> Sequence[ApprovalWord]:
    """What was said about it, in order."""
    return db.scalars(
        select(ApprovalWord).where(ApprovalWord.approval_id == approval_id).order_by(ApprovalWord.id)
    ).all()


def missing(approval: Approval, said: Sequence[ApprovalWord]) -> tuple[int, bool]:
    """How many words it still waits for after these, and whether a boss's must be among them."""
    if approval.state != WAITING or approval.due_at is not None:
        return 0, False
    yes = [one for one in said if one.yes]
    boss = approval.boss and not any(one.boss for one in yes)
    return max(approval.people - len(yes), int(boss)), boss


def open_ones(db: Session, kind: str, at: datetime) -> Sequence[Approval]:
    """What has been asked for of a kind and can still be carried out, the oldest first."""
    alive = or_(Approval.due_at.is_not(None), Approval.expires_at > at)
    own = select(Approval).where(Approval.kind == kind, Approval.state.in_(OPEN), alive)
    return db.scalars(own.order_by(Approval.id)).all()


def _ready(db: Session, approval: Approval) -> datetime | None:
    """From when it may be carried out, as things stand (UTC); None: others have to agree first."""
    yes = [one for one in words(db, approval.id) if one.yes]
    times = [_with(approval, yes[:number]) for number in range(len(yes) + 1)]
    return min((one for one in times if one is not None), default=None)


def _with(approval: Approval, yes: Sequence[ApprovalWord]) -> datetime | None:
    """The same, had only these agreed."""
    last = max((one.at for one in yes), default=approval.made_at)
    boss = any(one.boss for one in yes)
    wait = DELAY if approval.grade == 3 else timedelta(0)
    if len(yes) >= PEOPLE[approval.grade] and (boss or approval.grade < 2):
        return last + wait
    if approval.short and len(yes) >= approval.people and (boss or not approval.boss):
        return max(last, approval.made_at + DELAY) + wait
    return None


def _settle(work: Work, approval: Approval) -> None:
    """Carry it out, or let it wait for its time, where enough has been said."""
    ready = _ready(work.db, approval)
    if ready is None:
        return
    if ready <= work.now:
        _carry_out(work, approval)
    else:
        approval.due_at = ready
        approval.state = APPROVED if any(one.yes for one in words(work.db, approval.id)) else WAITING


def _end(work: Work, approval: Approval, state: str, note: str = "") -> None:
    approval.state, approval.note, approval.ended_at = state, note, work.now
    let_be = DEEDS[approval.kind].let_be
    if state != DONE and let_be is not None:
        let_be(work, approval)
    work.db.flush()


# --- carrying out ----------------------------------------------------------------------------------------------------


def _carry_out(work: Work, approval: Approval) -> None:
    """Exactly what was agreed to, if it still comes to the same; otherwise it is back with its maker."""
    if approval.grade and not _as_agreed(work.db, approval):
        return _end(work, approval, RETURNED, "changed")
    deed = DEEDS[approval.kind]
    look = deed.look(work.db, approval, work.now)
    if approval.grade and _drifted(approval.preview, look):
        approval.result = {"now": look.told()}
        return _end(work, approval, RETURNED, "drift")
    if deed.do is None:
        approval.state = RUNNING
        return work.db.flush()
    try:
        approval.result = deed.do(work, approval)
    except NotEnough as error:
        approval.result = {"wanted": error.wanted, "available": error.available}
        return _end(work, approval, RETURNED, "not_enough")
    except InDebt as error:
        approval.result = {"debt": error.debt}
        return _end(work, approval, RETURNED, "in_debt")
    except (TooMuch, book.NoAccount, ValueError):
        return _end(work, approval, RETURNED, "not_possible")
    return _end(work, approval, DONE)


def _as_agreed(db: Session, approval: Approval) -> bool:
    """Whether what is written is what everybody has seen."""
    content = _hash(approval.kind, approval.payload, approval.reason)
    yes = [one for one in words(db, approval.id) if one.yes]
    if {approval.payload_hash, *(one.payload_hash for one in yes)} != {content}:
        return False
    if approval.hand in {one.hand for one in yes}:
        return False
    if DEEDS[approval.kind].each is None:
        return True
    own = select(ApprovalLine.account_id, ApprovalLine.points).where(ApprovalLine.approval_id == approval.id)
    rows = db.execute(own.order_by(ApprovalLine.account_id).execution_options(yield_per=PORTION))
    return _lines_hash((one, n) for one, n in rows) == str(approval.payload["lines"])


def _drifted(then: Mapping[str, Any], now: Look) -> bool:
    """Whether it comes to something else by more than ``DRIFT`` percent, in accounts or points."""
    return any(
        abs(after - before) * 100 > DRIFT * before
        for before, after in ((then["accounts"], now.accounts), (then["size"], now.size))
    )


def due(db: Session, at: datetime, limit: int = 50) -> Sequence[int]:
    """What has waited long enough, and what is being worked off."""
    ready = and_(Approval.state.in_(OPEN), Approval.due_at <= at)
    own = select(Approval.id).where(or_(ready, Approval.state == RUNNING)).order_by(Approval.id)
    return db.scalars(own.limit(limit)).all()


def go_on(work: Work, approval_id: int, most: int = LINES_A_TURN) -> int:
    """Carry out what is due, or the next accounts of what is done to many; how many. Doing it again does nothing."""
    approval = locked(work.db, approval_id)
    if approval.state in OPEN and approval.due_at is not None and approval.due_at <= work.now:
        ready = _ready(work.db, approval)
        if ready is not None and ready <= work.now:
            _carry_out(work, approval)
        return 1
    return _next_lines(work, approval, most) if approval.state == RUNNING else 0


def _next_lines(work: Work, approval: Approval, most: int) -> int:
    waiting = (ApprovalLine.approval_id == approval.id, ApprovalLine.state == WAITING)
    own = select(ApprovalLine).where(*waiting).order_by(ApprovalLine.account_id).limit(most)
    lines = work.db.scalars(own).all()
    for line in lines:
        _do_line(work, approval, line)
    work.db.flush()
    if len(lines) < most:
        approval.result = _came_to(work.db, approval.id)
        _end(work, approval, DONE)
    return len(lines)


def _do_line(work: Work, approval: Approval, line: ApprovalLine) -> None:
    each = DEEDS[approval.kind].each
    if each is None:
        raise AssertionError(f"{approval.kind} has no lines")
    txn_id = each(work, approval, line)
    line.state = "skipped" if txn_id is None else DONE
    if txn_id is not None:
        line.txn_id, line.points = txn_id, _moved(work.db.get_one(PointsTxn, txn_id), line.points)


def _moved(txn: PointsTxn, asked: int) -> int:
    """What a line has really moved: a clearing what was there, a claw-back what was left."""
    points, gone = int(txn.result["points"]), int(txn.result.get("lost", 0))
    return -(points - gone) if asked < 0 and points > 0 else points


def _came_to(db: Session, approval_id: int) -> dict[str, Any]:
    done = (ApprovalLine.approval_id == approval_id, ApprovalLine.state == DONE)
    own = select(func.count(), func.coalesce(func.sum(ApprovalLine.points), 0)).where(*done)
    accounts, points = db.execute(own).one()
    return {"accounts": int(accounts), "points": int(points)}


def untold(db: Session, limit: int = 50) -> Sequence[int]:
    """Of whose state not everybody concerned has been told."""
    return db.scalars(select(Approval.id).where(UNTOLD).order_by(Approval.id).limit(limit)).all()


UNTOLD: ColumnElement[bool] = literal_column("approval.told <> approval.state")
"""In the words of the partial index."""


def over(work: Work) -> int:
    """End what nobody decided in time; how many."""
    late = (Approval.state == WAITING, Approval.due_at.is_(None), Approval.expires_at <= work.now)
    own = select(Approval).where(*late)
    found = work.db.scalars(own.order_by(Approval.id).limit(200).with_for_update()).all()
    for one in found:
        _end(work, one, EXPIRED)
    return len(found)


def undo_of(db: Session, batch_id: int) -> list[tuple[int, int]]:
    """The lines of a batch that takes back what another did. Raises ``CannotDo`` where that did nothing."""
    batch = db.get(Approval, batch_id)
    if batch is None or batch.kind not in ("bulk_award", "bulk_clear") or batch.state != DONE:
        raise CannotDo("no_batch")
    done = (ApprovalLine.approval_id == batch_id, ApprovalLine.state == DONE, ApprovalLine.points != 0)
    rows = db.execute(
        select(ApprovalLine.account_id, ApprovalLine.points).where(*done).order_by(ApprovalLine.account_id)
    )
    if not (found := [(account_id, -points) for account_id, points in rows]):
        raise CannotDo("nothing")
    return found


# --- whom it is about ------------------------------------------------------------------------------------------------


def usual_life(work: Work) -> dict[str, Any]:
    """When points that are given now die, as the shop's rules say, for a payload.

    ``expires_at`` (ISO 8601, UTC; None: never) and, where they die of idleness, ``idle_months`` of it.
    """
    rules = programme.rules_at(work, work.now).programme
    expiry = rules.bonus_expiry or rules.expiry
    ends = expiry.ends(work.now, work.zone)
    life = {"expires_at": ends.isoformat() if ends is not None else None}
    return life if expiry.idle_months is None else {**life, "idle_months": expiry.idle_months}


def own_accounts(work: Work, anchors: Sequence[int]) -> list[int]:
    """All accounts of one person, whose ids these are, the first speaking for all; opened where there is none."""
    own = select(PointsAccount.id).where(PointsAccount.person_id.in_(anchors)).order_by(PointsAccount.id)
    return list(work.db.scalars(own)) or [book.open_account(work, anchors[0]).id]


def accounts_of(work: Work, person_ids: Sequence[int]) -> list[int]:
    """One account of each of these people, opened where there is none, in their order."""
    found: dict[int, int] = {}
    for first in range(0, len(person_ids), PORTION):
        some = person_ids[first : first + PORTION]
        own = select(PointsAccount.person_id, func.min(PointsAccount.id)).where(PointsAccount.person_id.in_(some))
        rows = work.db.execute(own.group_by(PointsAccount.person_id))
        found |= {person: account for person, account in rows if person is not None}
        for person in some:
            if person not in found:
                found[person] = book.open_account(work, person).id
    return [found[one] for one in dict.fromkeys(person_ids)]


def accounts_with_points(db: Session, person_ids: Sequence[int], at: datetime) -> list[int]:
    """All accounts of these people in which something is that has not died, under whichever of their ids."""
    lot = PointsLotNow
    found: list[int] = []
    living = and_(lot.pending + lot.available > 0, or_(lot.expires_at.is_(None), lot.expires_at > at))
    for first in range(0, len(person_ids), PORTION):
        some = person_ids[first : first + PORTION]
        theirs = or_(Person.id.in_(some), Person.merged_into.in_(some))
        own = select(PointsAccount.id).join(Person, Person.id == PointsAccount.person_id).where(theirs)
        found += db.scalars(own.where(exists().where(lot.account_id == PointsAccount.id, living)))
    return sorted(found)


def staff_in(db: Session, approval: Approval) -> list[int]:
    """Accounts it is for that belong to our own people: the first twenty."""
    known = insiders.known(db)
    if not known:
        return []
    theirs = insiders.owns(PointsAccount.person_id, known)
    lines = select(ApprovalLine.account_id).where(ApprovalLine.approval_id == approval.id)
    single = [*approval.payload.get("account_ids", ()), approval.payload.get("receiver", 0)]
    about = or_(PointsAccount.id.in_(single), PointsAccount.id.in_(lines))
    own = select(PointsAccount.id).where(about, theirs).order_by(PointsAccount.id)
    return list(db.scalars(own.limit(STAFF_SHOWN)))
