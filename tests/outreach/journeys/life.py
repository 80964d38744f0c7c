"""Some people, some journeys and a WeCom of paper, for property tests: the product's own code on a real database.

What leaves the house is written down here (``sent``, ``asked``), apart from the product's books, and the promises are
checked against that.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from outreach import mass
from outreach.budget import Rules, day_of
from outreach.hours import Quiet
from outreach.journeys import definition as shape
from outreach.journeys import desk, entries, goals, story, walk, waves
from people import consent, conversations, persons
from storage.database import open_engine, transaction
from storage.tables import (
    Conversation,
    Enrolment,
    Interaction,
    Journey,
    KfAccount,
    MassTask,
    Member,
    Person,
    Relation,
    StepRun,
    Touch,
)
from storage.work import Work
from wecom.mass import NO_FRIEND, QUOTA_USED, SENT, MassResult

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
"""A Monday, nine in the morning."""
NIGHT = Quiet(time(22), time(8))
REPS = ("lisi", "wangwu")
BY = "boss"


class Crash(Exception):
    """The process dies in the middle of a transaction."""


@dataclass
class AtWeCom:
    """One task as WeCom has it."""

    task_id: int
    receivers: dict[str, int]
    """Of each receiver what became of it: 0 waits, 1 sent, 2 no friend, 3 had others."""
    cancelled: bool = False
    sent_at: datetime | None = None


@dataclass
class Life:
    """The shop."""

    url: str
    rules: Rules = field(default_factory=lambda: Rules("day_1", timedelta(0), NIGHT))
    now: datetime = START
    people: list[int] = field(default_factory=list)
    tasks: dict[str, AtWeCom] = field(default_factory=dict)
    sent: list[tuple[str, str, datetime]] = field(default_factory=list)
    """Who received which touch when: (external, source, moment)."""
    lines: int = 0

    def __post_init__(self) -> None:
        self.engine = open_engine(self.url)
        with self.work() as work:
            work.db.add(KfAccount(open_kfid="wk1", name="客服"))
            for userid in REPS:
                work.db.add(Member(userid=userid, name=userid, serves=True))

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    @contextmanager
    def work(self) -> Iterator[Work]:
        """Work in a transaction."""
        with transaction(self.engine) as db:
            yield Work(db, self.now, cause="test", zone=ZONE, home="https://shop.test")

    @contextmanager
    def db(self) -> Iterator[Session]:
        """A transaction to look with."""
        with transaction(self.engine) as db:
            yield db

    def rows(self, table: Any, *where: Any) -> list[Any]:
        """Every row of a table, oldest first."""
        with self.db() as db:
            return list(db.scalars(select(table).where(*where).order_by(table.id)))

    def rows_of(self, table: Any) -> list[Any]:
        """Every row of a table that has a key of its own."""
        with self.db() as db:
            return list(db.scalars(select(table).order_by(*table.__table__.primary_key)))

    # --- what people do ---

    def add_person(self, rep: str) -> int:
        """Somebody whom this rep has."""
        with self.work() as work:
            external = f"wm{len(self.people):04d}"
            person = persons.person_of(work, external, self.now)
            person.name, person.owner = f"客户{len(self.people)}", rep
            relation = persons.relation_of(work.db, person, rep, external)
            relation.state, relation.added_at = "active", self.now
            self.people.append(person.id)
            return person.id

    def happens(self, person_id: int, kind: str, late: timedelta = timedelta(0)) -> None:
        """A line of somebody's story; ``kf_in`` opens their chat."""
        self.lines += 1
        with self.work() as work:
            if kind == "kf_in":
                person = work.db.get_one(Person, person_id)
                external = persons.identity(work.db, person, persons.EXTERNAL) or ""
                chat = conversations.conversation_of(work, "wk1", external, person, self.now)
                conversations.customer_wrote(work, chat, self.now)
            persons.tell(work, person_id, kind, self.now - late, once=f"line:{self.lines}", details={"text": ""})

    def turn_consent(self, person_id: int, out: bool) -> None:
        """Somebody wants to hear nothing more, or wants to again."""
        with self.work() as work:
            person = work.db.get_one(Person, person_id)
            (consent.opt_out if out else consent.opt_in)(work, person, by="kf")

    def turn_relation(self, person_id: int, state: str) -> None:
        """The rep loses them, or has them again."""
        with self.work() as work:
            for one in work.db.scalars(select(Relation).where(Relation.person_id == person_id)):
                one.state = state

    # --- what the shop does ---

    def make(self, definition: Mapping[str, Any], *, cut: bool = False) -> int:
        """A new journey, live."""
        with self.work() as work:
            journey = desk.create(work, "旅程", definition, by=BY)
            desk.publish(work, journey, by=BY, cut=cut)
            return journey.id

    def publish_anew(self, journey_id: int, definition: Mapping[str, Any], *, cut: bool) -> None:
        """The next version of a journey."""
        with self.work() as work:
            journey = work.db.get_one(Journey, journey_id)
            if not journey.draft:
                desk.open_version(work, journey, by=BY)
            desk.change(work, journey, journey.name, definition, by=BY)
            desk.publish(work, journey, by=BY, cut=cut)

    def stop(self, journey_id: int, *, cut: bool) -> None:
        """Nobody sets out any more."""
        with self.work() as work:
            journey = work.db.get_one(Journey, journey_id)
            if journey.state == desk.LIVE:
                desk.stop(work, journey, by=BY, cut=cut)

    # --- what the jobs do ---

    def read_to(self) -> int:
        """The line to which the story was read."""
        with self.work() as work:
            return story.read_to(work).line

    def read(self, *, after: int | None = None, crash: bool = False) -> None:
        """Read the story on, or from a line on."""
        start = self.read_to() if after is None else after
        try:
            with self.work() as work:
                _, begun = story.begin_reading(work)
            with self.work() as work:
                upto, _, _ = entries.read_story(work, start)
                story.keep_read(work, upto, begun)
                if crash:
                    raise Crash
        except Crash:
            pass

    def keep_days(self) -> None:
        """Look whose day or stage it is, and what begins by the clock."""
        for look in (entries.read_stages, entries.keep_dates, entries.keep_schedules):
            more = True
            while more:
                with self.work() as work:
                    _, more = look(work)

    def tell_again(self) -> None:
        """Tell every line once more."""
        with self.work() as work:
            for one in work.db.scalars(select(Interaction)).all():
                persons.tell(work, one.person_id, one.kind, one.at, once=one.once, details={})

    def walk(self, *, most: int = 1000, crash_after: int | None = None) -> None:
        """Take whoever is due further; die in the middle of the transaction of the one of this number."""
        taken = 0
        while taken < most:
            with self.db() as db:
                found = walk.due(db, self.now)
            if not found:
                return
            for one in found:
                try:
                    with self.work() as work:
                        walk.take(work, one, self.rules)
                        taken += 1
                        if crash_after is not None and taken > crash_after:
                            raise Crash
                except Crash:
                    return

    def cut_waves(self) -> None:
        """Make tasks of the waves that are due."""
        with self.db() as db:
            sources = waves.due(db, self.now)
        for source in sources:
            more = True
            while more:
                with self.work() as work:
                    more = waves.cut(work, source, self.rules)

    def ask(self, line: str = "fine") -> None:
        """Ask WeCom for what is due. ``line``: fine, lost_before (WeCom never got it), lost_after (it did)."""
        if self.rules.quiet.holds(self.now, ZONE):
            return
        with self.db() as db:
            due = mass.due(db, self.now, self._today())
        for task_id in due:
            with self.work() as work:
                goals.let_go(work, task_id)
                asked = mass.ask(work, task_id, self.rules)
            if asked:
                self._accept(task_id, line)

    def _today(self) -> tuple[datetime, datetime]:
        local = self.now.astimezone(ZONE)
        first = datetime.combine(local.date(), time(), ZONE)
        return first, first + timedelta(days=1)

    def _accept(self, task_id: int, line: str) -> None:
        asked = self.rows(Touch, Touch.task_id == task_id, Touch.state == "asked")
        self.check_asked(asked)
        msgid = f"msg{len(self.tasks)}"
        if line != "lost_before":
            self.tasks[msgid] = AtWeCom(task_id, {one.external_userid: 0 for one in asked})
        with self.work() as work:
            if line == "fine":
                mass.made(work, task_id, msgid, (), self.now + timedelta(days=1))
            else:
                mass.unclear(work, task_id)

    def look(self) -> None:
        """Ask WeCom how everything stands."""
        for task in self.rows(MassTask, MassTask.state.in_(("unclear", "made", "leaving"))):
            known = [msgid for msgid, one in self.tasks.items() if one.task_id == task.id]
            with self.work() as work:
                if task.state == "unclear":
                    if known:
                        mass.made(work, task.id, known[-1], (), self.now + timedelta(days=1))
                    else:
                        mass.not_there(work, task.id)
                else:
                    at_wecom = self.tasks[str(task.msgid)]
                    results = [
                        MassResult(task.userid, external, "", status, at_wecom.sent_at if status == SENT else None)
                        for external, status in at_wecom.receivers.items()
                    ]
                    again = self.rules.quiet.next_open(self.now, ZONE)
                    mass.results(work, task.id, at_wecom.sent_at is not None, results, again)

    def take_back(self) -> None:
        """Obey those who left, keep quiet at night, let go of what no rep confirmed."""
        with self.db() as db:
            gone = [(one, mass.GONE) for one in mass.with_leavers(db)]
            late = [(one, mass.LATE) for one in mass.overdue(db, self.now)]
            night = [(one, mass.QUIET) for one in mass.unconfirmed(db)]
        for task_id, why in gone + late + (night if self.rules.quiet.holds(self.now, ZONE) else []):
            with self.work() as work:
                task = work.db.get_one(MassTask, task_id)
                if mass.take_back(work, task, why) and task.msgid is not None:
                    self.tasks[task.msgid].cancelled = True
                    mass.taken_back(work, task_id)

    def confirm(self, msgid: str) -> None:
        """A rep confirms a task; WeCom sends it to whoever is still her friend and had nothing else that day."""
        task = self.tasks[msgid]
        if task.cancelled or task.sent_at is not None:
            return
        task.sent_at = self.now
        source = self.rows(MassTask, MassTask.id == task.task_id)[0].source
        for external in task.receivers:
            relation = self.rows(Relation, Relation.external_userid == external)[0]
            had = [one for one in self.sent if one[0] == external and day_of(one[2]) == day_of(self.now)]
            had = [one for one in had if ":e" not in one[1]]
            task.receivers[external] = NO_FRIEND if relation.state != "active" else QUOTA_USED if had else SENT
            if task.receivers[external] == SENT:
                self.sent.append((external, source, self.now))

    def settle_kf(self, fate: str = "sent") -> None:
        """What was said in 微信客服 arrives, or does not."""
        with self.work() as work:
            for line in work.db.scalars(select(Interaction).where(Interaction.kind == "kf_out")):
                if line.details.get("fate") == "waiting":
                    line.details = {**line.details, "fate": fate}
            waves.settle_kf(work)

    # --- the promises ---

    def check_asked(self, touches: list[Touch]) -> None:
        """J5: nothing is asked for after the goal or the exit; nor from somebody who opted out."""
        with self.db() as db:
            for touch in touches:
                runs = select(Enrolment).join(StepRun, StepRun.enrolment_id == Enrolment.id)
                own = list(db.scalars(runs.where(StepRun.touch_id == touch.id)))
                assert any(self._goes_on(db, one) for one in own), f"J5: touch {touch.id} was asked for in vain"
                assert not db.get_one(Person, touch.person_id).opted_out

    def _goes_on(self, db: Session, enrolment: Enrolment) -> bool:
        if enrolment.state not in ("live", "done"):
            return False
        definition = desk.version_of(db, enrolment.journey_id, enrolment.version)
        stories = db.scalars(select(Interaction).where(Interaction.person_id == enrolment.person_id)).all()
        after = [one for one in stories if one.at >= enrolment.since and one.id != enrolment.line]
        goal = definition["goal"]
        reached = goal and any(one.kind in goal["kinds"] and one.at <= enrolment.goal_until for one in after)
        return not reached and not any(one.kind in definition["exits"]["kinds"] for one in after)

    def check(self) -> None:
        """Everything that has to hold at any moment."""
        with self.db() as db:
            enrolments = list(db.scalars(select(Enrolment)))
            runs = list(db.scalars(select(StepRun).order_by(StepRun.id)))
            touches = list(db.scalars(select(Touch)))
            versions = {(one.journey_id, one.version) for one in enrolments}
            definitions = {one: desk.version_of(db, *one) for one in versions}
        self._check_rounds(enrolments, runs, definitions)
        self._check_budget(touches)
        self._check_sent()
        self._check_kf()

    def _check_rounds(self, enrolments: list[Enrolment], runs: list[StepRun], definitions: Any) -> None:
        live = Counter((one.journey_id, one.person_id, one.entry_key) for one in enrolments if one.state == "live")
        assert all(count == 1 for count in live.values()), "J1"
        by_round: dict[int, list[StepRun]] = {}
        for run in runs:
            by_round.setdefault(run.enrolment_id, []).append(run)
        for one in enrolments:
            own = by_round[one.id]
            steps = shape.steps_of(definitions[one.journey_id, one.version])
            assert {run.step for run in own} <= set(steps), "J15: a step of another version"
            waiting = [run for run in own if run.state == "waiting"]
            assert len(waiting) == (one.state in ("live", "leaving")), "a round stands at one step, or at none"
            ended = [run.ended_at for run in own if run.ended_at is not None]
            assert ended == sorted(ended), "J7: steps are taken in order"
            assert all(run is own[-1] for run in waiting), "J7: nobody overtakes a step"
            self._check_waits(one, own, steps)

    def _check_waits(self, enrolment: Enrolment, own: list[StepRun], steps: Any) -> None:
        """J11: what was waited for came, or it did not; the story says which, and it is decided once."""
        for place, run in enumerate(own):
            step = steps[run.step]
            if step["do"] != "wait_for" or run.state != "done":
                continue
            deadline = run.since + timedelta(days=step["days"])
            lines = self.rows(Interaction, Interaction.person_id == enrolment.person_id)
            assert run.ended_at is not None
            came = any(one.kind in step["kinds"] and run.since <= one.at <= deadline for one in lines)
            assert run.outcome["came"] <= came, "J11: nothing came"
            assert run.outcome["came"] or run.ended_at >= deadline, "J11: given up too soon"
            target = step.get("then") if run.outcome["came"] else step.get("otherwise")
            if target and target != "end" and place + 1 < len(own):
                assert own[place + 1].step == target, "J11: it went the other way"

    def _check_budget(self, touches: list[Touch]) -> None:
        """J3: held and used never make more than WeCom allows a day, and what is over is given back."""
        taken = Counter((one.person_id, one.day) for one in touches if one.state in ("held", "asked", "sent"))
        assert all(count <= 1 for count in taken.values()), f"J3: {taken.most_common(1)}"
        planned = [one.at for one in touches if one.way == "mass" and one.state == "held"]
        assert not any(NIGHT.holds(at, ZONE) for at in planned), "J4: planned for the night"
        for task in self.rows(MassTask, MassTask.state.in_(("done", "cancelled", "refused"))):
            open_ones = [one for one in touches if one.task_id == task.id and one.state in ("held", "asked")]
            assert not open_ones, f"J3: task {task.id} is over and still holds somebody's budget"

    def _check_sent(self) -> None:
        """J2: nobody gets the same twice, and WeCom has a task only once that can still be confirmed."""
        assert all(count == 1 for count in Counter((who, what) for who, what, _ in self.sent).values()), "J2"
        alive = Counter(one.task_id for one in self.tasks.values() if not one.cancelled)
        assert all(count == 1 for count in alive.values()), "J2: WeCom has a task twice"

    def _check_kf(self) -> None:
        """J13: at most five since their last word, and within 48 hours of it; J4: never at night."""
        for chat in self.rows(Conversation):
            own = self.rows(Interaction, Interaction.person_id == chat.person_id)
            said = [one for one in own if one.kind == "kf_out" and one.details.get("journey")]
            for line in said:
                before = [one.at for one in own if one.kind == "kf_in" and one.at <= line.at]
                assert before, "J13: we spoke first"
                assert line.at < max(before) + timedelta(hours=48), "J13: the window was over"
                assert not NIGHT.holds(line.at, ZONE), "J4: at night"
                since = [one for one in said if max(before) <= one.at <= line.at]
                assert len(since) <= conversations.MOST_SENT, "J13: more than five"
