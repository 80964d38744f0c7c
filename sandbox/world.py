"""The world: a whole corp in WeCom, ready to be used.

Build one with `World.small_shop()` (a coffee shop with its members and one app), `World.demo(...)` (the same with some
history) or `World(...)` and `add_app`, `add_member`. `populate` gives it a big past cheaply. What the world can be
asked and made to do is spread over the floors below: `js_client` (pages in the chat's toolbar), `mass` (企业群发),
`kf_actors` and `kf` (微信客服), `office` (members and apps), `rooms` (groups), `console` (tags), `actors` (customers,
reps), `events` (telling), `state` (looking up, knobs).
"""

import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from sandbox.actors import about, state_of
from sandbox.chance import ACTS_A_DAY, play
from sandbox.clock import Clock
from sandbox.facts import App, ContactWay, Customer, Department, Event, Media, Member
from sandbox.js_client import JsClient
from sandbox.knobs import Faults, Limits

AGENT_ID = 1000002
APP_SECRET = "sandbox-app-secret"  # noqa: S105  known to all, guards nothing
APP_TOKEN = "sandboxtoken"  # noqa: S105
AES_KEY = "c2FuZGJveC1hZXMta2V5LWZvci10aGUtc2hvcDAwMDA"
MP_APP_ID = "wx5a4d000000000001"
"""The shop's 公众号."""
MP_SECRET = "sandbox-mp-secret"  # noqa: S105
STAFF = (
    Member("zhangsan", "张三", (1, 2), "店长", 1, "13800000001", leads=(1, 2)),
    Member("lisi", "李四", (2,), "咖啡师", 2, "13800000002", direct_leader=("zhangsan",)),
    Member("wangwu", "王五", (2,), "咖啡师", 1, "13800000003", direct_leader=("zhangsan",)),
    Member("zhaoliu", "赵六", (3,), "会员顾问", 2, "13800000004", direct_leader=("zhangsan",), leads=(3,)),
    Member("sunqi", "孙七", (3,), "会员顾问", 2, "13800000005", direct_leader=("zhaoliu",)),
)
CUSTOMER_NAMES = ("小雨", "阿哲", "林夕", "陈晨", "周周", "大鹏", "Momo", "吴老师", "何叶", "乐乐", "老谢", "沈一一")


