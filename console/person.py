"""The page about one person, and what is changed on it by hand.

A person out of sight is answered exactly like one that does not exist.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import here, journey_rounds, points_words
from console.cursors import read_cursor, write_cursor
from console.customers import STAGES, choices, number_of, remark_of
from console.doors import guarded
from console.layout import back_to, say
from console.segment_words import LIFE_WORDS
from console.story_causes import causes
from console.story_lines import FAMILIES, line_of
from console.today import OUTCOMES, rep_names
from console.words import N_, _, said
from insight import lifecycle
from people import (
    access,
    birthdays,
    by_hand,
    directory,
    order_lists,
    persons,
    phones,
    reviews,
    stages,
    tasks,
    unfinished,
)
from people.order_lists import Asked
from people.orders import yuan
from storage.tables import Interaction, Interval, Member, Person, PersonalTag, Relation, Tag, TagRule
from storage.work import Work
from tagging import tags

pages = Blueprint("person", __name__)

STORY_PAGE, TASKS, ORDERS = 30, 20, 5
RELATION_STATES: Mapping[str, tuple[str, str]] = {
    "active": (N_("在联"), "good"),
    "half": (N_("待确认"), "warn"),
    "ended_by_rep": (N_("成员删除了客户"), "bad"),
    "ended_by_customer": (N_("客户删除了成员"), "bad"),
    "ended_by_both": (N_("互相删除"), "bad"),
    "transferred": (N_("已转交"), "quiet"),
    "unknown": (N_("未知"), "quiet"),
}
AT_WECOM: Mapping[str, tuple[str, str]] = {
    "done": (N_("企业微信已显示"), "good"),
    "pending": (N_("正在同步到企业微信"), "info"),
    "refused": (N_("企业微信拒绝"), "bad"),
    "watched": (N_("观察模式，未同步"), "info"),
    "none": (N_("没有在联成员，只在这里"), "quiet"),
}
SOURCES = {
    "channel": N_("渠道"),
    "manual": N_("手动"),
    "wecom": N_("企业微信"),
    "api": N_("接口"),
    "keyword": N_("规则：说了什么"),
    "arrival": N_("规则：什么时候来"),
    "loss": N_("规则：流失了"),
    "group": N_("客户群"),
    "import": N_("导入"),
    "link": N_("打开了链接"),
}
OUT_BY = {"kf": N_("客户在微信客服里说的"), "page": N_("客户自己在页面上点的"), "api:%(name)s": N_("接口 %(name)s")}
"""Who may say so besides members."""
PLACE_WORDS = {
    "identity": N_("其他系统"),
    "profile": N_("企业微信资料"),
    "remark": N_("备注"),
    "note": N_("备注记录"),
}
"""Where a phone number stands."""


@pages.get("/customers/<person_id>")
@guarded("see_people")
def show(person_id: str) -> Any:
    """One person: who they are, their story, what is unfinished. An old id of theirs leads to the one they have."""
    with here.reading() as db:
        person = person_of(db, person_id)
    if person is not None and persons.public_id(person.id) != person_id:
        return redirect(url_for("person.show", person_id=persons.public_id(person.id)), 301)
    return page_of(person_id)


def page_of(person_id: str, *, phone_shown: bool = False, **typed: str) -> str:
    """The page, with what was typed (``note``, ``task``, ``task_at``) and what is wrong with it (``…_error``)."""
    with here.reading() as db:
        person = person_of(db, person_id)
        facts = None if person is None else _facts(db, person)
    if person is None or facts is None:
        here.not_here(person_id)
    number = phones.main(person, facts["phones"])
    phone = number if phone_shown else access.masked(number)
    typed = {"birthday": birthdays.shown(person), **typed}
    empty = {"note": "", "task": "", "task_at": "", "once": secrets.token_hex(12)}
    return render_template(
        "person/show.html",
        public=person_id,
        phone=phone,
        phone_shown=phone_shown,
        words=_WORDS,
        **facts,
        **{**empty, **typed},
    )


def _facts(db: Session, person: Person) -> dict[str, Any]:
    """Everything the page shows about a person."""
    sight = here.sight(db)
    group = request.args.get("kinds", "")
    kinds = FAMILIES[group][1] if group in FAMILIES else ()
    after = read_cursor(request.args.get("after"))
    picture = directory.picture(db, sight, person)
    q = request.args.get("q", "").strip()[:100]
    story, following = directory.story(db, sight, person, limit=STORY_PAGE, kinds=kinds, q=q, after=after)
    intervals = directory.intervals(db, [one.id for one in picture.relations])
    userids = [one.userid for one in picture.relations]
    reasons = tags.reasons(db, person.id, sight.rep)
    bought, more_orders = order_lists.page(db, sight, Asked(person_id=person.id), limit=ORDERS)
    open_tasks = tasks.open_about(db, person, None if sight.everybody else sorted(sight.userids), limit=TASKS)
    doers = [one.userid for one in open_tasks]
    names = rep_names(db, sight, [*userids, *doers, person.owner or ""]) | _names_told(db, story)
    came_of = causes(db, story)
    return {
        "person": person,
        "picture": picture,
        "known": reviews.known(db, person.id),
        "bought": [order for order, _buyer in bought],
        "more_orders": more_orders is not None,
        "yuan": yuan,
        "intervals": intervals,
        "stage": stages.stage_of(one.state for one in picture.relations),
        "life": lifecycle.latest(db, person.id),
        "since": min((one.began_at for some in intervals.values() for one in some if one.began_at), default=None),
        "todo": unfinished.of(picture, here.now()),
        "open_tasks": open_tasks,
        "phones": phones.of_person(db, sight, person),
        "out_by": _out_by(db, person),
        "lines": [line_of(one, names, _came_again(one, intervals), came_of.get(one.id, "")) for one in story],
        "following": write_cursor(following),
        "after": bool(after),
        "group": group if kinds else "",
        "q": q,
        "reasons": reasons,
        "rules": _rules_named(db, reasons),
        "personal": _personal_tags(db, picture.relations),
        "names": names,
        "choices": choices(db, sight),
        "own": had(reasons),
        "remark": remark_of(picture.relations, person),
        "points": points_words.card(db, person),
        "rounds": journey_rounds.of_person(db, person) if here.may("see_journeys") else [],
    }


def had(reasons: Mapping[int, Sequence[tags.Reason]]) -> dict[int, str]:
    """The tags somebody has, and of each what to say where it may be given by hand too; empty: it was given so."""
    said_of: dict[int, str] = {}
    for tag_id, some in reasons.items():
        if any((one.ground.source, one.ground.source_id) == ("manual", "") for one in some):
            said_of[tag_id] = ""
        else:
            said_of[tag_id] = _("已有，由规则") if any(one.ground.rule_id for one in some) else _("已有")
    return said_of


def _rules_named(db: Session, reasons: Mapping[int, Sequence[tags.Reason]]) -> dict[int, TagRule]:
    """The rules that gave something here, by their number."""
    ids = {one.ground.rule_id for some in reasons.values() for one in some if one.ground.rule_id}
    return {one.id: one for one in db.scalars(select(TagRule).where(TagRule.id.in_(ids)))}


def _out_by(db: Session, person: Person) -> str:
    """Who said that this person wants to hear nothing more."""
    by = person.opted_out_by or ""
    member = db.get(Member, by)
    return (member.name or by) if member is not None else said(by, OUT_BY.items())


_WORDS: Mapping[str, Mapping[str, Any]] = {
    "stages": STAGES,
    "relations": RELATION_STATES,
    "at_wecom": AT_WECOM,
    "sources": SOURCES,
    "groups": FAMILIES,
    "outcomes": OUTCOMES,
    "places": PLACE_WORDS,
    "lives": LIFE_WORDS,
}


def person_of(db: Session, person_id: str) -> Person | None:
    """The person this public id names, if there is one and the viewer may see them."""
    number = number_of("p_", person_id)
    return access.person_in_sight(db, here.sight(db), number) if number is not None else None


def _names_told(db: Session, story: Sequence[Interaction]) -> dict[str, str]:
    """Names of everybody the visible lines speak of: who may read the line may read who it is about."""
    told = {one.userid for one in story} | {str(one.details.get(who)) for one in story for who in ("by", "to")}
    rows = db.execute(select(Member.userid, Member.name).where(Member.userid.in_([one for one in told if one])))
    return {userid: name or userid for userid, name in rows}


def _personal_tags(db: Session, relations: Sequence[Relation]) -> dict[int, list[PersonalTag]]:
    """The reps' own tags, by relation; only those of reps in sight are here."""
    own = select(PersonalTag).where(PersonalTag.relation_id.in_([one.id for one in relations]))
    found: dict[int, list[PersonalTag]] = {}
    for one in db.scalars(own.order_by(PersonalTag.group_name, PersonalTag.name)):
        found.setdefault(one.relation_id, []).append(one)
    return found


