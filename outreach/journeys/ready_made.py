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
