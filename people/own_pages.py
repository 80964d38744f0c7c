"""Customers' own pages (``/me/<token>``): the address of each, who may see all of it, and how they prove who they are.

The bare address tells little, because it is sent in chats and may be passed on. All of it is shown to a browser that
has come in: by WeChat, which says who is looking, or by six digits that the customer shows at the counter or to a rep,
who types them in. Coming in by such a code also settles what a rep has bound (``joining.confirmed``), but never by the
word of the very rep who bound it.

Only digests of cookies are kept. A code lives ten minutes and works once.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from people import evidence, joining, nearby, persons, sign_in
from people.joining import Given
from storage.database import changed_rows
from storage.rows import insert_new
from storage.tables import Evidence, Identity, OwnPage, OwnVisit, Person
from storage.work import Work

TOKEN_BYTES = 18
"""144 bits: nobody finds one by trying."""
LIVES = timedelta(minutes=30)
CODE_LIVES = timedelta(minutes=10)
DIGITS = 6
CODES, CODES_WINDOW = 10, timedelta(minutes=10)
"""So many codes one page may ask for in so much time."""
KEPT = timedelta(days=1)
"""How long a visit that is over stays written down."""
SEEN_AGAIN = timedelta(hours=1)
CONFIRMED, WECHAT = "confirmed", "wechat"
"""Sources of evidence: what the customer confirmed at the counter, what WeChat says."""
MOST_HINTS = 3
"""Whoever opens the pages of more people than that says nothing by it, and must not come to be nobody themselves."""
FAMILIAR, CLAIMED, ANOTHER = "familiar", "claimed", "another"


class TooManyCodes(ValueError):
    """As many codes as a page may ask for were asked for already."""


# --- the address -----------------------------------------------------------------------------------------------------


def address(work: Work, person: Person) -> str:
    """Where this person sees their points: the same whenever asked, until it is called back.

    Raises ``LookupError`` where ``work.home`` is not known.
    """
    if not work.home:
        raise LookupError("this work does not know where customers' pages are (Work.home)")
    anchor_id = anchor_of(work.db, person)
    return f"{work.home}/me/{_token(work, anchor_id)}"


def anchor_of(db: Session, person: Person) -> int:
    """The anchor by which WeCom knows this person, whoever speaks for it; of somebody it does not know the head."""
    own = select(Identity.anchor_id).where(Identity.person_id == person.id, Identity.type == persons.EXTERNAL)
    return db.scalar(own.order_by(Identity.id).limit(1)) or person.id


def _token(work: Work, anchor_id: int) -> str:
    living = select(OwnPage.token).where(OwnPage.person_id == anchor_id, OwnPage.revoked_at.is_(None))
    if (known := work.db.scalar(living)) is not None:
        return known
    row = {"person_id": anchor_id, "token": secrets.token_urlsafe(TOKEN_BYTES), "made_at": work.now}
    insert_new(work.db, OwnPage, [row], [])
    return work.db.scalars(living).one()


def find(db: Session, token: str) -> tuple[OwnPage, Person] | None:
    """The page of a token and whoever its anchor is now; None for one that there is not, or that was called back."""
    own = select(OwnPage).where(OwnPage.token == token, OwnPage.revoked_at.is_(None))
    if (page := db.scalars(own).one_or_none()) is None:
        return None
    return page, persons.head_of(db, db.get_one(Person, page.person_id))


def of_person(db: Session, person: Person) -> OwnPage | None:
    """The living page of this person, if one was made."""
    own = select(OwnPage).where(OwnPage.person_id == anchor_of(db, person), OwnPage.revoked_at.is_(None))
    return db.scalars(own).one_or_none()


def revoke(work: Work, person: Person) -> int:
    """Call back every address of a person, and end what is open there; how many there were."""
    own = persons.anchors(work.db, person.id)
    gone = update(OwnPage).where(OwnPage.person_id.in_(own), OwnPage.revoked_at.is_(None))
    pages = work.db.scalars(gone.values(revoked_at=work.now).returning(OwnPage.id)).all()
    work.db.execute(delete(OwnVisit).where(OwnVisit.page_id.in_(pages)))
    return len(pages)


def seen(work: Work, page: OwnPage) -> None:
    """Write down that it was opened, at most once an hour."""
    if page.seen_at is None or work.now - page.seen_at >= SEEN_AGAIN:
        page.seen_at = work.now


# --- who may see everything ------------------------------------------------------------------------------------------


def digest(cookie: str) -> str:
    """What is kept of a cookie."""
    return hashlib.sha256(cookie.encode()).hexdigest()


def visit_of(db: Session, page_id: int, cookie: str, now: datetime) -> OwnVisit | None:
    """What this browser has at this page: it waits for its code, or has come in (``opened_at``); None: neither."""
    own = select(OwnVisit).where(OwnVisit.digest == digest(cookie), OwnVisit.page_id == page_id)
    return db.scalars(own.where(OwnVisit.expires_at > now)).one_or_none()


def leave(db: Session, visit: OwnVisit) -> None:
    """End a visit: its cookie opens nothing from now on."""
    db.execute(delete(OwnVisit).where(OwnVisit.id == visit.id))


def come_in(work: Work, page: OwnPage, *, by: str) -> str:
    """Let a browser see everything for half an hour; its cookie, which is nowhere else."""
    cookie = secrets.token_urlsafe(32)
    ends = work.now + LIVES
    row = OwnVisit(page_id=page.id, digest=digest(cookie), opened_at=work.now, opened_by=by, expires_at=ends)
    row.made_at = work.now
    work.db.add(row)
    return cookie


def ask_code(work: Work, page: OwnPage, *, wechat: str = "") -> str:
    """Six digits for a browser that is to come in once they are confirmed; its cookie. Raises ``TooManyCodes``.

    ``wechat``: who WeChat says is looking (``spelt``), where that is not known of this person.
    """
    cookie = secrets.token_urlsafe(32)
    _with_code(work, page, digest(cookie), wechat)
    return cookie


def show_code(work: Work, page: OwnPage) -> str:
    """Six digits for a browser that has come in, by which the counter knows whose points it takes."""
    shown = shown_code(work.db, page, work.now)
    if shown is not None and shown[1] > work.now + CODE_LIVES / 2:
        return shown[0]
    return _with_code(work, page, None, "")


def shown_code(db: Session, page: OwnPage, now: datetime) -> tuple[str, datetime] | None:
    """The newest of these that may still be confirmed, and until when."""
    own = (OwnVisit.page_id == page.id, OwnVisit.digest.is_(None), OwnVisit.code_until > now)
    newest = select(OwnVisit).where(*own, OwnVisit.code.is_not(None)).order_by(OwnVisit.id.desc()).limit(1)
    row = db.scalars(newest).one_or_none()
    return None if row is None or row.code is None or row.code_until is None else (row.code, row.code_until)


def _with_code(work: Work, page: OwnPage, mark: str | None, wechat: str) -> str:
    work.db.execute(select(OwnPage.id).where(OwnPage.id == page.id).with_for_update())
    since = OwnVisit.made_at > work.now - CODES_WINDOW
    asked = select(func.count()).where(OwnVisit.page_id == page.id, OwnVisit.code_until.is_not(None), since)
    if work.db.scalars(asked).one() >= CODES:
        raise TooManyCodes(f"{CODES} codes in {CODES_WINDOW}")
    _tidy(work)
    ends = work.now + CODE_LIVES
    while True:
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
        row = {"page_id": page.id, "digest": mark, "code": code, "code_until": ends, "wechat": wechat}
        row |= {"made_at": work.now, "opened_by": "", "expires_at": ends}
        if insert_new(work.db, OwnVisit, [row], ["code"]):
            return code


def _tidy(work: Work) -> None:
    """Free the codes that nobody may confirm any more, and forget what is long over."""
    work.db.execute(delete(OwnVisit).where(OwnVisit.expires_at < work.now - KEPT))
    over = or_(OwnVisit.code_until <= work.now, OwnVisit.expires_at <= work.now)
    work.db.execute(update(OwnVisit).where(OwnVisit.code.is_not(None), over).values(code=None))


# --- a code is confirmed ---------------------------------------------------------------------------------------------


def begin_guess(db: Session, who: str, now: datetime) -> int | None:
    """Count a guess before looking at it; None when ``who`` had too many wrong ones. A right one: ``forgive``."""
    name = f"code:{who}"
    return sign_in.begin_attempt(db, name, f"code:{digest(name)[:40]}", now)


def forgive(db: Session, guess_id: int) -> None:
    """The code was right."""
    sign_in.forgive(db, guess_id)


@dataclass(frozen=True)
class Confirmation:
    """What a code stood for, and what came of it."""

    person: Person
    anchor_id: int
    """The anchor of the page: whose points may be spent (``joining.confirmed``)."""
    certain: int = 0
    """So many numbers that a rep had bound have become certain by it."""
    left: int = 0
    """So many have not: whoever confirmed is the one who had bound them."""


def waiting_for(db: Session, code: str, now: datetime) -> Person | None:
    """Whose code this is, if it may be confirmed now."""
    found = _of_code(db, code, now)
    return None if found is None else persons.head_of(db, db.get_one(Person, found[1].person_id))


def _of_code(db: Session, code: str, now: datetime) -> tuple[OwnVisit, OwnPage] | None:
    own = select(OwnVisit, OwnPage).join(OwnPage, OwnPage.id == OwnVisit.page_id)
    row = db.execute(
        own.where(OwnVisit.code == code, OwnVisit.code_until > now, OwnPage.revoked_at.is_(None))
    ).one_or_none()
    return None if row is None else (row[0], row[1])


def confirm(work: Work, code: str, *, by: str) -> Confirmation | None:
    """Somebody of the shop has read this code off the customer's page; None when it is nobody's, used or too old.

    ``by``: the userid of who did, or ``key:NAME`` of a till. What others had bound becomes certain by it, and so does
    the WeChat of the browser that waits.
    """
    found = _of_code(work.db, code, work.now)
    if found is None:
        return None
    visit, page = found
    values = {"code": None, "opened_at": work.now, "opened_by": by}
    lives = {"expires_at": work.now + LIVES} if visit.digest is not None else {}
    mine = update(OwnVisit).where(OwnVisit.id == visit.id, OwnVisit.code == code)
    if not changed_rows(work.db, mine.values(**values, **lives)):
        return None
    if visit.wechat:
        joining.learn(work, page.person_id, given(visit.wechat), source=WECHAT, by=by)
    certain, left = settle(work, page, by=by)
    person = persons.head_of(work.db, work.db.get_one(Person, page.person_id, populate_existing=True))
    told = {"by": by, "certain": certain}
    persons.tell(work, person.id, "confirmed", work.now, once=f"confirmed:{visit.id}", details=told)
    return Confirmation(person, page.person_id, certain, left)


def settle(work: Work, page: OwnPage, *, by: str) -> tuple[int, int]:
    """Make certain what reps have bound to the person of a page, but for what ``by`` has bound; how many, how many not.

    ``by``: who confirmed, or ``wechat`` where the customer, known by WeChat, says so themselves.
    """
    bound = unsure(work.db, page.person_id)
    known = [Given(type_, value) for (type_, value), sources in bound.items() if sources != {f"{evidence.REP}{by}"}]
    if known:
        joining.learn(work, page.person_id, known, source=CONFIRMED, by=by)
    return len(known), len(bound) - len(known)


def unsure(db: Session, anchor_id: int) -> dict[tuple[str, str], set[str]]:
    """(type, value) that only reps' words say of whoever has this anchor, each with its sources.

    Also what nobody else has, and so joins them to nobody yet; not what somebody else is known by for certain.
    """
    own = persons.anchors(db, anchor_id)
    certain = Evidence.verified & Evidence.released_at.is_(None)
    mine = (Evidence.anchor_id.in_(own), Evidence.released_at.is_(None), Evidence.verified.is_(False))
    reps = Evidence.source.startswith(evidence.REP, autoescape=True)
    found: dict[tuple[str, str], set[str]] = {}
    for one in db.scalars(select(Evidence).where(*mine, reps).order_by(Evidence.id)):
        found.setdefault((one.type, one.value), set()).add(one.source)
    if not found:
        return {}
    unconfirmed = set(own) - joining.confirmed(db, anchor_id)
    told = select(Evidence.type, Evidence.value).where(certain, nearby.any_of(Evidence, found))
    sure = {(type_, value) for type_, value in db.execute(told.where(Evidence.anchor_id.not_in(unconfirmed)))}
    return {about: sources for about, sources in found.items() if about not in sure}


# --- WeChat says who is looking --------------------------------------------------------------------------------------


def spelt(identities: list[Given]) -> str:
    """Who WeChat says is looking, in one line, the surest first."""
    return "\n".join(f"{one.type} {one.value}" for one in identities)


def given(wechat: str) -> list[Given]:
    """The same back."""
    pairs = (line.split(" ", 1) for line in wechat.splitlines())
    return [Given(type_, value) for type_, value in pairs]


def known(db: Session, identities: list[Given]) -> Person | None:
    """Whoever is known for certain by the surest of these that anybody is known by."""
    for one in identities:
        own = select(Person).join(Identity, Identity.person_id == Person.id)
        found = db.scalars(own.where(Identity.type == one.type, Identity.value == one.value, Identity.verified))
        if (person := found.one_or_none()) is not None:
            return person
    return None


def holder(db: Session, type_: str, value: str) -> int | None:
    """The anchor that is known by an identity for certain, value as ``identities.spelt`` has it; None: nobody is."""
    own = select(func.coalesce(Identity.anchor_id, Identity.person_id))
    return db.scalar(own.where(Identity.type == type_, Identity.value == value, Identity.verified))


def by_wechat(work: Work, page: OwnPage, identities: list[Given]) -> str:
    """Whether this is the person of the page: ``familiar`` (then what is new about them is kept), or not.

    ``identities`` are what WeChat told, the surest first. Somebody else's: ``another``; the two go to whoever decides
    who is one person. Nobody's: ``claimed``: an address may be passed on, so that alone is no proof; a code that is
    confirmed makes it one.
    """
    here = persons.head_of(work.db, work.db.get_one(Person, page.person_id))
    for one in identities:
        known = select(Identity).where(Identity.type == one.type, Identity.value == one.value, Identity.verified)
        if (row := work.db.scalars(known).one_or_none()) is None:
            continue
        if row.person_id == here.id:
            joining.learn(work, page.person_id, identities, source=WECHAT, by=WECHAT)
            return FAMILIAR
        if _holders(work.db, one) < MOST_HINTS:
            hint = Given(one.type, one.value, verified=False)
            joining.learn(work, page.person_id, [hint], source=WECHAT, by=WECHAT)
        return ANOTHER
    return CLAIMED


def _holders(db: Session, one: Given) -> int:
    own = (Evidence.type == one.type, Evidence.value == one.value)
    return db.scalars(select(func.count(Evidence.anchor_id.distinct())).where(*own)).one()
