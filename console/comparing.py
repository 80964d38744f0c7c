"""Comparing with WeCom (核对): what the last comparisons found and mended, with examples, and one on demand.

Asked for here and carried out by a worker; ``scheduler.reconcile`` does it every night as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from console import here, known
from console.doors import guarded
from console.known import Named
from console.layout import back_to, say
from console.person import RELATION_STATES
from console.shown import moment
from console.words import N_, _, listed
from people import alarms
from scheduler import reconcile, reconcile_groups, reconcile_house, reconcile_relations
from scheduler.reconcile_report import (
    CHANNELS,
    DEPARTMENTS,
    GROUPS,
    MEMBERS,
    MOST_EXAMPLES,
    NAMES,
    PROFILES,
    RELATIONS,
    TAGS,
    Report,
)
from storage.tables import SyncRun

pages = Blueprint("comparing", __name__, url_prefix="/operations/comparing")

RUNS = 20
UNDER_WAY = (reconcile.ASKED, reconcile.RUNNING)
NARROWED = frozenset({reconcile_relations.NARROWED, reconcile_groups.NARROWED})
NOT_BELIEVED = NARROWED | {reconcile_house.TAGS_MISSING}
"""Alarms of a comparison that did not believe what it saw; the former mean that we see less than before."""
MISSING = "missing"
STATE_WORDS: Mapping[str, tuple[str, str]] = {
    reconcile.ASKED: (N_("马上开始"), "info"),
    reconcile.RUNNING: (N_("正在核对"), "info"),
    reconcile.STOPPED: (N_("已停下"), "warn"),
    reconcile.DONE: (N_("已完成"), "good"),
    reconcile.FAILED: (N_("没有完成"), "bad"),
}
SUBJECT_WORDS: Mapping[str, str] = {
    MEMBERS: N_("成员"),
    DEPARTMENTS: N_("部门"),
    TAGS: N_("企业标签"),
    CHANNELS: N_("渠道活码"),
    RELATIONS: N_("客户"),
    PROFILES: N_("客户资料"),
    GROUPS: N_("客户群"),
}
KIND_WORDS: Mapping[str, str] = {
    "arrived": N_("没收到的添加"),
    "out_of_sight": N_("以前看不到的客户"),
    "confirmed": N_("已通过好友"),
    "returned": N_("又加了回来"),
    "still_there": N_("以为走了，其实还在"),
    "gone": N_("企业微信里没有了"),
    "handed_over": N_("已转交给同事"),
    MISSING: N_("一下少了太多，没有照做"),
    "new": N_("新的"),
    "changed": N_("有改动"),
    "left": N_("离开了"),
    "back": N_("又回来了"),
    "joined": N_("进了群"),
    "dismissed": N_("解散了"),
    "serves": N_("客户联系功能"),
    "users": N_("接待成员"),
    "name": N_("名称"),
    "avatar": N_("头像"),
    "gender": N_("性别"),
    "kind": N_("客户类型"),
    "corp_name": N_("所在企业"),
    "unionid": "unionid",
    "remark": N_("备注名"),
    "description": N_("描述"),
    "phones": N_("备注电话"),
    "add_way": N_("添加方式"),
    "state": N_("来自哪个渠道"),
    "tags": N_("企业标签"),
    "personal_tags": N_("个人标签"),
    "departments": N_("部门"),
    "leads": N_("主管哪些部门"),
    "superiors": N_("直属上级"),
    "position": N_("职务"),
    "status": N_("状态"),
}
VALUE_WORDS = {"True": N_("有"), "False": N_("没有"), "dismissed": N_("已解散")}


@pages.get("")
@guarded("see_operations")
def index() -> str:
    """The last comparisons, the newest one whole."""
    with here.reading() as db:
        runs = reconcile.latest(db, RUNS)
        return _page(db, runs[0] if runs else None, runs)


@pages.get("/<int:run_id>")
@guarded("see_operations")
def show(run_id: int) -> str:
    """One comparison, whole."""
    with here.reading() as db:
        run = db.get(SyncRun, run_id) or here.not_here()
        return _page(db, run, reconcile.latest(db, RUNS))


@pages.post("")
@guarded("compare")
def ask() -> Any:
    """Have everything compared; a dry run looks and changes nothing."""
    dry = request.form.get("dry") == "1"
    with here.working() as work:
        run = reconcile.ask(work.db, work.now, by=here.viewer().userid, dry=dry)
        begun = run.started_at == work.now
        if begun:
            here.note(work, "sync.ask", str(run.id), {"dry": dry})
    here.bell().ring()
    say(_("马上开始核对，进度就在下面") if begun else _("已经在核对了"), "good" if begun else "warn")
    return back_to("comparing.show", run_id=run.id)


# --- one run ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """One example as it is shown."""

    words: str
    who: list[Named]
    was: str
    now: str


def _page(db: Session, run: SyncRun | None, runs: list[SyncRun]) -> str:
    report = Report.read(run.report) if run is not None else Report()
    return render_template(
        "comparing/show.html",
        run=run,
        runs=[(one, Report.read(one.report)) for one in runs],
        report=report,
        subjects=[name for name in NAMES if name in report.subjects],
        differences=_differences(db, report),
        not_believed={name for name, one in report.subjects.items() if any(map(_is_missing, one.examples))},
        steps=len(reconcile.STEPS),
        step=_step(run),
        lasted=_lasted(run),
        standing=[one for one in alarms.standing(db) if one.kind in NOT_BELIEVED],
        narrowed=NARROWED,
        asked={one.dry for one in runs if one.state in UNDER_WAY},
        under_way=UNDER_WAY,
        states=STATE_WORDS,
        subject_words=SUBJECT_WORDS,
        most=MOST_EXAMPLES,
        names=_names(db, {one.by for one in runs}),
    )


def _names(db: Session, userids: set[str]) -> dict[str, str]:
    found = known.reps(db, userids)
    return {one: found[one.lower()] for one in userids if one.lower() in found}


def _step(run: SyncRun | None) -> tuple[int, str]:
    """The number of the step a run is at, from 1, and what it compares."""
    names = list(reconcile.STEPS)
    reached = str(run.at.get("step")) if run is not None else ""
    at = reached if reached in names else names[0]
    return names.index(at) + 1, SUBJECT_WORDS[reconcile.STEPS[at][0]]


def _lasted(run: SyncRun | None) -> float:
    return 0.0 if run is None else ((run.ended_at or here.now()) - run.started_at).total_seconds()


def _is_missing(example: Mapping[str, str]) -> bool:
    return example["kind"] == MISSING


def _differences(db: Session, report: Report) -> dict[str, list[Difference]]:
    """The examples of each subject, with the people in them by name."""
    parts = {part for one in report.subjects.values() for each in one.examples for part in each["who"].split(" · ")}
    names: dict[str, Named] = {userid: Named(name) for userid, name in known.reps(db, parts).items()}
    names |= known.customers(db, here.sight(db), parts)
    return {
        subject: [_difference(subject, each, names) for each in one.examples]
        for subject, one in report.subjects.items()
    }


def _difference(subject: str, example: Mapping[str, str], names: Mapping[str, Named]) -> Difference:
    kinds = example["kind"].split(", ")
    if subject not in (RELATIONS, PROFILES, MEMBERS):  # a name, which may hold anything
        who = [Named(example["who"])] if example["who"] else []
    else:
        who = [names.get(part) or names.get(part.lower()) or Named(part) for part in example["who"].split(" · ")]
    words = listed(_(KIND_WORDS[one]) if one in KIND_WORDS else one for one in kinds)
    return Difference(words, who, _value(example["was"]), _value(example["is"]))


def _value(text: str) -> str:
    """A state, a moment or a text, as people say it."""
    if text in RELATION_STATES:
        return _(RELATION_STATES[text][0])
    if text in VALUE_WORDS:
        return _(VALUE_WORDS[text])
    try:
        return moment(datetime.fromisoformat(text)) if len(text) > len("2026-11-22T") else text
    except ValueError:
        return text
