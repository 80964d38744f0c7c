"""What we ask of WeCom later, as frozen values in the imperative. The outbox keeps them as a name and a JSON body.

``harmless`` says whether making the call twice does no harm; ``sender`` is the switch of watch mode that silences it.
To add a command: a class here, a row in ``COMMANDS``, and if its outcome matters one in ``scheduler.delivery.AFTER``.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar

PLACEHOLDER = re.compile(r"\{(name|rep|channel)\}")
NAME_WITH_SPACE = re.compile(r"[ \u3000]*\{name\}")
MAX_WELCOME_BYTES = 4000


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
class UploadMedia(Command):
    """Bring a picture to WeCom, where it lives for three days."""

    name = "UploadMedia"
    api = "media/upload"

    media: int
    """Our own id of it; its bytes are read at the moment of sending."""


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
            UploadMedia,
            TellMembers,
        )
    }
)


def revive(name: str, body: Mapping[str, Any]) -> Command:
    """The command that was kept under this name. Raises ``KeyError`` for a name nobody knows."""
    return COMMANDS[name](**body)
