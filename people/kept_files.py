"""What customers send along: asked for at once, judged by its first bytes, kept under a name of our own.

Before: a message with a media_id. After: ``wecom.commands.FetchFile`` in its own lane; its outcome ends here. Nobody's
file name, no announced type and no length is believed. What a browser might run is never shown within a page.
"""

from dataclasses import dataclass

from sqlalchemy import select

from storage.tables import Interaction, KeptFile
from storage.work import Work
from wecom.commands import FetchFile
from wecom.errors import explain

KINDS = ("image", "voice", "video", "file")
LONGEST_ID = 300
FIRST_BYTES = 4096
UNKNOWN = "application/octet-stream"
SHOWN = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "audio/amr": "amr",
    "audio/mpeg": "mp3",
}
"""What may be shown within a page, and how its name ends. Everything else is only given away as a download."""
SAVED = {"application/pdf": "pdf", "application/zip": "zip", "text/plain": "txt"}
BY_START = {b"#!AMR": "audio/amr", b"PK\x03\x04": "application/zip"}
"""What puremagic has several words for."""


@dataclass(frozen=True)
class Served:
    """How a kept file is to be handed to a browser."""

    name: str
    content_type: str
    inline: bool
    """Otherwise as a download, with ``X-Content-Type-Options: nosniff`` in either case."""


def ask_for(work: Work, interaction_id: int, kind: str, media_id: str) -> KeptFile:
    """Have a file fetched that hangs on this line of a story; an impossible media_id is refused by name."""
    known = work.db.scalars(select(KeptFile).where(KeptFile.interaction_id == interaction_id)).first()
    if known is not None:
        return known
    kept = KeptFile(interaction_id=interaction_id, media_id=media_id[:LONGEST_ID], kind=kind, due_at=work.now)
    work.db.add(kept)
    work.db.flush()
    if not 0 < len(media_id) <= LONGEST_ID:
        _refuse(work, kept, f"media/get: {explain(40007)} (40007)")
    else:
        work.ask(FetchFile(media_id, kept.id), once=f"file:{kept.id}", key=f"file:{kept.id}")
    return kept


def fetched(work: Work, number: int, content: bytes) -> None:
    """The file is here."""
    kept = work.db.get(KeptFile, number)
    if kept is None or kept.state != "waiting":
        return
    kept.content_type = kind_of(content)
    ending = (SHOWN | SAVED).get(kept.content_type, "bin")
    kept.name, kept.size, kept.content = f"{kept.kind}-{kept.id}.{ending}", len(content), content
    kept.state, kept.tries = "kept", kept.tries + 1


def refused(work: Work, number: int, why: str) -> None:
    """WeCom does not give it any more, or it is more than we take."""
    kept = work.db.get(KeptFile, number)
    if kept is not None and kept.state == "waiting":
        _refuse(work, kept, why)


def _refuse(work: Work, kept: KeptFile, why: str) -> None:
    kept.state, kept.detail, kept.tries = "refused", why, kept.tries + 1
    line = work.db.get(Interaction, kept.interaction_id)
    if line is not None:
        line.details = {**line.details, "file_refused": why}


def kind_of(content: bytes) -> str:
    """The type of a file by its first bytes; ``application/octet-stream`` when nobody knows it."""
    start = content[:FIRST_BYTES]
    for known, kind in BY_START.items():
        if start.startswith(known):
            return kind
    import puremagic  # only processes that fetch files need it

    try:
        found = puremagic.magic_string(start)
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    best = max((one.confidence for one in found), default=0.0)
    kinds = [one.mime_type for one in found if one.confidence == best and one.mime_type]
    return next((one for one in kinds if one in SHOWN), kinds[0] if kinds else UNKNOWN)[:80]


def serving(kept: KeptFile) -> Served | None:
    """How to hand a kept file over; None while there is none. What is not on our short list never opens in a page."""
    if kept.state != "kept":
        return None
    if kept.content_type in SHOWN:
        return Served(kept.name, kept.content_type, inline=True)
    return Served(kept.name, UNKNOWN, inline=False)
