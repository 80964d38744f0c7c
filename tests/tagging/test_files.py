"""Videos and files that are sent along: judged by content, called as they were, kept once, brought to WeCom."""

import pytest

from storage.tables import Media
from tagging import files
from tagging.files import NotAFile
from tests.shop import Shop

MP4 = b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 64


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("价目表.pdf", "file", "价目表.pdf"),
        ("../../etc/passwd", "file", "passwd"),
        ("C:\\temp\\报价.xlsx", "file", "报价.xlsx"),
        ('a"\r\nX-Evil: 1\r\n.pdf', "file", 'a"X-Evil: 1.pdf'),
        ("店.mov", "video", "店.mp4"),
        ("\u202egpj.exe", "file", "gpj.exe"),
        ("", "file", "file"),
        ("长" * 90 + ".pdf", "file", "长" * 56 + ".pdf"),
    ],
)
def test_a_name_is_shown_without_path_and_control_characters(name: str, kind: str, shown: str) -> None:
    assert files.clean_name(name, kind) == shown


@pytest.mark.parametrize(
    ("kind", "data"),
    [("video", b"MZ" + b"\x00" * 90), ("video", MP4 + b"\x00" * (10 * 1024 * 1024)), ("file", b"abc"), ("file", b"")],
)
def test_what_wecom_would_not_take_is_refused_in_words(shop: Shop, kind: str, data: bytes) -> None:
    with shop.work() as work, pytest.raises(NotAFile, match="请压缩"):
        files.keep(work, kind, data, "a.mp4")
    assert shop.rows(Media) == []


def test_it_is_kept_once_and_brought_to_wecom_as_what_it_is(shop: Shop) -> None:
    for _ in range(2):
        with shop.work() as work:
            files.keep(work, "video", MP4, "店.mp4")
            files.keep(work, "file", MP4, "店.mp4")
    shop.catch_up()
    kept = shop.rows(Media)
    assert [(one.content_type, one.file_name) for one in kept] == [
        ("video/mp4", "店.mp4"),
        ("application/octet-stream", "店.mp4"),
    ]
    assert [shop.world.media[str(one.media_id)].kind for one in kept] == ["video", "file"]
