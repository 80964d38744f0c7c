"""What the corp's office does: hires, reorganises, lets go; and what members do with the app itself.

Changes made here are changes nobody asked the API for, so every receiver hears of them.
"""

from collections.abc import Mapping, Sequence

from sandbox.facts import QUIT, App, ChatLine, Department, Fields, Member, XmlValue
from sandbox.rooms import Rooms


class Office(Rooms):
    """Everyone and everything else, and the office above them."""

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
        """A member leaves the corp. His customers are unassigned until someone inherits them."""
        with self.acting():
            member = self.member(userid)
            member.status, member.in_range, member.left_at = QUIT, False, self.second()
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
        with self.acting():
            self.app_chats[agent_id, self.member(userid).userid].append(ChatLine("rep", text, self.clock.now()))
            self.member_sends(userid, agent_id, "text", {"Content": text})

    def member_sends(self, userid: str, agent_id: int, msgtype: str, fields: Fields) -> None:
        """A member sends the app something else: image, voice, video, location, link, with the fields of its type."""
        sender = self.member(userid).userid
        with self.acting():
            message = {"FromUserName": sender, "MsgType": msgtype, **fields, "MsgId": str(self.rng.getrandbits(60))}
            self.tell({**message, "AgentID": agent_id}, receiver=agent_id)

    def app_answers(self, agent_id: int, userid: str, text: str) -> None:
        """The app has answered a member at once, in the response to a callback."""
        with self.lock:
            self.app_chats[agent_id, self.member(userid).userid].append(ChatLine("welcome", text, self.clock.now()))

    def app_chat_of(self, agent_id: int, userid: str) -> list[ChatLine]:
        """What a member wrote to an app, and what it answered at once. Its messages are in his inbox."""
        return list(self.app_chats.get((agent_id, self.member(userid).userid), ()))

    def member_opens_app(self, userid: str, agent_id: int) -> None:
        """A member opens the app."""
        self._app_event(userid, agent_id, "enter_agent", EventKey="")

    def member_clicks(self, userid: str, key: str, agent_id: int) -> None:
        """A member chooses an entry of the app's menu."""
        self._app_event(userid, agent_id, "click", EventKey=key)

    def members_subscribe(self, count: int, agent_id: int) -> None:
        """A whole department enters the app's visible range at once."""
        for number in range(count):
            fields = {"FromUserName": f"newcomer{number:04d}", "Event": "subscribe", "EventKey": ""}
            self.emit({**fields, "AgentID": agent_id}, receiver=agent_id)

    def press_card(
        self, userid: str, msgid: str, key: str, selected: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """A member presses a button of a template card, perhaps with choices (question key to option ids).

        The event carries a response code for one use.
        """
        chosen: list[XmlValue] = [
            {"QuestionKey": name, "OptionIds": {"OptionId": list(ids)}} for name, ids in (selected or {}).items()
        ]
        items: dict[str, XmlValue] = {"SelectedItems": {"SelectedItem": chosen}} if chosen else {}
        self._card_event("template_card_event", userid, msgid, key, **items)

    def press_card_menu(self, userid: str, msgid: str, key: str) -> None:
        """A member chooses an entry of the menu in a card's corner."""
        self._card_event("template_card_menu_event", userid, msgid, key)

    def new_response_code(self, msgid: str) -> str:
        """A code to change a card with: once, within three days."""
        code = self.new_id("", 64)
        self.response_codes[code] = (msgid, self.clock.now() + self.limits.response_code_seconds)
        return code

    def _card_event(self, event: str, userid: str, msgid: str, key: str, **more: XmlValue) -> None:
        with self.acting():
            message = self.app_messages[f"{msgid}:{self.member(userid).userid}"]
            code, card = self.new_response_code(message.msgid), message.content
            known = {"TaskId": str(card.get("task_id", "")), "CardType": str(card.get("card_type", ""))}
            self._app_event(userid, message.agent_id, event, EventKey=key, **known, ResponseCode=code, **more)

    def _app_event(self, userid: str, agent_id: int, event: str, **fields: XmlValue) -> None:
        sender = self.member(userid).userid
        self.emit({"FromUserName": sender, "Event": event, **fields, "AgentID": agent_id}, receiver=agent_id)


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