def _came_again(row: Interaction, intervals: Mapping[int, Sequence[Interval]]) -> bool:
    """Whether this arrival was a return: as the intervals say, or where they say nothing what was told at the time."""
    own = (one for some in intervals.values() for one in some if one.userid == row.userid)
    begun = next((one for one in own if row.at in (one.began_at, one.confirmed_at)), None)
    return begun.number > 1 if begun is not None else bool(row.details.get("again"))


# --- by hand ---------------------------------------------------------------------------------------------------------


@pages.post("/customers/<person_id>/phone")
@guarded("see_phones")
def show_phone(person_id: str) -> str:
    """Show the whole phone number once; that it was looked at is noted."""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None:
            here.note(work, "person.phone", person_id)
    return page_of(person_id, phone_shown=True)


@pages.post("/customers/<person_id>/notes")
@guarded("edit_people")
def add_note(person_id: str) -> Any:
    """Write a note."""
    text, once = request.form.get("text", ""), request.form.get("once", "")[:64]
    trouble = ""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None:
            by = here.viewer().userid
            try:
                if by_hand.add_note(work, person, text, by=by, once=f"{person.id}:{by}:{once or secrets.token_hex(8)}"):
                    here.note(work, "person.note", person_id)
            except ValueError as error:
                trouble = str(error)
    if person is None:
        here.not_here(person_id)
    if trouble:
        return page_of(person_id, note=text, note_error=_(trouble)), 422
    return back_to("person.show", person_id=person_id)


