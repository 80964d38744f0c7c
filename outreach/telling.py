"""What we write to our own people about broadcasts: to a maker, to a manager, to whoever tries one out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from people.tasks import rep_key
from storage.tables import Broadcast, Department, Member
from storage.work import Work
from wecom.commands import textcard_to


def member(work: Work, userid: str) -> Member | None:
    """Who of us is called so and still here: others cannot be written to."""
    own = select(Member).where(func.lower(Member.userid) == userid.lower(), Member.left_at.is_(None))
    return work.db.scalars(own).first()


def maker(work: Work, broadcast: Broadcast, title: str, words: str) -> bool:
    """Tell the maker of a broadcast what has become of it; False when they cannot be written to."""
    known = member(work, broadcast.made_by)
    if known is None:
        return False
    once = f"broadcast:{broadcast.id}:{title}:{int(work.now.timestamp())}"
    return about(work, known.userid, broadcast, title, words, once=once)


def about(work: Work, userid: str, broadcast: Broadcast, title: str, words: str, *, once: str) -> bool:
    """A card that leads to the page of a broadcast."""
    description = f"“{broadcast.name}”：{words}"
    card = textcard_to(userid, title, description, f"/broadcasts/{broadcast.id}", "打开")
    return work.ask(card, once=once, key=rep_key(userid))


# --- those who have not confirmed, by store --------------------------------------------------------------------------


@dataclass(frozen=True)
class Store:
    """A department with reps who have not confirmed, and who leads it."""

    name: str
    leaders: tuple[str, ...]
    reps: tuple[str, ...]
    """Their names."""


def unconfirmed(db: Session, lines: Sequence[tuple[str, str]]) -> list[Store]:
    """The stores of these reps (userid and name), by name; one without a leader belongs to the one above it."""
    departments = {one.id: one for one in db.scalars(select(Department))}
    own = select(Member.userid, Member.departments).where(Member.userid.in_([userid for userid, _ in lines]))
    homes = {userid: numbers[-1] if numbers else 0 for userid, numbers in db.execute(own)}
    found: dict[int, list[tuple[str, str]]] = {}
    for userid, name in lines:
        found.setdefault(homes.get(userid, 0), []).append((userid, name))
    stores = [
        Store(
            departments[number].name if number in departments else "",
            tuple(one for one in _leaders(departments, number) if [one] != [userid for userid, _ in reps]),
            tuple(name for _, name in reps),
        )
        for number, reps in found.items()
    ]
    return sorted(stores, key=lambda one: one.name)


def _leaders(departments: Mapping[int, Department], number: int) -> list[str]:
    """Who leads a department, or the nearest above it that is led."""
    seen: set[int] = set()
    while number in departments and number not in seen:
        seen.add(number)
        if departments[number].leaders:
            return list(departments[number].leaders)
        number = departments[number].parent_id or 0
    return []


def managers(work: Work, broadcast: Broadcast, stores: Sequence[Store]) -> int:
    """Tell each leader who of theirs has not confirmed, once a day; how many were told."""
    told: dict[str, list[str]] = {}
    for store in stores:
        for leader in store.leaders:
            told.setdefault(leader, []).append(
                f"{store.name}：{'、'.join(store.reps)}" if store.name else "、".join(store.reps)
            )
    day, count = work.now.astimezone(work.zone).date(), 0
    for leader, lines in told.items():
        known = member(work, leader)
        if known is not None:
            words = "这些成员还没有确认发送\n" + "\n".join(lines)
            once = f"unconfirmed:{broadcast.id}:{known.userid}:{day}"
            count += about(work, known.userid, broadcast, "提醒门店成员确认群发", words, once=once)
    return count
