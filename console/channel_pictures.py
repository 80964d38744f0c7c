"""Pictures of channel codes: the QR of one, of all as a zip, and what a welcome sends along.

QR pictures are WeCom's; they are fetched by us, so that no page of ours loads anything from elsewhere.
"""

import io
import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import Any

from flask import Blueprint, Response, abort, redirect, request, send_file, url_for

from console import here
from console.channels import filter_values, in_sight, list_filter
from console.doors import guarded
from console.layout import say
from console.words import _
from storage.tables import Channel, Media
from tagging import channel_files, channel_lists
from wecom.errors import WeComError
from wecom.gateway import Gateway

pages = Blueprint("channel_pictures", __name__, url_prefix="/channels")

MOST_PICTURES = 1000
FETCHERS = 6
"""QR pictures fetched at once for a download: quick, and still polite."""


@pages.get("/pictures/<int:media_id>")
@guarded("see_channels")
def picture(media_id: int) -> Response:
    """A picture we send along. It was cleaned when it came in, and is shown as nothing but a picture."""
    with here.reading() as db:
        media = db.get(Media, media_id)
        if media is None:
            here.not_here()
        headers = {
            "Cache-Control": "private, max-age=86400, immutable",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Content-Disposition": f'inline; filename="{media.file_name}"',
        }
        return Response(media.content, mimetype=media.content_type, headers=headers)


class Fetched:
    """The QR pictures fetched last, by address: a picture never changes."""

    def __init__(self, room: int = 200) -> None:
        self._room, self._kept, self._lock = room, OrderedDict[str, tuple[bytes, str]](), Lock()

    def get(self, gateway: Gateway, address: str) -> tuple[bytes, str]:
        """The picture and its content type. Raises ``NoPicture``, ``TryLater``."""
        with self._lock:
            if address in self._kept:
                self._kept.move_to_end(address)
                return self._kept[address]
        found = gateway.qr_picture(address)
        with self._lock:
            self._kept[address] = found
            while len(self._kept) > self._room:
                self._kept.popitem(last=False)
        return found


fetched = Fetched()


def _picture_of(gateway: Gateway, channel: Channel) -> tuple[bytes, str] | str:
    """The QR picture and how its file name ends; or why there is none."""
    if not channel.qr_code:
        return "no QR picture yet"
    try:
        content, kind = fetched.get(gateway, channel.qr_code)
    except WeComError as error:
        return str(error)
    return content, "png" if kind == "image/png" else "jpg"


@pages.get("/<code>/qr")
@guarded("see_channels")
def qr(code: str) -> Response:
    """The QR picture, fetched from WeCom by us; ``?download`` to keep it."""
    with here.reading() as db:
        channel = in_sight(db, code)
    found = _picture_of(here.gateway(), channel)
    if isinstance(found, str):
        abort(404)
    content, ending = found
    headers = {"Cache-Control": "private, max-age=86400"}
    if "download" in request.args:
        with here.working() as work:
            here.note(work, "channel.picture", code)
        return send_file(
            io.BytesIO(content),
            mimetype=f"image/{'png' if ending == 'png' else 'jpeg'}",
            as_attachment=True,
            download_name=channel_files.picture_name(channel, ending),
        )
    return Response(content, mimetype=f"image/{'png' if ending == 'png' else 'jpeg'}", headers=headers)


@pages.get("/qr.zip")
@guarded("see_channels")
def qr_zip() -> Any:
    """All QR pictures of the filtered list; those that could not be had are named in ``missing.txt``."""
    with here.reading() as db:
        wanted = [one for one in channel_lists.every(db, list_filter()) if one.config_id is not None]
    if len(wanted) > MOST_PICTURES:
        say(_("一次最多打包 %(n)s 个二维码，请先筛选", n=MOST_PICTURES), "bad")
        return redirect(url_for("channels.index", **filter_values(list_filter())), 303)
    file, missing = _zipped(here.gateway(), wanted)
    with here.working() as work:
        here.note(work, "channel.pictures", details={"count": len(wanted) - missing, "missing": missing})
    return send_file(file, mimetype="application/zip", as_attachment=True, download_name="qr.zip")


def _zipped(gateway: Gateway, wanted: Sequence[Channel]) -> tuple[Any, int]:
    """The archive, rewound, and how many pictures are missing in it."""
    missing = []
    file = SpooledTemporaryFile(8 * 1024 * 1024)  # noqa: SIM115  (flask closes it with the answer)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive, ThreadPoolExecutor(FETCHERS) as hands:
        for channel, found in zip(wanted, hands.map(partial(_picture_of, gateway), wanted), strict=True):
            if isinstance(found, str):
                missing.append(f"{channel.code}\t{channel.name}\t{found}")
            else:
                archive.writestr(channel_files.picture_name(channel, found[1]), found[0])
        if missing:
            archive.writestr("missing.txt", "\r\n".join(missing))
    file.seek(0)
    return file, len(missing)
