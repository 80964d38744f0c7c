"""Segments (分层): made from sentences with a live count, looked at, frozen as lists, exported; and the life cycle.

Who makes them sees everybody; a manager sees of each segment their own customers and those of the reps below them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from console import exports, here, segment_form
from console.broadcast_words import WEEKDAYS
from console.customers import STAGES
from console.doors import guarded
from console.layout import back_to, say
from console.pace import Pace
from console.segment_form import MODES, SegmentForm
from console.segment_words import (
    BEHAVIOUR_WORDS,
    FIELD_WORDS,
    LIFE_WORDS,
    NAMED_OPS,
    RARE_OPS,
    RELATION_WORDS,
    REWARD_WORDS,
    SINCE_OPS,
    TIMES_OPS,
    called,
    fault,
    on_one_line,
    sentences,
    word_of,
)
from console.today import rep_names
from console.words import N_, _
from insight import lifecycle, segments
from insight.fields import FIELDS, LIFE, Question
from insight.lifecycle import Rules, WrongRules
from insight.segments import LIVE, STATIC, WrongFilter
from loyalty import tiers
from people import cards
from people.access import Sight
from storage.tables import (
    Channel,
    Department,
    LifecycleChange,
    Member,
    OrderLine,
    Person,
    Segment,
    ShopOrder,
    Tag,
    is_head,
)

pages = Blueprint("segments", __name__, url_prefix="/segments")

PAGE, MEMBERS, STEPS = 100, 50, 20
COUNTS = Pace(120, timedelta(minutes=1))
NEWEST_ORDERS = 5_000
"""Stores and categories are offered that these name."""
KIND_WORDS = {LIVE: (N_("随条件变化"), "info"), STATIC: (N_("固定名单"), "quiet")}
MODE_WORDS = {"all": N_("同时符合"), "any": N_("符合任何一个"), "none": N_("一个也不符合")}
RULE_WORDS: Mapping[str, tuple[str, str]] = {
    "new_days": (N_("新客：第一次添加后多少天内"), N_("天")),
    "active_days": (N_("活跃：多少天内有往来；更久就是沉睡"), N_("天")),
    "loyal_talks": (N_("忠诚：至少有多少天说过话"), N_("天")),
    "loyal_days": (N_("忠诚：在最近多少天里数"), N_("天")),
    "lost_days": (N_("流失：多少天没有往来也算；填 0 就只看有没有成员在联"), N_("天")),
}


# --- all of them -----------------------------------------------------------------------------------------------------


@pages.get("")
@guarded("see_segments")
def index() -> str:
    """Every segment, what it asks, and how many it had when it was last counted."""
    with here.reading() as db:
        found, following = segments.listed(db, limit=PAGE, before=here.number(request.args.get("before")))
        names = called(db, [one.filter for one in found])
        return render_template(
            "segments/index.html",
            found=found,
            following=following,
            told={one.id: on_one_line(sentences(one.filter, names)) for one in found},
            makers=_makers(db, found),
            kinds=KIND_WORDS,
        )


def _makers(db: Session, found: Sequence[Segment]) -> dict[str, str]:
    own = select(Member.userid, Member.name).where(Member.userid.in_({one.created_by for one in found}))
    return {userid: name or userid for userid, name in db.execute(own)}


# --- making and changing ---------------------------------------------------------------------------------------------


@pages.get("/new")
@guarded("edit_segments")
def new() -> str:
    """An empty form: everybody."""
    with here.reading() as db:
        return _form(db, SegmentForm())


@pages.post("/new")
@guarded("edit_segments")
def create() -> Any:
    """Make a segment (``do=save``), or what the button says: count, a condition more or less."""
    form = segment_form.read(request.form)
    if request.form.get("do") != "save":
        return _went_on(form)
    try:
        with here.working() as work:
            segment = segments.create(work, form.name, form.tree(), by=here.viewer().userid, kind=form.kind)
            told = {"name": segment.name, "kind": segment.kind, "count": segment.size}
            here.note(work, "segment.create", segments.public_id(segment.id), told)
    except WrongFilter as error:
        return _wrong(form, error)
    say(_("分层已保存"))
    return back_to("segments.show", segment_id=segment.id)


@pages.get("/<int:segment_id>/edit")
@guarded("edit_segments")
def edit(segment_id: int) -> str:
    """The form of a segment as it is."""
    with here.reading() as db:
        segment = _segment(db, segment_id)
        return _form(db, segment_form.of_segment(segment), segment)


@pages.post("/<int:segment_id>/edit")
@guarded("edit_segments")
def change(segment_id: int) -> Any:
    """Change a segment, or what the button says."""
    form = segment_form.read(request.form)
    if request.form.get("do") != "save":
        return _went_on(form, segment_id)
    try:
        with here.working() as work:
            segment = _segment(work.db, segment_id, lock=True)
            if segment.version != form.version:
                words = _("你打开之后有人改过这个分层，你的修改还没有保存。请在新标签页打开它，对照后再改。")
                raise WrongFilter([(("",), words)])
            tree = form.tree() if segment.kind == LIVE else segment.filter
            if segments.change(work, segment, name=form.name, tree=tree, by=here.viewer().userid):
                told = {"name": segment.name, "count": segment.size}
                here.note(work, "segment.change", segments.public_id(segment_id), told)
    except WrongFilter as error:
        return _wrong(form, error, segment_id)
    say(_("分层已保存"))
    return back_to("segments.show", segment_id=segment_id)


def _went_on(form: SegmentForm, segment_id: int | None = None) -> Any:
    """The form after a button of its own; nothing is kept."""
    do = request.form.get("do", "")
    form = form.changed(do, request.form)
    with here.reading() as db:
        segment = _segment(db, segment_id) if segment_id is not None else None
        if do != "count":
            return _form(db, form, segment)
        COUNTS.step(here.viewer().user_id, here.now())
        try:
            return _form(db, form, segment, counted=_count(db, form))
        except WrongFilter as error:
            return _form(db, form.with_faults(error), segment), 422


def _wrong(form: SegmentForm, error: WrongFilter, segment_id: int | None = None) -> Any:
    with here.reading() as db:
        segment = _segment(db, segment_id) if segment_id is not None else None
        return _form(db, form.with_faults(error), segment), 422


@pages.post("/count")
@guarded("edit_segments")
def count() -> Any:
    """How many people the form means, as it stands: the live part of the editor."""
    COUNTS.step(here.viewer().user_id, here.now())
    form = segment_form.read(request.form)
    with here.reading() as db:
        try:
            return render_template("segments/count.html", counted=_count(db, form), errors={})
        except WrongFilter as error:
            return render_template("segments/count.html", counted=None, errors=form.with_faults(error).errors)


def _count(db: Session, form: SegmentForm) -> tuple[int, int]:
    """How many the form means, and of how many; raises ``WrongFilter``."""
    tree = form.tree()
    segments.check(db, tree)
    sight = here.sight(db)
    fits = segments.condition(tree, _question(db))
    return segments.count(db, sight.people(), fits), segments.count(db, sight.people())


def _question(db: Session) -> Question:
    return segments.question(db, here.now(), here.zone())


def _form(
    db: Session, form: SegmentForm, segment: Segment | None = None, counted: tuple[int, int] | None = None
) -> str:
    options = _options(db)
    chosen = [one.leaf() for block in form.blocks for one in block.lines if one.names and one.kind == "names"]
    names = called(db, [{"all": chosen}])
    for block in form.blocks:
        for line in block.lines:
            known = options.setdefault(line.field, {})
            known.update(
                {one: word_of(line.form.name, line.field, one, names) for one in line.names if one not in known}
            )
    return render_template(
        "segments/form.html",
        form=form,
        segment=segment,
        counted=counted,
        errors=form.errors,
        options=options,
        fields=[(one.name, _(FIELD_WORDS[one.name])) for one in FIELDS],
        field_words=FIELD_WORDS,
        mode_words=MODE_WORDS,
        modes=MODES,
        named_ops=NAMED_OPS,
        since_ops=SINCE_OPS,
        times_ops=TIMES_OPS,
        rare=RARE_OPS,
        kinds=KIND_WORDS,
    )


def _options(db: Session) -> dict[str, dict[str, str]]:
    """What each field offers: its values and what they are called."""
    own = select(Tag).where(Tag.deleted_at.is_(None)).order_by(Tag.group_name, Tag.name).limit(500)
    codes = select(Channel.code, Channel.name).where(Channel.state != "deleted").order_by(Channel.id.desc()).limit(200)
    reps = select(Member.userid, Member.name).where(Member.left_at.is_(None)).order_by(Member.name).limit(500)
    stores = select(Department.id, Department.name).order_by(Department.parent_id, Department.order.desc()).limit(200)
    places = select(Person.province, Person.city).where(is_head(), Person.province.is_not(None)).distinct()
    lists = select(Segment.id, Segment.name).where(Segment.kind == STATIC, Segment.deleted_at.is_(None))
    members = {userid: name or userid for userid, name in db.execute(reps)}
    return {
        "tag": {f"t_{one.id}": f"{one.group_name}/{one.name}" for one in db.scalars(own)},
        "life_cycle": {one: _(words) for one, (words, _tone) in LIFE_WORDS.items()},
        "relation": {one: _(words) for one, words in RELATION_WORDS.items()},
        "channel": dict(db.execute(codes).all()),
        "store": {f"d_{number}": name or str(number) for number, name in db.execute(stores)},
        "rep": members,
        "owner": dict(members),
        "behaviour": {one: _(words) for one, words in BEHAVIOUR_WORDS.items()},
        "region": _regions([(province, city) for province, city in db.execute(places)]),
        "order_store": _of_orders(db, ShopOrder.store),
        "order_category": _of_orders(db, OrderLine.category),
        "redemptions": {one: _(words) for one, words in REWARD_WORDS.items()},
        "order_hours": {str(n): _(words) for n, words in enumerate(WEEKDAYS, 1)},
        "tier": {one.key: one.name for one in tiers.scheme(db).levels},
        "list": {f"s_{number}": name for number, name in db.execute(lists.order_by(Segment.id.desc()))},
    }


def _of_orders(db: Session, column: InstrumentedAttribute[str]) -> dict[str, str]:
    """What the newest orders say in this column, each once."""
    newest = select(ShopOrder.id).order_by(ShopOrder.id.desc()).limit(NEWEST_ORDERS)
    own = ShopOrder.id if column.class_ is ShopOrder else OrderLine.order_id
    asked = select(column).where(own.in_(newest), column != "").distinct().order_by(column)
    return {one: one for one in db.scalars(asked.limit(200))}


def _regions(places: Sequence[tuple[str | None, str | None]]) -> dict[str, str]:
    """Every province, and below it its cities."""
    found: dict[str, str] = {}
    for province, city in sorted((province or "", city or "") for province, city in places):
        found[province] = province
        if city and city != province:
            found[f"{province}/{city}"] = f"{province}{city}"
    return found


# --- one segment -----------------------------------------------------------------------------------------------------


@pages.get("/<int:segment_id>")
@guarded("see_segments")
def show(segment_id: int) -> str:
    """What a segment asks, how many are in it now, and who."""
    with here.reading() as db:
        segment = _segment(db, segment_id)
        told = sentences(segment.filter, called(db, [segment.filter]))
        inside = partial(segments.members, segment)
        return _members_page(db, inside, "segments/show.html", segment=segment, told=told, kinds=KIND_WORDS,
                             makers=_makers(db, [segment]))  # fmt: skip


def _members_page(db: Session, inside: Callable[[Question], ColumnElement[bool]], template: str, **more: Any) -> str:
    """A page with everybody in sight who is inside, the newest first."""
    sight = here.sight(db)
    before = here.number(request.args.get("before"))
    total = segments.count(db, sight.people(), inside(_question(db)))
    asked = segments.question(db, here.now(), here.zone(), paged=total)
    found, following = segments.page(db, sight.people(), inside(asked), limit=MEMBERS, before=before)
    return render_template(
        template,
        listed=cards.cards(db, sight, found),
        names=rep_names(db, sight, [one.owner or "" for one in found]),
        total=total,
        everybody=segments.count(db, sight.people()),
        following=following,
        paged=before is not None,
        stages=STAGES,
        lives=LIFE_WORDS,
        sees_all=sight.everybody,
        **more,
    )


def _segment(db: Session, segment_id: int, *, lock: bool = False) -> Segment:
    found = segments.living(db, segment_id, lock=lock) if segment_id < 2**53 else None
    return found or here.not_here(segments.public_id(segment_id))


@pages.post("/<int:segment_id>/snapshot")
@guarded("edit_segments")
def snapshot(segment_id: int) -> Any:
    """Keep whoever is in it now as a list of its own."""
    name = request.form.get("name", "").strip()
    try:
        with here.working() as work:
            segment = _segment(work.db, segment_id)
            taken = segments.snapshot(work, segment, name, by=here.viewer().userid)
            told = {"from": segment.name, "name": taken.name, "count": taken.size}
            here.note(work, "segment.snapshot", segments.public_id(taken.id), told)
    except WrongFilter as error:
        say(" ".join(fault(words) for _place, words in error.faults), "bad")
        return back_to("segments.show", segment_id=segment_id)
    say(_("已存成名单“%(name)s”", name=taken.name))
    return back_to("segments.show", segment_id=taken.id)


@pages.post("/<int:segment_id>/delete")
@guarded("edit_segments")
def delete(segment_id: int) -> Any:
    """Let go of a segment."""
    with here.working() as work:
        segment = _segment(work.db, segment_id, lock=True)
        segments.delete(work, segment, by=here.viewer().userid)
        here.note(work, "segment.delete", segments.public_id(segment_id), {"name": segment.name})
    say(_("分层“%(name)s”已删除，客户都还在", name=segment.name))
    return back_to("segments.index")


# --- export ----------------------------------------------------------------------------------------------------------


@pages.get("/<int:segment_id>/export")
@guarded("export")
def ask_export(segment_id: int) -> str:
    """How many would be exported, and why it is wanted."""
    return _export_form(segment_id)


def _export_form(segment_id: int, error: str = "") -> str:
    with here.reading() as db:
        segment, sight = _segment(db, segment_id), here.sight(db)
        total = segments.count(db, sight.people(), segments.members(segment, _question(db)))
        return render_template("segments/export.html", segment=segment, total=total, error=error)


@pages.post("/<int:segment_id>/export")
@guarded("export")
def export(segment_id: int) -> Any:
    """The members as CSV, by the rules of every export of customers."""
    reason = request.form.get("reason", "").strip()[:200]
    if len(reason) < 2:
        return _export_form(segment_id, _("请写明用途，例如“十一月回访名单”")), 422
    whole_phones = request.form.get("phones") == "whole" and here.may("see_phones")
    with here.working() as work:
        segment, sight = _segment(work.db, segment_id), here.sight(work.db)
        exports.not_too_often(work)
        asked = _question(work.db)
        total = segments.count(work.db, sight.people(), segments.members(segment, asked))
        told = {"reason": reason, "count": total, "name": segment.name, "whole_phones": whole_phones}
        here.note(work, exports.ACTION, segments.public_id(segment_id), told)
    inside = segments.members(segment, asked)
    name = f"{segments.public_id(segment_id)}-{here.today()}.csv"
    return exports.stream(inside, sight, name, whole_phones=whole_phones)


# --- the life cycle --------------------------------------------------------------------------------------------------


@pages.get("/life-cycle")
@guarded("see_segments")
def life_cycle() -> str:
    """How many are where in the life cycle, who moved lately, and the rules."""
    with here.reading() as db:
        return _life_page(db, {one: str(value) for one, value in asdict(lifecycle.rules(db)).items()})


def _life_page(db: Session, typed: Mapping[str, str], errors: Mapping[str, str] | None = None) -> str:
    sight = here.sight(db)
    moved = _moved(db, sight)
    return render_template(
        "segments/life_cycle.html",
        spread=lifecycle.spread(db, sight.people()),
        lives=LIFE_WORDS,
        moved=moved,
        typed=typed,
        errors=errors or {},
        rules=RULE_WORDS,
        most=lifecycle.MOST,
    )


def _moved(db: Session, sight: Sight) -> list[tuple[LifecycleChange, str]]:
    """The latest moves of people in sight, without what was said of somebody first."""
    own = select(LifecycleChange, Person.name).join(Person, Person.id == LifecycleChange.person_id)
    own = own.where(sight.people(), LifecycleChange.before.is_not(None))
    return [(one, name) for one, name in db.execute(own.order_by(LifecycleChange.id.desc()).limit(STEPS))]


@pages.post("/life-cycle")
@guarded("edit_segments")
def set_life_cycle() -> Any:
    """Change the numbers of the rules; the next night goes by them."""
    typed = {name: request.form.get(name, "").strip()[:9] for name in RULE_WORDS}
    numbers = {name: int(text) if text.isascii() and text.isdecimal() else -1 for name, text in typed.items()}
    try:
        with here.working() as work:
            if lifecycle.set_rules(work, Rules(**numbers), by=here.viewer().userid):
                here.note(work, "life_cycle.rules", details=numbers)
    except WrongRules as error:
        with here.reading() as db:
            return _life_page(db, typed, {str(place[-1]): fault(words) for place, words in error.faults}), 422
    say(_("规则已保存，今晚起按它重新判断每一位客户"))
    return back_to("segments.life_cycle")


@pages.get("/life-cycle/<stage>")
@guarded("see_segments")
def stage(stage: str) -> str:
    """Who is at this stage."""
    if stage not in LIFE:
        here.not_here(stage)
    with here.reading() as db:
        return _members_page(db, lambda _: Person.life_cycle == stage, "segments/stage.html", stage=stage)
