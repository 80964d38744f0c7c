"""Makes the calls that wait in the outbox, and writes down what became of each.

Before: ``Work.ask`` put a row into the outbox. Here: claimed (commit; a welcome comes claimed by whoever planned it),
called (no transaction open), settled (commit 3), and what the outcome means for our own records in the same transaction
(``AFTER``).
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outreach import mass
from people import alarms, conversations, handover, kept_files, persons
from storage import outbox, pace
from storage.database import Clock, transaction
from storage.outbox import Claimed, Outcome
from storage.tables import Media
from storage.together import Together
from storage.work import Work
from tagging import channels, marks, mirror, welcomes
from wecom.answers import items, number, text
from wecom.commands import (
    COMMANDS,
    AddCorpTag,
    CancelMass,
    Command,
    DeleteContactWay,
    DeleteCorpTags,
    EditCorpTag,
    FetchFile,
    HandKf,
    KfCommand,
    MakeGroupMass,
    MakeMass,
    MarkTag,
    ReadKfState,
    RemindMass,
    ReplyKf,
    SendKf,
    SendKfOnEvent,
    SendWelcome,
    TellRep,
    TransferCustomers,
    TransferCustomersOfLeaver,
    TransKf,
    UpdateCard,
    UpdateContactWay,
    UploadMedia,
    revive,
)
from wecom.errors import Answered, Blocked, Misconfigured, Refused, TryLater, Unclear, WeComError
from wecom.gateway import Gateway

log = logging.getLogger(__name__)

MAX_TRIES = 12
GIVE_UP_AFTER = timedelta(days=2)
LONGEST_WAIT = timedelta(minutes=5)
ALREADY_GONE = 41044
NOT_OURS = 81011
"""A corp tag that our app did not make."""
CARD_CODE_USED = 60140
PACED = "one member takes only so many messages a minute"
NAME_TAKES = timedelta(seconds=1)
GATHER_SECONDS = 0.02
DONE = Outcome("done")
Answer = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A call that was made, or whose time was over, and what became of it."""

    claimed: Claimed
    command: Command
    outcome: Outcome
    at: datetime
    """When it ended."""
    answer: Answer | None = None
    error: WeComError | None = None

    def work(self, work: Work) -> Work:
        """The same work, with this call as the cause of what it asks for."""
        return replace(work, cause=f"call {self.claimed.id} {self.claimed.name}")


After = Callable[[Work, Sequence[Made]], None]


def after_welcomes(work: Work, calls: Sequence[Made]) -> None:
    """Each arrival's welcome shows its outcome; one that was sent becomes a line of the story."""
    tries = [welcomes.Try(one.claimed, one.outcome, one.at, _text_sent(work, one)) for one in calls]
    sent = welcomes.settled(work, tries)
    work.db.flush()
    persons.tell_welcomed(work, sent)


def _text_sent(work: Work, one: Made) -> str | None:
    """What the customer reads; of a call that was confirmed later we know only what it asked for."""
    if one.answer is not None:
        return str(one.answer["text"])
    if one.outcome.words == welcomes.CONFIRMED and isinstance(one.command, SendWelcome):
        return one.command.text(persons.name_of(work.db, one.command.external_userid))
    return None


def after_marks(work: Work, calls: Sequence[Made]) -> None:
    """Each tag shows whether WeCom has it."""
    for one in calls:
        if isinstance(one.command, MarkTag) and one.outcome.state in outbox.FINAL_STATES:
            marks.tag_marked(work, one.command, None if one.outcome.state == "done" else one.outcome.words)


def after_corp_tags(work: Work, calls: Sequence[Made]) -> None:
    """The tag has its id at WeCom; everybody who waited for it is marked."""
    for one in calls:
        if not isinstance(one.command, AddCorpTag):
            continue
        if one.answer is not None:
            marks.tag_made(one.work(work), one.command, one.answer)
        elif one.outcome.state in ("refused", "held"):
            marks.tag_refused(work, one.command, one.outcome.words)


