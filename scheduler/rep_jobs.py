"""Jobs about reps' days: make the cards of standing occasions, end those that are over, send the morning lists."""

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from outreach import cards, day_list, day_words, hours, occasions
from people import rep_rules, tasks
from people.rep_rules import RepRules
from storage.database import reading, transaction
from storage.tables import Member, Progress
from storage.work import Work
from wecom.commands import textcard_to

if TYPE_CHECKING:
    from scheduler.timetable import Hands

CARDS_AT_ONCE = 50
SENT = "day_lists"
"""The row of ``Progress`` that says for which day all have theirs."""
PLACE = "/sidebar"
"""Where the morning message leads: any member may open it in WeCom."""


def make_cards(hands: "Hands") -> str:
    """Make the cards of standing occasions that have none yet."""
    with reading(hands.engine) as db:
        if not rep_rules.rules(db).occasions:
            return "occasions make no cards"
        drafts = occasions.wanted(hands.work(db, "make cards"))
    outcome: Counter[str] = Counter()
    for some in (drafts[first : first + CARDS_AT_ONCE] for first in range(0, len(drafts), CARDS_AT_ONCE)):
        with transaction(hands.engine) as db:
            outcome += occasions.make(hands.work(db, "make cards"), some, hands.rules)
    made = outcome.pop("made", 0)
    return f"cards made: {made}, not made: {outcome.total()}"


def end_cards(hands: "Hands") -> str:
    """End the cards whose customer wants no contact or has gone, or whose time is over."""
    with transaction(hands.engine) as db:
        count = cards.obey(hands.work(db, "end cards"))
    return f"cards ended: {count}"


def send_day_lists(hands: "Hands") -> str:
    """Send every rep who has something today her list, once, in the morning of a working day and in her hours.

    Whoever was away until after ``RepRules.late`` sends none that day: a list for the morning in the afternoon helps
    nobody, and the bot gives it at any time.
    """
    with reading(hands.engine) as db:
        work = hands.work(db, "send day lists")
        rules = rep_rules.rules(db)
        if trouble := _not_now(work, rules):
            return trouble
        reps = _reps(work)
    until = hours.instant(work.now.astimezone(work.zone).date(), rules.late, work.zone)
    sent = sum(_send(hands, one, until) for one in reps if not hands.stopping())
    if not hands.stopping():
        with transaction(hands.engine) as db:
            _all_have_theirs(hands.work(db, "send day lists"))
    if sent:
        hands.ring()
    return f"lists sent: {sent}"


def _not_now(work: Work, rules: RepRules) -> str:
    local = work.now.astimezone(work.zone)
    if not (rules.morning <= local.time() < rules.late and rules.at_work(work.now, work.zone)):
        return "not the hour for lists"
    if rules.working_days and not day_list.is_working_day(work):
        return "no lists on a day off"
    told = work.db.get(Progress, SENT)
    return "all have their lists" if told is not None and told.at.get("day") == local.date().isoformat() else ""


def _reps(work: Work) -> list[str]:
    """Whoever may have something today and is there to read it."""
    found = []
    for userid in sorted(day_list.reps_with_something(work)):
        member = work.db.get(Member, userid)
        if member is not None and member.left_at is None:
            found.append(userid)
    return found


def _send(hands: "Hands", userid: str, until: datetime) -> bool:
    with transaction(hands.engine) as db:
        work = hands.work(db, "send day lists")
        found = day_list.of(work, userid)
        if not found:
            return False
        day_list.seen(work, found)
        title, words = day_words.morning(work, found)
        day = work.now.astimezone(work.zone).date()
        message = textcard_to(userid, title, words, PLACE, "打开")
        return work.ask(message, once=f"day:{userid}:{day}", key=tasks.rep_key(userid), before=until)


def _all_have_theirs(work: Work) -> None:
    day = work.now.astimezone(work.zone).date().isoformat()
    told = work.db.get(Progress, SENT)
    if told is None:
        told = Progress(name=SENT, state="done", at={}, started_at=work.now, changed_at=work.now)
        work.db.add(told)
    told.at, told.changed_at = {"day": day}, work.now
