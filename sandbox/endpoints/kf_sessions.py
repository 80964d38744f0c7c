"""微信客服 sessions: in whose hands a customer is, and who he is."""

from collections.abc import Mapping
from typing import Literal

from sandbox.call import Call
from sandbox.endpoints.kf_accounts import own_account
from sandbox.errors import Refusal
from sandbox.facts import KF_ASSISTANT, KF_ENDED, KF_HUMAN, KF_NEW, KF_POOL, Json, KfAccount, KfSession

MOST = 100
ALLOWED: Mapping[int, tuple[int, ...]] = {
    KF_NEW: (KF_ASSISTANT, KF_POOL, KF_HUMAN),
    KF_ASSISTANT: (KF_POOL, KF_HUMAN),
    KF_POOL: (KF_HUMAN,),
    KF_HUMAN: (KF_HUMAN, KF_ENDED),
    KF_ENDED: (),
}
"""From which state an app may lead a session to which. An ended one begins anew with the customer's next message."""
CODES: Mapping[int, Literal["pool", "human", "end"]] = {KF_POOL: "pool", KF_HUMAN: "human", KF_ENDED: "end"}


def get(call: Call) -> Json:
    """The state, and the servicer where there is one."""
    session = session_of(call, own_account(call))
    state = call.world.state_of_session(session)
    return {"service_state": state, "servicer_userid": session.servicer if state == KF_HUMAN else ""}


def trans(call: Call) -> Json:
    """Lead the session to another state; the code allows one message about it."""
    account = own_account(call)
    session, wanted = session_of(call, account), call.number("service_state", high=4)
    if wanted not in ALLOWED[call.world.state_of_session(session)]:
        raise Refusal(95016)
    servicer = able_servicer(call, account) if wanted == KF_HUMAN else ""
    if wanted == KF_HUMAN and servicer == session.servicer:
        raise Refusal(95016)
    session.state, session.servicer = wanted, servicer
    if wanted == KF_ASSISTANT:
        return {}
    call.world.kf_note(session, NOTICES[wanted], servicer)
    return {"msg_code": call.world.give_kf_code(CODES[wanted], session)}


NOTICES: Mapping[int, str] = {KF_POOL: "kf_waiting", KF_HUMAN: "kf_taken", KF_ENDED: "kf_ended"}


def able_servicer(call: Call, account: KfAccount) -> str:
    """The servicer of the body, who must answer for this account, and be receiving."""
    servicer = call.world.kf_servicer(account, call.text("servicer_userid", missing=95014))
    if servicer is None:
        raise Refusal(95014)
    if not servicer.receiving:
        raise Refusal(95019)
    return servicer.userid


def session_of(call: Call, account: KfAccount) -> KfSession:
    """The session of the body's customer, who must be known."""
    external_userid = call.text("external_userid", missing=41035)
    if external_userid not in call.world.customers:
        raise Refusal(40096)
    return call.world.kf_session_seen(account.open_kfid, external_userid)


def batchget(call: Call) -> Json:
    """Customers who have been at an account of this corp."""
    asked = call.texts("external_userid_list", most=MOST, missing=40058)
    latest = {one: latest_session(call, one) for one in asked}
    wants_context = call.flag("need_enter_session_context", False)
    return {
        "customer_list": [customer_fields(call, one, wants_context) for one in latest.values() if one],
        "invalid_external_userid": [external_userid for external_userid, one in latest.items() if one is None],
    }


def latest_session(call: Call, external_userid: str) -> KfSession | None:
    """The newest session of a customer at any account."""
    sessions = (one for one in call.world.kf_sessions.values() if one.external_userid == external_userid)
    return max(sessions, key=lambda one: one.said_at, default=None)


def customer_fields(call: Call, session: KfSession, wants_context: bool) -> Json:
    """Who he is, and how he came."""
    customer = call.world.customers[session.external_userid]
    fields: Json = {
        "external_userid": customer.external_userid,
        "nickname": customer.name,
        "avatar": customer.avatar or f"{call.world.base_url}/avatar/{customer.external_userid}.svg",
        "gender": customer.gender,
    }
    if customer.unionid:
        fields["unionid"] = customer.unionid
    if wants_context:
        fields["enter_session_context"] = context(session)
    return fields


def context(session: KfSession) -> Json:
    """How a customer came the last time."""
    channels = {"wechat_channels": session.wechat_channels} if session.wechat_channels else {}
    return {"scene": session.scene, "scene_param": session.scene_param, **channels}
