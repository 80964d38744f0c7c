"""The client's side of the JS-SDK: what a page in the chat's toolbar may ask for (wecom.md §4.5, A17).

A page shows two signatures: `wx.config` with the corp's ticket, then `wx.agentConfig` with the app's. Each is
recomputed here over the page's own address; only then the page may ask in which chat it stands, and write into it.
Answers are worded as the client words them: `<function>:ok` or `<function>:fail …`. Everything about the browser
(the script `static/wx.js` in the product's page, the frame around it `static/client.js`) ends here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from sandbox.credentials import js_signature
from sandbox.errors import MEANINGS
from sandbox.facts import App, ChatLine, JsGrant, Json
from sandbox.mass import MassSending

CORP_TICKET, APP_TICKET = "jsapi", "agent_config"
TOOLBAR, GROUP_TOOLBAR = "single_chat_tools", "group_chat_tools"
NO_PERMISSION, NO_CUSTOMER, NO_GROUP = (
    "no permission",
    "without context of external contact",
    "without context of external chat",
)
FILES = ("image", "video", "file")


class Place(NamedTuple):
    """Where a page stands: whose client, beside which customer's or group's chat, has the rep just tapped."""

    userid: str
    external_userid: str
    tapped: bool = False
    chat_id: str = ""


class JsClient(MassSending):
    """The corp, and the pages in its members' clients."""

    def toolbar_of(self, app: App) -> str:
        """The address of an app's page in the chat's toolbar; nothing where the app has none."""
        return app.toolbar or (
            urljoin(app.home or app.callback_url, "/sidebar") if app.home or app.callback_url else ""
        )

    def check_js_signature(
        self, kind: str, agent_id: int, noncestr: str, timestamp: str | int, url: str, signature: str
    ) -> bool:
        """Whether wx.config (kind "jsapi") or wx.agentConfig ("agent_config") would accept this signature."""
        ticket, _ = self.tickets.ask(kind, agent_id)
        return js_signature(ticket, noncestr, timestamp, url) == signature

    # --- wx.config, wx.agentConfig ----------------------------------------------------------------------------

    def js_config(self, url: str, settings: Mapping[str, object]) -> Json:
        """wx.config of a page. With `config:ok` comes a leave, good for wx.agentConfig."""
        with self.acting():
            if settings.get("appId") != self.corp_id:
                return failed("config", 40013)
            if not self._is_signed(CORP_TICKET, 0, url, settings):
                return failed("config", 40093)
            return {"errMsg": "config:ok", "leave": self._give_leave(JsGrant(0, page_of(url), frozenset()))}

    def js_agent_config(self, url: str, settings: Mapping[str, object], leave: str) -> Json:
        """wx.agentConfig of a page that has been through wx.config; the corp's ticket will not do: 42012."""
        with self.acting():
            known, agentid = self.js_grants.get(leave), str(settings.get("agentid", ""))
            app = self.apps.get(int(agentid)) if agentid.isdigit() else None
            errcode = self._trouble(known, app, url, settings)
            if errcode or app is None:
                return failed("agentConfig", errcode)
            wanted = settings.get("jsApiList")
            functions = frozenset(str(one) for one in wanted) if isinstance(wanted, list) else frozenset()
            given = self._give_leave(JsGrant(app.agent_id, page_of(url), functions))
            return {"errMsg": "agentConfig:ok", "leave": given}

    def _trouble(self, known: JsGrant | None, app: App | None, url: str, settings: Mapping[str, object]) -> int:
        """Why wx.agentConfig is refused, or 0."""
        if settings.get("corpid") != self.corp_id:
            return 40013
        if app is None:
            return 40056
        if app.trusted_domain and urlsplit(url).netloc != app.trusted_domain:
            return 50001
        if self._is_signed(APP_TICKET, app.agent_id, url, settings):
            return 0 if known is not None and known.url == page_of(url) else 40093
        return 42012 if self._is_signed(CORP_TICKET, 0, url, settings) else 40093

    def _is_signed(self, kind: str, agent_id: int, url: str, settings: Mapping[str, object]) -> bool:
        nonce, timestamp, signature = (str(settings.get(one, "")) for one in ("nonceStr", "timestamp", "signature"))
        return self.check_js_signature(kind, agent_id, nonce, timestamp, url, signature)

    def _give_leave(self, grant: JsGrant) -> str:
        leave = self.new_id("", 32)
        self.js_grants[leave] = grant
        return leave

    # --- wx.invoke --------------------------------------------------------------------------------------------

    def js_invoke(
        self,
        function: str,
        settings: Mapping[str, object],
        leave: str,
        userid: str,
        external_userid: str = "",
        *,
        tapped: bool = False,
        chat_id: str = "",
    ) -> Json:
        """One call of a page that stands beside a chat (or beside none)."""
        with self.acting():
            grant = self.js_grants.get(leave)
            if function not in FUNCTIONS:
                return {"err_msg": f"{function}:fail function not exist"}
            if grant is None or function not in grant.functions:
                return {"err_msg": f"{function}:fail {NO_PERMISSION}"}
            place = Place(self.member(userid).userid, "" if chat_id else external_userid, tapped, chat_id)
            return FUNCTIONS[function](self, self.apps[grant.agent_id], place, settings)

    def get_context(self, _app: App, place: Place, _settings: Mapping[str, object]) -> Json:
        """From where the page was opened."""
        beside = TOOLBAR if place.external_userid else "normal"
        return {"err_msg": "getContext:ok", "entry": GROUP_TOOLBAR if place.chat_id else beside, "shareTicket": ""}

    def current_customer(self, app: App, place: Place, _settings: Mapping[str, object]) -> Json:
        """Whose chat it is."""
        if not app.customer_contact or not self.member(place.userid).can_have_customers():
            return {"err_msg": f"getCurExternalContact:fail {NO_PERMISSION}"}
        if self.relations.find(place.userid, place.external_userid) is None:
            return {"err_msg": f"getCurExternalContact:fail {NO_CUSTOMER}"}
        return {"err_msg": "getCurExternalContact:ok", "userId": place.external_userid}

    def current_group(self, app: App, place: Place, _settings: Mapping[str, object]) -> Json:
        """Which group's chat it is."""
        if not app.customer_contact or not self.member(place.userid).can_have_customers():
            return {"err_msg": f"getCurExternalChat:fail {NO_PERMISSION}"}
        if place.chat_id not in self.groups:
            return {"err_msg": f"getCurExternalChat:fail {NO_GROUP}"}
        return {"err_msg": "getCurExternalChat:ok", "chatId": place.chat_id}

    def send_in_chat(self, _app: App, place: Place, settings: Mapping[str, object]) -> Json:
        """Write into the chat, which takes a tap of the rep's."""
        row = self.relations.find(place.userid, place.external_userid)
        said = content_of(settings)
        if row is None:
            return {"err_msg": f"sendChatMessage:fail {NO_CUSTOMER}"}
        if said is None or not self._has_file(said):
            return {"err_msg": "sendChatMessage:fail invalid parameter"}
        if not place.tapped:
            return {"err_msg": "sendChatMessage:fail without a tap of the user"}
        if row.status != "active":
            return {"err_msg": "sendChatMessage:fail not a friend"}
        text = str(said["text"].get("content", "")) if said["msgtype"] == "text" else ""
        row.chatted = True
        line = ChatLine("rep", text, self.clock.now(), () if text else (said,))
        self.chats[row.userid, row.external_userid].append(line)
        return {"err_msg": "sendChatMessage:ok"}

    def _has_file(self, said: Json) -> bool:
        """Whether the file a message names is there; one without a file names none."""
        return said["msgtype"] not in FILES or said[said["msgtype"]].get("mediaid") in self.media


