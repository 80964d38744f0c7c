"""Tokens, tickets, sign-in codes, addresses, and the app itself."""

from sandbox.call import Call
from sandbox.errors import Refusal
from sandbox.facts import Json

CALLBACK_IPS = ["101.226.103.*", "101.226.62.*"]
API_IPS = ["182.254.11.176", "182.254.78.66"]


def gettoken(call: Call) -> Json:
    """The app's access token, for its secret."""
    if call.asked("corpid", 41002) != call.world.corp_id:
        raise Refusal(40013)
    secret = call.asked("corpsecret", 41004)
    app = next((one for one in call.world.apps.values() if one.secret == secret), None)
    if app is None:
        raise Refusal(40001)
    token = call.world.tokens.ask(app.agent_id)
    return {"access_token": token.value, "expires_in": call.world.tokens.seconds_left(token)}


def getcallbackip(_call: Call) -> Json:
    """One of the successes that come without an errcode."""
    return {"ip_list": CALLBACK_IPS, "errcode": None}


def get_api_domain_ip(_call: Call) -> Json:
    """Where the API lives, for firewalls."""
    return {"ip_list": API_IPS}


def get_jsapi_ticket(call: Call) -> Json:
    """The corp's ticket, for wx.config."""
    ticket, expires_in = call.world.tickets.ask("jsapi", call.agent_id)
    return {"ticket": ticket, "expires_in": expires_in}


def ticket_get(call: Call) -> Json:
    """The app's ticket, for wx.agentConfig."""
    if call.asked("type") != "agent_config":
        raise Refusal(40058)
    ticket, expires_in = call.world.tickets.ask("agent_config", call.agent_id)
    return {"ticket": ticket, "expires_in": expires_in}


def getuserinfo(call: Call) -> Json:
    """Who a sign-in code stands for: a member, or somebody outside the corp."""
    found = call.world.sign_in.redeem(call.asked("code", 41008))
    if not found.is_member:
        return outsider(call, found.person, ("openid", "external_userid"))
    answer: Json = {"userid": found.person}
    if found.scope == "snsapi_privateinfo":
        answer["user_ticket"] = call.world.sign_in.give_ticket(found.person)
    return answer


def old_getuserinfo(call: Call) -> Json:
    """The same under its old address, with capital letters."""
    found = call.world.sign_in.redeem(call.asked("code", 41008))
    if not found.is_member:
        return {**outsider(call, found.person, ("OpenId", "external_userid")), "DeviceId": ""}
    return {"UserId": found.person, "DeviceId": "sandbox-device"}


def outsider(call: Call, external_userid: str, names: tuple[str, str]) -> Json:
    """Somebody who is no member: his openid, and his customer id if he is one."""
    customer = call.world.customers.get(external_userid)
    if customer is None:
        return {names[0]: external_userid}
    return {names[0]: customer.openid, names[1]: external_userid}


def getuserdetail(call: Call) -> Json:
    """What a member consented to show."""
    userid = call.world.sign_in.person_of_ticket(call.text("user_ticket", missing=84015))
    member = call.world.member(userid)
    return {
        "userid": member.userid,
        "gender": str(member.gender),
        "avatar": f"{call.world.base_url}/avatar/{member.userid}.svg",
        "qr_code": f"{call.world.base_url}/card/{member.userid}",
        "mobile": member.mobile,
        "email": f"{member.userid}@shop.example",
        "biz_mail": f"{member.userid}@corp.example",
        "address": "",
    }


def agent_get(call: Call) -> Json:
    """The app about itself, and no other."""
    if call.asked("agentid", 41011) != str(call.agent_id):
        raise Refusal(301002)
    world, app = call.world, call.caller
    return {
        "agentid": app.agent_id,
        "name": app.name,
        "square_logo_url": f"{world.base_url}/avatar/{app.agent_id}.svg",
        "description": "",
        "allow_userinfos": {"user": [{"userid": one.userid} for one in world.members.values() if one.in_range]},
        "allow_partys": {"partyid": sorted(world.departments)},
        "allow_tags": {"tagid": []},
        "close": int(app.suspended),
        "redirect_domain": app.trusted_domain,
        "report_location_flag": 0,
        "isreportenter": 0,
        "home_url": "",
    }
