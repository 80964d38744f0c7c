"""What the demo's customers can do with their points: a few rewards; points given on and rewards got together are on.

The two with the most points have told the shop their phone numbers, so that there is somebody to give points to.

A shop turns gifts and groups on by two colleagues' words (docs/approvals.md), and lets nobody give in their first 30
days: in a demo nobody could ever try them.
"""

from dataclasses import dataclass

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from bot.settings import Settings
from loyalty import group_buys, reward_desk, transfers
from loyalty.group_buys import Terms
from loyalty.reward_desk import Draft
from loyalty.rewards import DONATION, EXPERIENCE
from loyalty.transfers import Limits
from people import identities, joining, own_pages, persons
from people.joining import Given
from storage import audit
from storage.database import transaction, utc_now
from storage.tables import Identity, Person, PointsAccount, Reward
from storage.work import Work

REWARDS = (
    Draft(name="挂耳一包", about="到店领取，当天烘焙", points=60, stock=200),
    Draft(name="豆子咖啡马克杯", about="白瓷，350 毫升", points=300, stock=20, per_person=2),
    Draft(name="手冲体验课", kind=EXPERIENCE, about="周六下午，两小时", points=500, stock=8),
    Draft(name="给山区学校捐一本书", kind=DONATION, points=100, cause="山区图书角", worth=1_000),
)


PHONES = ("13912345678", "13987654321")
"""Of the customer with the most points, and of the next."""


@dataclass(frozen=True)
class Rich:
    """A customer with many points, as a newcomer needs to know them."""

    name: str
    external_userid: str
    phone: str
    address: str
    """Of their own page."""


def lay_out(engine: Engine, settings: Settings) -> None:
    """Put the rewards out and turn gifts and groups on, once."""
    with transaction(engine) as db:
        if db.scalar(select(Reward.id).limit(1)) is not None:
            return  # the player begins anew after a trouble of its own
        work = Work(db, utc_now(), cause="demo", zone=settings.timezone)
        for draft in REWARDS:
            row = reward_desk.keep(work, draft, "demo")
            reward_desk.move(row, "go")
            audit.note(db, actor="demo", action="reward.save", subject=f"reward:{row.id}", at=work.now)
        transfers.set_limits(work, Limits(on=True, new_days=0), by="demo")
        group_buys.set_terms(work, Terms(on=True, seats=2), by="demo")


def richest(engine: Engine, settings: Settings) -> list[Rich]:
    """The customers with the most points, their numbers told by now; fewer where there are fewer."""
    found = []
    with transaction(engine) as db:
        work = Work(db, utc_now(), cause="demo", zone=settings.timezone, home=settings.web.home)
        head = func.coalesce(Person.merged_into, Person.id)
        most = select(head).join(PointsAccount, PointsAccount.person_id == Person.id).group_by(head)
        most = most.order_by(func.sum(PointsAccount.available).desc(), head).limit(len(PHONES))
        told = {phone: identities.spelt(identities.PHONE, phone) for phone in PHONES}
        known = {phone: own_pages.holder(db, identities.PHONE, number) for phone, number in told.items()}
        others = iter([one for one in db.scalars(most) if one not in known.values()])
        for phone, number in told.items():
            anchor = known[phone] or next(others, None)  # begun anew, a number stays whose it is
            if anchor is None:
                continue
            person = joining.learn(work, anchor, [Given(identities.PHONE, number)], source="demo", by="demo")
            found.append(Rich(person.name, _external(db, person.id), phone, own_pages.address(work, person)))
    return found


def _external(db: Session, person_id: int) -> str:
    own = select(Identity.value).where(Identity.person_id == person_id, Identity.type == persons.EXTERNAL)
    return db.scalar(own.order_by(Identity.id).limit(1)) or ""
