"""The timetable: what happens by the clock, all of it. A job is a function of ``Hands`` that says what it did.

To add a job: a function here (or in a module of its own beside) and a row in ``TIMETABLE``.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from cryptography.fernet import Fernet
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from outreach import opens
from outreach import webhooks as told
from outreach.budget import Rules
from people import alarms, kf_accounts, persons, profiles, retention, tasks
from scheduler import (
    approval_jobs,
    bulk_work,
    first_fill,
    handovers,
    insight_jobs,
    joined_jobs,
    journey_jobs,
    kf_jobs,
    label_jobs,
    liability_jobs,
    loop,
    mass_jobs,
    notice_jobs,
    order_jobs,
    outgoing,
    points_jobs,
    reconcile,
    rep_days,
    rep_jobs,
    reward_jobs,
    rewards_told,
    tier_jobs,
    webhooks,
)
from scheduler.loop import Daily, Every, Job
from scheduler.own_sends import OwnSends
from storage import answers, inbox, outbox, shared, wiping
from storage.database import Clock, reading, transaction
from storage.tables import CalendarDay, InboxRow, Member, Person, User
from storage.work import Work
from tagging import bulk, channel_imports, channels, marks, rule_work
from tagging.channel_desk import Desk
from wecom.commands import TellMembers
from wecom.errors import Refused
from wecom.gateway import Gateway

BUSY_HOURS = (time(9, 30), time(21, 0))
QUIET_MINUTES = 60
BUSY_ENOUGH = 20
"""Silence only means something in a shop that had this many events in the same hour of one of the last seven days."""
PROFILES_A_RUN = 200
KEEP_HANDLED = timedelta(days=90)
"""So long the raw events and calls can be looked at; what they meant stays in the history."""
FORGET_A_TURN = 5000
BLANK_A_TURN = 200
CODES_AT_ONCE = 50
"""So many channel codes are led in one transaction, so that a scan never waits for thousands of them."""


@dataclass(frozen=True)
class Hands:
    """What a job may use."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    zone: ZoneInfo
    watch: Collection[str]
    ring: Callable[[], None]
    stopping: Callable[[], bool]
    rules: Rules = field(default_factory=Rules)
    """How often, and when, a customer may hear from us."""
    keep_text_days: int = 0
    """So long what people wrote is kept; 0: for ever."""
    home: str = ""
    """Where customers' own pages are."""
    cipher: Fernet | None = None
    """Opens what is sealed in the database: the secrets of webhooks."""
    private: bool = False
    """Whether calls may lead into private networks."""

    def work(self, db: Session, cause: str) -> Work:
        """Work inside an open transaction."""
        return Work(db, self.clock(), cause=cause, watch=self.watch, zone=self.zone, home=self.home)


def lead_codes(hands: Hands) -> str:
    """Lead every channel code to whoever should serve it now."""
    with reading(hands.engine) as db:
        ids = channels.to_lead(db)
    count = 0
    for portion in (ids[first : first + CODES_AT_ONCE] for first in range(0, len(ids), CODES_AT_ONCE)):
        with transaction(hands.engine) as db:
            count += channels.lead_some(hands.work(db, "lead channel codes"), portion)
    if count:
        hands.ring()
    return f"codes led anew: {count}"


def refresh_pictures(hands: Hands) -> str:
    """Bring pictures to WeCom again before their three days are over."""
    with transaction(hands.engine) as db:
        count = channels.refresh_all_pictures(hands.work(db, "refresh pictures"))
    hands.ring()
    return f"codes whose pictures were looked at: {count}"


def sync_nightly(hands: Hands) -> str:
    """Compare everything with WeCom and mend our copy: callbacks get lost, and our own calls cause none."""
    return _sync(hands, "nightly")


def sync_on_demand(hands: Hands) -> str:
    """Compare everything when somebody has asked for it, or go on where a process died."""
    run = reconcile.waiting(hands.engine, hands.clock())
    return "nothing was asked for" if run is None else _sync(hands, run.by, dry=run.dry)


