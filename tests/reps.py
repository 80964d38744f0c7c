"""Reps who write to the app, for tests: from the callback to what stands on their screen."""

from typing import Any

from tests.shop import Shop

AGENT = 1000002


def write(shop: Shop, text: str, userid: str = "lisi") -> list[str]:
    """A rep writes, we work it off; what they are told, each message as plain text."""
    before = len(shop.world.inbox_of(userid))
    shop.world.member_writes(userid, text, AGENT)
    shop.catch_up()
    return [spoken(one.msgtype, one.content) for one in shop.world.inbox_of(userid)[before:]]


def told(shop: Shop, text: str, userid: str = "lisi") -> str:
    """The one answer to a text."""
    (answer,) = write(shop, text, userid)
    return answer


def press(shop: Shop, key: str, userid: str = "lisi") -> list[str]:
    """A rep presses a button of the last card on their screen; what they are told."""
    inbox = shop.world.inbox_of(userid)
    card = [one for one in inbox if one.msgtype == "template_card"][-1]
    shop.world.press_card(userid, card.msgid, key)
    shop.catch_up()
    return [spoken(one.msgtype, one.content) for one in shop.world.inbox_of(userid)[len(inbox) :]]


def last_card(shop: Shop, userid: str = "lisi") -> dict[str, Any]:
    """The last card with buttons on a rep's screen."""
    return [one for one in shop.world.inbox_of(userid) if one.msgtype == "template_card"][-1].content


def spoken(msgtype: str, content: dict[str, Any]) -> str:
    """A message as one reads it."""
    if msgtype == "textcard":
        return f"{content['title']}\n{content['description']}\n{content['url']}"
    if msgtype == "template_card":
        rows = [f"{one['keyname']} {one['value']}" for one in content["horizontal_content_list"]]
        return "\n".join([content["main_title"]["title"], content["main_title"]["desc"], *rows])
    return str(content["content"])


def customer(shop: Shop, name: str, userid: str = "lisi", *, remark: str = "", phone: str = "") -> str:
    """A customer of this rep, whom we have heard of; the external_userid."""
    arrival = shop.world.add_by_phone(userid, name)
    if remark or phone:
        mobiles = [phone] if phone else None
        shop.world.edit_remark(userid, arrival.external_userid, remark=remark, mobiles=mobiles)
    shop.catch_up()
    return arrival.external_userid
