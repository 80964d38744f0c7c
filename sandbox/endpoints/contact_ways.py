"""Channel codes 「联系我」: made, read, listed, changed, deleted."""

from sandbox.call import Call
from sandbox.errors import Refusal
from sandbox.facts import ContactWay, Json, Member
from sandbox.knobs import DAY

SINGLE, SEVERAL = 1, 2
PLUGIN, QR_CODE = 1, 2
NINETY_DAYS = 90 * DAY
TWO_WEEKS = 14 * DAY


def add(call: Call) -> Json:
    """Make a code; only one with a QR picture has an address."""
    world = call.world
    kind = one_of(call, "type", (SINGLE, SEVERAL), missing=41037, wrong=41039)
    scene = one_of(call, "scene", (PLUGIN, QR_CODE), missing=41038, wrong=41040)
    if scene == PLUGIN and not 1 <= call.number("style", 1) <= 3:
        raise Refusal(41042)
    way = ContactWay(world.new_hex(), world.second(), kind, scene, call.number("style", 1))
    fill(call, way)
    way.is_temp = call.flag("is_temp", False)
    check_quota(call, way)
    world.contact_ways[way.config_id] = way
    return {"config_id": way.config_id, **qr_code(call, way)}


def get(call: Call) -> Json:
    """A code as it is."""
    return {"contact_way": way_fields(call, asked_way(call))}


def list_(call: Call) -> Json:
    """Ways made in the range (the last 90 days), temporary ones left out."""
    now = call.world.second()
    start, end = call.number("start_time", now - NINETY_DAYS), call.number("end_time", now)
    limit, place = call.number("limit", 100, low=1, high=1000), call.page(0)
    ways = [one for one in call.world.contact_ways.values() if not one.is_temp and start <= one.created_at <= end]
    page = [{"config_id": one.config_id} for one in ways[place : place + limit]]
    more = place + limit < len(ways)
    return {"contact_way": page, **({"next_cursor": call.next_page(place + limit)} if more else {})}


def update(call: Call) -> Json:
    """Fields left out stay; lists of users and parties replace the old ones."""
    fill(call, asked_way(call))
    return {}


def delete(call: Call) -> Json:
    """The printed QR stops working."""
    del call.world.contact_ways[asked_way(call).config_id]
    return {}


def asked_way(call: Call) -> ContactWay:
    """The code the body names."""
    found = call.world.contact_ways.get(call.text("config_id", missing=41043))
    if found is None:
        raise Refusal(41044)
    return found


def one_of(call: Call, name: str, allowed: tuple[int, ...], missing: int, wrong: int) -> int:
    """A number out of a few, missing and wrong told apart."""
    value = call.number(name, missing=missing)
    if value not in allowed:
        raise Refusal(wrong)
    return value


def fill(call: Call, way: ContactWay) -> None:
    """Take over what the body says, all checks first."""
    users, parties = people(call, way)
    texts = {
        "remark": call.text("remark", way.remark, chars=30),
        "state": call.text("state", way.state, chars=30),
        "unionid": call.text("unionid", way.unionid),
    }
    flags = {name: call.flag(name, getattr(way, name)) for name in ("skip_verify", "is_exclusive", "mark_source")}
    way.style = call.number("style", way.style)
    way.expires_in = call.number("expires_in", way.expires_in, low=1, high=TWO_WEEKS)
    way.chat_expires_in = call.number("chat_expires_in", way.chat_expires_in, low=1, high=TWO_WEEKS)
    way.conclusions = conclusions(call) or way.conclusions
    way.users, way.parties = users, parties
    for name, value in {**texts, **flags}.items():
        setattr(way, name, value)


def people(call: Call, way: ContactWay) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Whose code it is, all of them able to have customers and not too many."""
    users = call.texts("user") if call.has("user") else list(way.users)
    parties = parties_asked(call) if call.has("party") else list(way.parties)
    if way.type == SINGLE and (len(users) != 1 or parties):
        raise Refusal(40058, "type 1 takes exactly one user")
    if not users and not parties:
        raise Refusal(40058, "user and party are both empty")
    members = [able(call, one) for one in users]
    expanded = {one.userid for one in members}
    for department_id in parties:
        expanded.update(one.userid for one in call.world.members_below(department_id))
    if len(expanded) > call.world.limits.contact_way_members:
        raise Refusal(41041)
    return tuple(one.userid for one in members), tuple(parties)


def able(call: Call, userid: str) -> Member:
    """A member who can be put behind a code."""
    member = call.world.rep(userid)
    if not member.real_name:
        raise Refusal(40098)
    return member


def parties_asked(call: Call) -> list[int]:
    """The departments of the body, all of which must exist."""
    value = call.body["party"]
    if not isinstance(value, list) or not all(isinstance(one, int) for one in value):
        raise Refusal(40058, "party must be a list of numbers")
    if any(one not in call.world.departments for one in value):
        raise Refusal(60123)
    return value


def conclusions(call: Call) -> Json:
    """The closing message of a temporary chat."""
    found = call.part("conclusions")
    text = found.get("text", {})
    if len(str(text.get("content", "")).encode()) > 4000:
        raise Refusal(45002)
    return found


def check_quota(call: Call, way: ContactWay) -> None:
    """How many codes there may be, and temporary ones a day."""
    world, today = call.world, call.world.second() // DAY
    if not way.is_temp:
        if sum(not one.is_temp for one in world.contact_ways.values()) >= world.limits.contact_ways:
            raise Refusal(41045)
        return
    world.temp_ways_made[today] += 1
    if world.temp_ways_made[today] > world.limits.temp_ways_per_day:
        raise Refusal(41045)


def qr_code(call: Call, way: ContactWay) -> Json:
    """The address of the picture, where there is one."""
    return {"qr_code": f"{call.world.base_url}/qr/{way.config_id}.png"} if way.scene == QR_CODE else {}


def way_fields(call: Call, way: ContactWay) -> Json:
    """A code's fields."""
    fields: Json = {
        "config_id": way.config_id,
        "type": way.type,
        "scene": way.scene,
        "style": way.style,
        "remark": way.remark,
        "skip_verify": way.skip_verify,
        "state": way.state,
        "user": list(way.users),
        "party": list(way.parties),
        "is_temp": way.is_temp,
        "is_exclusive": way.is_exclusive,
        "mark_source": way.mark_source,
        **qr_code(call, way),
    }
    return fields | (temporary(call, way) if way.is_temp else {})


def temporary(call: Call, way: ContactWay) -> Json:
    """What only a temporary code has."""
    fields: Json = {"expires_in": way.expires_in, "chat_expires_in": way.chat_expires_in, "unionid": way.unionid}
    return fields | {"conclusions": shown_conclusions(call, way.conclusions)} if way.conclusions else fields


def shown_conclusions(call: Call, found: Json) -> Json:
    """An image goes in as a media_id and comes back as an address."""
    if "image" not in found:
        return found
    return {**found, "image": {"pic_url": f"{call.world.base_url}/img/{found['image'].get('media_id', '')}"}}