def after_tag_changes(work: Work, calls: Sequence[Made]) -> None:
    """A tag that WeCom has deleted is gone here too; where it did not do as we asked, we read what it has."""
    for one in calls:
        if not isinstance(one.command, EditCorpTag | DeleteCorpTags):
            continue
        wecom_ids = one.command.tag_id if isinstance(one.command, DeleteCorpTags) else [one.command.wecom_id]
        if one.outcome.state in ("refused", "held"):
            mirror.change_refused(work, wecom_ids, forbidden=one.outcome.errcode == NOT_OURS)
        elif one.outcome.state == "done" and isinstance(one.command, DeleteCorpTags):
            mirror.deleted(work, wecom_ids)


def after_ways(work: Work, calls: Sequence[Made]) -> None:
    """A refused change is shown on the channel."""
    for one in calls:
        if isinstance(one.command, UpdateContactWay) and one.outcome.state in ("refused", "held"):
            channels.update_refused(work, one.command, one.outcome.words)


def after_uploads(work: Work, calls: Sequence[Made]) -> None:
    """The picture has its media_id."""
    for one in calls:
        if not isinstance(one.command, UploadMedia):
            continue
        if one.answer is not None:
            channels.picture_uploaded(work, one.command, one.answer)
        elif one.outcome.state == "refused":
            channels.picture_refused(work, one.command, one.outcome.words)


def after_transfers(work: Work, calls: Sequence[Made]) -> None:
    """Each customer of a handover shows what WeCom said; of an unclear call WeCom is asked later."""
    for one in calls:
        if not isinstance(one.command, TransferCustomers):
            continue
        plan, asked = one.command.handover, one.command.external_userids
        if one.answer is not None:
            said = [(text(item, "external_userid"), number(item, "errcode")) for item in items(one.answer, "customer")]
            handover.answered(work, plan, asked, {external: code for external, code in said if code is not None})
        elif one.outcome.state == "refused":
            handover.call_refused(work, plan, asked, one.outcome.words, one.outcome.errcode)
        elif one.outcome.state == "held":
            handover.call_unclear(work, plan, asked)


def after_mass(work: Work, calls: Sequence[Made]) -> None:
    """A task was made, refused, or nobody knows; then WeCom is asked before anything is repeated."""
    for one in calls:
        if not isinstance(one.command, MakeMass):
            continue
        if one.answer is not None:
            failed = [str(lost) for lost in one.answer.get("fail_list") or []]
            mass.made(work, one.command.task, str(one.answer.get("msgid")), failed, mass.confirm_by(work))
        elif one.outcome.state in ("refused", "dropped", "late"):
            mass.refused(work, one.command.task, one.outcome.words)
        elif one.outcome.state == "held":
            mass.unclear(work, one.command.task)


def after_cancels(work: Work, calls: Sequence[Made]) -> None:
    """What was out before a task was stopped is read at once."""
    for one in calls:
        if isinstance(one.command, CancelMass) and one.outcome.state in outbox.FINAL_STATES:
            mass.taken_back(work, one.command.task)


def after_reminders(work: Work, calls: Sequence[Made]) -> None:
    """A reminder that WeCom refused does not count among the three of a day."""
    for one in calls:
        if isinstance(one.command, RemindMass) and one.outcome.state in ("refused", "dropped", "late"):
            mass.not_reminded(work, one.command.task)


def after_kf(work: Work, calls: Sequence[Made]) -> None:
    """Each line of a chat shows its fate, the chat whose it is, and how many messages are left in it."""
    for one in sorted(calls, key=_conversation):
        if isinstance(one.command, KfCommand):
            conversations.settle(one.work(work), one.claimed, one.command, one.outcome, one.at, one.answer)


def _conversation(one: Made) -> int:
    """Chats are held in the order of their numbers."""
    return one.command.conversation if isinstance(one.command, KfCommand) else 0


