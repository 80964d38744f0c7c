"""Mass messages 企业群发, as the API makes and follows them (wecom.md §4.9). What members do with them is in `mass`."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TypeVar

from sandbox.call import Call, bounded
from sandbox.endpoints.attachments import checked
from sandbox.errors import Refusal
from sandbox.facts import MASS_SENT, READABLE, ChatType, Json, MassErrand, MassParcel, MassTask, Relation
from sandbox.knobs import DAY

Row = TypeVar("Row")

TEXT_BYTES = 4000
TAGS_AT_ONCE = 100
LONGEST_SPAN = 31 * DAY
TASKS_PAGE, TASKS_MOST = 50, 100
ROWS_PAGE, ROWS_MOST = 500, 1000
EVERY_KIND = 2
UNSENT, SENT = 0, 2
"""The status of a member's part."""


# --- making one -----------------------------------------------------------------------------------------------


def add_msg_template(call: Call) -> Json:
    """Make a task: nothing is sent until the members confirm. fail_list names those who cannot get it."""
    kind = chat_type(call, default="single")
    text = bounded(str(call.part("text").get("content") or ""), size=TEXT_BYTES, too_long=45002)
    attachments = checked(call)
    if not text and not attachments:
        raise Refusal(44004)
    allow_select = call.flag("allow_select", False)
    errands, failed = for_groups(call) if kind == "group" else for_customers(call)
    if not errands:
        raise Refusal(41048)
    task = call.world.make_mass(errands, text, attachments, chat_type=kind, allow_select=allow_select)
    return {"fail_list": failed, "msgid": task.msgid}


def chat_type(call: Call, default: str | None = None) -> ChatType:
    """Customers or groups."""
    match call.text("chat_type", default):
        case "single":
            return "single"
        case "group":
            return "group"
    raise Refusal(40058, "chat_type is single or group")


Errands = dict[str, list[str]]
"""Who sends (userid) to whom."""


def for_groups(call: Call) -> tuple[Errands, list[str]]:
    """The groups asked for, or all of the sender's; those that are not his or have had their quota fail."""
    world, sender = call.world, call.world.rep(call.text("sender", missing=41009)).userid
    asked = call.texts("chat_id_list", most=world.limits.mass_groups)
    own = {chat_id: None for chat_id in world.groups if world.group(chat_id).owner == sender}
    wanted = list(dict.fromkeys(asked) or own)
    good = [one for one in wanted if one in own and has_quota(call, one)]
    return ({sender: good} if good else {}), failing(wanted, good)


def for_customers(call: Call) -> tuple[Errands, list[str]]:
    """The customers asked for and who sends to them; without a sender whoever had to do with them last."""
    asked = list(dict.fromkeys(call.texts("external_userid", most=call.world.limits.mass_customers)))
    sender = call.world.rep(call.text("sender")).userid if call.text("sender", "") else ""
    tags = tag_groups(call)
    if not asked and not sender and not tags:
        raise Refusal(40058, "external_userid, sender and tag_filter are all empty")
    candidates = asked or everybody(call, sender)
    rows = (relation_for(call, one, sender) for one in candidates)
    good = [row for row in rows if row is not None and wears(row, tags) and has_quota(call, row.external_userid)]
    errands: defaultdict[str, list[str]] = defaultdict(list)
    for row in good:
        errands[row.userid].append(row.external_userid)
    return dict(errands), failing(asked, [row.external_userid for row in good])


def everybody(call: Call, sender: str) -> list[str]:
    """All of a member's customers, or the corp's."""
    return [row.external_userid for row in call.world.relations.of_member(sender)] if sender else corp_customers(call)


def corp_customers(call: Call) -> list[str]:
    """Every customer somebody has."""
    return [one for one in call.world.customers if call.world.relations.of_customer(one)]


def relation_for(call: Call, external_userid: str, sender: str) -> Relation | None:
    """The relation it will go through. Who has deleted the member still counts as related, and fails later."""
    if not sender:
        return call.world.latest_rep(external_userid)
    row = call.world.relations.find(sender, external_userid)
    return row if row is not None and row.status in READABLE else None


def tag_groups(call: Call) -> list[set[str]]:
    """The tag filter: one tag of each of these sets."""
    groups = call.part("tag_filter").get("group_list") or []
    if not isinstance(groups, list):
        raise Refusal(40058, "tag_filter")
    lists = [one.get("tag_list") if isinstance(one, dict) else None for one in groups]
    if not all(isinstance(one, list) and 0 < len(one) <= TAGS_AT_ONCE for one in lists):
        raise Refusal(40058, "tag_filter")
    found = [{str(tag) for tag in one} for one in lists if one]
    if any(tag not in call.world.tags for one in found for tag in one):
        raise Refusal(40068)
    return found


def wears(row: Relation, tags: Iterable[set[str]]) -> bool:
    """Whether a relation has a tag of every set."""
    return all(one.intersection(row.tag_ids) for one in tags)


def has_quota(call: Call, receiver: str) -> bool:
    """Whether a receiver may get one more as things stand, if that is looked at here at all."""
    world = call.world
    return not world.limits.mass_quota_at_creation or world.mass_quota.left(receiver, world.clock.now()) > 0


