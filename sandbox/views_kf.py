"""What the pages and the admin API show of 微信客服, and of a member's chat with the app. Reads only."""

from sandbox.facts import KF_HUMAN, KF_POOL, AppMessage, ChatLine, Json, KfAccount, KfLine, KfSession
from sandbox.world import World

SHOWN_LINES = 60


def account_view(world: World, account: KfAccount) -> Json:
    """An account for the admin API."""
    sessions = [one for one in world.kf_sessions.values() if one.open_kfid == account.open_kfid]
    return {
        "open_kfid": account.open_kfid,
        "name": account.name,
        "managers": [app.agent_id for app in world.kf_apps(account)],
        "servicers": [{"userid": one.userid, "receiving": one.receiving} for one in account.servicers.values()],
        "department_ids": list(account.department_ids),
        "messages": len(account.items),
        "sessions": [
            {
                "external_userid": one.external_userid,
                "state": world.state_of_session(one),
                "servicer": one.servicer,
            }
            for one in sessions
        ],
    }


# --- the customer's phone -------------------------------------------------------------------------------------


def counters(world: World, external_userid: str) -> list[Json]:
    """The accounts a customer can write to, with what was said last."""
    accounts = world.kf_accounts.values()
    return [
        {"id": one.open_kfid, "name": one.name, "last": last(world.kf_chat(one.open_kfid, external_userid))}
        for one in accounts
    ]


def last(lines: list[KfLine]) -> Json | None:
    """The latest line in brief."""
    return {"who": lines[-1].who, "text": brief(lines[-1])} if lines else None


def brief(line: KfLine) -> str:
    """A line in a few words; a notice's name, a type where there are no words."""
    content = line.content
    words = content.get("content") or content.get("name") or content.get("head_content") or content.get("title")
    return str(words or line.msgtype)[:40]


def kf_view(world: World, open_kfid: str, external_userid: str) -> Json | None:
    """One 微信客服 chat, for either phone."""
    account = world.kf_accounts.get(open_kfid)
    if account is None or external_userid not in world.customers:
        return None
    session = world.kf_session_seen(open_kfid, external_userid)
    servicer = world.find_member(session.servicer)
    return {
        "id": open_kfid,
        "name": account.name,
        "customer": world.customers[external_userid].name,
        "state": world.state_of_session(session),
        "servicer": session.servicer,
        "servicer_name": servicer.name if servicer else "",
        "lines": [line_view(world, one) for one in session.lines[-SHOWN_LINES:]],
    }


def line_view(world: World, line: KfLine) -> Json:
    """One bubble: its words, and for a menu its entries."""
    servicer = world.find_member(line.servicer)
    return {
        "msgid": line.msgid,
        "who": line.who,
        "msgtype": line.msgtype,
        "content": line.content,
        "text": brief(line) if line.msgtype not in ("text", "notice") else str(next(iter(line.content.values()), "")),
        "at": line.at,
        "fate": line.fate,
        "servicer": line.servicer,
        "servicer_name": servicer.name if servicer else "",
    }


# --- the rep's phone ------------------------------------------------------------------------------------------


def desk(world: World, userid: str) -> list[Json]:
    """The customers who wait at the accounts a rep answers for, and those he serves."""
    return [seat(world, one) for one in world.kf_sessions.values() if concerns(world, one, userid)]


def concerns(world: World, session: KfSession, userid: str) -> bool:
    """Whether a session is on a rep's desk."""
    account, state = world.kf_accounts.get(session.open_kfid), world.state_of_session(session)
    if account is None:
        return False
    waits = state == KF_POOL and world.kf_servicer(account, userid) is not None
    return waits or (state == KF_HUMAN and session.servicer == userid)


def seat(world: World, session: KfSession) -> Json:
    """One customer on the desk."""
    return {
        "id": session.external_userid,
        "name": world.customers[session.external_userid].name,
        "kf": session.open_kfid,
        "account": world.kf_accounts[session.open_kfid].name,
        "state": world.state_of_session(session),
    }


def apps(world: World, userid: str) -> list[Json]:
    """The apps a rep can write to, with what stands in their chats."""
    if world.find_member(userid) is None:
        return []
    inbox = world.inbox_of(userid)
    found = [one for one in world.apps.values() if not one.suspended]
    return [
        {"id": one.agent_id, "name": one.name, "lines": app_lines(world, one.agent_id, userid, inbox)} for one in found
    ]


def app_lines(world: World, agent_id: int, userid: str, inbox: list[AppMessage]) -> list[Json]:
    """The messages of an app and the words of the member, in their order."""
    got = [message_line(one) for one in inbox if one.agent_id == agent_id]
    said = [said_line(one) for one in world.app_chat_of(agent_id, userid)]
    return sorted([*said, *got], key=lambda line: float(line["at"]))[-SHOWN_LINES:]


def message_line(message: AppMessage) -> Json:
    """A message of the app."""
    kept = {"who": "app", "msgid": message.msgid, "at": message.at}
    return {**kept, "msgtype": message.msgtype, "content": message.content}


def said_line(line: ChatLine) -> Json:
    """A word of the member's, or the app's answer on the spot."""
    who = "member" if line.who == "rep" else "app"
    return {"who": who, "msgid": "", "at": line.at, "msgtype": "text", "content": {"content": line.text}}
