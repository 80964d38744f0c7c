"""What WeCom tells us, as frozen values in the past tense. What we do not know becomes an ``UnknownEvent`` and is kept.

Before: ``wecom.envelope``. After: ``handlers.routes`` says which steps follow which of these. To add an event: a class
here, a row in ``KINDS``, a row in ``ROUTES``.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, ClassVar

from wecom import xml
from wecom.xml import Fields

NOT_IDENTITY = frozenset({"AgentID", "WelcomeCode"})
"""The same event reaches two receivers with another of these."""
SORTED = json.JSONEncoder(sort_keys=True, ensure_ascii=False)
MAX_ID = 64


def element(name: str, most: int | None = None) -> Any:
    """A field read from this element of the XML, cut to ``most`` characters; empty counts as absent."""
    return field(default=None, metadata={"xml": name, "most": most})


@dataclass(frozen=True, kw_only=True)
class Event:
    """Any event or message."""

    identity: str
    """64 hex digits: a digest of the decrypted fields without AgentID and WelcomeCode."""
    name: str
    """``event.change_type`` in lower case."""
    at: datetime | None
    """WeCom's CreateTime (whole seconds), in UTC; None when it makes no sense."""

    needs: ClassVar[tuple[str, ...]] = ()
    """Fields without which it is not this event."""
    told_apart_by: ClassVar[tuple[str, ...]] = ()
    """Elements that alone tell two of them apart; all, where none is named."""
    settles: ClassVar[timedelta] = timedelta(0)
    """So long after telling us WeCom's API may still show what was before: who looks earlier sees the old."""

    @property
    def key(self) -> str:
        """Events with one key are handled in the order in which they came."""
        return self.identity


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Event):
    """Something we have no word for yet: kept raw and counted."""


@dataclass(frozen=True, kw_only=True)
class ContactEvent(Event):
    """Something between one rep and one customer."""

    userid: str = element("UserID")
    external_userid: str = element("ExternalUserID")
    needs = ("userid", "external_userid")

    @property
    def key(self) -> str:
        """Everything about one customer keeps its order."""
        return f"customer:{self.external_userid}"


@dataclass(frozen=True, kw_only=True)
class ContactAdded(ContactEvent):
    """Rep and customer have each other now."""

    state: str | None = element("State", MAX_ID)
    welcome_code: str | None = field(default=None, repr=False, metadata={"xml": "WelcomeCode"})
    link_id: str | None = element("LinkId")


@dataclass(frozen=True, kw_only=True)
class ContactHalfAdded(ContactEvent):
    """The customer scanned a code without verification; the rep's side is not complete yet."""

    state: str | None = element("State", MAX_ID)
    welcome_code: str | None = field(default=None, repr=False, metadata={"xml": "WelcomeCode"})


@dataclass(frozen=True, kw_only=True)
class ContactEdited(ContactEvent):
    """The rep changed remark, description or tags; WeCom does not say which."""

    state: str | None = element("State", MAX_ID)


@dataclass(frozen=True, kw_only=True)
class ContactDeletedByRep(ContactEvent):
    """The rep deleted the customer, or lost him by a transfer (``source`` DELETE_BY_TRANSFER)."""

    source: str | None = element("Source")

    @property
    def by_transfer(self) -> bool:
        """Whether a colleague took over: then it is no loss."""
        return self.source == "DELETE_BY_TRANSFER"


@dataclass(frozen=True, kw_only=True)
class ContactDeletedByCustomer(ContactEvent):
    """The customer deleted the rep."""


@dataclass(frozen=True, kw_only=True)
class TransferFailed(ContactEvent):
    """The customer did not go over to this rep."""

    reason: str | None = element("FailReason")


@dataclass(frozen=True, kw_only=True)
class ArchiveAgreed(ContactEvent):
    """The customer agreed to the message archive."""

    welcome_code: str | None = field(default=None, repr=False, metadata={"xml": "WelcomeCode"})


@dataclass(frozen=True, kw_only=True)
class CorpTagsChanged(Event):
    """Somebody made, changed, deleted or moved corp tags outside our app; all are read anew."""

    tag_id: str | None = element("Id")

    @property
    def key(self) -> str:
        """One after the other."""
        return "corp-tags"


@dataclass(frozen=True, kw_only=True)
class GroupEvent(Event):
    """Something about a customer group. WeCom writes it down asynchronously and advises to wait two seconds."""

    chat_id: str = element("ChatId")
    needs = ("chat_id",)
    settles = timedelta(seconds=2)

    @property
    def key(self) -> str:
        """Everything about one group keeps its order."""
        return f"group:{self.chat_id}"


