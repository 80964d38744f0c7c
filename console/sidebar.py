"""The sidebar (侧边栏): our page in the chat's toolbar of WeCom: who this is, today's card, one tap to send its text.

``show`` is a page with WeCom's JS-SDK and a self-check (``console.side_keys``), empty otherwise; what it shows comes by
``look``, once the client has said beside whose chat it stands. That is only a question: the answer depends on who has
come in (``console.side_door``) and whom they may see; a customer of somebody else looks as if there were none.
"""

import json
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from console import confirming, here, side_card, side_door, side_keys, side_picture
from console.customers import number_of
from console.day import SNOOZES, Close, close, closed_words
from console.joined import DONE, TRIES
from console.side_door import members_only, visitor
from console.words import _
from outreach import cards, day_list
from people import access, binding, by_hand, identities, persons
from people.binding import Match
from storage.tables import Person, Tag
from storage.work import Work
from tagging import tags

pages = Blueprint("sidebar", __name__)

LONGEST_URL = 2000


@pages.get("/sidebar")
@members_only
def show() -> Response:
    """The page, with nobody on it yet."""
    sdk = here.setting("oauth_base") if here.setting("sandbox") else ""
    scripts = (
        f"{sdk or 'https://res.wx.qq.com'}/open/js/jweixin-1.2.0.js",
        f"{sdk or 'https://open.work.weixin.qq.com'}/wwopen/js/jwxwork-1.0.0.js",
    )
    page = render_template("sidebar/show.html", scripts=scripts, checks=side_keys.CHECKS, name=visitor().name)
    return side_door.framed(Response(page))


@pages.get("/sidebar/come")
def come_in() -> AnyResponse:
    """Back from WeCom."""
    return side_door.come_in()


@pages.post("/sidebar/keys")
@members_only
def keys() -> Any:
    """The signatures for the page at ``url``; ``old``: those that the client has refused."""
    try:
        old = json.loads(request.form.get("old") or "null")
    except ValueError:
        old = None
    return jsonify(side_keys.signed(request.form.get("url", "")[:LONGEST_URL], old if isinstance(old, dict) else None))


@pages.post("/sidebar/look")
@members_only
def look() -> str:
    """What belongs beside this chat: a customer, a group, or the day list where there is no chat."""
    if chat_id := request.form.get("chat_id", ""):
        return _group(chat_id[:64])
    if external := request.form.get("external_userid", ""):
        with here.working() as work:
            return _customer(work, _person_of(work.db, external))
    with here.working() as work:
        return _list(work)


def _person_of(db: Session, external: str) -> Person:
    """The customer of this chat if the member may see them; else it is answered as if there were none."""
    known = persons.find_person(db, persons.EXTERNAL, external[:64])
    person = access.person_in_sight(db, visitor().sight, known.id) if known is not None else None
    if person is None:
        here.not_here(persons.public_id(known.id) if known is not None else "sidebar")
    return person


def _list(work: Work, trouble: str = "") -> str:
    found = day_list.of(work, visitor().userid)
    day_list.seen(work, found)
    return render_template("sidebar/list.html", found=found, work=work, trouble=trouble)


def _customer(
    work: Work, person: Person, trouble: str = "", done: str = "", asked: tuple[str, Match] | None = None
) -> str:
    """The customer anew; who is not in sight any more (handed to a colleague, say) is not shown, but the list is."""
    if access.person_in_sight(work.db, visitor().sight, person.id) is None:
        return _list(work, trouble)
    found = next((one for one in day_list.of(work, visitor().userid).entries if one.person is person), None)
    card = found.card if found is not None else side_picture.next_card(work, visitor().userid, person)
    if card is not None:
        card.shown_at = card.shown_at or work.now
    return render_template(
        "sidebar/person.html",
        person=person,
        card=card,
        entry=found,
        parts=side_card.parts_of(work, card) if card is not None else None,
        kinds=side_card.KIND_WORDS,
        snoozes=SNOOZES,
        trouble=trouble,
        done=done,
        asked=asked,
        **side_picture.of(work, visitor(), person),
    )


def _group(chat_id: str) -> str:
    with here.reading() as db:
        found = side_picture.group(db, visitor(), chat_id)
        if found is None:
            here.not_here("sidebar group")
        return render_template("sidebar/group.html", **found)


# --- what one may do -------------------------------------------------------------------------------------------------


@pages.post("/sidebar/cards/<int:card_id>/may")
@members_only
def may_send(card_id: int) -> Any:
    """Whether it may still be sent, asked at the tap: the page may be old, and open on another device too."""
    with here.working() as work:
        card = cards.of_rep(work.db, visitor().userid, card_id)
        if card is None:
            here.not_here(f"card {card_id}")
        if card.state in cards.ALIVE and cards.own(work.db, visitor().userid, card_id) is not None:
            return "", 204
        over = card.state in (cards.DONE_BY_TAP, cards.DONE)
        trouble = (
            _("这件事刚刚已经处理过了，没有再发。")
            if over
            else _("客户不想再收到消息、已离开，或这件事已过期：没有发送。")
        )
        return _customer(work, work.db.get_one(Person, card.person_id), trouble=trouble), 409


