"""What the corp's office does: hires and reorganises, keeps tags in the console, runs customer groups.

Changes made here are changes nobody asked the API for, so every receiver hears of them.
"""

from collections.abc import Iterable, Sequence

from sandbox.actors import Actors
from sandbox.facts import App, Department, GroupChat, GroupMember, Member, Tag, TagGroup, XmlValue


class Office(Actors):
    """The actors, and the office above them."""

    # --- apps, members, departments ---------------------------------------------------------------------------

    def add_app(self, app: App) -> App:
        """An app with its secrets and callback."""
        with self.lock:
            self.apps[app.agent_id] = app
            return app

    def add_member(self, member: Member) -> Member:
        """A member who was always there: nobody is told."""
        with self.lock:
            self.members[member.userid.lower()] = member
            return member

    def hire(self, member: Member) -> Member:
        """A member joins."""
        with self.acting():
            self.add_member(member)
            self._told_of_member("create_user", member.userid, **member_fields(member))
            return member

    def update_member(self, userid: str, **changes: object) -> Member:
        """Change a member's attributes; the event names only what the change is."""
        with self.acting():
            member = self.member(userid)
            for name, value in changes.items():
                setattr(member, name, value)
            told = {MEMBER_FIELDS[name] for name in changes if name in MEMBER_FIELDS}
            fields = {key: value for key, value in member_fields(member).items() if key in told}
            self._told_of_member("update_user", member.userid, **fields)
            return member

    def rename_member(self, userid: str, new_userid: str) -> Member:
        """A system-made userid becomes a proper one."""
        with self.acting():
            member = self.members.pop(userid.lower())
            old, member.userid = member.userid, new_userid
            self.members[new_userid.lower()] = member
            rows = self.relations.by_member.pop(old, [])
            for row in rows:
                row.userid = new_userid
            self.relations.by_member[new_userid] = rows
            self._told_of_member("update_user", old, NewUserID=new_userid)
            return member

    def dismiss_member(self, userid: str) -> None:
        """A member leaves the corp. His customers stay his until someone inherits them."""
        with self.acting():
            member = self.member(userid)
            member.status, member.in_range = 5, False
            self._told_of_member("delete_user", member.userid)

    def add_department(self, department: Department) -> Department:
        """A department that was always there."""
        with self.lock:
            self.departments[department.id] = department
            return department

    def open_department(self, department: Department) -> None:
        """A new department."""
        with self.acting():
            self.add_department(department)
            self._told_of_party("create_party", department, Order=department.order)

    def rename_department(self, department_id: int, name: str) -> None:
        """A department gets another name."""
        with self.acting():
            department = self.departments[department_id]
            department.name = name
            self._told_of_party("update_party", department)

    def close_department(self, department_id: int) -> None:
        """A department is gone."""
        with self.acting():
            department = self.departments.pop(department_id)
            self.tell({"Event": "change_contact", "ChangeType": "delete_party", "Id": department.id})

    def _told_of_member(self, change: str, userid: str, **fields: XmlValue) -> None:
        self.tell({"Event": "change_contact", "ChangeType": change, "UserID": userid, **fields})

    def _told_of_party(self, change: str, department: Department, **more: XmlValue) -> None:
        fields = {"Id": department.id, "Name": department.name, "ParentId": department.parent_id, **more}
        self.tell({"Event": "change_contact", "ChangeType": change, **fields})

    # --- members and the app itself ---------------------------------------------------------------------------

    def member_writes(self, userid: str, text: str, agent_id: int) -> None:
        """A member writes to the app: the one chat whose text reaches the server."""
        fields = {"FromUserName": self.member(userid).userid, "MsgType": "text", "Content": text}
        with self.acting():
            message_id = str(self.rng.getrandbits(60))
            self.tell({**fields, "MsgId": message_id, "AgentID": agent_id}, receiver=agent_id)

    def member_opens_app(self, userid: str, agent_id: int) -> None:
        """A member opens the app."""
        self._app_event(userid, agent_id, "enter_agent", EventKey="")

    def members_subscribe(self, count: int, agent_id: int) -> None:
        """A whole department enters the app's visible range at once."""
        for number in range(count):
            fields = {"FromUserName": f"newcomer{number:04d}", "Event": "subscribe", "EventKey": ""}
            self.emit({**fields, "AgentID": agent_id}, receiver=agent_id)

    def press_card(self, userid: str, msgid: str, key: str) -> None:
        """A member presses a button of a template card; the event carries a response code for one use."""
        with self.acting():
            message = self.app_messages[f"{msgid}:{self.member(userid).userid}"]
            code = self.new_response_code(message.msgid)
            card = message.content
            fields = {
                "EventKey": key,
                "TaskId": str(card.get("task_id", "")),
                "CardType": str(card.get("card_type", "")),
            }
            self._app_event(userid, message.agent_id, "template_card_event", **fields, ResponseCode=code)

    def new_response_code(self, msgid: str) -> str:
        """A code to change a card with: once, within three days."""
        code = self.new_id("", 64)
        self.response_codes[code] = (msgid, self.clock.now() + self.limits.response_code_seconds)
        return code

    def _app_event(self, userid: str, agent_id: int, event: str, **fields: XmlValue) -> None:
        sender = self.member(userid).userid
        self.emit({"FromUserName": sender, "Event": event, **fields, "AgentID": agent_id}, receiver=agent_id)

    # --- tags in the console ----------------------------------------------------------------------------------

    def console_tags(self, group_name: str, names: Iterable[str]) -> TagGroup:
        """Make tags in the admin console (a group where there is none)."""
        with self.acting():
            group = self.group_named(group_name)
            if group is None:
                group = self.make_tag_group(group_name, agent_id=None)
                self._told_of_tag("create", group.id, "tag_group")
            for name in names:
                self._told_of_tag("create", self.make_tag(group, name).id, "tag")
            return group

    def console_rename_tag(self, id_or_name: str, name: str) -> None:
        """Rename a tag in the console."""
        with self.acting():
            tag_id = self.tag_id(id_or_name)
            self.tags[tag_id][1].name = name
            self._told_of_tag("update", tag_id, "tag")

    def console_delete_tag(self, id_or_name: str) -> None:
        """Delete a tag in the console, and its group with the last one."""
        with self.acting():
            tag_id = self.tag_id(id_or_name)
            group = self.tags[tag_id][0]
            self.drop_tag(tag_id)
            self._told_of_tag("delete", tag_id, "tag")
            if group.id not in self.tag_groups:
                self._told_of_tag("delete", group.id, "tag_group")

    def console_delete_group(self, group_id: str) -> None:
        """Delete a group with its tags; the tags' own events do not come."""
        with self.acting():
            self.drop_tag_group(group_id)
            self._told_of_tag("delete", group_id, "tag_group")

    def console_shuffle(self, group_id: str) -> None:
        """Reorder the tags of a group in the console."""
        with self.acting():
            self.tell({"Event": "change_external_tag", "ChangeType": "shuffle", "Id": group_id})

    def group_named(self, name: str) -> TagGroup | None:
        """The tag group of this name."""
        return next((group for group in self.tag_groups.values() if group.name == name), None)

    def make_tag_group(self, name: str, agent_id: int | None, order: int = 0) -> TagGroup:
        """A new tag group; nobody is told."""
        group = TagGroup(self.new_id("et", 32), name, order, self.second(), agent_id)
        self.tag_groups[group.id] = group
        return group

    def make_tag(self, group: TagGroup, name: str, order: int = 0) -> Tag:
        """A new tag; nobody is told."""
        tag = Tag(self.new_id("et", 32), name, order, self.second())
        group.tags[tag.id] = tag
        self.tags[tag.id] = (group, tag)
        return tag

    def drop_tag(self, tag_id: str) -> None:
        """Delete a tag; the last of a group takes the group along."""
        group, _ = self.tags.pop(tag_id)
        del group.tags[tag_id]
        if not group.tags:
            del self.tag_groups[group.id]

    def drop_tag_group(self, group_id: str) -> None:
        """Delete a tag group with its tags; nobody is told."""
        for tag_id in self.tag_groups.pop(group_id).tags:
            del self.tags[tag_id]

    def _told_of_tag(self, change: str, known_id: str, tag_type: str) -> None:
        self.tell({"Event": "change_external_tag", "Id": known_id, "TagType": tag_type, "ChangeType": change})

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

    def join_group(self, chat_id: str, external_userids: Sequence[str], scene: int = 3) -> None:
        """Several who join together are one event. Scene 3 is the group's QR code, 0 an invitation."""
        guests = tuple(self._guest(ext, 3 if scene == 3 else 1, "") for ext in external_userids)
        self._change_members(
            chat_id, "add_member", self.group(chat_id).members + guests, external_userids, JoinScene=scene
        )

    def leave_group(self, chat_id: str, ids: Sequence[str], scene: int = 0) -> None:
        """Scene 0 is leaving, 1 being removed."""
        left = tuple(one for one in self.group(chat_id).members if one.id not in ids)
        self._change_members(chat_id, "del_member", left, ids, QuitScene=scene)

    def rename_group(self, chat_id: str, name: str) -> None:
        """A group gets another name."""
        with self.acting():
            self._rewrite_group(chat_id, name=name)
            self._told_of_group("update", chat_id, UpdateDetail="change_name")

    def dismiss_group(self, chat_id: str) -> None:
        """A group is dissolved."""
        with self.acting():
            del self.groups[chat_id]
            self._told_of_group("dismiss", chat_id)

    def group(self, chat_id: str) -> GroupChat:
        """The group as it is now (the API lags behind)."""
        return self.groups[chat_id][-1]

    def _guest(self, external_userid: str, scene: int, invitor: str) -> GroupMember:
        customer = self.customers[external_userid]
        return GroupMember(external_userid, 2, self.second(), scene, customer.name, invitor)

    def _change_members(
        self, chat_id: str, detail: str, members: tuple[GroupMember, ...], changed: Sequence[str], **scene: int
    ) -> None:
        with self.acting():
            before = self.group(chat_id).version
            after = self._rewrite_group(chat_id, members=members).version
            who: dict[str, XmlValue] = (
                {} if self.happens(self.faults.no_member_list) else {"MemChangeList": {"Item": list(changed)}}
            )
            versions = {"LastMemVer": before, "CurMemVer": after}
            counted: dict[str, XmlValue] = {"UpdateDetail": detail, **scene, "MemChangeCnt": len(changed)}
            self._told_of_group("update", chat_id, **counted, **who, **versions)

    def _rewrite_group(
        self, chat_id: str, *, name: str | None = None, members: tuple[GroupMember, ...] | None = None
    ) -> GroupChat:
        old = self.group(chat_id)
        new = GroupChat(
            chat_id,
            old.name if name is None else name,
            old.owner,
            old.create_time,
            old.notice,
            old.members if members is None else members,
            old.version if members is None else self.new_hex(),
            self.clock.now(),
        )
        self.groups[chat_id] = [*self.groups[chat_id][-8:], new]
        return new

    def _told_of_group(self, change: str, chat_id: str, **more: XmlValue) -> None:
        self.tell({"Event": "change_external_chat", "ChatId": chat_id, "ChangeType": change, **more})


MEMBER_FIELDS = {
    "name": "Name",
    "departments": "Department",
    "position": "Position",
    "gender": "Gender",
    "leads": "IsLeaderInDept",
    "direct_leader": "DirectLeader",
    "status": "Status",
}


def member_fields(member: Member) -> dict[str, XmlValue]:
    """A member as change_contact writes him, the sensitive fields left out."""
    return {
        "Name": member.name,
        "Department": ",".join(str(one) for one in member.departments),
        "MainDepartment": member.departments[0],
        "IsLeaderInDept": ",".join("1" if one in member.leads else "0" for one in member.departments),
        "DirectLeader": ",".join(member.direct_leader),
        "Position": member.position,
        "Gender": member.gender,
        "Status": member.status,
    }