def after_files(work: Work, calls: Sequence[Made]) -> None:
    """The file is kept, or the line says why it is not."""
    for one in calls:
        if not isinstance(one.command, FetchFile):
            continue
        if one.answer is not None:
            kept_files.fetched(work, one.command.kept_file, one.answer["content"])
        elif one.outcome.state in ("refused", "held"):
            kept_files.refused(work, one.command.kept_file, one.outcome.words)


AFTER: Mapping[type[Command], After] = MappingProxyType(
    {
        SendWelcome: after_welcomes,
        MarkTag: after_marks,
        MakeMass: after_mass,
        MakeGroupMass: after_mass,
        CancelMass: after_cancels,
        RemindMass: after_reminders,
        AddCorpTag: after_corp_tags,
        EditCorpTag: after_tag_changes,
        DeleteCorpTags: after_tag_changes,
        UpdateContactWay: after_ways,
        TransferCustomers: after_transfers,
        TransferCustomersOfLeaver: after_transfers,
        UploadMedia: after_uploads,
        SendKf: after_kf,
        ReplyKf: after_kf,
        SendKfOnEvent: after_kf,
        TransKf: after_kf,
        HandKf: after_kf,
        ReadKfState: after_kf,
        FetchFile: after_files,
    }
)


class Sender:
    """Makes calls, with any number of threads; those that end at about the same time are settled in one transaction."""

    def __init__(
        self,
        engine: Engine,
        gateway: Gateway,
        clock: Clock,
        zone: ZoneInfo,
        watch: Collection[str] = (),
        notice: str = "",
    ) -> None:
        self.engine, self.gateway, self.clock = engine, gateway, clock
        self._zone, self._watch, self._notice = zone, watch, notice
        self._desks: defaultdict[str, Together[tuple[Made, set[str]]]] = defaultdict(
            lambda: Together(self._settle, GATHER_SECONDS)
        )
        """One for each lane: what follows a call of one kind must not hold up the others."""

    def _work(self, db: Session) -> Work:
        return Work(db, self.clock(), watch=self._watch, zone=self._zone, notice=self._notice)

    def claim(self, lane: str, room: int) -> list[Claimed]:
        """Take calls that are due in this lane."""
        with transaction(self.engine) as db:
            return outbox.claim(db, lane, room, self.clock())

    def deliver_one(self, claimed: Claimed) -> set[str]:
        """Make one claimed call and settle it; the lanes of the outbox in which something waits now."""
        lanes: set[str] = set()
        made = self._make(claimed)
        self._desks[made.command.lane].add((made, lanes))
        return lanes

    def _make(self, claimed: Claimed) -> Made:
        command = self._in_time(claimed, revive(claimed.name, claimed.body))
        if claimed.before is not None and self.clock() >= claimed.before:
            outcome = Outcome("late", "its time was over before it could leave")
            if (claimed.outcome or "").startswith(outbox.UNCLEAR):
                outcome = Outcome("held", claimed.outcome or "")
            return Made(claimed, command, outcome, self.clock())
        if isinstance(command, TellRep) and (turn := self._turn_of(command)) > self.clock():
            return Made(claimed, command, Outcome("waiting", PACED, due_at=turn), self.clock())
        try:
            answer = self.gateway.deliver(command, self._content(command))
        except WeComError as error:
            now = self.clock()
            return Made(claimed, command, outcome_of_error(claimed, command, error, now), now, error=error)
        return Made(claimed, command, DONE, self.clock(), answer)

    def _turn_of(self, command: TellRep) -> datetime:
        """When this member may be written to; WeCom would drop what comes too thick, and not say so."""
        with transaction(self.engine) as db:
            return pace.take(db, command.userid, self.clock())

    def _in_time(self, claimed: Claimed, command: Command) -> Command:
        """Close to the end of its time a welcome does not wait for the name any more."""
        if isinstance(command, SendWelcome) and claimed.before and self.clock() + NAME_TAKES >= claimed.before:
            return command.nameless()
        return command

    def _settle(self, ended: Sequence[tuple[Made, set[str]]]) -> None:
        with transaction(self.engine) as db:
            work = self._work(db)
            mine = outbox.settle(db, [(one.claimed, one.outcome) for one, _ in ended], work.now)
            calls = [one for one, _ in ended if (one.claimed.id, one.claimed.fence) in mine]
            for number in {one.claimed.id for one, _ in ended} - {one.claimed.id for one in calls}:
                log.warning("call %d was taken over by another worker", number)
            self._tell_trouble(work, calls)
            _follow_up(work, calls)
        for _, lanes in ended[:1]:  # one bell for all of them
            lanes |= work.lanes

    def _tell_trouble(self, work: Work, calls: Sequence[Made]) -> None:
        """WeCom refuses us as a whole: an alarm, cleared by the next call that works."""
        for one in calls:
            if isinstance(one.error, Misconfigured):
                kind = alarms.trouble_kind(one.error.errcode, one.claimed.api)
                alarms.raise_alarm(work, kind, f"企业微信拒绝了我们的调用：{one.error}。修好后会自动继续")
        if worked := {one.claimed.api for one in calls if one.answer is not None}:
            alarms.clear_trouble(work, worked)

    def _content(self, command: Command) -> tuple[str, bytes, str] | None:
        if not isinstance(command, UploadMedia):
            return None
        with transaction(self.engine) as db:
            media = db.get_one(Media, command.media)
            return media.file_name, media.content, media.content_type

    def rescue(self) -> set[str]:
        """Free the calls whose sender died; the lanes in which something waits now."""
        with transaction(self.engine) as db:
            work = self._work(db)
            held = [one for one in outbox.rescue(db, work.now) if one.name in COMMANDS]
            stopped = Outcome("held", outbox.STOPPED)
            _follow_up(work, [Made(one, revive(one.name, one.body), stopped, work.now) for one in held])
        return work.lanes


