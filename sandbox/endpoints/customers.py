"""Customers: lists, details, remarks."""

from sandbox.call import Call, bounded
from sandbox.errors import Refusal
from sandbox.facts import WECHAT, WECOM, Customer, Json, Relation

CORP_TAG, PERSONAL_TAG = 1, 2


def get_follow_user_list(call: Call) -> Json:
    """The members who may have customers."""
    return {"follow_user": [one.userid for one in call.world.members.values() if one.can_have_customers()]}


def list_(call: Call) -> Json:
    """The ids of a member's customers; none at all is 84061."""
    member = call.world.rep(call.asked("userid", 41009))
    found = [row.external_userid for row in call.world.relations.of_member(member.userid)]
    if not found:
        raise Refusal(84061)
    return {"external_userid": found}


def get(call: Call) -> Json:
    """A customer, and everyone he belongs to."""
    external_userid = call.asked("external_userid", 41035)
    customer = call.world.customers.get(external_userid)
    if customer is None:
        raise Refusal(40096)
    rows = call.world.relations.of_customer(external_userid)
    if not rows:
        raise Refusal(84061)
    return {"external_contact": contact(call, customer), **followers(call, rows)}


def followers(call: Call, rows: list[Relation]) -> Json:
    """The follow_user part, at most 500 at a time."""
    cursor, most = call.option("cursor"), call.world.limits.followers_per_page
    start = call.world.cursors.read(call.request.path, cursor) if cursor else 0
    answer: Json = {"follow_user": [follow_user(call, row) for row in rows[start : start + most]]}
    if start + most < len(rows):
        answer["next_cursor"] = call.next_page(start + most)
    return answer


def batch_get_by_user(call: Call) -> Json:
    """One element for each (member, customer) pair, members in the order asked for."""
    userids = call.texts("userid_list", most=100, missing=40058)
    limit = call.number("limit", 50, low=1, high=100)
    reps = [call.world.rep(one).userid for one in userids]
    index, serial = call.page([0, 0])
    rows, place = pairs_from(call, reps, index, serial, call.page_size(limit))
    return {
        "external_contact_list": [
            {"external_contact": contact(call, row.customer), "follow_info": follow_info(call, row)} for row in rows
        ],
        "next_cursor": "" if place is None else call.next_page(place),
    }


def pairs_from(
    call: Call, reps: list[str], index: int, serial: int, count: int
) -> tuple[list[Relation], list[int] | None]:
    """The next pairs behind a place, and the place to go on from (None at the end)."""
    found: list[Relation] = []
    while index < len(reps):
        room = count - len(found)
        rows = call.world.relations.after(reps[index], serial, room + 1)
        found += rows[:room]
        if len(rows) > room:
            return found, [index, rows[room - 1].serial if room else serial]
        index, serial = index + 1, 0
    return found, None


def remark(call: Call) -> Json:
    """Overwrite what a member notes about a customer."""
    fields = ("remark", "description", "remark_company", "remark_mobiles", "remark_pic_mediaid")
    row = call.world.live_relation(call.text("userid", missing=41009), call.text("external_userid", missing=41035))
    if not any(call.has(name) for name in fields):
        raise Refusal(40058)
    row.remark = call.text("remark", row.remark, chars=20)
    row.description = call.text("description", row.description, chars=150)
    if row.customer.type == WECHAT:
        row.remark_company = call.text("remark_company", row.remark_company, chars=20)
    if call.has("remark_mobiles"):
        row.mobiles = tuple(bounded(one, chars=20) for one in call.texts("remark_mobiles") if one)
    tell_others(call, row)
    return {}


def tell_others(call: Call, row: Relation) -> None:
    """A change made by one app is an event for the other apps only."""
    change = {"ChangeType": "edit_external_contact", "UserID": row.userid, "ExternalUserID": row.external_userid}
    call.world.tell({"Event": "change_external_contact", **change}, but_not=call.agent_id)


def contact(call: Call, customer: Customer) -> Json:
    """The person, the same for every member."""
    fields: Json = {
        "external_userid": customer.external_userid,
        "name": customer.name,
        "avatar": customer.avatar or f"{call.world.base_url}/avatar/{customer.external_userid}.svg",
        "type": customer.type,
        "gender": customer.gender,
    }
    if customer.unionid:
        fields["unionid"] = customer.unionid
    if customer.type == WECOM:
        company = {"corp_name": customer.corp_name, "corp_full_name": customer.corp_name, "position": customer.position}
        fields |= {**company, "external_profile": {"external_attr": []}}
    return fields


def follow_user(call: Call, row: Relation) -> Json:
    """The relation, with tags as objects."""
    return {**follow_fields(row), "tags": [*corp_tags(call, row), *personal_tags(row)]}


def follow_info(call: Call, row: Relation) -> Json:
    """The relation in a batch, with tag ids and without personal tags."""
    return {**follow_fields(row), "tag_id": [one for one in row.tag_ids if one in call.world.tags]}


def follow_fields(row: Relation) -> Json:
    """What both forms of a relation share."""
    fields: Json = {
        "userid": row.userid,
        "remark": row.remark or row.customer.name,
        "description": row.description,
        "createtime": row.createtime,
        "remark_corp_name": row.remark_company,
        "remark_mobiles": list(row.mobiles),
        "oper_userid": row.oper_userid,
        "add_way": row.add_way,
    }
    return fields | ({"state": row.state} if row.state else {})


def corp_tags(call: Call, row: Relation) -> list[Json]:
    """The corp tags that still exist."""
    known = (call.world.tags[one] for one in row.tag_ids if one in call.world.tags)
    return [
        {"group_name": group.name, "tag_name": tag.name, "tag_id": tag.id, "type": CORP_TAG} for group, tag in known
    ]


def personal_tags(row: Relation) -> list[Json]:
    """The member's own tags, which have no id."""
    return [{"group_name": group, "tag_name": name, "type": PERSONAL_TAG} for group, name in row.personal_tags]