def _sync(hands: Hands, by: str, *, dry: bool = False) -> str:
    everything = reconcile.Reconcile(
        hands.engine, hands.gateway, hands.clock, hands.zone, hands.stopping, hands.watch, hands.ring
    )
    try:
        return reconcile.outcome(everything.run(by=by, dry=dry, stops_as=reconcile.ASKED))
    except reconcile.CannotSync as error:
        return f"not now: {error}"


def fetch_rep_days(hands: Hands) -> str:
    """Fetch what WeCom itself counted of every rep's days up to yesterday."""
    days, reps = rep_days.RepDays(hands.engine, hands.gateway, hands.clock, hands.stopping).fetch()
    return f"days: {days}, reps: {reps}"


def make_imported_codes(hands: Hands) -> str:
    """Make the channel codes that imports and copies still want."""
    desk = Desk(hands.engine, hands.gateway, lambda db: hands.work(db, "make imported codes"))
    count = channel_imports.go_on(desk, hands.stopping)
    if count:
        hands.ring()
    return f"codes made: {count}"


def carry_out_rules(hands: Hands) -> str:
    """Apply rules to what was said before them, and take back what undone rules, and links, gave."""
    count = rule_work.go_on(hands.engine, lambda db: hands.work(db, "carry out rules"), hands.stopping)
    count += _take_back_tags_of_links(hands)
    if count:
        hands.ring()
    return f"people concerned: {count}"


def _take_back_tags_of_links(hands: Hands) -> int:
    with reading(hands.engine) as db:
        names = opens.to_take_back(db)
    count = 0
    for name in names:
        portion: int | None = 0
        while portion is not None and not hands.stopping():
            with transaction(hands.engine) as db:
                portion = opens.take_back(hands.work(db, "take back tags"), name)
            count += portion or 0
    return count


def do_bulk_work(hands: Hands) -> str:
    """Tag and untag the people of bulk jobs, portion by portion, and take back what is to be undone."""
    work = partial(hands.work, cause="bulk work")
    count = bulk_work.doer(hands.engine, work, hands.stopping).go_on()
    if count:
        hands.ring()
    return f"bulk rows settled: {count}"


def mark_waiting(hands: Hands) -> str:
    """Bring a tag that WeCom has made to the rest of those who waited for it."""
    portions = marks.go_on(hands.engine, partial(hands.work, cause="mark waiting"), hands.stopping)
    if portions:
        hands.ring()
    return f"portions marked: {portions}"


def read_unassigned(hands: Hands) -> str:
    """Read whose customers wait for somebody, because their rep has left."""
    return f"unassigned customers: {_transferrer(hands, 'read unassigned').read_unassigned()}"


def settle_handovers(hands: Hands) -> str:
    """Ask WeCom how the customers under way stand; an event about it may have been lost."""
    count = _transferrer(hands, "settle handovers").settle()
    if count:
        hands.ring()
    return f"handed over, refused or asked again: {count}"


def _transferrer(hands: Hands, cause: str) -> handovers.Transferrer:
    work = partial(hands.work, cause=cause)
    return handovers.Transferrer(hands.engine, hands.gateway, hands.clock, work)


def blank_old_texts(hands: Hands) -> str:
    """Let go of what people wrote longer ago than the shop wants to keep it."""
    if not hands.keep_text_days:
        return "kept for ever"
    before, count = hands.clock() - timedelta(days=hands.keep_text_days), 0
    while not hands.stopping():
        with transaction(hands.engine) as db:
            turn, over = retention.next_portion(db, before, BLANK_A_TURN, hands.clock())
        count += turn
        if over:
            break
    return f"texts let go of: {count}"


def go_on_filling(hands: Hands) -> str:
    """Take over what the corp had before we came, going on where the last run stopped."""
    fill = first_fill.FirstFill(
        hands.engine, hands.gateway, hands.clock, hands.zone, stopping=hands.stopping, watch=hands.watch
    )
    return "all taken over" if fill.run() else "stopped in the middle"


