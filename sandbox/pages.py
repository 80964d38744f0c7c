"""The pages a person sees: the two phones, a scanned code, signing in; and the pictures they need."""

import io
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import segno
from flask import Blueprint, Response, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from sandbox.facts import App
from sandbox.words import words_in
from sandbox.world import MP_APP_ID, World

pages = Blueprint("pages", __name__)

POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'self'; form-action 'self'; base-uri 'none'"
CLIENT_COOKIE = "sandbox_client"
"""Whose client the browser shows: a page in its toolbar is signed in without being asked."""
COLOURS = ("#0B6B60", "#A9531F", "#3B6FB6", "#7A5FA3", "#86701A", "#5C6670")


def world() -> World:
    """The world behind this app."""
    found: World = current_app.extensions["world"]
    return found


def language() -> str:
    """Chinese, unless English is asked for."""
    return "en" if request.values.get("lang") == "en" else "zh"


def page(template: str, status: int = 200, **facts: Any) -> Response:
    """A page in the asked language."""
    text = render_template(template, words=words_in(language()), lang=language(), world=world(), **facts)
    return Response(text, status, mimetype="text/html")


@pages.get("/")
def person() -> Response:
    """Two phones side by side, and what passes between WeCom and the product."""
    home = next((app.home for app in world().apps.values() if app.home), "")
    return page("person.html", home=home)


@pages.get("/till")
def till() -> Response:
    """The shop's till: sell, take back, take points."""
    home = next((app.home for app in world().apps.values() if app.home), "")
    return page("till.html", home=home)


# --- a scanned code -------------------------------------------------------------------------------------------


@pages.get("/scan/<config_id>")
def scanned(config_id: str) -> Response:
    """What a phone shows after scanning a channel code."""
    way = world().contact_ways.get(config_id)
    reps = world().reps_of(way) if way else []
    if way is None or not reps:
        return page("gone.html", status=404)
    return page("scan.html", way=way, reps=reps)


@pages.post("/scan/<config_id>")
def add(config_id: str) -> Response:
    """The customer taps 'add'."""
    name = request.form.get("name", "").strip() or "小雨"
    arrival = world().scan(config_id, name=name[:20], external_userid=request.form.get("external_userid") or None)
    if arrival.outcome == "nothing":
        return page("gone.html", status=404)
    return page("added.html", arrival=arrival, rep=world().member(arrival.userid))


@pages.get("/qr/<config_id>.png")
def qr(config_id: str) -> Response:
    """The QR code of a channel code; it leads to its scan page."""
    if config_id not in world().contact_ways:
        abort(404)
    picture = io.BytesIO()
    segno.make(f"{world().base_url}/scan/{config_id}", error="m").save(picture, kind="png", scale=16, border=4)
    return Response(picture.getvalue(), mimetype="image/png")


# --- a 微信客服 link -------------------------------------------------------------------------------------------


@pages.get("/kf/<name>")
def kf_link(name: str) -> Response:
    """What a phone shows for a link to an account."""
    open_kfid, _ = world().kf_links.get(request.args.get("enc_scene", name), ("", ""))
    account = world().kf_accounts.get(open_kfid)
    return page("kf.html", account=account) if account else page("gone.html", status=404)


@pages.post("/kf/<name>")
def kf_enter(name: str) -> AnyResponse:
    """The customer opens the chat; the person page goes on from there."""
    query = urlencode(request.args.to_dict())
    try:
        visit = world().kf_follow_link(f"{name}?{query}", request.form.get("name", "").strip()[:20] or "小雨")
    except KeyError:
        return page("gone.html", status=404)
    there = {"customer": visit.external_userid, "kf": visit.open_kfid, "open": "kf", "lang": language()}
    return redirect(url_for("pages.person", **there))  # type: ignore[arg-type]


# --- pictures -------------------------------------------------------------------------------------------------


@pages.get("/avatar/<who>.svg")
def avatar(who: str) -> Response:
    """A person's first letter on a colour of his own."""
    found = world().customers.get(who) or world().find_member(who) or world().kf_accounts.get(who) or app_of(who)
    letter = escape((found.name if found else who)[:1])
    colour = COLOURS[sha256(who.encode()).digest()[0] % len(COLOURS)]
    text = (
        f'<text x="40" y="52" text-anchor="middle" font-family="sans-serif" font-size="34" fill="#fff">{letter}</text>'
    )
    ground = f'<rect width="80" height="80" fill="{colour}"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 80">{ground}{text}</svg>'
    return Response(svg, mimetype="image/svg+xml", headers={"Cache-Control": "max-age=600"})


def app_of(agent_id: str) -> App | None:
    """The app of an agentid, if it is one."""
    return world().apps.get(int(agent_id)) if agent_id.isdigit() else None


