"""The library (素材库) of what is sent: texts, pictures, links, mini programs, videos, files; each in some wordings.

What is sent holds a copy of what stood in the library then, with the material's number beside it, so that nothing that
was sent or approved changes afterwards; only channel codes follow the library, since their welcome is said anew each
time. One that is still in use cannot be deleted; what was sent of a deleted one goes on leading where it led.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, cast, func, or_, select
from sqlalchemy.orm import Session

from outreach import contents
from storage.tables import Answer, Broadcast, Channel, Journey, JourneyVersion, Material, Tag, TrackedLink
from storage.work import Work
from tagging import channels, placeholders, tags
from tagging.channels import Invalid
from wecom.attachments import MAX_TEXT_BYTES

TEXT, LINK = "text", "link"
KINDS = (TEXT, "image", LINK, "miniprogram", "video", "file")
PREFIX = "m_"
MAX_NAME = 60
MAX_VARIANTS = 5
MAX_VARIANT_NAME = 20
MAX_TAGS = 20
MAX_MATERIALS = 2000
FIELDS: Mapping[str, Sequence[str]] = {
    TEXT: ("text",),
    "image": ("media",),
    LINK: ("title", "url", "desc", "picurl"),
    "miniprogram": ("title", "appid", "page", "media"),
    "video": ("media",),
    "file": ("media",),
}
"""What a wording of each kind consists of, beside its name."""
STILL_OPEN = ("draft", "asked", "approved", "running")
"""Broadcasts whose text may still go out."""


@dataclass(frozen=True)
class Draft:
    """What a person wants a material to be. ``open_tags`` are (group, name)."""

    name: str
    kind: str
    folder: str = ""
    contents: tuple[Mapping[str, Any], ...] = ()
    """``{"name": "a", "text": …}`` and so on; see ``FIELDS``. A name may be left out."""
    open_tags: tuple[tuple[str, str], ...] = ()
    tell_rep: bool = False


@dataclass(frozen=True)
class Use:
    """Somewhere a material is used: ``channel``, ``answer``, ``broadcast`` or ``journey``, its id and name."""

    what: str
    id: str
    name: str


@dataclass(frozen=True)
class Numbers:
    """What became of a link: to how many people it went, by how many of them it was opened; in mass messages apart."""

    sent: int = 0
    """Addresses for one person each."""
    opened: int = 0
    opens: int = 0
    tasks: int = 0
    """Mass tasks that carried it."""
    task_opens: int = 0


class InUse(ValueError):
    """It cannot be deleted: here is where it is used."""

    def __init__(self, uses: Sequence[Use]) -> None:
        super().__init__("还在用着，先从这些地方去掉再删除：" + "、".join(f"“{one.name}”" for one in uses))
        self.uses = uses


def public_id(material_id: int) -> str:
    """How a material is named outside: ``m_5``."""
    return f"{PREFIX}{material_id}"


# --- reading ---------------------------------------------------------------------------------------------------------


def living(db: Session, material_id: int, *, lock: bool = False) -> Material | None:
    """The material of this number, if it is not deleted."""
    own = select(Material).where(Material.id == material_id, Material.deleted_at.is_(None))
    return db.scalars(own.with_for_update() if lock else own).one_or_none()


def listed(
    db: Session, *, limit: int, kind: str = "", folder: str | None = None, q: str = "", before: int | None = None
) -> tuple[list[Material], int | None]:
    """One page of the library, the newest first, and the id that the next page comes before.

    ``folder`` "" means those in none; ``q`` stands in the name or in any wording.
    """
    own = select(Material).where(Material.deleted_at.is_(None)).order_by(Material.id.desc()).limit(limit + 1)
    if kind:
        own = own.where(Material.kind == kind)
    if folder is not None:
        own = own.where(Material.folder == folder)
    if before is not None:
        own = own.where(Material.id < before)
    if q:
        own = own.where(_holds(q))
    found = list(db.scalars(own))
    more, found = len(found) > limit, found[:limit]
    return found, (found[-1].id if more else None)


def _holds(q: str) -> ColumnElement[bool]:
    """JSON may keep a sign as it is or as its escape: both are looked for."""
    whole = cast(Material.contents, String)
    escaped = q.encode("ascii", "backslashreplace").decode()
    forms = dict.fromkeys((q, escaped.replace("\\x", "\\u00")))
    return or_(Material.name.contains(q, autoescape=True), *(whole.contains(one, autoescape=True) for one in forms))


def folders(db: Session) -> list[tuple[str, int]]:
    """Every folder with how many there are in it; "" are those in none."""
    own = select(Material.folder, func.count()).where(Material.deleted_at.is_(None))
    return [(name, count) for name, count in db.execute(own.group_by(Material.folder).order_by(Material.folder))]


def choices(db: Session, kinds: Sequence[str] = KINDS) -> list[Material]:
    """Everything that may be put into a message, by kind and name."""
    own = select(Material).where(Material.deleted_at.is_(None), Material.kind.in_(kinds))
    return list(db.scalars(own.order_by(Material.kind, Material.folder, Material.name, Material.id)))


def message(material: Material, variant: str = "") -> tuple[str, list[dict[str, Any]]]:
    """A text and attachments to be sent, with the number of the material beside them; ``variant``: which wording."""
    content = wording(material, variant)
    if material.kind == TEXT:
        return str(content["text"]), []
    fields = {name: content[name] for name in FIELDS[material.kind] if content.get(name) not in (None, "")}
    return "", [{"kind": material.kind, **fields, "material": material.id, "variant": content["name"]}]


def wording(material: Material, variant: str = "") -> Mapping[str, Any]:
    """The wording of this name, or the first."""
    return next((one for one in material.contents if one["name"] == variant), material.contents[0])


def numbers(db: Session, material_ids: Sequence[int]) -> dict[int, Numbers]:
    """What became of these links."""
    personal, opened = TrackedLink.task_id.is_(None), TrackedLink.opens > 0
    own = select(
        TrackedLink.material_id,
        func.count().filter(personal),
        func.count().filter(personal, opened),
        func.coalesce(func.sum(TrackedLink.opens).filter(personal), 0),
        func.count().filter(~personal),
        func.coalesce(func.sum(TrackedLink.opens).filter(~personal), 0),
    ).where(TrackedLink.material_id.in_(material_ids))
    rows = db.execute(own.group_by(TrackedLink.material_id))
    return {int(one[0] or 0): Numbers(*map(int, one[1:])) for one in rows}


# --- where it is used ------------------------------------------------------------------------------------------------


def uses(db: Session, material: Material) -> list[Use]:
    """Where the material still goes out from: codes, answers, broadcasts that are not over, journeys."""
    return [
        *_in_channels(db, material),
        *_in_answers(db, material),
        *_in_broadcasts(db, material),
        *_in_journeys(db, material),
    ]


def _named(material: Material, holder: Any) -> bool:
    """Whether a message anywhere in this JSON names the material, as an attachment or in its text."""
    if isinstance(holder, Mapping):
        return holder.get("material") == material.id or any(_named(material, one) for one in holder.values())
    if isinstance(holder, list | tuple):
        return any(_named(material, one) for one in holder)
    return isinstance(holder, str) and material.id in placeholders.materials_in(holder)


def _maybe(column: Any, material: Material) -> ColumnElement[bool]:
    """What the database can tell apart quickly; ``_named`` looks exactly."""
    text = cast(column, String)
    return or_(text.contains(f'"material": {material.id}'), text.contains(f"{{link:{material.id}}}", autoescape=True))


def _in_channels(db: Session, material: Material) -> Iterator[Use]:
    for one in _channels(db, material):
        yield Use("channel", one.code, one.name)


def _channels(db: Session, material: Material) -> list[Channel]:
    own = select(Channel).where(Channel.state != "deleted", _maybe(Channel.welcome, material)).order_by(Channel.id)
    return [one for one in db.scalars(own) if _named(material, one.welcome)]


def _in_answers(db: Session, material: Material) -> Iterator[Use]:
    own = select(Answer).where(Answer.state != "deleted", _maybe(Answer.reply, material)).order_by(Answer.id)
    for one in db.scalars(own):
        if _named(material, one.reply):
            yield Use("answer", str(one.id), one.name)


def _in_broadcasts(db: Session, material: Material) -> Iterator[Use]:
    own = select(Broadcast).where(Broadcast.state.in_(STILL_OPEN), _maybe(Broadcast.contents, material))
    for one in db.scalars(own.order_by(Broadcast.id)):
        if _named(material, one.contents):
            yield Use("broadcast", str(one.id), one.name)


def _in_journeys(db: Session, material: Material) -> Iterator[Use]:
    """Drafts, and versions on which people set out or still are."""
    on_the_way = (JourneyVersion.journey_id == Journey.id, Journey.state.in_(("live", "draining")))
    old = select(JourneyVersion.id).where(*on_the_way, _maybe(JourneyVersion.definition, material)).exists()
    own = select(Journey).where(Journey.state != "stopped", or_(_maybe(Journey.draft, material), old))
    for one in db.scalars(own.order_by(Journey.id)):
        versions = db.scalars(select(JourneyVersion.definition).where(JourneyVersion.journey_id == one.id))
        if _named(material, one.draft) or any(_named(material, each) for each in versions):
            yield Use("journey", str(one.id), one.name)


# --- making and changing ---------------------------------------------------------------------------------------------


def check(db: Session, draft: Draft) -> None:
    """Raise ``Invalid`` with every problem at once, each naming its field (``contents-0`` for a wording)."""
    if problems := list(_problems(db, draft)):
        raise Invalid(problems)


def _problems(db: Session, draft: Draft) -> Iterator[tuple[str, str]]:
    if not 0 < len(draft.name.strip()) <= MAX_NAME:
        yield "name", f"名称需 1–{MAX_NAME} 个字"
    if len(draft.folder.strip()) > MAX_NAME:
        yield "folder", f"文件夹的名称最多 {MAX_NAME} 个字"
    if draft.kind not in KINDS:
        yield "kind", f"素材的种类只能是 {'、'.join(KINDS)}"
        return
    yield from _wording_problems(db, draft)
    if draft.kind != LINK and (draft.open_tags or draft.tell_rep):
        yield "open_tags", "只有链接能知道谁打开了：其他种类不能设“打开后”"
    if len(draft.open_tags) > MAX_TAGS:
        yield "open_tags", f"最多 {MAX_TAGS} 个标签"
    for group, name in draft.open_tags:
        if not (0 < len(group.strip()) <= tags.MAX_NAME and 0 < len(name.strip()) <= tags.MAX_NAME):
            yield "open_tags", f"标签组和标签名各需 1–{tags.MAX_NAME} 个字：“{group}/{name}”"


def _wording_problems(db: Session, draft: Draft) -> Iterator[tuple[str, str]]:
    if not 0 < len(draft.contents) <= MAX_VARIANTS:
        yield "contents", f"需有 1–{MAX_VARIANTS} 种写法"
    names = [one["name"] for one in _with_names(draft.contents)]
    if len(set(names)) != len(names):
        yield "contents", "几种写法的名称不能相同"
    for number, one in enumerate(draft.contents):
        if len(str(one.get("name") or "")) > MAX_VARIANT_NAME:
            yield f"contents-{number}", f"写法的名称最多 {MAX_VARIANT_NAME} 个字"
        if draft.kind == TEXT:
            for words in _text_problems(db, str(one.get("text") or "")):
                yield f"contents-{number}", words
        elif trouble := contents.trouble_with(db, {**one, "kind": draft.kind}):
            yield f"contents-{number}", trouble


def _text_problems(db: Session, text: str) -> Iterator[str]:
    if not text.strip():
        yield "请填写文字"
    if placeholders.size_of(text) > MAX_TEXT_BYTES:
        yield f"文字太长：最多 {MAX_TEXT_BYTES} 字节（约 {MAX_TEXT_BYTES // 3} 个汉字）"
    if unknown := channels.UNKNOWN_PLACEHOLDER.search(text):
        yield f"不认识 {unknown[0]}；可用 {{name}} {{rep}} {{channel}}，链接写作 {{link:编号}}"
    yield from placeholders.problems(db, text)


def _with_names(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A wording without a name is called by its letter."""
    return [{**one, "name": str(one.get("name") or "").strip() or "abcde"[min(n, 4)]} for n, one in enumerate(rows)]


