"""The library: what is sent again and again; of its links, who opened them in numbers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session

from api import here, paging
from api.channels import ChannelTagShape
from api.operations import Call, Reply
from api.problems import CONFLICT, Problem, not_found
from api.shapes import Asked, Line, Paged, Prose, Shape, TagName, example, optional
from outreach import materials
from outreach.materials import Draft, InUse, Numbers
from storage.database import reading
from storage.tables import Material

Kind = Literal["text", "image", "link", "miniprogram", "video", "file"]
MaterialId = Annotated[str, StringConstraints(pattern=r"^m_[0-9]{1,15}$")]
Name = Annotated[Line, Field(min_length=1, max_length=materials.MAX_NAME, examples=["秋季菜单"])]
Folder = Annotated[Line, Field(max_length=materials.MAX_NAME)]


class WordingAsked(Asked):
    """One wording. Which fields it needs, the kind says; lengths are WeCom's, in bytes of UTF-8."""

    name: Annotated[Line, Field(max_length=materials.MAX_VARIANT_NAME)] = optional("Left out: a, b, c …")
    text: Annotated[Prose, Field(max_length=4000)] = optional(
        "text: at most 4,000 bytes; `{link:5}` is link 5's address."
    )
    title: Annotated[Line, Field(max_length=128)] = optional("link (128 bytes), miniprogram (64 bytes)")
    url: Annotated[Line, Field(max_length=2048)] = optional("link")
    desc: Annotated[Prose, Field(max_length=512)] = optional("link")
    picurl: Annotated[Line, Field(max_length=2048)] = optional("link")
    appid: Annotated[Line, Field(max_length=64)] = optional("miniprogram")
    page: Annotated[Line, Field(max_length=1024)] = optional("miniprogram")
    media: Annotated[int, Field(ge=1, le=2**31 - 1)] = optional(
        "image, video, file, and the cover of a miniprogram: its number, once it was uploaded in the console."
    )


Contents = Annotated[tuple[WordingAsked, ...], Field(min_length=1, max_length=materials.MAX_VARIANTS)]
OpenTags = Annotated[
    tuple[TagName, ...], Field(max_length=materials.MAX_TAGS, description="For whoever opens the link.")
]


class MaterialAsked(Asked):
    """A new material."""

    model_config = example(
        {
            "name": "秋季菜单",
            "kind": "link",
            "folder": "饮品",
            "contents": [{"title": "秋季新品", "url": "https://shop.example.com/menu"}],
            "open_tags": [{"group": "兴趣", "name": "菜单"}],
            "tell_rep": True,
        }
    )
    name: Name
    kind: Kind
    contents: Contents
    folder: Folder = ""
    open_tags: OpenTags = ()
    tell_rep: bool = Field(default=False, description="Whether the rep's list shows that her customer opened it.")


class MaterialChange(Asked):
    """What is to be different; what is left out stays. The welcomes of channel codes that use it follow."""

    model_config = example({"contents": [{"title": "冬季新品", "url": "https://shop.example.com/winter"}]})
    name: Name = optional()
    contents: Contents = optional()
    folder: Folder = optional()
    open_tags: OpenTags = optional()
    tell_rep: bool = optional()


class WordingShape(Shape):
    """One wording, with the fields of its kind."""

    name: str
    text: str | None = None
    title: str | None = None
    url: str | None = None
    desc: str | None = None
    picurl: str | None = None
    appid: str | None = None
    page: str | None = None
    media: int | None = None


class OpensShape(Shape):
    """What became of a link."""

    sent: int = Field(description="Addresses for one person each: in welcomes, answers and cards.")
    opened: int = Field(description="By how many of those people it was opened.")
    opens: int = Field(description="How often. Link previews, and repeats within a minute, are none.")
    tasks: int = Field(description="Mass tasks that carried it, each with one address for all its receivers.")
    task_opens: int


class MaterialShape(Shape):
    """A material."""

    id: str = Field(examples=["m_5"])
    name: str
    kind: Kind
    folder: str
    contents: list[WordingShape]
    open_tags: list[ChannelTagShape]
    tell_rep: bool
    opens: OpensShape | None = Field(description="Of links only.")
    version: int
    changed_by: str
    changed_at: datetime


class MaterialPage(Shape):
    """Materials, the newest first."""

    items: list[MaterialShape]
    next_cursor: str | None


