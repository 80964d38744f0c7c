"""What a 微信客服 message may say, type by type. Lengths are in bytes."""

from collections.abc import Callable, Mapping

from sandbox.call import Call, bounded
from sandbox.endpoints.attachments import check_media
from sandbox.errors import Refusal
from sandbox.facts import Json

TEXT_BYTES = 2048
MENU_ITEMS = 10
CA_LINK = "https://work.weixin.qq.com/ca/"

Field = tuple[str, int, bool]
"""A text's name, its bytes, and whether it must be there."""


def texts(part: Json, *fields: Field) -> None:
    """Check some texts of a part."""
    for name, size, needed in fields:
        value = part.get(name)
        if needed and not value:
            raise Refusal(40058, f"{name} is missing")
        if value is not None and not isinstance(value, str):
            raise Refusal(40058, f"{name} must be a string")
        bounded(value or "", size=size)


def text(_call: Call, part: Json) -> Json:
    """A text."""
    content = part.get("content")
    if not isinstance(content, str) or not content:
        raise Refusal(44004)
    bounded(content, size=TEXT_BYTES, too_long=45002)
    return part


def media(call: Call, part: Json) -> Json:
    """A file by media_id."""
    check_media(call, part.get("media_id"))
    return part


def link(call: Call, part: Json) -> Json:
    """A link with its picture."""
    texts(part, ("title", 128, True), ("desc", 512, False), ("url", 2048, True))
    check_media(call, part.get("thumb_media_id"))
    return part


def miniprogram(call: Call, part: Json) -> Json:
    """A mini-program with its picture."""
    texts(part, ("appid", 128, True), ("title", 64, False), ("pagepath", 1024, True))
    check_media(call, part.get("thumb_media_id"))
    return part


def location(_call: Call, part: Json) -> Json:
    """A place."""
    texts(part, ("name", 1024, False), ("address", 1024, False))
    if not all(isinstance(part.get(name), int | float) for name in ("latitude", "longitude")):
        raise Refusal(40058)
    return part


def business_card(call: Call, part: Json) -> Json:
    """A member's card."""
    call.world.visible_member(str(part.get("userid") or ""))
    return part


def ca_link(_call: Call, part: Json) -> Json:
    """An acquisition link."""
    texts(part, ("link_url", 2048, True))
    if not str(part["link_url"]).startswith(CA_LINK):
        raise Refusal(40058)
    return part


def msgmenu(_call: Call, part: Json) -> Json:
    """A menu: a head, up to ten entries, a foot."""
    texts(part, ("head_content", 1024, False), ("tail_content", 1024, False))
    entries = part.get("list", [])
    if not isinstance(entries, list):
        raise Refusal(40058)
    if len(entries) > MENU_ITEMS:
        raise Refusal(95008)
    for one in entries:
        check_entry(one)
    if not entries and not part.get("head_content"):
        raise Refusal(44004)
    return part


def check_entry(one: object) -> None:
    """One entry of a menu, by the table of its type."""
    kind = str(one.get("type")) if isinstance(one, dict) else ""
    if not isinstance(one, dict) or kind not in ENTRIES:
        raise Refusal(95009)
    inside = one.get(kind)
    if not isinstance(inside, dict):
        raise Refusal(40058)
    texts(inside, *ENTRIES[kind])


ENTRIES: Mapping[str, tuple[Field, ...]] = {
    "click": (("id", 64, False), ("content", 128, True)),
    "view": (("url", 2048, True), ("content", 1024, True)),
    "miniprogram": (("appid", 128, True), ("pagepath", 1024, True), ("content", 1024, True)),
    "text": (("content", 1024, True),),
}

CONTENTS: Mapping[str, Callable[[Call, Json], Json]] = {
    "text": text,
    "image": media,
    "voice": media,
    "video": media,
    "file": media,
    "link": link,
    "miniprogram": miniprogram,
    "msgmenu": msgmenu,
    "location": location,
    "business_card": business_card,
    "ca_link": ca_link,
}
