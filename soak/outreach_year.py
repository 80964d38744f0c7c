"""A year of messages in a shop: broadcasts, journeys, reps who confirm when they like, kills, and three days of outage.

What customers received is read from the sandbox, not from our books. The report prints every count; exit 0 only if
nothing of ours was refused for quota but where a rep's own send came between, nothing came in quiet hours or after
somebody opted out or left but what raced its own cancelling, and nothing came twice.

Example: python -m soak.outreach_year --people 200 --days 30 --mode week_7
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select

from bot.settings import ContactSettings
from insight import segments
from outreach import broadcasts
from outreach.budget import Mode
from outreach.hours import Quiet
from outreach.journeys import desk
from outreach.journeys.ready_made import BY_KEY
from people import consent, sign_in
from sandbox.clock import ManualClock
from sandbox.knobs import Habits, Limits
from sandbox.world import World
from soak.tables import table
from storage import inbox, schema
from storage.tables import Identity, MassTask, Person, Relation, Touch
from tests.faults.crashes import Died, Reaper
from tests.shop import START, Shop, build_shop, close_shop

ZONE = ZoneInfo("Asia/Shanghai")
NIGHT = Quiet(time(22), time(8))
BOSS, SECOND = "zhangsan", "wangwu"
LOOKED_AT = ("08:01", "09:31", "10:01", "10:20", "15:01", "21:59", "22:00")
JOBS = (
    "read what happened",
    "keep days",
    "walk journeys",
    "plan broadcasts",
    "make mass tasks",
    "read own sends",
    "read mass tasks",
    "end cards",
)
GAPS = {"day_1": 72, "week_7": 0, "month_days": 0}
"""Hours between two messages of ours; where there are none, WeCom's own limits are all that holds."""
GRACE = timedelta(minutes=1)
"""Sent so soon after quiet hours began, or after somebody opted out: the cancelling was on its way."""


