"""Messages of the app to members, with WeCom's silences: duplicates and floods are accepted and dropped."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping

from sandbox.call import Call, bounded
from sandbox.endpoints.attachments import check_media
from sandbox.errors import Refusal
from sandbox.facts import AppMessage, Json, Member
from sandbox.knobs import DAY, HOUR, MINUTE

TEXT_BYTES = 2048
TASK_ID = re.compile(r"[0-9A-Za-z_\-@]{1,128}")
CARD_TYPES = ("text_notice", "news_notice", "button_interaction", "vote_interaction", "multiple_interaction")
INTERACTIVE = ("button_interaction", "vote_interaction", "multiple_interaction")


def send(call: Call) -> Json:
    """Send one message to many members."""
    if call.number("agentid", missing=41011) != call.agent_id:
        raise Refusal(301002)
    msgtype = call.text("msgtype", missing=40008)
    if msgtype not in CONTENTS:
        raise Refusal(40008)
    content = CONTENTS[msgtype](call, call.part(msgtype))
    members, invalid = recipients(call)
    spend(call, len(members))
    msgid = call.world.new_id("", 64)
    if not is_duplicate(call, msgtype, content, members):
        for member in members:
            drop_in(call, member, msgid, msgtype, content)
    return {"invaliduser": "|".join(one.lower() for one in invalid), **answer_ids(call, msgid, content)}


def answer_ids(call: Call, msgid: str, content: Json) -> Json:
    """The message's id, and a response code for a card one can press."""
    if content.get("card_type") in INTERACTIVE:
        return {"msgid": msgid, "response_code": call.world.new_response_code(msgid)}
    return {"msgid": msgid}


def update_card(call: Call) -> Json:
    """Change a card that was sent, once for each response code."""
    code = call.text("response_code", missing=60140)
    msgid, expires_at = call.world.response_codes.pop(code, ("", 0.0))
    if expires_at <= call.world.clock.now():
        raise Refusal(60140)
    change = {name: call.body[name] for name in ("button", "template_card") if call.has(name)}
    if not change:
        raise Refusal(40058)
    for message in [one for one in call.world.app_messages.values() if one.msgid == msgid]:
        message.content["updated"] = change
    return {"invaliduser": []}


def recall(call: Call) -> Json:
    """Take a message back."""
    msgid = call.text("msgid")
    for key in [key for key, one in call.world.app_messages.items() if one.msgid == msgid]:
        del call.world.app_messages[key]
    return {}


# --- who gets it ----------------------------------------------------------------------------------------------


def recipients(call: Call) -> tuple[list[Member], list[str]]:
    """The members who can get it, and the userids who cannot."""
    users, parties, tags = (ids(call, name, most, code) for name, most, code in RECIPIENTS)
    if not users and not parties and not tags:
        raise Refusal(82001)
    if users == ["@all"]:
        return [one for one in call.world.members.values() if reachable(one)], []
    found = {userid: call.world.find_member(userid) for userid in users}
    good = {one.userid: one for one in found.values() if one is not None and reachable(one)}
    for party in parties:
        below = call.world.members_below(int(party)) if party.isdigit() else []
        good |= {one.userid: one for one in below if reachable(one)}
    invalid = [userid for userid, one in found.items() if one is None or not reachable(one)]
    if not good:
        raise Refusal(81013)
    return list(good.values()), invalid


RECIPIENTS = (("touser", 1000, 40031), ("toparty", 100, 82002), ("totag", 100, 82003))


def ids(call: Call, name: str, most: int, too_many: int) -> list[str]:
    """The ids of a field, joined by bars."""
    found = [one for one in str(call.body.get(name) or "").split("|") if one]
    if len(found) > most:
        raise Refusal(too_many)
    return found


def reachable(member: Member) -> bool:
    """Whether the app's messages get to a member."""
    return member.in_range and member.status == 1


