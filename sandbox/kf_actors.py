"""What happens at a 微信客服 account: customers enter, write, click; servicers take over, answer, end.

Every act becomes an item of the account's list, which the product pulls; see `kf`.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from sandbox.facts import KF_ENDED, KF_HUMAN, KF_NEW, KF_POOL, Json, KfServicer, KfSession, KfVisit, Media
from sandbox.kf import KfDesk

FROM_POOL, PASSED_ON, ENDED, TAKEN_UP_AGAIN = 1, 2, 3, 4
"""The change_type of a session_status_change."""
FILES: Mapping[str, tuple[str, str, bytes]] = {
    "image": ("photo.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(64)),
    "voice": ("voice.amr", "audio/amr", b"#!AMR\n" + bytes(64)),
    "video": ("video.mp4", "video/mp4", bytes(4) + b"ftypmp42" + bytes(64)),
    "file": ("订单.pdf", "application/pdf", b"%PDF-1.4\n" + bytes(64)),
}
"""What stands in for a customer's own file, by type: name, content type, bytes."""
SAMPLES: Mapping[str, Json] = {
    "location": {"latitude": 31.23, "longitude": 121.47, "name": "豆子咖啡人民广场店", "address": "西藏中路 268 号"},
    "link": {"title": "本周豆单", "desc": "云南水洗", "url": "https://shop.example/beans", "pic_url": ""},
    "business_card": {"userid": "lisi"},
    "miniprogram": {
        "title": "豆子咖啡",
        "appid": "wx0000000000000001",
        "pagepath": "pages/index",
        "thumb_media_id": "thumb",
    },
    "msgmenu": {"head_content": "想喝什么", "list": [{"type": "click", "click": {"id": "1", "content": "拿铁"}}]},
    "channels": {"sub_type": 1, "nickname": "豆子咖啡", "title": "一杯手冲的三分钟"},
    "channels_shop_product": {
        "product_id": "1000",
        "head_img": "https://shop.example/p.png",
        "title": "挂耳咖啡 10 片",
        "sales_price": "59.00",
        "shop_nickname": "豆子咖啡",
        "shop_head_img": "https://shop.example/s.png",
    },
    "channels_shop_order": {
        "order_id": "3700000000000000",
        "product_titles": "挂耳咖啡 10 片",
        "price_wording": "¥59.00",
        "state": "待发货",
        "image_url": "https://shop.example/p.png",
        "shop_nickname": "豆子咖啡",
    },
    "merged_msg": {
        "title": "小雨和阿哲的聊天记录",
        "item": [
            {"send_time": 1_763_000_000, "msgtype": "text", "sender_name": "阿哲", "msg_content": '{"content":"好喝"}'}
        ],
    },
}
"""A payload for each type a test need not care about. meeting, schedule and note have none."""


