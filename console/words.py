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
MARKS = {"、": ", ", "，": ", ", "；": "; ", "：": ": "}
"""What stands between words in English for what stands there in Chinese."""
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


def mark(chinese: str) -> str:
    """A mark between words, such as ``、``, as the language of this answer writes it."""
    return MARKS[chinese] if english() else chinese


def listed(parts: "Iterable[object]", between: str = "、") -> str:
    """Several things on one line."""
    return mark(between).join(map(str, parts))


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
    N_("%(count)s 位微信客服的客户已等待接入超过 %(minutes)s 分钟，还没有人接入"),
    N_("订单来源“%(source)s”已有 %(minutes)s 分钟没有新订单，往常这个时段每小时约 %(n)s 笔。请检查收银系统和它的网络"),
    N_("%(count)s 位客户一天内的订单不像一个人买的（%(orders)s 笔起，或 %(stores)s 家门店起）。请到“订单 → 异常”查看"),
    N_("没有这样一笔无人认领的订单：请核对订单号和实付金额"),
    N_("有几笔订单的订单号和金额都一样，请让店长在“订单”里指定"),
    N_("这笔退款刚才已经处理了"),
    N_("它写明的订单退不了这么多，请先核对那一笔的退款"),
    N_("当时还回的积分客户已经用掉，收不回来，不能改记"),
    N_("已有一条规则叫“%(name)s”；请换个名称，或去修改那一条"),
    N_("“%(word)s”只有一个字：只在它单独成词时才算，容易漏，也容易错"),
    N_("排除词“%(phrase)s”和关键词“%(word)s”没有相同的字，不会起作用"),
    N_("生日写作 1990-05-20，不知道年份写作 05-20；没有“%(text)s”这一天"),
    N_("出生年份在将来"),
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
    N_("标签名需 1–30 个字"),
    N_("这个标签组里已有同名标签"),
    N_("这个标签不是从这里建的，企业微信不让我们改名或删除；请管理员在企业微信管理后台（客户联系 → 企业标签）更改"),
    N_("观察模式下不能更改企业微信里已有的标签"),
    N_("扫描渠道码“%(channel)s”添加了%(rep)s"),
    N_("%(by)s手动添加"),
    N_("打开了“%(what)s”"),
    N_("由 API 密钥“%(key)s”打上"),
    N_("%(rep)s在企业微信里打上"),
    N_("说了“%(words)s”，符合规则“%(rule)s”"),
    N_("成员转来的话符合规则“%(rule)s”"),
    N_("%(at)s 来到，符合规则“%(rule)s”"),
    N_("可用积分至少 %(points)s 分"),
    N_("%(days)s 天内过期的积分至少 %(points)s 分"),
    N_("最近 %(days)s 天里换体验类奖品至少 %(times)s 次"),
    N_("可用积分有 %(points)s 分的八成、还不到"),
    N_("客户删除了成员，符合规则“%(rule)s”"),
    N_("成员删除了客户，符合规则“%(rule)s”"),
    N_("图片还没有上传到企业微信，未附上"),
    N_(
        "核对时，%(who)s等成员有 %(n)s 位客户不在企业微信的列表里，先不当作已删除："
        "请检查应用的可见范围和客户联系的使用范围"
    ),
    N_("核对时，企业微信里一下少了 %(n)s 个企业标签，先不当作已删除：请在管理后台确认后再次核对"),
    N_("核对时，%(n)s 个客户群不在企业微信的列表里，先不当作已解散：请检查应用的可见范围"),
    N_("客户超过 %(n)s，个人标签每晚核对七分之一"),
    N_("客户还没有发过消息，企业微信不允许先发"),
    N_("客户最后一次发言已超过 48 小时，要等客户再次发言"),
    N_("接待人员正在接待，请在企业微信客户端里回复"),
    N_("客户正在等待接入，请先在企业微信客户端里接入"),
    N_("会话已结束，要等客户再次发言"),
    N_("客户最后一次发言后已发满 %(n)s 条，要等客户再次发言"),
    N_("会话现在的状态不能转给接待人员"),
    N_("只有接待人员接待中的会话可以结束"),
    N_("消息太长：最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("欢迎语太长：最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("菜单最多 %(n)s 项，每项 1–%(m)s 字节（约 %(k)s 个汉字）"),
    N_("企业微信没有说明原因"),
    N_("客服帐号已删除"),
    N_("应用已关闭"),
    N_("超过 48 小时"),
    N_("会话已结束"),
    N_("超过 5 条"),
    N_("没有绑定视频号"),
    N_("主体未验证"),
    N_("没有绑定视频号，且主体未验证"),
    N_("客户拒收"),
    N_("和我们自己的话一样，对方可能也是机器人"),
    N_("短时间内自动回复太多，对方可能也是机器人"),
    N_("没有符合的答案"),
    N_("几个答案同样合适：%(names)s"),
    N_("点了菜单“%(words)s”"),
    N_("说到“%(words)s”"),
    N_("名称需 1–%(n)s 个字"),
    N_("问法最多 %(n)s 条"),
    N_("每条问法需 1–%(n)s 个字"),
    N_("请填写回复的文字"),
    N_("回复太长：最多 %(n)s 字节（约 %(m)s 个汉字）"),
    N_("最多 %(n)s 条自动回复；请先删除不用的"),
    N_("请选 1–%(n)s 个现有的标签"),
    N_("请写明原因（1–%(n)s 个字），它会显示在每位客户的标签旁"),
    N_("请由另一位老板或主管确认"),
    N_("超过 %(n)s 人，需要另一位老板或主管确认"),
    N_("去掉标签的任务不能撤销：原来的来由已经没有了"),
    N_("这个任务已经不在这一步了，请刷新页面"),
    N_("找不到这位客户"),
    N_("处理这一行时出错，已记入日志"),
    N_("与第 %(n)s 行是同一位客户"),
    N_("这一行没有写是哪位客户"),
    N_("有多位客户留过这个手机号，请改用客户 ID"),
    N_("这一行的几列指向不同的客户"),
    N_("批量打标签：%(reason)s"),
    N_("文件是空的"),
    N_("除了表头没有内容"),
    N_("第一行要写列名，至少要有其中一列：%(wanted)s；文件里的是：%(found)s"),
    N_("CSV 格式有误（%(why)s），请从表格软件重新另存为 CSV"),
    N_("这不是 CSV 文本；请在表格软件里另存为“CSV UTF-8”"),
    N_("文字编码不认识；请在表格软件里另存为“CSV UTF-8”"),
    N_("最多 %(n)s 行，请分成几个文件"),
    N_("所选客户里有人不是这位成员的客户，请刷新后重选"),
    N_("没有可以移交的客户，或都已在移交中"),
    N_("一次最多移交 %(n)s 位客户，请分批"),
    N_("没有这位成员"),
    N_("%(who)s现在不能接客户：未激活、已离职或没有客户联系功能"),
    N_("给客户的话最多 %(n)s 个字"),
    N_("离职继承时企业微信不会给客户发话，请把这一栏留空"),
    N_("观察模式下不能移交客户"),
    N_("客户拒绝了接替"),
    N_("移交已取消，没有发出"),
    N_("企业微信没有这次接替的记录"),
    N_("请求发出后断线，正在向企业微信核对"),
    N_("企业微信的回答里没有这位客户，正在核对"),
    N_("接替没有成功（%(why)s）"),
    N_("客户不属于本企业可见范围"),
    N_("原成员还没有离职"),
    N_("成员未实名认证"),
    N_("接替成员的客户已达上限"),
    N_("客户正在接替中"),
    N_("客户 90 天内已接替过 2 次"),
    N_("原成员和接替成员是同一人"),
    N_("客户不是原成员的客户"),
    N_("待办需 1–%(n)s 个字"),
    N_("未完成的待办已有 %(n)s 条，请先完成一些"),
    N_("“%(said)s”已经过去了"),
    N_("“%(said)s”太远了"),
    N_("“%(said)s”不是一个数"),
    N_("没有这一天"),
    N_("没有这个钟点"),
    N_("“%(said)s”几点？"),
    N_("“%(said)s”是几点？"),
    N_("素材库里没有链接 %(number)s；请在“素材”里找到它的编号"),
    N_("素材库里没有这一条（可能已删除）；请去掉后重新选择"),
    N_("文件夹的名称最多 %(n)s 个字"),
    N_("只有链接能知道谁打开了：其他种类不能设“打开后”"),
    N_("最多 %(n)s 个标签"),
    N_("需有 1–%(n)s 种写法"),
    N_("几种写法的名称不能相同"),
    N_("写法的名称最多 %(n)s 个字"),
    N_("请填写文字"),
    N_("不认识 %(what)s；可用 {name} {rep} {channel}，链接写作 {link:编号}"),
    N_("最多 %(n)s 条素材；请先删除不用的"),
)
"""Sentences that lower floors write into the database or an error, translated where they are shown."""


if __name__ == "__main__":
    for sentence in refresh():
        sys.stdout.write(f"no English yet: {sentence}\n")
