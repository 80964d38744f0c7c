"""A chat of 微信客服 from its first word to its satisfaction; and a random hour in which WeCom's rules never break."""

import random
from collections import defaultdict
from collections.abc import Callable

import pytest

from people import conversations
from people.conversations import ENDED, HUMAN, NEW, POOL, CannotSend, Message
from sandbox.knobs import Faults
from soak import FULL
from storage.tables import Conversation, InboxRow, Interaction, KfAccount, OutboxRow, Person
from tests.handlers.kf_desk import HOURS, open_desk, refusals
from tests.shop import Shop

MINUTE = 60
BROKEN_RULES = (95001, 95002, 95018)


def test_from_hello_to_five_stars(shop: Shop) -> None:
    world, desk = shop.world, open_desk(shop)
    desk.answer("营业时间", HOURS)
    desk.set(welcome={"text": "欢迎来到豆子咖啡，想了解什么？", "menu": ["营业时间", "转人工"]}, asks_satisfaction=True)

    desk.enter("小雨", scene="poster", scene_param="shop=2")
    desk.say("你们周末几点开门？")
    world.kf_send_file(desk.account, desk.customer, "image")
    desk.say("转人工")
    assert desk.chat().state == POOL
    shop.advance(seconds=20)
    world.kf_take(desk.account, "lisi", desk.customer)
    world.kf_servicer_says(desk.account, "lisi", desk.customer, "您好，我是李四，图片收到了")
    desk.say("好的，谢谢")
    assert (desk.chat().state, desk.chat().servicer) == (HUMAN, "lisi")
    world.kf_end(desk.account, desk.customer)
    shop.catch_up()
    assert desk.chat().state == ENDED
    shop.advance(seconds=8)
    world.kf_click(desk.account, desk.customer, "rate:5")
    shop.catch_up()

    assert desk.replies() == [
        "欢迎来到豆子咖啡，想了解什么？",
        HOURS,
        "正在为您转接人工客服，请稍候。",
        "请为本次服务打分：",
        "谢谢您的评价！",
    ]
    assert (desk.chat().rating, desk.chat().state) == (5, NEW)
    assert desk.person().name == "小雨"
    told = [(one.kind, one.details.get("text") or one.details["type"]) for one in desk.story()]
    assert ("kf_event", "enter_session") in told
    assert ("kf_out", "您好，我是李四，图片收到了") in told
    assert ("kf_in", "好的，谢谢") in told
    assert refusals(shop) == []
    assert {one.state for one in shop.rows(OutboxRow)} == {"done"}


class Hour:
    """Customers, servicers and people of ours, doing whatever they please."""

    SAYINGS = (
        "几点开门",
        "多少钱",
        "在吗",
        "转人工",
        "退订",
        "恢复订阅",
        "豆单",
        "😀",
        "几点",
        "5",
        HOURS,
        "谢谢",
        "批发价格",
    )

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop, self.world, self.chance = shop, shop.world, random.Random(seed)
        self.desks = [open_desk(shop, ("lisi", "wangwu"), name) for name in ("售前", "售后")]
        for one in self.desks:
            one.set(welcome={"text": "欢迎", "menu": ["营业时间"]}, asks_satisfaction=True)
        first = self.desks[0]
        first.answer("营业时间", HOURS)
        first.answer("价格", "见价目表", definition={"any_keywords": ["多少钱", "价格"]}, menu=("营业时间", "转人工"))
        first.answer("豆单", "稍等，请同事发您", definition={"any_keywords": ["豆单"]}, hand_over=True)
        self.written = 0

    def run(self, acts: int, longest_pause: float) -> None:
        """So many acts, each followed by a pause in which we may or may not come to work."""
        kinds: list[tuple[Callable[[str], None], int]] = [
            (self.enters, 3),
            (self.says, 10),
            (self.clicks, 2),
            (self.servicer_acts, 6),
            (self.one_of_us_writes, 6),
            (self.one_of_us_hands_over, 1),
        ]
        for _ in range(acts):
            act = self.chance.choices([one for one, _ in kinds], [weight for _, weight in kinds])[0]
            act(self.chance.choice(self.desks).account)
            if self.chance.random() < 0.7:
                self.shop.catch_up()
            self.shop.advance(seconds=self.chance.choice((0, 0.2, 1, 5, self.chance.uniform(0, longest_pause))))
            if self.chance.random() < 0.1:
                self.shop.tick()

    def customer(self, account: str) -> str | None:
        own = [external for kfid, external in self.world.kf_sessions if kfid == account]
        return self.chance.choice(own) if own else None

    def enters(self, account: str) -> None:
        known = self.customer(account)
        if known is None or (self.chance.random() < 0.2 and len(self.world.kf_sessions) < 12):
            self.world.kf_enter(account, f"客户{len(self.world.kf_sessions)}")
        else:
            self.world.kf_enter(account, external_userid=known)

    def says(self, account: str) -> None:
        if customer := self.customer(account):
            self.world.kf_say(account, customer, self.chance.choice(self.SAYINGS))

    def clicks(self, account: str) -> None:
        customer = self.customer(account)
        lines = self.world.kf_chat(account, customer) if customer else []
        entries = [one["click"]["id"] for line in lines for one in line.content.get("list", ())]
        if customer and entries:
            self.world.kf_click(account, customer, self.chance.choice(entries))

    def servicer_acts(self, account: str) -> None:
        customer = self.customer(account)
        if customer is None:
            return
        state, world = self.world.kf_state(account, customer), self.world
        servicer = self.chance.choice(("lisi", "wangwu"))
        session = world.kf_session(account, customer)
        if state == POOL or (state == ENDED and world.kf_window_open(session) and self.chance.random() < 0.3):
            world.kf_take(account, servicer, customer)
        elif state == HUMAN:
            deeds: tuple[Callable[[], object], ...] = (
                lambda: world.kf_servicer_says(account, session.servicer, customer, "在的"),
                lambda: world.kf_pass_on(account, customer, servicer),
                lambda: world.kf_end(account, customer),
            )
            self.chance.choice(deeds)()
        elif self.chance.random() < 0.2:
            world.kf_receiving(account, servicer, on=self.chance.random() < 0.7)

    def one_of_us_writes(self, account: str) -> None:
        self.written += 1
        chats = self.shop.rows(Conversation, Conversation.open_kfid == account)
        if not chats:
            return
        number = self.chance.choice(chats).id
        for turn in range(self.chance.choice((1, 1, 3, 7))):
            with self.shop.work() as work:
                chat = conversations.held(work, number)
                assert chat is not None
                try:
                    once = f"us:{self.written}:{turn}"
                    conversations.send(work, chat, Message(f"我们说 {self.written}"), once=once, by="lisi")
                except CannotSend:
                    return

    def one_of_us_hands_over(self, account: str) -> None:
        chats = self.shop.rows(Conversation, Conversation.open_kfid == account)
        if not chats:
            return
        number, servicer = self.chance.choice(chats).id, self.chance.choice((None, "lisi", "wangwu"))
        self.written += 1
        with self.shop.work() as work:
            chat = conversations.held(work, number)
            assert chat is not None
            try:
                once = f"hand:{self.written}"
                conversations.hand_over(work, chat, once=once, servicer=servicer, word="请稍候", by="boss")
            except CannotSend:
                return


