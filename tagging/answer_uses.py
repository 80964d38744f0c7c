"""How often each answer of the bot was given, read from the stories of those who got it."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.tables import Interaction

GIVEN_IN = ("kf_out", "kf_in")
"""An answer stands beside what was said with it; one that led to a servicer beside the question."""
NEVER_LEFT = ("refused", "late")


def given(db: Session, since: datetime) -> dict[int, int]:
    """How often each answer was given since then, by its id."""
    answer = Interaction.details[("answer", "id")].as_integer().label("answer_id")
    fate = func.coalesce(Interaction.details["fate"].as_string(), "")
    own = (Interaction.kind.in_(GIVEN_IN), Interaction.at >= since, answer.is_not(None), fate.not_in(NEVER_LEFT))
    return dict(db.execute(select(answer, func.count()).where(*own).group_by("answer_id")).all())
