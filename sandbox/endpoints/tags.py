"""Corp tags and their groups, and putting them on a customer.

An app changes only what it made; tags made in the console it can only apply. Its changes are told to the others.
"""

from collections.abc import Iterable

from sandbox.call import Call, bounded
from sandbox.errors import Refusal
from sandbox.facts import Json, Tag, TagGroup


def get_list(call: Call) -> Json:
    """All corp tags, or those asked for; groups win over tags."""
    tag_ids, group_ids = set(call.texts("tag_id")), set(call.texts("group_id"))
    groups = call.world.tag_groups.values()
    if group_ids:
        return {"tag_group": [group_fields(one, one.tags.values()) for one in groups if one.id in group_ids]}
    if tag_ids:
        chosen = ((one, [tag for tag in one.tags.values() if tag.id in tag_ids]) for one in groups)
        return {"tag_group": [group_fields(group, tags) for group, tags in chosen if tags]}
    return {"tag_group": [group_fields(one, one.tags.values()) for one in groups]}


def add(call: Call) -> Json:
    """New tags in an old or a new group; the answer has only the new ones."""
    check_agent(call)
    wanted = wanted_tags(call)
    group = asked_group(call)
    known = {tag.name for tag in group.tags.values()} if group else set()
    fresh = {name: order for name, order in wanted.items() if name not in known}
    if not fresh:
        raise Refusal(40071)
    if len(call.world.tags) + len(fresh) > call.world.limits.corp_tags:
        raise Refusal(40126)
    if group is None:
        group = new_group(call)
    made = [call.world.make_tag(group, name, order) for name, order in fresh.items()]
    for tag in made:
        tell_others(call, "create", tag.id, "tag")
    return {"tag_group": group_fields(group, made)}


def edit(call: Call) -> Json:
    """Rename or reorder a tag or group of one's own."""
    check_agent(call)
    known_id = call.text("id", missing=40068)
    group, tag = found(call, known_id)
    check_own(call, group)
    name = call.text("name", (tag or group).name, chars=30, too_long=40072)
    check_free(call, group, tag, name)
    target = tag or group
    target.name, target.order = name, call.number("order", target.order)
    tell_others(call, "update", known_id, "tag" if tag else "tag_group")
    return {}


def delete(call: Call) -> Json:
    """Delete tags and groups of one's own."""
    check_agent(call)
    tag_ids, group_ids = call.texts("tag_id"), call.texts("group_id")
    if not tag_ids and not group_ids:
        raise Refusal(40058)
    for one in [*tag_ids, *group_ids]:
        check_own(call, found(call, one)[0])
    for tag_id in tag_ids:
        group = call.world.tags[tag_id][0]
        call.world.drop_tag(tag_id)
        tell_others(call, "delete", tag_id, "tag")
        if group.id not in call.world.tag_groups:
            tell_others(call, "delete", group.id, "tag_group")
    for group_id in group_ids:
        if group_id in call.world.tag_groups:
            call.world.drop_tag_group(group_id)
            tell_others(call, "delete", group_id, "tag_group")
    return {}


def mark(call: Call) -> Json:
    """Put tags on one member's relation and take others off; doing it again changes nothing."""
    row = call.world.live_relation(call.text("userid", missing=41009), call.text("external_userid", missing=41035))
    add_ids, remove_ids = call.texts("add_tag"), call.texts("remove_tag")
    if not add_ids and not remove_ids:
        raise Refusal(40058)
    if any(one not in call.world.tags for one in [*add_ids, *remove_ids]):
        raise Refusal(40068)
    after = tuple(one for one in dict.fromkeys([*row.tag_ids, *add_ids]) if one not in remove_ids)
    if len(after) > call.world.limits.tags_per_relation:
        raise Refusal(40058)
    if after != row.tag_ids:
        row.tag_ids = after
        pair = {"UserID": row.userid, "ExternalUserID": row.external_userid}
        change = {"Event": "change_external_contact", "ChangeType": "edit_external_contact", **pair}
        call.world.tell(change, but_not=call.agent_id)
    return {}


def wanted_tags(call: Call) -> dict[str, int]:
    """Name to order; a name given twice is one tag."""
    asked = call.body.get("tag")
    if not isinstance(asked, list) or not asked:
        raise Refusal(40058)
    wanted: dict[str, int] = {}
    for one in asked:
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or not name:
            raise Refusal(41018)
        wanted.setdefault(bounded(name, chars=30, too_long=40072), int(one.get("order") or 0))
    return wanted


def asked_group(call: Call) -> TagGroup | None:
    """The group named by id (which must exist) or by name (which may)."""
    group_id = call.text("group_id", "")
    if group_id:
        group, tag = found(call, group_id)
        if tag is not None:
            raise Refusal(40068)
        return group
    return call.world.group_named(call.text("group_name", chars=30, too_long=40072))


def new_group(call: Call) -> TagGroup:
    """The group named in the body, made."""
    name = call.text("group_name", chars=30, too_long=40072)
    group = call.world.make_tag_group(name, call.agent_id, call.number("order", 0))
    tell_others(call, "create", group.id, "tag_group")
    return group


def found(call: Call, wanted: str) -> tuple[TagGroup, Tag | None]:
    """The group and, when the id is a tag's, the tag."""
    if wanted in call.world.tags:
        return call.world.tags[wanted]
    if wanted in call.world.tag_groups:
        return call.world.tag_groups[wanted], None
    raise Refusal(40068)


def check_own(call: Call, group: TagGroup) -> None:
    """Only what this app made can be changed by it."""
    if group.agent_id != call.agent_id:
        raise Refusal(81011)


def check_agent(call: Call) -> None:
    """An agentid in the body must be the token's own."""
    if call.number("agentid", call.agent_id) != call.agent_id:
        raise Refusal(301002)


def check_free(call: Call, group: TagGroup, tag: Tag | None, name: str) -> None:
    """No second tag of a name in a group, no second group of a name."""
    siblings: Iterable[Tag | TagGroup] = group.tags.values() if tag else call.world.tag_groups.values()
    if any(one.name == name and one.id != (tag or group).id for one in siblings):
        raise Refusal(40071)


def group_fields(group: TagGroup, tags: Iterable[Tag]) -> Json:
    """A group and some of its tags, the higher order first."""
    return {
        "group_id": group.id,
        "group_name": group.name,
        "create_time": group.create_time,
        "order": group.order,
        "tag": [
            {"id": one.id, "name": one.name, "create_time": one.create_time, "order": one.order}
            for one in sorted(tags, key=lambda tag: -tag.order)
        ],
    }


def tell_others(call: Call, change: str, known_id: str, tag_type: str) -> None:
    """A change made by one app is an event for the other apps only."""
    fields = {"Event": "change_external_tag", "Id": known_id, "TagType": tag_type, "ChangeType": change}
    call.world.tell(fields, but_not=call.agent_id)