@pages.post("/sidebar/cards/<int:card_id>/sent")
@members_only
def sent(card_id: int) -> str:
    """The client has sent the text: the card is over, and what was sent stands in the story."""
    text = request.form.get("text", "")
    text = text.encode()[: cards.LONGEST_TEXT].decode(errors="ignore")
    with here.working() as work:
        card = cards.of_rep(work.db, visitor().userid, card_id)
        if card is None:
            here.not_here(f"card {card_id}")
        person = work.db.get_one(Person, card.person_id)
        if cards.sent(work, card, text, by=visitor().userid):
            here.note(work, f"card.{card.state}", persons.public_id(person.id))
        work.db.flush()
        return _customer(work, person, done=_("已发送，记下了"))


@pages.post("/sidebar/cards/<int:card_id>/<any(done, later, irrelevant):how>")
@members_only
def over(card_id: int, how: str) -> str:
    """It is done, wanted later, or not for this customer."""
    return _on_card(card_id, lambda work, card: close(work, card, how, visitor().userid), closed_words(how))


def _on_card(card_id: int, do: Close, told: str) -> str:
    """Close a card of one's own, and show the customer (or the list) anew."""
    with here.working() as work:
        card = cards.own(work.db, visitor().userid, card_id)
        if card is None:
            here.not_here(f"card {card_id}")
        person, trouble, closed = work.db.get_one(Person, card.person_id), "", False
        try:
            closed = do(work, card)
        except ValueError as error:
            trouble = str(error)
        if closed:
            here.note(work, f"card.{card.state}", persons.public_id(person.id))
        work.db.flush()
        if request.form.get("external_userid"):
            return _customer(work, person, trouble=trouble, done=_(told) if closed else "")
        return _list(work, trouble)


@pages.post("/sidebar/tags")
@members_only
def give_tag() -> str:
    """Give a tag."""
    with here.working() as work:
        person, number = _person_of(work.db, request.form.get("external_userid", "")), _tag_number()
        me = visitor().member
        given = tags.give_by_hand(work, person, number, by=me.userid, called=me.name or me.userid)
        if given is None:
            here.not_here("tag")
        if given.new:
            _tell(work, person, by_hand.TAGGED, given.name, number)
            here.note(work, "person.tag", persons.public_id(person.id), {"tag": tags.public_id(number or 0)})
        return _customer(work, person)


@pages.post("/sidebar/tags/take")
@members_only
def take_tag() -> str:
    """Take a tag away."""
    with here.working() as work:
        person, number = _person_of(work.db, request.form.get("external_userid", "")), _tag_number()
        tag = work.db.get(Tag, number) if number is not None else None
        if tag is not None and tags.take_away(work, person, tag):
            _tell(work, person, by_hand.UNTAGGED, f"{tag.group_name}/{tag.name}", number)
            here.note(work, "person.untag", persons.public_id(person.id), {"tag": tags.public_id(tag.id)})
        work.db.flush()
        return _customer(work, person)


@pages.post("/sidebar/bind")
@members_only
def bind() -> str:
    """Bind the customer of a till who has this number: first shown (masked), then done."""
    TRIES.step(visitor().userid, here.now())
    me, sure = visitor(), request.form.get("sure") == "1"
    with here.working() as work:
        person = _person_of(work.db, request.form.get("external_userid", ""))
        try:
            phone = identities.spelt(identities.PHONE, request.form.get("phone", ""))
        except ValueError:
            return _customer(work, person, trouble=_("这不像一个手机号"))
        found = binding.match(work.db, me.sight, person.id, phone)
        if not sure:
            return _customer(work, person, asked=(phone, found))
        outcome = binding.bind(work, person, phone, found, by=me.userid)
        here.note(work, "customer.bind", persons.public_id(person.id), {"outcome": outcome})
        work.db.flush()
        return _customer(work, persons.head_of(work.db, person), done=_(DONE[outcome][0]))


@pages.post("/sidebar/confirm")
@members_only
def confirm() -> str:
    """The digits on the phone of the customer of this chat: confirmed, it is them."""
    with here.reading() as db:
        person = _person_of(db, request.form.get("external_userid", ""))
    me = visitor()
    outcome = confirming.confirm(request.form.get("code", ""), me.sight, me.userid, only=person.id)
    with here.working() as work:
        shown = _person_of(work.db, request.form.get("external_userid", ""))
        done, trouble = (outcome.words, "") if outcome.good else ("", outcome.words)
        return _customer(work, shown, done=done, trouble=trouble)


def _tag_number() -> int | None:
    return number_of("t_", request.form.get("tag", ""))


def _tell(work: Work, person: Person, kind: str, tag: str, number: int | None) -> None:
    once = f"{kind}:side:{person.id}:{number}:{work.now.isoformat()}"
    by_hand.tell(work, person, kind, by=visitor().userid, once=once, details={"tag": tag})
