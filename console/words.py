"""The two languages of the console: Chinese is what the code says, English is the catalogue in ``translations/en``.

In a view ``_("客户")`` (from here), in a template ``{{ _("客户") }}``, in a table built at import ``N_("客户")`` and
``_()`` where it is shown. Never put a ``%`` in such a sentence except as ``%(name)s``. ``python -m console.words``
reads all sentences anew into the catalogue, compiles it, and lists what has no English yet.
"""

import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from flask import Flask, Response, request
from flask_babel import Babel, get_locale, gettext
from werkzeug.wrappers import Response as AnyResponse

from console import here

LANGUAGES = {"zh": "中文", "en": "English"}
COOKIE = "lang"
COOKIE_LIVES = 31_536_000
"""Seconds: a year."""
HEADER = "English words of the console. The sentences are read from the code: python -m console.words"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""A date that does not move: the catalogue changes only when its words do."""
HERE = Path(__file__).parent
CATALOGUE = HERE / "translations" / "en" / "LC_MESSAGES" / "messages.po"
COMPILED = CATALOGUE.with_suffix(".mo")
SOURCES = [("**.py", "python"), ("templates/**.html", "jinja2")]


def _(sentence: str, **values: object) -> str:
    """The sentence in the language of this answer, with its values put in."""
    return str(gettext(sentence, **values))


def said(text: str | None, sentences: "Iterable[tuple[str, str]] | None" = None) -> str:
    """What a lower floor wrote, in the language of this answer; a sentence nobody knows stays as it is.

    ``sentences`` are pairs of what is written there and what is said for it here; both may hold ``%(name)s``.
    """
    for written, meant in sentences if sentences is not None else ((one, one) for one in FROM_BELOW):
        found = _shape(written).fullmatch(text or "")
        if found is not None:
            return _(meant, **found.groupdict())
    return text or ""


@lru_cache(maxsize=256)
def _shape(sentence: str) -> re.Pattern[str]:
    """A sentence as a pattern that finds its values again."""
    parts = re.split(r"%\((\w+)\)s", sentence)
    return re.compile("".join(f"(?P<{one}>.*)" if n % 2 else re.escape(one) for n, one in enumerate(parts)), re.DOTALL)


def english() -> bool:
    """Whether this answer is in English."""
    return str(get_locale()) == "en"


def N_(sentence: str) -> str:  # noqa: N802  (the customary name: babel finds sentences by it)
    """Mark a sentence for the catalogue, to be translated where it is shown."""
    return sentence


def install(app: Flask) -> None:
    """Choose the language of each answer."""
    app.config.update(BABEL_TRANSLATION_DIRECTORIES=str(HERE / "translations"))
    Babel(app, default_locale="zh", locale_selector=chosen)
    app.after_request(_keep_what_the_address_asks)


def chosen() -> str:
    """Asked for in the address, else kept in the browser, else the user's setting, else Chinese."""
    asked = request.args.get("lang") or request.cookies.get(COOKIE) or ""
    if asked in LANGUAGES:
        return asked
    user = here.known_user()
    return user.language if user is not None and user.language in LANGUAGES else "zh"


def keep(response: AnyResponse, language: str) -> None:
    """Let this browser go on in this language."""
    response.set_cookie(COOKIE, language, max_age=COOKIE_LIVES, httponly=True, samesite="Lax", secure=here.secure())


def _keep_what_the_address_asks(response: Response) -> Response:
    """A page opened in a language leads to pages in the same one."""
    asked = request.args.get("lang")
    if asked in LANGUAGES and asked != request.cookies.get(COOKIE) and response.mimetype == "text/html":
        keep(response, asked)
    return response


def untranslated(path: Path = CATALOGUE) -> list[str]:
    """Every sentence of the catalogue that has no English."""
    with path.open("rb") as file:
        return [str(one.id) for one in read_po(file) if one.id and not one.string]


def missing() -> list[str]:
    """Every sentence of the code that the catalogue does not have."""
    with CATALOGUE.open("rb") as file:
        known = {one.id for one in read_po(file)}
    return [str(one.id) for one in _in_the_code() if one.id not in known]


def compiled_is_current() -> bool:
    """Whether the compiled catalogue says what the written one says."""
    with CATALOGUE.open("rb") as file, COMPILED.open("rb") as compiled:
        written, packed = read_po(file), read_mo(compiled)
    return _english(written) == _english(packed)


def _english(catalogue: Catalog) -> dict[str, str]:
    return {str(one.id): str(one.string) for one in catalogue if one.id and one.string}


def refresh() -> list[str]:
    """Read all sentences anew, compile the catalogue; what has no English yet."""
    with CATALOGUE.open("rb") as file:
        known = read_po(file, locale="en")
    names = dict.fromkeys(("project", "last_translator", "language_team", "msgid_bugs_address"), "wecom-scrm")
    catalogue = Catalog(
        "en", header_comment=f"# {HEADER}", version="1", creation_date=EPOCH, revision_date=EPOCH, fuzzy=False, **names
    )
    for one in _in_the_code():
        before = known.get(one.id)
        catalogue.add(one.id, before.string if before else "", flags=one.flags)
    with CATALOGUE.open("wb") as file:
        write_po(file, catalogue, width=0, sort_output=True)
    with COMPILED.open("wb") as file:
        write_mo(file, catalogue)
    return untranslated()


def _in_the_code() -> list[Message]:
    """Every sentence marked in our modules and templates."""
    found = Catalog()
    keywords = {**DEFAULT_KEYWORDS, "N_": None}
    for _file, _line, sentence, _comments, context in extract_from_dir(HERE, SOURCES, keywords=keywords):
        found.add(sentence, context=context)
    return [one for one in found if one.id]


FROM_BELOW = (
    N_("密码至少 8 个字符"),
    N_("密码最多 128 个字符"),
    N_("这个密码太常见，容易被猜到；换一句只有你知道的话"),
    N_("备注需 1–2000 个字"),
    N_("不是通过渠道活码来的，没有设置欢迎语"),
    N_("这个渠道没有设置欢迎语"),
    N_("观察模式：只展示，不发送"),
    N_("超过 20 秒，没有发送"),
    N_("请求发出后断线，不知道是否送达"),
    N_("企业微信没有给欢迎语凭证：成员在管理后台设有欢迎语、双方已聊过天，或确认前已发过"),
    N_("对方是其他企业的企业微信用户，企业微信不提供欢迎语凭证"),
    N_("欢迎语凭证已失效（超过 20 秒或已使用）"),
    N_("已开始聊天或已发过欢迎语（41051）"),
    N_("断线后再次请求，企业微信确认已送达（41051）"),
    N_("另一个应用在发送（41096），重试后送达"),
    N_("企业微信里已有此标签"),
    N_("扫描渠道码“%(channel)s”添加了%(rep)s"),
    N_("%(by)s手动添加"),
    N_("由 API 密钥“%(key)s”打上"),
    N_("%(rep)s在企业微信里打上"),
    N_("图片还没有上传到企业微信，未附上"),
)
"""Sentences that lower floors write into the database or an error, translated where they are shown."""


if __name__ == "__main__":
    for sentence in refresh():
        sys.stdout.write(f"no English yet: {sentence}\n")