@dataclass
class Year:
    """The shop, and what is done to it."""

    url: str
    people: int
    days: int
    mode: Mode
    seed: int
    opted_out: dict[str, datetime] = field(default_factory=dict)
    left: dict[str, datetime] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    """Messages that reps sent of their own accord."""
    counts: Counter[str] = field(default_factory=Counter)
    raced: list[str] = field(default_factory=list)
    """Who received something while its cancelling was on its way: when, and why it was to be cancelled."""
    wrong: list[str] = field(default_factory=list)
    """Who received something they should not have: when, and why not."""
    dead: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From each kill until the cancelling that it delayed was made good."""
    away: tuple[datetime, datetime] | None = None
    """When nobody of ours was there, who could have cancelled anything."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311  a seeded life, nothing secret
        world = World.small_shop(ManualClock(START), seed=self.seed)
        world.limits = Limits(mass_quota=self.mode)
        world.habits = Habits(mass_confirm=0.7, mass_soonest_seconds=60.0, mass_latest_seconds=30.0 * 3600)
        world.populate(self.people)
        self.shop: Shop = build_shop(self.url, world)
        self.shop.open_for_business()
        contact = ContactSettings(quota=self.mode, min_gap_hours=GAPS[self.mode])
        settings = self.shop.parts.settings.model_copy(update={"contact": contact})
        self.shop.parts = replace(self.shop.parts, settings=settings)
        self.reaper = Reaper()

    # --- what is set up ---

    def set_up(self) -> None:
        """Three journeys go live; everybody has a birthday."""
        with self.shop.work() as work:
            sign_in.add_user(work.db, BOSS, "boss", work.now)
            sign_in.add_user(work.db, SECOND, "operator", work.now)
            for person in work.db.scalars(select(Person)):
                day = START_DAY + timedelta(days=self.chance.randrange(366))
                person.birthday = day.month * 100 + day.day
            for key in ("welcome", "win_back", "birthday", "gone_quiet"):
                made = BY_KEY[key]
                steps = [
                    {**one, "ways": ["mass"], "text": "来店里坐坐吧。{rep}"} if one["do"] == "send" else one
                    for one in made.definition["steps"]
                ]
                journey = desk.create(work, made.name, {**made.definition, "steps": steps}, by=BOSS)
                desk.publish(work, journey, by=BOSS)
            self.segment = segments.create(work, "所有人", {"all": []}, by=BOSS).id

    # --- what happens ---

    def live(self) -> None:
        """Day after day."""
        outage = self.chance.randrange(5, max(6, self.days - 4))
        for day in range(self.days):
            if day == outage:
                self.away = (self.shop.now(), self.shop.now() + timedelta(days=3, hours=12))
            self._begin_day(day)
            for moment in self._moments(day):
                self._until(moment)
                self._people_act()
                if not outage <= day < outage + 3:
                    self._jobs(kill=self.chance.random() < 0.05)

    def _moments(self, day: int) -> Iterator[datetime]:
        local = START_DAY + timedelta(days=day + 1)
        for text in LOOKED_AT:
            yield datetime.combine(local, time.fromisoformat(text), ZONE)

    def _until(self, moment: datetime) -> None:
        ahead = (moment - self.shop.now()).total_seconds()
        if ahead > 0:
            self.shop.advance(seconds=ahead)

    def _begin_day(self, day: int) -> None:
        if day % 7 == 2:
            self._broadcast(day)

    def _broadcast(self, day: int) -> None:
        with self.shop.work() as work:
            draft = broadcasts.Draft(name=f"第 {day} 天", segment_id=self.segment, text="本周会员日。{rep}")
            one = broadcasts.create(work, draft, by=BOSS)
            size = broadcasts.preflight(work.db, one, self.shop.parts.rules, work.now, work.zone).will
            if size and broadcasts.submit(work, one, size, by=BOSS) == broadcasts.ASKED:
                broadcasts.approve(work, one, size, by=SECOND)
            self.counts["broadcasts"] += 1

    def _people_act(self) -> None:
        chance, world = self.chance, self.shop.world
        if chance.random() < 0.3:
            world.add_by_phone(chance.choice(("lisi", "wangwu")), f"新客{self.counts['arrivals']}")
            self.counts["arrivals"] += 1
        if chance.random() < 0.05:
            self._somebody_leaves()
        if chance.random() < 0.1:
            self._somebody_opts_out()
        if chance.random() < 0.04:
            self._a_rep_sends_herself()
        self.shop.catch_up()

    def _friends(self) -> list[tuple[str, str]]:
        rows = self.shop.rows(Relation, Relation.state == "active")
        return [(one.userid, one.external_userid) for one in rows]

    def _somebody_leaves(self) -> None:
        userid, external = self.chance.choice(self._friends())
        self.shop.world.customer_deletes(userid, external)
        self.left.setdefault(external, self.shop.now())

    def _somebody_opts_out(self) -> None:
        _, external = self.chance.choice(self._friends())
        with self.shop.work() as work:
            own = select(Person).join(Identity, Identity.person_id == Person.id)
            person = work.db.scalars(own.where(Identity.value == external)).one()
            if consent.opt_out(work, person, by="kf"):
                self.opted_out[external] = self.shop.now()
        if not self._is_away(self.shop.now()):
            self._jobs(kill=False)

    def _is_away(self, at: datetime) -> bool:
        return self.away is not None and self.away[0] <= at < self.away[1]

    def _a_rep_sends_herself(self) -> None:
        if NIGHT.holds(self.shop.now(), ZONE):
            return
        userid, external = self.chance.choice(self._friends())
        before = set(self.shop.world.mass_tasks)
        self.shop.world.member_mass(userid, "自己发的", [external])
        self.own |= set(self.shop.world.mass_tasks) - before

    def _jobs(self, *, kill: bool) -> None:
        """All that is due; once in a while the process dies at a commit before."""
        if kill:
            self.reaper.commits, self.reaper.at = 0, self.chance.randrange(1, 40)
            self.reaper.before = self.chance.random() < 0.5
            try:
                with self.reaper.watching(self.shop.parts.engine):
                    self.shop.run(*JOBS)
            except Died:
                self.counts["kills"] += 1
                died = self.shop.now()
                self.shop.advance(minutes=3)
                self.dead.append((died, self.shop.now() + GRACE))
            self.reaper.at = None
        self._rescue()
        self.shop.run(*JOBS)

    def _rescue(self) -> None:
        """What a worker does every second: take up again what one that died had in hand."""
        self.shop.parts.sender().rescue()
        with self.shop.db() as db:
            inbox.rescue(db, self.shop.now())

    # --- what came of it ---

    def settle(self) -> None:
        """Two more days in which nothing new is begun, so that what is open ends."""
        with self.shop.work() as work:
            for journey in desk.living(work.db):
                desk.stop(work, journey, by=BOSS, cut=True)
        self.shop.world.habits = Habits()
        for day in range(self.days, self.days + 3):
            for moment in self._moments(day):
                self._until(moment)
                self._jobs(kill=False)

    def report(self) -> Counter[str]:
        """Everything counted, on the sandbox's word."""
        found = Counter(self.counts)
        sources = {one.msgid: one.source for one in self.shop.rows(MassTask)}
        seen: Counter[tuple[str, str]] = Counter()
        for one in self.shop.world.mass_received():
            if one.msgid in self.own:
                found["reps' own sends"] += 1
                continue
            at = datetime.fromtimestamp(one.at, UTC)
            found["ours delivered"] += 1
            seen[one.receiver, sources[one.msgid]] += 1
            self._judge(found, one.receiver, at)
        found["duplicates"] = sum(count - 1 for count in seen.values())
        for touch in self.shop.rows(Touch, Touch.source.not_like("own:%")):
            found[f"touches {touch.state}"] += 1
        self._quota(found)
        return found

    def _judge(self, found: Counter[str], receiver: str, at: datetime) -> None:
        """Whether it came when it should not have, and whether anybody could have prevented that."""
        wrong = []
        if NIGHT.holds(at, ZONE):
            wrong.append(("in quiet hours", not NIGHT.holds(at - GRACE, ZONE)))
        for words, moments in (("after opt-out", self.opted_out), ("after leaving", self.left)):
            if receiver in moments and at > moments[receiver]:
                wrong.append((words, at <= moments[receiver] + GRACE))
        for words, raced in wrong:
            if self._is_away(at):
                found[f"{words}, while we were away"] += 1
            elif raced or any(start <= at < end for start, end in self.dead):
                late = "" if raced else ", which a kill had delayed"
                self.raced.append(f"{receiver} at {at.astimezone(ZONE):%m-%d %H:%M:%S}, {words}{late}")
                found[f"{words}, racing its cancelling"] += 1
            else:
                self.wrong.append(f"{receiver} at {at.astimezone(ZONE):%m-%d %H:%M:%S}, {words}")
                found[words] += 1

    def _quota(self, found: Counter[str]) -> None:
        """Refused for quota: apart where a rep's own send to them came between planning and confirming."""
        sent_by_reps = [one for one in self.shop.world.mass_received() if one.msgid in self.own]
        tasks = {one.id: one for one in self.shop.rows(MassTask)}
        for touch in self.shop.rows(Touch, Touch.state == "quota"):
            task = tasks[touch.task_id]
            between = any(
                one.receiver == touch.external_userid
                and task.asked_at - timedelta(days=31) <= datetime.fromtimestamp(one.at, UTC)
                for one in sent_by_reps
            )
            found["refused for quota after a rep's own send" if between else "refused for quota"] += 1


