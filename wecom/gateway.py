"""WeCom in our own words: what we read from it and what we ask of it.

Reads give frozen values and take whatever WeCom leaves out or adds; asks raise the errors of ``wecom.errors``. Older
corps have a separate secret for customer contact, and one for 微信客服; then those calls go over lines of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from wecom.answers import items as _items
from wecom.answers import number as _number
from wecom.answers import part as _part
from wecom.answers import text as _text
from wecom.answers import texts as _texts
from wecom.commands import (
    AddCorpTag,
    Command,
    FetchFile,
    KfCommand,
    SendWelcome,
    TellMembers,
    TellRep,
    UpdateCard,
    UploadMedia,
)
from wecom.errors import NOT_RELATED, Refused, TryLater, Unclear, WeComError
from wecom.groups import Groups
from wecom.jssdk import JsSdk
from wecom.kf import Kf
from wecom.line import TIMEOUT, Answer, Line
from wecom.mass import MassMessages
from wecom.statistics import Statistics
from wecom.transfers import Transfers

WELCOME_TIMEOUT = (1.5, 3.0)
NAME_TIMEOUT = (0.3, 0.55)
"""How long a welcome waits for the customer's name: most reads take 0.2 s, and it must be out within a second."""
FIRST_LISTED = datetime(2021, 7, 9, 16, tzinfo=UTC)
NOT_A_CUSTOMER = frozenset({NOT_RELATED, 40096})


@dataclass(frozen=True)
class Follow:
    """One rep's side of a customer, as WeCom tells it."""

    userid: str
    remark: str
    description: str
    since: datetime | None
    tags: tuple[tuple[str, str, str], ...]
    """(WeCom's tag id, group, name); a personal tag has no id."""
    add_way: int | None
    state: str | None
    phones: tuple[str, ...]
    all_tags: bool = True
    """Whether personal tags were told too; in pages of relations WeCom leaves them out."""


@dataclass(frozen=True)
class Profile:
    """A customer, as WeCom tells it."""

    external_userid: str
    name: str
    avatar: str | None
    gender: int
    kind: int
    unionid: str | None
    corp_name: str | None
    follows: tuple[Follow, ...]

    def side_of(self, userid: str) -> Follow | None:
        """The side of this rep, if the rep has the customer. Userids compare without regard to case."""
        return next((one for one in self.follows if one.userid.lower() == userid.lower()), None)


@dataclass(frozen=True)
class MemberFacts:
    """A member, as far as the app may see."""

    userid: str
    name: str
    departments: tuple[int, ...]
    leads: tuple[int, ...]
    superiors: tuple[str, ...]
    position: str
    status: int


@dataclass(frozen=True)
class DepartmentFacts:
    """A department, as far as the app may see."""

    id: int
    name: str
    parent_id: int | None
    order: int
    leaders: tuple[str, ...]


@dataclass(frozen=True)
class ContactWay:
    """A contact way as WeCom keeps it."""

    config_id: str
    qr_code: str
    remark: str
    state: str
    skip_verify: bool
    users: tuple[str, ...]
    scene: int


@dataclass(frozen=True)
class CorpTag:
    """A corp tag as WeCom keeps it."""

    id: str
    name: str
    group_id: str
    group_name: str
    order: int = 0
    group_order: int = 0
    """Bigger first."""


