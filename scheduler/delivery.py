"""Makes the calls that wait in the outbox, and writes down what became of each.

Before: ``Work.ask`` put a row into the outbox. Here: claimed (commit), called (no transaction open), settled (commit
3), and what the outcome means for our own records in the same transaction (``AFTER``).
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from people import alarms, persons
from storage import outbox
from storage.database import Clock, transaction
from storage.outbox import Claimed, Outcome
from storage.tables import Media
from storage.work import Work
from tagging import channels, tags, welcomes
from wecom.commands import (
    COMMANDS,
    AddCorpTag,
    Command,
    DeleteContactWay,
    MarkTag,
    SendWelcome,
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
NAME_TAKES = timedelta(seconds=1)
DONE = Outcome("done")
Answer = dict[str, Any]
After = Callable[[Work, Claimed, Any, Answer | None, Outcome], None]


def after_welcome(work: Work, claimed: Claimed, command: SendWelcome, answer: Answer | None, outcome: Outcome) -> None:
    """The arrival's welcome shows its outcome; one that was sent becomes a line of the story."""
    welcomes.settled(work, claimed, outcome)
    if outcome.state == "done" and (answer is not None or outcome.words == welcomes.CONFIRMED):
        person = persons.person_of(work, command.external_userid)  # the welcome may be quicker than the arrival itself
        details = {"text": (answer or {}).get("text") or command.text(person.name or None)}
        userid, once = welcomes.rep_of(work, claimed), f"outbox:{claimed.id}"
        persons.tell(work, person.id, "welcomed", work.now, once=once, userid=userid, details=details)


def after_mark(work: Work, claimed: Claimed, command: MarkTag, answer: Answer | None, outcome: Outcome) -> None:
    """Each tag shows whether WeCom has it."""
    if outcome.state in outbox.FINAL_STATES:
        tags.tag_marked(work, command, None if outcome.state == "done" else outcome.words)


def after_corp_tag(work: Work, claimed: Claimed, command: AddCorpTag, answer: Answer | None, outcome: Outcome) -> None:
    """The tag has its id at WeCom; everybody who waited for it is marked."""
    if answer is not None:
        tags.tag_made(work, command, answer)
    elif outcome.state in ("refused", "held"):
        tags.tag_refused(work, command, outcome.words)


def after_way(work: Work, claimed: Claimed, command: UpdateContactWay, answer: Answer | None, outcome: Outcome) -> None:
    """A refused change is shown on the channel."""
    if outcome.state in ("refused", "held"):
        channels.update_refused(work, command, outcome.words)


def after_upload(work: Work, claimed: Claimed, command: UploadMedia, answer: Answer | None, outcome: Outcome) -> None:
    """The picture has its media_id."""
    if answer is not None:
        channels.picture_uploaded(work, command, answer)
    elif outcome.state == "refused":
        channels.picture_refused(work, command, outcome.words)


AFTER: Mapping[type[Command], After] = MappingProxyType(
    {
        SendWelcome: after_welcome,
        MarkTag: after_mark,
        AddCorpTag: after_corp_tag,
        UpdateContactWay: after_way,
        UploadMedia: after_upload,
    }
)


@dataclass(frozen=True)
class Sender:
    """Everything needed to make a call."""

    engine: Engine
    gateway: Gateway
    clock: Clock
    zone: ZoneInfo
    watch: Collection[str] = ()

    def claim(self, lane: str, room: int) -> list[Claimed]:
        """Take calls that are due in this lane."""
        with transaction(self.engine) as db:
            return outbox.claim(db, lane, room, self.clock())

    def deliver_one(self, claimed: Claimed) -> set[str]:
        """Make one claimed call and settle it; the lanes of the outbox in which something waits now."""
        command = self._in_time(claimed, revive(claimed.name, claimed.body))
        answer: Answer | None = None
        error: WeComError | None = None
        if claimed.before is not None and self.clock() >= claimed.before:
            outcome = Outcome("late", "its time was over before it could leave")
            if (claimed.outcome or "").startswith(outbox.UNCLEAR):
                outcome = Outcome("held", claimed.outcome or "")
        else:
            try:
                answer = self.gateway.deliver(command, self._content(command))
                outcome = DONE
            except WeComError as problem:
                error = problem
                outcome = outcome_of_error(claimed, command, problem, self.clock())
        return self._settle(claimed, command, answer, outcome, error)

    def _in_time(self, claimed: Claimed, command: Command) -> Command:
        """Close to the end of its time a welcome does not wait for the name any more."""
        if isinstance(command, SendWelcome) and claimed.before and self.clock() + NAME_TAKES >= claimed.before:
            return command.nameless()
        return command

    def _settle(
        self, claimed: Claimed, command: Command, answer: Answer | None, outcome: Outcome, error: WeComError | None
    ) -> set[str]:
        with transaction(self.engine) as db:
            work = Work(db, self.clock(), cause=f"call {claimed.id} {claimed.name}", watch=self.watch, zone=self.zone)
            if not outbox.settle(db, claimed, outcome, work.now):
                log.warning("call %d was taken over by another worker", claimed.id)
                return set()
            self._tell_trouble(work, claimed.api, error)
            if after := AFTER.get(type(command)):
                after(work, claimed, command, answer, outcome)
        return work.lanes

    def _tell_trouble(self, work: Work, api: str, error: WeComError | None) -> None:
        """WeCom refuses us as a whole: an alarm, cleared by the next call that works."""
        if isinstance(error, Misconfigured):
            alarms.raise_alarm(
                work, alarms.trouble_kind(error.errcode, api), f"企业微信拒绝了我们的调用：{error}。修好后会自动继续"
            )
        elif error is None:
            alarms.clear_trouble(work, api)

    def _content(self, command: Command) -> tuple[str, bytes, str] | None:
        if not isinstance(command, UploadMedia):
            return None
        with transaction(self.engine) as db:
            media = db.get_one(Media, command.media)
            return media.file_name, media.content, media.content_type

    def rescue(self) -> set[str]:
        """Free the calls whose sender died; the lanes in which something waits now."""
        with transaction(self.engine) as db:
            work = Work(db, self.clock(), watch=self.watch, zone=self.zone)
            for held in outbox.rescue(db, work.now):
                kind = COMMANDS.get(held.name)
                if kind is not None and (after := AFTER.get(kind)):
                    after(work, held, revive(held.name, held.body), None, Outcome("held", outbox.STOPPED))
        return work.lanes


def outcome_of_error(claimed: Claimed, command: Command, error: WeComError, now: datetime) -> Outcome:
    """What a failed call means for its row: again later, refused for good, or held because nobody knows."""
    if isinstance(command, SendWelcome):
        return welcomes.outcome_of_error(claimed, error, now)
    errcode = error.errcode if isinstance(error, Answered) else None
    if isinstance(command, DeleteContactWay) and errcode == ALREADY_GONE:
        return Outcome("done", "it was gone already", errcode)
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
