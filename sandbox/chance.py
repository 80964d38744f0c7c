"""Days in which chance moves the corp: what happens in a real shop while nobody looks.

`World.random_week` plays them on a clock moved by hand. Nothing here knows the product; what it has missed, it must
find out. The same seed and the same world give the same days.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from sandbox.clock import ManualClock
from sandbox.facts import KF_ENDED, KF_HUMAN, KF_POOL, Customer, KfAccount, Member, Relation
from sandbox.knobs import DAY

if TYPE_CHECKING:
    from sandbox.world import World

ACTS_A_DAY = 40
NAMES = ("小满", "阿木", "青禾", "安然", "木木", "石头", "Kiki", "罗老师", "冬青", "团团", "大牛", "苏打")
TAG_NAMES = ("燕麦", "冷萃", "不加糖", "带宠物", "学生", "会员日", "新品", "手冲课", "挂耳", "深烘", "浅烘", "外送")
GROUP_NAMES = ("口味", "到店", "兴趣", "来源", "节日")
KF_WORDS = ("你们几点开门", "订单什么时候到", "可以开发票吗", "在吗", "有没有无糖的", "谢谢")

Row = TypeVar("Row")


@dataclass(slots=True)
class Days:
    """Some days under way: whose chance it is, and what has happened so far."""

    world: "World"
    chance: random.Random
    deeds: list[str] = field(default_factory=list)
    hired: int = 0

    def one_of(self, rows: Iterable[Row]) -> Row | None:
        """Anyone of them, or nobody where there is nobody."""
        found = list(rows)
        return self.chance.choice(found) if found else None

    def some_of(self, rows: Iterable[Row], most: int) -> list[Row]:
        """A few of them."""
        found = list(rows)
        return self.chance.sample(found, min(len(found), self.chance.randint(1, most)))

    def reps(self) -> list[Member]:
        """Those who can have customers."""
        return [one for one in self.world.members.values() if one.can_have_customers()]

    def rows(self, *statuses: str) -> list[Relation]:
        """The relations in one of these states, of members who are still there."""
        there = {one.userid for one in self.reps()}
        return [row for row in self.world.relations.all() if row.status in statuses and row.userid in there]

    def free_name(self, names: Sequence[str], taken: Iterable[str]) -> str:
        """A name that nothing has yet."""
        used = set(taken)
        found = self.one_of(name for name in names if name not in used)
        return found or f"{self.chance.choice(names)}{self.chance.randrange(1000):03d}"


Deed = Callable[[Days], bool]
"""Does something, or nothing (False) where there is nobody to do it to."""


def play(world: "World", chance: random.Random, days: int = 7, acts_a_day: int = ACTS_A_DAY) -> list[str]:
    """Let so many days pass, with so many acts each; the names of what happened, in order."""
    clock = world.clock
    if not isinstance(clock, ManualClock):
        raise ValueError("only a clock moved by hand can let days pass")
    now = Days(world, chance)
    names, weights = list(DEEDS), [weight for weight, _ in DEEDS.values()]
    for _ in range(days):
        moments = sorted(chance.uniform(0, DAY) for _ in range(acts_a_day))
        for before, moment in zip([0.0, *moments], moments, strict=False):
            clock.advance(moment - before)
            name = chance.choices(names, weights)[0]
            if DEEDS[name][1](now):
                now.deeds.append(name)
        clock.advance(DAY - moments[-1] if moments else DAY)
    return now.deeds


# --- arrivals and partings ------------------------------------------------------------------------------------


def arrive(now: Days) -> bool:
    """A stranger scans a code, or is added by phone where there is none."""
    way = now.one_of(one for one in now.world.contact_ways.values() if now.world.reps_of(one))
    name = now.chance.choice(NAMES)
    if way is not None and now.chance.random() < 0.8:
        return now.world.scan(way.config_id, name).outcome != "nothing"
    rep = now.one_of(now.reps())
    if rep is not None:
        now.world.add_by_phone(rep.userid, name)
    return rep is not None


def second_rep(now: Days) -> bool:
    """Somebody's customer is added by another rep, too."""
    customer, rep = now.one_of(now.world.customers.values()), now.one_of(now.reps())
    if customer is None or rep is None or is_friend(now, rep, customer):
        return False
    now.world.add_by_phone(rep.userid, external_userid=customer.external_userid)
    return True


def is_friend(now: Days, rep: Member, customer: Customer) -> bool:
    """Whether the two are friends already."""
    row = now.world.relations.find(rep.userid, customer.external_userid)
    return row is not None and row.status == "active"


def customer_leaves(now: Days) -> bool:
    """A customer deletes his rep."""
    row = now.one_of(now.rows("active"))
    if row is not None:
        now.world.customer_deletes(row.userid, row.external_userid)
    return row is not None


