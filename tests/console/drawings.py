"""Pictures made by hand for tests: small real ones, and ones that are something else."""

import struct
import zlib


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int = 8, height: int = 6, *, said: tuple[int, int] | None = None, extra: bytes = b"") -> bytes:
    """A PNG; ``said`` is the size its head claims, ``extra`` are more chunks before the lines."""
    head = struct.pack(">IIBBBBB", *(said or (width, height)), 8, 2, 0, 0, 0)
    lines = b"".join(b"\x00" + b"\x0b\x6b\x60" * width for _ in range(height))
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def exif(orientation: int) -> bytes:
    """EXIF as a phone writes it: which way up, and where it was taken."""
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack("<HHII", 0x8825, 4, 1, 99)
    return segment(0xE1, b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 2) + entries + b"\x00" * 4 + b"GPS here")


def jpeg(width: int = 8, height: int = 6, *, extra: bytes = b"") -> bytes:
    """The parts of a JPEG in order; nobody could draw it, but it is built as one is."""
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"lines\xff\x00more\xff\xd0end"
    return b"\xff\xd8" + extra + segment(0xDB, b"\x00" * 65) + frame + scan + b"\xff\xd9"


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
