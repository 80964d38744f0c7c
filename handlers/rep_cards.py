"""The longer answers of the bot for reps: a customer in a few lines, today's list, the choice between several.

Whatever customers and reps have written stands in them through ``people.tasks.plain``: one line, no link.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from handlers import rep_words as words
from loyalty import accounts, tiers
from outreach import day_list, day_words
from people import access, directory, persons, tasks, today, unfinished, when
from people.access import Sight
from people.directory import Picture
from people.tasks import plain
from people.unfinished import Unfinished
from storage.tables import Identity, Member, Person, Relation, RelationTag, Welcome
from storage.work import Work
from wecom.commands import MAX_BUTTONS, TellRep, buttons_to, text_to, textcard_to

LIVING = ("active", "half")
LAST = {
    "kf_in": "在微信客服发来消息",
    "kf_out": "在微信客服收到回复",
    "forwarded": "说的话被转发",
    "note": "有了新备注",
    "welcomed": "收到欢迎语",
    "added": "添加好友",
}
"""What counts as contact, and how it is said."""
TAGS_SHOWN, REASON = 4, 12
NAMES_SHOWN, UNFINISHED_SHOWN, TASKS_SHOWN = 8, 8, 10


@dataclass(frozen=True)
class Rep:
    """Whoever writes to the bot, and whom they may see."""

    member: Member
    sight: Sight

    @property
    def userid(self) -> str:
        """As WeCom spells it."""
        return self.member.userid


def name_of(person: Person, relation: Relation | None = None) -> str:
    """A customer's name as it may stand in a message, perhaps with the remark behind it."""
    name = plain(person.name, 20) or f"未知姓名 {persons.public_id(person.id)}"
    remark = plain(relation.remark or "", 20) if relation is not None else ""
    return f"{name}（{remark}）" if remark and remark != name else name


def own_relation(rep: Rep, relations: Sequence[Relation]) -> Relation | None:
    """The relation to show: the rep's own where there is one, a living one before one that ended."""
    ranked = sorted(relations, key=lambda one: (one.userid != rep.userid, one.state not in LIVING))
    return ranked[0] if ranked else None


# --- one customer ----------------------------------------------------------------------------------------------------


def customer(rep: Rep, person: Person, work: Work) -> TellRep:
    """Who this is and what to do next: a card that leads to the person's page. WeCom shows 512 bytes of it."""
    picture = directory.picture(work.db, rep.sight, person)
    relation = own_relation(rep, picture.relations)
    lines = [
        "已退订，不再主动联系" if person.opted_out else "",
        _standing(rep, picture, relation, work),
        _points(rep, person, relation, work),
        _next(rep, picture, work),
        _tags(picture),
        _last(rep, person, work),
    ]
    path = f"/customers/{persons.public_id(person.id)}"
    description = "\n".join(line for line in lines if line)
    return textcard_to(rep.userid, name_of(person, relation), description, path, "打开")


def _standing(rep: Rep, picture: Picture, relation: Relation | None, work: Work) -> str:
    owner = picture.person.owner
    parts = [f"负责人 {plain(persons.rep_name(work.db, owner), 10)}" if owner and rep.sight.rep(owner) else ""]
    if relation is not None:
        if relation.added_at is not None:
            parts.append(f"{_day(relation.added_at, work)}起" + ("" if relation.state in LIVING else "，已解除"))
        if relation.channel_id in picture.channels:
            parts.append(f"渠道 {plain(picture.channels[relation.channel_id].name, 12)}")
    return " · ".join(part for part in parts if part)


def _next(rep: Rep, picture: Picture, work: Work) -> str:
    userids = None if rep.sight.everybody else sorted(rep.sight.userids)
    ahead = [in_words(one) for one in unfinished.of(picture, work.now)[:2]]
    ahead += [tasks.line(one, work) for one in tasks.open_about(work.db, picture.person, userids, limit=2)]
    return "下一步 " + ("；".join(ahead) if ahead else "没有没做完的事")


