"""What is said in the demo and the story: the shop's rules, answers and greeting for 微信客服; customers who chat."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, select

from bot.narrator import Sandbox
from storage.database import reading, transaction, utc_now
from storage.tables import KfAccount, TagRule
from storage.work import Work
from tagging import answers, rules

BY = "demo"
RULES: Sequence[rules.Draft] = (
    rules.Draft("问价", definition={"any_keywords": ["多少钱", "价格", "怎么卖"]}, tags=(("意向", "问价"),)),
    rules.Draft(
        "开发票",
        definition={"any_keywords": [{"text": "发票", "guard": True}]},
        tags=(("需求", "发票"),),
    ),
    rules.Draft("爱喝手冲", definition={"any_keywords": ["手冲", "耶加雪菲", "瑰夏"]}, tags=(("口味", "手冲"),)),
)
ANSWERS: Sequence[answers.Draft] = (
    answers.Draft(
        "营业时间",
        {"questions": ["几点开门", "营业时间", "几点关门"]},
        "我们每天 9:00 开门，21:00 打烊。",
    ),
    answers.Draft(
        "门店在哪",
        {"questions": ["门店在哪", "怎么走", "地址"]},
        "静安店在愚园路 88 号，地铁 2 号线静安寺站 3 口出来走五分钟。",
    ),
    answers.Draft("找人", {"any_keywords": ["投诉", "退款"]}, "这件事请同事来帮你，请稍等。", hand_over=True),
)
GREETING, MENU = "你好，这里是豆子咖啡。想问什么直接打字就行：", ("几点开门", "门店在哪", "转人工")


@dataclass(frozen=True)
class Remark:
    """Something a customer says: which rules' tags it earns, and whether an answer comes by itself."""

    text: str
    tags: tuple[str, ...] = ()
    answered: bool = False


REMARKS: Sequence[Remark] = (
    Remark("你们几点开门？", answered=True),
    Remark("请问门店在哪", answered=True),
    Remark("那款耶加雪菲多少钱一包", ("问价", "手冲")),
    Remark("可以开发票吗", ("发票",)),
    Remark("不用发票，谢谢"),
    Remark("我想学手冲，有课吗", ("手冲",)),
    Remark("哈哈好的"),
    Remark("豆子太香了，下次还来"),
)


def open_counter(engine: Engine) -> str:
    """Make rules and answers and greet who opens the chat; the account's open_kfid, ``""`` when there is none."""
    with transaction(engine) as db:
        work = Work(db, utc_now(), cause=BY)
        if db.scalar(select(TagRule.id).limit(1)) is None:  # a second start finds them there
            for draft in RULES:
                rules.create(work, draft, by=BY)
            for answer in ANSWERS:
                answers.create(work, answer, by=BY)
        account = db.scalars(select(KfAccount).where(KfAccount.manageable.is_(True))).first()
        if account is None:
            return ""
        account.welcome = {"text": GREETING, "menu": list(MENU)}
        return account.open_kfid


def has_account(engine: Engine) -> bool:
    """Whether an account of 微信客服 is known by now."""
    with reading(engine) as db:
        return db.scalar(select(KfAccount.open_kfid).where(KfAccount.manageable.is_(True)).limit(1)) is not None


def chat(sandbox: Sandbox, open_kfid: str, customer: str, name: str, chance: random.Random, lines: int) -> list[Remark]:
    """A customer opens the chat and says some things, without waiting for answers; what they said."""
    visit = sandbox.act("kf_enter", open_kfid=open_kfid, name=name, external_userid=customer or None)
    said = chance.sample(list(REMARKS), lines)
    for remark in said:
        sandbox.act("kf_say", open_kfid=open_kfid, external_userid=visit["external_userid"], text=remark.text)
    return said