class Gateway:
    """The one door to WeCom."""

    def __init__(
        self, app: Line, contact: Line | None, agent_id: int, kf: Line | None = None, *, home: str = ""
    ) -> None:
        """``home`` is the address of our console, for links in messages to members."""
        self._app = app
        self._home = home
        self._contact = contact or app
        self._agent_id = agent_id
        self.groups = Groups(self._read)
        self.statistics = Statistics(self._read)
        self.transfers = Transfers(self._read)
        self.mass = MassMessages(self._read)
        self.js = JsSdk(app, agent_id)
        self.kf = Kf(kf or app)

    # --- what we ask -------------------------------------------------------------------------------------------------

    def deliver(self, command: Command, content: tuple[str, bytes, str] | None = None) -> Answer:
        """Carry out a command; ``content`` (file name, bytes, content type) belongs to ``UploadMedia``."""
        match command:
            case SendWelcome():
                return self._greet(command)
            case TellRep():
                return self._app.call(command.api, {**command.request_from(self._home), "agentid": self._agent_id})
            case TellMembers() | UpdateCard():
                return self._app.call(command.api, {**command.request(), "agentid": self._agent_id})
            case UploadMedia():
                if content is None:
                    raise ValueError("UploadMedia needs its bytes")
                return self._contact.call(command.api, params={"type": command.kind}, files={"media": content})
            case AddCorpTag():
                return self._add_tag(command)
            case KfCommand() | FetchFile():
                return self.kf.deliver(command)
        return self._contact.call(command.api, command.request())

    def _greet(self, command: SendWelcome) -> Answer:
        """Send the welcome; the answer tells the text that went out."""
        name = self._name_quickly(command.external_userid) if command.wants_name else None
        answer = self._contact.call(command.api, command.request_for(name), timeout=WELCOME_TIMEOUT)
        return {**answer, "text": command.text(name)}

    def _name_quickly(self, external_userid: str) -> str | None:
        """The customer's name if WeCom tells it soon enough; a welcome without a name beats a late one."""
        try:
            params = {"external_userid": external_userid}
            answer = self._contact.call("externalcontact/get", params=params, timeout=NAME_TIMEOUT)
        except WeComError:
            return None
        return _text(_part(answer, "external_contact"), "name") or None

    def _add_tag(self, command: AddCorpTag) -> Answer:
        """Make the tag unless it is there already: WeCom does not say what it answers for names that exist."""
        for tag in self.corp_tags():
            if (tag.group_name, tag.name) == (command.group_name, command.tag_name):
                known = {"id": tag.id, "name": tag.name, "order": tag.order, "known": True}
                return {"tag_group": {"group_id": tag.group_id, "order": tag.group_order, "tag": [known]}}
        return self._contact.call(command.api, command.request())

    def add_contact_way(self, *, users: list[str], state: str, remark: str, skip_verify: bool) -> tuple[str, str]:
        """Make a channel code; its config_id and the address of its QR picture."""
        body = {
            "type": 1 if len(users) == 1 else 2,
            "scene": 2,
            "remark": remark[:30],
            "skip_verify": skip_verify,
            "state": state,
            "user": users,
        }
        answer = self._contact.call("externalcontact/add_contact_way", body)
        return str(answer["config_id"]), str(answer.get("qr_code") or "")

    # --- what we read ------------------------------------------------------------------------------------------------

    def profile(self, external_userid: str) -> Profile | None:
        """The customer and every rep's side; None when nobody of ours has this customer any more.

        Raises ``TryLater`` also when the line breaks: reading again does no harm.
        """
        contact: Answer = {}
        follows: list[Follow] = []
        cursor = ""
        while True:
            params = {"external_userid": external_userid} | ({"cursor": cursor} if cursor else {})
            try:
                answer = self._read("externalcontact/get", params=params)
            except Refused as error:
                if error.errcode in NOT_A_CUSTOMER:
                    return None
                raise
            contact = contact or _part(answer, "external_contact")
            follows += [_follow(one) for one in _items(answer, "follow_user")]
            cursor = _text(answer, "next_cursor")
            if not cursor:
                return _profile(contact, follows, external_userid)

    def reps(self) -> list[str]:
        """The userids of all members with the customer-contact feature."""
        return [str(one) for one in self._read("externalcontact/get_follow_user_list").get("follow_user") or []]

    def relations(self, userids: list[str], cursor: str = "") -> tuple[list[Profile], str]:
        """One page (up to 100) of these reps' customers, one profile per pair, and the next cursor (``""`` = end)."""
        body = {"userid_list": userids, "cursor": cursor, "limit": 100}
        try:
            answer = self._read("externalcontact/batch/get_by_user", body)
        except Refused as error:
            if error.errcode == NOT_RELATED:
                return [], ""
            raise
        page = []
        for one in _items(answer, "external_contact_list"):
            contact = _part(one, "external_contact")
            side = _follow(_part(one, "follow_info"), all_tags=False)
            page.append(_profile(contact, [side], _text(contact, "external_userid")))
        return page, _text(answer, "next_cursor")

    def unassigned(self, cursor: str = "") -> tuple[list[tuple[str, str]], str]:
        """One page of customers whose rep has left the corp, as (rep, customer), and the next cursor (``""`` = end)."""
        body = {"page_size": 1000} | ({"cursor": cursor} if cursor else {})
        answer = self._read("externalcontact/get_unassigned_list", body)
        pairs = [(_text(one, "handover_userid"), _text(one, "external_userid")) for one in _items(answer, "info")]
        return [pair for pair in pairs if all(pair)], _text(answer, "next_cursor")

    def members(self) -> list[MemberFacts]:
        """Every member the app may see; where it may see only ids, the names are empty."""
        found: dict[str, MemberFacts] = {}
        try:
            for department in self.departments():
                answer = self._read("user/list", params={"department_id": department.id}, line=self._app)
                found |= {one.userid: one for one in map(_member, _items(answer, "userlist"))}
        except Refused:
            found = {}
        return list(found.values()) or list(self._member_ids())

    def _member_ids(self) -> Iterator[MemberFacts]:
        cursor = ""
        departments: dict[str, list[int]] = {}
        while True:
            body = {"cursor": cursor, "limit": 10000}
            answer = self._read("user/list_id", body, line=self._app)
            for one in _items(answer, "dept_user"):
                departments.setdefault(_text(one, "userid"), []).append(_number(one, "department") or 0)
            cursor = _text(answer, "next_cursor")
            if not cursor:
                break
        for userid, own in departments.items():
            yield MemberFacts(userid, "", tuple(own), (), (), "", 1)

    def member(self, userid: str) -> MemberFacts | None:
        """One member; None when WeCom does not know it or may not tell us."""
        try:
            return _member(self._read("user/get", params={"userid": userid}, line=self._app))
        except Refused:
            return None

    def departments(self) -> list[DepartmentFacts]:
        """Every department the app may see."""
        answer = self._read("department/list", line=self._app)
        return [
            DepartmentFacts(
                id=_number(one, "id") or 0,
                name=_text(one, "name"),
                parent_id=_number(one, "parentid") or None,
                order=_number(one, "order") or 0,
                leaders=_texts(one, "department_leader"),
            )
            for one in _items(answer, "department")
        ]

    def contact_way_ids(self, cursor: str = "", since: datetime = FIRST_LISTED) -> tuple[list[str], str]:
        """One page of config_ids of contact ways made since then (WeCom lists none older), and the next cursor."""
        body = {"cursor": cursor, "limit": 1000, "start_time": int(since.timestamp())}
        answer = self._read("externalcontact/list_contact_way", body)
        ids = [_text(one, "config_id") for one in _items(answer, "contact_way")]
        return [one for one in ids if one], _text(answer, "next_cursor")

    def contact_way(self, config_id: str) -> ContactWay:
        """One contact way."""
        way = _part(self._read("externalcontact/get_contact_way", {"config_id": config_id}), "contact_way")
        return ContactWay(
            config_id=_text(way, "config_id") or config_id,
            qr_code=_text(way, "qr_code"),
            remark=_text(way, "remark"),
            state=_text(way, "state"),
            skip_verify=bool(way.get("skip_verify", True)),
            users=_texts(way, "user"),
            scene=_number(way, "scene") or 2,
        )

    def corp_tags(self) -> list[CorpTag]:
        """Every living corp tag."""
        answer = self._read("externalcontact/get_corp_tag_list", {})
        return [
            CorpTag(
                id=_text(tag, "id"),
                name=_text(tag, "name"),
                group_id=_text(group, "group_id"),
                group_name=_text(group, "group_name"),
                order=_number(tag, "order") or 0,
                group_order=_number(group, "order") or 0,
            )
            for group in _items(answer, "tag_group")
            for tag in _items(group, "tag")
            if not tag.get("deleted")
        ]

    def signed_in_member(self, code: str) -> str | None:
        """The userid behind a sign-in code; None when it is not a member. Raises ``Refused`` for a used code."""
        answer = self._read("auth/getuserinfo", params={"code": code}, line=self._app)
        return _text(answer, "userid") or _text(answer, "UserId") or None

    def agent(self) -> Answer:
        """What WeCom says about our app: name and visible range."""
        return self._read("agent/get", params={"agentid": self._agent_id}, line=self._app)

    def qr_picture(self, address: str) -> tuple[bytes, str]:
        """The picture at the address WeCom gave for a contact way, and its type. Raises ``NoPicture``, ``TryLater``."""
        return self._contact.qr_picture(address)

    def clock_skew(self) -> float | None:
        """Seconds our clock is ahead of WeCom's, from the Date of an answer; None when it gives none."""
        return self._app.clock_skew()

    def _read(
        self, api: str, body: Answer | None = None, *, params: Answer | None = None, line: Line | None = None
    ) -> Answer:
        """A call that changes nothing: a broken line only means asking again."""
        try:
            return (line or self._contact).call(api, body, params=params, timeout=TIMEOUT)
        except Unclear as error:
            raise TryLater(str(error)) from None


