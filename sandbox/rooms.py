"""Customer groups: opened, joined, left, renamed, handed over, dissolved. The API sees them two seconds late."""

from collections.abc import Sequence
from dataclasses import replace

from sandbox.console import Console
from sandbox.facts import GroupChat, GroupMember, XmlValue


class Rooms(Console):
    """The actors and the console, and the groups customers are in."""

    # --- customer groups --------------------------------------------------------------------------------------

    def open_group(self, owner: str, name: str, external_userids: Sequence[str] = ()) -> GroupChat:
        """A rep opens a customer group."""
        with self.acting():
            chat_id, now = self.new_id("wr", 32), self.second()
            host = self.member(owner)
            first = (GroupMember(host.userid, 1, now, 1, host.name),)
            guests = tuple(self._guest(ext, 1, host.userid) for ext in external_userids)
            chat = GroupChat(chat_id, name, host.userid, now, "", first + guests, self.new_hex(), self.clock.now())
            self.groups[chat_id] = [chat]
            self._told_of_group("create", chat_id)
            return chat

    def join_group(self, chat_id: str, external_userids: Sequence[str], scene: int = 3, state: str = "") -> None:
        """Several who join together are one event. Scene 3 is the group's QR code (with its state), 0 an invitation."""
        with self.acting():
            old = self.group(chat_id)
            inside = {one.id for one in old.members}
            new = [ext for ext in dict.fromkeys(external_userids) if ext not in inside]
            invitor = "" if scene == 3 else old.owner
            guests = tuple(self._guest(ext, 3 if scene == 3 else 1, invitor, state) for ext in new)
            if guests:
                self._change_members(chat_id, "add_member", old.members + guests, new, JoinScene=scene)

    def leave_group(self, chat_id: str, ids: Sequence[str], scene: int = 0) -> None:
        """Scene 0 is leaving, 1 being removed."""
        with self.acting():
            members = self.group(chat_id).members
            gone = [one.id for one in members if one.id in ids]
            left = tuple(one for one in members if one.id not in ids)
            if gone:
                self._change_members(chat_id, "del_member", left, gone, QuitScene=scene)

    def rename_group(self, chat_id: str, name: str) -> None:
        """A group gets another name."""
        with self.acting():
            self._rewrite_group(chat_id, name=name)
            self._told_of_group("update", chat_id, UpdateDetail="change_name")

    def announce_in_group(self, chat_id: str, notice: str) -> None:
        """A group gets another notice."""
        with self.acting():
            self._rewrite_group(chat_id, notice=notice)
            self._told_of_group("update", chat_id, UpdateDetail="change_notice")

    def give_group(self, chat_id: str, owner: str, *, inherited: bool = False, but_not: int | None = None) -> None:
        """A group gets another owner, who joins it if he must; `inherited` when the old one had left the corp."""
        with self.acting():
            host, old = self.member(owner), self.group(chat_id)
            inside = any(one.id == host.userid for one in old.members)
            joins = () if inside else (GroupMember(host.userid, 1, self.second(), 1, host.name),)
            members = old.members + joins if joins else None
            self._rewrite_group(chat_id, owner=host.userid, members=members)
            if inherited:
                self.inherited_groups.add(chat_id)
            changed = {"ChatId": chat_id, "ChangeType": "update", "UpdateDetail": "change_owner"}
            self.tell({"Event": "change_external_chat", **changed}, but_not=but_not)

    def dismiss_group(self, chat_id: str) -> None:
        """A group is dissolved."""
        with self.acting():
            del self.groups[chat_id]
            self._told_of_group("dismiss", chat_id)

    def group(self, chat_id: str) -> GroupChat:
        """The group as it is now (the API lags behind)."""
        return self.groups[chat_id][-1]

    def _guest(self, external_userid: str, scene: int, invitor: str, state: str = "") -> GroupMember:
        customer = self.customers[external_userid]
        return GroupMember(external_userid, 2, self.second(), scene, customer.name, invitor, state)

    def _change_members(
        self, chat_id: str, detail: str, members: tuple[GroupMember, ...], changed: Sequence[str], **scene: int
    ) -> None:
        before = self.group(chat_id).version
        after = self._rewrite_group(chat_id, members=members).version
        who: dict[str, XmlValue] = (
            {} if self.happens(self.faults.no_member_list) else {"MemChangeList": {"Item": list(changed)}}
        )
        versions = {"LastMemVer": before, "CurMemVer": after}
        counted: dict[str, XmlValue] = {"UpdateDetail": detail, **scene, "MemChangeCnt": len(changed)}
        self._told_of_group("update", chat_id, **counted, **who, **versions)

    def _rewrite_group(
        self, chat_id: str, *, members: tuple[GroupMember, ...] | None = None, **texts: str
    ) -> GroupChat:
        """A new state of the group behind those that can still be read; with other members, another version."""
        old, now = self.group(chat_id), self.clock.now()
        new = replace(old, written_at=now, **texts)  # type: ignore[arg-type]
        if members is not None:
            new = replace(new, members=members, version=self.new_hex())
        states = self.groups[chat_id]
        readable = [one for one in states if one.written_at <= now - self.limits.group_lag_seconds]
        kept = [one for one in states if one.written_at > now - self.limits.group_lag_seconds]
        self.groups[chat_id] = [*readable[-1:], *kept, new]
        return new

    def _told_of_group(self, change: str, chat_id: str, **more: XmlValue) -> None:
        self.tell({"Event": "change_external_chat", "ChatId": chat_id, "ChangeType": change, **more})
