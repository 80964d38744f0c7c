"""The admin API under /sandbox/: read the world, act in it, turn its knobs. JSON in, JSON out.

GET reads (`VIEWS`), POST acts (`ACTS`). A body's fields are the arguments of the act, as the world's methods name them.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, request

from sandbox.callbacks import Deliverer
from sandbox.clock import ManualClock
from sandbox.facts import Json, Member
from sandbox.till import ITEMS, Till
from sandbox.views import everything, person_view, words_in
from sandbox.views_kf import account_view
from sandbox.views_mass import task_view
from sandbox.world import World

admin = Blueprint("admin", __name__, url_prefix="/sandbox")

SEEN = 200


def world() -> World:
    """The world behind this app."""
    found: World = current_app.extensions["world"]
    return found


def deliverer() -> Deliverer:
    """The deliverer of this app; without one, callbacks are somebody else's."""
    found: Deliverer | None = current_app.extensions["deliverer"]
    if found is None:
        abort(409, "this sandbox delivers no callbacks")
    return found


def till() -> Till:
    """The shop's till."""
    found: Till = current_app.extensions["till"]
    return found


# --- reading --------------------------------------------------------------------------------------------------


def state() -> Json:
    """The corp at a glance."""
    return everything(world())


def calls() -> list[Json]:
    """The latest calls, of one endpoint if asked."""
    path = request.args.get("path")
    found = world().calls_to(path) if path else list(world().calls)
    return [asdict(one) for one in found[-int(request.args.get("limit", SEEN)) :]]


def sent() -> list[Json]:
    """The welcomes that reached customers."""
    return [asdict(one) for one in world().sent[-int(request.args.get("limit", SEEN)) :]]


def deliveries() -> list[Json]:
    """The latest callbacks and their tries."""
    return [one.as_json() for one in deliverer().recent(int(request.args.get("limit", SEEN)))]


def events() -> list[Json]:
    """The latest events, as written."""
    return [asdict(one) for one in list(world().events)[-int(request.args.get("limit", SEEN)) :]]


def counts() -> Json:
    """Counts of calls by endpoint, and of what came of them."""
    there = world()
    return {"calls": there.counts(), "welcomes": len(there.sent), "events": there.events_made}


def chat() -> list[Json]:
    """What two see in their chat."""
    return [asdict(one) for one in world().chat_of(request.args["userid"], request.args["external_userid"])]


def inbox() -> list[Json]:
    """The app messages of a member."""
    return [asdict(one) for one in world().inbox_of(request.args["userid"])]


def app_chat() -> list[Json]:
    """What a member wrote to an app, and what it answered at once."""
    return [asdict(one) for one in world().app_chat_of(int(request.args["agent_id"]), request.args["userid"])]


def kf_accounts() -> list[Json]:
    """The 微信客服 accounts, who answers for them, and their sessions."""
    return [account_view(world(), one) for one in world().kf_accounts.values()]


def kf_chat() -> Json:
    """What a customer sees in a 微信客服 chat, and in whose hands he is."""
    open_kfid, external_userid = request.args["open_kfid"], request.args["external_userid"]
    lines = [asdict(one) for one in world().kf_chat(open_kfid, external_userid)]
    session = world().kf_session_seen(open_kfid, external_userid)
    return {"state": world().state_of_session(session), "servicer": session.servicer, "lines": lines}


def kf_sent() -> list[Json]:
    """The messages apps have sent to 微信客服 customers."""
    return [asdict(one) for one in world().kf_sent[-int(request.args.get("limit", SEEN)) :]]


def mass() -> list[Json]:
    """The latest mass messages, and how far each member is with his part."""
    return [task_view(one) for one in list(world().mass_tasks.values())[-int(request.args.get("limit", SEEN)) :]]


def mass_todos() -> list[Json]:
    """What a member is asked to send."""
    return [asdict(one) for one in world().mass_todos(request.args["userid"])]


def mass_received() -> list[Json]:
    """Every mass message that reached somebody."""
    with world().lock:
        return [asdict(one) for one in world().mass_received()]


def room_chat() -> list[Json]:
    """What mass messages a group has received."""
    return [asdict(one) for one in world().room_chat(request.args["chat_id"])]


def view() -> Json:
    """What the person page shows, for one customer, one rep and one 微信客服 account."""
    found: Deliverer | None = current_app.extensions["deliverer"]
    return person_view(world(), found, *(request.args.get(name, "") for name in ("customer", "rep", "kf")))


def words() -> Json:
    """The person page's words in one language."""
    return words_in(request.args.get("lang", "zh"))


def till_view() -> Json:
    """What the till sells, what it has sold, and what a customer has in points."""
    customer = request.args.get("customer", "")
    everybody = [{"id": one.external_userid, "name": one.name} for one in world().customers.values()]
    return {
        "connected": bool(till().address),
        "items": [{"name": name, "category": kind, "price": price} for name, (kind, price) in ITEMS.items()],
        "receipts": till().latest(int(request.args.get("limit", 30))),
        "points": till().points_of(customer) if customer else {},
        "customers": list(reversed(everybody))[:SEEN],
        "now": world().clock.now(),
    }