def spend(call: Call, count: int) -> None:
    """Person-times of the day, for the whole app."""
    world, today = call.world, call.world.second() // DAY
    allowed = len(world.members) * world.limits.message_person_times_per_account_day
    if world.person_times[call.agent_id, today] + count > allowed:
        raise Refusal(45009)
    world.person_times[call.agent_id, today] += count


def is_duplicate(call: Call, msgtype: str, content: Json, members: list[Member]) -> bool:
    """The same to the same within the interval: accepted, and dropped."""
    if not call.flag("enable_duplicate_check", False):
        return False
    world, now = call.world, call.world.clock.now()
    interval = call.number("duplicate_check_interval", int(world.limits.duplicate_check_seconds), high=4 * HOUR)
    said = json.dumps([msgtype, content, sorted(one.userid for one in members)], sort_keys=True)
    key = (call.agent_id, hashlib.sha256(said.encode()).hexdigest())
    before = world.message_digests.get(key)
    if before is not None and now - before < interval:
        return True
    world.message_digests[key] = now
    return False


def drop_in(call: Call, member: Member, msgid: str, msgtype: str, content: Json) -> None:
    """Into the member's inbox, unless he gets too many: then silence."""
    world, now = call.world, call.world.clock.now()
    recent = world.recent_messages[call.agent_id, member.userid]
    while recent and now - recent[0] >= HOUR:
        recent.popleft()
    in_a_minute = sum(now - at < MINUTE for at in recent)
    if in_a_minute >= world.limits.messages_per_member_minute or len(recent) >= world.limits.messages_per_member_hour:
        return
    recent.append(now)
    message = AppMessage(msgid, call.agent_id, member.userid, msgtype, content, now)
    world.app_messages[f"{msgid}:{member.userid}"] = message


# --- what it says ---------------------------------------------------------------------------------------------


def text(_call: Call, part: Json) -> Json:
    """Longer than 2048 bytes is cut."""
    content = str(part.get("content") or "")
    if not content:
        raise Refusal(44004)
    return {"content": content.encode()[:TEXT_BYTES].decode(errors="ignore")}


def textcard(_call: Call, part: Json) -> Json:
    """A card with a title, a text and an address."""
    for name, size, missing in (("title", 128, 40058), ("description", 512, 40058), ("url", 2048, 40058)):
        if not part.get(name):
            raise Refusal(missing)
        bounded(str(part[name]), size=size)
    bounded(str(part.get("btntxt", "")), chars=4)
    return part


def media(call: Call, part: Json) -> Json:
    """A file by media_id."""
    check_media(call, part.get("media_id"))
    return part


def news(_call: Call, part: Json) -> Json:
    """Up to eight articles."""
    articles = part.get("articles")
    if not isinstance(articles, list) or not articles:
        raise Refusal(40058)
    if len(articles) > 8:
        raise Refusal(45008)
    return part


def template_card(call: Call, part: Json) -> Json:
    """A card by its type; one that can be pressed needs a task of its own."""
    if part.get("card_type") not in CARD_TYPES:
        raise Refusal(42028)
    interactive = part["card_type"] in INTERACTIVE
    task_id = part.get("task_id")
    if task_id is None and (interactive or "action_menu" in part):
        raise Refusal(42014)
    if not interactive and not part.get("card_action"):
        raise Refusal(40058, "card_action is missing")
    if task_id is not None:
        claim_task(call, str(task_id))
    return dict(part)


def claim_task(call: Call, task_id: str) -> None:
    """A task_id is used once in an app."""
    key = (call.agent_id, task_id)
    if TASK_ID.fullmatch(task_id) is None or key in call.world.task_ids:
        raise Refusal(42014)
    call.world.task_ids.add(key)


CONTENTS: Mapping[str, Callable[[Call, Json], Json]] = {
    "text": text,
    "markdown": text,
    "textcard": textcard,
    "template_card": template_card,
    "news": news,
    "image": media,
    "voice": media,
    "video": media,
    "file": media,
}
