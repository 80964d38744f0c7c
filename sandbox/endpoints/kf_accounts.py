"""微信客服 accounts, who answers for them, and the links that lead there."""

import re
from collections.abc import Callable

from sandbox.call import Call, bounded
from sandbox.endpoints.attachments import check_media
from sandbox.errors import Refusal
from sandbox.facts import Json, KfAccount, KfServicer
from sandbox.kf import manages

NAME_CHARS = 16
MOST = 100
SCENE = re.compile(r"[0-9a-zA-Z_-]{0,32}")
NOT_A_SERVICER, NO_DEPARTMENT, TOO_MANY = 95014, 60123, 40058


def add(call: Call) -> Json:
    """A new account, which this app may manage."""
    name = named(call, call.text("name", missing=95006))
    check_media(call, call.text("media_id", missing=41006))
    if len(call.world.kf_accounts) >= call.world.limits.kf_accounts:
        raise Refusal(95005)
    account = call.world.make_kf_account(name, call.text("media_id"))
    account.managers = frozenset({call.agent_id})
    return {"open_kfid": account.open_kfid}


def update(call: Call) -> Json:
    """Another name, another picture."""
    account = own_account(call)
    name = named(call, call.text("name", account.name))
    media_id = call.text("media_id", "")
    if media_id:
        check_media(call, media_id)
    account.name, account.media_id = name, media_id or account.media_id
    return {}


def delete(call: Call) -> Json:
    """The account is gone, its sessions with it."""
    del call.world.kf_accounts[own_account(call).open_kfid]
    return {}


def list_(call: Call) -> Json:
    """All accounts, page by page, also those this app may not manage."""
    offset, limit = call.number("offset", 0), call.number("limit", MOST, low=1, high=MOST)
    accounts = list(call.world.kf_accounts.values())[offset : offset + limit]
    return {"account_list": [account_fields(call, one) for one in accounts]}


def account_fields(call: Call, account: KfAccount) -> Json:
    """An account, as the list has it."""
    return {
        "open_kfid": account.open_kfid,
        "name": account.name,
        "avatar": f"{call.world.base_url}/avatar/{account.open_kfid}.svg",
        "manage_privilege": manages(account, call.agent_id),
    }


def named(call: Call, name: str) -> str:
    """A name an account may have."""
    return bounded(name, chars=NAME_CHARS, too_long=95006)


def add_contact_way(call: Call) -> Json:
    """A link into the chat of an account; with a scene it carries a scene_param, too."""
    account, scene = account_of(call, call.text("open_kfid", missing=95000)), call.text("scene", "")
    if SCENE.fullmatch(scene) is None:
        raise Refusal(40058)
    name = call.world.new_id("kfc", 18) if not scene else call.world.new_id("ENC", 18)
    call.world.kf_links[name] = (account.open_kfid, scene)
    query = f"kfc{account.open_kfid[-15:]}?enc_scene={name}" if scene else name
    return {"url": f"{call.world.base_url}/kf/{query}"}


# --- which account --------------------------------------------------------------------------------------------


def account_of(call: Call, open_kfid: str) -> KfAccount:
    """The account of this id: 95000 for what is no id, 95004 for one that is not (or no more) there."""
    if not open_kfid.startswith(("wk", "kf")):
        raise Refusal(95000)
    found = call.world.kf_accounts.get(open_kfid)
    if found is None:
        raise Refusal(95004)
    return found


def own_account(call: Call) -> KfAccount:
    """The account of the body, which this app may manage."""
    found = account_of(call, call.text("open_kfid", missing=95000))
    if not manages(found, call.agent_id):
        raise Refusal(48007)
    return found


# --- servicers ------------------------------------------------------------------------------------------------


def servicer_add(call: Call) -> Json:
    """Members and departments that answer from now on; each has an errcode of its own."""
    return each(call, add_member, add_department)


def servicer_del(call: Call) -> Json:
    """Members and departments that answer no more."""
    return each(call, remove_member, remove_department)


def servicer_list(call: Call) -> Json:
    """Who answers for an account: status 0 is receiving, 1 has stopped."""
    account = account_of(call, call.asked("open_kfid", 95000))
    members = [member_fields(one) for one in account.servicers.values()]
    return {"servicer_list": [*members, *({"department_id": one} for one in account.department_ids)]}


def member_fields(one: KfServicer) -> Json:
    """A servicer, as the list has him."""
    stopped = {} if one.receiving else {"stop_type": one.stop_type}
    return {"userid": one.userid, "status": int(not one.receiving), **stopped}


def each(
    call: Call, act: Callable[[Call, KfAccount, str], int], act_department: Callable[[Call, KfAccount, int], int]
) -> Json:
    """Do one thing for every userid and department of the body."""
    account = own_account(call)
    userids, department_ids = call.texts("userid_list", most=MOST), departments(call)
    if not userids and not department_ids:
        raise Refusal(40058)
    members = [{"userid": one, **result(act(call, account, one))} for one in userids]
    below = [{"department_id": one, **result(act_department(call, account, one))} for one in department_ids]
    return {"result_list": [*members, *below]}


def result(errcode: int) -> Json:
    """How one of many went."""
    return {"errcode": errcode, "errmsg": "success" if errcode == 0 else "failed"}


def departments(call: Call) -> list[int]:
    """The departments of the body."""
    value = call.body.get("department_id_list") or []
    if not isinstance(value, list) or not all(isinstance(one, int) for one in value) or len(value) > MOST:
        raise Refusal(40058)
    return value


def add_member(call: Call, account: KfAccount, userid: str) -> int:
    """A member answers from now on; once more changes nothing."""
    member = call.world.find_member(userid)
    if member is None or member.status != 1 or not member.in_range:
        return NOT_A_SERVICER
    if member.userid not in account.servicers and len(account.servicers) >= call.world.limits.kf_servicers:
        return TOO_MANY
    account.servicers.setdefault(member.userid, KfServicer(member.userid))
    return 0


def add_department(call: Call, account: KfAccount, department_id: int) -> int:
    """A department answers from now on."""
    if department_id not in call.world.departments:
        return NO_DEPARTMENT
    wanted = tuple(dict.fromkeys([*account.department_ids, department_id]))
    if len(wanted) > call.world.limits.kf_departments:
        return TOO_MANY
    account.department_ids = wanted
    return 0


def remove_member(call: Call, account: KfAccount, userid: str) -> int:
    """A member answers no more."""
    member = call.world.find_member(userid)
    found = account.servicers.pop(member.userid if member else userid, None)
    return 0 if found else NOT_A_SERVICER


def remove_department(_call: Call, account: KfAccount, department_id: int) -> int:
    """A department answers no more."""
    if department_id not in account.department_ids:
        return NO_DEPARTMENT
    account.department_ids = tuple(one for one in account.department_ids if one != department_id)
    return 0