@pages.post("/customers/<person_id>/notes/<int:note_id>/delete")
@guarded("edit_people")
def delete_note(person_id: str, note_id: int) -> Any:
    """Take back one's own note."""
    note = None
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None:
            note = by_hand.own_note(work.db, person, note_id, here.viewer().userid)
        if note is not None:
            by_hand.take_back(work, note)
            here.note(work, "person.note_delete", person_id)
    if note is None:
        here.not_here(person_id)
    say(_("备注已删除"))
    return back_to("person.show", person_id=person_id)


@pages.post("/customers/<person_id>/tags")
@guarded("edit_people")
def give_tag(person_id: str) -> Any:
    """Put a tag on the person, here and at WeCom; again means: try once more where WeCom refused."""
    tag_id = number_of("t_", request.form.get("tag", ""))
    with here.working() as work:
        person = person_of(work.db, person_id)
        given = None
        if person is not None:
            by = here.viewer().userid
            given = tags.give_by_hand(work, person, tag_id, by=by, called=persons.rep_name(work.db, by))
        if person is not None and given is not None:
            if given.new:
                _tell(work, person, by_hand.TAGGED, {"tag": given.name})
            here.note(work, "person.tag", person_id, {"tag": tags.public_id(given.tag.id)})
    if person is None:
        here.not_here(person_id)
    if given is None:
        say(_("请先选一个标签"), "warn")
    return back_to("person.show", person_id=person_id)


@pages.post("/customers/<person_id>/tags/<tag_id>/delete")
@guarded("edit_people")
def take_tag(person_id: str, tag_id: str) -> Any:
    """Take a tag off the person, here and at WeCom."""
    number = number_of("t_", tag_id)
    with here.working() as work:
        person = person_of(work.db, person_id)
        tag = work.db.get(Tag, number) if person is not None and number is not None else None
        if person is not None and tag is not None and tags.take_away(work, person, tag):
            _tell(work, person, by_hand.UNTAGGED, {"tag": f"{tag.group_name}/{tag.name}"})
            here.note(work, "person.untag", person_id, {"tag": tags.public_id(tag.id)})
    if person is None or tag is None:
        here.not_here(person_id)
    return back_to("person.show", person_id=person_id)


@pages.post("/customers/<person_id>/owner")
@guarded("give_owner")
def give_owner(person_id: str) -> Any:
    """Let another rep answer for the person; nothing chosen goes back to the longest-standing rep."""
    userid = request.form.get("owner") or None
    with here.working() as work:
        person, sight = person_of(work.db, person_id), here.sight(work.db)
        known = userid is None or (work.db.get(Member, userid) is not None and sight.rep(userid))
        if person is not None and known:
            persons.give_owner(work, person, userid)
            _tell(work, person, by_hand.OWNER_GIVEN, {"to": userid})
            here.note(work, "person.owner", person_id, {"to": userid})
    if person is None or not known:
        here.not_here(person_id)
    say(_("负责人已更改"))
    return back_to("person.show", person_id=person_id)


@pages.post("/customers/<person_id>/birthday")
@guarded("edit_people")
def keep_birthday(person_id: str) -> Any:
    """Remember when their birthday is; an empty field forgets it."""
    typed, trouble = request.form.get("birthday", "")[:20], ""
    with here.working() as work:
        person = person_of(work.db, person_id)
        if person is not None:
            try:
                if birthdays.keep(work, person, typed, by=here.viewer().userid):
                    here.note(work, "person.birthday", person_id)
            except ValueError as error:
                trouble = str(error)
    if person is None:
        here.not_here(person_id)
    if trouble:
        return page_of(person_id, birthday=typed, birthday_error=said(trouble)), 422
    say(_("生日已记下") if typed.strip() else _("生日已清空"))
    return back_to("person.show", person_id=person_id)


def _tell(work: Work, person: Person, kind: str, details: Mapping[str, Any]) -> None:
    by = here.viewer().userid
    by_hand.tell(work, person, kind, by=by, once=f"{kind}:{secrets.token_hex(12)}", details=details)
