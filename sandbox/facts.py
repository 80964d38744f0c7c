"""The nouns of the simulated WeCom: who and what exists.

What may change is a plain dataclass, changed only under the world's lock; what has happened is frozen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.envelope import Envelope

Json = dict[str, Any]
XmlValue = str | int | Mapping[str, "XmlValue"] | Sequence["XmlValue"]
Fields = Mapping[str, XmlValue]

NEVER_SAID = float("-inf")

Status = Literal["half", "active", "member_deleted", "customer_deleted"]
READABLE: frozenset[str] = frozenset({"active", "customer_deleted"})
"""A relation the API still answers for: the member has not deleted the customer, and it is more than half."""


@dataclass(slots=True)
class App:
    """A self-built app: its secrets, and where its callbacks go."""

    agent_id: int
    name: str
    secret: str
    token: str
    encoding_aes_key: str
    callback_url: str = ""
    customer_contact: bool = True
    """May call customer-contact endpoints, and hears of customers."""
    address_book: bool = True
    """Hears of changes to members and departments."""
    kf: bool = True
    """May call the endpoints of 微信客服, and hears of its messages."""
    agent_id_inside: bool = False
    """Repeat the AgentID inside customer-contact events, where it is usually absent."""
    suspended: bool = False
    """Idle-app protection: no callbacks, and the API refuses with 48006."""
    trusted_domain: str = ""
    sensitive_fields: bool = False
    """An app from before June 2022, which still reads mobiles and avatars."""
    home: str = ""
    """Its home page (应用主页); the person page leads there."""
    toolbar: str = ""
    """Its page in the chat's toolbar (聊天工具栏); where none is set, /sidebar beside its home page or callback."""

    def envelope(self, corp_id: str) -> Envelope:
        """The seal of this app's callbacks."""
        return Envelope(self.token, self.encoding_aes_key, corp_id)


@dataclass(slots=True)
class Department:
    """A department; 1 is the root."""

    id: int
    name: str
    parent_id: int = 1
    order: int = 100
    leaders: tuple[str, ...] = ()


ACTIVE, DISABLED, NOT_ACTIVATED, QUIT = 1, 2, 4, 5


@dataclass(slots=True)
class Member:
    """A member of the corp; as a rep he has customers."""

    userid: str
    name: str
    departments: tuple[int, ...] = (1,)
    position: str = ""
    gender: int = 0
    mobile: str = ""
    leads: tuple[int, ...] = ()
    direct_leader: tuple[str, ...] = ()
    status: int = ACTIVE
    in_range: bool = True
    customer_contact: bool = True
    real_name: bool = True
    console_welcome: bool = False
    """A welcome is set for him in the admin console, so no code is given out."""
    left_at: int = 0
    """When he left the corp."""

    def can_have_customers(self) -> bool:
        """Active, visible, and with the right to customer contact."""
        return self.status == ACTIVE and self.in_range and self.customer_contact


WECHAT, WECOM = 1, 2


@dataclass(slots=True)
class Customer:
    """Somebody outside the corp."""

    external_userid: str
    name: str
    type: int = WECHAT
    gender: int = 0
    unionid: str = ""
    avatar: str = ""
    corp_name: str = ""
    position: str = ""
    openid: str = ""


@dataclass(slots=True)
class Relation:
    """One member and one customer. A new one keeps its object through deletion and return."""

    serial: int
    userid: str
    customer: Customer
    status: Status
    createtime: int
    add_way: int = 1
    state: str = ""
    oper_userid: str = ""
    remark: str = ""
    description: str = ""
    remark_company: str = ""
    mobiles: tuple[str, ...] = ()
    tag_ids: tuple[str, ...] = ()
    personal_tags: tuple[tuple[str, str], ...] = ()
    """(group name, tag name), known to this member alone."""
    chatted: bool = False

    @property
    def external_userid(self) -> str:
        """The customer's id."""
        return self.customer.external_userid


@dataclass(slots=True)
class Tag:
    """A corp tag."""

    id: str
    name: str
    order: int
    create_time: int


