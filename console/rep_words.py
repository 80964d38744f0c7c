"""The words of reps' cards and their day in both languages: what ``outreach`` and ``people`` wrote, said here."""

import re

from flask import Flask

from console.segment_words import because
from console.shown import MONTHS
from console.words import N_, _, english, said

FROM_BELOW = (
    N_("客户在微信客服里等你回复"),
    N_("你记的待办已过时间"),
    N_("你记的待办今天到时间"),
    N_("客户打开了你发的内容"),
    N_("客户今天生日"),
    N_("旅程安排的一步"),
    N_("新加的客户还没聊过"),
    N_("客户的积分快过期"),
    N_("很久没有往来"),
    N_("今天生日"),
    N_("%(n)s 积分早该过期了，还没告诉客户"),
    N_("打开了“%(name)s”"),
    N_("旅程“%(name)s”"),
    N_("%(day)s加的你，还没聊过"),
    N_("这个时间已经过去了，请换一个"),
    N_("到那时这件事已经过期了，请换个早一点的时间，或点“不相关”"),
    N_("那天已经给这位客户安排了别的消息，请换一天"),
    N_("没看懂这个时间，请写成“明天下午三点”“周五上午十点”这样"),
    N_("下班要晚于上班"),
    N_("发清单的时间要在上下班之间"),
    N_("最晚要晚于发清单的时间，且不晚于下班"),
    N_("应是 %(least)s–%(most)s 的整数"),
    N_("请写成 09:30 这样"),
    N_("请填一个整数"),
)
QUIET = N_("%(day)s起沉睡：%(why)s")
DYING, DIES = N_("%(n)s 积分%(day)s起过期"), re.compile(r"(\d+) 积分(\d{1,2}月\d{1,2}日)起过期")
TURNED, ADDED = "起沉睡：", "加的你"
DAY = re.compile(r"(\d{1,2})月(\d{1,2})日")


def worded(text: str) -> str:
    """What a lower floor wrote about a card, in the language of this answer."""
    day, quiet, why = text.partition(TURNED)
    if quiet:
        return _(QUIET, day=_day(day), why=because(why))
    if dies := DIES.fullmatch(text):
        return _(DYING, n=dies[1], day=_day(dies[2]))
    day, added, rest = text.partition(ADDED)
    text = f"{_day(day)}{added}{rest}" if added else text
    told = said(text, [(one, one) for one in FROM_BELOW])
    return told if told != text else said(text)


def _day(words: str) -> str:
    """11月25日, or 25 Nov."""
    found = DAY.fullmatch(words)
    return f"{int(found[2])} {MONTHS[int(found[1]) - 1]}" if found and english() else words


def install(app: Flask) -> None:
    """Give the templates the filter ``worded``."""
    app.jinja_env.filters["worded"] = worded
