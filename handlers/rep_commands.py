"""What reps can say to the bot: all of it, in one table. Pure: a text in, what is asked out.

Wording is taken as people type it (full-width signs, blanks or none, 打标签 for 标签), but nothing is guessed: what
fits no row is taken for a customer's name, and when nobody is called so, the answer says that.
"""

import re
from dataclasses import dataclass

HELP, TODAY, FIND, NOTE, TAG, BIND = "help", "today", "find", "note", "tag", "bind"
POINTS = "points"
TASK, DONE, POSTPONE, IRRELEVANT = "task", "done", "postpone", "irrelevant"
FORWARD, PREVIOUS, UNCLEAR = "forward", "previous", "unclear"
NUMBERED_KINDS = (DONE, POSTPONE, IRRELEVANT)
"""What is about a task or card by its number."""
LONGEST_NAME = 30
"""What is longer, or has several lines, is no name."""


@dataclass(frozen=True)
class Row:
    """One thing a rep can ask for: the words it begins with, an example, what it does."""

    kind: str
    words: tuple[str, ...]
    example: str
    does: str
    alone: bool = False
    """Whether nothing follows the words."""


TABLE: tuple[Row, ...] = (
    Row(FIND, ("查找客户", "找客户", "查客户", "查找", "找一下", "查一下", "搜索", "找", "查", "搜"), "找 小雨",
        "看一位客户：姓名、备注或手机后四位，直接发也行"),
    Row(TODAY, ("今日待办", "今天有什么", "今天的事", "今天", "今日", "我的待办", "待办列表", "待办"), "今天",
        "今天的清单、新客户、没做完的事、到期的待办", alone=True),
    Row(NOTE, ("加个备注", "加备注", "写备注", "备注", "记一下", "记一笔", "记录", "记下", "记"), "备注 小雨 喜欢手冲",
        "给客户记一条备注"),
    Row(TAG, ("打个标签", "加个标签", "打标签", "加标签", "贴标签", "标签", "标记"), "标签 小雨 意向/问价",
        "给客户打标签；标签名不重复时可以只写“问价”"),
    Row(BIND, ("绑定会员", "绑定手机号", "绑定手机", "绑定"), "绑定 小雨 13912345678",
        "客户在店里留的手机号：看得到订单了，积分等客户自己确认"),
    Row(POINTS, ("积分页", "积分"), "积分 小雨",
        "你的客户有多少积分、什么时候到期、什么等级，和可以发给客户的积分页地址"),
    Row(TASK, ("提醒一下我", "提醒我", "提醒", "新建待办", "加待办", "待办", "跟进"), "明天下午三点提醒我联系小雨",
        "到时间给你发消息"),
    Row(DONE, ("已完成", "完成了", "完成", "做完了", "做完", "搞定"), "完成 17",
        "待办做完了；清单里的写卡号，如“完成 K12”"),
    Row(POSTPONE, ("推迟", "延后", "推后", "改到", "改期"), "推迟 17 到明天上午十点", "换个时间提醒；卡片也可以"),
    Row(IRRELEVANT, ("不相关", "不合适", "无关"), "不相关 K12 已经买过", "清单里这一条不合适，一段时间内不再出现"),
    Row(FORWARD, ("转发", "原话", "客户说"), "转发 小雨：多少钱一斤", "把客户的原话记下来，按规则打标签"),
    Row(PREVIOUS, ("上一条是", "上一条", "上条是", "上条", "刚才那条是", "刚才那条"), "上一条 小雨",
        "你刚转给我的那条是哪位客户说的"),
    Row(HELP, ("帮助", "怎么用", "使用说明", "菜单", "功能", "help", "?"), "帮助", "看这张单子", alone=True),
)  # fmt: skip

FULL_WIDTH = {0x3000: " ", **{sign: chr(sign - 0xFEE0) for sign in range(0xFF01, 0xFF5F)}}
INVISIBLE = re.compile(r"[\u200b\u2060\ufeff]")
NUMBERED = re.compile(r"^[#＃\s:：号]*(k|卡片?)?\s*(\d{1,15})\s*(?:号|条)?[\s,，:：]*(.*)$", re.DOTALL | re.IGNORECASE)
SIGNS = " \t\r\n,，。.!！~～、:：;；"
SAID_BY = re.compile(r"(?:说的话|的话|说的)$")


@dataclass(frozen=True)
class Asked:
    """What a text asks for."""

    kind: str
    rest: str = ""
    """The text behind the words, as it was written."""
    text: str = ""
    """The whole text."""
    number: int = 0
    """Of which task or card."""
    card: bool = False
    """Whether it is a card's (``K12``)."""
    close: bool = False
    """The words stand close before the rest, so that both together may be a name."""

    @property
    def is_bare(self) -> bool:
        """No words of the table: taken for a name because it fits nothing else."""
        return self.rest == self.text


def read(said: str) -> Asked:
    """What is asked for."""
    text = INVISIBLE.sub("", said).strip()
    plain = text.translate(FULL_WIDTH).lower()
    if (asked := _begins(text, plain)) is not None:
        return asked
    if "提醒" in plain.partition("\n")[0]:
        return Asked(TASK, text, text)
    if numbered := NUMBERED.match(plain):
        kind = next((row.kind for row in TABLE if row.kind in NUMBERED_KINDS and _led(numbered[3], row)), None)
        if kind is not None:
            return _about_task(kind, f"{numbered[1] or ''}{numbered[2]} {_behind(numbered[3], kind)}", text)
    if "\n" in text or len(text) > LONGEST_NAME or not text.strip(SIGNS):
        return Asked(UNCLEAR, text, text)
    return Asked(FIND, text, text)


def _begins(text: str, plain: str) -> Asked | None:
    """The row whose words the text begins with; longer words before shorter ones."""
    for row in TABLE:
        word = _led(plain, row)
        if word is None or (row.alone and word not in (plain.strip(SIGNS), plain.strip(SIGNS + "?"))):
            continue
        rest = text[len(word) :]
        if row.kind == IRRELEVANT and rest.strip(SIGNS) and not NUMBERED.match(rest.translate(FULL_WIDTH)):
            continue  # 不合适，我再看看: a customer's words
        if row.kind in NUMBERED_KINDS:
            return _about_task(row.kind, rest, text)
        if row.kind == TASK:
            return Asked(TASK, text, text)
        if row.kind == PREVIOUS:
            return Asked(PREVIOUS, SAID_BY.sub("", rest.strip(SIGNS)), text)
        close = bool(rest) and not rest.startswith(tuple(SIGNS)) and len(word) == 1
        if close and row.kind == NOTE:
            continue  # 记得…, 记者… : one sign alone asks for nothing
        return Asked(row.kind, rest.strip(SIGNS), text, close=close)
    return None


def _led(plain: str, row: Row) -> str | None:
    return next((word for word in row.words if plain.startswith(word)), None)


def _behind(plain: str, kind: str) -> str:
    word = next(word for row in TABLE if row.kind == kind for word in row.words if plain.startswith(word))
    return plain[len(word) :]


def _about_task(kind: str, rest: str, text: str) -> Asked:
    numbered = NUMBERED.match(rest.translate(FULL_WIDTH))
    if numbered is None:
        return Asked(kind, rest.strip(SIGNS), text)
    return Asked(kind, numbered[3].strip(SIGNS), text, number=int(numbered[2]), card=bool(numbered[1]))


def example_of(kind: str) -> str:
    """What to type for this."""
    return next(row.example for row in TABLE if row.kind == kind)
