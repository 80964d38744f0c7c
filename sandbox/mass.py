"""Mass messages 企业群发: the corp asks, members confirm, customers receive within their quota (wecom.md §4.9, B13).

Making a task sends nothing. Each member it names gets a to-do; when he sends it (by himself, see `Habits`, or because
somebody plays him) every receiver's fate is decided: sent, no friend any more, or quota used up. Nobody is told by a
callback. What members send by themselves uses up the same quota. The API's side is in `endpoints.mass`.
"""

from collections.abc import Iterator, Mapping, Sequence

from sandbox.errors import Refusal
from sandbox.facts import (
    FROM_CORP,
    FROM_MEMBER,
    MASS_NO_FRIEND,
    MASS_QUOTA,
    MASS_SENT,
    ChatLine,
    ChatType,
    Json,
    MassErrand,
    MassParcel,
    MassReceived,
    MassTask,
    Member,
    Relation,
)
from sandbox.kf_actors import KfActors
from sandbox.knobs import DAY

TALK = ("customer", "rep", "welcome")
"""The lines of a chat that count as an interaction."""


class MassSending(KfActors):
    """The corp, and the mass messages that go through it."""

    # --- the corp asks ----------------------------------------------------------------------------------------

    def make_mass(
        self,
        receivers: Mapping[str, Sequence[str]],
        text: str,
        attachments: Sequence[Json] = (),
        *,
        chat_type: ChatType = "single",
        allow_select: bool = False,
    ) -> MassTask:
        """Ask members (userid to receivers) to send something. Who can receive it has been looked at before."""
        with self.acting():
            task = self._new_task(chat_type, text, attachments, allow_select=allow_select)
            for userid, some in receivers.items():
                self._decide(self._new_errand(task, userid, some), self.limits.mass_dispatch_seconds)
            return task

    def remind_mass(self, msgid: str) -> None:
        """Ask those again who have not sent it; three times in 24 hours, then 41094."""
        with self.acting():
            task, now = self.mass_tasks[msgid], self.clock.now()
            self.check_open(task)
            task.reminded_at = [at for at in task.reminded_at if now - at < DAY]
            if len(task.reminded_at) >= self.limits.mass_reminders_per_day:
                raise Refusal(41094)
            task.reminded_at.append(now)
            for errand in task.errands.values():
                if not errand.is_sent:
                    errand.reminders += 1
                    self._decide(errand)

    def cancel_mass(self, msgid: str) -> None:
        """Who has not sent it cannot any more; what is sent stays sent."""
        with self.acting():
            task = self.mass_tasks[msgid]
            self.check_open(task)
            task.cancelled = True

    def check_open(self, task: MassTask) -> None:
        """Refuse a task that is still being handed out (41063), or was cancelled (41093)."""
        if not self.is_dispatched(task):
            raise Refusal(41063)
        if task.cancelled:
            raise Refusal(41093)

    def is_dispatched(self, task: MassTask) -> bool:
        """Whether a task has reached its members."""
        handed_out = task.created_at + self.limits.mass_dispatch_seconds
        return task.create_type == FROM_MEMBER or self.clock.now() >= handed_out

    # --- members send -----------------------------------------------------------------------------------------

    def mass_todos(self, userid: str) -> list[MassErrand]:
        """What a member is asked to send and has not sent yet, oldest first."""
        return [one for one in self.mass_errands.get(self.member(userid).userid, ()) if self._is_todo(one)]

    def confirm_mass(self, userid: str, msgid: str, receivers: Sequence[str] | None = None) -> MassErrand:
        """A member sends what he was asked to; to others among his own where the task lets him choose.

        ValueError when he cannot: sent or cancelled already, not handed out yet, no longer there, or no choice given.
        """
        with self.acting():
            rep, task = self.member(userid), self.mass_tasks[msgid]
            errand = task.errands[rep.userid]
            if not self._is_todo(errand) or not rep.can_have_customers():
                raise ValueError(f"{userid} cannot send {msgid}")
            if receivers is not None and not task.allow_select:
                raise ValueError("the corp does not let members choose here")
            self._send_errand(task, errand, None if receivers is None else set(receivers))
            return errand

    def member_mass(
        self,
        userid: str,
        text: str,
        external_userids: Sequence[str] | None = None,
        *,
        chat_ids: Sequence[str] = (),
        attachments: Sequence[Json] = (),
    ) -> MassErrand:
        """A member sends a mass message of his own: to these customers (None: all), or to groups he owns."""
        with self.acting():
            rep = self.member(userid)
            own = [row.external_userid for row in self.relations.of_member(rep.userid) if row.status == "active"]
            chosen = list(dict.fromkeys(chat_ids or (own if external_userids is None else external_userids)))
            kind: ChatType = "group" if chat_ids else "single"
            task = self._new_task(kind, text, attachments, creator=rep.userid)
            errand = self._new_errand(task, rep.userid, chosen)
            self._send_errand(task, errand)
            return errand

    def _is_todo(self, errand: MassErrand) -> bool:
        task = self.mass_tasks[errand.msgid]
        return not errand.is_sent and not task.cancelled and self.is_dispatched(task)

    def _decide(self, errand: MassErrand, after: float = 0.0) -> None:
        """By habit a member will send it some time, or not."""
        habits = self.habits
        if habits.mass_confirm > 0 and self.mass_chance.random() < habits.mass_confirm:
            wait = self.mass_chance.uniform(habits.mass_soonest_seconds, habits.mass_latest_seconds)
            self.agenda.after(after + wait, lambda: self._send_by_habit(errand))

    def _send_by_habit(self, errand: MassErrand) -> None:
        with self.acting():
            if self._is_todo(errand) and self.member(errand.userid).can_have_customers():
                self._send_errand(self.mass_tasks[errand.msgid], errand)

    def _send_errand(self, task: MassTask, errand: MassErrand, chosen: set[str] | None = None) -> None:
        errand.send_time = self.second()
        if chosen is not None:
            known = {one.receiver for one in errand.parcels}
            errand.parcels += [MassParcel(one) for one in sorted(chosen - known)]
        for parcel in errand.parcels:
            if chosen is None or parcel.receiver in chosen:
                self._send_parcel(task, errand, parcel)

    def _send_parcel(self, task: MassTask, errand: MassErrand, parcel: MassParcel) -> None:
        """The quota is used up here, when the member sends, and not before."""
        now = self.clock.now()
        if not self._reaches(task, errand.userid, parcel.receiver):
            parcel.status = MASS_NO_FRIEND
        elif not self.mass_quota.take(parcel.receiver, now):
            parcel.status = MASS_QUOTA
        else:
            parcel.status, parcel.send_time = MASS_SENT, errand.send_time
            pair = (errand.userid, parcel.receiver)
            lines = self.room_lines[parcel.receiver] if task.chat_type == "group" else self.chats[pair]
            lines.append(ChatLine("mass", task.text, now, task.attachments))

    def _reaches(self, task: MassTask, userid: str, receiver: str) -> bool:
        """Whether a customer is still a friend, or a group still there and the member's."""
        if task.chat_type == "group":
            return receiver in self.groups and self.group(receiver).owner == userid
        row = self.relations.find(userid, receiver)
        return row is not None and row.status == "active"

    # --- who could send to whom -------------------------------------------------------------------------------

    def latest_rep(self, external_userid: str) -> Relation | None:
        """Of those who can send to a customer the one with the latest interaction; friends come first."""
        rows = (row for row in self.relations.of_customer(external_userid) if self._can_send(row))
        return max(rows, key=lambda row: (row.status == "active", self.last_interaction(row)), default=None)

    def last_interaction(self, row: Relation) -> float:
        """When the two last wrote to each other; else when they became friends. Mass messages do not count."""
        lines = reversed(self.chats.get((row.userid, row.external_userid), ()))
        return max(row.createtime, next((one.at for one in lines if one.who in TALK), 0.0))

    def _can_send(self, row: Relation) -> bool:
        rep = self.find_member(row.userid)
        return rep is not None and rep.can_have_customers()

    # --- what reached whom ------------------------------------------------------------------------------------

    def mass_received(self) -> Iterator[MassReceived]:
        """Every mass message that reached somebody, task by task."""
        for task in self.mass_tasks.values():
            for errand in task.errands.values():
                for one in errand.parcels:
                    if one.status == MASS_SENT:
                        yield MassReceived(task.msgid, errand.userid, one.receiver, one.send_time)

    def room_chat(self, chat_id: str) -> list[ChatLine]:
        """What mass messages a group has received."""
        return list(self.room_lines.get(chat_id, ()))

    # --- bookkeeping ------------------------------------------------------------------------------------------

    def rename_member(self, userid: str, new_userid: str) -> Member:
        """His to-dos and what he has sent go along."""
        with self.acting():
            old = self.member(userid).userid
            renamed = super().rename_member(userid, new_userid)
            errands = self.mass_errands.pop(old, [])
            for errand in errands:
                task = self.mass_tasks[errand.msgid]
                errand.userid = new_userid
                task.errands[new_userid] = task.errands.pop(old)
                task.creator = new_userid if task.creator == old else task.creator
            self.mass_errands[new_userid] = errands
            return renamed

    def _new_task(
        self,
        chat_type: ChatType,
        text: str,
        attachments: Sequence[Json],
        *,
        creator: str = "",
        allow_select: bool = False,
    ) -> MassTask:
        msgid, kind = self.new_id("msg", 35), FROM_MEMBER if creator else FROM_CORP
        task = MassTask(
            msgid, chat_type, text, tuple(attachments), self.clock.now(), kind, creator, allow_select=allow_select
        )
        self.mass_tasks[msgid] = task
        return task

    def _new_errand(self, task: MassTask, userid: str, receivers: Sequence[str]) -> MassErrand:
        errand = MassErrand(task.msgid, userid, [MassParcel(one) for one in receivers])
        task.errands[userid] = errand
        self.mass_errands[userid].append(errand)
        return errand
