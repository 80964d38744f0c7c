"""The attachments of welcomes and mass messages, checked as WeCom checks them."""

from collections.abc import Callable, Mapping

from sandbox.call import Call, bounded
from sandbox.errors import Refusal
from sandbox.facts import Json

MOST = 9


def checked(call: Call) -> list[Json]:
    """The attachments of a body, or a refusal."""
    asked = call.body.get("attachments") or []
    if not isinstance(asked, list):
        raise Refusal(40058)
    if len(asked) > MOST:
        raise Refusal(41064)
    for one in asked:
        check(call, one)
    return asked


def check(call: Call, one: object) -> None:
    """One attachment, by the table of its kind."""
    kind = one.get("msgtype") if isinstance(one, dict) else None
    part = one.get(kind) if isinstance(one, dict) and isinstance(kind, str) else None
    if not isinstance(kind, str) or kind not in CHECKS or not isinstance(part, dict):
        raise Refusal(41065)
    CHECKS[kind](call, part)


def check_image(call: Call, part: Json) -> None:
    """A picture by media_id, or by an address from uploadimg."""
    if not part.get("pic_url"):
        check_media(call, part.get("media_id"))


def check_link(_call: Call, part: Json) -> None:
    """A link with a title and an address."""
    if not part.get("title") or not part.get("url"):
        raise Refusal(40058)
    for name, size in (("title", 128), ("picurl", 2048), ("desc", 512), ("url", 2048)):
        bounded(str(part.get(name, "")), size=size)


def check_miniprogram(call: Call, part: Json) -> None:
    """A mini-program with its picture."""
    if not all(part.get(name) for name in ("title", "appid", "page")):
        raise Refusal(40058)
    bounded(str(part["title"]), size=64)
    check_media(call, part.get("pic_media_id"))


def check_file(call: Call, part: Json) -> None:
    """A video or file by media_id."""
    check_media(call, part.get("media_id"))


def check_media(call: Call, media_id: object) -> None:
    """A media_id that came from media/upload and is not three days old."""
    if not media_id:
        raise Refusal(41006)
    media = call.world.media.get(str(media_id))
    if media is None or media.attachment or expired(call, media.created_at):
        raise Refusal(40007)


def expired(call: Call, created_at: float) -> bool:
    """Whether a file is three days old."""
    return call.world.clock.now() - created_at >= call.world.limits.media_seconds


CHECKS: Mapping[str, Callable[[Call, Json], None]] = {
    "image": check_image,
    "link": check_link,
    "miniprogram": check_miniprogram,
    "video": check_file,
    "file": check_file,
}
