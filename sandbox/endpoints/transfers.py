"""On-job transfer of customers from one rep to another, and how it went."""

from sandbox.call import Call
from sandbox.facts import Json, Member, Transfer
from sandbox.knobs import DAY

WAITING = 2
PAGE = 1000


def transfer_customer(call: Call) -> Json:
    """Each customer gets an errcode of his own. It takes effect after a day, unless he refuses."""
    old = call.world.visible_member(call.text("handover_userid"))
    new = call.world.rep(call.text("takeover_userid"))
    call.text("transfer_success_msg", "", chars=200)
    asked = call.texts("external_userid", most=100, missing=41035)
    return {"customer": [{"external_userid": one, "errcode": begin(call, old, new, one)} for one in asked]}


def begin(call: Call, old: Member, new: Member, external_userid: str) -> int:
    """Start one transfer, or say why not."""
    errcode = obstacle(call, old, new, external_userid)
    if errcode == 0:
        world = call.world
        waiting = Transfer(old.userid, new.userid, external_userid, world.clock.now())
        world.transfers.append(waiting)
        world.agenda.after(world.limits.transfer_seconds, lambda: world.complete_transfer(waiting))
    return errcode


def obstacle(call: Call, old: Member, new: Member, external_userid: str) -> int:
    """Why this customer cannot be handed over, or 0."""
    world = call.world
    row = world.relations.find(old.userid, external_userid)
    recent = [one for one in of_customer(call, external_userid) if world.clock.now() - one.asked_at < 90 * DAY]
    if external_userid not in world.customers:
        return 40096
    if old.userid == new.userid:
        return 40130
    if row is None or row.status != "active":
        return 40131
    if any(one.status == WAITING for one in recent):
        return 40129
    if len(recent) >= world.limits.transfers_per_90_days:
        return 40128
    if sum(1 for _ in world.relations.of_member(new.userid)) >= world.limits.customers_per_member:
        return 40099
    return 0


def of_customer(call: Call, external_userid: str) -> list[Transfer]:
    """Every transfer a customer has been through."""
    return [one for one in call.world.transfers if one.external_userid == external_userid]


def transfer_result(call: Call) -> Json:
    """How the transfers between two reps went."""
    old, new = call.text("handover_userid"), call.text("takeover_userid")
    pair = (call.world.visible_member(old).userid, call.world.visible_member(new).userid)
    rows = [one for one in call.world.transfers if (one.handover, one.takeover) == pair]
    place = call.page(0)
    page = [
        {"external_userid": one.external_userid, "status": one.status, "takeover_time": one.takeover_time}
        for one in rows[place : place + PAGE]
    ]
    return {"customer": page, "next_cursor": call.next_page(place + PAGE) if place + PAGE < len(rows) else ""}
