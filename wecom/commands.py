"""What we ask of WeCom later, as frozen values in the imperative. The outbox keeps them as a name and a JSON body.

``harmless`` says whether making the call twice does no harm; ``sender`` is the switch of watch mode that silences it.
To add a command: a class here, a row in ``COMMANDS``, and if its outcome matters one in ``scheduler.delivery.AFTER``.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

from wecom import attachments as limits

PLACEHOLDER = re.compile(r"\{(name|rep|channel)\}")
NAME_WITH_SPACE = re.compile(r"[ \u3000]*\{name\}")
MAX_WELCOME_BYTES = 4000
MAX_MASS_CUSTOMERS, MAX_MASS_GROUPS = 10_000, 2000
"""Receivers of one mass message (wecom.md §4.9)."""


@dataclass(frozen=True)
class Command:
    """Any call that goes through the outbox."""

    name: ClassVar[str]
    api: ClassVar[str]
    lane: ClassVar[str] = "calls"
    harmless: ClassVar[bool] = True
    sender: ClassVar[str] = ""

    def body(self) -> dict[str, Any]:
        """The command as plain JSON, from which ``revive`` makes it again."""
        return asdict(self)

    def request(self) -> dict[str, Any]:
        """The JSON that WeCom wants."""
        return self.body()


@dataclass(frozen=True)
class SendWelcome(Command):
    """Greet a customer who has just arrived. WeCom takes each code once, so that a repeated call cannot greet twice."""

    name = "SendWelcome"
    api = "externalcontact/send_welcome_msg"
    lane = "welcome"
    sender = "welcome"

    code: str = field(repr=False)
    template: str
    values: dict[str, str]
    """What stands for {rep} and {channel}; {name} is read from WeCom at the last moment."""
    external_userid: str
    attachments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def wants_name(self) -> bool:
        """Whether the text waits for the customer's name."""
        return "{name}" in self.template

    def nameless(self) -> "SendWelcome":
        """The same welcome, without waiting for the name."""
        return replace(self, template=NAME_WITH_SPACE.sub("", self.template))

    def text(self, name: str | None) -> str:
        """The text as the customer will read it; without a name it simply leaves the name out."""
        return render(self.template, {**self.values, "name": name})

    def request_for(self, name: str | None) -> dict[str, Any]:
        """The JSON that WeCom wants, for a customer of this name."""
        request: dict[str, Any] = {"welcome_code": self.code}
        if text := self.text(name):
            request["text"] = {"content": text}
        if self.attachments:
            request["attachments"] = self.attachments
        return request


def render(template: str, values: Mapping[str, str | None]) -> str:
    """Put the values in, literally and in one pass: a nickname with ``$`` or ``{`` stays what it is.

    An empty name takes the blank before it along. The result is cut to what WeCom takes (4,000 bytes).
    """
    if not values.get("name"):
        template = NAME_WITH_SPACE.sub("", template)
    text = PLACEHOLDER.sub(lambda match: values.get(match[1]) or "", template)
    return text.encode()[:MAX_WELCOME_BYTES].decode(errors="ignore")


@dataclass(frozen=True)
class MarkTag(Command):
    """Put corp tags on one relation, or take them off."""

    name = "MarkTag"
    api = "externalcontact/mark_tag"
    lane = "tags"
    sender = "tags"

    userid: str
    external_userid: str
    add_tag: list[str] = field(default_factory=list)
    remove_tag: list[str] = field(default_factory=list)
    tag_ids: list[int] = field(default_factory=list)
    """Our own ids of the same tags, to write down what became of them."""

    def request(self) -> dict[str, Any]:
        """Without our own ids."""
        return {
            "userid": self.userid,
            "external_userid": self.external_userid,
            "add_tag": self.add_tag,
            "remove_tag": self.remove_tag,
        }


@dataclass(frozen=True)
class AddCorpTag(Command):
    """Make a corp tag, and its group when there is none yet."""

    name = "AddCorpTag"
    api = "externalcontact/add_corp_tag"
    sender = "tags"

    group_name: str
    tag_name: str
    tag_id: int
    """Our own id of it."""

    def request(self) -> dict[str, Any]:
        """One tag; WeCom adds it to the group of that name."""
        return {"group_name": self.group_name, "tag": [{"name": self.tag_name}]}


@dataclass(frozen=True)
class EditCorpTag(Command):
    """Call a corp tag something else."""

    name = "EditCorpTag"
    api = "externalcontact/edit_corp_tag"
    sender = "tags"

    wecom_id: str
    tag_name: str
    tag_id: int

    def request(self) -> dict[str, Any]:
        """WeCom's id and the new name."""
        return {"id": self.wecom_id, "name": self.tag_name}


