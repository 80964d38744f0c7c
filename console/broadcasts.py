"""Broadcasts (群发): written with a drawn phone, looked at before, approved by a second person, followed, stopped.

Whoever sees the whole shop sees them all. A manager sees those made by them and below them, and of others the part of
their own reps; what they make reaches their own reps' customers. What became of one: ``console.broadcast_results``.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import attachment_rows, broadcast_form, broadcast_preflight, forms, here
from console.broadcast_form import Form
from console.broadcast_results import result_page
from console.broadcast_seen import BEFORE, decides, known, names, own, public_id, rules, state_of
from console.broadcast_words import (
    ARM_WORDS,
    EVERY_WORDS,
    METRIC_WORDS,
    WEEKDAYS,
    recurs,
    told,
)
from console.doors import guarded
from console.layout import back_to, say
from console.words import _, listed
from outreach import broadcasts, contents, groups, results, trying
from outreach.broadcasts import CannotDo
from storage.tables import Broadcast, Segment
from storage.work import Work
from tagging.channels import Invalid
from wecom.attachments import MAX_ATTACHMENTS, MAX_TEXT_BYTES

pages = Blueprint("broadcasts", __name__, url_prefix="/broadcasts")

PAGE = 30
MOST_SEGMENTS = 500


# --- all of them -----------------------------------------------------------------------------------------------------


@pages.get("")
@guarded("see_broadcasts")
def index() -> str:
    """Every broadcast, whom it is for, when, and how far it has come."""
    with here.reading() as db:
        sight, before = here.sight(db), here.number(request.args.get("before"))
        found, following = broadcasts.listed(db, limit=PAGE, before=before, seen=broadcasts.seen_by(sight))
        return render_template(
            "broadcasts/index.html",
            found=found,
            following=following,
            segments=_segment_names(db, found),
            progress=results.progress(db, found, sight),
            states={one.id: state_of(one) for one in found},
            times={one.id: recurs(one.repeat) for one in found},
            names=names(db, found),
            wanted=[one for one in found if _wants_my_word(one)],
        )


def _segment_names(db: Session, found: Sequence[Broadcast]) -> dict[int, str]:
    own = select(Segment.id, Segment.name).where(Segment.id.in_({one.segment_id for one in found}))
    return dict(db.execute(own).all())


def _wants_my_word(broadcast: Broadcast) -> bool:
    mine = broadcast.made_by == here.viewer().userid
    return broadcast.state == broadcasts.ASKED and not mine and here.may("approve_broadcasts")


# --- writing ---------------------------------------------------------------------------------------------------------


@pages.get("/new")
@guarded("make_broadcasts")
def new() -> str:
    """An empty form, one filled like another broadcast (``?like=3``), or for a segment (``?segment=3``)."""
    with here.reading() as db:
        like = here.number(request.args.get("like"))
        form = broadcast_form.of_broadcast(own(db, like)) if like is not None else Form()
        if like is None:
            form = replace(form, segment=here.number(request.args.get("segment")))
        return _form(db, replace(form, version=0))


@pages.post("/new")
@guarded("make_broadcasts")
def create() -> Any:
    """Keep a broadcast (``do=save``), or press one of the form's small buttons; nothing is sent by either."""
    form, do = _sent()
    if do != "save" or form.errors:
        return _shown_again(form)
    try:
        with here.working() as work:
            broadcast = broadcasts.create(work, form.draft(), by=here.viewer().userid)
            here.note(work, "broadcast.create", public_id(broadcast), {"name": broadcast.name})
    except CannotDo as error:
        return _shown_again(form.with_faults(error))
    say(_("已存为草稿。看过谁会收到再提交"))
    return back_to("broadcasts.show", broadcast_id=broadcast.id)


@pages.get("/<int:broadcast_id>/edit")
@guarded("make_broadcasts")
def edit(broadcast_id: int) -> Any:
    """The form of a broadcast that has not been approved."""
    with here.reading() as db:
        broadcast = own(db, broadcast_id)
        if broadcast.state not in BEFORE:
            return back_to("broadcasts.show", broadcast_id=broadcast_id)
        return _form(db, broadcast_form.of_broadcast(broadcast), broadcast)


