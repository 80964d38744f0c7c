"""Pictures that come in: judged by content, cleaned, named by us; and QR pictures, fetched from WeCom alone."""

import io
import struct

import pytest
import requests

from storage.tables import Media, OutboxRow
from tagging import pictures
from tagging.pictures import NotAPicture
from tests.console.acting import Counter
from tests.console.drawings import SVG, chunk, exif, jpeg, png, segment
from wecom.pictures import NoPicture, allowed, fetch

HOME = "https://qyapi.weixin.qq.com/cgi-bin/"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (SVG, "PNG 或 JPG"),
        (b"<html><script>alert(1)</script></html>", "PNG 或 JPG"),
        (b"GIF89a" + b"\x00" * 40, "PNG 或 JPG"),
        (b"\x89PN", "大于 5 字节"),
        (png()[:60], "损坏|不完整"),
        (png().replace(b"IDAT", b"XDAT"), "损坏|不完整"),
        (png(said=(30_000, 30_000)), "太大"),
        (png(said=(0, 5)), "太大"),
        (jpeg(60_000, 60_000), "太大"),
        (jpeg()[:-2], "不完整"),
        (b"\xff\xd8\xff\xe1\xff\xff" + b"a" * 50, "不完整"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * pictures.MAX_BYTES, "10 MB"),
    ],
)
def test_what_is_no_small_png_or_jpeg_is_refused_with_what_to_do(data: bytes, words: str) -> None:
    with pytest.raises(NotAPicture, match=words):
        pictures.read(data)


def test_a_png_keeps_what_draws_it_and_nothing_that_hides_in_it() -> None:
    hidden = chunk(b"tEXt", b"Comment\x00<script>") + chunk(b"eXIf", b"GPS here")
    found = pictures.read(png(extra=hidden) + b"PK\x03\x04<script>alert(1)</script>")
    assert (found.content_type, found.width, found.height) == ("image/png", 8, 6)
    assert found.content == png()


def test_a_jpeg_loses_place_and_comment_but_stays_the_right_way_up() -> None:
    extra = exif(6) + segment(0xFE, b"<script>") + segment(0xE2, b"MPF\x00second picture")
    found = pictures.read(jpeg(extra=extra) + b"<html>")
    assert (found.content_type, found.width, found.height, found.ending) == ("image/jpeg", 8, 6, "jpg")
    for gone in (b"GPS", b"script", b"second picture", b"html"):
        assert gone not in found.content
    assert struct.pack(">HHIH", 0x0112, 3, 1, 6) in found.content
    assert b"lines\xff\x00more\xff\xd0end\xff\xd9" in found.content
    assert pictures.read(found.content).content == found.content


def test_a_picture_is_kept_once_under_our_own_name_and_brought_to_wecom_at_once(quiet: Counter) -> None:
    with quiet.shop.work() as work:
        first, second = pictures.keep(work, png()), pictures.keep(work, png())
    assert first.id == second.id
    assert first.file_name == f"{first.digest[:16]}.png"
    (call,) = quiet.shop.rows(OutboxRow, OutboxRow.name == "UploadMedia")
    assert call.body == {"media": first.id, "kind": "image"}
    quiet.shop.catch_up()
    (media,) = quiet.shop.rows(Media)
    assert media.media_id in quiet.shop.world.media
    assert quiet.shop.world.media[media.media_id].filename == media.file_name


def test_a_picture_is_shown_as_nothing_but_a_picture(quiet: Counter) -> None:
    with quiet.shop.work() as work:
        media_id = pictures.keep(work, png()).id
    answer = quiet.visitor("wangwu").get(f"/channels/pictures/{media_id}")
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "image/png", png())
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert quiet.visitor("lisi").get(f"/channels/pictures/{media_id}").status_code == 404
    assert quiet.visitor("wangwu").get("/channels/pictures/999").status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/qr.png",
        "http://169.254.169.254/latest",
        "https://qpic.cn.evil.example/a.png",
        "https://evilqpic.cn/a.png",
        "https://wework.qpic.cn@evil.example/a.png",
        "https://user:pass@wework.qpic.cn/a.png",
        "https://wework.qpic.cn:8443/a.png",
        "ftp://wework.qpic.cn/a.png",
        "file:/etc/passwd",
        "https://evil.example\\.qpic.cn/a.png",
        "http://[::1/a.png",
        "//wework.qpic.cn/a.png",
        "",
    ],
)
def test_only_wecoms_own_hosts_are_asked_for_a_qr_picture(address: str) -> None:
    assert allowed(address, HOME) is None
    with pytest.raises(NoPicture):
        fetch(requests.Session(), address, HOME)


def test_wecoms_hosts_are_asked_over_tls() -> None:
    assert allowed("http://p.qpic.cn/wwhead/abc/0", HOME) == "https://p.qpic.cn/wwhead/abc/0"
    assert allowed("https://open.work.weixin.qq.com/wwopen/userQRCode?vcode=v", HOME)
    assert (
        allowed("http://127.0.0.1:8001/qr/a.png", "http://127.0.0.1:8001/cgi-bin/") == "http://127.0.0.1:8001/qr/a.png"
    )


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(302, b"", "HTTP 302"), (200, b"<html>", "not a small"), (200, png() + b"\x00" * 2_000_000, "not a small")],
)
def test_a_redirect_or_something_else_is_no_picture(status: int, body: bytes, error: str) -> None:
    class One(requests.adapters.BaseAdapter):
        def send(self, request, *args, **kwargs):  # type: ignore[no-untyped-def]
            answer = requests.Response()
            answer.status_code, answer.raw, answer.url, answer.request = status, io.BytesIO(body), request.url, request
            answer.headers["Location"] = "http://127.0.0.1/"
            return answer

        def close(self) -> None:
            return

    http = requests.Session()
    http.mount("https://wework.qpic.cn/", One())
    with pytest.raises(NoPicture, match=error):
        fetch(http, "https://wework.qpic.cn/a.png", HOME)
