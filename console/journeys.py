"""Journeys (旅程): read like a list of sentences, written without script, tried on last month, published, stopped.

Bosses and operators write them. A manager sees what they are and, of who is on them, their own reps' customers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import attachment_rows, forms, here, journey_form, journey_rounds, journey_words
from console.broadcast_form import Preview
from console.broadcast_words import SAYING_WORDS, WEEKDAYS
from console.channel_charts import stacked
from console.channel_form import CUSTOMER, with_addresses
from console.doors import guarded
from console.journey_form import Choices, JourneyForm
from console.journey_words import (
    AGAIN_WORDS,
    DATE_WORDS,
    KIND_WORDS,
    LATE_WORDS,
    ROUND_WORDS,
    STATE_WORDS,
    STEP_WORDS,
    TRIGGER_WORDS,
    WAY_WORDS,
    WHY_NOT,
)
from console.layout import back_to, say
from console.pace import Pace
from console.segment_words import LIFE_WORDS, called, on_one_line, sentences
from console.shown import day
from console.words import N_, _
from insight import segments
from insight.segments import WrongFilter
from outreach import contents, materials
from outreach.journeys import definition as shape
from outreach.journeys import desk, dry_run, ready_made, results, rounds
from outreach.journeys.definition import Definition, WrongJourney
from outreach.journeys.desk import CannotDo
from storage.tables import Enrolment, Journey, JourneyVersion, Member, Segment, Tag
from storage.work import Work
from tagging.channels import Invalid
from wecom.attachments import MAX_ATTACHMENTS, MAX_TEXT_BYTES

pages = Blueprint("journeys", __name__, url_prefix="/journeys")

ROUNDS = 30
MOST_CHOICES = 500
DRAFT = "draft"
DRY_RUNS = Pace(30, timedelta(minutes=1))
ROUND_STATES = {
    "live": (rounds.LIVE, rounds.LEAVING),
    "goal": (rounds.GOAL,),
    "done": (rounds.DONE,),
    "left": (rounds.LEFT,),
}


# --- all of them -----------------------------------------------------------------------------------------------------


@pages.get("")
@guarded("see_journeys")
def index() -> str:
    """Every journey, who sets out and how many are on it; and the ready-made ones, chosen or not."""
    with here.reading() as db:
        found = desk.listed(db)
        shown = {one.id: _newest(db, one) for one in found}
        names = journey_words.names_of(db, list(shown.values()))
        return render_template(
            "journeys/index.html",
            found=found,
            triggers={number: journey_words.trigger(one, names) for number, one in shown.items()},
            counts=desk.counts(db, [one.id for one in found], here.sight(db).people()),
            states=STATE_WORDS,
            ready=ready_made.READY,
            chosen={one.ready_made: one for one in found if one.ready_made},
            full=len(found) >= desk.MAX_JOURNEYS,
        )


def _newest(db: Session, journey: Journey) -> Definition:
    """What is live, or was last; the draft where nothing was ever published."""
    return desk.live_definition(db, journey) or journey.draft


@pages.post("/ready/<key>")
@guarded("edit_journeys")
def choose(key: str) -> Any:
    """Take a ready-made one: a draft of one's own, still switched off."""
    one = next((one for one in ready_made.READY if one.key == key), None) or here.not_here(key)
    try:
        with here.working() as work:
            by = here.viewer().userid
            known = work.db.scalars(select(Journey).where(Journey.ready_made == key)).one_or_none()
            journey = known or desk.create(work, _(one.name), one.definition, by=by, ready_made=key)
            if known is None:
                here.note(work, "journey.create", desk.public_id(journey.id), {"name": journey.name})
            journey_id = journey.id
    except CannotDo as error:
        say(journey_words.told(error.words), "bad")
        return back_to("journeys.index")
    say(_("已放进你的旅程，还没有启用：看过、改好再发布"))
    return back_to("journeys.show", journey_id=journey_id)


# --- writing ---------------------------------------------------------------------------------------------------------


@pages.get("/new")
@guarded("edit_journeys")
def new() -> str:
    """An empty form, or one filled like another journey (``?like=3``)."""
    with here.reading() as db:
        like = here.number(request.args.get("like"))
        if like is None:
            return _form(db, JourneyForm())
        journey = _known(db, like)
        form = journey_form.of_journey(journey.name, _newest(db, journey), 0, _choices(db))
        return _form(db, replace(form, name=_("%(name)s（副本）", name=form.name)[: desk.NAME_AT_MOST]))


