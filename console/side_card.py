"""What a tap sends: a card's text and attachments as ``sendChatMessage`` of WeCom's client takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.words import N_
from outreach import contents
from storage.tables import RepCard
from storage.work import Work

KIND_WORDS = {
    "image": N_("图片"),
    "link": N_("链接"),
    "miniprogram": N_("小程序"),
    "video": N_("视频"),
    "file": N_("文件"),
}


@dataclass(frozen=True)
class Part:
    """One message besides the text."""

    kind: str
    title: str
    message: Mapping[str, Any]
    """What the client is given."""


@dataclass(frozen=True)
class Parts:
    """Everything besides the text, or why it cannot be sent (yet)."""

    parts: Sequence[Part]
    waits: bool = False
    trouble: str = ""


def parts_of(work: Work, card: RepCard) -> Parts:
    """The attachments of a card; what WeCom does not have any more is on its way to it."""
    ready = contents.ready(work, card.attachments)
    return Parts([_part(one) for one in ready.attachments], ready.waits, ready.trouble)


def _part(one: Mapping[str, Any]) -> Part:
    kind = str(one["msgtype"])
    fields: Mapping[str, Any] = one[kind]
    return Part(kind, str(fields.get("title") or ""), {"msgtype": _NAMES.get(kind, kind), **_content(kind, fields)})


_NAMES = {"link": "news"}


def _content(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "link":
        return {
            "news": {
                "link": fields["url"],
                "title": fields["title"],
                "desc": fields.get("desc") or "",
                "imgUrl": fields.get("picurl") or "",
            }
        }
    if kind == "miniprogram":
        page = str(fields["page"])
        path, mark, query = page.partition("?")
        path = path if path.endswith(".html") else f"{path}.html"  # the client wants it, mass messages do not
        return {"miniprogram": {"appid": fields["appid"], "title": fields["title"], "page": f"{path}{mark}{query}"}}
    return {kind: {"mediaid": fields["media_id"]}}
