"""What became of a broadcast: each rep, customer and group in WeCom's own words; and reminding those who wait."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from api import here, paging
from api.broadcasts import known, public_id
from api.operations import Call, Reply
from api.shapes import Asked, Loose, Paged, Shape, Userid, example
from outreach import comparing, links, mass, results
from outreach.broadcasts import source_of
from outreach.comparing import Comparison
from outreach.results import RepLine
from people import persons
from storage.database import reading


class RepShape(Shape):
    """One rep's part."""

    userid: str
    name: str
    store: str
    confirmed_at: datetime | None = Field(description="When she confirmed; null: not yet.")
    confirm_by: datetime | None = Field(description="Until when she may.")
    open: bool = Field(description="Whether she can still confirm something.")
    reminders_left: int = Field(description="How often WeCom would still remind her in these 24 hours.")
    states: dict[str, int] = Field(description="Of her receivers, as in the broadcast.")
    groups_reached: list[str] = Field(description="chat_ids, of a broadcast to groups.")
    deleted: int = Field(description="Customers who deleted her within 24 hours of receiving it.")
    opens: int = Field(description="How often the links of her tasks were opened, by whomever.")


class RepsShape(Shape):
    """Every rep's part, those who have not confirmed first."""

    items: list[RepShape]


class ReceiverShape(Shape):
    """One customer's part."""

    customer_id: str = Field(examples=["p_17"])
    external_userid: str | None
    userid: str | None = Field(description="The rep who writes to them.")
    arm: str = Field(description="a, b, or control.")
    state: str
    reason: str = Field(description="Of those left out.")
    sent_at: datetime | None
    deleted: bool = Field(description="Whether they deleted the rep within 24 hours of receiving it.")


class ReceiverPage(Shape):
    """Customers, in the order of planning."""

    items: list[ReceiverShape]
    next_cursor: str | None


class ReceiversQuery(Paged):
    """Which page, and of whom."""

    state: str = Field("", max_length=20, description="Only those in this state.")
    userid: str = Field("", max_length=64, description="Only those of this rep.")


class RemindAsked(Asked):
    """Whom to remind."""

    model_config = example({"userids": ["zhangsan"]})
    userids: tuple[Userid, ...] | None = Field(None, max_length=1000, description="null: all who have not confirmed.")


class RemindedShape(Shape):
    """Who was reminded."""

    reminded: list[str]
    refused: list[str] = Field(description="Reminded three times within 24 hours already: WeCom takes no more.")


class ComparisonShape(Shape):
    """What came of two wordings and a control group, or when it will be said."""

    metric: str
    over_at: datetime
    over: bool
    arms: list[Loose] = Field(description="arm, assigned, reached; did and opens of its links are null until over.")
    pairs: list[Loose]


class OutcomeShape(Shape):
    """What a broadcast did beyond being received."""

    comparison: ComparisonShape | None
    opens: Loose = Field(description="Of its tracked links: links, opened, opens, people, by_rep.")


def list_reps(call: Call, broadcast_id: str) -> Reply:
    """Each rep's part: confirmed or not, when, and what became of her receivers."""
    with reading(here.engine()) as db:
        broadcast = known(db, broadcast_id)
        opens = links.opens_of(db, source_of(broadcast)).by_rep
        return Reply(200, RepsShape(items=[_rep(one, opens) for one in results.reps(db, broadcast)]))


def _rep(line: RepLine, opens: Mapping[str, int]) -> RepShape:
    until = max((one.confirm_by for one in line.open_tasks if one.confirm_by), default=None)
    left = max((mass.reminders_left(one, here.now()) for one in line.open_tasks), default=0)
    return RepShape(
        userid=line.userid,
        name=line.name,
        store=line.store,
        confirmed_at=here.local(line.confirmed_at) if line.confirmed_at else None,
        confirm_by=here.local(until) if until else None,
        open=bool(line.open_tasks),
        reminders_left=left,
        states=dict(line.states),
        groups_reached=sorted({chat_id for one in line.tasks for chat_id in one.reached}),
        deleted=line.deleted,
        opens=opens.get(line.userid, 0),
    )


def list_receivers(call: Call, broadcast_id: str, query: ReceiversQuery) -> Reply:
    """One page of the customers of a broadcast, with what became of it for each."""
    after = paging.decode(query.cursor)
    which = {"state": query.state, "userid": query.userid}
    with reading(here.engine()) as db:
        broadcast = known(db, broadcast_id)
        start = after[0] if after else 0
        found, following = results.customers(db, broadcast, here.EVERYBODY, limit=query.limit, after=start, which=which)
        items = [
            ReceiverShape(
                customer_id=persons.public_id(one.touch.person_id),
                external_userid=one.touch.external_userid,
                userid=one.touch.userid,
                arm=one.touch.arm,
                state=one.touch.state,
                reason=one.touch.reason,
                sent_at=here.local(one.touch.at) if one.touch.state == results.SENT else None,
                deleted=one.deleted,
            )
            for one in found
        ]
    return Reply(200, ReceiverPage(items=items, next_cursor=paging.encode(following) if following else None))


def remind(call: Call, broadcast_id: str, body: RemindAsked) -> Reply:
    """Have WeCom ask again the reps who have not confirmed; three times in 24 hours for each task."""
    with call.work() as work:
        broadcast = known(work.db, broadcast_id)
        wanted = None if body.userids is None else set(body.userids)
        lines = [one for one in results.reps(work.db, broadcast) if one.open_tasks]
        lines = [one for one in lines if wanted is None or one.userid in wanted]
        reminded = [one.userid for one in lines if sum(mass.remind(work, task) for task in one.open_tasks)]
        refused = [one.userid for one in lines if one.userid not in reminded]
        if reminded:
            call.note(work, "broadcast.remind", public_id(broadcast), {"members": reminded})
    return Reply(200, RemindedShape(reminded=reminded, refused=refused))


def get_outcome(call: Call, broadcast_id: str) -> Reply:
    """How wordings and control compare, seven days after it was planned, and how often its links were opened."""
    with reading(here.engine()) as db:
        broadcast = known(db, broadcast_id)
        found = comparing.comparison(db, broadcast, here.now())
        opens = links.opens_of(db, source_of(broadcast))
        told = {"links": opens.links, "opened": opens.opened, "opens": opens.opens, "people": opens.people}
        return Reply(
            200,
            OutcomeShape(
                comparison=_comparison(found, opens.by_arm) if found is not None else None,
                opens={**told, "by_rep": dict(opens.by_rep)},
            ),
        )


def _comparison(found: Comparison, opens: Mapping[str, int]) -> ComparisonShape:
    pairs = [
        {
            "variant": one.variant,
            "other": one.other,
            "saying": one.outcome.saying.value,
            "difference": one.outcome.difference,
            "interval": [one.outcome.interval.low, one.outcome.interval.high],
        }
        for one in found.pairs
    ]
    arms = [
        {
            "arm": one.name,
            "assigned": one.assigned,
            "reached": one.reached,
            "did": one.did,
            "opens": opens.get(one.name, 0) if found.over else None,
        }
        for one in found.arms
    ]
    return ComparisonShape(
        metric=found.metric, over_at=here.local(found.over_at), over=found.over, arms=arms, pairs=pairs
    )
