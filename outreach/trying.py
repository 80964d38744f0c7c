"""A broadcast tried out on its maker: the content comes as messages of our app.

A mass task itself cannot be tried: whatever WeCom makes of one goes to customers as soon as a rep confirms it. So the
texts and attachments are what customers will see, the frame around them is not.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from outreach import contents, links, telling
from outreach.broadcasts import CannotDo
from people.tasks import rep_key
from storage.tables import Broadcast, Material
from storage.work import Work
from tagging.placeholders import LINK
from wecom.commands import MAX_MESSAGE_BYTES, TellRep, text_to

INTRODUCED = "【试发】“{name}”：客户会收到下面的内容。这是应用消息，群发任务本身不能试发。"
WORDING = "第 {n} 种文字："


def try_out(work: Work, broadcast: Broadcast, userid: str) -> int:
    """Ask for the messages; how many. Raises ``CannotDo``."""
    known = telling.member(work, userid)
    if known is None:
        raise CannotDo(("", "你不在企业微信的成员里，收不到试发"))
    ready = contents.ready(work, broadcast.contents[0]["attachments"])
    if ready.trouble:
        raise CannotDo(("", ready.trouble))
    if ready.waits:
        raise CannotDo(("", "图片、视频或文件还在传到企业微信，请过一分钟再试"))
    texts = [_filled(work.db, str(one["text"]), known.name or known.userid) for one in broadcast.contents]
    messages = list(_messages(broadcast.name, known.userid, texts, ready.attachments))
    for number, one in enumerate(messages):
        once = f"try:{broadcast.id}:{int(work.now.timestamp())}:{number}"
        work.ask(one, once=once, key=rep_key(known.userid))
    return len(messages)


def _filled(db: Session, text: str, name: str) -> str:
    """The text with the maker's own name, and links as where they lead: nothing of a try is to be counted."""

    def target(number: int) -> str:
        material = db.get(Material, number)
        return links.url_of(material) if material is not None else ""

    return LINK.sub(lambda match: target(int(match[1])), text).replace("{rep}", name)


def _messages(name: str, userid: str, texts: list[str], files: list[dict[str, Any]]) -> Iterator[TellRep]:
    yield text_to(userid, INTRODUCED.format(name=name))
    for number, text in enumerate(texts, start=1):
        if len(texts) > 1:
            yield text_to(userid, WORDING.format(n=number))
        for piece in pieces(text):
            yield text_to(userid, piece)
    for file in files:
        yield _file(userid, file)


def pieces(text: str, most: int = MAX_MESSAGE_BYTES) -> Iterator[str]:
    """A text in parts that one message of the app takes each, cut at a line where there is one."""
    while text:
        part = text.encode()[:most].decode(errors="ignore")
        if len(part) < len(text) and (line := part.rfind("\n")) > 0:
            part = part[: line + 1]
        yield part
        text = text[len(part) :]


def _file(userid: str, file: Mapping[str, Any]) -> TellRep:
    kind = str(file["msgtype"])
    fields = file[kind]
    if kind == "link":
        article = {name: fields[theirs] for name, theirs in ARTICLE.items() if fields.get(theirs)}
        return TellRep(userid, "news", {"articles": [article]})
    if kind == "miniprogram":
        return text_to(userid, f"[小程序] {fields['title']}\n{fields['appid']} {fields['page']}")
    return TellRep(userid, kind, {"media_id": fields["media_id"]})


ARTICLE = {"title": "title", "description": "desc", "url": "url", "picurl": "picurl"}
