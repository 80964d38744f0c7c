"""Videos and files we send along: kept once beside the pictures (``tagging.pictures``), and brought to WeCom alike.

Nobody's file name is believed: it is shown to customers as it was sent, without path and without control characters.
A video is one by its content; what a file holds is its sender's business, and no page of ours ever opens it.
"""

import hashlib
import unicodedata

from sqlalchemy import select

from storage.rows import insert_new
from storage.tables import Media
from storage.work import Work
from tagging import pictures

VIDEO, FILE = "video", "file"
MIN_BYTES = 6
MAX_BYTES = {VIDEO: 10 * 1024 * 1024, FILE: 20 * 1024 * 1024}
CONTENT_TYPES = {VIDEO: "video/mp4", FILE: "application/octet-stream"}
MAX_NAME = 60


class NotAFile(ValueError):
    """Why this cannot be sent along, in words for the person who chose it."""


def keep(work: Work, kind: str, data: bytes, name: str) -> Media:
    """Keep a ``video`` or ``file`` once, and ask for its upload at once. Raises ``NotAFile``."""
    _check(kind, data)
    digest = hashlib.sha256(kind.encode() + b"|" + clean_name(name, kind).encode() + b"|" + data).hexdigest()
    row = {
        "digest": digest,
        "file_name": clean_name(name, kind),
        "content_type": CONTENT_TYPES[kind],
        "size": len(data),
        "content": data,
        "created_at": work.now,
    }
    insert_new(work.db, Media, [row], ["digest"])
    media = work.db.scalars(select(Media).where(Media.digest == digest)).one()
    pictures.bring(work, media)
    return media


def _check(kind: str, data: bytes) -> None:
    if kind == VIDEO and not (MIN_BYTES <= len(data) <= MAX_BYTES[VIDEO] and data[4:8] == b"ftyp"):
        raise NotAFile("只接受 MP4 视频（看内容，不看文件名），不超过 10 MB；请压缩或另存为 MP4 后再传")
    if not MIN_BYTES <= len(data) <= MAX_BYTES[FILE]:
        raise NotAFile("文件要大于 5 字节、不超过 20 MB，请压缩后再传")


def clean_name(name: str, kind: str) -> str:
    """What customers see the file called: the last part of its path, on one line, at most sixty characters."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(sign for sign in last if unicodedata.category(sign)[0] != "C").strip(" .")
    stem, dot, ending = plain.rpartition(".")
    if not dot or len(ending) > 8:
        stem, ending = plain, ""
    ending = "mp4" if kind == VIDEO else ending
    stem = stem[: MAX_NAME - len(ending) - 1] or kind
    return f"{stem}.{ending}" if ending else stem