@pages.get("/img/<name>")
def picture(name: str) -> Response:
    """A picture that was uploaded for good, or is a media file."""
    found = world().pictures.get(name) or world().media.get(name)
    if found is None or not found.content_type.startswith("image/"):
        abort(404)
    return Response(found.data, mimetype=found.content_type)


# --- the rep's client -----------------------------------------------------------------------------------------


@pages.get("/client")
def client() -> Response:
    """A rep's chat with a customer on a computer, and an app's page in the toolbar beside it.

    `userid` and `external_userid` say whose; `chat_id` names a group instead of a customer; `agentid` which app's page,
    where several have one.
    """
    rep = world().find_member(request.args.get("userid", "")) or next(iter(world().members.values()))
    chat_id = request.args.get("chat_id", "")
    external_userid = "" if chat_id else request.args.get("external_userid", "") or newest_customer(rep.userid)
    toolbar = toolbar_address()
    answer = page("client.html", rep=rep, external_userid=external_userid, chat_id=chat_id, toolbar=toolbar)
    if toolbar:
        parts = urlsplit(toolbar)
        answer.headers["Content-Security-Policy"] = f"{POLICY}; frame-src 'self' {parts.scheme}://{parts.netloc}"
    answer.set_cookie(CLIENT_COOKIE, rep.userid, httponly=True, samesite="Lax")
    return answer


def newest_customer(userid: str) -> str:
    """The customer a rep has had the shortest time, if any."""
    rows = [row for row in world().relations.of_member(userid) if row.status == "active"]
    return rows[-1].external_userid if rows else ""


def toolbar_address() -> str:
    """The page of the app asked for, or of the first that has one."""
    asked = app_of(request.args.get("agentid", ""))
    found = (world().toolbar_of(one) for one in ([asked] if asked else world().apps.values()))
    return next((one for one in found if one), "")


@pages.get("/open/js/jweixin-1.2.0.js")
@pages.get("/wwopen/js/jwxwork-1.0.0.js")
def js_sdk() -> Response:
    """The stand-in for WeCom's two scripts, under their own paths."""
    return current_app.send_static_file("wx.js")


# --- signing in -----------------------------------------------------------------------------------------------


@pages.get("/connect/oauth2/authorize")
@pages.get("/wwlogin/sso/login")
@pages.get("/wwopen/sso/qrConnect")
def sign_in() -> AnyResponse:
    """Choose who you are; WeCom itself knows, and does not ask. In the toolbar of the rep's client we know it too."""
    if request.args.get("appid") == MP_APP_ID:
        return redirect(url_for("mp.sign_in", **request.args.to_dict()))  # type: ignore[arg-type]
    app = app_signed_into()
    problem = sign_in_problem(app)
    if problem:
        return page("refused.html", status=403, problem=problem)
    rep = world().find_member(request.cookies.get(CLIENT_COOKIE, ""))
    if rep is not None and request.headers.get("Sec-Fetch-Dest") == "iframe":
        return redirect(grant_address(userid=rep.userid))
    members = [one for one in world().members.values() if one.in_range and one.status == 1]
    customers = list(world().customers.values())[-6:] if "oauth2" in request.path else []
    return page("sign_in.html", app=app, members=members, customers=customers, asked=request.args)


@pages.get("/sandbox-sign-in/grant")
def grant() -> AnyResponse:
    """Send the chosen person back with a code and the state."""
    problem = sign_in_problem(app_signed_into())
    if problem:
        return page("refused.html", status=403, problem=problem)
    is_member = "userid" in request.args
    person = request.args["userid"] if is_member else request.args["external_userid"]
    code = world().sign_in.give_code(person, is_member, request.args.get("scope", "snsapi_base"))
    return redirect(with_query(request.args["redirect_uri"], code=code, state=request.args.get("state", "")))


def app_signed_into() -> App | None:
    """The app named by agentid; the only one there is, where none is named."""
    apps = world().apps
    agent_id = request.args.get("agentid", "")
    if not agent_id and len(apps) == 1:
        return next(iter(apps.values()))
    return app_of(agent_id)


def sign_in_problem(app: App | None) -> str:
    """Why WeCom would not go on, in its words."""
    host = urlsplit(request.args.get("redirect_uri", "")).netloc
    if request.args.get("appid") != world().corp_id:
        return "40013 invalid corpid"
    if app is None:
        return "40056 invalid agentid"
    if not host or (app.trusted_domain and host != app.trusted_domain):
        return f"50001 redirect_url unauthorized: {host}"
    return ""


def with_query(address: str, **more: str) -> str:
    """An address with more in its query."""
    parts = urlsplit(address)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *more.items()])
    return urlunsplit(parts._replace(query=query))


@pages.app_template_global()
def grant_address(**who: str) -> str:
    """Where a tap on a person leads."""
    kept = {
        name: request.args[name]
        for name in ("appid", "agentid", "redirect_uri", "state", "scope")
        if name in request.args
    }
    return url_for("pages.grant", **kept, **who)  # type: ignore[arg-type]