def _follow_up(work: Work, calls: Sequence[Made]) -> None:
    """What the outcomes mean for our own records, one kind of call after the other."""
    kinds: defaultdict[type[Command], list[Made]] = defaultdict(list)
    for one in calls:
        kinds[type(one.command)].append(one)
    for kind, some in kinds.items():
        if after := AFTER.get(kind):
            after(work, some)


def outcome_of_error(claimed: Claimed, command: Command, error: WeComError, now: datetime) -> Outcome:
    """What a failed call means for its row: again later, refused for good, or held because nobody knows."""
    if isinstance(command, SendWelcome):
        return welcomes.outcome_of_error(claimed, error, now)
    if isinstance(command, KfCommand):
        return conversations.outcome_of_error(claimed, command, error, now)
    errcode = error.errcode if isinstance(error, Answered) else None
    if isinstance(command, DeleteContactWay) and errcode == ALREADY_GONE:
        return Outcome("done", "it was gone already", errcode)
    if isinstance(command, UpdateCard) and errcode == CARD_CODE_USED and claimed.tries > 1:
        return Outcome("done", "the card was changed already", errcode)
    if isinstance(error, Refused):
        return Outcome("refused", str(error), errcode)
    if isinstance(error, Unclear) and not claimed.harmless:
        return Outcome("held", str(error), errcode)
    if _has_waited_enough(claimed, now) and not isinstance(error, Misconfigured | Blocked):
        return Outcome("held", f"given up after {claimed.tries} tries: {error}", errcode)
    return Outcome("waiting", str(error), errcode, due_at=now + _wait(claimed, error))


def _has_waited_enough(claimed: Claimed, now: datetime) -> bool:
    """A harmless call is worth asking for again for two days; one that is not, a dozen times."""
    return now - claimed.asked_at > GIVE_UP_AFTER if claimed.harmless else claimed.tries >= MAX_TRIES


def _wait(claimed: Claimed, error: WeComError) -> timedelta:
    named = error.wait if isinstance(error, TryLater) else None
    return named or min(timedelta(seconds=2 ** min(claimed.tries - 1, 9)), LONGEST_WAIT)
