"""The form of a material: its wordings as rows, kept as typed until they are right, and how a customer will see it.

Every button of the form posts all of it (``do`` says which), so that a wording can be added and a file kept without
any script. Rows are those of ``console.attachment_rows`` with a name, or a text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage, MultiDict

from console import attachment_rows, forms, here
from console.channel_form import CUSTOMER, Preview, with_addresses
from console.forms import Problems
from console.words import _
from outreach import materials
from outreach.materials import TEXT, Draft
from storage.tables import Material
from storage.work import Work
from tagging.channels import Invalid
from wecom.commands import render

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """The fields as they stand on the page. ``tags`` are as ``forms.tag_value`` says."""

    kind: str = TEXT
    name: str = ""
    folder: str = ""
    rows: tuple[Row, ...] = ()
    tags: tuple[str, ...] = ()
    new_tags: str = ""
    tell_rep: bool = False
    version: int = 0
    shown: int = 0
    """Which wording the drawn phone shows, from 0."""
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether there is room for another wording."""
        return len(self.rows) >= materials.MAX_VARIANTS

    def draft(self) -> Draft:
        """What the form asks for. Raises ``Invalid`` for what cannot even be read."""
        problems: Problems = []
        tags = forms.tags(self.tags, self.new_tags, problems)
        if problems:
            raise Invalid([("open_tags", words) for _field, words in problems])
        return Draft(self.name, self.kind, self.folder, tuple(self.rows), tags, self.tell_rep)


def empty(kind: str, folder: str = "") -> Form:
    """A form for a new one of this kind, with one wording."""
    return Form(kind=kind if kind in materials.KINDS else TEXT, folder=folder, rows=({"name": "", "media": None},))


def of_material(db: Session, material: Material) -> Form:
    """The form of a material as it is."""
    draft = materials.draft_of(db, material)
    tags = tuple(forms.tag_value(*one) for one in draft.open_tags)
    rows = tuple({**one, "kind": material.kind} for one in draft.contents)
    return Form(material.kind, draft.name, draft.folder, rows, tags, tell_rep=draft.tell_rep, version=material.version)


# --- reading ---------------------------------------------------------------------------------------------------------


def read(sent: MultiDict[str, str]) -> Form:
    """The form as it was sent."""
    kind = sent.get("kind", TEXT)
    return Form(
        kind=kind if kind in materials.KINDS else TEXT,
        name=sent.get("name", "").strip(),
        folder=sent.get("folder", "").strip(),
        rows=tuple(_row(sent, kind, number) for number in attachment_rows.numbers(sent, "a", "kind")),
        tags=tuple(sent.getlist("tags")),
        new_tags=sent.get("new_tags", ""),
        tell_rep="tell_rep" in sent,
        version=here.number(sent.get("version")) or 0,
    )


def _row(sent: MultiDict[str, str], kind: str, number: int) -> Row:
    row: dict[str, Any] = {"kind": kind, "name": sent.get(f"a-{number}-name", "").strip()}
    if kind == TEXT:
        return {**row, "text": sent.get(f"a-{number}-text", "").replace("\r\n", "\n")}
    typed = attachment_rows.TEXTS.get(kind, ())
    row |= {name: sent.get(f"a-{number}-{name}", "").strip() for name in typed}
    return row if kind == "link" else {**row, "media": here.number(sent.get(f"a-{number}-media"))}


def keep_files(work: Work, form: Form, sent: MultiDict[str, str], files: Mapping[str, FileStorage]) -> Form:
    """Keep the files that came; the form with their numbers, and why some were not taken."""
    rows, refused = attachment_rows.keep(work, tuple(dict(one) for one in form.rows), sent, files)
    return replace(form, rows=rows, errors={f"contents-{place}": why for place, why in refused})


def changed(form: Form, do: str) -> Form:
    """The form after one of its small buttons: ``add``, ``drop:a:1``, ``up:a:2``, ``show:a:1``."""
    if do == "add" and not form.full:
        blank = {"kind": form.kind, "name": "", "media": None}
        return replace(form, rows=(*form.rows, blank), shown=len(form.rows))
    if do.startswith("show:a:"):
        return replace(form, shown=min(here.number(do.removeprefix("show:a:")) or 0, len(form.rows) - 1))
    rows = attachment_rows.changed(tuple(dict(one) for one in form.rows), do, materials.MAX_VARIANTS)
    return replace(form, rows=rows) if rows else form


# --- the drawn phone -------------------------------------------------------------------------------------------------


def preview(form: Form) -> Preview:
    """What a customer named 小雨 will see of the wording that is shown."""
    rep = _("接待的成员")
    row = form.rows[min(form.shown, len(form.rows) - 1)] if form.rows else {}
    if form.kind != TEXT:
        return Preview(rep, "", ({**row, "kind": form.kind},))
    text = with_addresses(str(row.get("text") or ""))
    return Preview(rep, render(text, {"name": CUSTOMER, "rep": rep, "channel": _("渠道名称")}))


def preview_of(material: Material) -> list[Preview]:
    """The same of each wording of a material."""
    whole = Form(kind=material.kind, rows=tuple(material.contents))
    return [preview(replace(whole, shown=number)) for number in range(len(material.contents))]
