"""What may be attached to a welcome or a mass message, and how long its words may be (wecom.md §4.9, §4.10).

Lengths are in bytes of UTF-8. WeCom refuses the whole message for one bad attachment, and says only 40058 or 41065.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

MAX_TEXT_BYTES = 4000
MAX_ATTACHMENTS = 9
MAX_BYTES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "image": {},
        "link": {"title": 128, "picurl": 2048, "desc": 512, "url": 2048},
        "miniprogram": {"title": 64},
        "video": {},
        "file": {},
    }
)
"""The kinds there are, and the longest that each of their fields may be."""
NEEDED: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "image": (),
        "link": ("title", "url"),
        "miniprogram": ("title", "pic_media_id", "appid", "page"),
        "video": ("media_id",),
        "file": ("media_id",),
    }
)
"""The fields without which WeCom takes none of that kind. A picture has a media_id or a pic_url."""


def check(text: str, attachments: Sequence[Mapping[str, Any]]) -> None:
    """Raise ``ValueError``, naming the place (from 1), unless WeCom would take this."""
    if not text and not attachments:
        raise ValueError("text and attachments are both empty")
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"the text has more than {MAX_TEXT_BYTES} bytes")
    if len(attachments) > MAX_ATTACHMENTS:
        raise ValueError(f"more than {MAX_ATTACHMENTS} attachments")
    for place, one in enumerate(attachments, 1):
        if trouble := trouble_with(one):
            raise ValueError(f"attachment {place}: {trouble}")


def trouble_with(attachment: Mapping[str, Any]) -> str:
    """Why WeCom would refuse an attachment; nothing where it would not."""
    kind = str(attachment.get("msgtype", ""))
    fields = attachment.get(kind)
    if kind not in MAX_BYTES or not isinstance(fields, Mapping):
        return f"{kind or 'it'} is no kind of attachment"
    missing = [name for name in NEEDED[kind] if not fields.get(name)]
    if kind == "image" and not (fields.get("media_id") or fields.get("pic_url")):
        missing = ["media_id"]
    long = [name for name, most in MAX_BYTES[kind].items() if len(str(fields.get(name) or "").encode()) > most]
    if missing:
        return f"{kind} without {missing[0]}"
    return f"{long[0]} has more than {MAX_BYTES[kind][long[0]]} bytes" if long else ""
