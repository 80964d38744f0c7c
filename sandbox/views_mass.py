"""What the pages and the admin API show of mass messages 企业群发, and of the groups they reach. Reads only."""

from collections import Counter
from itertools import islice

from sandbox.facts import MASS_SENT, ChatLine, Json, MassErrand, MassTask
from sandbox.world import World

SHOWN_TODOS, SHOWN_DONE, SHOWN_RECEIVERS, SHOWN_LINES = 20, 5, 30, 60


def task_view(task: MassTask) -> Json:
    """A task for the admin API: who has sent it, and how many of its receivers ended how."""
    return {
        "msgid": task.msgid,
        "chat_type": task.chat_type,
        "create_type": task.create_type,
        "creator": task.creator,
        "text": task.text,
        "attachments": list(task.attachments),
        "created_at": task.created_at,
        "cancelled": task.cancelled,
        "reminders": len(task.reminded_at),
        "members": [errand_view(one) for one in task.errands.values()],
    }


def errand_view(errand: MassErrand) -> Json:
    """A member's part: when sent (0: not yet), and its receivers counted by status."""
    counted = Counter(str(one.status) for one in errand.parcels)
    return {"userid": errand.userid, "send_time": errand.send_time, "statuses": dict(counted)}


# --- the rep's phone ------------------------------------------------------------------------------------------


def mass_view(world: World, userid: str) -> Json:
    """What a rep is asked to send, and what he has sent last."""
    if world.find_member(userid) is None:
        return {"todos": [], "done": []}
    todos = islice(world.mass_todos(userid), SHOWN_TODOS)
    done = [one for one in world.mass_errands.get(world.member(userid).userid, ()) if one.is_sent]
    return {
        "todos": [todo_view(world, one) for one in todos],
        "done": [done_view(world, one) for one in done[: -SHOWN_DONE - 1 : -1]],
    }


def todo_view(world: World, errand: MassErrand) -> Json:
    """One to-do; where the rep may choose, with whom he can choose among."""
    task = world.mass_tasks[errand.msgid]
    choosable = task.allow_select and len(errand.parcels) <= SHOWN_RECEIVERS
    names = [{"id": one.receiver, "name": name_of(world, one.receiver)} for one in errand.parcels] if choosable else []
    return {**words_of(task), "receivers": len(errand.parcels), "reminders": errand.reminders, "choose": names}


def done_view(world: World, errand: MassErrand) -> Json:
    """One that was sent, and to how many of its receivers it got."""
    task, got = world.mass_tasks[errand.msgid], sum(one.status == MASS_SENT for one in errand.parcels)
    return {**words_of(task), "got": got, "missed": len(errand.parcels) - got, "at": errand.send_time}


def words_of(task: MassTask) -> Json:
    """What a task says, and to which kind of receivers."""
    titles = [title_of(one) for one in task.attachments]
    return {"msgid": task.msgid, "chat_type": task.chat_type, "text": task.text, "attachments": titles}


def name_of(world: World, receiver: str) -> str:
    """What people call a customer or a group."""
    if receiver in world.groups:
        return world.group(receiver).name
    found = world.customers.get(receiver)
    return found.name if found else receiver


def title_of(attachment: Json) -> str:
    """What a bubble says of an attachment: its title, or its kind."""
    kind = str(attachment.get("msgtype", ""))
    part = attachment.get(kind) or {}
    return str(part.get("title") or kind)


def line_view(one: ChatLine) -> Json:
    """One bubble; an attachment is named by its title or kind, and ``links`` says where each leads (empty: nowhere)."""
    attachments = [title_of(item) for item in one.attachments]
    links = [str((item.get("link") or {}).get("url") or "") for item in one.attachments]
    told = {"who": one.who, "text": one.text, "at": one.at, "after": one.after}
    return {**told, "attachments": attachments, "links": links}


# --- the customer's phone -------------------------------------------------------------------------------------


def rooms_of(world: World, external_userid: str) -> list[Json]:
    """The groups a customer is in, with the mass messages that came there."""
    chats = (world.group(chat_id) for chat_id in world.groups)
    inside = (one for one in chats if any(member.id == external_userid for member in one.members))
    return [
        {
            "id": one.chat_id,
            "name": one.name,
            "owner": one.owner,
            "lines": [line_view(line) for line in world.room_chat(one.chat_id)[-SHOWN_LINES:]],
        }
        for one in inside
    ]