def failing(asked: Sequence[str], good: Sequence[str]) -> list[str]:
    """Those who were asked for and cannot get it."""
    fine = set(good)
    return [one for one in asked if one not in fine]


# --- following it ---------------------------------------------------------------------------------------------


def get_groupmsg_list_v2(call: Call) -> Json:
    """The tasks of a time, the members' own among them, oldest first."""
    kind, creator = chat_type(call), call.text("creator", "")
    first, last = call.number("start_time"), call.number("end_time")
    wanted = call.number("filter_type", EVERY_KIND, high=EVERY_KIND)
    if last < first or last - first > LONGEST_SPAN:
        raise Refusal(40058, "at most a month")
    limit, place = call.number("limit", TASKS_PAGE, low=1, high=TASKS_MOST), call.page(0)
    rows = [
        one
        for one in listed(call, first, last)
        if one.chat_type == kind and wanted in (EVERY_KIND, one.create_type) and creator in ("", one.creator)
    ]
    page, more = cut(call, rows, place, limit)
    return {"group_msg_list": [task_fields(one) for one in page], "next_cursor": more}


def listed(call: Call, first: int, last: int) -> list[MassTask]:
    """The tasks made between two moments that can be read by now; they lie in the order of their making."""
    tasks = list(call.world.mass_tasks.values())
    until = min(last, int(call.world.clock.now() - call.world.limits.mass_list_lag_seconds))
    start = bisect_left(tasks, first, key=lambda one: int(one.created_at))
    end = bisect_right(tasks, until, key=lambda one: int(one.created_at))
    return tasks[start:end]


def get_groupmsg_task(call: Call) -> Json:
    """The members of a task, and whether they have sent it."""
    task = known(call)
    limit, place = call.number("limit", ROWS_PAGE, low=1, high=ROWS_MOST), call.page(0)
    page, more = cut(call, list(task.errands.values()), place, limit)
    return {"task_list": [errand_fields(one) for one in page], "next_cursor": more}


def get_groupmsg_send_result(call: Call) -> Json:
    """What became of a member's part, receiver by receiver; of a group task only what was sent."""
    task = known(call)
    limit, place = call.number("limit", ROWS_PAGE, low=1, high=ROWS_MOST), call.page(0)
    errand = part_of(call, task)
    rows = [one for one in errand.parcels if task.chat_type == "single" or one.status == MASS_SENT]
    page, more = cut(call, rows, place, limit)
    return {"send_list": [parcel_fields(task, errand, one) for one in page], "next_cursor": more}


def remind_groupmsg_send(call: Call) -> Json:
    """Ask those again who have not sent it."""
    call.world.remind_mass(asked_for(call).msgid)
    return {}


def cancel_groupmsg_send(call: Call) -> Json:
    """Who has not sent it cannot any more."""
    call.world.cancel_mass(asked_for(call).msgid)
    return {}


def asked_for(call: Call) -> MassTask:
    """The task of the body."""
    found = call.world.mass_tasks.get(call.text("msgid", missing=41046))
    if found is None:
        raise Refusal(41047)
    return found


def known(call: Call) -> MassTask:
    """The task of the body, which can be followed once it is handed out; a cancelled one, too."""
    task = asked_for(call)
    if not call.world.is_dispatched(task):
        raise Refusal(41063)
    return task


def part_of(call: Call, task: MassTask) -> MassErrand:
    """The part of the member of the body, who may have left since; one without a part has nothing to show."""
    member = call.world.find_member(call.text("userid", missing=41009))
    if member is None:
        raise Refusal(40003)
    return task.errands.get(member.userid) or MassErrand(task.msgid, member.userid, [])


def cut(call: Call, rows: Sequence[Row], place: int, limit: int) -> tuple[list[Row], str]:
    """The page from this place on, and the cursor of the next (nothing at the end)."""
    end = place + call.page_size(limit)
    return list(islice(rows, place, end)), call.next_page(end) if end < len(rows) else ""


def task_fields(task: MassTask) -> Json:
    """A task in the list; the creator is named only for what a member has made."""
    made = {"creator": task.creator} if task.creator else {}
    return {
        "msgid": task.msgid,
        **made,
        "create_time": int(task.created_at),
        "create_type": task.create_type,
        "text": {"content": task.text},
        "attachments": list(task.attachments),
    }


def errand_fields(errand: MassErrand) -> Json:
    """A member's part in brief."""
    sent = {"send_time": errand.send_time} if errand.is_sent else {}
    return {"userid": errand.userid, "status": SENT if errand.is_sent else UNSENT, **sent}


def parcel_fields(task: MassTask, errand: MassErrand, parcel: MassParcel) -> Json:
    """One receiver's fate."""
    whom = "chat_id" if task.chat_type == "group" else "external_userid"
    sent = {"send_time": parcel.send_time} if parcel.status == MASS_SENT else {}
    return {whom: parcel.receiver, "userid": errand.userid, "status": parcel.status, **sent}