START_DAY = datetime.fromtimestamp(START, UTC).astimezone(ZONE).date()
WRONG = ("duplicates", "refused for quota", "in quiet hours", "after opt-out", "after leaving")


def main(arguments: list[str] | None = None) -> int:
    """Live the year and print what came of it."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--people", type=int, default=5000)
    asked.add_argument("--days", type=int, default=365)
    asked.add_argument("--mode", choices=("day_1", "week_7", "month_days"), default="day_1")
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked.add_argument("--url", default="")
    told = asked.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        url = told.url or f"sqlite:///{Path(folder) / 'year.db'}"
        schema.migrate(url)
        found, raced = run(url, told.people, told.days, told.mode, told.seed)
    title = f"a year of messages: seed {told.seed}, {told.people} people, {told.days} days, {told.mode}"
    sys.stdout.write(table(sorted(found.items()), title) + "\n")
    sys.stdout.writelines(f"  {line}\n" for line in raced)
    return int(any(found[one] for one in WRONG))


def run(url: str, people: int, days: int, mode: Mode, seed: int) -> tuple[Counter[str], list[str]]:
    """One year; what came of it, and by name what was wrong or raced its own cancelling."""
    year = Year(url, people, days, mode, seed)
    try:
        year.set_up()
        year.live()
        year.settle()
        return year.report(), [*(f"WRONG {one}" for one in year.wrong), *(f"raced {one}" for one in year.raced)]
    finally:
        close_shop(year.shop)


if __name__ == "__main__":
    sys.exit(main())
