"""Customer groups, as the API sees them: two seconds behind."""

from sandbox.call import Call
from sandbox.errors import Refusal
from sandbox.facts import QUIT, GroupChat, GroupMember, Json, Member
from sandbox.knobs import DAY, SHANGHAI

MOST_WITHOUT_OWNERS = 1000
MOST_AT_ONCE = 100
FINE, OWNER_LEFT, INHERITED = 0, 1, 3


def list_(call: Call) -> Json:
    """Groups by owner, page by page."""
    owners = owners_asked(call)
    limit, place = call.number("limit", low=1, high=1000), call.page(0)
    wanted = call.number("status_filter", 0, high=3)
    if not owners and sum(one.in_range for one in call.world.members.values()) > MOST_WITHOUT_OWNERS:
        raise Refusal(81017)
    chats = [one for one in all_seen(call) if not owners or one.owner in owners]
    chats = [one for one in chats if wanted in (0, status(call, one))]
    page = [{"chat_id": one.chat_id, "status": status(call, one)} for one in chats[place : place + limit]]
    more = place + limit < len(chats)
    return {"group_chat_list": page, **({"next_cursor": call.next_page(place + limit)} if more else {})}


def get(call: Call) -> Json:
    """A group and its members."""
    versions = call.world.groups.get(call.text("chat_id", missing=40050))
    chat = seen(call, versions or [])
    if chat is None:
        raise Refusal(40050)
    named = call.flag("need_name", False)
    return {
        "group_chat": {
            "chat_id": chat.chat_id,
            "name": chat.name,
            "owner": chat.owner,
            "create_time": chat.create_time,
            "notice": chat.notice,
            "member_list": [member_fields(call, one, named) for one in chat.members],
            "admin_list": [],
            "member_version": chat.version,
        }
    }


def status(call: Call, chat: GroupChat) -> int:
    """Whether the owner has left the corp, or a group whose owner had left has another one."""
    owner = call.world.find_member(chat.owner)
    if owner is not None and owner.status == QUIT:
        return OWNER_LEFT
    return INHERITED if chat.chat_id in call.world.inherited_groups else FINE


# --- to another owner -----------------------------------------------------------------------------------------


def transfer(call: Call) -> Json:
    """Give the groups of owners who left the corp to another; it takes effect at once."""
    return hand_over(call, resigned=True)


def onjob_transfer(call: Call) -> Json:
    """Give the groups of owners who are still there to another."""
    return hand_over(call, resigned=False)


def hand_over(call: Call, resigned: bool) -> Json:
    """Each group that stays where it is has an errcode of its own."""
    new = call.world.rep(call.text("new_owner"))
    asked = call.texts("chat_id_list", most=MOST_AT_ONCE, missing=40050)
    codes = {chat_id: give(call, chat_id, new, resigned) for chat_id in asked}
    failed = [{"chat_id": chat_id, "errcode": code, "errmsg": "failed"} for chat_id, code in codes.items() if code]
    return {"failed_chat_list": failed}


def give(call: Call, chat_id: str, new: Member, resigned: bool) -> int:
    """Give one group to another owner, or say why not."""
    world = call.world
    if chat_id not in world.groups:
        return 90501
    old = world.find_member(world.group(chat_id).owner)
    if resigned != (old is not None and old.status == QUIT):
        return 90500 if resigned else 90502
    today = (new.userid, (world.second() + SHANGHAI) // DAY)
    if world.group_transfers[today] >= world.limits.group_transfers_per_day:
        return 90503
    world.group_transfers[today] += 1
    world.give_group(chat_id, new.userid, inherited=resigned, but_not=call.agent_id)
    return 0


def owners_asked(call: Call) -> set[str]:
    """The owners of the filter, all visible."""
    asked = call.part("owner_filter").get("userid_list") or []
    if not isinstance(asked, list) or len(asked) > 100:
        raise Refusal(40058)
    return {owner_asked(call, str(one)) for one in asked}


def owner_asked(call: Call, userid: str) -> str:
    """An owner of the filter: visible, or one who has left."""
    found = call.world.find_member(userid)
    if found is not None and found.status == QUIT:
        return found.userid
    return call.world.visible_member(userid).userid


def seen(call: Call, versions: list[GroupChat]) -> GroupChat | None:
    """The newest version old enough to be read."""
    latest = call.world.clock.now() - call.world.limits.group_lag_seconds
    return next((one for one in reversed(versions) if one.written_at <= latest), None)


def all_seen(call: Call) -> list[GroupChat]:
    """Every group that can be read by now."""
    found = (seen(call, versions) for versions in call.world.groups.values())
    return [one for one in found if one is not None]


def member_fields(call: Call, one: GroupMember, named: bool) -> Json:
    """One member of a group, named if asked."""
    fields: Json = {
        "userid": one.id,
        "type": one.type,
        "join_time": one.join_time,
        "join_scene": one.join_scene,
        "group_nickname": "",
    }
    customer = call.world.customers.get(one.id)
    if customer is not None and customer.unionid:
        fields["unionid"] = customer.unionid
    if one.invitor:
        fields["invitor"] = {"userid": one.invitor}
    if one.state:
        fields["state"] = one.state
    return fields | ({"name": one.name} if named else {})