@dataclass(frozen=True)
class DeleteCorpTags(Command):
    """Delete corp tags, and with them the groups that become empty."""

    name = "DeleteCorpTags"
    api = "externalcontact/del_corp_tag"
    sender = "tags"

    tag_id: list[str]


@dataclass(frozen=True)
class UpdateContactWay(Command):
    """Lead a channel code to these reps from now on; the lists replace those before."""

    name = "UpdateContactWay"
    api = "externalcontact/update_contact_way"

    config_id: str
    user: list[str]
    remark: str
    skip_verify: bool
    state: str
    channel_id: int

    def request(self) -> dict[str, Any]:
        """Without our own id."""
        return {name: value for name, value in self.body().items() if name != "channel_id"}


@dataclass(frozen=True)
class DeleteContactWay(Command):
    """Take a channel code down for good."""

    name = "DeleteContactWay"
    api = "externalcontact/del_contact_way"

    config_id: str


@dataclass(frozen=True)
class TransferCustomers(Command):
    """Give up to 100 customers to another rep. Not harmless: WeCom lets a customer change hands twice in 90 days."""

    name = "TransferCustomers"
    api = "externalcontact/transfer_customer"
    harmless = False

    handover: int
    """Our own id of the plan."""
    giver: str
    taker: str
    external_userids: list[str]
    words: str = field(default="", repr=False)
    """What WeCom tells the customers (up to 200 characters); empty: its own words."""

    def request(self) -> dict[str, Any]:
        """The JSON that WeCom wants."""
        pair = {"handover_userid": self.giver, "takeover_userid": self.taker}
        said = {"transfer_success_msg": self.words} if self.words else {}
        return {**pair, "external_userid": self.external_userids, **said}


@dataclass(frozen=True)
class TransferCustomersOfLeaver(TransferCustomers):
    """The same after the giver has left the corp. WeCom tells the customers nothing then."""

    name = "TransferCustomersOfLeaver"
    api = "externalcontact/resigned/transfer_customer"

    def request(self) -> dict[str, Any]:
        """Without words."""
        return {name: value for name, value in super().request().items() if name != "transfer_success_msg"}


@dataclass(frozen=True)
class UploadMedia(Command):
    """Bring a picture or another file to WeCom, where it lives for three days."""

    name = "UploadMedia"
    api = "media/upload"

    media: int
    """Our own id of it; its bytes are read at the moment of sending."""
    kind: str = "image"
    """``image``, ``video`` or ``file``."""


@dataclass(frozen=True)
class TellMembers(Command):
    """Write to members through our app. Twice would be twice on their screen, so never blindly repeated."""

    name = "TellMembers"
    api = "message/send"
    harmless = False

    userids: list[str]
    text: str

    def request(self) -> dict[str, Any]:
        """The agent id is added by the gateway."""
        return {"touser": "|".join(self.userids), "msgtype": "text", "text": {"content": self.text}}


@dataclass(frozen=True)
class TellRep(Command):
    """Write to one member through our app, no faster than one may (``storage.pace``); never blindly repeated either.

    Made by ``text_to``, ``markdown_to``, ``textcard_to`` and ``buttons_to``, which keep WeCom's limits.
    """

    name = "TellRep"
    api = "message/send"
    harmless = False

    userid: str
    msgtype: str
    content: dict[str, Any] = field(repr=False)
    """The part of that type; an address in it that begins with ``/`` is one of our console."""

    def request(self) -> dict[str, Any]:
        """The agent id and where our console is are added by the gateway."""
        return {"touser": self.userid, "msgtype": self.msgtype, self.msgtype: self.content}

    def request_from(self, home: str) -> dict[str, Any]:
        """The JSON that WeCom wants, for a console at this address."""
        url = str(self.content.get("url") or "")
        content = {**self.content, "url": home + url} if url.startswith("/") else self.content
        return {**self.request(), self.msgtype: content}


MAX_MESSAGE_BYTES, MAX_TITLE_BYTES, MAX_DESCRIPTION_BYTES = 2048, 128, 512
"""Of texts and markdown, and of a textcard (message/send)."""
MAX_BUTTONS = 6


def cut(text: str, most: int) -> str:
    """The text in at most so many bytes, ending in ``…`` and never within a character when something had to go."""
    if len(text.encode()) <= most:
        return text
    return text.encode()[: most - len("…".encode())].decode(errors="ignore") + "…"


def text_to(userid: str, text: str) -> TellRep:
    """A text, in which ``<a href>`` would be a link: whoever puts a customer's words in has made them harmless."""
    return TellRep(userid, "text", {"content": cut(text, MAX_MESSAGE_BYTES)})


