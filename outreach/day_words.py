"""A rep's day list in the words of messages: the morning message and the bot's answer. Pages have templates.

Whatever customers wrote stands in them through ``people.tasks.plain``: one line, no link.
"""

from datetime import timedelta

from outreach import day_list
from outreach.day_list import DayList, Entry, Reason
from people import persons, tasks
from people.tasks import plain
from storage.tables import RepCard
from storage.work import Work

SHOWN_IN_MORNING, SHOWN_IN_BOT = 4, 6


def card_number(card: RepCard) -> str:
    """How a card is named in what a rep writes to the bot: ``K17``."""
    return f"K{card.id}"


def summary(found: DayList) -> str:
    """How much it is, in one line."""
    people = [f"{len(found.entries)} 件事"] if found.entries else []
    mass = [f"{len(found.mass)} 个群发待确认"] if found.mass else []
    return "今天 " + "，".join([*people, *mass])


def morning(work: Work, found: DayList) -> tuple[str, str]:
    """Title and words of the morning message."""
    lines = [f"{place}. {line(work, one)}" for place, one in enumerate(found.entries[:SHOWN_IN_MORNING], 1)]
    lines += [mass_line(found)] if found.mass else []
    return summary(found), "\n".join([*lines, "回复“今天”看全部"])


def mass_line(found: DayList) -> str:
    """What waits in 群发助手."""
    return f"{len(found.mass)} 个群发待确认（共 {found.mass_people} 位），请到企业微信的群发助手里发送"


def in_bot(work: Work, found: DayList) -> list[str]:
    """The list as the bot says it: chats and cards with their numbers; tasks stand in lines of their own there."""
    lines = [mass_line(found)] if found.mass else []
    shown = [one for one in found.entries if one.card is not None or one.reasons[0].kind == day_list.WAITING]
    if shown:
        lines.append("清单（按轻重排）：")
        lines += [f"{place}. {line(work, one)}" for place, one in enumerate(shown[:SHOWN_IN_BOT], 1)]
    more = len(shown) - SHOWN_IN_BOT
    lines += [f"……还有 {more} 位，打开侧边栏看"] if more > 0 else []
    first = next((one.card for one in shown if one.card is not None), None)
    if first is not None:
        number = card_number(first)
        lines.append(f"处理完回复“完成 {number}”，“推迟 {number} 到明天上午十点”，或“不相关 {number}”")
    return lines


def line(work: Work, entry: Entry) -> str:
    """One customer in one line: name, reasons, the number of the card."""
    name = plain(entry.person.name, 12) or persons.public_id(entry.person.id) if entry.person is not None else ""
    reasons = "；".join(reason_in_words(work, one) for one in entry.reasons[:2])
    number = f"（{card_number(entry.card)}）" if entry.card is not None else ""
    return f"{name}{'：' if name else ''}{reasons}{number}"


def reason_in_words(work: Work, reason: Reason) -> str:
    """One reason as a rep reads it."""
    if reason.kind == day_list.WAITING:
        return f"在微信客服里等了{_span(work.now - reason.since)}"
    if reason.task is not None:
        return tasks.line(reason.task, work)
    return plain(reason.words, 40) or day_list.PLACES.get(reason.kind, "")


def _span(span: timedelta) -> str:
    minutes = max(1, int(span.total_seconds() // 60))
    return f" {minutes} 分钟" if minutes < 60 else f" {minutes // 60} 小时"
