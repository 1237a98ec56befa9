"""What the demo orders: twenty orders that between them meet every end a saga can have."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle

from local.people import Person
from orders.orders import order_id_for
from payment.gateway import declines

PRODUCT = "espresso"
SOLD_OUT = "matcha"
STOCK = {PRODUCT: 1000, SOLD_OUT: 0}


@dataclass(frozen=True)
class Plan:
    """What to order, and how that may end."""

    story: str
    ends: frozenset[str]
    product: str = PRODUCT
    declined: bool = False
    cancelled: bool = False


@dataclass
class Order:
    """An order of the demo, and what is known of it by now. Times are in seconds of the monotonic clock."""

    number: int
    plan: Plan
    shopper: Person
    key: str
    order_id: str
    status: str = ""
    placed_at: float = 0.0
    seconds: float = 0.0

    @property
    def quantity(self) -> int:
        return self.number % 3 + 1

    @property
    def ended(self) -> bool:
        return self.status in self.plan.ends


CONFIRMED = Plan("all goes well", frozenset({"CONFIRMED"}))
DECLINED = Plan("card declined", frozenset({"PAYMENT_FAILED"}), declined=True)
NO_STOCK = Plan("sold out", frozenset({"INVENTORY_FAILED"}), product=SOLD_OUT)
REGRETTED = Plan("cancelled", frozenset({"CANCELLED"}), cancelled=True)
NEITHER = Plan(  # whichever veto comes first names the status
    "both fail", DECLINED.ends | NO_STOCK.ends, product=SOLD_OUT, declined=True
)
PLANS = (
    *(CONFIRMED, DECLINED, CONFIRMED, NO_STOCK, CONFIRMED),
    *(REGRETTED, CONFIRMED, NEITHER, CONFIRMED, CONFIRMED),
) * 2


def orders_of(shoppers: Iterable[Person], failure_rate: int) -> list[Order]:
    """New orders, not placed yet, of each shopper in turn. `failure_rate` is the gateway's, in percent."""
    return [
        Order(number, plan, shopper, *_fitting_key(shopper, plan, failure_rate))
        for number, (plan, shopper) in enumerate(zip(PLANS, cycle(shoppers)), start=1)
    ]


def _fitting_key(shopper: Person, plan: Plan, failure_rate: int) -> tuple[str, str]:
    """An Idempotency-Key and the id of its order, by which the simulated gateway will decide as planned."""
    while True:
        key = str(uuid.uuid4())
        order_id = order_id_for(shopper.sub, key)
        if declines(order_id, failure_rate) == plan.declined:
            return key, order_id