def _profile(contact: Answer, follows: list[Follow], external_userid: str) -> Profile:
    return Profile(
        external_userid=_text(contact, "external_userid") or external_userid,
        name=_text(contact, "name")[:200],
        avatar=_text(contact, "avatar")[:500] or None,
        gender=_number(contact, "gender") or 0,
        kind=_number(contact, "type") or 1,
        unionid=_text(contact, "unionid") or None,
        corp_name=(_text(contact, "corp_full_name") or _text(contact, "corp_name"))[:200] or None,
        follows=tuple(follows),
    )


def _follow(one: Answer, *, all_tags: bool = True) -> Follow:
    seconds = _number(one, "createtime")
    tags = [(_text(tag, "tag_id"), _text(tag, "group_name"), _text(tag, "tag_name")) for tag in _items(one, "tags")]
    tags += [(tag_id, "", "") for tag_id in _texts(one, "tag_id")]
    return Follow(
        userid=_text(one, "userid"),
        remark=_text(one, "remark")[:200],
        description=_text(one, "description"),
        since=datetime.fromtimestamp(seconds, UTC) if seconds else None,
        tags=tuple(tags),
        add_way=_number(one, "add_way"),
        state=_text(one, "state")[:64] or None,
        phones=_texts(one, "remark_mobiles"),
        all_tags=all_tags,
    )


def _member(one: Answer) -> MemberFacts:
    departments = tuple(int(d) for d in one.get("department") or [])
    leads = [int(flag) for flag in one.get("is_leader_in_dept") or []]
    return MemberFacts(
        userid=_text(one, "userid"),
        name=_text(one, "name"),
        departments=departments,
        leads=tuple(d for d, flag in zip(departments, leads, strict=False) if flag),
        superiors=_texts(one, "direct_leader"),
        position=_text(one, "position"),
        status=_number(one, "status") or 1,
    )