@dataclass(frozen=True, kw_only=True)
class GroupOpened(GroupEvent):
    """A rep opened a customer group."""


@dataclass(frozen=True, kw_only=True)
class GroupChanged(GroupEvent):
    """Members, owner, name or notice changed; several may have joined or left as one event."""

    detail: str | None = element("UpdateDetail")
    quit_scene: str | None = element("QuitScene")
    """0 left by themselves, 1 removed."""


@dataclass(frozen=True, kw_only=True)
class GroupDismissed(GroupEvent):
    """A customer group was dissolved."""

    settles = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class KfWaiting(Event):
    """There is something in the message list of an account of 微信客服; it says no more than that."""

    open_kfid: str = element("OpenKfId")
    token: str | None = field(default=None, repr=False, metadata={"xml": "Token"})
    """For ten minutes it frees pulling from a strict limit."""
    needs = ("open_kfid",)
    told_apart_by: ClassVar[tuple[str, ...]] = ("Event", "OpenKfId", "Token")

    @property
    def key(self) -> str:
        """One account is pulled by one at a time."""
        return f"kf:{self.open_kfid}"


@dataclass(frozen=True, kw_only=True)
class KfPullDue(KfWaiting):
    """Ours, not WeCom's: an account has not been pulled for a while, and callbacks get lost."""

    told_apart_by = ()


@dataclass(frozen=True, kw_only=True)
class KfAccountsChanged(Event):
    """We may answer for an account, or may no longer; all are read anew."""

    @property
    def key(self) -> str:
        """One after the other."""
        return "kf-accounts"


@dataclass(frozen=True, kw_only=True)
class OrganisationEvent(Event):
    """Something about our own members and departments."""


@dataclass(frozen=True, kw_only=True)
class MemberChanged(OrganisationEvent):
    """A member was created or changed; only changed fields are present."""

    userid: str = element("UserID")
    new_userid: str | None = element("NewUserID", MAX_ID)
    status: str | None = element("Status")
    needs = ("userid",)

    @property
    def key(self) -> str:
        """Everything about one member keeps its order, and does not wait for the others."""
        return f"member:{self.userid.lower()}"


@dataclass(frozen=True, kw_only=True)
class MemberLeft(OrganisationEvent):
    """A member was removed."""

    userid: str = element("UserID")
    needs = ("userid",)

    @property
    def key(self) -> str:
        """As for a change of this member."""
        return f"member:{self.userid.lower()}"


@dataclass(frozen=True, kw_only=True)
class DepartmentChanged(OrganisationEvent):
    """A department was created, changed or removed."""

    department_id: str = element("Id")
    needs = ("department_id",)

    @property
    def key(self) -> str:
        """All are read anew each time, so one after the other."""
        return "departments"


@dataclass(frozen=True, kw_only=True)
class LinkOpened(Event):
    """Somebody opened a tracked link. No callback of WeCom's: our own page tells it, on the same road."""

    told_apart_by = ("Token", "Visit")

    token: str = element("Token")
    device: str | None = element("Device", 20)
    needs = ("token",)


@dataclass(frozen=True, kw_only=True)
class MemberEvent(Event):
    """Something one of ours did with our app. Who it was is sealed by WeCom: nobody can write in another's name."""

    userid: str = element("FromUserName")
    needs = ("userid",)

    @property
    def key(self) -> str:
        """What one member says to the app keeps its order."""
        return f"rep:{self.userid.lower()}"


@dataclass(frozen=True, kw_only=True)
class MemberWrote(MemberEvent):
    """A member wrote a text to the app."""

    told_apart_by = ("FromUserName", "MsgId")

    text: str | None = field(default=None, repr=False, metadata={"xml": "Content"})


@dataclass(frozen=True, kw_only=True)
class MemberSent(MemberEvent):
    """A member sent the app something else than text: a picture, a voice, or a kind of message nobody knows yet."""

    told_apart_by = ("FromUserName", "MsgId")


@dataclass(frozen=True, kw_only=True)
class CardPressed(MemberEvent):
    """A member pressed a button of a card the app had sent."""

    button: str | None = element("EventKey", 1024)
    task_id: str | None = element("TaskId", 128)
    response_code: str | None = field(default=None, repr=False, metadata={"xml": "ResponseCode"})
    """Changes the card, once, within 72 hours (WeCom's update_template_card)."""