class MaterialsQuery(Paged):
    """Which of the library."""

    kind: Kind | None = None
    folder: Folder | None = None
    q: Annotated[Line, Field(max_length=60, description="Stands in the name or in a wording.")] = ""


def list_materials(call: Call, query: MaterialsQuery) -> Reply:
    """One page of the library."""
    before = paging.decode(query.cursor)
    with reading(here.engine()) as db:
        found, following = materials.listed(
            db,
            limit=query.limit,
            kind=query.kind or "",
            folder=query.folder,
            q=query.q,
            before=before[0] if before else None,
        )
        numbers = materials.numbers(db, [one.id for one in found])
        items = [shown(db, one, numbers.get(one.id)) for one in found]
    return Reply(200, MaterialPage(items=items, next_cursor=paging.encode(following) if following else None))


def get_material(call: Call, material_id: str) -> Reply:
    """One material, with how often its link was sent and opened."""
    with reading(here.engine()) as db:
        material = _living(db, material_id)
        return Reply(200, shown(db, material, materials.numbers(db, [material.id]).get(material.id)))


def make_material(call: Call, body: MaterialAsked) -> Reply:
    """Put something into the library."""
    draft = Draft(body.name, body.kind, body.folder, _wordings(body.contents), _tags(body.open_tags), body.tell_rep)
    with call.work() as work:
        material = materials.create(work, draft, by=call.actor)
        call.note(work, "material.create", materials.public_id(material.id), {"name": material.name})
        return call.keep(work, Reply(201, shown(work.db, material)))


def change_material(call: Call, material_id: str, body: MaterialChange) -> Reply:
    """Change what the body names. What was sent already leads where it led."""
    given = body.model_fields_set
    with call.work() as work:
        material = _living(work.db, material_id, lock=True)
        now = materials.draft_of(work.db, material)
        draft = Draft(
            name=body.name if "name" in given else now.name,
            kind=now.kind,
            folder=body.folder if "folder" in given else now.folder,
            contents=_wordings(body.contents) if "contents" in given else now.contents,
            open_tags=_tags(body.open_tags) if "open_tags" in given else now.open_tags,
            tell_rep=body.tell_rep if "tell_rep" in given else now.tell_rep,
        )
        if materials.change(work, material, draft, by=call.actor):
            call.note(work, "material.change", material_id, {"fields": sorted(given), "name": material.name})
        work.db.flush()
        return Reply(200, shown(work.db, material, materials.numbers(work.db, [material.id]).get(material.id)))


def delete_material(call: Call, material_id: str) -> Reply:
    """Take it out of the library, unless it is still used: 409 then says where."""
    try:
        with call.work() as work:
            material = _living(work.db, material_id, lock=True)
            materials.delete(work, material, by=call.actor)
            call.note(work, "material.delete", material_id, {"name": material.name})
    except InUse as error:
        raise Problem(CONFLICT, str(error)) from None
    return Reply(204)


def _wordings(asked: tuple[WordingAsked, ...]) -> tuple[dict[str, Any], ...]:
    return tuple(one.model_dump(exclude_unset=True) for one in asked)


def _tags(asked: tuple[TagName, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((one.group, one.name) for one in asked)


def _living(db: Session, material_id: str, *, lock: bool = False) -> Material:
    digits = material_id.removeprefix(materials.PREFIX)
    right = material_id != digits and digits.isascii() and digits.isdecimal() and len(digits) <= 15
    material = materials.living(db, int(digits), lock=lock) if right else None
    if material is None:
        raise not_found("material")
    return material


def shown(db: Session, material: Material, numbers: Numbers | None = None) -> MaterialShape:
    """A material as it is answered."""
    counted = numbers or Numbers()
    opens = OpensShape(
        sent=counted.sent,
        opened=counted.opened,
        opens=counted.opens,
        tasks=counted.tasks,
        task_opens=counted.task_opens,
    )
    draft = materials.draft_of(db, material)
    return MaterialShape(
        id=materials.public_id(material.id),
        name=material.name,
        kind=material.kind,  # type: ignore[arg-type]
        folder=material.folder,
        contents=[WordingShape(**one) for one in material.contents],
        open_tags=[ChannelTagShape(group=group, name=name) for group, name in draft.open_tags],
        tell_rep=material.tell_rep,
        opens=opens if material.kind == materials.LINK else None,
        version=material.version,
        changed_by=material.changed_by,
        changed_at=here.local(material.changed_at),
    )
