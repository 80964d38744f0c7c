"""The demo's till: connected to the product with a key of its own, as a shop would, and kept busy."""

import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from bot.narrator import Sandbox
from bot.settings import Settings
from people import api_keys
from storage import audit
from storage.database import transaction, utc_now
from storage.work import Work

NAME = "收银台"
SCOPES = ("orders:write", "points", "customers:read")
GOODS = ("美式", "拿铁", "手冲", "豆子 250 g", "挂耳一盒", "马克杯")
OFTEN = (6, 6, 4, 2, 2, 1)


def connect(engine: Engine, settings: Settings, sandbox: Sandbox) -> None:
    """Make a key for the till and give it to the till, anew at each start: a key is shown once."""
    with transaction(engine) as db:
        work = Work(db, utc_now(), cause="demo")
        _row, key = api_keys.create(work, NAME, list(SCOPES), "demo")
        audit.note(db, actor="demo", action="key.create", subject=NAME, at=work.now)
    sandbox.act("till", address=settings.web.base_url, key=key)


def basket(chance: random.Random) -> dict[str, int]:
    """What somebody takes to the counter."""
    chosen = chance.choices(GOODS, weights=OFTEN, k=chance.choice((1, 1, 2, 3)))
    return {name: chosen.count(name) for name in chosen}


def sell_the_past(sandbox: Sandbox, people: Sequence[str], chance: random.Random, days: int) -> int:
    """What customers bought in the days before today; how many sales."""
    count = 0
    for customer in people:
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            sandbox.act("sell", items=basket(chance), customer=customer, days_ago=chance.uniform(0.5, days))
            count += 1
    return count


def sell(sandbox: Sandbox, customer: str, chance: random.Random, **more: Any) -> dict[str, Any]:
    """One sale now, as the till tells it."""
    receipt: dict[str, Any] = sandbox.act("sell", items=basket(chance), customer=customer, **more)
    return receipt
