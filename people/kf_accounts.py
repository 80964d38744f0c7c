"""The accounts of 微信客服 as WeCom lists them, and when each was last pulled.

A pull is always an event of the inbox, with the account as its key, so that an account is pulled by one at a time
whoever wants it: WeCom's callback, or we ourselves because there was none for a while.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from storage import inbox
from storage.inbox import EVENTS, Arriving
from storage.rows import insert_new
from storage.tables import KfAccount
from storage.work import Work
from wecom import xml
from wecom.kf import KfAccountFacts

PULL_DUE = "kf_pull_due"
UNPULLED_FOR = timedelta(minutes=10)
MOST_WELCOME_BYTES, MOST_MENU = 1000, 10


def account_of(work: Work, open_kfid: str) -> KfAccount:
    """The account of this id; made if an event is the first to name it."""
    row = {"open_kfid": open_kfid, "name": "", "manageable": True, "cursor": "", "welcome": {}, "servicers": {}}
    known = work.db.get(KfAccount, open_kfid)
    if known is None:
        new = {**row, "asks_satisfaction": False}
        insert_new(work.db, KfAccount, [new], ["open_kfid"], returning="open_kfid")
        known = work.db.get_one(KfAccount, open_kfid)
    return known


def remember(work: Work, found: Sequence[KfAccountFacts]) -> int:
    """Keep the accounts as WeCom lists them; what became ours to answer is pulled at once. How many there are."""
    for facts in found:
        if not 0 < len(facts.open_kfid) <= 64:
            continue
        account = account_of(work, facts.open_kfid)
        became_ours = facts.manageable and (not account.manageable or account.pulled_at is None)
        account.name, account.manageable, account.gone_at = facts.name, facts.manageable, None
        account.servicers = facts.servicers or account.servicers
        if became_ours:
            wake_pull(work, account.open_kfid)
    listed = {one.open_kfid for one in found}
    for account in work.db.scalars(select(KfAccount).where(KfAccount.gone_at.is_(None))):
        if account.open_kfid not in listed:
            account.gone_at, account.manageable = work.now, False
    return len(found)


def due(db: Session, now: datetime, limit: int) -> list[str]:
    """Accounts that nobody has pulled for a while, the longest unpulled first."""
    ours = (KfAccount.manageable.is_(True), KfAccount.gone_at.is_(None))
    old = or_(KfAccount.pulled_at.is_(None), KfAccount.pulled_at < now - UNPULLED_FOR)
    order = (KfAccount.pulled_at.is_not(None), KfAccount.pulled_at, KfAccount.open_kfid)
    return list(db.scalars(select(KfAccount.open_kfid).where(*ours, old).order_by(*order).limit(limit)))


def wake_pull(work: Work, open_kfid: str) -> bool:
    """Have an account pulled without a callback; False while that waits already."""
    event = Arriving(
        identity=hashlib.sha256(f"{PULL_DUE}:{open_kfid}".encode()).hexdigest(),
        name=PULL_DUE,
        key=f"kf:{open_kfid}",
        lane=EVENTS,
        xml=xml.write({"Event": PULL_DUE, "OpenKfId": open_kfid}),
        event_at=work.now,
    )
    work.lanes.add(f"inbox:{EVENTS}")
    return inbox.wake(work.db, event, work.now)


def servicer_changed(account: KfAccount, userid: str, *, receiving: bool, stop_type: int) -> None:
    """A servicer began to receive customers, or stopped."""
    account.servicers = {**account.servicers, userid: {"receiving": receiving, "stop_type": stop_type}}


def receives(account: KfAccount, userid: str | None) -> bool:
    """Whether this member answers for the account and takes customers now."""
    known = account.servicers.get(userid or "")
    return isinstance(known, dict) and known.get("receiving") is True


def set_welcome(account: KfAccount, text: str, menu: Sequence[str] = ()) -> bool:
    """What is said to somebody who opens the chat; nothing with an empty text. False when it was so already.

    Raises ``ValueError`` with words for the operator.
    """
    if len(text.encode()) > MOST_WELCOME_BYTES:
        raise ValueError(f"欢迎语太长：最多 {MOST_WELCOME_BYTES} 字节（约 {MOST_WELCOME_BYTES // 3} 个汉字）")
    if len(menu) > MOST_MENU or any(not 0 < len(one.encode()) <= 128 for one in menu):
        raise ValueError(f"菜单最多 {MOST_MENU} 项，每项 1–128 字节（约 42 个汉字）")
    wanted = {"text": text, "menu": list(menu)} if text.strip() else {}
    changed = wanted != account.welcome
    account.welcome = wanted
    return changed