def read_profiles(hands: Hands) -> str:
    """Ask WeCom about people whom we could not look at when they came."""
    with reading(hands.engine) as db:
        unread = select(Person.id).where(Person.profile_at.is_(None)).order_by(Person.id.desc()).limit(PROFILES_A_RUN)
        ids = list(db.scalars(unread))
    return f"profiles read: {sum(_read_profile(hands, person_id) for person_id in ids)} of {len(ids)}"


def _read_profile(hands: Hands, person_id: int) -> bool:
    with reading(hands.engine) as db:
        external = persons.own_external(db, person_id)
    if external is None:
        return False
    try:
        profile = hands.gateway.profile(external)
    except Refused:
        profile = None  # asked and answered: one such person must not starve the others
    with transaction(hands.engine) as db:
        person = db.get_one(Person, person_id)
        person.profile_at = hands.clock()
        if profile is not None:
            profiles.remember(hands.work(db, "read missing profiles"), person, profile)
    return profile is not None


def watch_for_silence(hands: Hands) -> str:
    """No event for an hour at a busy time: the callback may be broken. Tell the admins."""
    now = hands.clock()
    if not BUSY_HOURS[0] <= now.astimezone(hands.zone).time() <= BUSY_HOURS[1]:
        return "not a busy hour"
    with transaction(hands.engine) as db:
        work = hands.work(db, "watch for silence")
        if not _used_to_be_busy(work) or _events_between(work, now - timedelta(minutes=QUIET_MINUTES), now):
            return "cleared" if alarms.clear(work, "silence") else "events keep coming"
        alarms.raise_alarm(
            work,
            "silence",
            f"已经 {QUIET_MINUTES} 分钟没有收到企业微信事件，而往常这个时间很忙。"
            "请检查：管理后台 → 应用 → 接收消息 的 URL 是否可达",
        )
    return "raised"


def _used_to_be_busy(work: Work) -> bool:
    days = (work.now - timedelta(days=back) for back in range(1, 8))
    return any(_events_between(work, day - timedelta(minutes=QUIET_MINUTES), day) >= BUSY_ENOUGH for day in days)


def _events_between(work: Work, start: datetime, end: datetime) -> int:
    theirs = InboxRow.name.not_in((kf_accounts.PULL_DUE, opens.EVENT))  # what we tell ourselves is no sign of life
    counted = select(func.count()).where(InboxRow.received_at.between(start, end), theirs)
    return work.db.scalars(counted).one()


def remind_reps(hands: Hands) -> str:
    """Bring reps' tasks to mind at their time, however late we are; outside their hours when those begin."""
    with transaction(hands.engine) as db:
        count = tasks.remind(hands.work(db, "remind reps"))
    if count:
        hands.ring()
    return f"tasks reps were reminded of: {count}"


def tell_admins(hands: Hands) -> str:
    """Send each new alarm once to the bosses who are members."""
    with transaction(hands.engine) as db:
        work = hands.work(db, "tell admins")
        bosses = select(User.userid).join(Member, Member.userid == User.userid)
        admins = list(db.scalars(bosses.where(User.role == "boss", User.disabled_at.is_(None))))
        told = 0
        for alarm in alarms.standing(db) if admins else ():
            told += work.ask(TellMembers(admins, f"【提醒】{alarm.text}"), once=f"alarm:{alarm.id}", key="alarms")
    if told:
        hands.ring()
    return f"alarms told: {told}"


def fill_calendar(hands: Hands) -> str:
    """Keep this year's and next year's public holidays; a year the package does not know yet is left to the shop."""
    today = hands.clock().astimezone(hands.zone).date()
    unknown = []
    with transaction(hands.engine) as db:
        for year in (today.year, today.year + 1):
            this_year = CalendarDay.day.between(date(year, 1, 1), date(year, 12, 31))
            if db.scalar(select(CalendarDay.day).where(this_year).limit(1)):
                continue
            days = public_days(year)
            db.add_all(CalendarDay(day=day, kind=kind) for day, kind in days.items())
            unknown += [] if days else [str(year)]
    return f"not published yet: {', '.join(unknown)}" if unknown else "calendar complete"


