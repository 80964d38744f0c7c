"""The simulated API: one table of endpoints, one way through the door.

`answer` takes a request as it came (over HTTP or from the adapter) and passes it through the same steps as WeCom does:
faults, frequency limits, token, right, then the endpoint. Whatever it says, the HTTP status is 200.
"""

import json
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sandbox.call import Binary, Call, Request, read_json
from sandbox.endpoints import (
    access,
    contact_ways,
    customers,
    groups,
    kf_accounts,
    kf_messages,
    kf_sessions,
    mass,
    media,
    messages,
    organisation,
    statistics,
    tags,
    transfers,
    welcome,
)
from sandbox.errors import BUSY, Refusal, wording
from sandbox.facts import App, Json, LoggedCall
from sandbox.world import World


class Endpoint(NamedTuple):
    """The verb WeCom wants, and what the endpoint does."""

    verb: Literal["GET", "POST"]
    act: Callable[[Call], Json | Binary]


ENDPOINTS: MutableMapping[str, Endpoint] = {
    "gettoken": Endpoint("GET", access.gettoken),
    "getcallbackip": Endpoint("GET", access.getcallbackip),
    "get_api_domain_ip": Endpoint("GET", access.get_api_domain_ip),
    "get_jsapi_ticket": Endpoint("GET", access.get_jsapi_ticket),
    "ticket/get": Endpoint("GET", access.ticket_get),
    "agent/get": Endpoint("GET", access.agent_get),
    "auth/getuserinfo": Endpoint("GET", access.getuserinfo),
    "auth/getuserdetail": Endpoint("POST", access.getuserdetail),
    "user/getuserinfo": Endpoint("GET", access.old_getuserinfo),
    "user/get": Endpoint("GET", organisation.user_get),
    "user/simplelist": Endpoint("GET", organisation.user_simplelist),
    "user/list": Endpoint("GET", organisation.user_list),
    "user/list_id": Endpoint("POST", organisation.user_list_id),
    "department/list": Endpoint("GET", organisation.department_list),
    "department/simplelist": Endpoint("GET", organisation.department_simplelist),
    "externalcontact/get_follow_user_list": Endpoint("GET", customers.get_follow_user_list),
    "externalcontact/list": Endpoint("GET", customers.list_),
    "externalcontact/get": Endpoint("GET", customers.get),
    "externalcontact/batch/get_by_user": Endpoint("POST", customers.batch_get_by_user),
    "externalcontact/remark": Endpoint("POST", customers.remark),
    "externalcontact/add_contact_way": Endpoint("POST", contact_ways.add),
    "externalcontact/get_contact_way": Endpoint("POST", contact_ways.get),
    "externalcontact/list_contact_way": Endpoint("POST", contact_ways.list_),
    "externalcontact/update_contact_way": Endpoint("POST", contact_ways.update),
    "externalcontact/del_contact_way": Endpoint("POST", contact_ways.delete),
    "externalcontact/get_corp_tag_list": Endpoint("POST", tags.get_list),
    "externalcontact/add_corp_tag": Endpoint("POST", tags.add),
    "externalcontact/edit_corp_tag": Endpoint("POST", tags.edit),
    "externalcontact/del_corp_tag": Endpoint("POST", tags.delete),
    "externalcontact/mark_tag": Endpoint("POST", tags.mark),
    "externalcontact/send_welcome_msg": Endpoint("POST", welcome.send),
    "externalcontact/add_msg_template": Endpoint("POST", mass.add_msg_template),
    "externalcontact/get_groupmsg_list_v2": Endpoint("POST", mass.get_groupmsg_list_v2),
    "externalcontact/get_groupmsg_task": Endpoint("POST", mass.get_groupmsg_task),
    "externalcontact/get_groupmsg_send_result": Endpoint("POST", mass.get_groupmsg_send_result),
    "externalcontact/remind_groupmsg_send": Endpoint("POST", mass.remind_groupmsg_send),
    "externalcontact/cancel_groupmsg_send": Endpoint("POST", mass.cancel_groupmsg_send),
    "externalcontact/transfer_customer": Endpoint("POST", transfers.transfer_customer),
    "externalcontact/transfer_result": Endpoint("POST", transfers.transfer_result),
    "externalcontact/get_unassigned_list": Endpoint("POST", transfers.get_unassigned_list),
    "externalcontact/resigned/transfer_customer": Endpoint("POST", transfers.resigned_transfer_customer),
    "externalcontact/resigned/transfer_result": Endpoint("POST", transfers.transfer_result),
    "externalcontact/get_user_behavior_data": Endpoint("POST", statistics.get_user_behavior_data),
    "externalcontact/groupchat/list": Endpoint("POST", groups.list_),
    "externalcontact/groupchat/get": Endpoint("POST", groups.get),
    "externalcontact/groupchat/transfer": Endpoint("POST", groups.transfer),
    "externalcontact/groupchat/onjob_transfer": Endpoint("POST", groups.onjob_transfer),
    "kf/account/add": Endpoint("POST", kf_accounts.add),
    "kf/account/update": Endpoint("POST", kf_accounts.update),
    "kf/account/del": Endpoint("POST", kf_accounts.delete),
    "kf/account/list": Endpoint("POST", kf_accounts.list_),
    "kf/add_contact_way": Endpoint("POST", kf_accounts.add_contact_way),
    "kf/servicer/add": Endpoint("POST", kf_accounts.servicer_add),
    "kf/servicer/del": Endpoint("POST", kf_accounts.servicer_del),
    "kf/servicer/list": Endpoint("GET", kf_accounts.servicer_list),
    "kf/sync_msg": Endpoint("POST", kf_messages.sync),
    "kf/send_msg": Endpoint("POST", kf_messages.send),
    "kf/send_msg_on_event": Endpoint("POST", kf_messages.send_on_event),
    "kf/service_state/get": Endpoint("POST", kf_sessions.get),
    "kf/service_state/trans": Endpoint("POST", kf_sessions.trans),
    "kf/customer/batchget": Endpoint("POST", kf_sessions.batchget),
    "message/send": Endpoint("POST", messages.send),
    "message/update_template_card": Endpoint("POST", messages.update_card),
    "message/recall": Endpoint("POST", messages.recall),
    "media/upload": Endpoint("POST", media.upload),
    "media/upload_attachment": Endpoint("POST", media.upload_attachment),
    "media/get": Endpoint("GET", media.get),
    "media/uploadimg": Endpoint("POST", media.uploadimg),
}
"""Every endpoint, by its path below /cgi-bin/. A new one is a row here and a function in `endpoints`."""