@dataclass(slots=True)
class TagGroup:
    """A group of corp tags. `agent_id` is the app that made it, None the admin console."""

    id: str
    name: str
    order: int
    create_time: int
    agent_id: int | None
    tags: dict[str, Tag] = field(default_factory=dict)


@dataclass(slots=True)
class ContactWay:
    """A channel code 「联系我」, as the API made it."""

    config_id: str
    created_at: int
    type: int
    scene: int
    style: int = 1
    remark: str = ""
    skip_verify: bool = True
    state: str = ""
    users: tuple[str, ...] = ()
    parties: tuple[int, ...] = ()
    is_temp: bool = False
    expires_in: int = 7 * 86_400
    chat_expires_in: int = 86_400
    unionid: str = ""
    is_exclusive: bool = False
    mark_source: bool = True
    conclusions: Json | None = None
    turn: int = 0


@dataclass(slots=True)
class Greeting:
    """The one welcome an arrival allows, whichever app's code is used for it."""

    userid: str
    external_userid: str
    being_sent_until: float = 0.0
    sent: bool = False


@dataclass(frozen=True, slots=True)
class WelcomeCode:
    """One app's way to the one welcome of an arrival."""

    code: str
    agent_id: int
    created_at: float
    greeting: Greeting


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a scan led to. Without an effect (`nothing`, `waiting`, `already`) there is no code."""

    external_userid: str
    userid: str
    state: str
    outcome: Literal["added", "half", "waiting", "already", "nothing"]
    codes: Mapping[int, str]

    @property
    def welcome_code(self) -> str:
        """The code given to the first receiver, or nothing."""
        return next(iter(self.codes.values()), "")


@dataclass(frozen=True, slots=True)
class SentWelcome:
    """A welcome that really reached a customer."""

    code: str
    userid: str
    external_userid: str
    text: str
    attachments: tuple[Json, ...]
    at: float
    seconds_since_event: float
    agent_id: int


@dataclass(frozen=True, slots=True)
class ChatLine:
    """One thing the customer and the rep see in their chat. A notice's text is a name, worded for each side."""

    who: Literal["customer", "rep", "welcome", "mass", "notice"]
    text: str
    at: float
    attachments: tuple[Json, ...] = ()
    after: float | None = None
    """Of a welcome: seconds since the arrival."""


@dataclass(frozen=True, slots=True)
class AppMessage:
    """A message of an app that a member has received."""

    msgid: str
    agent_id: int
    userid: str
    msgtype: str
    content: Json
    at: float


@dataclass(slots=True)
class Media:
    """A file somebody uploaded."""

    media_id: str
    kind: str
    filename: str
    content_type: str
    data: bytes
    created_at: float
    attachment: bool = False


@dataclass(frozen=True, slots=True)
class GroupMember:
    """Somebody in a group: 1 a member of the corp, 2 an outsider."""

    id: str
    type: int
    join_time: int
    join_scene: int
    name: str
    invitor: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class GroupChat:
    """A customer group as it was at one moment."""

    chat_id: str
    name: str
    owner: str
    create_time: int
    notice: str
    members: tuple[GroupMember, ...]
    version: str
    written_at: float


@dataclass(slots=True)
class Transfer:
    """A customer on his way from one rep to another."""

    handover: str
    takeover: str
    external_userid: str
    asked_at: float
    status: int = 2
    """1 done, 2 waiting, 3 refused, 4 takeover full."""
    takeover_time: int = 0
    resigned: bool = False
    """The old rep had left the corp: there is no relation of his to end."""


MASS_UNSENT, MASS_SENT, MASS_NO_FRIEND, MASS_QUOTA = range(4)
"""What became of a mass message for one receiver, in the numbers of get_groupmsg_send_result."""
FROM_CORP, FROM_MEMBER = 0, 1
"""Who made a mass message: the corp through the API, or a member in the client."""
ChatType = Literal["single", "group"]


@dataclass(slots=True)
class MassParcel:
    """A mass message for one receiver: a customer by external_userid, a group by chat_id."""

    receiver: str
    status: int = MASS_UNSENT
    send_time: int = 0