def public_days(year: int) -> dict[date, str]:
    """China's public holidays and make-up working days of a year; empty when they are not published yet."""
    import chinese_calendar  # loads slowly and is needed once a day

    every_day = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    kinds: dict[date, str] = {}
    try:
        for day in every_day:
            if day.year == year and chinese_calendar.is_holiday(day) != (day.isoweekday() > 5):
                kinds[day] = "holiday" if chinese_calendar.is_holiday(day) else "workday"
            elif day.year == year and chinese_calendar.get_holiday_detail(day)[1] and day.isoweekday() > 5:
                kinds[day] = "holiday"
    except NotImplementedError:
        return {}
    return kinds


def settle_life_cycles(hands: Hands) -> str:
    """Say of everybody where they are in the life cycle, and why where that has changed."""
    work = partial(hands.work, cause="settle life cycles")
    seen, moved = insight_jobs.settle_life_cycles(hands.engine, work, hands.stopping)
    return f"people looked at: {seen}, moved: {moved}"


def settle_newcomers(hands: Hands) -> str:
    """Say it of those of whom nothing was said yet."""
    work = partial(hands.work, cause="settle newcomers")
    seen, _ = insight_jobs.settle_life_cycles(hands.engine, work, hands.stopping, only_new=True)
    return f"newcomers: {seen}"


def know_regions(hands: Hands) -> str:
    """Find out where new phone numbers are from."""
    return f"numbers looked at: {insight_jobs.know_regions(hands.engine, hands.stopping)}"


def measure_segments(hands: Hands) -> str:
    """Count every segment anew."""
    work = partial(hands.work, cause="measure segments")
    return f"segments: {insight_jobs.measure_segments(hands.engine, work, hands.stopping)}"


def sweep_points(hands: Hands) -> str:
    """Bring the books of points to the clock: what has come alive, what has died, holds that nobody decided."""
    work = partial(hands.work, cause="sweep points")
    moved = points_jobs.sweep(hands.engine, work, hands.stopping)
    return f"accounts: {moved}, holds let go: {points_jobs.let_go(hands.engine, work, hands.stopping)}"


def seal_points(hands: Hands) -> str:
    """Close what was written into the books of points under a seal, and write its head down outside."""
    work = partial(hands.work, cause="seal points")
    return f"transactions sealed: {points_jobs.seal(hands.engine, work, hands.stopping)}"


def reconcile_points(hands: Hands) -> str:
    """Close the days that are over, seal what came late, and prove the books; whoever differs is told of."""
    work = partial(hands.work, cause="reconcile points")
    days = points_jobs.close_days(hands.engine, work, hands.stopping)
    points_jobs.seal(hands.engine, work, hands.stopping, everything=True)
    found = points_jobs.prove(hands.engine, work)
    right = "all of it holds" if found.holds else f"faults: {len(found.faults) + found.more}"
    return f"days closed: {days}, transactions: {found.transactions}, {right}"


def score_forecasts(hands: Hands) -> str:
    """Say of each month of a published forecast of redemptions, once it is over, what came."""
    work = partial(hands.work, cause="score forecasts")
    return f"months scored: {liability_jobs.score(hands.engine, work, hands.stopping)}"


def wipe_erased(hands: Hands) -> str:
    """Clean the database's files of somebody who was erased: what is deleted is not left lying there."""
    return "files cleaned" if wiping.carry_out(hands.engine, hands.clock()) else "nothing was erased"


def plan_broadcasts(hands: Hands) -> str:
    """Write those who get a broadcast into the contact budget, and cut it into tasks for reps."""
    return f"portions planned: {_mass(hands, 'plan broadcasts').plan()}"


