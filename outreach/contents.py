"""What a mass message carries: checked when it is written, made into what WeCom takes at the moment of asking.

An attachment is kept as a person chose it: ``{"kind": "link", "title": …, "url": …}``, pictures, videos and files by
our own number (``media``). WeCom keeps a file for three days only, so its own number is put in at the last moment.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from storage.tables import Media
from storage.work import Work
from tagging import pictures, placeholders
from wecom.attachments import MAX_ATTACHMENTS, MAX_BYTES, MAX_TEXT_BYTES

KINDS = ("image", "link", "miniprogram", "video", "file")
WITH_MEDIA = ("image", "miniprogram", "video", "file")
NEEDED: Mapping[str, Mapping[str, int]] = {
    "image": {},
    "link": {"title": MAX_BYTES["link"]["title"], "url": MAX_BYTES["link"]["url"]},
    "miniprogram": {"title": MAX_BYTES["miniprogram"]["title"], "appid": 64, "page": 1024},
    "video": {},
    "file": {},
}
"""The fields without which there is no such attachment, and how many bytes each may have."""
OPTIONAL = {"link": {"desc": MAX_BYTES["link"]["desc"], "picurl": MAX_BYTES["link"]["picurl"]}}
ADDRESSES = ("url", "picurl")
Problems = Iterator[tuple[str, str]]


def problems(db: Session, text: str, attachments: Sequence[Mapping[str, Any]]) -> Problems:
    """Everything that is wrong: pairs of a place (``text``, ``attachments``, ``attachments-0``) and what to do."""
    if not text.strip() and not attachments:
        yield "text", "写一段文字，或加一个附件"
    if placeholders.size_of(text) > MAX_TEXT_BYTES:
        yield "text", f"文字太长：最多 {MAX_TEXT_BYTES} 字节（约 {MAX_TEXT_BYTES // 3} 个汉字）"
    yield from (("text", words) for words in placeholders.problems(db, text))
    if len(attachments) > MAX_ATTACHMENTS:
        yield "attachments", f"附件最多 {MAX_ATTACHMENTS} 个"
    for number, one in enumerate(attachments):
        if trouble := trouble_with(db, one):
            yield f"attachments-{number}", trouble


def trouble_with(db: Session, one: Mapping[str, Any]) -> str:
    """Why this attachment cannot be sent; empty when it can."""
    kind = str(one.get("kind"))
    if kind not in KINDS:
        return f"附件的种类只能是 {'、'.join(KINDS)}"
    for name in NEEDED[kind]:
        if not str(one.get(name) or "").strip():
            return f"请填写{WORDS[name]}"
    for name, most in {**NEEDED[kind], **OPTIONAL.get(kind, {})}.items():
        given = str(one.get(name) or "")
        if len(given.encode()) > most:
            return f"{WORDS[name]}太长：最多 {most} 字节（约 {most // 3} 个汉字）"
        if name in ADDRESSES and given and not given.startswith(("https://", "http://")):
            return f"{WORDS[name]}要以 https:// 开头"
    return _media_trouble(db, kind, one) if kind in WITH_MEDIA else ""


WORDS = {
    "title": "标题",
    "url": "网址",
    "desc": "说明",
    "picurl": "封面图网址",
    "appid": "AppID",
    "page": "页面路径",
    "image": "图片",
    "miniprogram": "封面图",
    "video": "视频",
    "file": "文件",
}


def _media_trouble(db: Session, kind: str, one: Mapping[str, Any]) -> str:
    number = one.get("media")
    media = db.get(Media, int(number)) if isinstance(number, int) else None
    wanted = "image" if kind == "miniprogram" else kind
    if media is None or pictures.kind_of(media) != wanted:
        return f"请选择要发的{WORDS[kind]}"
    if media.trouble:
        return f"企业微信没有接受这个{WORDS[kind]}：{media.trouble}。请换一个"
    return ""


# --- at the last moment ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """Attachments as WeCom wants them, or why there are none yet."""

    attachments: list[dict[str, Any]]
    waits: bool = False
    """Whether something is still on its way to WeCom."""
    trouble: str = ""
    """Why it will never be there."""


def ready(work: Work, attachments: Sequence[Mapping[str, Any]]) -> Ready:
    """The attachments with WeCom's own numbers; what WeCom does not have any more is brought anew."""
    found: list[dict[str, Any]] = []
    waits = False
    for one in attachments:
        if "msgtype" in one:  # as WeCom wants it already
            found.append(dict(one))
            continue
        number = one.get("media")
        media = work.db.get(Media, int(number)) if number is not None else None
        if media is not None and media.trouble:
            return Ready([], trouble=f"企业微信没有接受{WORDS[str(one['kind'])]}：{media.trouble}")
        if number is not None and not pictures.alive(media, work.now):
            waits = True
            if media is not None:
                pictures.bring(work, media)
            continue
        found.append(_as_wecom_wants(one, media.media_id if media else None))
    return Ready([], waits=True) if waits else Ready(found)


def _as_wecom_wants(one: Mapping[str, Any], media_id: str | None) -> dict[str, Any]:
    kind = str(one["kind"])
    if kind == "link":
        fields = {name: one[name] for name in ("title", "picurl", "desc", "url") if one.get(name)}
    elif kind == "miniprogram":
        fields = {**{name: one[name] for name in ("title", "appid", "page")}, "pic_media_id": media_id}
    else:
        fields = {"media_id": media_id}
    return {"msgtype": kind, kind: fields}


def media_of(contents: Sequence[Mapping[str, Any]]) -> set[int]:
    """The numbers of everything that is sent along."""
    return {int(one["media"]) for each in contents for one in each.get("attachments") or () if one.get("media")}