@pages.post("/<int:broadcast_id>/edit")
@guarded("make_broadcasts")
def change(broadcast_id: int) -> Any:
    """Rewrite it; a second person who was asked is to be asked again."""
    with here.reading() as db:
        own(db, broadcast_id)
    form, do = _sent()
    if do != "save" or form.errors:
        return _shown_again(form, broadcast_id)
    try:
        with here.working() as work:
            broadcast = own(work.db, broadcast_id, lock=True)
            forms.same_version(form.version, broadcast.version)
            broadcasts.change(work, broadcast, form.draft(), by=here.viewer().userid)
            here.note(work, "broadcast.change", public_id(broadcast), {"name": broadcast.name})
    except CannotDo as error:
        return _shown_again(form.with_faults(error), broadcast_id)
    except Invalid as error:
        return _shown_again(replace(form, errors=forms.told(error.problems)), broadcast_id)
    say(_("已保存"))
    return back_to("broadcasts.show", broadcast_id=broadcast_id)


def _sent() -> tuple[Form, str]:
    """The form as sent, its files kept and its small button pressed; ``do`` is ``save`` or ``show``."""
    form, do = broadcast_form.read(request.form), request.form.get("do", "save")
    if any(file.filename for file in request.files.values()):
        with here.working() as work:
            form = broadcast_form.keep_files(work, form, request.form, request.files)
            here.note(work, "picture.keep", details={"pictures": sorted(contents.media_of([vars(form)]))})
    return broadcast_form.changed(form, do), "save" if do == "save" else "show"


def _shown_again(form: Form, broadcast_id: int | None = None) -> Any:
    with here.reading() as db:
        broadcast = own(db, broadcast_id) if broadcast_id is not None else None
        return _form(db, form, broadcast), 422 if form.errors else 200


def _form(db: Session, form: Form, broadcast: Broadcast | None = None) -> str:
    own = select(Segment).where(Segment.deleted_at.is_(None)).order_by(Segment.name).limit(MOST_SEGMENTS)
    return render_template(
        "broadcasts/form.html",
        form=form,
        errors=form.errors,
        broadcast=broadcast,
        segments=[(one.id, one.name) for one in db.scalars(own)],
        groups=groups.choices(db, here.sight(db)),
        media=attachment_rows.media_of(db, form.attachments),
        kinds=contents.KINDS,
        library=attachment_rows.offered(db, contents.KINDS),
        full=len(form.attachments) >= MAX_ATTACHMENTS,
        quiet=rules().quiet,
        most_bytes=MAX_TEXT_BYTES,
        previews=broadcast_form.previews(form, here.my_name()),
        metrics=[(one, _(words)) for one, words in METRIC_WORDS.items()],
        every=[(one, _(words)) for one, words in EVERY_WORDS.items()],
        weekdays=WEEKDAYS,
        arms=ARM_WORDS,
        second_above=rules().second_above,
        sees_all=here.sight(db).everybody,
    )


@pages.post("/preview")
@guarded("make_broadcasts")
def preview() -> str:
    """The drawn phone alone, for the live preview."""
    form = broadcast_form.read(request.form)
    with here.reading() as db:
        media = attachment_rows.media_of(db, form.attachments)
    drawn = broadcast_form.previews(form, here.my_name())
    return render_template("broadcasts/preview.html", previews=drawn, media=media, arms=ARM_WORDS)


# --- one broadcast ---------------------------------------------------------------------------------------------------


@pages.get("/<int:broadcast_id>")
@guarded("see_broadcasts")
def show(broadcast_id: int) -> str:
    """Who would get it, before it is approved; what became of it, afterwards."""
    with here.reading() as db:
        broadcast = known(db, broadcast_id)
        return _before(db, broadcast) if broadcast.state in BEFORE else result_page(db, broadcast)


def _before(db: Session, broadcast: Broadcast) -> str:
    """A broadcast that has not been approved: what it says, who would get it, and what is to be decided."""
    form = broadcast_form.of_broadcast(broadcast)
    looked, error = None, ""
    try:
        looked = broadcast_preflight.shown(db, broadcast)
    except CannotDo as found:
        error = listed((told(words) for _place, words in found.problems), "；")
    return render_template(
        "broadcasts/before.html",
        broadcast=broadcast,
        state_words=state_of(broadcast),
        looked=looked,
        counted=looked.counted if looked is not None else None,
        error=error,
        previews=broadcast_form.previews(form, here.my_name()),
        media=attachment_rows.media_of(db, form.attachments),
        arms=ARM_WORDS,
        segments=_segment_names(db, [broadcast]),
        names=names(db, [broadcast]),
        note=told(broadcast.note),
        recurs=recurs(broadcast.repeat),
        second_above=rules().second_above,
        decides=decides(db, broadcast),
        my_word=_wants_my_word(broadcast),
    )