class KfActors(KfDesk):
    """The service desk, and the people on both sides of it."""

    # --- customers --------------------------------------------------------------------------------------------

    def kf_enter(
        self,
        open_kfid: str,
        name: str = "小雨",
        external_userid: str | None = None,
        *,
        unionid: str | None = None,
        scene: str = "",
        scene_param: str = "",
        wechat_channels: Json | None = None,
    ) -> KfVisit:
        """A customer opens the chat of an account; a scene_param comes only with a scene."""
        with self.acting():
            account = self.kf_accounts[open_kfid]
            customer = self.new_customer(name, external_userid=external_userid, unionid=unionid)
            session = self.kf_session(open_kfid, customer.external_userid)
            session.scene, session.scene_param = scene, scene_param if scene else ""
            session.wechat_channels = wechat_channels or {}
            code = self.give_kf_code("enter", session) if self.may_welcome(account, session) else ""
            told: Json = {"external_userid": customer.external_userid, "scene": scene, "scene_param": ""}
            told |= {"scene_param": session.scene_param} | ({"welcome_code": code} if code else {})
            told |= {"wechat_channels": wechat_channels} if wechat_channels else {}
            msgid = self.kf_event(open_kfid, "enter_session", **told)
            return KfVisit(open_kfid, customer.external_userid, msgid, code)

    def kf_follow_link(self, url: str, name: str = "小雨", external_userid: str | None = None) -> KfVisit:
        """A customer opens a link made by kf/add_contact_way, with a scene_param behind it perhaps."""
        address, _, query = url.partition("?")
        asked = dict(parse_qsl(query))
        open_kfid, scene = self.kf_links[asked.get("enc_scene", address.rsplit("/", 1)[-1])]
        return self.kf_enter(open_kfid, name, external_userid, scene=scene, scene_param=asked.get("scene_param", ""))

    def kf_say(
        self,
        open_kfid: str,
        external_userid: str,
        text: str = "",
        *,
        menu_id: str = "",
        msgtype: str = "text",
        payload: Json | None = None,
    ) -> str:
        """The customer sends something, of any type known or unknown; its msgid. It opens the 48 hours anew."""
        with self.acting():
            session = self.kf_session(open_kfid, external_userid)
            if self.state_of_session(session) == KF_ENDED:
                session.state, session.servicer = KF_NEW, ""
            session.said_at, session.sent = self.clock.now(), 0
            return self.kf_message(session, msgtype, self._payload(msgtype, text, menu_id, payload))

    def kf_click(self, open_kfid: str, external_userid: str, menu_id: str) -> str:
        """The customer presses an entry of the latest menu that has it: its words are said, with its id."""
        lines = reversed(self.kf_chat(open_kfid, external_userid))
        entries = (one["click"] for line in lines for one in line.content.get("list", ()) if one["type"] == "click")
        entry = next((one for one in entries if one.get("id") == menu_id), None)
        if entry is None:
            raise KeyError(f"no menu in this chat has the entry {menu_id}")
        return self.kf_say(open_kfid, external_userid, entry["content"], menu_id=menu_id)

    def kf_send_file(
        self, open_kfid: str, external_userid: str, kind: str = "file", data: bytes | str = b"", filename: str = ""
    ) -> str:
        """The customer sends an image, voice, video or file; its msgid."""
        media_id = self.customer_media(kind, data, filename)
        return self.kf_say(open_kfid, external_userid, msgtype=kind, payload={"media_id": media_id})

    def customer_media(self, kind: str, data: bytes | str = b"", filename: str = "") -> str:
        """A file of a customer, to be fetched with media/get for three days."""
        usual, content_type, sample = FILES[kind]
        body = data.encode() if isinstance(data, str) else data
        with self.lock:
            media_id = self.new_id("", 64)
            name = filename or usual
            self.media[media_id] = Media(media_id, kind, name, content_type, body or sample, self.clock.now())
            return media_id

    def kf_refuse(self, open_kfid: str, external_userid: str, on: bool = True) -> None:
        """The customer takes no more messages of this account (or takes them again)."""
        with self.lock:
            self.kf_session(open_kfid, external_userid).refuses = on

    def kf_recall(self, open_kfid: str, external_userid: str, msgid: str) -> None:
        """Whoever wrote a message takes it back: the customer, or the servicer."""
        with self.acting():
            line = next(one for one in self.kf_chat(open_kfid, external_userid) if one.msgid == msgid)
            line.fate = "recalled"
            who = {"external_userid": external_userid, "recall_msgid": msgid}
            if line.who == "servicer":
                self.kf_event(open_kfid, "servicer_recall_msg", **who, servicer_userid=line.servicer)
            else:
                self.kf_event(open_kfid, "user_recall_msg", **who)

    def _payload(self, msgtype: str, text: str, menu_id: str, payload: Json | None) -> Json:
        if payload is not None:
            return payload
        if msgtype == "text":
            return {"content": text} | ({"menu_id": menu_id} if menu_id else {})
        if msgtype in FILES:
            return {"media_id": self.customer_media(msgtype)}
        return dict(SAMPLES.get(msgtype, {}))

    # --- servicers --------------------------------------------------------------------------------------------

    def kf_take(self, open_kfid: str, servicer: str, external_userid: str) -> str:
        """A servicer takes a customer out of the pool, or an ended session up again; the msg_code, if there is one."""
        with self.acting():
            session = self._open_session(open_kfid, external_userid, KF_POOL, KF_ENDED)
            again, userid = session.state == KF_ENDED, self._servicer(open_kfid, servicer).userid
            session.state, session.servicer = KF_HUMAN, userid
            code = "" if again else self.give_kf_code("human", session)
            self._status(session, TAKEN_UP_AGAIN if again else FROM_POOL, new=userid, code=code)
            return code

    def kf_servicer_says(
        self,
        open_kfid: str,
        servicer: str,
        external_userid: str,
        text: str = "",
        *,
        msgtype: str = "text",
        payload: Json | None = None,
    ) -> str:
        """The servicer writes to his customer in the client; the msgid."""
        with self.acting():
            session = self._open_session(open_kfid, external_userid, KF_HUMAN)
            userid = self.member(servicer).userid
            if session.servicer != userid:
                raise ValueError(f"{external_userid} is served by {session.servicer}")
            return self.kf_message(session, msgtype, self._payload(msgtype, text, "", payload), userid)

    def kf_pass_on(self, open_kfid: str, external_userid: str, servicer: str) -> None:
        """The servicer hands his customer to another one."""
        with self.acting():
            session = self._open_session(open_kfid, external_userid, KF_HUMAN)
            old, session.servicer = session.servicer, self._servicer(open_kfid, servicer).userid
            self._status(session, PASSED_ON, old=old, new=session.servicer)

    def kf_end(self, open_kfid: str, external_userid: str) -> str:
        """The servicer ends the session; the msg_code."""
        with self.acting():
            session = self._open_session(open_kfid, external_userid, KF_HUMAN)
            old, session.servicer, session.state = session.servicer, "", KF_ENDED
            code = self.give_kf_code("end", session)
            self._status(session, ENDED, old=old, code=code)
            return code

    def kf_receiving(self, open_kfid: str, servicer: str, on: bool, stop_type: int = 0) -> None:
        """A servicer begins to receive customers, or stops."""
        with self.acting():
            found = self._servicer(open_kfid, servicer)
            found.receiving, found.stop_type = on, stop_type
            status: Json = {"status": 1} if on else {"status": 2, "stop_type": stop_type}
            self.kf_event(open_kfid, "servicer_status_change", servicer_userid=found.userid, **status)

    def kf_reject(self, open_kfid: str, servicer: str, external_userid: str, on: bool = True) -> None:
        """A servicer turns the switch that keeps a customer's messages away."""
        with self.acting():
            who = {"servicer_userid": self._servicer(open_kfid, servicer).userid, "external_userid": external_userid}
            self.kf_event(open_kfid, "reject_customer_msg_switch_change", **who, reject_switch=int(on))

    def _servicer(self, open_kfid: str, userid: str) -> KfServicer:
        found = self.kf_servicer(self.kf_accounts[open_kfid], userid)
        if found is None:
            raise KeyError(f"{userid} answers not for {open_kfid}")
        return found

    def _open_session(self, open_kfid: str, external_userid: str, *states: int) -> KfSession:
        session = self.kf_session(open_kfid, external_userid)
        if not self.kf_window_open(session) or session.state not in states:
            raise ValueError(f"the session is in state {self.state_of_session(session)}")
        return session

    def _status(self, session: KfSession, change: int, *, old: str = "", new: str = "", code: str = "") -> None:
        told: Json = {"external_userid": session.external_userid, "change_type": change}
        named = {"old_servicer_userid": old, "new_servicer_userid": new, "msg_code": code}
        told |= {name: value for name, value in named.items() if value}
        self.kf_event(session.open_kfid, "session_status_change", **told)
        self.kf_note(session, "kf_ended" if change == ENDED else "kf_taken", new)
