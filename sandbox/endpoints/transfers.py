"""Customers on their way from one rep to another: on the job, or after the old one has left the corp."""

from collections.abc import Callable
from itertools import islice

from sandbox.call import Call
from sandbox.errors import Refusal
from sandbox.facts import QUIT, READABLE, Json, Member, Relation, Transfer
from sandbox.knobs import DAY

WAITING, DONE = 2, 1
PAGE = 1000
MOST_BY_PAGE_ID = 50_000

Obstacle = Callable[[Call, Member, Member, str], int]
"""Why a customer cannot be handed over, or 0."""


def transfer_customer(call: Call) -> Json:
    """Each customer gets an errcode of his own. It takes effect after a day, unless he refuses."""
    call.text("transfer_success_msg", "", chars=200)
    return hand_over(call, call.world.visible_member(call.text("handover_userid")), obstacle)


def resigned_transfer_customer(call: Call) -> Json:
    """The same for the customers of a member who has left the corp."""
    old = call.world.find_member(call.text("handover_userid"))
    if old is None:
        raise Refusal(40003)
    return hand_over(call, old, resigned_obstacle)


def hand_over(call: Call, old: Member, hindered: Obstacle) -> Json:
    """Start a transfer for every customer of the body whom nothing hinders."""
    new = call.world.rep(call.text("takeover_userid"))
    asked = call.texts("external_userid", most=100, missing=41035)
    return {"customer": [{"external_userid": one, "errcode": begin(call, old, new, one, hindered)} for one in asked]}


def begin(call: Call, old: Member, new: Member, external_userid: str, hindered: Obstacle) -> int:
    """Start one transfer, or say why not."""
    errcode = hindered(call, old, new, external_userid)
    if errcode == 0:
        call.world.begin_transfer(old, new, external_userid)
    return errcode


def obstacle(call: Call, old: Member, new: Member, external_userid: str) -> int:
    """Why a customer cannot be handed over on the job."""
    world = call.world
    row = world.relations.find(old.userid, external_userid)
    past = of_customer(call, external_userid)
    recent = [one for one in past if not one.resigned and world.clock.now() - one.asked_at < 90 * DAY]
    if external_userid not in world.customers:
        return 40096
    if old.userid == new.userid:
        return 40130
    if row is None or row.status != "active":
        return 40131
    if any(one.status == WAITING for one in past):
        return 40129
    if len(recent) >= world.limits.transfers_per_90_days:
        return 40128
    return 40099 if world.is_full(new) else 0


def resigned_obstacle(call: Call, old: Member, new: Member, external_userid: str) -> int:
    """Why a customer cannot be handed over after his rep has left; the 90 days do not count here."""
    world = call.world
    row = world.relations.find(old.userid, external_userid)
    if external_userid not in world.customers:
        return 40096
    if old.status != QUIT:
        return 40097
    if old.userid == new.userid:
        return 40130
    if row is None or row.status not in READABLE:
        return 40131
    if any(one.status == WAITING for one in of_customer(call, external_userid)):
        return 40100
    return 40099 if world.is_full(new) else 0


def of_customer(call: Call, external_userid: str) -> list[Transfer]:
    """Every transfer a customer has been through."""
    return [one for one in call.world.transfers if one.external_userid == external_userid]


# --- how it went ----------------------------------------------------------------------------------------------


def transfer_result(call: Call) -> Json:
    """How the transfers between two reps went, on the job or after the old one left, as the path says."""
    resigned = call.request.path.startswith("externalcontact/resigned/")
    pair = (known(call, "handover_userid"), known(call, "takeover_userid"))
    rows = [one for one in call.world.transfers if (one.handover, one.takeover) == pair and one.resigned == resigned]
    place = call.page(0)
    page = [
        {"external_userid": one.external_userid, "status": one.status, "takeover_time": one.takeover_time}
        for one in rows[place : place + PAGE]
    ]
    return {"customer": page, "next_cursor": call.next_page(place + PAGE) if place + PAGE < len(rows) else ""}


def known(call: Call, field: str) -> str:
    """A member of the body, who may have left the corp since."""
    found = call.world.find_member(call.text(field))
    if found is not None and found.status == QUIT:
        return found.userid
    return call.world.visible_member(call.text(field)).userid


# --- whose rep has left ---------------------------------------------------------------------------------------


def get_unassigned_list(call: Call) -> Json:
    """The customers of members who left, the latest leaver first; by cursor, or by page_id up to 50,000 rows."""
    size, page_id = call.number("page_size", PAGE, low=1, high=PAGE), call.number("page_id", 0)
    if page_id * size >= MOST_BY_PAGE_ID:
        raise Refusal(40058, "use the cursor")
    place = call.page(page_id * size)
    rows = list(islice(unassigned(call), place, place + size + 1))
    more = len(rows) > size
    return {
        "info": [unassigned_fields(call, one) for one in rows[:size]],
        "is_last": not more,
        "next_cursor": call.next_page(place + size) if more else "",
    }


def unassigned(call: Call) -> list[Relation]:
    """Every relation of a leaver that nobody has inherited, and nobody is about to."""
    world = call.world
    taken = {(one.handover, one.external_userid) for one in world.transfers if one.status in (WAITING, DONE)}
    leavers = [one for one in world.members.values() if one.status == QUIT and one.customer_contact]
    leavers.sort(key=lambda one: -one.left_at)
    rows = (row for one in leavers for row in world.relations.of_member(one.userid))
    return [row for row in rows if (row.userid, row.external_userid) not in taken]


def unassigned_fields(call: Call, row: Relation) -> Json:
    """A customer whom nobody looks after, and since when."""
    left_at = call.world.member(row.userid).left_at
    return {"handover_userid": row.userid, "external_userid": row.external_userid, "dimission_time": left_at}