def make_mass_tasks(hands: Hands) -> str:
    """Ask WeCom for the tasks that are due, and take back what must not go out any more."""
    desk = _mass(hands, "make mass tasks")
    back = desk.obey() + desk.keep_quiet() + desk.expire()
    asked = desk.make()
    if back or asked:
        hands.ring()
    return f"tasks asked for: {asked}, taken back: {back}"


def read_mass_tasks(hands: Hands) -> str:
    """Read who has confirmed and who received what: WeCom tells nobody by itself."""
    return f"tasks read: {_mass(hands, 'read mass tasks').look()}"


def watch_for_deletions(hands: Hands) -> str:
    """Withdraw what is left of a broadcast after which too many customers delete their reps."""
    looked, left = _mass(hands, "watch for deletions").guard()
    if left:
        hands.ring()
    return f"broadcasts looked at: {looked}, withdrawn: {left}"


def read_own_sends(hands: Hands) -> str:
    """Read what reps send to many by themselves: it uses up the same budget."""
    messages, touched = OwnSends(hands.engine, hands.gateway, hands.clock, hands.stopping).read()
    return f"messages of reps: {messages}, customers: {touched}"


def _mass(hands: Hands, cause: str) -> mass_jobs.MassDesk:
    work = partial(hands.work, cause=cause)
    return mass_jobs.MassDesk(hands.engine, hands.gateway, hands.clock, hands.zone, hands.rules, work, hands.stopping)


def tidy(hands: Hands) -> str:
    """Remove what has served its time: handled events and calls, old job runs, dead tokens, old answers of the API."""
    now = hands.clock()
    shared.forget_expired(hands.engine, now)
    with transaction(hands.engine) as db:
        answers.forget_old(db, now)
    events = _forget_in_turns(hands, inbox.forget_old)
    calls = _forget_in_turns(hands, outbox.forget_old)
    while not hands.stopping() and (_forget_a_bulk_job(hands) or _forget_told(hands)):
        pass
    runs = loop.forget_old_runs(hands.engine, now)
    return f"removed: {events} events, {calls} calls, {runs} job runs"


def _forget_a_bulk_job(hands: Hands) -> int:
    with transaction(hands.engine) as db:
        return bulk.forget_old(db, hands.clock() - KEEP_HANDLED, FORGET_A_TURN)


def _forget_told(hands: Hands) -> int:
    with transaction(hands.engine) as db:
        return told.forget_old(db, hands.clock(), FORGET_A_TURN)


def _forget_in_turns(hands: Hands, forget: Callable[[Session, datetime, int], int]) -> int:
    """Some thousand rows a transaction, so that nobody who writes waits long."""
    gone = 0
    while not hands.stopping():
        with transaction(hands.engine) as db:
            turn = forget(db, hands.clock() - KEEP_HANDLED, FORGET_A_TURN)
        gone += turn
        if turn < FORGET_A_TURN:
            break
    return gone


