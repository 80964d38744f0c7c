"""Pictures we send along: checked and cleaned when they come in, kept once, and kept fresh at WeCom.

A picture is judged by its content, never by its name or by what the sender calls it. Only what draws it is kept: text,
place, thumbnails and whatever hides behind the end are left out, so that no file is a picture and something else too.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from storage.rows import insert_new
from storage.tables import Media
from storage.work import Work
from wecom.commands import UploadMedia

MAX_BYTES = 10 * 1024 * 1024
MIN_BYTES = 6
MAX_PIXELS = 25_000_000
MAX_SIDE = 8192
FRESH = timedelta(hours=60)
LIVES = timedelta(hours=71)
"""WeCom keeps media for 72 hours; we bring it again well before."""

PNG = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs")
JPEG = b"\xff\xd8\xff"
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SCAN, END, APP1, APP2 = 0xDA, 0xD9, 0xE1, 0xE2
JPEG_KEPT = frozenset({SCAN, 0xC4, 0xCC, 0xDB, 0xDD, 0xE0, APP2, 0xEE}) | JPEG_FRAMES
"""Frames, tables and scans; of the application's own: JFIF, colour profile, Adobe. No EXIF, no XMP, no comment."""
STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})


class NotAPicture(ValueError):
    """Why this cannot be taken as a picture, in words for the person who sent it."""


@dataclass(frozen=True)
class Picture:
    """A clean picture: ``content`` holds nothing but what draws it."""

    content_type: str
    width: int
    height: int
    content: bytes

    @property
    def ending(self) -> str:
        """How its file name ends."""
        return "png" if self.content_type == "image/png" else "jpg"


def read(data: bytes) -> Picture:
    """The picture in these bytes, cleaned. Raises ``NotAPicture``."""
    if not MIN_BYTES <= len(data) <= MAX_BYTES:
        raise NotAPicture("图片要大于 5 字节、不超过 10 MB，请压缩后再传")
    try:
        if data.startswith(PNG):
            found = _read_png(data)
        elif data.startswith(JPEG):
            found = _read_jpeg(data)
        else:
            raise NotAPicture("只接受 PNG 或 JPG 图片（看内容，不看文件名），请另存为 JPG 后再传")
    except (struct.error, IndexError):
        raise NotAPicture("图片不完整，请重新导出后再传") from None
    if not (0 < found.width <= MAX_SIDE and 0 < found.height <= MAX_SIDE) or found.width * found.height > MAX_PIXELS:
        raise NotAPicture(
            f"图片太大（{found.width}×{found.height}），每边不超过 {MAX_SIDE} 像素、总共不超过 2500 万像素"
        )
    return found


def keep(work: Work, data: bytes) -> Media:
    """Keep a picture once, under a name of our own, and ask for its upload at once. Raises ``NotAPicture``."""
    picture = read(data)
    digest = hashlib.sha256(picture.content).hexdigest()
    row = {
        "digest": digest,
        "file_name": f"{digest[:16]}.{picture.ending}",
        "content_type": picture.content_type,
        "size": len(picture.content),
        "content": picture.content,
        "created_at": work.now,
    }
    insert_new(work.db, Media, [row], ["digest"])
    media = work.db.scalars(select(Media).where(Media.digest == digest)).one()
    bring(work, media)
    return media


def bring(work: Work, media: Media) -> None:
    """Ask for the upload unless WeCom has the picture fresh or was asked."""
    if media.uploaded_at is None or work.now - media.uploaded_at > FRESH:
        work.ask_again(UploadMedia(media.id, kind_of(media)), stem=f"media:{media.id}", key=f"media:{media.id}")


def kind_of(media: Media) -> str:
    """As what WeCom is to keep it: ``image``, ``video`` or ``file``."""
    kind = media.content_type.partition("/")[0]
    return kind if kind in ("image", "video") else "file"


def alive(media: Media | None, now: datetime) -> bool:
    """Whether WeCom still has the picture: a dead one would cost the whole welcome."""
    return (
        media is not None
        and media.media_id is not None
        and media.uploaded_at is not None
        and (now - media.uploaded_at < LIVES)
    )