VIEWS: Mapping[str, Callable[[], Any]] = {
    "state": state,
    "calls": calls,
    "sent": sent,
    "deliveries": deliveries,
    "events": events,
    "counts": counts,
    "chat": chat,
    "inbox": inbox,
    "app_chat": app_chat,
    "kf_accounts": kf_accounts,
    "kf_chat": kf_chat,
    "kf_sent": kf_sent,
    "mass": mass,
    "mass_todos": mass_todos,
    "mass_received": mass_received,
    "room_chat": room_chat,
    "view": view,
    "words": words,
    "till": till_view,
}


# --- acting ---------------------------------------------------------------------------------------------------


def turn(knobs: Any, body: Json) -> Json:
    """Set the named knobs, and show all."""
    names = {one.name for one in fields(knobs)}
    for name, value in body.items():
        if name not in names:
            abort(400, f"there is no knob {name}")
        setattr(knobs, name, value)
    return asdict(knobs)


def advance(seconds: float) -> Json:
    """Move a manual clock."""
    clock = world().clock
    if not isinstance(clock, ManualClock):
        abort(409, "this sandbox lives by the system's clock")
    clock.advance(seconds)
    return {"now": clock.now()}


def app_settings(agent_id: int, **settings: Any) -> Json:
    """Change an app: callback_url, trusted_domain, customer_contact, suspended and so on."""
    app = world().app(agent_id)
    for name, value in settings.items():
        if name not in {one.name for one in fields(app)}:
            abort(400, f"an app has no {name}")
        setattr(app, name, value)
    return asdict(app)


def half_add(on: bool, delay: float | None = 0.0) -> Json:
    """Whether a scan leads to a half add first, and when it becomes whole (null: never by itself)."""
    world().half_add, world().half_delay = on, delay
    return {"half_add": on, "half_delay": delay}


def new_customer(name: str, **settings: Any) -> Json:
    """A new person with WeChat."""
    return asdict(world().new_customer(name, **settings))


def hire(**person: Any) -> Json:
    """A member joins."""
    return asdict(world().hire(Member(**{**person, "departments": tuple(person.get("departments", (1,)))})))


def kf_account(**body: Any) -> Json:
    """A new 微信客服 account."""
    return account_view(world(), world().kf_account(**body))


def method(name: str) -> Callable[..., Any]:
    """The world's method of this name."""
    return lambda **body: getattr(world(), name)(**body)


METHODS = (
    *("kill_token", "fail_next", "populate", "random_week"),
    *("scan", "past_scan", "confirm", "add_by_phone", "customer_deletes", "member_deletes", "edit_remark", "rep_tags"),
    *("transfer", "refuse_transfer", "update_member", "rename_member", "dismiss_member"),
    *("member_writes", "member_sends", "member_opens_app", "member_clicks", "press_card", "press_card_menu"),
    *("console_tags", "console_rename_tag", "console_rename_group", "console_delete_tag", "console_delete_group"),
    *("console_shuffle", "open_group", "join_group", "leave_group", "rename_group", "announce_in_group"),
    *("give_group", "dismiss_group", "kf_authorise", "kf_close", "kf_enter", "kf_follow_link", "kf_say", "kf_click"),
    *("kf_send_file", "kf_refuse", "kf_recall", "kf_take", "kf_servicer_says", "kf_pass_on", "kf_end"),
    *("kf_receiving", "kf_reject", "kf_fail", "confirm_mass", "member_mass"),
    *("js_config", "js_agent_config", "js_invoke"),
)
"""Acts that are methods of the world, under the same name and with the same arguments."""

ACTS: Mapping[str, Callable[..., Any]] = {
    **{name: method(name) for name in METHODS},
    "faults": lambda **body: turn(world().faults, body),
    "limits": lambda **body: turn(world().limits, body),
    "habits": lambda **body: turn(world().habits, body),
    "clock": advance,
    "app": app_settings,
    "half_add": half_add,
    "emit": lambda **body: [one.id for one in world().emit(**body)],
    "pause": lambda: deliverer().pause(),
    "resume": lambda: deliverer().resume(),
    "redeliver": lambda **body: deliverer().redeliver(**body),
    "verify_url": lambda **body: {"accepted": deliverer().verify_url(**body)},
    "forget_calls": lambda: world().log.clear(),
    "check_js_signature": lambda **body: {"valid": world().check_js_signature(**body)},
    "customer": new_customer,
    "way": method("make_way"),
    "write": method("chat"),
    "hire": hire,
    "kf_account": kf_account,
    "till": lambda **body: till().connect(**body),
    "sell": lambda **body: till().sell(**body),
    "refund_sale": lambda **body: till().refund(**body),
    "till_confirm": lambda **body: till().confirm(**body),
    "redeem": lambda **body: {"told": till().redeem(**body)},
}


@admin.get("/<name>")
def read(name: str) -> Response:
    """One of the views."""
    if name not in VIEWS:
        abort(404, f"there is no view {name}")
    return jsonify(VIEWS[name]())


@admin.post("/<name>")
def do(name: str) -> Response:
    """One of the acts. Only JSON is taken, so that no other site's form can act here."""
    if name not in ACTS:
        abort(404, f"there is no act {name}")
    body = request.get_json()
    try:
        done = ACTS[name](**body)
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        abort(400, str(error) or "there is no such thing")
    return jsonify(plain(done))


def plain(done: Any) -> Any:
    """What an act gives back, as JSON can carry it."""
    if is_dataclass(done) and not isinstance(done, type):
        return {**asdict(done), **({"welcome_code": done.welcome_code} if hasattr(done, "welcome_code") else {})}
    return {"ok": True} if done is None else done