@pages.post("/new")
@guarded("edit_journeys")
def create() -> Any:
    """Keep a journey as a draft (``do=save``), or press one of the form's small buttons; nobody sets out by either."""
    form, do = _sent()
    if do != "save":
        return _shown_again(form)
    try:
        with here.working() as work:
            definition = form.definition(_choices(work.db))
            journey = desk.create(work, form.name, definition, by=here.viewer().userid)
            here.note(work, "journey.create", desk.public_id(journey.id), {"name": journey.name})
            journey_id = journey.id
    except (WrongJourney, CannotDo) as error:
        return _wrong(form, error)
    say(_("已存为草稿。看过、试过再发布"))
    return back_to("journeys.show", journey_id=journey_id)


@pages.get("/<int:journey_id>/edit")
@guarded("edit_journeys")
def edit(journey_id: int) -> Any:
    """The form of the draft; a live journey without one has none."""
    with here.reading() as db:
        journey = _known(db, journey_id)
        if not journey.draft:
            say(_("旅程正在运行，不能直接改：请先建一个新版本"), "warn")
            return back_to("journeys.show", journey_id=journey_id)
        form = journey_form.of_journey(journey.name, journey.draft, journey.draft_version, _choices(db))
        return _form(db, form, journey)


@pages.post("/<int:journey_id>/edit")
@guarded("edit_journeys")
def change(journey_id: int) -> Any:
    """Rewrite the draft, or press one of the form's small buttons."""
    form, do = _sent()
    if do != "save":
        return _shown_again(form, journey_id)
    try:
        with here.working() as work:
            journey = _known(work.db, journey_id, lock=True)
            if journey.draft:
                forms.same_version(form.version, journey.draft_version)
            definition = form.definition(_choices(work.db))
            desk.change(work, journey, form.name, definition, by=here.viewer().userid)
            here.note(work, "journey.change", desk.public_id(journey_id), {"name": journey.name})
    except (WrongJourney, CannotDo) as error:
        return _wrong(form, error, journey_id)
    except Invalid as error:
        return _shown_again(replace(form, errors=forms.told(error.problems)), journey_id)
    say(_("已保存"))
    return back_to("journeys.show", journey_id=journey_id, version=DRAFT)


def _wrong(form: JourneyForm, error: WrongJourney | CannotDo, journey_id: int | None = None) -> Any:
    if isinstance(error, WrongJourney):
        return _shown_again(form.with_faults(error), journey_id)
    where = "name" if error.words.startswith("名称") else ""
    with here.reading() as db:
        form = _with_faults(db, form)
    return _shown_again(replace(form, errors={**form.errors, where: journey_words.told(error.words)}), journey_id)


def _with_faults(db: Session, form: JourneyForm) -> JourneyForm:
    """The form with everything that is wrong with its definition."""
    try:
        shape.check_shape(db, form.definition(_choices(db)))
    except WrongJourney as error:
        return form.with_faults(error)
    return form


def _sent() -> tuple[JourneyForm, str]:
    """The form as sent, its small button pressed; ``do`` is ``save`` or something else."""
    form, do = journey_form.read(request.form), request.form.get("do", "save")
    verb, _dash, where = do.partition("-")
    place = here.number(where)
    if verb == "pin" and place is not None and place < len(form.steps):
        form = _pinned(form, place)
    return form.changed(do, request.form), do


def _pinned(form: JourneyForm, place: int) -> JourneyForm:
    """The form with what was chosen of the library at a step of it."""
    with here.reading() as db:
        material = materials.living(db, here.number(request.form.get(f"s{place}-pin")) or 0)
    rows = materials.message(material)[1] if material is not None else []
    return journey_form.pinned(form, place, rows, MAX_ATTACHMENTS)


def _shown_again(form: JourneyForm, journey_id: int | None = None) -> Any:
    with here.reading() as db:
        journey = _known(db, journey_id) if journey_id is not None else None
        return _form(db, form, journey), 422 if form.errors else 200