# --- PNG -------------------------------------------------------------------------------------------------------------


def _read_png(data: bytes) -> Picture:
    chunks = list(_png_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise NotAPicture("这不是完整的 PNG 图片")
    if chunks[-1][0] != b"IEND" or not any(kind == b"IDAT" for kind, _ in chunks):
        raise NotAPicture("这个 PNG 图片不完整，请重新导出后再传")
    width, height = struct.unpack(">II", chunks[0][1][:8])
    return Picture("image/png", width, height, PNG + b"".join(_png_chunk(*one) for one in chunks if one[0] in PNG_KEPT))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of each chunk up to the end mark; what follows it is not looked at."""
    place = len(PNG)
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        content = data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        if len(content) != length or zlib.crc32(kind + content) != check:
            raise NotAPicture("这个 PNG 图片已损坏，请重新导出后再传")
        yield kind, content
        if kind == b"IEND":
            return
        place += 12 + length


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


# --- JPEG ------------------------------------------------------------------------------------------------------------


def _read_jpeg(data: bytes) -> Picture:
    kept: list[bytes] = []
    size, turned, marker = None, None, 0
    for marker, content, lines in _jpeg_segments(data):
        if marker in JPEG_FRAMES:
            height, width = struct.unpack(">HH", content[1:5])
            size = size or (width, height)
        if marker == APP1:
            turned = turned or _turn(content)
        foreign = marker == APP2 and not content.startswith(b"ICC_PROFILE")
        if marker in JPEG_KEPT and not foreign:
            kept.append(_segment(marker, content) + lines)
    if size is None or marker != END:
        raise NotAPicture("这个 JPG 图片不完整，请重新导出后再传")
    start = b"\xff\xd8" + (_exif(turned) if turned else b"")
    return Picture("image/jpeg", *size, start + b"".join(kept) + b"\xff\xd9")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """(marker, content, lines) of each segment up to the end mark; only a scan has lines: its picture data."""
    place = 2
    while place < len(data):
        if data[place] != 0xFF:
            raise NotAPicture("这个 JPG 图片已损坏，请重新导出后再传")
        while data[place] == 0xFF:
            place += 1
        marker = data[place]
        place += 1
        if marker == END:
            yield END, b"", b""
            return
        if marker in STANDALONE:
            continue
        (length,) = struct.unpack(">H", data[place : place + 2])
        content, place = data[place + 2 : place + length], place + length
        if length < 2 or len(content) != length - 2:
            raise NotAPicture("这个 JPG 图片不完整，请重新导出后再传")
        lines = data[place : _end_of_scan(data, place)] if marker == SCAN else b""
        place += len(lines)
        yield marker, content, lines


def _end_of_scan(data: bytes, place: int) -> int:
    """Where the next marker begins after picture data: FF followed by neither a stuffed zero nor a restart."""
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            raise NotAPicture("这个 JPG 图片不完整，请重新导出后再传")
        if data[place + 1] != 0 and not 0xD0 <= data[place + 1] <= 0xD7 and data[place + 1] != 0xFF:
            return place
        place += 1 if data[place + 1] == 0xFF else 2


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _turn(content: bytes) -> int | None:
    """Which way up the camera was held (2 to 8), the one thing of EXIF that draws."""
    tiff = content[6:]
    if not content.startswith(b"Exif\x00\x00") or tiff[:2] not in (b"II", b"MM"):
        return None
    order = "<" if tiff[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack(f"{order}I", tiff[4:8])
        (count,) = struct.unpack(f"{order}H", tiff[start : start + 2])
        for number in range(min(count, 100)):
            tag, kind, _, value = struct.unpack(f"{order}HHIH", tiff[start + 2 + number * 12 :][:10])
            if (tag, kind) == (0x0112, 3):
                return int(value) if 2 <= value <= 8 else None
    except struct.error:
        return None
    return None


def _exif(turned: int) -> bytes:
    """The smallest EXIF there is: only which way is up."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, turned, 0)
    return _segment(APP1, b"Exif\x00\x00MM\x00*" + struct.pack(">IH", 8, 1) + entry + b"\x00\x00\x00\x00")
