"""The library (素材): texts, pictures, links, mini programs, videos and files; where each is used, who opened which."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from console import attachment_rows, forms, here, material_form
from console.doors import guarded
from console.layout import back_to, say
from console.material_form import Form
from console.words import N_, _
from outreach import materials, opens
from outreach.materials import InUse, Use
from storage.tables import Material, Member, Tag
from tagging.channels import Invalid
from wecom.attachments import MAX_TEXT_BYTES

pages = Blueprint("materials", __name__, url_prefix="/materials")

PAGE = 50
KIND_WORDS: Mapping[str, str] = {
    "text": N_("文字"),
    "image": N_("图片"),
    "link": N_("链接"),
    "miniprogram": N_("小程序"),
    "video": N_("视频"),
    "file": N_("文件"),
}
KIND_ICONS: Mapping[str, str] = {
    "text": "chat-square-text",
    "image": "image",
    "link": "link-45deg",
    "miniprogram": "app-indicator",
    "video": "play-btn",
    "file": "file-earmark",
}
USE_WORDS: Mapping[str, str] = {
    "channel": N_("渠道活码的欢迎语"),
    "answer": N_("自动回复"),
    "broadcast": N_("群发"),
    "journey": N_("旅程"),
}
USE_PAGES: Mapping[str, tuple[str, str]] = {
    "channel": ("channels.show", "code"),
    "answer": ("answers.edit", "answer_id"),
    "broadcast": ("broadcasts.show", "broadcast_id"),
    "journey": ("journeys.show", "journey_id"),
}
"""Where each kind of use has its page, and the name of its id there."""


@pages.get("")
@guarded("see_materials")
def index() -> str:
    """The library, by folder and kind, with what became of each link."""
    kind, q = request.args.get("kind", ""), request.args.get("q", "").strip()[:60]
    folder = request.args.get("folder")
    before = here.number(request.args.get("before"))
    with here.reading() as db:
        found, following = materials.listed(db, limit=PAGE, kind=kind, folder=folder, q=q, before=before)
        return render_template(
            "materials/index.html",
            materials=found,
            following=following,
            numbers=materials.numbers(db, [one.id for one in found if one.kind == materials.LINK]),
            folders=materials.folders(db),
            filters={name: value for name, value in (("kind", kind), ("folder", folder), ("q", q)) if value},
            wanted={"kind": kind, "folder": folder, "q": q},
            kinds=KIND_WORDS,
            icons=KIND_ICONS,
        )


# --- making and changing ---------------------------------------------------------------------------------------------


@pages.get("/new")
@guarded("edit_materials")
def new() -> str:
    """An empty form for one of a kind."""
    with here.reading() as db:
        return _form(db, material_form.empty(request.args.get("kind", materials.TEXT), request.args.get("folder", "")))


@pages.post("/new")
@guarded("edit_materials")
def create() -> Any:
    """Keep it (``do`` is ``save``), or do what a small button of the form says."""
    form = _with_files()
    if request.form.get("do", "save") != "save" or form.errors:
        return _again(form)
    try:
        with here.working() as work:
            material = materials.create(work, form.draft(), by=here.viewer().userid)
            here.note(work, "material.create", materials.public_id(material.id), {"name": material.name})
    except Invalid as error:
        return _wrong(form, error)
    say(_("素材已保存"))
    return back_to("materials.show", material_id=material.id)


@pages.get("/<int:material_id>/edit")
@guarded("edit_materials")
def edit(material_id: int) -> str:
    """The form of a material as it is."""
    with here.reading() as db:
        material = _material(db, material_id)
        return _form(db, material_form.of_material(db, material), material)


@pages.post("/<int:material_id>/edit")
@guarded("edit_materials")
def change(material_id: int) -> Any:
    """Change it; the welcomes of channel codes that use it follow."""
    form = _with_files()
    if request.form.get("do", "save") != "save" or form.errors:
        return _again(form, material_id)
    try:
        with here.working() as work:
            material = _material(work.db, material_id, lock=True)
            forms.same_version(form.version, material.version)
            if materials.change(work, material, form.draft(), by=here.viewer().userid):
                here.note(work, "material.change", materials.public_id(material_id), {"name": material.name})
    except Invalid as error:
        return _wrong(form, error, material_id)
    say(_("素材已保存"))
    return back_to("materials.show", material_id=material_id)


def _with_files() -> Form:
    form = material_form.read(request.form)
    with here.working("console: materials.keep") as work:
        return material_form.keep_files(work, form, request.form, request.files)


def _again(form: Form, material_id: int | None = None) -> Any:
    """The form after a small button; nothing but the files is kept."""
    with here.reading() as db:
        material = _material(db, material_id) if material_id is not None else None
        page = _form(db, material_form.changed(form, request.form.get("do", "")), material)
    return (page, 422) if form.errors else page


def _wrong(form: Form, error: Invalid, material_id: int | None = None) -> Any:
    with here.reading() as db:
        material = _material(db, material_id) if material_id is not None else None
        return _form(db, replace(form, errors=forms.told(error.problems)), material), 422


def _form(db: Session, form: Form, material: Material | None = None) -> str:
    known = select(Tag).where(Tag.deleted_at.is_(None)).order_by(Tag.group_name, Tag.name)
    return render_template(
        "materials/form.html",
        form=form,
        material=material,
        errors=form.errors,
        preview=material_form.preview(form),
        pictures=attachment_rows.media_of(db, form.rows),
        folders=[name for name, _count in materials.folders(db) if name],
        tags=[forms.tag_value(one.group_name, one.name) for one in db.scalars(known)],
        tag_of=forms.tag_of,
        kinds=KIND_WORDS,
        icons=KIND_ICONS,
        most_bytes=MAX_TEXT_BYTES,
        most=materials.MAX_VARIANTS,
    )


@pages.post("/preview")
@guarded("edit_materials")
def preview() -> str:
    """The drawn phone alone, for the live preview."""
    form = material_form.read(request.form)
    form = replace(form, shown=here.number(request.form.get("shown")) or 0)
    with here.reading() as db:
        pictures = attachment_rows.media_of(db, form.rows)
        return render_template("materials/preview.html", preview=material_form.preview(form), pictures=pictures)


# --- one material ----------------------------------------------------------------------------------------------------


@pages.get("/<int:material_id>")
@guarded("see_materials")
def show(material_id: int) -> str:
    """How customers see each wording, where it is used, and who opened it in numbers."""
    with here.reading() as db:
        material = _material(db, material_id)
        tags = db.scalars(select(Tag).where(Tag.id.in_(material.open_tags)).order_by(Tag.id))
        reps = select(Member.userid, Member.name)
        return render_template(
            "materials/show.html",
            material=material,
            previews=material_form.preview_of(material),
            pictures=attachment_rows.media_of(db, material.contents),
            uses=[(_(USE_WORDS[one.what]), one.name, _page_of(one)) for one in materials.uses(db, material)],
            numbers=materials.numbers(db, [material.id]).get(material.id, materials.Numbers()),
            tags=list(tags),
            tagged=opens.tagged_by(db, material),
            taken_back=opens.taken_back(db, material),
            kinds=KIND_WORDS,
            reps={userid: name or userid for userid, name in db.execute(reps)},
        )


def _page_of(use: Use) -> str:
    """The address of where it is used; nothing where that page does not exist here."""
    endpoint, name = USE_PAGES[use.what]
    values: dict[str, Any] = {name: use.id}
    return url_for(endpoint, **values) if endpoint in here.pages() else ""


def _material(db: Session, material_id: int, *, lock: bool = False) -> Material:
    return materials.living(db, material_id, lock=lock) or here.not_here(materials.public_id(material_id))


@pages.post("/<int:material_id>/delete")
@guarded("edit_materials")
def delete(material_id: int) -> Any:
    """Take it out of the library, unless it is used anywhere."""
    try:
        with here.working() as work:
            material = _material(work.db, material_id, lock=True)
            materials.delete(work, material, by=here.viewer().userid)
            here.note(work, "material.delete", materials.public_id(material_id), {"name": material.name})
    except InUse:
        say(_("它还在用着：先从下面列出的地方去掉，再删除"), "bad")
        return back_to("materials.show", material_id=material_id)
    say(_("素材“%(name)s”已删除；已经发出的链接还能打开", name=material.name))
    return back_to("materials.index")


@pages.post("/<int:material_id>/take-back")
@guarded("edit_materials")
def take_back(material_id: int) -> Any:
    """Have every tag that this link gave taken back, which a job does; tags that something else gave too stay."""
    with here.working() as work:
        material = _material(work.db, material_id)
        opens.ask_to_take_back(work, material)
        here.note(work, "material.take_back", materials.public_id(material_id), {"name": material.name})
    here.bell().ring()
    say(_("正在收回它打的标签；别处也给过的会留着"))
    return back_to("materials.show", material_id=material_id)