def _form(db: Session, form: JourneyForm, journey: Journey | None = None) -> str:
    choices = _choices(db)
    briefs = [journey_form.brief(one) for one in form.steps]
    return render_template(
        "journeys/form.html",
        form=form,
        journey=journey,
        errors=form.errors,
        kept=_kept_words(db, form, choices),
        briefs=briefs,
        targets=journey_form.targets(form, briefs),
        segments=[(str(one.id), one.name) for one in choices.segments],
        tags=_tags(db),
        library=attachment_rows.offered(db, contents.KINDS),
        links=[(one.id, one.name) for one in materials.choices(db, ("link",))],
        media=attachment_rows.media_of(db, [row for one in form.steps for row in one.get("attachments", ())]),
        previews=_previews(form.steps),
        most_bytes=MAX_TEXT_BYTES,
        on_the_way=rounds.count(db, journey.id, *ROUND_STATES["live"]) if journey else 0,
        **_FORM_WORDS,
    )


_FORM_WORDS: Mapping[str, Any] = {
    "kind_words": KIND_WORDS,
    "kinds": shape.KINDS,
    "trigger_kinds": shape.TRIGGER_KINDS,
    "date_words": DATE_WORDS,
    "lives": LIFE_WORDS,
    "trigger_words": TRIGGER_WORDS,
    "again_words": AGAIN_WORDS,
    "step_words": STEP_WORDS,
    "way_words": WAY_WORDS,
    "late_words": LATE_WORDS,
    "weekdays": WEEKDAYS,
    "most_steps": shape.MAX_STEPS,
}


def _choices(db: Session) -> Choices:
    own = select(Segment).where(Segment.deleted_at.is_(None)).order_by(Segment.name, Segment.id).limit(MOST_CHOICES)
    return Choices(list(db.scalars(own)))


def _kept_words(db: Session, form: JourneyForm, choices: Choices) -> dict[str, str]:
    """What filters say that no segment has, by where they stand; nothing where a filter is a segment's."""
    kept = {"who": form.who_kept} if form.who == journey_form.KEPT else {}
    for place, step in enumerate(form.steps):
        parts = enumerate(step.get("parts", ())) if step["do"] == "branch" else ()
        kept |= {f"{place}-{n}": one["kept"] for n, one in parts if one["if"] == journey_form.KEPT}
    trees = {where: choices.tree(journey_form.KEPT, raw) for where, raw in kept.items()}
    names = called(db, right := [one for one in trees.values() if _is_right(db, one)])
    return {where: on_one_line(sentences(tree, names)) for where, tree in trees.items() if tree in right}


def _is_right(db: Session, tree: Any) -> bool:
    """Whether this is a filter; what is not is named beside its place when the form is saved."""
    try:
        segments.check(db, tree)
    except WrongFilter:
        return False
    return True


def _tags(db: Session) -> dict[str, str]:
    own = select(Tag).where(Tag.deleted_at.is_(None)).order_by(Tag.group_name, Tag.name).limit(MOST_CHOICES)
    return {f"t_{one.id}": f"{one.group_name}/{one.name}" for one in db.scalars(own)}


@pages.post("/preview")
@guarded("edit_journeys")
def preview() -> str:
    """The drawn phones alone, for the live preview."""
    form = journey_form.read(request.form)
    with here.reading() as db:
        media = attachment_rows.media_of(db, [row for one in form.steps for row in one.get("attachments", ())])
    return render_template("journeys/preview.html", previews=_previews(form.steps), media=media)


def _previews(steps: Sequence[Mapping[str, Any]]) -> list[tuple[int, Preview]]:
    """What a customer sees at each step that says something, with the step's number."""
    return [(place, _preview(one)) for place, one in enumerate(steps, 1) if one["do"] == "send"]


SAMPLES = {"{points}": "1,280", "{expiring}": "12月31日 120 分、1月5日 30 分", "{me}": "https://…/me/…"}
"""What stands in a preview for what is each customer's own."""


def _preview(step: Mapping[str, Any]) -> Preview:
    rep = here.my_name()
    text = with_addresses(str(step.get("text", ""))).replace("{rep}", rep).replace("{name}", CUSTOMER)
    for put, shown in SAMPLES.items():
        text = text.replace(put, shown)
    rows = [one for one in step.get("attachments", ()) if isinstance(one, dict)]
    return Preview(rep, text, tuple(rows))


# --- one journey -----------------------------------------------------------------------------------------------------