WITHOUT_TOKEN = frozenset({"gettoken"})
CUSTOMER_CONTACT = "externalcontact/"
KF = "kf/"
GATEWAY_PAGE = Binary(b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html", status=502)


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, unless the line breaks first."""

    data: bytes
    content_type: str = "application/json; charset=UTF-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    reset: bool = False
    """Break the line instead of answering."""
    hung: bool = False
    """The caller's patience ended before the answer."""


@dataclass(slots=True)
class Passage:
    """One request on its way: what is known of it so far, for the log."""

    world: World
    request: Request
    app: App | None = None
    body: Json = field(default_factory=dict)
    errcode: int = 0
    accepted: bool = False


def answer(world: World, request: Request, patience: float | None = None) -> Answer:
    """Do what a request asks. `patience` is how long the caller waits for an answer."""
    passage = Passage(world, request)
    with world.log.under_way(request.path) as at_once, pulling(world, request):
        said = go_through(passage, at_once)
        wait = waiting_time(world, request.path)
        world.clock.sleep(wait if patience is None else min(wait, patience))
    if patience is not None and wait > patience:
        return noted(passage, Answer(b"", hung=True), "hung")
    if passage.accepted and world.happens(world.faults.reset_after_effect):
        return noted(passage, Answer(b"", reset=True), "reset")
    return noted(passage, said, "answered" if said.status in (200, 206) else "not json")


def pulling(world: World, request: Request) -> AbstractContextManager[object]:
    """A pull of messages is also counted under its account: two at once give doubles."""
    if request.path != "kf/sync_msg":
        return nullcontext()
    try:
        open_kfid = str(read_json(request.body).get("open_kfid", ""))
    except Refusal:
        return nullcontext()
    return world.log.under_way(f"{request.path} {open_kfid}")


def go_through(passage: Passage, at_once: int) -> Answer:
    """Faults first, then the gate, then the endpoint."""
    world, request = passage.world, passage.request
    if world.happens(world.faults.not_json):
        return binary(GATEWAY_PAGE)
    try:
        with world.acting():
            found = act(passage, at_once)
    except Refusal as refusal:
        passage.errcode = refusal.errcode
        hint = f"{world.rng.getrandbits(64):020d}"
        errmsg = wording(refusal.errcode, hint, request.ip, refusal.remark)
        return as_json(world, {"errcode": refusal.errcode, "errmsg": errmsg})
    passage.accepted = True
    if isinstance(found, Binary):
        return binary(found)
    return as_json(world, success(found))


def act(passage: Passage, at_once: int) -> Json | Binary:
    """The door, step by step, and what is behind it."""
    world, request = passage.world, passage.request
    check_faults(world, request.path)
    check_limits(world, request.path, at_once)
    endpoint = ENDPOINTS.get(request.path)
    if endpoint is None:
        raise Refusal(40094)
    if request.path not in WITHOUT_TOKEN:
        passage.app = app_of(world, request)
    if request.verb != endpoint.verb:
        raise Refusal(40058, "wrong verb")
    if endpoint.verb == "POST" and not request.header("Content-Type").startswith("multipart/"):
        passage.body = read_json(request.body)
    return endpoint.act(Call(world, request, passage.app, passage.body))


def check_faults(world: World, path: str) -> None:
    """What a test has planned for this endpoint comes first, then chance."""
    planned = world.planned.get(path)
    if planned:
        raise Refusal(planned.popleft())
    if world.happens(world.faults.busy):
        raise Refusal(BUSY)


def check_limits(world: World, path: str, at_once: int) -> None:
    """Frequency first, then how many go on at once."""
    now = world.clock.now()
    if world.gates.is_shut(path, now):
        world.log.inside_block(path)
    if not world.gates.lets_in(path, now):
        raise Refusal(45009)
    if path == "externalcontact/mark_tag" and at_once > world.limits.mark_tag_at_once:
        raise Refusal(45033)


def app_of(world: World, request: Request) -> App:
    """Whose token it is, if it may do this from here."""
    app = world.app(world.tokens.agent_of(request.query.get("access_token", "")))
    if world.trusted_ips is not None and request.ip not in world.trusted_ips:
        raise Refusal(60020)
    if app.suspended:
        raise Refusal(48006)
    if request.path.startswith(CUSTOMER_CONTACT) and not app.customer_contact:
        raise Refusal(48002)
    if request.path.startswith(KF) and not app.kf:
        raise Refusal(48002)
    return app


def waiting_time(world: World, path: str) -> float:
    """How long this answer takes."""
    faults = world.faults
    wait = faults.latency.get(path, faults.latency.get("*", 0.0))
    probability, seconds = faults.hang.get(path, (0.0, 0.0))
    if world.happens(probability):
        wait += seconds
    if world.happens(faults.slow):
        wait += faults.slow_seconds
    return wait


def success(found: Json) -> Json:
    """The answer with errcode 0 in front; an endpoint that says None there wants none."""
    whole = {"errcode": 0, "errmsg": "ok", **found}
    if whole["errcode"] is None:
        del whole["errcode"], whole["errmsg"]
    return whole


def as_json(world: World, said: Json) -> Answer:
    """A JSON answer, sometimes with a field nobody announced."""
    if world.happens(world.faults.unknown_fields):
        said = {**said, "sandbox_new_field": {"since": "today"}}
    try:
        return Answer(json.dumps(said, ensure_ascii=False).encode())
    except UnicodeEncodeError:  # half of a surrogate pair leaves as the escape it came as
        return Answer(json.dumps(said).encode())


def binary(found: Binary) -> Answer:
    """An answer that is not JSON."""
    return Answer(found.data, found.content_type, found.headers, found.status)


def noted(passage: Passage, said: Answer, outcome: Literal["answered", "reset", "not json", "hung"]) -> Answer:
    """Write the call into the log."""
    request = passage.request
    query = {name: value for name, value in request.query.items() if name not in ("access_token", "corpsecret")}
    agent_id = passage.app.agent_id if passage.app else None
    passage.world.log.add(
        LoggedCall(
            passage.world.clock.now(),
            request.path,
            request.verb,
            agent_id,
            query,
            passage.body,
            passage.errcode,
            passage.accepted,
            outcome,
        )
    )
    return said
