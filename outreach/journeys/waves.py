"""What journeys have planned goes out: for each step, day and rep one mass task; and what became of the rest."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from outreach import budget, mass
from outreach.budget import Rules
from outreach.journeys import definition as shape
from outreach.journeys import desk
from outreach.journeys.definition import KF, MASS
from outreach.mass import Content
from people import conversations
from storage.database import changed_rows
from storage.tables import Interaction, Touch
from storage.work import Work

KF_WAITS = 500
FATES: Mapping[str, str] = MappingProxyType(
    {
        conversations.SENT: budget.SENT,
        conversations.NOT_SURE: budget.SENT,
        conversations.REFUSED: "refused",
        conversations.FAILED: "refused",
        conversations.LATE: "expired",
    }
)
"""What became of a message in 微信客服, as a state of its touch; what may have arrived counts as sent."""


def due(db: Session, now: datetime) -> list[str]:
    """Waves whose time has come and of which somebody is in no task yet: ``journey:5:v1:s2:20261127``."""
    own = (Touch.way == MASS, mass.IS_FREE, Touch.at <= now)
    found = select(Touch.source).where(*own, Touch.source.startswith("journey:", autoescape=True))
    return sorted(db.scalars(found.distinct()))


def cut(work: Work, source: str, rules: Rules) -> bool:
    """Make the next task of a wave; False when everybody of it is in one."""
    _, journey_id, version, step_name, _ = source.split(":")
    definition = desk.version_of(work.db, int(journey_id), int(version.removeprefix("v")))
    step = shape.steps_of(definition)[step_name]
    content = Content(str(step.get("mass_text") or step["text"]), tuple(step.get("attachments") or ()))
    at = rules.quiet.next_open(work.now, work.zone)
    return mass.cut(work, source, {"": content}, at) is not None


def settle_kf(work: Work) -> int:
    """Write down what became of messages in 微信客服, and give back what did not arrive; how many are settled."""
    own = (Touch.task_id.is_(None), Touch.state == budget.ASKED, Touch.way == KF)  # the first two by their index
    asked = list(work.db.execute(select(Touch.id, Touch.source).where(*own).order_by(Touch.id).limit(KF_WAITS)))
    names = {conversations.line_of_wish(_wish_of(source)): touch_id for touch_id, source in asked}
    lines = select(Interaction).where(Interaction.once.in_(names))
    settled = 0
    for line in work.db.scalars(lines):
        state = FATES.get(str(line.details.get("fate")))
        if state is not None:
            one = update(Touch).where(Touch.id == names[line.once], Touch.state == budget.ASKED)
            settled += changed_rows(work.db, one.values(state=state))
    return settled


def _wish_of(source: str) -> str:
    """``journey:5:v1:s2:kf:e17:1`` was asked for as ``journey:e17:s2:1``."""
    _, _, _, step, _, enrolment, visit = source.split(":")
    return f"journey:{enrolment}:{step}:{visit}"