def create(work: Work, draft: Draft, *, by: str) -> Material:
    """Keep a new material. Raises ``Invalid``."""
    check(work.db, draft)
    if work.db.scalars(select(func.count()).where(Material.deleted_at.is_(None))).one() >= MAX_MATERIALS:
        raise Invalid([("name", f"最多 {MAX_MATERIALS} 条素材；请先删除不用的")])
    material = Material(kind=draft.kind, name="", made_by=by, made_at=work.now, changed_at=work.now, version=0)
    _apply(work, material, draft, by)
    work.db.add(material)
    work.db.flush()
    return material


def change(work: Work, material: Material, draft: Draft, *, by: str) -> bool:
    """Bring a material to what the draft says; False when that changes nothing. Raises ``Invalid``.

    The welcomes of channel codes that use it follow; what was sent, and what is approved, does not change.
    """
    check(work.db, draft)
    if draft.kind != material.kind:
        raise Invalid([("kind", "素材的种类不能改；请新建一条")])
    before = _said(material)
    _apply(work, material, draft, by)
    if _said(material) == before:
        return False
    for channel in _channels(work.db, material):
        _bring_along(work, channel, material)
    return True


def _said(material: Material) -> tuple[Any, ...]:
    return (material.name, material.folder, material.contents, material.open_tags, material.tell_rep)