@dataclass(frozen=True, kw_only=True)
class AppSuspended(Event):
    """WeCom switched the app off for inactivity: nothing works until an admin switches it on."""


@dataclass(frozen=True, kw_only=True)
class AppResumed(Event):
    """The app works again."""


KINDS: Mapping[str, type[Event]] = MappingProxyType(
    {
        "change_external_contact.add_external_contact": ContactAdded,
        "change_external_contact.add_half_external_contact": ContactHalfAdded,
        "change_external_contact.edit_external_contact": ContactEdited,
        "change_external_contact.del_external_contact": ContactDeletedByRep,
        "change_external_contact.del_follow_user": ContactDeletedByCustomer,
        "change_external_contact.transfer_fail": TransferFailed,
        "change_external_contact.msg_audit_approved": ArchiveAgreed,
        "change_external_tag.create": CorpTagsChanged,
        "change_external_tag.update": CorpTagsChanged,
        "change_external_tag.delete": CorpTagsChanged,
        "change_external_tag.shuffle": CorpTagsChanged,
        "change_external_chat.create": GroupOpened,
        "change_external_chat.update": GroupChanged,
        "change_external_chat.dismiss": GroupDismissed,
        "change_contact.create_user": MemberChanged,
        "change_contact.update_user": MemberChanged,
        "change_contact.delete_user": MemberLeft,
        "change_contact.create_party": DepartmentChanged,
        "change_contact.update_party": DepartmentChanged,
        "change_contact.delete_party": DepartmentChanged,
        "kf_msg_or_event": KfWaiting,
        "kf_account_auth_change": KfAccountsChanged,
        "kf_pull_due": KfPullDue,
        "link_opened": LinkOpened,
        "message.text": MemberWrote,
        "template_card_event": CardPressed,
        "close_inactive_agent": AppSuspended,
        "reopen_inactive_agent": AppResumed,
    }
)


ELEMENTS: Mapping[type[Event], Sequence[tuple[str, str, int | None]]] = MappingProxyType(
    {
        kind: [
            (one.name, one.metadata["xml"], one.metadata.get("most")) for one in fields(kind) if "xml" in one.metadata
        ]
        for kind in (*KINDS.values(), MemberSent, UnknownEvent)
    }
)
"""Which field is read from which element, and cut to what length. Asked for every callback."""


def read_event(text: str) -> Event:
    """The decrypted XML as a value. Raises ``BadEnvelope`` for what is not XML; everything else becomes an event."""
    content = xml.read(text)
    name = _name(content)
    kind = KINDS.get(name) or (MemberSent if name.startswith("message.") else UnknownEvent)
    common: dict[str, Any] = {"identity": _identity(content, kind), "name": name[:100], "at": _time(content)}
    own: dict[str, Any] = {own_name: _cut(_text(content, tag), most) for own_name, tag, most in ELEMENTS[kind]}
    if not all(own[name] and len(own[name]) <= MAX_ID for name in kind.needs):
        return UnknownEvent(**common)
    return kind(**common, **own)


def _name(content: Fields) -> str:
    """Own apps say Event, third-party suites say InfoType, messages only MsgType."""
    first = _text(content, "Event") or _text(content, "InfoType") or f"message.{_text(content, 'MsgType') or 'unknown'}"
    change = _text(content, "ChangeType")
    return f"{first}.{change}".lower() if change else first.lower()


def _identity(content: Fields, kind: type[Event]) -> str:
    kept = {name: value for name, value in content.items() if name not in NOT_IDENTITY}
    if kind.told_apart_by and all(content.get(name) for name in kind.told_apart_by):
        kept = {name: kept[name] for name in kind.told_apart_by}
    return hashlib.sha256(SORTED.encode(kept).encode()).hexdigest()


def _time(content: Fields) -> datetime | None:
    seconds = _text(content, "CreateTime") or _text(content, "TimeStamp") or ""
    if not seconds.isdecimal() or len(seconds) > 11:
        return None
    return datetime.fromtimestamp(int(seconds), UTC)


def _text(content: Fields, name: str) -> str | None:
    value = content.get(name)
    if isinstance(value, list):
        value = value[0]
    return value if isinstance(value, str) and value else None


def _cut(text: str | None, most: int | None) -> str | None:
    """WeCom announces 64 bytes for the longest State; whatever is longer must not cost us the customer."""
    return text if text is None else text[:most]