def markdown_to(userid: str, text: str) -> TellRep:
    """Markdown, which only WeCom itself shows (not its plug-in in WeChat)."""
    return TellRep(userid, "markdown", {"content": cut(text, MAX_MESSAGE_BYTES)})


def textcard_to(userid: str, title: str, description: str, path: str, button: str = "") -> TellRep:
    """A card that leads to a page of the console; ``button`` has up to four characters."""
    card = {
        "title": cut(title, MAX_TITLE_BYTES),
        "description": cut(description, MAX_DESCRIPTION_BYTES),
        "url": path,
    }
    return TellRep(userid, "textcard", card | ({"btntxt": button[:4]} if button else {}))


def buttons_to(
    userid: str, task_id: str, title: str, words: str, rows: list[tuple[str, str]], buttons: list[tuple[str, str]]
) -> TellRep:
    """A card with up to six rows (name, value) and buttons (text, key); ``task_id`` must be new to the app for ever."""
    card = {
        "card_type": "button_interaction",
        "main_title": {"title": cut(title, MAX_TITLE_BYTES), "desc": cut(words, MAX_DESCRIPTION_BYTES)},
        "horizontal_content_list": [{"keyname": name, "value": value} for name, value in rows[:MAX_BUTTONS]],
        "button_list": [{"text": text, "style": 1, "key": key} for text, key in buttons[:MAX_BUTTONS]],
        "task_id": task_id,
    }
    return TellRep(userid, "template_card", card)


@dataclass(frozen=True)
class UpdateCard(Command):
    """Grey the buttons of a card and say what was chosen. WeCom takes each response code once."""

    name = "UpdateCard"
    api = "message/update_template_card"

    userid: str
    response_code: str = field(repr=False)
    words: str = field(repr=False)

    def request(self) -> dict[str, Any]:
        """The agent id is added by the gateway."""
        return {
            "userids": [self.userid],
            "response_code": self.response_code,
            "button": {"replace_name": self.words},
        }


@dataclass(frozen=True)
class MassCommand(Command):
    """Anything about one mass message 企业群发."""

    sender = "mass"

    task: int
    """Our own id of it."""


@dataclass(frozen=True)
class MakeMass(MassCommand):
    """Ask a rep to send something to customers of hers (wecom.md §4.9). Nothing is sent until she confirms.

    Not harmless, and WeCom knows no id of ours: twice would be two to-dos. When an answer fails to come, ask first
    whether the task is there (``Gateway.mass``). The answer has ``msgid`` and ``fail_list``, those who cannot get it;
    when nobody is left WeCom makes none (41048). Raises ``ValueError`` for what WeCom would refuse by its size.
    """

    name = "MakeMass"
    api = "externalcontact/add_msg_template"
    harmless = False
    most: ClassVar[int] = MAX_MASS_CUSTOMERS

    userid: str
    receivers: list[str]
    """external_userids."""
    text: str = field(repr=False)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    allow_select: bool = False
    """Whether the rep may change the receivers."""

    def __post_init__(self) -> None:
        if not 0 < len(self.receivers) <= self.most:
            raise ValueError(f"a mass message has 1 to {self.most} receivers, not {len(self.receivers)}")
        limits.check(self.text, self.attachments)

    def request(self) -> dict[str, Any]:
        """The JSON that WeCom wants."""
        said: dict[str, Any] = {"text": {"content": self.text}} if self.text else {}
        files = {"attachments": self.attachments} if self.attachments else {}
        return {**self.addressed(), "sender": self.userid, "allow_select": self.allow_select, **said, **files}

    def addressed(self) -> dict[str, Any]:
        """To whom."""
        return {"chat_type": "single", "external_userid": self.receivers}


@dataclass(frozen=True)
class MakeGroupMass(MakeMass):
    """The same to groups the rep owns; ``receivers`` are their chat_ids."""

    name = "MakeGroupMass"
    most = MAX_MASS_GROUPS

    def addressed(self) -> dict[str, Any]:
        """To which groups."""
        return {"chat_type": "group", "chat_id_list": self.receivers}


@dataclass(frozen=True)
class RemindMass(MassCommand):
    """Ask the reps again who have not sent it. WeCom takes three in 24 hours; twice would nag them twice."""

    name = "RemindMass"
    api = "externalcontact/remind_groupmsg_send"
    harmless = False

    msgid: str

    def request(self) -> dict[str, Any]:
        """WeCom's own id."""
        return {"msgid": self.msgid}


