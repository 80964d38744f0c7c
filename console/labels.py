"""Labels of customers by their points: each rule in words, its numbers, how many fit now, whether its tag is given."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import here
from console.doors import guarded
from console.layout import back_to, say
from console.segment_words import sentence
from console.words import N_, _, listed
from insight import labels, segments
from insight.fields import Question
from insight.labels import LABELS, Label, Numbers, Settings, Wrong
from storage.tables import Tag

pages = Blueprint("labels", __name__, url_prefix="/points/labels")

NAME_WORDS: Mapping[str, str] = {
    "wealthy": N_("高净值积分持有者"),
    "expiring": N_("积分即将过期"),
    "experience": N_("偏好兑换体验类权益"),
    "near": N_("接近兑换门槛"),
}
NUMBER_WORDS: Mapping[str, Mapping[str, str]] = {
    "wealthy": {"points": N_("可用积分至少")},
    "expiring": {"points": N_("快过期的积分至少"), "days": N_("几天内过期")},
    "experience": {"times": N_("换体验类奖品至少几次"), "days": N_("最近几天里")},
    "near": {"points": N_("门槛是多少积分")},
}


@pages.get("")
@guarded("see_points_programme")
def show() -> str:
    """Every label with its rule and how many fit it now."""
    with here.reading() as db:
        return _page(db, labels.settings(db))


def _page(db: Session, own: Settings, errors: Mapping[str, str] | None = None) -> str:
    asked = segments.question(db, here.now(), here.zone())
    tags = select(Tag.name, Tag.id).where(Tag.group_name == labels.GROUP, Tag.deleted_at.is_(None))
    return render_template(
        "labels/show.html",
        labels=LABELS,
        own=own,
        names=NAME_WORDS,
        words=NUMBER_WORDS,
        rules={} if errors else {one.key: _rule(one, own.numbers[one.key]) for one in LABELS},
        sizes={} if errors else {one.key: _size(db, one, own, asked) for one in LABELS},
        tags=dict(db.execute(tags).all()),
        group=labels.GROUP,
        errors=errors or {},
    )


def _rule(label: Label, numbers: Numbers) -> str:
    tree = label.tree(numbers)
    return listed((sentence(one, {}) for one in tree.get("all", [tree])), "，")


def _size(db: Session, label: Label, own: Settings, asked: Question) -> int:
    return segments.count(db, here.sight(db).people(), segments.condition(label.tree(own.numbers[label.key]), asked))


@pages.post("")
@guarded("edit_points_programme")
def change() -> Any:
    """Set the numbers, and which of them are given as tags."""
    form = request.form
    numbers = {one.key: {name: here.number(form.get(f"{one.key}-{name}")) or 0 for name in one.first} for one in LABELS}
    wanted = Settings(frozenset(one.key for one in LABELS if form.get(f"{one.key}-on") == "1"), numbers)
    try:
        with here.working() as work:
            labels.change(work, wanted, by=here.viewer().userid)
            here.note(work, "points_labels.change", "points_labels", {"on": sorted(wanted.on)})
    except Wrong as error:
        told = _("请填 %(least)s–%(most)s 的整数", least=f"{error.least:,}", most=f"{error.most:,}")
        with here.reading() as db:
            return _page(db, wanted, {f"{error.label}-{error.name}": told}), 422
    say(_("已保存。标签每天清晨 5:10 更新一次"))
    return back_to("labels.show")