def _points(rep: Rep, person: Person, relation: Relation | None, work: Work) -> str:
    """Of the rep's own customer; of others' nothing."""
    return points_line(person, work) if relation is not None and relation.userid == rep.userid else ""


def points_line(person: Person, work: Work) -> str:
    """What somebody has in points, which level, and what ends next; empty where there never were any."""
    anchors = persons.anchors(work.db, person.id)
    standing = accounts.standing_of(work.db, anchors, work.now)
    if not standing.lots and not standing.debt:
        return ""
    parts = [f"积分 {standing.available}", tiers.at(work.db, accounts.accounts_of(work.db, anchors), work.now).name]
    ends = standing.ends(work.now, work.zone)
    parts += [f"{ends[0][0].month}月{ends[0][0].day}日后过期 {ends[0][1]}"] if ends else []
    parts += [f"欠 {standing.debt}"] if standing.debt else []
    return " · ".join(parts)


def _tags(picture: Picture) -> str:
    shown = [f"{plain(one.tag.name, 10)}（{plain(one.because, REASON)}）" for one in picture.tags[:TAGS_SHOWN]]
    more = len(picture.tags) - len(shown)
    return f"标签 {'、'.join(shown)}{f' 等 {more + len(shown)} 个' if more else ''}" if shown else ""


def _last(rep: Rep, person: Person, work: Work) -> str:
    story, _ = directory.story(work.db, rep.sight, person, limit=1, kinds=tuple(LAST))
    return f"最近 {_day(story[0].at, work)}{LAST[story[0].kind]}" if story else ""


def _day(at: datetime, work: Work) -> str:
    local, now = at.astimezone(work.zone), work.now.astimezone(work.zone)
    year = "" if local.year == now.year else f"{local.year}年"
    return f"{year}{local.month}月{local.day}日"


def in_words(one: Unfinished) -> str:
    """Something unfinished as a rep reads it."""
    if one.kind == unfinished.HALF:
        return "对方已加你，等你通过"
    if one.kind == unfinished.TAG:
        return f"标签 {plain(one.words, 20)} 没能写进企业微信"
    return "欢迎语没发出去，可以先打个招呼"


# --- today -----------------------------------------------------------------------------------------------------------


def todays(rep: Rep, work: Work) -> TellRep:
    """Today's list, new customers, what is unfinished, and the tasks that are due, as a text."""
    start, end = today.bounds(work.now.astimezone(work.zone).date(), work.zone)
    found = day_list.of(work, rep.userid)
    day_list.seen(work, found)
    lines = [
        when.in_words(work.now, work.now, work.zone).rpartition("）")[0] + "）",
        *day_words.in_bot(work, found),
        *_new_today(rep, start, end, work.db),
        *_unfinished(rep, work),
        *_due(rep, end, work),
    ]
    return text_to(rep.userid, "\n".join(lines))


def _new_today(rep: Rep, start: datetime, end: datetime, db: Session) -> list[str]:
    came = select(Relation.person_id).where(
        Relation.added_at >= start,
        Relation.added_at < end,
        Relation.state.in_(LIVING),
        rep.sight.reps(Relation.userid.expression),
    )
    asked = (
        select(Person).where(Person.id.in_(came), rep.sight.people()).order_by(Person.last_seen_at.desc(), Person.id)
    )
    people = db.scalars(asked).all()
    if not people:
        return ["今天还没有新客户"]
    names = "、".join(name_of(one) for one in people[:NAMES_SHOWN])
    return [f"新客户 {len(people)} 位：{names}{' 等' if len(people) > NAMES_SHOWN else ''}"]


