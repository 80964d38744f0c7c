"""The jobs of 微信客服: pull what no callback told us of, list the accounts, end what is over, see who waits."""

from datetime import timedelta
from typing import TYPE_CHECKING

from people import alarms, conversations, kf_accounts
from storage.database import reading, transaction
from wecom.errors import Answered

if TYPE_CHECKING:
    from scheduler.timetable import Hands

PULLS_A_RUN = 5
"""Without a callback's token WeCom allows few pulls a minute, and does not say how few."""
PATIENCE = timedelta(minutes=10)
WAITING = "kf_waiting"
SWITCHED_OFF = 95017
"""The corp lets nobody use the API of 微信客服."""


def pull_accounts(hands: "Hands") -> str:
    """Pull the accounts that nobody has pulled for ten minutes: callbacks get lost."""
    with reading(hands.engine) as db:
        due = kf_accounts.due(db, hands.clock(), PULLS_A_RUN)
    if not due:
        return "nothing to pull"
    with transaction(hands.engine) as db:
        work = hands.work(db, "pull kf accounts")
        woken = sum(kf_accounts.wake_pull(work, one) for one in due)
    hands.ring()
    return f"accounts to be pulled: {woken} of {len(due)}"


def list_accounts(hands: "Hands") -> str:
    """Read the accounts and who answers for them. A corp without 微信客服, or without the right to it, has none."""
    try:
        found = hands.gateway.kf.accounts()
    except Answered as error:
        if not _means_no_right(error.errcode):
            raise
        return f"not for us: {error}"
    with transaction(hands.engine) as db:
        count = kf_accounts.remember(hands.work(db, "list kf accounts"), found)
    hands.ring()
    return f"accounts: {count}"


def _means_no_right(errcode: int) -> bool:
    """WeCom's codes from 48001 on say that our app may not use an API."""
    return errcode // 1000 == 48 or errcode == SWITCHED_OFF


def tend_conversations(hands: "Hands") -> str:
    """End chats in which WeCom ended everything after 48 hours; say when customers wait for a servicer in vain."""
    with transaction(hands.engine) as db:
        work = hands.work(db, "tend conversations")
        closed, waiting = conversations.close_old(work), conversations.waiting_too_long(work, PATIENCE)
        if waiting:
            minutes = int(PATIENCE.total_seconds() // 60)
            alarms.raise_alarm(work, WAITING, f"{waiting} 位微信客服的客户已等待接入超过 {minutes} 分钟，还没有人接入")
        else:
            alarms.clear(work, WAITING)
    return f"chats over: {closed}, waiting too long: {waiting}"
