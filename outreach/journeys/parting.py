"""By which act somebody left a journey: read from their story when it is asked, kept nowhere else."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.tables import Enrolment, Interaction

EXIT, LOST = "exit", "no_relation"
"""Why somebody left: by something they did; because no rep has them any more."""
PARTINGS = ("deleted_by_customer", "deleted_by_rep", "transferred")


def acts(
    db: Session, enrolments: Sequence[Enrolment], exits: Mapping[tuple[int, int], Collection[str]]
) -> dict[int, str]:
    """Of each round that somebody left by what was done (``exit``, ``no_relation``), the kind of the last such act.

    ``exits``: by journey and version, what takes somebody off it. One question for each of these and each reason.
    """
    found: dict[int, str] = {}
    grouped: dict[tuple[int, int, str], list[int]] = {}
    for one in enrolments:
        if one.left_because in (EXIT, LOST):
            grouped.setdefault((one.journey_id, one.version, one.left_because), []).append(one.id)
    for (journey_id, version, why), ids in grouped.items():
        kinds = exits.get((journey_id, version), ()) if why == EXIT else PARTINGS
        act = select(Interaction.kind).where(
            Interaction.person_id == Enrolment.person_id,
            Interaction.kind.in_(kinds),
            Interaction.at >= Enrolment.since,
            Interaction.at <= Enrolment.ended_at,
        )
        last = act.order_by(Interaction.at.desc(), Interaction.id.desc()).limit(1).correlate(Enrolment)
        rows = db.execute(select(Enrolment.id, last.scalar_subquery()).where(Enrolment.id.in_(ids)))
        found |= {number: kind for number, kind in rows if kind is not None}
    return found