def _unfinished(rep: Rep, work: Work) -> list[str]:
    lines: list[str] = []
    for person in _with_something_unfinished(rep, work):
        picture = directory.picture(work.db, rep.sight, person)
        lines += [f"· {name_of(person)}：{in_words(one)}" for one in unfinished.of(picture, work.now)]
    shown = lines[:UNFINISHED_SHOWN]
    return ["没做完的事：", *shown, *(["· ……"] if len(lines) > len(shown) else [])] if lines else []


def _with_something_unfinished(rep: Rep, work: Work) -> Sequence[Person]:
    """Who may have something unfinished; what it is, if anything, their picture tells."""
    reps = rep.sight.reps(Relation.userid.expression)
    half = select(Relation.person_id).where(Relation.state == "half", reps)
    refused = (
        select(Relation.person_id)
        .join(RelationTag, RelationTag.relation_id == Relation.id)
        .where(RelationTag.at_wecom == "refused", RelationTag.wanted.is_(True), Relation.state == "active", reps)
    )
    failed = (
        select(Identity.person_id)
        .join(Welcome, Welcome.external_userid == Identity.value)
        .where(
            Identity.type == persons.EXTERNAL,
            Welcome.outcome.in_(unfinished.FAILED),
            Welcome.event_at >= work.now - unfinished.LATELY,
            rep.sight.reps(Welcome.userid.expression),
        )
    )
    some = or_(Person.id.in_(half), Person.id.in_(refused), Person.id.in_(failed))
    asked = select(Person).where(some, rep.sight.people()).order_by(Person.last_seen_at.desc(), Person.id.desc())
    return work.db.scalars(asked.limit(2 * UNFINISHED_SHOWN)).all()


def _due(rep: Rep, end: datetime, work: Work) -> list[str]:
    due = tasks.open_of(work.db, rep.userid, until=end, limit=TASKS_SHOWN)
    later = tasks.open_of(work.db, rep.userid, limit=TASKS_SHOWN + len(due))[len(due) :]
    lines = ["到期的待办：", *(tasks.line(one, work) for one in due)] if due else ["今天没有到期的待办"]
    return [*lines, "之后的待办：", *(tasks.line(one, work) for one in later)] if later else lines


# --- the choice ------------------------------------------------------------------------------------------------------


def choice(rep: Rep, people: Sequence[Person], task_id: str, said: str, work: Work) -> TellRep:
    """A card with up to six of these people, each told apart by remark, since when, and the end of the phone number."""
    shown = people[:MAX_BUTTONS]
    relations = _relations(rep, [one.id for one in shown], work.db)
    rows, buttons = [], []
    for number, person in enumerate(shown, start=1):
        relation = own_relation(rep, relations.get(person.id, []))
        rows.append((str(number), _told_apart(person, relation, work)))
        label = plain((relation.remark if relation else None) or person.name, 10) or persons.public_id(person.id)
        buttons.append((f"{number} {label}", persons.public_id(person.id)))
    more = len(people) - len(shown)
    about = words.MORE_PEOPLE.format(more=more) if more else words.CHOOSE_FOR.format(text=plain(said, 40))
    return buttons_to(rep.userid, task_id, words.CHOOSE, about, rows, buttons)


def _relations(rep: Rep, person_ids: Sequence[int], db: Session) -> dict[int, list[Relation]]:
    found: dict[int, list[Relation]] = {}
    asked = select(Relation).where(Relation.person_id.in_(person_ids), rep.sight.reps(Relation.userid.expression))
    for one in db.scalars(asked.order_by(Relation.id)):
        found.setdefault(one.person_id, []).append(one)
    return found


def _told_apart(person: Person, relation: Relation | None, work: Work) -> str:
    parts = [name_of(person, relation)]
    if relation is not None and relation.added_at is not None:
        parts.append(f"{_day(relation.added_at, work)}添加" + ("" if relation.state in LIVING else "，已解除"))
    if person.phone:
        parts.append(access.masked(person.phone) or "")
    return " · ".join(parts)


AGE = timedelta(hours=72)
"""So long a card may be changed (update_template_card), and so long a choice counts."""
