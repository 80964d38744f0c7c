"""Customer groups, as the API sees them: two seconds behind."""

from sandbox.call import Call
from sandbox.errors import Refusal
from sandbox.facts import GroupChat, GroupMember, Json

MOST_WITHOUT_OWNERS = 1000


def list_(call: Call) -> Json:
    """Groups by owner, page by page."""
    owners = owners_asked(call)
    limit, place = call.number("limit", low=1, high=1000), call.page(0)
    call.number("status_filter", 0, high=3)
    if not owners and sum(one.in_range for one in call.world.members.values()) > MOST_WITHOUT_OWNERS:
        raise Refusal(81017)
    chats = [one for one in all_seen(call) if not owners or one.owner in owners]
    page = [{"chat_id": one.chat_id, "status": 0} for one in chats[place : place + limit]]
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


def owners_asked(call: Call) -> set[str]:
    """The owners of the filter, all visible."""
    asked = call.part("owner_filter").get("userid_list") or []
    if not isinstance(asked, list) or len(asked) > 100:
        raise Refusal(40058)
    return {call.world.visible_member(str(one)).userid for one in asked}


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
