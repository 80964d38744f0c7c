"""Members and departments, as far as the app may see them."""

from sandbox.call import Call
from sandbox.errors import Refusal
from sandbox.facts import Department, Json, Member


def user_get(call: Call) -> Json:
    """One member."""
    return full(call, call.world.visible_member(call.asked("userid", 41009), missing=60111))


def user_simplelist(call: Call) -> Json:
    """The members of a department, in brief."""
    return {"userlist": [brief(one) for one in in_department(call)]}


def user_list(call: Call) -> Json:
    """The members of a department, in full."""
    return {"userlist": [full(call, one) for one in in_department(call)]}


def user_list_id(call: Call) -> Json:
    """All (member, department) pairs, page by page."""
    start, limit = call.page(0), call.number("limit", 10_000, low=1, high=10_000)
    pairs = [(one.userid, dept) for one in visible(call) for dept in one.departments]
    page = [{"userid": userid, "department": dept} for userid, dept in pairs[start : start + limit]]
    more = start + limit < len(pairs)
    return {"dept_user": page, "next_cursor": call.next_page(start + limit) if more else ""}


def department_list(call: Call) -> Json:
    """A department and those below, in full."""
    return {"department": [department_fields(one) for one in departments(call)]}


def department_simplelist(call: Call) -> Json:
    """A department and those below, in brief."""
    found = [{"id": one.id, "parentid": one.parent_id, "order": one.order} for one in departments(call)]
    return {"department_id": found}


def visible(call: Call) -> list[Member]:
    """The members in the app's range."""
    return [one for one in call.world.members.values() if one.in_range]


def in_department(call: Call) -> list[Member]:
    """The visible members of the department asked for."""
    department_id = department_asked(call, call.asked("department_id", 60003))
    return [one for one in visible(call) if department_id in one.departments]


def departments(call: Call) -> list[Department]:
    """The department asked for and those below; all, if none is named."""
    root = call.option("id")
    wanted = call.world.departments_below(department_asked(call, root)) if root else set(call.world.departments)
    return [one for one in call.world.departments.values() if one.id in wanted]


def department_asked(call: Call, text: str) -> int:
    """A department's id, which must exist."""
    if not text.isdigit() or int(text) not in call.world.departments:
        raise Refusal(60123)
    return int(text)


def brief(member: Member) -> Json:
    """A member in brief."""
    return {"userid": member.userid, "name": member.name, "department": list(member.departments)}


def full(call: Call, member: Member) -> Json:
    """A member as far as the app may read him."""
    fields = {
        **brief(member),
        "order": [0] * len(member.departments),
        "position": member.position,
        "is_leader_in_dept": [int(one in member.leads) for one in member.departments],
        "direct_leader": list(member.direct_leader),
        "telephone": "",
        "alias": "",
        "main_department": member.departments[0],
        "extattr": {"attrs": []},
        "status": member.status,
        "external_position": member.position,
    }
    return fields | (sensitive(call, member) if call.caller.sensitive_fields else {})


def sensitive(call: Call, member: Member) -> Json:
    """What apps made since June 2022 get by consent only. The gender is a string here."""
    return {
        "gender": str(member.gender),
        "mobile": member.mobile,
        "avatar": f"{call.world.base_url}/avatar/{member.userid}.svg",
        "email": f"{member.userid}@shop.example",
    }


def department_fields(one: Department) -> Json:
    """A department's fields."""
    return {
        "id": one.id,
        "name": one.name,
        "name_en": "",
        "department_leader": list(one.leaders),
        "parentid": one.parent_id,
        "order": one.order,
    }