@pages.get("/<int:journey_id>")
@guarded("see_journeys")
def show(journey_id: int) -> str:
    """A journey (``?version=2``, ``?version=draft``) in sentences, how far people come, and who is on it."""
    with here.reading() as db:
        journey = _known(db, journey_id)
        versions = desk.versions(db, journey_id)
        number, definition = _version_asked(journey, versions)
        names = journey_words.names_of(db, [definition])
        sight = here.sight(db)
        counts = desk.counts(db, [journey_id], sight.people())[journey_id]
        return render_template(
            "journeys/show.html",
            journey=journey,
            state_words=STATE_WORDS[journey.state],
            number=number,
            versions=versions,
            makers=_makers(db, journey, versions),
            head_words=journey_words.head(definition, names),
            steps=journey_words.steps(definition, names),
            step_words=STEP_WORDS,
            way=results.way(db, journey_id, number) if number and sight.everybody else None,
            came_of=partial(journey_words.came_of, definition=definition),
            faults=_faults(db, definition) if number is None else [],
            result=results.result(db, journey, here.now()) if sight.everybody else None,
            sayings=SAYING_WORDS,
            previews=_previews(definition["steps"]),
            media=attachment_rows.media_of(db, _rows(definition)),
            counts=counts,
            on_the_way=sum(counts.get(one, 0) for one in ROUND_STATES["live"]),
            sees_all=sight.everybody,
            **_rounds_shown(db, journey),
        )


def _rows(definition: Definition) -> list[Mapping[str, Any]]:
    return [row for one in definition["steps"] for row in one.get("attachments", ())]


def _version_asked(journey: Journey, versions: Sequence[JourneyVersion]) -> tuple[int | None, Definition]:
    """The version that is asked for, else the live one, else the draft (no number); a draft that is gone is live."""
    asked = request.args.get("version", "")
    if journey.draft and (asked == DRAFT or not versions):
        return None, journey.draft
    number = here.number(asked) if asked not in ("", DRAFT) else journey.live_version
    found = next((one for one in versions if one.number == number), None)
    return (found.number, found.definition) if found is not None else here.not_here(desk.public_id(journey.id))


def _rounds_shown(db: Session, journey: Journey) -> dict[str, Any]:
    """One page of who is or was on it, of those in sight."""
    state = request.args.get("state", "")
    state = state if state in ROUND_STATES else ""
    before = here.number(request.args.get("before"))
    wanted = [Enrolment.state.in_(ROUND_STATES[state])] if state else []
    seen = here.sight(db).people()
    found, following = rounds.page(db, journey.id, seen, *wanted, limit=ROUNDS, before=before)
    return {
        "lines": journey_rounds.of_journey(db, journey, found),
        "following": following,
        "round_state": state,
        "round_states": {name: ROUND_WORDS[some[0]] for name, some in ROUND_STATES.items()},
        "paged": before is not None,
    }


def _faults(db: Session, definition: Definition) -> list[str]:
    """What keeps a draft from being published."""
    try:
        shape.check(db, definition)
    except WrongJourney as error:
        return journey_words.spelt_faults(error.faults)
    return []


def _makers(db: Session, journey: Journey, versions: Sequence[JourneyVersion]) -> dict[str, str]:
    userids = {journey.made_by, journey.changed_by, *(one.by for one in versions)}
    own = select(Member.userid, Member.name).where(Member.userid.in_(userids))
    return {userid: name or userid for userid, name in db.execute(own)}


def _known(db: Session, journey_id: int, *, lock: bool = False) -> Journey:
    return db.get(Journey, journey_id, with_for_update=lock or None) or here.not_here(desk.public_id(journey_id))


# --- deciding --------------------------------------------------------------------------------------------------------


def _decided(journey_id: int, action: str, decide: Callable[[Work, Journey], Mapping[str, Any]], words: str) -> Any:
    """Carry out a decision and show the page again; why it cannot be, where it cannot."""
    try:
        with here.working() as work:
            journey = _known(work.db, journey_id, lock=True)
            told = decide(work, journey)
            here.note(work, action, desk.public_id(journey_id), {"name": journey.name, **told})
            version = DRAFT if journey.draft and action == "journey.open_version" else None
    except WrongJourney as error:
        say("；".join(journey_words.spelt_faults(error.faults)), "bad")
        return back_to("journeys.show", journey_id=journey_id, version=DRAFT)
    except CannotDo as error:
        say(journey_words.told(error.words), "bad")
        return back_to("journeys.show", journey_id=journey_id)
    here.bell().ring()
    say(words)
    return back_to("journeys.show", journey_id=journey_id, version=version)


