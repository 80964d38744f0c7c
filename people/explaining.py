"""How a change of who is one person explains itself: a line into the story, and an audit row naming the evidence."""

from collections.abc import Mapping
from typing import Any

from people import access, merging, persons, resolving
from people.identities import PHONE
from people.nearby import Near
from people.resolving import Partition, pair_of
from storage import audit
from storage.work import Work


def tell(work: Work, one: merging.Change, decided: Partition, parted_by: Mapping[str, Any]) -> None:
    """One line for who speaks for the anchor now, and for who does no longer (unless that one is merged itself)."""
    if one.before != one.anchor and decided.head.get(one.before, one.before) == one.before:
        _line(work, one.before, "separated", one.anchor, parted_by)
    if one.after != one.anchor:
        _line(work, one.after, "merged", one.anchor, _because(decided, one.anchor))
    else:
        _line(work, one.anchor, "separated", one.before, parted_by)


def parted_by(near: Near, before: Mapping[int, int], decided: Partition, anchor: int) -> dict[str, Any]:
    """What parts an anchor from those it was one person with: somebody's word, or what they share and counts no more.

    ``why``: ``blocked`` by the shop, or ``crowded`` (known of too many). Empty: what joined them is told no more.
    """
    left = {
        one for one in near.anchors if before.get(one) == before.get(anchor) and not _together(decided, one, anchor)
    }
    if any(pair_of(anchor, one) in near.cuts for one in left):
        return {"by_hand": True}
    own = {one.about for one in near.edges if one.anchor == anchor}
    shared = {one.about for one in near.edges if one.anchor in left and one.about in own}
    for why, some in (("blocked", near.blocked), ("crowded", near.crowded)):
        if found := sorted(shared & some):
            type_, value = found[0]
            return {"why": why, "type": type_, "value": shown(type_, value)}
    return {}


def _together(decided: Partition, one: int, other: int) -> bool:
    return decided.head[one] == decided.head[other]


def _line(work: Work, person_id: int, kind: str, other: int, details: Mapping[str, Any]) -> None:
    once = f"{kind}:{person_id}:{other}:{work.now.isoformat()}"
    said = {"customer": persons.public_id(other), **details}
    persons.tell(work, person_id, kind, work.now, once=once, details=said)


def _because(decided: Partition, anchor: int) -> dict[str, Any]:
    """What joined this anchor to the others: the type, and the value as anybody may read it."""
    found = [one for one in decided.joined if anchor in (one.a, one.b)]
    if not found:
        return {}
    if not found[0].type:
        return {"by_hand": True}
    return {"type": found[0].type, "value": shown(found[0].type, found[0].value)}


def shown(type_: str, value: str) -> str:
    """A value as anybody may read it: a number without its middle, of an id its last four."""
    return (access.masked(value) or "") if type_ == PHONE else f"…{value[-4:]}" if len(value) > 8 else value


def explain(work: Work, near: Near, before: Mapping[int, int], decided: Partition, by: str) -> None:
    """The audit row: who was one person before and is now, by which rows of evidence, under which rules."""
    values = {(one.type, one.value) for one in decided.joined}
    audit.note(
        work.db,
        actor=by,
        action="customer.resolve",
        subject=persons.public_id(min(near.anchors)),
        details={
            "before": _named_groups(before),
            "after": _named_groups(decided.head),
            "evidence": sorted(number for about in values for number in near.ids.get(about, ())),
            "said": [list(pair) for pair in sorted(near.cuts | near.ties)],
            "conflicts": [[one.a, one.b, one.reason] for one in decided.conflicts],
            "rules": resolving.RULES,
        },
        at=work.now,
    )


def _named_groups(heads: Mapping[int, int]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for anchor in sorted(heads):
        groups.setdefault(persons.public_id(heads[anchor]), []).append(persons.public_id(anchor))
    return groups