@dataclass(slots=True)
class MassErrand:
    """One member's part of a mass message: a to-do until he sends it."""

    msgid: str
    userid: str
    parcels: list[MassParcel]
    send_time: int = 0
    reminders: int = 0

    @property
    def is_sent(self) -> bool:
        """Whether the member has confirmed."""
        return self.send_time > 0


@dataclass(slots=True)
class MassTask:
    """A mass message 企业群发 on its way. `creator` is empty when an app made it."""

    msgid: str
    chat_type: ChatType
    text: str
    attachments: tuple[Json, ...]
    created_at: float
    create_type: int = FROM_CORP
    creator: str = ""
    allow_select: bool = False
    errands: dict[str, MassErrand] = field(default_factory=dict)
    cancelled: bool = False
    reminded_at: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MassReceived:
    """A mass message that really reached a customer or a group."""

    msgid: str
    userid: str
    receiver: str
    at: int


@dataclass(frozen=True, slots=True)
class JsGrant:
    """A page's leave to use the client: whose app, and which of its functions. agent_id 0: only wx.config so far."""

    agent_id: int
    url: str
    functions: frozenset[str]


KF_NEW, KF_ASSISTANT, KF_POOL, KF_HUMAN, KF_ENDED = range(5)
"""The service states of a 微信客服 session: new, the app answers, waiting for a servicer, a servicer answers, over."""


@dataclass(slots=True)
class KfServicer:
    """A member who answers for a 微信客服 account."""

    userid: str
    receiving: bool = True
    stop_type: int = 0


@dataclass(frozen=True, slots=True)
class KfItem:
    """One element of an account's message list, as kf/sync_msg gives it out."""

    at: float
    body: Json


@dataclass(slots=True)
class KfAccount:
    """A 微信客服 account, and what was written to it."""

    open_kfid: str
    name: str
    media_id: str = ""
    managers: frozenset[int] | None = None
    """The agentids that may manage it; None is every app with the right to kf."""
    console_welcome: bool = False
    """A welcome is set for it in the admin console, so no code is given out."""
    servicers: dict[str, KfServicer] = field(default_factory=dict)
    department_ids: tuple[int, ...] = ()
    items: list[KfItem] = field(default_factory=list)
    told_later: bool = False
    """A callback that several messages will share is on its way."""


@dataclass(slots=True)
class KfLine:
    """One thing the customer sees in a 微信客服 chat. A notice's content is a name, worded for each side."""

    msgid: str
    who: Literal["customer", "app", "servicer", "notice"]
    msgtype: str
    content: Json
    at: float
    servicer: str = ""
    fate: str = ""
    """Empty when it arrived; recalled or failed."""


@dataclass(slots=True)
class KfSession:
    """One customer at one account. `state` counts only while the 48 hours since his last message run."""

    open_kfid: str
    external_userid: str
    state: int = KF_ENDED
    servicer: str = ""
    said_at: float = NEVER_SAID
    sent: int = 0
    """Messages of apps since his last one."""
    welcomed_at: float = NEVER_SAID
    scene: str = ""
    scene_param: str = ""
    wechat_channels: Json = field(default_factory=dict)
    refuses: bool = False
    """The customer takes no messages of this account: sends are accepted, and fail."""
    lines: list[KfLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KfCode:
    """A code for one message on an event: which event, until when, and in which state it may be used."""

    code: str
    kind: Literal["enter", "pool", "human", "end"]
    open_kfid: str
    external_userid: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class KfVisit:
    """A customer has opened a 微信客服 chat."""

    open_kfid: str
    external_userid: str
    msgid: str
    welcome_code: str


@dataclass(frozen=True, slots=True)
class KfSent:
    """A message an app has sent to a customer; `code` is the event code it was sent with, if any."""

    msgid: str
    open_kfid: str
    external_userid: str
    agent_id: int
    msgtype: str
    content: Json
    at: float
    code: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One event for one receiver, ready to be sealed."""

    id: int
    at: float
    agent_id: int
    fields: Fields
    xml: str


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One API call as the world saw it. `accepted` says that its effect holds, whatever the caller heard."""

    at: float
    path: str
    verb: str
    agent_id: int | None
    query: Mapping[str, str]
    body: Json
    errcode: int
    accepted: bool
    outcome: Literal["answered", "reset", "not json", "hung"]
