"""Corp tags (标签): by group, how many people have each, how they stand at WeCom; renamed and deleted."""

from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from console import here
from console.doors import guarded
from console.lately import Lately
from console.layout import back_to, say
from console.words import _, said
from storage.tables import PersonTag, Tag, TagRule
from tagging import marks, rules, tags

pages = Blueprint("tag_list", __name__, url_prefix="/tags")


def _pushed(db: Session, _now: datetime) -> dict[int, dict[str, int]]:
    return tags.pushed(db, list(db.scalars(select(Tag.id).where(Tag.deleted_at.is_(None)))))


PUSHED = Lately(_pushed)


@pages.get("")
@guarded("see_tags")
def index() -> str:
    """Every living tag by its group, in WeCom's order."""
    return _list()


def _list(error: str = "", wrong: int = 0) -> str:
    with here.reading() as db:
        groups = tags.known_groups(db)
        ids = [one.id for some in groups.values() for one in some]
        counted = select(PersonTag.tag_id, func.count()).group_by(PersonTag.tag_id)
        active = list(db.scalars(select(TagRule).where(TagRule.state == "active")))
        return render_template(
            "tags/index.html",
            groups=groups,
            people=dict(db.execute(counted).all()),
            fixed={one.id for some in groups.values() for one in some if not tags.may_change(one)},
            leaving=marks.leaving(db),
            pushed=PUSHED.of(db, here.now()),
            by_rules={one: [rule for rule in active if one in rule.tags] for one in ids},
            total=len(ids),
            most=tags.MAX_TAGS,
            error=error,
            wrong=wrong,
            rule_count=len(active),
            deaf=sum(rules.sources_off(db, one) for one in active),
        )


@pages.post("/new")
@guarded("edit_rules")
def create() -> Any:
    """Make a tag; WeCom hears of it when somebody gets it."""
    try:
        with here.working() as work:
            tag = tags.tag_named(work, request.form.get("group", ""), request.form.get("name", ""))
            here.note(work, "tag.create", tags.public_id(tag.id), {"name": f"{tag.group_name}/{tag.name}"})
    except ValueError as error:
        return _list(said(str(error))), 422
    say(_("标签已建好；第一次用到时会在企业微信建立"))
    return back_to("tag_list.index")


@pages.post("/<int:tag_id>/rename")
@guarded("edit_rules")
def rename(tag_id: int) -> Any:
    """Call a tag something else, here and at WeCom."""
    try:
        with here.working() as work:
            tag = _tag(work.db, tag_id)
            before = tag.name
            tags.rename(work, tag, request.form.get("name", ""))
            here.note(work, "tag.rename", tags.public_id(tag.id), {"from": before, "to": tag.name})
    except ValueError as error:
        return _list(said(str(error)), tag_id), 422
    say(_("已改名；企业微信里也会改"))
    return back_to("tag_list.index")


@pages.post("/<int:tag_id>/delete")
@guarded("edit_rules")
def delete(tag_id: int) -> Any:
    """Delete a tag, off everybody, at WeCom and here."""
    try:
        with here.working() as work:
            tag = _tag(work.db, tag_id)
            name = f"{tag.group_name}/{tag.name}"
            count = tags.remove(work, tag)
            here.note(work, "tag.delete", tags.public_id(tag.id), {"name": name, "count": count})
    except ValueError as error:
        return _list(said(str(error)), tag_id), 422
    if tag.deleted_at is not None:
        say(_("标签“%(name)s”已删除，%(n)s 人不再有它", name=name, n=count))
    else:
        say(_("正在企业微信里删除标签“%(name)s”；删好后 %(n)s 人不再有它", name=name, n=count))
    return back_to("tag_list.index")


def _tag(db: Session, tag_id: int) -> Tag:
    own = select(Tag).where(Tag.id == tag_id, Tag.deleted_at.is_(None)).with_for_update()
    return db.scalars(own).one_or_none() or here.not_here()