TIMETABLE: tuple[Job, ...] = (
    Job("make imported codes", Every(timedelta(seconds=10)), make_imported_codes),
    Job("carry out rules", Every(timedelta(seconds=5)), carry_out_rules),
    Job("remind reps", Every(timedelta(seconds=30)), remind_reps),
    Job("do bulk work", Every(timedelta(seconds=5)), do_bulk_work),
    Job("mark waiting", Every(timedelta(seconds=5)), mark_waiting),
    Job("lead channel codes", Every(timedelta(minutes=1)), lead_codes),
    Job("tag who was joined", Every(timedelta(minutes=1)), joined_jobs.tag_who_was_joined),
    Job("tell admins", Every(timedelta(minutes=1)), tell_admins),
    Job("pull kf accounts", Every(timedelta(minutes=1)), kf_jobs.pull_accounts),
    Job("tend conversations", Every(timedelta(minutes=1)), kf_jobs.tend_conversations),
    Job("first fill", Every(timedelta(minutes=2)), go_on_filling),
    Job("sync on demand", Every(timedelta(seconds=10)), sync_on_demand),
    Job("watch for silence", Every(timedelta(minutes=5)), watch_for_silence),
    Job("read missing profiles", Every(timedelta(minutes=10)), read_profiles),
    Job("wipe what was erased", Every(timedelta(minutes=1)), wipe_erased),
    Job("plan broadcasts", Every(timedelta(seconds=10)), plan_broadcasts),
    Job("make mass tasks", Every(timedelta(seconds=30)), make_mass_tasks),
    Job("read mass tasks", Every(timedelta(seconds=30)), read_mass_tasks),
    Job("read what happened", Every(timedelta(seconds=10)), journey_jobs.read_what_happened),
    Job("walk journeys", Every(timedelta(seconds=10)), journey_jobs.walk_journeys),
    Job("look at tiers", Every(timedelta(seconds=30)), tier_jobs.look_at_tiers),
    Job("let go of rewards", Every(timedelta(minutes=1)), reward_jobs.let_go_of_rewards),
    Job("tell of rewards", Every(timedelta(seconds=10)), rewards_told.tell_of_rewards),
    Job("tend approvals", Every(timedelta(seconds=10)), approval_jobs.tend_approvals),
    Job("call webhooks", Every(timedelta(seconds=10)), webhooks.call_webhooks),
    Job("send webhooks", Every(timedelta(seconds=5)), outgoing.send),
    Job("keep days", Every(timedelta(minutes=1)), journey_jobs.keep_days),
    Job("look into segments", Every(timedelta(minutes=15)), journey_jobs.look_into_segments),
    Job("end cards", Every(timedelta(seconds=30)), rep_jobs.end_cards),
    Job("make cards", Every(timedelta(minutes=10)), rep_jobs.make_cards),
    Job("send day lists", Every(timedelta(minutes=1)), rep_jobs.send_day_lists),
    Job("watch for deletions", Every(timedelta(minutes=5)), watch_for_deletions),
    Job("read own sends", Every(timedelta(minutes=10)), read_own_sends),
    Job("watch order sources", Every(timedelta(minutes=5)), order_jobs.watch_sources),
    Job("watch buyers", Every(timedelta(minutes=30)), order_jobs.watch_buyers),
    Job("give birthday points", Daily(time(9, 5)), order_jobs.give_birthday_points),
    Job("put labels", Daily(time(5, 10)), label_jobs.put_labels),
    Job("note notices", Every(timedelta(minutes=5)), notice_jobs.note_notices),
    Job("sweep points", Every(timedelta(minutes=5)), sweep_points),
    Job("seal points", Every(timedelta(minutes=5)), seal_points),
    Job("settle handovers", Every(timedelta(minutes=10)), settle_handovers),
    Job("know regions", Every(timedelta(minutes=10)), know_regions),
    Job("settle newcomers", Every(timedelta(minutes=10)), settle_newcomers),
    Job("list kf accounts", Every(timedelta(hours=1)), kf_jobs.list_accounts),
    Job("refresh pictures", Every(timedelta(hours=1)), refresh_pictures),
    Job("read unassigned", Every(timedelta(hours=1)), read_unassigned),
    Job("fill calendar", Daily(time(2, 10)), fill_calendar, patience=timedelta(days=2)),
    Job("nightly sync", Daily(time(3, 0)), sync_nightly),
    Job("rep days", Daily(time(7, 30)), fetch_rep_days, patience=timedelta(hours=16)),
    Job("reconcile points", Daily(time(2, 40)), reconcile_points, patience=timedelta(hours=20)),
    Job("score forecasts", Daily(time(3, 30)), score_forecasts, patience=timedelta(hours=20)),
    Job("blank old texts", Daily(time(3, 40)), blank_old_texts),
    Job("settle life cycles", Daily(time(4, 20)), settle_life_cycles, patience=timedelta(hours=16)),
    Job("measure segments", Daily(time(5, 30)), measure_segments, patience=timedelta(hours=16)),
    Job("tidy", Daily(time(4, 0)), tidy),
)
