"""``{link:5}`` in a text: the address of link 5 of the library, another for everybody it is sent to.

Here a text is only read and checked; ``outreach.links`` puts the addresses in.
"""

import re
from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.tables import Material

LINK = re.compile(r"\{link:([0-9]{1,15})\}")
LONGEST_ADDRESS = 100
"""Bytes that an address is counted as while nobody knows it: a customers' address and ``/t/`` and the token."""
UNKNOWN = "素材库里没有链接 {number}；请在“素材”里找到它的编号"


def materials_in(text: str) -> list[int]:
    """The numbers of the links that a text names, each once."""
    return list(dict.fromkeys(int(one) for one in LINK.findall(text)))


def size_of(text: str) -> int:
    """How many bytes the text has at most once the addresses stand in it."""
    return len(LINK.sub("x" * LONGEST_ADDRESS, text).encode())


def problems(db: Session, text: str) -> Iterator[str]:
    """Of each link that a text names and the library does not have, what to do about it."""
    wanted = materials_in(text)
    if not wanted:
        return
    known = select(Material.id).where(Material.id.in_(wanted), Material.kind == "link", Material.deleted_at.is_(None))
    there = set(db.scalars(known))
    yield from (UNKNOWN.format(number=one) for one in wanted if one not in there)