def rep_deletes(now: Days) -> bool:
    """A rep deletes a customer."""
    row = now.one_of(now.rows("active", "customer_deleted"))
    if row is not None:
        now.world.member_deletes(row.userid, row.external_userid)
    return row is not None


def return_(now: Days) -> bool:
    """Somebody who was deleted comes back to the same rep."""
    row = now.one_of(now.rows("customer_deleted", "member_deleted"))
    if row is not None:
        now.world.add_by_phone(row.userid, external_userid=row.external_userid)
    return row is not None


# --- what reps note, and say ----------------------------------------------------------------------------------


def tag_customer(now: Days) -> bool:
    """A rep puts a corp tag on, or takes one off."""
    row, tag_id = now.one_of(now.rows("active", "customer_deleted")), now.one_of(now.world.tags)
    if row is None or tag_id is None:
        return False
    worn = [one for one in row.tag_ids if one in now.world.tags]
    off = now.one_of(worn) if now.chance.random() < 0.35 else None
    if off is not None:
        now.world.rep_tags(row.userid, row.external_userid, remove=[off])
    else:
        now.world.rep_tags(row.userid, row.external_userid, add=[tag_id])
    return True


def tag_for_himself(now: Days) -> bool:
    """A rep changes his own tags on a customer."""
    row = now.one_of(now.rows("active", "customer_deleted"))
    if row is None:
        return False
    wanted = [("我的", name) for name in now.some_of(TAG_NAMES, 3)] if now.chance.random() < 0.8 else []
    now.world.rep_tags(row.userid, row.external_userid, personal=wanted)
    return True


def note(now: Days) -> bool:
    """A rep edits a remark, a description, or phone numbers (which nobody is told of)."""
    row = now.one_of(now.rows("active", "customer_deleted"))
    if row is None:
        return False
    number = now.chance.randrange(10_000)
    changes = ({"remark": f"{row.customer.name} {number}"}, {"description": f"喜欢 {number} 号豆"})
    if now.chance.random() < 0.8:
        now.world.edit_remark(row.userid, row.external_userid, **now.chance.choice(changes))
    else:
        now.world.edit_remark(row.userid, row.external_userid, mobiles=[f"1390000{number:04d}"])
    return True


def talk(now: Days) -> bool:
    """A customer writes to his rep, who mostly answers."""
    row = now.one_of(now.rows("active"))
    if row is None:
        return False
    now.world.chat(row.userid, row.external_userid, now.chance.choice(KF_WORDS), "customer")
    if now.chance.random() < 0.7:
        pause(now, 600)
        now.world.chat(row.userid, row.external_userid, "好的", "rep")
    return True


def pause(now: Days, seconds: float) -> None:
    """A moment between two words. It comes on top of the day, which nobody minds."""
    now.world.clock.sleep(now.chance.uniform(1, seconds))


# --- tags in the console --------------------------------------------------------------------------------------


def new_tags(now: Days) -> bool:
    """The office makes a tag, or a group with its first one."""
    group = now.chance.choice(GROUP_NAMES)
    known = now.world.group_named(group)
    taken = [tag.name for tag in known.tags.values()] if known else []
    now.world.console_tags(group, [now.free_name(TAG_NAMES, taken)])
    return True


def rename_tag(now: Days) -> bool:
    """The office renames a tag, or a group."""
    tag_id = now.one_of(now.world.tags)
    if tag_id is None:
        return False
    group, _ = now.world.tags[tag_id]
    if now.chance.random() < 0.3:
        groups = (one.name for one in now.world.tag_groups.values())
        now.world.console_rename_group(group.id, now.free_name(GROUP_NAMES, groups))
    else:
        siblings = (one.name for one in group.tags.values())
        now.world.console_rename_tag(tag_id, now.free_name(TAG_NAMES, siblings))
    return True


def delete_tag(now: Days) -> bool:
    """The office deletes a tag, and seldom a whole group."""
    tag_id = now.one_of(now.world.tags)
    if tag_id is None:
        return False
    if now.chance.random() < 0.15:
        now.world.console_delete_group(now.world.tags[tag_id][0].id)
    else:
        now.world.console_delete_tag(tag_id)
    return True


def shuffle_tags(now: Days) -> bool:
    """The office reorders the tags of a group, or the groups."""
    group_id = now.one_of(now.world.tag_groups)
    if group_id is not None:
        now.world.console_shuffle("" if now.chance.random() < 0.2 else group_id)
    return group_id is not None


# --- members --------------------------------------------------------------------------------------------------


def hire(now: Days) -> bool:
    """A new member joins."""
    now.hired += 1
    number = len(now.world.members) + 1
    department = now.one_of(now.world.departments) or 1
    now.world.hire(Member(f"new{number:03d}", f"新人{number:03d}", (department,), "咖啡师"))
    return True


def leave(now: Days) -> bool:
    """A member leaves the corp, as long as two are left to do the work."""
    reps = now.reps()
    if len(reps) <= 2:
        return False
    now.world.dismiss_member(now.chance.choice(reps).userid)
    return True


