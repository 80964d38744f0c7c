"""Files: uploaded for three days, fetched again, pictures kept for good."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.call import Binary, Call
from sandbox.endpoints.attachments import expired
from sandbox.errors import Refusal
from sandbox.facts import Json, Media

MB = 1 << 20
SMALLEST = 5
PICTURE_BYTES = 2 * MB
BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
FILENAME = re.compile(r'filename="([^"]*)"')
NAME = re.compile(r'[; ]name="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Kind:
    """What a type of media may be."""

    most: int
    fits: Callable[[bytes], bool]


def is_image(data: bytes) -> bool:
    """JPG or PNG, by the first bytes."""
    return data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


KINDS: Mapping[str, Kind] = {
    "image": Kind(10 * MB, is_image),
    "voice": Kind(2 * MB, lambda data: data.startswith(b"#!AMR")),
    "video": Kind(10 * MB, lambda data: data[4:8] == b"ftyp"),
    "file": Kind(20 * MB, lambda _data: True),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a multipart body."""

    name: str
    filename: str
    content_type: str
    data: bytes


def upload(call: Call) -> Json:
    """A file for messages and welcomes."""
    return keep(call, call.asked("type", 40004), attachment=False)


def upload_attachment(call: Call) -> Json:
    """For moments and product albums: these ids are of another kind."""
    if call.asked("attachment_type") not in ("1", "2"):
        raise Refusal(40058)
    return keep(call, call.asked("media_type", 40004), attachment=True)


def keep(call: Call, kind: str, attachment: bool) -> Json:
    """Check and keep an upload. created_at is a string here."""
    part, world = uploaded(call), call.world
    check(kind, part.data)
    content_type = part.content_type or "application/octet-stream"
    media_id = world.new_id("", 64)
    world.media[media_id] = Media(media_id, kind, part.filename, content_type, part.data, world.clock.now(), attachment)
    return {"type": kind, "media_id": media_id, "created_at": str(world.second())}


def check(kind: str, data: bytes) -> None:
    """The type, size and first bytes of a file."""
    if kind not in KINDS:
        raise Refusal(40004)
    if len(data) <= SMALLEST:
        raise Refusal(40006)
    if len(data) > KINDS[kind].most:
        raise Refusal(45001)
    if not KINDS[kind].fits(data):
        raise Refusal(40005)


def get(call: Call) -> Binary:
    """The file, or a part of it; an error comes as JSON."""
    media = call.world.media.get(call.asked("media_id", 41006))
    if media is None or expired(call, media.created_at):
        raise Refusal(40007)
    headers = {"Content-Disposition": f'attachment; filename="{media.filename}"'}
    return ranged(media, call.request.header("Range"), headers)


def ranged(media: Media, asked: str, headers: dict[str, str]) -> Binary:
    """The whole file, or the range of it that was asked for."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
    if match is None:
        return Binary(media.data, media.content_type, headers)
    start = int(match[1])
    data = media.data[start : int(match[2]) + 1 if match[2] else None]
    place = f"bytes {start}-{start + len(data) - 1}/{len(media.data)}"
    return Binary(data, media.content_type, {**headers, "Content-Range": place}, status=206)


def uploadimg(call: Call) -> Json:
    """A picture with an address that lasts."""
    part = uploaded(call)
    check("image", part.data)
    if len(part.data) > PICTURE_BYTES:
        raise Refusal(40009)
    return {"url": call.world.keep_picture(part.data, part.content_type or "image/png")}


def uploaded(call: Call) -> Part:
    """The one file of the body."""
    parts = [one for one in multipart(call.request.body, call.request.header("Content-Type")) if one.filename]
    if not parts:
        raise Refusal(44001)
    return next((one for one in parts if one.name == "media"), parts[0])


def multipart(body: bytes, content_type: str) -> list[Part]:
    """The parts of a multipart/form-data body."""
    found = BOUNDARY.search(content_type)
    if found is None:
        return []
    pieces = body.split(b"--" + found[1].encode())[1:-1]
    return [read_part(piece) for piece in pieces if b"\r\n\r\n" in piece]


def read_part(piece: bytes) -> Part:
    """One part: its headers, and the bytes after them."""
    head, data = piece.split(b"\r\n\r\n", 1)
    headers = dict(line.split(": ", 1) for line in head.decode(errors="replace").split("\r\n") if ": " in line)
    lowered = {name.lower(): value for name, value in headers.items()}
    said = lowered.get("content-disposition", "")
    name, filename = NAME.search(said), FILENAME.search(said)
    return Part(
        name[1] if name else "",
        filename[1] if filename else "",
        lowered.get("content-type", ""),
        data.removesuffix(b"\r\n"),
    )