KF_JOBS = ("pull kf accounts", "tend conversations")
"""What the timetable does about chats."""


def settled(shop: Shop) -> None:
    """Everything has come to its end."""
    shop.world.faults = Faults()
    for _ in range(20):
        shop.advance(seconds=40)
        shop.run(*KF_JOBS)
    shop.tick()


@pytest.mark.parametrize("seed", range(40 if FULL else 2))
def test_the_rules_are_never_broken_in_a_random_hour(shop: Shop, seed: int) -> None:
    """Nothing is ever refused for its window, its count or its state; what we hold is what WeCom holds."""
    hour = Hour(shop, seed)
    hour.run(acts=150, longest_pause=50)
    settled(shop)
    assert refusals(shop, *BROKEN_RULES) == []
    assert_equal_to_wecom(shop)
    assert {one.state for one in shop.rows(InboxRow)} == {"done"}


@pytest.mark.parametrize("seed", range(100, 120 if FULL else 101))
def test_the_rules_hold_over_days_too(shop: Shop, seed: int) -> None:
    """The same with pauses of many hours, so that windows close and chats begin anew."""
    hour = Hour(shop, seed)
    hour.run(acts=120, longest_pause=30 * 60 * MINUTE)
    settled(shop)
    assert refusals(shop, *BROKEN_RULES) == []
    assert_equal_to_wecom(shop)


@pytest.mark.parametrize("seed", range(200, 220 if FULL else 201))
def test_nothing_is_lost_or_said_twice_while_much_goes_wrong(shop: Shop, seed: int) -> None:
    """A WeCom that is busy, slow, breaks lines, loses and doubles callbacks, gives short and empty pages."""
    hour = Hour(shop, seed)
    faults = Faults.realistic()
    faults.reset_after_effect = faults.busy = faults.duplicate = faults.lose = 0.1
    faults.empty_page = faults.short_page = 0.2
    shop.world.faults = faults
    hour.run(acts=120, longest_pause=50)
    settled(shop)
    # With callbacks lost nobody can know that a servicer has just taken a chat: the word by a code may come too late.
    assert [path for path, _ in refusals(shop, *BROKEN_RULES) if path == "kf/send_msg"] == []
    assert_equal_to_wecom(shop)
    ours = [(one.open_kfid, one.msgid) for one in shop.world.kf_sent]
    assert len(ours) == len(set(ours))


def assert_equal_to_wecom(shop: Shop) -> None:
    """Every message is kept once, whose each chat is we know, and no customer had two bot answers to one message."""
    world = shop.world
    told = sorted(
        str(item.body["msgid"])
        for account in world.kf_accounts.values()
        for item in account.items
        if item.body["msgtype"] != "event" or "external_userid" in item.body["event"]
    )
    lines = shop.rows(Interaction, Interaction.kind.in_(("kf_in", "kf_out", "kf_event")))
    kept = sorted(str(one.details["msgid"]) for one in lines if one.details.get("msgid") in set(told))
    assert kept == told
    for chat in shop.rows(Conversation):
        state = world.kf_state(chat.open_kfid, chat.external_userid)
        entered_only = chat.last_customer_at is None
        assert (chat.state == state) or (entered_only and (chat.state, state) == (NEW, ENDED)), chat.external_userid
        session = world.kf_session_seen(chat.open_kfid, chat.external_userid)
        if state == HUMAN:
            assert chat.servicer == session.servicer
        if chat.last_customer_at is not None:
            assert chat.sent_since >= min(session.sent, 5)
    answers: defaultdict[str, int] = defaultdict(int)
    for one in shop.rows(OutboxRow, OutboxRow.name == "SendKf"):
        answers[one.once] += 1
    assert all(count == 1 for count in answers.values())
    assert {one.cursor != "" for one in shop.rows(KfAccount)} == {True}
    assert all(one.name for one in shop.rows(Person))