# --- deciding --------------------------------------------------------------------------------------------------------


def _decided(broadcast_id: int, action: str, decide: Callable[[Work, Broadcast], str]) -> Any:
    """Carry out a decision and show the page again; what was decided is said, or why it cannot be."""
    with here.reading() as db:
        own(db, broadcast_id)
    try:
        with here.working() as work:
            broadcast = own(work.db, broadcast_id, lock=True)
            words = decide(work, broadcast)
            here.note(work, action, public_id(broadcast), {"name": broadcast.name, "count": broadcast.size})
    except CannotDo as error:
        say(listed((told(words) for _place, words in error.problems), "；"), "bad")
        return back_to("broadcasts.show", broadcast_id=broadcast_id)
    here.bell().ring()
    say(words)
    return back_to("broadcasts.show", broadcast_id=broadcast_id)


def _will(work: Work, broadcast: Broadcast) -> int:
    return broadcasts.preflight(work.db, broadcast, rules(), work.now, work.zone).will


@pages.post("/<int:broadcast_id>/submit")
@guarded("make_broadcasts")
def submit(broadcast_id: int) -> Any:
    """Let it go, or ask a second person."""

    def decide(work: Work, broadcast: Broadcast) -> str:
        by, above = here.viewer().userid, rules().second_above
        state = broadcasts.submit(work, broadcast, _will(work, broadcast), by=by, above=above)
        asked = _("已提交。超过 %(n)s 人，要另一位同事批准才会开始", n=above)
        return asked if state == broadcasts.ASKED else _("已提交，成员会在企业微信里收到待确认的任务")

    return _decided(broadcast_id, "broadcast.submit", decide)


@pages.post("/<int:broadcast_id>/approve")
@guarded("approve_broadcasts")
def approve(broadcast_id: int) -> Any:
    """A second person's word."""

    def decide(work: Work, broadcast: Broadcast) -> str:
        broadcasts.approve(work, broadcast, _will(work, broadcast), by=here.viewer().userid)
        return _("已批准")

    return _decided(broadcast_id, "broadcast.approve", decide)


@pages.post("/<int:broadcast_id>/return")
@guarded("approve_broadcasts")
def send_back(broadcast_id: int) -> Any:
    """A second person's no: back to the maker, with the reason."""
    why = request.form.get("words", "")

    def decide(work: Work, broadcast: Broadcast) -> str:
        broadcasts.return_to_maker(work, broadcast, why, by=here.viewer().userid)
        return _("已退回给制作人")

    return _decided(broadcast_id, "broadcast.return", decide)


@pages.post("/<int:broadcast_id>/discard")
@guarded("make_broadcasts")
def discard(broadcast_id: int) -> Any:
    """Give a draft up."""

    def decide(work: Work, broadcast: Broadcast) -> str:
        broadcasts.discard(work, broadcast, by=here.viewer().userid)
        return _("已放弃，谁也不会收到")

    return _decided(broadcast_id, "broadcast.discard", decide)


@pages.post("/<int:broadcast_id>/stop")
@guarded("make_broadcasts")
def stop(broadcast_id: int) -> Any:
    """Let nobody get it who has not; says how many have."""

    def decide(work: Work, broadcast: Broadcast) -> str:
        broadcasts.stop(work, broadcast, by=here.viewer().userid)
        sent = results.standing(work.db, broadcast).states.get(results.SENT, 0)
        return _("已停止。已经发出的 %(n)s 份收不回来，其余的不会再发", n=sent)

    return _decided(broadcast_id, "broadcast.stop", decide)


@pages.post("/<int:broadcast_id>/try")
@guarded("make_broadcasts")
def try_out(broadcast_id: int) -> Any:
    """Send the content to whoever asks, as messages of our app."""

    def decide(work: Work, broadcast: Broadcast) -> str:
        trying.try_out(work, broadcast, here.viewer().userid)
        return _("已发到你的企业微信，由应用发给你：群发任务本身不能试发")

    return _decided(broadcast_id, "broadcast.try", decide)
