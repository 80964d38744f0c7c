"""Orders, refunds and what people did elsewhere, in batches. Each of a batch is taken or refused for itself."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field, WithJsonSchema

from api import here
from api.operations import Call, Reply
from api.shapes import Asked, Shape, example
from handlers import behaviour as roads_elsewhere
from handlers import orders as road
from people import behaviour, orders
from people.orders import Bad
from storage.database import past_crossings

MOST = 1000
T = TypeVar("T")
WHO = (
    "`identity`: by what the buyer is known, `{type, value}`, type one of `external_userid`, `unionid`, `phone` (with "
    "`verified`; without it the number only proposes a match) or `<system>:<kind>`. An identity nobody has makes a "
    "person, and later evidence joins them."
)
MONEY = "`amount`: yuan as a string with at most two decimals. `currency`: CNY, or left out."
TIME = "Times are ISO 8601; without an offset they are the shop's."
ORDER = (
    f"`source`, `order_no`, `paid_at` and `amount`; {MONEY} {WHO} `store`, `staff`, and `lines` of `sku`, `name`, "
    f"`category`, `quantity`, `amount` may be left out, and so may `identity`. {TIME}"
)
REFUND = f"`source`, `refund_no`, `refunded_at`, `amount`, and the `order_no` it belongs to. {MONEY} {TIME}"
EVENT = f"`source`, `event_id`, `kind` (a word such as `review`), `at` and `identity`; `details`: a flat object. {TIME}"


def _items(what: str, words: str) -> Any:
    """A list whose elements are looked at one by one: a bad one is named in ``rejected`` and keeps no other out."""
    item = {"title": what, "description": f"{words} One that is not right is named in `rejected`."}
    schema = {"type": "array", "minItems": 1, "maxItems": MOST, "items": item}
    return Annotated[list[Any], Field(min_length=1, max_length=MOST), WithJsonSchema(schema)]


BUYER = {"type": "external_userid", "value": "wmXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"}


class OrdersAsked(Asked):
    """1 to 1,000 orders."""

    model_config = example(
        {"orders": [{"source": "pos-01", "order_no": "A1001", "paid_at": "2026-11-01T10:00:00+08:00",
                     "amount": "199.90", "store": "上海静安店", "staff": "zhangsan", "identity": BUYER,
                     "lines": [{"sku": "S1", "name": "拿铁", "category": "咖啡", "quantity": 2, "amount": "60.00"}]}]}
    )  # fmt: skip
    orders: _items("Order", ORDER)  # type: ignore[valid-type]


class RefundsAsked(Asked):
    """1 to 1,000 refunds."""

    model_config = example(
        {"refunds": [{"source": "pos-01", "refund_no": "R1", "order_no": "A1001",
                      "refunded_at": "2026-11-02T10:00:00+08:00", "amount": "50.00"}]}
    )  # fmt: skip
    refunds: _items("Refund", REFUND)  # type: ignore[valid-type]


class EventsAsked(Asked):
    """1 to 1,000 things people did."""

    model_config = example(
        {"events": [{"source": "app", "event_id": "e1", "kind": "review", "at": "2026-11-02T10:00:00+08:00",
                     "identity": BUYER, "details": {"stars": 4}}]}
    )  # fmt: skip
    events: _items("Event", EVENT)  # type: ignore[valid-type]


class RejectedShape(Shape):
    """One that was not taken. Nothing of it was kept."""

    index: int = Field(description="Its place in the batch, from 0.")
    error: str = Field(description="Which field, and why.")


class BatchShape(Shape):
    """What became of a batch."""

    accepted: int
    duplicate: int = Field(description="Told before, alike: nothing was done again.")
    rejected: list[RejectedShape]


def take_orders(call: Call, body: OrdersAsked) -> Reply:
    """Take orders: each is kept once for its source and number, earns points, and is told in the buyer's story."""
    return _batch(call, body.orders, orders.read_order, road.take_orders)


def take_refunds(call: Call, body: RefundsAsked) -> Reply:
    """Take refunds: each takes back what its order does not earn any more. One that comes before its order waits."""
    return _batch(call, body.refunds, orders.read_refund, road.take_refunds)


def take_events(call: Call, body: EventsAsked) -> Reply:
    """Take what people did elsewhere: a line in their story, and points where the shop's rules give some."""
    return _batch(call, body.events, behaviour.read_event, roads_elsewhere.take_events)


def _batch(
    call: Call,
    told: list[Any],
    read: Callable[[Any, datetime, ZoneInfo], T],
    take: Callable[[Any, Mapping[int, T]], road.Taken],
) -> Reply:
    good, bad = dict[int, T](), dict[int, str]()
    for number, one in enumerate(told):
        try:
            good[number] = read(one, here.now(), here.zone())
        except Bad as error:
            bad[number] = str(error)
    return past_crossings(lambda: _taken(call, take, good, bad))


def _taken(
    call: Call,
    take: Callable[[Any, Mapping[int, T]], road.Taken],
    good: Mapping[int, T],
    bad: Mapping[int, str],
) -> Reply:
    with call.work() as work:
        taken = take(work, good)
        why = sorted({**bad, **taken.rejected}.items())
        shape = BatchShape(
            accepted=len(taken.accepted),
            duplicate=len(taken.duplicate),
            rejected=[RejectedShape(index=number, error=error) for number, error in why],
        )
        return call.keep(work, Reply(200, shape))