Function = Callable[[JsClient, App, Place, Mapping[str, object]], Json]
FUNCTIONS: Mapping[str, Function] = {
    "getContext": JsClient.get_context,
    "getCurExternalContact": JsClient.current_customer,
    "getCurExternalChat": JsClient.current_group,
    "sendChatMessage": JsClient.send_in_chat,
}
"""What a page can call through wx.invoke."""
NEEDED: Mapping[str, Sequence[str]] = {
    "text": ("content",),
    "image": ("mediaid",),
    "video": ("mediaid",),
    "file": ("mediaid",),
    "news": ("link",),
    "miniprogram": ("appid", "title", "page"),
}
"""What a message must have, by its type."""


def content_of(settings: Mapping[str, object]) -> Json | None:
    """The message of a sendChatMessage as an attachment of its type; None where it is none."""
    kind = str(settings.get("msgtype", ""))
    part = settings.get(kind)
    if kind not in NEEDED or not isinstance(part, dict) or not all(part.get(name) for name in NEEDED[kind]):
        return None
    return {"msgtype": kind, kind: part}


def page_of(url: str) -> str:
    """A page's address without what comes behind the #."""
    return url.split("#", 1)[0]


def failed(function: str, errcode: int) -> Json:
    """A refusal as the client words it."""
    return {"errMsg": f"{function}:fail {MEANINGS[errcode]}", "errCode": errcode}