@pages.post("/<int:journey_id>/publish")
@guarded("edit_journeys")
def publish(journey_id: int) -> Any:
    """Let the draft go live; those on an older version walk on, or (``cut=1``) leave it."""
    cut = request.form.get("cut") == "1"

    def decide(work: Work, journey: Journey) -> Mapping[str, Any]:
        version = desk.publish(work, journey, by=here.viewer().userid, cut=cut)
        return {"version": version.number, "cut": cut}

    return _decided(journey_id, "journey.publish", decide, _("已发布，从现在起有人会出发"))


@pages.post("/<int:journey_id>/stop")
@guarded("edit_journeys")
def stop(journey_id: int) -> Any:
    """Let nobody set out any more; who is on the way walks to the end, or (``cut=1``) leaves."""
    cut = request.form.get("cut") == "1"

    def decide(work: Work, journey: Journey) -> Mapping[str, Any]:
        desk.stop(work, journey, by=here.viewer().userid, cut=cut)
        return {"cut": cut}

    words = _("已停止，路上的客户都离开了") if cut else _("已停止：不再有人出发，路上的客户走完为止")
    return _decided(journey_id, "journey.stop", decide, words)


@pages.post("/<int:journey_id>/versions")
@guarded("edit_journeys")
def open_version(journey_id: int) -> Any:
    """A draft of what is live, to be changed while that goes on."""

    def decide(work: Work, journey: Journey) -> Mapping[str, Any]:
        desk.open_version(work, journey, by=here.viewer().userid)
        return {}

    words = _("已建好新版本的草稿：改好再发布，在那以前还按现在的版本走")
    return _decided(journey_id, "journey.open_version", decide, words)


@pages.post("/<int:journey_id>/drop")
@guarded("edit_journeys")
def drop(journey_id: int) -> Any:
    """Let go of the draft of a journey that is live."""

    def decide(work: Work, journey: Journey) -> Mapping[str, Any]:
        desk.drop_draft(work, journey, by=here.viewer().userid)
        return {}

    return _decided(journey_id, "journey.drop_draft", decide, _("草稿已放弃，运行中的版本不变"))


@pages.post("/<int:journey_id>/discard")
@guarded("edit_journeys")
def discard(journey_id: int) -> Any:
    """Throw away one that was never published; a ready-made one can be chosen again."""
    try:
        with here.working() as work:
            journey = _known(work.db, journey_id, lock=True)
            here.note(work, "journey.discard", desk.public_id(journey_id), {"name": journey.name})
            desk.discard(work, journey)
    except CannotDo as error:
        say(journey_words.told(error.words), "bad")
        return back_to("journeys.show", journey_id=journey_id)
    say(_("草稿已扔掉，没有人出发过"))
    return back_to("journeys.index")


# --- on last month ---------------------------------------------------------------------------------------------------


@pages.get("/<int:journey_id>/dry-run")
@guarded("edit_journeys")
def try_on_last_month(journey_id: int) -> Any:
    """Who would have set out in the last thirty days, why others would not, and how far they would have come."""
    DRY_RUNS.step(here.viewer().user_id, here.now())
    with here.reading() as db:
        journey = _known(db, journey_id)
        definition = journey.draft or desk.live_definition(db, journey) or journey.draft
        faults = _faults(db, definition)
        found = None if faults else dry_run.dry_run(here.start_work(db), definition, journey_id)
        return render_template(
            "journeys/dry_run.html",
            journey=journey,
            faults=faults,
            found=found,
            chart=_chart(found) if found is not None else None,
            steps=journey_words.steps(definition, journey_words.names_of(db, [definition])),
            why_not=WHY_NOT,
            way_words={**WAY_WORDS, dry_run.NO_WAY: N_("哪种方式都够不着")},
            trigger=definition["trigger"]["on"],
            days=dry_run.DAYS,
        )


def _chart(found: dry_run.DryRun) -> Any:
    """A column for each of the last thirty days."""
    today = here.today()
    span = [today - timedelta(days=back) for back in range(dry_run.DAYS - 1, -1, -1)]
    return stacked([day(one) for one in span], [[found.by_day.get(one, 0) for one in span]], [_("出发")])
