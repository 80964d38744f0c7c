"""Journeys that come ready-made, switched off until somebody chooses one: drafts to be read, changed and published.

What they say is for any shop; what a shop has (its links, its own words) goes in before it is published. Those that
begin with an order are begun over the API until the shop's orders come in by themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outreach.journeys.definition import EMPTY, Definition


@dataclass(frozen=True)
class ReadyMade:
    """One of them."""

    key: str
    name: str
    words: str
    """What it is for, on one line."""
    definition: Definition


def _wait(days: int, at: str = "10:00") -> dict[str, Any]:
    return {"do": "wait", "days": days, "at": at}


def _write(text: str, *ways: str) -> dict[str, Any]:
    return {"do": "send", "ways": list(ways or ("kf", "card")), "text": text}


def _tell_points(text: str) -> dict[str, Any]:
    """By the best way that is open; the mass task says the same to everybody, without anybody's points in it."""
    common = "您有积分快到期了，来店里或发“积分”给我，我帮您查。{rep}"
    return {**_write(text, "kf", "card", "mass"), "mass_text": common}


def _made(*steps: Mapping[str, Any], **more: Any) -> Definition:
    named = [{"id": f"s{number}", **step} for number, step in enumerate(steps, start=1)]
    return {**EMPTY, "control": 500, **more, "steps": named}


LEFT = {"kinds": ["deleted_by_customer"], "no_match": False}
REACHABLE = {"field": "relation", "op": "is", "value": "active"}

