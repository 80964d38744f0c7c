"""微信客服 messages: pulled with a cursor of one's own, sent within the customer's window, or with an event's code."""

import re
from bisect import bisect_right

from sandbox.call import Call
from sandbox.endpoints.kf_accounts import own_account
from sandbox.endpoints.kf_contents import CONTENTS
from sandbox.errors import Refusal
from sandbox.facts import KF_ASSISTANT, KF_NEW, Json, KfAccount, KfSession
from sandbox.knobs import PULL_WITHOUT_TOKEN

PAGE = 1000
CURSOR_BYTES, TOKEN_BYTES = 64, 128
MSGID = re.compile(r"[0-9A-Za-z_-]{1,32}")


# --- pulling --------------------------------------------------------------------------------------------------


def sync(call: Call) -> Json:
    """What was written to an account since the cursor: has_more alone says whether that is all."""
    account = own_account(call)
    call.number("voice_format", 0, high=1)
    limit, place = call.number("limit", PAGE, low=1, high=PAGE), place_of(call, account)
    check_token(call, account)
    first = max(place, older_than_history(call, account))
    page = account.items[first : first + call.page_size(limit)]
    last = first + len(page)
    return {
        "next_cursor": call.world.cursors.make(path_of(account), last, lasting=True),
        "has_more": int(last < len(account.items)),
        "msg_list": [one.body for one in page],
    }


def place_of(call: Call, account: KfAccount) -> int:
    """How many items lie before the cursor; without a cursor, none."""
    cursor = call.text("cursor", "", size=CURSOR_BYTES, too_long=50100)
    place: int = call.world.cursors.read(path_of(account), cursor) if cursor else 0
    return place


def path_of(account: KfAccount) -> str:
    """The name a cursor is sealed under: it is good at its account alone."""
    return f"kf/sync_msg/{account.open_kfid}"


def older_than_history(call: Call, account: KfAccount) -> int:
    """How many items are older than three days, and cannot be had any more."""
    oldest = call.world.clock.now() - call.world.limits.kf_history_seconds
    return bisect_right(account.items, oldest, key=lambda item: item.at)


def check_token(call: Call, account: KfAccount) -> None:
    """A callback's token frees from the strict limit for ten minutes; a made-up one is refused."""
    token = call.text("token", "", size=TOKEN_BYTES, too_long=95007)
    world, now = call.world, call.world.clock.now()
    open_kfid, given_at = world.kf_tokens.get(token, ("", 0.0))
    if token and open_kfid != account.open_kfid:
        raise Refusal(95007)
    fresh = token and now - given_at < world.limits.kf_token_seconds
    if not fresh and not world.gates.lets_in(PULL_WITHOUT_TOKEN, now):
        raise Refusal(45009)


# --- sending --------------------------------------------------------------------------------------------------


def send(call: Call) -> Json:
    """A message to a customer who has written within 48 hours, the fifth at most since he did."""
    account, touser = own_account(call), call.text("touser", missing=40096)
    if touser not in call.world.customers:
        raise Refusal(40096)
    msgtype, content = content_of(call)
    msgid, known = msgid_of(call, account)
    if known:
        return {"msgid": msgid}
    session = call.world.kf_session_seen(account.open_kfid, touser)
    check_window(call, session)
    session.sent += 1
    call.world.kf_deliver(session, call.agent_id, msgid, msgtype, content)
    return {"msgid": msgid}


def check_window(call: Call, session: KfSession) -> None:
    """The 48 hours, the state, the five messages, in this order."""
    if not call.world.kf_window_open(session):
        raise Refusal(95002)
    if session.state not in (KF_NEW, KF_ASSISTANT):
        raise Refusal(95018)
    if session.sent >= call.world.limits.kf_window_messages:
        raise Refusal(95001)


def send_on_event(call: Call) -> Json:
    """One message with the code of an event; it is none of the five."""
    code = call.text("code", missing=95007)
    msgtype, content = content_of(call)
    session = call.world.redeem_kf_code(code, call.agent_id, msgtype)
    msgid, _ = msgid_of(call, call.world.kf_accounts[session.open_kfid])
    call.world.kf_deliver(session, call.agent_id, msgid, msgtype, content, code)
    return {"msgid": msgid}


def content_of(call: Call) -> tuple[str, Json]:
    """The type and what is said, checked by the table of its type."""
    msgtype = call.text("msgtype", missing=40008)
    if msgtype not in CONTENTS:
        raise Refusal(40008)
    return msgtype, CONTENTS[msgtype](call, call.part(msgtype))


def msgid_of(call: Call, account: KfAccount) -> tuple[str, bool]:
    """The caller's msgid or a new one, and whether a message of this account has it already."""
    asked = call.text("msgid", "")
    if not asked:
        return call.world.new_id("", 32), False
    if MSGID.fullmatch(asked) is None:
        raise Refusal(40058)
    return asked, (account.open_kfid, asked) in call.world.kf_msgids
