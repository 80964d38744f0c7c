"""The shop's 公众号, as far as signing in goes: WeChat's page that asks the customer, and what a code leads to.

WeChat tells the unionid of those it has one of (``World.mp_bound``: the 公众号 and the corp belong together).
"""

from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from sandbox.errors import Refusal
from sandbox.facts import Json
from sandbox.pages import page, with_query, world
from sandbox.world import MP_APP_ID, MP_SECRET, World

mp = Blueprint("mp", __name__)

SHOWN = 200
USED = {42022: 40163, 42003: 40029}
"""WeChat says it in other numbers than WeCom does."""
PASSED_ON = ("appid", "redirect_uri", "response_type", "scope", "state", "lang")


@mp.get("/sandbox-wechat/sign-in")
def sign_in() -> AnyResponse:
    """Choose whose WeChat this is; WeChat itself knows, and asks only whether the shop may know too."""
    if problem := _problem():
        return page("refused.html", status=403, problem=problem)
    people = list(islice(reversed(world().customers.values()), SHOWN))
    return page("wechat.html", people=people)


@mp.get("/sandbox-wechat/grant")
def grant() -> AnyResponse:
    """Send them back with a code and the state; ``who`` is a customer, or empty for somebody nobody knows."""
    if problem := _problem():
        return page("refused.html", status=403, problem=problem)
    code = world().sign_in.give_code(request.args.get("who", ""), False, request.args.get("scope", ""))
    return redirect(with_query(request.args["redirect_uri"], code=code, state=request.args.get("state", "")))


def _problem() -> str:
    if request.args.get("appid") != MP_APP_ID:
        return "40013 invalid appid"
    return "" if urlsplit(request.args.get("redirect_uri", "")).netloc else "10003 redirect_uri"


@mp.app_template_global()
def wechat_address(who: str) -> str:
    """Where a tap on a person leads."""
    kept = {name: request.args[name] for name in PASSED_ON if name in request.args}
    return url_for("mp.grant", **kept, who=who)  # type: ignore[arg-type]


@mp.get("/sns/<path:path>")
def sns(path: str) -> Any:
    """WeChat's own API, as far as it is played here."""
    return jsonify(answer(world(), path, request.args.to_dict()))


def answer(own: World, path: str, asked: dict[str, str]) -> Json:
    """What WeChat answers; always 200, faults as ``errcode``."""
    try:
        return _token(own, asked) if path == "oauth2/access_token" else _userinfo(own, asked)
    except Refusal as refusal:
        code = USED.get(refusal.errcode, refusal.errcode)
        return {"errcode": code, "errmsg": "refused by the sandbox"}


def _token(own: World, asked: dict[str, str]) -> Json:
    if asked.get("appid") != MP_APP_ID:
        raise Refusal(40013)
    if asked.get("secret") != MP_SECRET:
        raise Refusal(40125)
    found = own.sign_in.redeem(asked.get("code", ""))
    token = own.sign_in.give_ticket(found.person or STRANGER)
    return {
        "access_token": token,
        "expires_in": 7200,
        "refresh_token": token[::-1],
        "openid": _openid(own, found.person),
        "scope": found.scope,
    }


STRANGER = "stranger"


def _openid(own: World, who: str) -> str:
    customer = own.customers.get(who)
    return customer.openid if customer is not None else "oSTRANGER0000000000000000000"


def _userinfo(own: World, asked: dict[str, str]) -> Json:
    who = own.sign_in.person_of_ticket(asked.get("access_token", ""))
    customer = own.customers.get(who)
    told: Json = {"openid": _openid(own, who), "nickname": customer.name if customer else "路人", "headimgurl": ""}
    unionid = customer.unionid if customer is not None else "uSTRANGER0000000000000000000" if own.mp_bound else ""
    return {**told, "unionid": unionid} if unionid else told