class World(JsClient):
    """A simulated corp."""

    @classmethod
    def small_shop(
        cls,
        clock: Clock | None = None,
        *,
        seed: int = 1,
        faults: Faults | None = None,
        limits: Limits | None = None,
        callback_url: str = "http://product.invalid/wecom/callback",
        base_url: str = "http://sandbox.invalid",
        home: str = "",
    ) -> "World":
        """豆子咖啡: two shops' worth of people, one app with customer contact, no customers yet."""
        world = cls(clock, seed=seed, faults=faults, limits=limits, corp_name="豆子咖啡", base_url=base_url)
        world.add_department(Department(2, "门店", 1, 200, ("zhangsan",)))
        world.add_department(Department(3, "会员服务", 1, 100, ("zhaoliu",)))
        for one in STAFF:
            world.add_member(copy_of(one))
        world.add_app(App(AGENT_ID, "私域助手", APP_SECRET, APP_TOKEN, AES_KEY, callback_url, home=home))
        return world

    @classmethod
    def demo(
        cls,
        clock: Clock | None = None,
        *,
        seed: int = 1,
        faults: Faults | None = None,
        limits: Limits | None = None,
        callback_url: str = "http://product.invalid/wecom/callback",
        base_url: str = "http://sandbox.invalid",
        home: str = "",
    ) -> "World":
        """The small shop after some weeks: console tags, a few customers, one code made by hand."""
        world = cls.small_shop(
            clock, seed=seed, faults=faults, limits=limits, callback_url=callback_url, base_url=base_url, home=home
        )
        world.mp_bound = True
        world.console_tags("口味", ("美式", "拿铁", "手冲"))
        world.console_tags("到店", ("工作日早上", "周末"))
        for number, name in enumerate(CUSTOMER_NAMES[:6]):
            world.remember(STAFF[1 + number % 4].userid, name, days_ago=40 - 6 * number, add_way=1 + number % 2)
        world.kf_account("豆子咖啡客服", ("lisi", "wangwu"))
        world.events.clear()
        return world

    def remember(self, userid: str, name: str, days_ago: float = 0, add_way: int = 1, state: str = "") -> Customer:
        """A customer from the past: nobody is told."""
        with self.lock:
            customer = self.new_customer(name)
            row = self.relations.add(
                self.member(userid).userid, customer, "active", int(self.clock.now() - days_ago * 86_400)
            )
            row.add_way, row.state, row.oper_userid, row.chatted = add_way, state, customer.external_userid, True
            return customer

    def past_scan(self, state: str, name: str, days_ago: float, left_days_ago: float | None = None) -> Customer:
        """A scan of the past of which the receivers hear only now, as after a long outage; perhaps they left since.

        Customer and rep have chatted meanwhile, so there is no welcome code. Raises `KeyError` for a code without reps.
        """
        with self.acting():
            way = self.way(state)
            reps = self.reps_of(way) if way else []
            if way is None or not reps:
                raise KeyError(state)
            way.turn += 1
            rep = reps[(way.turn - 1) % len(reps)]
            customer = self.remember(rep.userid, name, days_ago, state=way.state)
            row = self.relation(rep.userid, customer.external_userid)
            self.tell(about("add_external_contact", row, **state_of(row), CreateTime=row.createtime))
            if left_days_ago is not None:
                row.status = "customer_deleted"
                left_at = int(self.clock.now() - left_days_ago * 86_400)
                self.tell(about("del_follow_user", row, CreateTime=left_at))
            return customer

    def random_week(
        self, chance: random.Random | int, days: int = 7, *, heard: bool = True, acts_a_day: int = ACTS_A_DAY
    ) -> list[str]:
        """Let some days pass in which chance moves the corp; the names of what happened (see `chance`).

        Needs a clock moved by hand. With `heard=False` the receivers are away: what is told meanwhile never comes.
        """
        drawn = random.Random(chance) if isinstance(chance, int) else chance  # noqa: S311  chance, not secrecy
        with nullcontext() if heard else self.unheard():
            return play(self, drawn, days, acts_a_day)

    def make_way(
        self, users: Sequence[str], state: str = "", *, skip_verify: bool = True, remark: str = ""
    ) -> ContactWay:
        """A channel code without the API, for a world that should already have one."""
        with self.lock:
            kind = 1 if len(users) == 1 else 2
            way = ContactWay(
                self.new_hex(), self.second(), kind, 2, remark=remark, skip_verify=skip_verify, state=state
            )
            way.users = tuple(self.member(one).userid for one in users)
            self.contact_ways[way.config_id] = way
            return way

    def populate(self, relations: int, members: int = 0, tags_each: int = 0) -> None:
        """A big past: so many relations, spread over the reps, without events. More members first, if asked."""
        with self.lock:
            for number in range(members):
                self.add_member(Member(f"rep{number:04d}", f"成员{number:04d}", (2 if 2 in self.departments else 1,)))
            reps = [one.userid for one in self.members.values() if one.can_have_customers()]
            tag_ids = tuple(list(self.tags)[:tags_each])
            first, started = len(self.customers), self.second() - 400 * 86_400
            for number in range(relations):
                customer = past_customer(first + number)
                self.customers[customer.external_userid] = customer
                row = self.relations.add(
                    reps[number % len(reps)], customer, "active", started + 80 * number % 34_560_000
                )
                row.oper_userid, row.tag_ids, row.chatted = customer.external_userid, tag_ids, True

    def event(self, number: int) -> Event:
        """A recent event by its number."""
        return next(one for one in self.events if one.id == number)

    def keep_picture(self, data: bytes, content_type: str) -> str:
        """Keep an uploaded picture for good; its address."""
        with self.lock:
            name = self.new_hex(24)
            self.pictures[name] = Media(name, "image", name, content_type, data, self.clock.now())
            return f"{self.base_url}/img/{name}"


def copy_of(member: Member) -> Member:
    """Each world has people of its own."""
    return replace(member)


def past_customer(number: int) -> Customer:
    """The nth customer of a big past, always the same."""
    name = CUSTOMER_NAMES[number % len(CUSTOMER_NAMES)]
    return Customer(f"wmSandboxPastAAAAAAAAAAAA{number:08d}", name, gender=number % 3)
