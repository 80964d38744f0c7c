"""The attachments in a form (welcomes, broadcasts): rows that come and go by its small buttons, with what was uploaded.

Every button posts the whole form, so that a row can be added and a file kept without any script. A row is what
``tagging.channels`` and ``outreach.contents`` keep: ``{"kind": "image", "media": 3}``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage, MultiDict

from console import here
from outreach import links, materials
from storage.tables import Material, Media
from storage.work import Work
from tagging import files as sent_files
from tagging import pictures
from tagging.files import NotAFile
from tagging.pictures import NotAPicture

TEXTS: Mapping[str, Sequence[str]] = {
    "image": (),
    "link": ("title", "url", "desc", "picurl"),
    "miniprogram": ("title", "appid", "page"),
    "video": (),
    "file": (),
}
"""The kinds there are, and the fields that are typed."""
Rows = tuple[dict[str, Any], ...]
FROM_LIBRARY = "material:"


def numbers(sent: MultiDict[str, str], letter: str, last: str) -> list[int]:
    """Which rows of a repeated part were sent: ``a-0-kind``, ``a-3-kind``."""
    found = (re.fullmatch(rf"{letter}-(\d{{1,3}})-{last}", name) for name in sent)
    return sorted(int(match[1]) for match in found if match)


def read(sent: MultiDict[str, str]) -> Rows:
    """The rows as they were sent."""
    return tuple(_row(sent, number) for number in numbers(sent, "a", "kind"))


def _row(sent: MultiDict[str, str], number: int) -> dict[str, Any]:
    kind = sent.get(f"a-{number}-kind", "")
    row: dict[str, Any] = {"kind": kind}
    row |= {name: sent.get(f"a-{number}-{name}", "").strip() for name in TEXTS.get(kind, ())}
    if kind != "link":
        row["media"] = here.number(sent.get(f"a-{number}-media"))
    elif f"a-{number}-track" in sent:
        row[links.TRACK] = True
    if (material := here.number(sent.get(f"a-{number}-material"))) is not None:
        row |= {links.MATERIAL: material, "variant": sent.get(f"a-{number}-variant", "")[: materials.MAX_VARIANT_NAME]}
    return row


def keep(
    work: Work, rows: Rows, sent: MultiDict[str, str], files: Mapping[str, FileStorage]
) -> tuple[Rows, list[tuple[int, str]]]:
    """Keep the files that came; the rows with their numbers, and which (from 0) were not taken, with the reason."""
    refused: list[tuple[int, str]] = []
    kept = [dict(one) for one in rows]
    for place, (row, number) in enumerate(zip(kept, numbers(sent, "a", "kind"), strict=True)):
        file = files.get(f"a-{number}-file")
        if file is not None and file.filename and row["kind"] != "link":
            try:
                row["media"] = _keep_one(work, str(row["kind"]), file).id
            except (NotAPicture, NotAFile) as error:
                refused.append((place, str(error)))
    return tuple(kept), refused


def _keep_one(work: Work, kind: str, file: FileStorage) -> Media:
    if kind in (sent_files.VIDEO, sent_files.FILE):
        return sent_files.keep(work, kind, file.read(), file.filename or "")
    return pictures.keep(work, file.read())


def changed(rows: Rows, do: str, most: int) -> Rows:
    """The rows after a small button: ``add:link``, ``add:material:5``, ``drop:a:1``, ``up:a:2``."""
    verb, _, what = do.partition(":")
    if verb == "add" and what.startswith(FROM_LIBRARY) and len(rows) < most:
        return rows + _from_library(what.removeprefix(FROM_LIBRARY))
    if verb == "add" and what in TEXTS and len(rows) < most:
        return (*rows, {"kind": what, "media": None})
    letter, _, place = what.partition(":")
    number = here.number(place)
    if letter != "a" or number is None:
        return rows
    if verb == "drop":
        return rows[:number] + rows[number + 1 :]
    if verb == "up" and 0 < number < len(rows):
        return (*rows[: number - 1], rows[number], rows[number - 1], *rows[number + 1 :])
    return rows


def _from_library(number: str) -> Rows:
    """A copy of what the library says, which knows where it is from; nothing where it is gone meanwhile."""
    with here.reading() as db:
        material = materials.living(db, here.number(number) or 0)
    return tuple(materials.message(material)[1]) if material is not None else ()


def offered(db: Session, kinds: Sequence[str]) -> list[Material]:
    """What of the library may be added to a message of these kinds, with the texts."""
    return materials.choices(db, (materials.TEXT, *kinds))


def media_of(db: Session, rows: Sequence[Mapping[str, Any]]) -> dict[int, Media]:
    """What of it there is already, by id."""
    ids = {one["media"] for one in rows if one.get("media")}
    return {one.id: one for one in db.scalars(select(Media).where(Media.id.in_(ids)))}
