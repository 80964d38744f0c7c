"""A service desk for tests: one account, its answers, and what the customer sees of it."""

from dataclasses import dataclass
from typing import Any

from sandbox.facts import KfLine
from storage.tables import Conversation, Interaction, KfAccount, Person
from tagging import answers
from tagging.answers import Draft
from tests.shop import Shop

HOURS = "我们每天 9:00–21:00 营业。"


@dataclass
class KfDesk:
    """An account of the shop and one customer at it."""

    shop: Shop
    account: str
    customer: str = ""

    def enter(self, name: str = "小雨", **more: Any) -> str:
        """A customer opens the chat; from now on it is theirs."""
        self.customer = self.shop.world.kf_enter(self.account, name, **more).external_userid
        self.shop.catch_up()
        return self.customer

    def say(self, text: str = "", **more: Any) -> str:
        """The customer says something, and we have dealt with it."""
        msgid = self.shop.world.kf_say(self.account, self.customer, text, **more)
        self.shop.catch_up()
        return msgid

    def lines(self, who: str = "") -> list[KfLine]:
        """What the customer sees."""
        return [one for one in self.shop.world.kf_chat(self.account, self.customer) if not who or one.who == who]

    def replies(self) -> list[str]:
        """The texts of ours that the customer sees."""
        contents = [one.content for one in self.lines("app")]
        return [str(one.get("content") or one.get("head_content")) for one in contents]

    def chat(self) -> Conversation:
        """Our copy of it."""
        (one,) = self.shop.rows(Conversation, Conversation.external_userid == self.customer)
        return one

    def story(self, kind: str = "") -> list[Interaction]:
        """What stands in the stories, all or of one kind."""
        rows = self.shop.rows(Interaction, *([Interaction.kind == kind] if kind else []))
        return sorted(rows, key=lambda one: (one.at, one.id))

    def person(self) -> Person:
        """The customer as we know them."""
        (one,) = self.shop.rows(Person)
        return one

    def answer(self, name: str = "营业时间", text: str = HOURS, **more: Any) -> int:
        """An answer of the shop."""
        given = {"definition": {"any_keywords": ["几点", "营业时间"]}, **more}
        with self.shop.work() as work:
            return answers.create(work, Draft(name, text=text, **given), by="boss").id

    def set(self, **values: Any) -> None:
        """Change the account's settings."""
        with self.shop.db() as db:
            account = db.get_one(KfAccount, self.account)
            for name, value in values.items():
                setattr(account, name, value)


def open_desk(shop: Shop, servicers: tuple[str, ...] = ("lisi", "wangwu"), name: str = "豆子客服") -> KfDesk:
    """A new account, which we have heard of."""
    account = shop.world.kf_account(name, servicers)
    shop.catch_up()
    return KfDesk(shop, account.open_kfid)


def refusals(shop: Shop, *errcodes: int) -> list[tuple[str, int]]:
    """The calls of ours that WeCom refused with one of these codes (or with any)."""
    refused = [(one.path, one.errcode) for one in shop.world.calls if one.errcode]
    return [one for one in refused if not errcodes or one[1] in errcodes]