@dataclass(frozen=True)
class CancelMass(MassCommand):
    """Let nobody send it who has not yet. A second time is refused with 41093: then it is done."""

    name = "CancelMass"
    api = "externalcontact/cancel_groupmsg_send"

    msgid: str

    def request(self) -> dict[str, Any]:
        """WeCom's own id."""
        return {"msgid": self.msgid}


@dataclass(frozen=True)
class KfCommand(Command):
    """Anything about one chat of 微信客服; all of a chat leave in the order in which they were asked for."""

    lane = "kf"
    sender = "answers"

    open_kfid: str
    external_userid: str
    conversation: int
    """Our own id of the chat."""


@dataclass(frozen=True)
class SendKf(KfCommand):
    """Write to a customer by ourselves, within the 48 hours and five messages that their last one opened.

    Not harmless: twice would be twice on their screen. But it carries a msgid of ours, which WeCom takes once only (kf
    reference §6.3: unique, an aid to idempotency), so that an unclear one is asked again with the same: whatever WeCom
    answers then, the customer reads it once.
    """

    name = "SendKf"
    api = "kf/send_msg"
    harmless = False

    msgid: str
    content: dict[str, Any] = field(repr=False)
    """``{"msgtype": "text", "text": {"content": …}}`` or ``{"msgtype": "msgmenu", "msgmenu": {…}}``."""

    def request(self) -> dict[str, Any]:
        """The JSON that WeCom wants."""
        return {"touser": self.external_userid, "open_kfid": self.open_kfid, "msgid": self.msgid, **self.content}


@dataclass(frozen=True)
class ReplyKf(SendKf):
    """The same, written by one of us: watch mode silences what answers by itself, not people."""

    name = "ReplyKf"
    sender = "replies"


@dataclass(frozen=True)
class SendKfOnEvent(KfCommand):
    """Say the one thing that the code of an event allows. WeCom takes each code once, so it cannot be said twice."""

    name = "SendKfOnEvent"
    api = "kf/send_msg_on_event"

    code: str = field(repr=False)
    msgid: str
    content: dict[str, Any] = field(repr=False)

    def request(self) -> dict[str, Any]:
        """The JSON that WeCom wants; the code says to whom."""
        return {"code": self.code, "msgid": self.msgid, **self.content}


@dataclass(frozen=True)
class TransKf(KfCommand):
    """Give a chat into other hands: 2 the pool, 3 a servicer. Twice leads to the same hands."""

    name = "TransKf"
    api = "kf/service_state/trans"

    state: int
    servicer: str = ""
    word: str = field(default="", repr=False)
    """What the customer is told, with the code that comes back."""

    def request(self) -> dict[str, Any]:
        """The JSON that WeCom wants."""
        asked = {"open_kfid": self.open_kfid, "external_userid": self.external_userid, "service_state": self.state}
        return asked | ({"servicer_userid": self.servicer} if self.servicer else {})


@dataclass(frozen=True)
class HandKf(TransKf):
    """The same, by one of us."""

    name = "HandKf"
    sender = "replies"


@dataclass(frozen=True)
class ReadKfState(KfCommand):
    """Look whose a chat is: WeCom has refused something because it is another's than we thought."""

    name = "ReadKfState"
    api = "kf/service_state/get"
    sender = "reads"

    def request(self) -> dict[str, Any]:
        """The JSON that WeCom wants."""
        return {"open_kfid": self.open_kfid, "external_userid": self.external_userid}


@dataclass(frozen=True)
class FetchFile(Command):
    """Fetch what a customer sent along, before WeCom drops it after three days."""

    name = "FetchFile"
    api = "media/get"
    lane = "files"
    sender = "reads"

    media_id: str
    kept_file: int
    """Our own id of where it is kept."""

    def request(self) -> dict[str, Any]:
        """What WeCom is asked for."""
        return {"media_id": self.media_id}


COMMANDS: Mapping[str, type[Command]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            SendWelcome,
            MarkTag,
            AddCorpTag,
            EditCorpTag,
            DeleteCorpTags,
            UpdateContactWay,
            DeleteContactWay,
            TransferCustomers,
            TransferCustomersOfLeaver,
            UploadMedia,
            TellMembers,
            TellRep,
            UpdateCard,
            MakeMass,
            MakeGroupMass,
            RemindMass,
            CancelMass,
            SendKf,
            ReplyKf,
            SendKfOnEvent,
            TransKf,
            HandKf,
            ReadKfState,
            FetchFile,
        )
    }
)


def revive(name: str, body: Mapping[str, Any]) -> Command:
    """The command that was kept under this name. Raises ``KeyError`` for a name nobody knows."""
    return COMMANDS[name](**body)