def inherit(now: Days) -> bool:
    """The office gives a customer to another rep, now and then."""
    row, rep = now.one_of(now.rows("active")), now.one_of(now.reps())
    if row is None or rep is None or rep.userid == row.userid or is_friend(now, rep, row.customer):
        return False
    now.world.transfer(row.userid, rep.userid, row.external_userid)
    return True


# --- groups ---------------------------------------------------------------------------------------------------


def open_group(now: Days) -> bool:
    """A rep opens a group with a few of his customers."""
    rep = now.one_of(now.reps())
    if rep is None:
        return False
    friends = [row.external_userid for row in now.rows("active") if row.userid == rep.userid]
    now.world.open_group(rep.userid, f"{rep.name}的豆友群", now.some_of(friends, 5))
    return True


def join_group(now: Days) -> bool:
    """Some join a group together, by its code or invited."""
    chat_id = now.one_of(now.world.groups)
    if chat_id is None:
        return False
    inside = {one.id for one in now.world.group(chat_id).members}
    new = now.some_of((one for one in now.world.customers if one not in inside), 3)
    now.world.join_group(chat_id, new, scene=now.chance.choice((0, 3)))
    return bool(new)


def leave_group(now: Days) -> bool:
    """Somebody leaves a group, or is removed."""
    chat_id = now.one_of(now.world.groups)
    guests = [one.id for one in now.world.group(chat_id).members if one.type == 2] if chat_id else []
    if chat_id is None or not guests:
        return False
    now.world.leave_group(chat_id, now.some_of(guests, 2), scene=now.chance.choice((0, 1)))
    return True


def change_group(now: Days) -> bool:
    """A group is renamed, and seldom dissolved."""
    chat_id = now.one_of(now.world.groups)
    if chat_id is None:
        return False
    if now.chance.random() < 0.3:
        now.world.dismiss_group(chat_id)
    else:
        now.world.rename_group(chat_id, f"豆友群 {now.chance.randrange(100)}")
    return True


# --- 微信客服 ---------------------------------------------------------------------------------------------------


def ask_kf(now: Days) -> bool:
    """A customer, known or new, opens a 微信客服 chat and writes."""
    account = now.one_of(now.world.kf_accounts.values())
    if account is None:
        return False
    known = now.one_of(now.world.customers) if now.chance.random() < 0.6 else None
    visit = now.world.kf_enter(account.open_kfid, now.chance.choice(NAMES), known, scene="week")
    for _ in range(now.chance.randint(0, 3)):
        pause(now, 60)
        now.world.kf_say(account.open_kfid, visit.external_userid, now.chance.choice(KF_WORDS))
    return True


def serve_kf(now: Days) -> bool:
    """A servicer takes somebody out of the pool, answers, or ends."""
    account = now.one_of(now.world.kf_accounts.values())
    if account is None:
        return False
    sessions = [one for one in now.world.kf_sessions.values() if one.open_kfid == account.open_kfid]
    states = {one.external_userid: now.world.state_of_session(one) for one in sessions}
    waiting = now.one_of(ext for ext, state in states.items() if state in (KF_POOL, KF_HUMAN))
    return waiting is not None and serve(now, account, waiting, states[waiting])


def serve(now: Days, account: KfAccount, external_userid: str, state: int) -> bool:
    """What a servicer does with a customer in this state."""
    open_kfid, servicer = account.open_kfid, now.one_of(account.servicers)
    if servicer is None:
        return False
    if state == KF_POOL:
        now.world.kf_take(open_kfid, servicer, external_userid)
    elif now.chance.random() < 0.5:
        now.world.kf_end(open_kfid, external_userid)
    else:
        holder = now.world.kf_session(open_kfid, external_userid).servicer
        now.world.kf_servicer_says(open_kfid, holder, external_userid, "您好，马上为您查")
    return now.world.kf_state(open_kfid, external_userid) in (KF_HUMAN, KF_ENDED)


DEEDS: dict[str, tuple[int, Deed]] = {
    "arrive": (20, arrive),
    "second rep": (4, second_rep),
    "customer leaves": (8, customer_leaves),
    "rep deletes": (4, rep_deletes),
    "return": (6, return_),
    "tag": (14, tag_customer),
    "personal tag": (6, tag_for_himself),
    "note": (8, note),
    "talk": (14, talk),
    "new tag": (3, new_tags),
    "rename tag": (3, rename_tag),
    "delete tag": (2, delete_tag),
    "shuffle tags": (1, shuffle_tags),
    "hire": (1, hire),
    "leave": (1, leave),
    "inherit": (2, inherit),
    "open group": (2, open_group),
    "join group": (6, join_group),
    "leave group": (4, leave_group),
    "change group": (2, change_group),
    "ask kf": (8, ask_kf),
    "serve kf": (4, serve_kf),
}
"""What may happen, and how often against the rest."""