READY: tuple[ReadyMade, ...] = (
    ReadyMade(
        "welcome",
        "新客跟进（第 1、3、7 天）",
        "加好友后第 1、3 天各由成员一键问候，第 7 天还没聊过就记一个待办",
        _made(
            _wait(1),
            _write("{name}，昨天加上您很高兴。想先了解哪方面？我发资料给您。", "card"),
            _wait(2),
            _write("{name}，店里这两天有新到的，要不要给您留意一下？", "card"),
            _wait(4),
            {"do": "task", "text": "新客 {name} 加好友一周还没聊起来，看看要不要打个招呼"},
            trigger={"on": "event", "kinds": ["added"]},
            exits=LEFT,
            goal={"kinds": ["kf_in", "forwarded"], "days": 14},
            priority=70,
        ),
    ),
    ReadyMade(
        "first_order",
        "首单跟进",
        "第一次下单后第 2 天问用得怎么样；由接口告诉我们谁下了单",
        _made(
            _wait(2, "15:00"),
            _write("{name}，第一次在我们家买的东西用着还合适吗？有问题直接回我。"),
            {"do": "wait_for", "kinds": ["kf_in", "forwarded"], "days": 3, "then": "end", "otherwise": "s4"},
            {"do": "task", "text": "{name} 首单后没有回音，看看要不要关心一下"},
            trigger={"on": "api"},
            exits=LEFT,
            goal={"kinds": ["kf_in", "forwarded"], "days": 14},
            priority=80,
        ),
    ),
    ReadyMade(
        "win_back",
        "两周没来，请回来看看",
        "每天早上看谁 14 天没有往来：先由成员一键问候，三天没有回音再经群发任务",
        _made(
            _write("{name}，好久不见。最近有几样您可能喜欢的，要看看吗？", "card"),
            {"do": "wait_for", "kinds": ["kf_in", "forwarded", "opened"], "days": 3, "then": "end", "otherwise": "s3"},
            _write("这周回店有小礼物，来坐坐吧。{rep}", "mass"),
            trigger={"on": "schedule", "every": "day", "at": "09:30"},
            who={
                "all": [
                    REACHABLE,
                    {"field": "last_talk_days", "op": ">", "value": 14},
                    {"field": "opens", "op": "=", "value": {"times": 0, "days": 14}},
                    {"field": "arrival_days", "op": ">", "value": 14},
                ]
            },
            again={"rule": "after", "days": 60},
            exits=LEFT,
            goal={"kinds": ["kf_in", "forwarded", "opened"], "days": 14},
            priority=40,
        ),
    ),
    ReadyMade(
        "birthday",
        "生日祝福",
        "生日当天早上给成员一张写好的卡片，一键发出",
        _made(
            _write("{name}，生日快乐！今天来店里，有一份心意给您。", "card"),
            trigger={"on": "date", "date": "birthday", "days": 0, "at": "09:00"},
            again={"rule": "each"},
            exits=LEFT,
            goal={"kinds": ["kf_in", "forwarded"], "days": 7},
            control=0,
            priority=90,
        ),
    ),
    ReadyMade(
        "browsed",
        "看了没买",
        "打开了链接、两天内没有说话：提醒成员问一句",
        _made(
            _wait(2, "10:30"),
            _write("{name}，前两天看的那款还感兴趣吗？有什么想了解的我来解答。"),
            trigger={"on": "event", "kinds": ["opened"]},
            again={"rule": "after", "days": 14},
            exits=LEFT,
            goal={"kinds": ["kf_in", "forwarded"], "days": 7},
            priority=60,
        ),
    ),
    ReadyMade(
        "gone_quiet",
        "比自己的节奏沉默",
        "沉默超过自己平时间隔的两倍、且至少 10 天：给成员记一个待办",
        _made(
            {"do": "task", "text": "{name} 比平时沉默得久，联系看看有没有什么情况"},
            trigger={"on": "schedule", "every": "day", "at": "09:00"},
            who={"all": [REACHABLE, {"field": "rhythm", "op": ">=", "value": {"times": 2, "days": 10}}]},
            again={"rule": "after", "days": 60},
            exits=LEFT,
            goal={"kinds": ["kf_in", "forwarded"], "days": 14},
            priority=55,
        ),
    ),
    ReadyMade(
        "points_end",
        "积分快过期了",
        "到期前 30、7、1 天，每人一次说清哪天过期多少；先微信客服，再成员卡片，最后群发任务",
        _made(
            _tell_points("{name}，您有积分快到期了：{expiring}。现在一共 {points} 分可用，看看能换什么：{me}"),
            _wait(23),
            _tell_points("{name}，提醒您一下，这些积分快到期了：{expiring}。{me}"),
            _wait(6),
            _tell_points("{name}，您的积分马上到期：{expiring}。用得上就别浪费：{me}"),
            trigger={"on": "date", "date": "points_end", "days": -30, "at": "10:00"},
            again={"rule": "each"},
            exits=LEFT,
            goal=None,
            control=0,
            service=True,
            priority=75,
        ),
    ),
    ReadyMade(
        "near_points",
        "就差一点能换了",
        "可用积分到了最便宜的奖品的八成、还不够换：告诉客户还差一点，30 天内最多一次",
        _made(
            _write("{name}，您现在有 {points} 分，再攒一点就能换啦。看看：{me}"),
            trigger={"on": "date", "date": "near_points", "days": 0, "at": "10:30"},
            again={"rule": "each"},
            exits=LEFT,
            goal={"kinds": ["bought"], "days": 30},
            priority=50,
        ),
    ),
    ReadyMade(
        "tier_end",
        "等级快保不住了",
        "等级到期前 30 天、按现在的积分会降级：成员一键提醒",
        _made(
            _write("{name}，您的会员等级下个月到期，再来一两次就能保住。有什么想看的我先给您留着。", "card"),
            trigger={"on": "date", "date": "tier_end", "days": -30, "at": "11:00"},
            again={"rule": "each"},
            exits=LEFT,
            goal={"kinds": ["bought"], "days": 30},
            priority=70,
        ),
    ),
    ReadyMade(
        "no_order",
        "两周没下单，送双倍积分",
        "14 天没有下单：送一张双倍积分券，再告诉客户；下了单就不再打扰",
        _made(
            {"do": "boost", "times": 2, "cap": 200, "days": 14},
            _write("{name}，好久不见。两周内再来一次，那一单积分翻倍，已经记在您账上了。"),
            trigger={"on": "date", "date": "last_order", "days": 14, "at": "10:00"},
            again={"rule": "after", "days": 60},
            exits=LEFT,
            goal={"kinds": ["bought"], "days": 14},
            control=1000,
            priority=45,
        ),
    ),
    ReadyMade(
        "after_sales",
        "售后满意度",
        "订单完成 3 天后问满不满意，没有回音就请成员跟一下；由接口告诉我们哪一单",
        _made(
            _wait(3, "15:00"),
            _write("{name}，上次的东西满意吗？有任何问题都可以直接告诉我。"),
            {"do": "wait_for", "kinds": ["kf_in", "forwarded"], "days": 2, "then": "end", "otherwise": "s4"},
            {"do": "task", "text": "{name} 没有回复满意度，方便时问一下"},
            trigger={"on": "api"},
            again={"rule": "each"},
            exits=LEFT,
            priority=65,
        ),
    ),
)
BY_KEY: Mapping[str, ReadyMade] = {one.key: one for one in READY}