def _apply(work: Work, material: Material, draft: Draft, by: str) -> None:
    material.name, material.folder = draft.name.strip(), draft.folder.strip()
    material.contents = [
        {"name": one["name"], **{name: one[name] for name in FIELDS[draft.kind] if one.get(name) not in (None, "")}}
        for one in _with_names(draft.contents)
    ]
    material.open_tags = sorted({tags.tag_named(work, group, name).id for group, name in draft.open_tags})
    material.tell_rep = draft.tell_rep
    material.version, material.changed_by, material.changed_at = material.version + 1, by, work.now


def _bring_along(work: Work, channel: Channel, material: Material) -> None:
    """A welcome says what the library says now. A text was copied without a mark and stays."""
    rows = channel.welcome.get("attachments") or []
    new = [_renewed(material, one) if one.get("material") == material.id else one for one in rows]
    if new != rows:
        channel.welcome = {**channel.welcome, "attachments": new}
        channel.version, channel.changed_at = channel.version + 1, work.now
        channels.refresh_pictures(work, channel)


def _renewed(material: Material, one: Mapping[str, Any]) -> Mapping[str, Any]:
    (fresh,) = message(material, str(one.get("variant") or ""))[1]
    return fresh


def delete(work: Work, material: Material, *, by: str) -> None:
    """Take it out of the library; its row stays for what was sent. Raises ``InUse``."""
    if found := uses(work.db, material):
        raise InUse(found)
    material.deleted_at, material.changed_by, material.changed_at = work.now, by, work.now


def draft_of(db: Session, material: Material) -> Draft:
    """The material as a draft, to be changed."""
    named = {
        one.id: (one.group_name, one.name) for one in db.scalars(select(Tag).where(Tag.id.in_(material.open_tags)))
    }
    own = tuple(named[one] for one in material.open_tags if one in named)
    return Draft(material.name, material.kind, material.folder, tuple(material.contents), own, material.tell_rep)
