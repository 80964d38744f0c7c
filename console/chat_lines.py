"""The lines of a 微信客服 chat as they are shown: who said what, what came along, what became of it, what happened.

Whatever a customer sends is text on the page, never markup and never a link; what nobody knows is named as such.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from console.words import N_, _, listed, mark, said
from people.conversations import BOT, FAILED, KF_EVENT, KF_IN, LATE, NOT_SURE, REFUSED, SENT, WAITING
from storage.tables import Interaction, KeptFile

TYPE_WORDS: Mapping[str, str] = {
    "image": N_("图片"),
    "voice": N_("语音"),
    "video": N_("视频"),
    "file": N_("文件"),
    "location": N_("位置"),
    "link": N_("链接"),
    "business_card": N_("名片"),
    "miniprogram": N_("小程序"),
    "msgmenu": N_("菜单"),
    "channels": N_("视频号"),
    "channels_shop_product": N_("商品"),
    "channels_shop_order": N_("订单"),
    "merged_msg": N_("聊天记录"),
    "meeting": N_("会议"),
    "schedule": N_("日程"),
    "note": N_("笔记"),
}
"""Messages that are more than a text."""
CARRIED = (
    *("head", "title", "name", "nickname", "address", "description", "price", "shop", "state", "order_id"),
    *("userid", "url", "tail"),
)
"""What of such a message is worth reading, in this order."""
MOST_ITEMS = 20
EVENT_WORDS: Mapping[str, str] = {
    "enter_session": N_("客户打开了聊天"),
    "msg_send_fail": N_("一条消息没有送达"),
    "user_recall_msg": N_("客户撤回了一条消息"),
    "servicer_recall_msg": N_("%(servicer)s 撤回了一条消息"),
    "handed_over": N_("%(by)s 把会话转给 %(to)s"),
    "ended": N_("%(by)s 结束了会话"),
    "rated": N_("客户评价：%(rating)s 星"),
    "bot_silent": N_("机器人停下了：%(why)s"),
}
CHANGES: Mapping[int, str] = {
    1: N_("%(to)s 接入了会话"),
    2: N_("%(from)s 把会话转给 %(to)s"),
    3: N_("%(from)s 结束了会话"),
    4: N_("%(to)s 重新接入了会话"),
}
"""A session_status_change by its change_type."""
FATE_WORDS: Mapping[str, tuple[str, str]] = {
    WAITING: (N_("正在发送"), "info"),
    NOT_SURE: (N_("不知道有没有送达"), "warn"),
    REFUSED: (N_("企业微信没有收下"), "bad"),
    LATE: (N_("过了时限，没有发出"), "bad"),
    FAILED: (N_("没有送达"), "bad"),
}


@dataclass(frozen=True)
class Mark:
    """What is to be known of a line: it was recalled, it did not arrive, the bot was silent."""

    words: str
    tone: str = "quiet"


@dataclass(frozen=True)
class Line:
    """One line as it is shown."""

    row: Interaction
    side: str
    """``in``, ``out``, or ``event``."""
    who: str
    kind: str
    """What it is, where it is more than a text."""
    text: str
    carried: tuple[str, ...]
    menu: tuple[str, ...]
    marks: tuple[Mark, ...]
    file: KeptFile | None

    @property
    def shown_picture(self) -> KeptFile | None:
        """The picture to show within the page, if it is one and we have it."""
        kept = self.file is not None and self.file.state == "kept" and self.file.content_type.startswith("image/")
        return self.file if kept else None


def line(row: Interaction, file: KeptFile | None, names: Mapping[str, str]) -> Line:
    """A line of a chat with everything the page says of it; ``names`` of ours by userid."""
    details = row.details
    if row.kind == KF_EVENT:
        return Line(row, "event", "", "", happened(details, names), (), (), (), None)
    kind = str(details.get("type") or "")
    known = TYPE_WORDS.get(kind)
    return Line(
        row=row,
        side="in" if row.kind == KF_IN else "out",
        who="" if row.kind == KF_IN else _called(details.get("by"), names),
        kind=_(known) if known else "" if kind == "text" or details.get("text") else _("还看不懂的消息，已原样保存"),
        text=str(details.get("text") or ""),
        carried=tuple(_carried(details)) if known else (),
        menu=tuple(str(one) for one in details.get("menu") or ()),
        marks=tuple(_marks(row, file)),
        file=file,
    )


def people_in(rows: list[Interaction]) -> set[str]:
    """Everybody of ours whom these lines name, by userid."""
    fields = ("by", "to", "from", "servicer", "recalled_by")
    return {str(one.details[name]) for one in rows for name in fields if one.details.get(name)}


def _called(who: object, names: Mapping[str, str]) -> str:
    return _("机器人") if who == BOT else names.get(str(who), str(who)) if who else _("未知")


def happened(details: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """What an event was, in one line."""
    kind = str(details.get("type") or "")
    values = {
        "by": _called(details.get("by"), names),
        "to": _called(details.get("to"), names),
        "from": _called(details.get("from"), names),
        "servicer": _called(details.get("servicer"), names),
        "rating": details.get("rating") or 0,
        "why": said(str(details.get("why") or "")),
    }
    if kind == "handed_over" and not details.get("to"):
        return _("%(by)s 把会话转为等待接入", by=values["by"])
    if kind == "session_status_change":
        change = details.get("change_type")
        words = CHANGES.get(change) if isinstance(change, int) else None
        return _(words, **values) if words else _("会话换了接待")
    if kind == "reject_customer_msg_switch_change":
        turned_on = details.get("rejects") == 1
        return _("接待人员不再接收这位客户的消息") if turned_on else _("接待人员重新接收这位客户的消息")
    return _(EVENT_WORDS[kind], **values) if kind in EVENT_WORDS else _("微信客服的通知：%(kind)s", kind=kind)


def _carried(details: Mapping[str, Any]) -> Iterator[str]:
    """What a message carries beside its text."""
    for name in CARRIED:
        if isinstance(value := details.get(name), str | int) and value != "":
            yield str(value)
    for one in _listed(details.get("entries")):
        clicked = one.get("click")
        yield str((clicked if isinstance(clicked, Mapping) else one).get("text") or "")
    for one in _listed(details.get("items")):
        yield f"{one.get('sender') or ''}{mark('：')}{one.get('content') or ''}"


def _listed(given: object) -> list[Mapping[str, Any]]:
    return [one for one in given[:MOST_ITEMS] if isinstance(one, Mapping)] if isinstance(given, list) else []


def _marks(row: Interaction, file: KeptFile | None) -> Iterator[Mark]:
    details = row.details
    if details.get("blanked"):
        yield Mark(_("内容已过保存期限，已删除"))
    if details.get("recalled_at"):
        yield Mark(_("已撤回"), "warn")
    fate = str(details.get("fate") or SENT)
    if fate in FATE_WORDS:
        words, tone = FATE_WORDS[fate]
        why = said(str(details.get("why") or ""))
        yield Mark(f"{_(words)}{mark('：')}{why}" if why else _(words), tone)
    if details.get("notice"):
        yield Mark(_("附上了隐私说明"))
    yield from _by_the_bot(row)
    if file is not None and file.state != "kept":
        yield _file_mark(file)


def _by_the_bot(row: Interaction) -> Iterator[Mark]:
    """What the bot made of it, and why."""
    details = row.details
    answer = details.get("answer")
    if isinstance(answer, Mapping) and row.kind != KF_IN:
        parts = [_("自动回复“%(name)s”", name=answer.get("name") or ""), said(str(answer.get("because") or ""))]
        yield Mark(listed([one for one in parts if one], "："))
    elif details.get("welcome"):
        yield Mark(_("打开聊天时的欢迎语"))
    if details.get("handed_over"):
        yield Mark(_("要找人，已转给接待人员"), "info")
    if details.get("silent"):
        yield Mark(_("机器人没有回答：%(why)s", why=said(str(details["silent"]))))


def _file_mark(file: KeptFile) -> Mark:
    if file.state == "waiting":
        return Mark(_("正在取回"), "info")
    if file.state == "erased":
        return Mark(_("已删除"))
    return Mark(_("没有取到：%(why)s", why=said(file.detail)), "bad")
