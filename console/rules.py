"""Tag rules (规则): made, tried on a sentence and on the last thirty days, applied to the past, undone; their hits."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import forms, here, rule_form
from console.doors import guarded
from console.layout import back_to, say
from console.rule_form import Form
from console.shown import discreet
from console.words import N_, _, said
from storage.tables import Channel, KfAccount, Member, Person, Tag, TagRule
from tagging import rule_work, rules
from tagging.channels import Invalid
from tagging.keywords import LISTS

pages = Blueprint("rules", __name__, url_prefix="/rules")

PAGE = 50
HITS = 50
MOST_CODES = 200
MOST_WARNINGS = 5
KIND_WORDS: Mapping[str, str] = {
    "keyword": N_("说了什么"),
    "arrival": N_("什么时候来"),
    "loss": N_("流失了"),
}
WHERE_WORDS = {"kf": N_("微信客服的聊天"), "forwarded": N_("成员转给助手的话")}
LOST_WORDS = {"customer": N_("客户删除了成员"), "rep": N_("成员删除了客户")}
STATE_WORDS = {"active": (N_("使用中"), "good"), "stopped": (N_("已停用"), "quiet"), "deleted": (N_("已删除"), "quiet")}
DAY_WORDS = (N_("周一"), N_("周二"), N_("周三"), N_("周四"), N_("周五"), N_("周六"), N_("周日"))
ANCHORS = {"any_keywords": "f-any", "all_keywords": "f-all", "not_keywords": "f-none", "scope": "scope"}
"""Where a field that is wrong stands in the form, if not at ``f-`` and its name."""
LIST_WORDS = {"any_keywords": N_("任一"), "all_keywords": N_("全部"), "not_keywords": N_("不能有")}


@pages.get("")
@guarded("see_tags")
def index() -> str:
    """Every rule with what it met lately, and how much of the talk rules can hear at all."""
    with here.reading() as db:
        own = select(TagRule).where(TagRule.state != "deleted").order_by(TagRule.id.desc())
        found = list(db.scalars(own))
        heard, talkers = rule_work.visible_talkers(db, here.now(), here.zone())
        return render_template(
            "rules/index.html",
            rules=found,
            counted=rule_work.counted(db, [one.id for one in found], here.now() - timedelta(days=30)),
            tags=_tag_names(db, found),
            deaf={one.id for one in found if rules.sources_off(db, one)},
            heard=heard,
            talkers=talkers,
            sees_all=here.sight(db).everybody,
            kinds=KIND_WORDS,
            states=STATE_WORDS,
            lists=LISTS,
        )


def _tag_names(db: Session, found: list[TagRule]) -> dict[int, Tag]:
    ids = {tag_id for one in found for tag_id in one.tags}
    return {tag.id: tag for tag in db.scalars(select(Tag).where(Tag.id.in_(ids)))}


# --- making and changing ---------------------------------------------------------------------------------------------


@pages.get("/new")
@guarded("edit_rules")
def new() -> str:
    """An empty form."""
    kind = request.args.get("kind", rules.KEYWORD)
    with here.reading() as db:
        return _form(db, Form(kind=kind if kind in rules.KINDS else rules.KEYWORD))


@pages.post("/new")
@guarded("edit_rules")
def create() -> Any:
    """Try a rule, or make it: ``do`` is ``try``, ``preview`` or ``save``."""
    form = rule_form.read(request.form)
    if request.form.get("do") == "save":
        try:
            with here.working() as work:
                rule = rules.create(work, form.draft(), by=here.viewer().userid)
                here.note(work, "rule.create", f"r_{rule.id}", {"name": rule.name})
        except Invalid as error:
            return _wrong(form, error)
        say(_("规则已保存，从下一条消息起生效"))
        _warn(form)
        return back_to("rules.show", rule_id=rule.id)
    return _tried(form)


@pages.get("/<int:rule_id>/edit")
@guarded("edit_rules")
def edit(rule_id: int) -> str:
    """The form of a rule as it is."""
    with here.reading() as db:
        rule = _rule(db, rule_id)
        return _form(db, rule_form.of_rule(db, rule), rule)


@pages.post("/<int:rule_id>/edit")
@guarded("edit_rules")
def change(rule_id: int) -> Any:
    """Try the change, or make it; the version grows."""
    form = rule_form.read(request.form)
    with here.reading() as db:
        rule = _rule(db, rule_id)
    form = replace(form, kind=rule.kind)
    if request.form.get("do") != "save":
        return _tried(form, rule_id)
    try:
        with here.working() as work:
            rule = _rule(work.db, rule_id, lock=True)
            forms.same_version(form.version, rule.version)
            if rules.change(work, rule, form.draft(rule.scope), by=here.viewer().userid):
                here.note(work, "rule.change", f"r_{rule_id}", {"name": rule.name, "version": rule.version})
    except Invalid as error:
        return _wrong(form, error, rule_id)
    say(_("已保存为第 %(n)s 版，从下一条消息起生效", n=rule.version))
    _warn(form)
    return back_to("rules.show", rule_id=rule_id)


def _warn(form: Form) -> None:
    """Say what is weak about the rule that was saved just now."""
    for words in form.warnings()[:MOST_WARNINGS]:
        say(said(words), "warn")


def _tried(form: Form, rule_id: int | None = None) -> Any:
    """The form with what it would do; nothing is kept."""
    with here.reading() as db:
        rule = _rule(db, rule_id) if rule_id is not None else None
        try:
            draft = form.draft(rule.scope if rule is not None else {})
            if request.form.get("do") == "try":
                return _form(db, form, rule, findings=rule_work.explain(draft, form.text))
            return _form(db, form, rule, preview=rule_work.preview(db, draft, here.now()))
        except Invalid as error:
            return _form(db, replace(form, errors=forms.told(error.problems)), rule), 422


def _wrong(form: Form, error: Invalid, rule_id: int | None = None) -> Any:
    with here.reading() as db:
        rule = _rule(db, rule_id) if rule_id is not None else None
        return _form(db, replace(form, errors=forms.told(error.problems)), rule), 422


def _form(db: Session, form: Form, rule: TagRule | None = None, **tried: Any) -> str:
    known = select(Tag).where(Tag.deleted_at.is_(None)).order_by(Tag.group_name, Tag.name)
    preview = tried.get("preview")
    people = {one.person_id for one in preview.samples} if preview else set()
    return render_template(
        "rules/form.html",
        form=form,
        rule=rule,
        errors=form.errors,
        anchors=ANCHORS,
        warnings=[said(words) for words in form.warnings()[:MOST_WARNINGS]],
        members=_members(db, form.reps),
        codes=_codes(db, form.channels),
        tags=[forms.tag_value(one.group_name, one.name) for one in db.scalars(known)],
        tag_of=forms.tag_of,
        kinds=KIND_WORDS,
        where_words=WHERE_WORDS,
        lost_words=LOST_WORDS,
        day_words=DAY_WORDS,
        list_words=LIST_WORDS,
        findings=tried.get("findings"),
        preview=preview,
        names=dict(db.execute(select(Person.id, Person.name).where(Person.id.in_(people))).all()),
    )


def _members(db: Session, chosen: Sequence[str]) -> dict[str, str]:
    """Whom to choose from, by userid: the chosen first, gone or not, then everybody who serves."""
    serving = Member.left_at.is_(None) & Member.serves.is_(True)
    asked = select(Member.userid, Member.name).where(serving | Member.userid.in_(chosen)).order_by(Member.name)
    names = {userid: name or userid for userid, name in db.execute(asked)}
    return {userid: names.get(userid, userid) for userid in (*chosen, *names)}


def _codes(db: Session, chosen: Sequence[int]) -> dict[int, str]:
    """The codes to choose from: the chosen first, however old or deleted, then the newest."""
    named = select(Channel.id, Channel.name)
    newest = named.where(Channel.state != "deleted").order_by(Channel.id.desc()).limit(MOST_CODES)
    own = db.execute(named.where(Channel.id.in_(chosen)).order_by(Channel.id))
    return dict([*own.all(), *db.execute(newest).all()])


# --- one rule --------------------------------------------------------------------------------------------------------


@pages.get("/<int:rule_id>")
@guarded("see_tags")
def show(rule_id: int) -> str:
    """What a rule says, whom it met and why, its versions, and what is under way with it."""
    with here.reading() as db:
        rule = _rule(db, rule_id)
        sight, before = here.sight(db), here.number(request.args.get("before"))
        found, following = rule_work.hits(db, rule.id, sight.people(), limit=HITS, before=before)
        hits, people = rule_work.counted(db, [rule.id], here.now() - timedelta(days=30)).get(rule.id, (0, 0))
        codes = select(Channel).where(Channel.id.in_(rule.scope.get("channels") or []))
        accounts = select(KfAccount.name).where(KfAccount.open_kfid.in_(rule.scope.get("accounts") or []))
        named = select(Person.id, Person.name).where(Person.id.in_({one.person_id for one in found}))
        reps = select(Member.userid, Member.name)
        return render_template(
            "rules/show.html",
            rule=rule,
            form=rule_form.of_rule(db, rule),
            tags=_tag_names(db, [rule]),
            codes=list(db.scalars(codes)),
            accounts=list(db.scalars(accounts)),
            found=found,
            quotes={one.id: _quote(one.evidence) for one in found},
            following=following,
            count=hits,
            people=people,
            sees_all=sight.everybody,
            names=dict(db.execute(named).all()),
            reps={userid: name or userid for userid, name in db.execute(reps)},
            versions=rules.versions(db, rule),
            under_way=rule_work.progress_of(db, rule.id),
            deaf=rules.sources_off(db, rule),
            kinds=KIND_WORDS,
            states=STATE_WORDS,
            where_words=WHERE_WORDS,
            lost_words=LOST_WORDS,
            day_words=DAY_WORDS,
            preview_days=rule_work.PREVIEW_DAYS,
        )


def _quote(evidence: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """The words around a hit in pieces, and of each whether it is what was met; numbers masked before it is cut."""
    quote = discreet(str(evidence.get("quote") or ""))
    met = sorted({one for each in evidence.get("words") or () if (one := discreet(str(each)))}, key=len, reverse=True)
    if not met:
        return [(quote, False)]
    pieces = re.split(f"({'|'.join(map(re.escape, met))})", quote)
    return [(piece, n % 2 == 1) for n, piece in enumerate(pieces) if piece]


def _rule(db: Session, rule_id: int, *, lock: bool = False) -> TagRule:
    own = select(TagRule).where(TagRule.id == rule_id, TagRule.state != "deleted")
    return db.scalars(own.with_for_update() if lock else own).one_or_none() or here.not_here()


@pages.post("/<int:rule_id>/<any(stop, resume, delete):verb>")
@guarded("edit_rules")
def turn(rule_id: int, verb: str) -> Any:
    """Stop a rule, take it up again, or delete it; the tags it gave stay."""
    state = {"stop": "stopped", "resume": "active", "delete": "deleted"}[verb]
    with here.working() as work:
        rule = _rule(work.db, rule_id, lock=True)
        if rules.turn(work, rule, state, by=here.viewer().userid):
            here.note(work, f"rule.{verb}", f"r_{rule_id}", {"name": rule.name})
    if verb == "delete":
        say(_("规则“%(name)s”已删除，它打过的标签还在", name=rule.name))
        return back_to("rules.index")
    return back_to("rules.show", rule_id=rule_id)


@pages.post("/<int:rule_id>/backfill")
@guarded("edit_rules")
def backfill(rule_id: int) -> Any:
    """Let the rule look at what was said in the last thirty days."""
    with here.working() as work:
        rule = _rule(work.db, rule_id, lock=True)
        begun = rule.kind == rules.KEYWORD and rule_work.begin_backfill(work, rule)
        if begun:
            here.note(work, "rule.backfill", f"r_{rule_id}", {"name": rule.name})
    say(_("正在补打，下面能看到进度") if begun else _("已经在补打了"), "good" if begun else "warn")
    return back_to("rules.show", rule_id=rule_id)


@pages.post("/<int:rule_id>/undo")
@guarded("edit_rules")
def undo(rule_id: int) -> Any:
    """Stop the rule and take back everything it gave."""
    with here.working() as work:
        rule = _rule(work.db, rule_id, lock=True)
        begun = rule_work.begin_undo(work, rule, by=here.viewer().userid)
        if begun:
            here.note(work, "rule.undo", f"r_{rule_id}", {"name": rule.name})
    say(_("规则已停用，正在收回它打的标签；别处也给过的标签会留着") if begun else _("已经在收回了"),
        "good" if begun else "warn")  # fmt: skip
    return back_to("rules.show", rule_id=rule_id)
