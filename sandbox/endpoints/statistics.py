"""What a member's chats come to, day by day: get_user_behavior_data.

The figures of a day can be read the next morning; a day of Shanghai begins at its midnight.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sandbox.call import Call
from sandbox.errors import Refusal
from sandbox.facts import ChatLine, Json, Relation
from sandbox.knobs import DAY, HOUR, SHANGHAI

MOST = 100
MOST_DAYS, OLDEST_DAYS = 30, 180


@dataclass(slots=True)
class Tally:
    """One day's figures of some members."""

    chats: int = 0
    messages: int = 0
    asked: int = 0
    """Chats the customer began."""
    waits: list[float] = field(default_factory=list)
    """Seconds until the first answer, of those that were answered that day."""
    losses: int = 0
    applied: int = 0
    contacts: set[tuple[str, str]] = field(default_factory=set)

    def as_json(self, day: int) -> Json:
        """A row of the answer; without chats begun by customers there is nothing to say of replies."""
        replies: Json = {}
        if self.asked:
            replies["reply_percentage"] = round(100 * len(self.waits) / self.asked, 2)
        if self.waits:
            replies["avg_reply_time"] = round(sum(self.waits) / len(self.waits) / 60)
        return {
            "stat_time": day,
            "chat_cnt": self.chats,
            "message_cnt": self.messages,
            **replies,
            "negative_feedback_cnt": self.losses,
            "new_apply_cnt": self.applied,
            "new_contact_cnt": len(self.contacts),
        }


def get_user_behavior_data(call: Call) -> Json:
    """One row a day, for all members asked for together."""
    first, last = span(call)
    userids = members(call)
    ready = [day for day in range(first, last + 1, DAY) if day <= latest_ready(call)]
    tallies: defaultdict[int, Tally] = defaultdict(Tally)
    for userid in userids:
        for row in call.world.relations.by_member.get(userid, ()):
            count_relation(tallies, row)
    for pair, lines in call.world.chats.items():
        if pair[0] in userids:
            count_chat(tallies, pair, lines)
    return {"behavior_data": [tallies[day].as_json(day) for day in ready]}


def span(call: Call) -> tuple[int, int]:
    """The first and the last day asked for."""
    first, last = day_of(call.number("start_time")), day_of(call.number("end_time"))
    oldest = day_of(call.world.second() - OLDEST_DAYS * DAY)
    if not oldest <= first <= last or last - first > MOST_DAYS * DAY:
        raise Refusal(40058, "at most 30 days, of the last 180")
    return first, last


def members(call: Call) -> set[str]:
    """The members asked for, by userid and by department."""
    userids, parties = call.texts("userid", most=MOST), call.body.get("partyid") or []
    if not isinstance(parties, list) or not all(isinstance(one, int) for one in parties) or len(parties) > MOST:
        raise Refusal(40058)
    if not userids and not parties:
        raise Refusal(40058, "userid and partyid are both empty")
    if any(one not in call.world.departments for one in parties):
        raise Refusal(60123)
    below = (one.userid for party in parties for one in call.world.members_below(party))
    return {*(call.world.visible_member(one).userid for one in userids), *below}


def latest_ready(call: Call) -> int:
    """The latest day whose figures are there: yesterday, from the morning on."""
    return day_of(call.world.second() - call.world.limits.statistics_ready_hour * HOUR) - DAY


def day_of(at: float) -> int:
    """The midnight a day began with, in Shanghai."""
    return (int(at) + SHANGHAI) // DAY * DAY - SHANGHAI


def count_relation(tallies: defaultdict[int, Tally], row: Relation) -> None:
    """An arrival counts on its day; when the rep has asked for it, that counts too."""
    if row.status == "half":
        return
    tally = tallies[day_of(row.createtime)]
    tally.contacts.add((row.userid, row.external_userid))
    tally.applied += row.oper_userid == row.userid


def count_chat(tallies: defaultdict[int, Tally], pair: tuple[str, str], lines: Iterable[ChatLine]) -> None:
    """What was said in a chat, each day for itself."""
    for day, said in by_day(lines):
        tally = tallies[day]
        notices = [one.text for one in said if one.who == "notice"]
        if "befriended" in notices:
            tally.contacts.add(pair)
        tally.losses += notices.count("customer_deleted")
        count_words(tally, [one for one in said if one.who in ("customer", "rep")])


def count_words(tally: Tally, said: list[ChatLine]) -> None:
    """The words of one chat on one day: a chat counts for the rep when he has written."""
    by_rep = [one for one in said if one.who == "rep"]
    tally.messages += len(by_rep)
    tally.chats += bool(by_rep)
    if said and said[0].who == "customer":
        tally.asked += 1
        if by_rep:
            tally.waits.append(by_rep[0].at - said[0].at)


def by_day(lines: Iterable[ChatLine]) -> Iterator[tuple[int, list[ChatLine]]]:
    """The lines of a chat, day by day."""
    days: defaultdict[int, list[ChatLine]] = defaultdict(list)
    for one in lines:
        days[day_of(one.at)].append(one)
    yield from days.items()
