"""What the demo orders: twenty orders that between them meet every end a saga can have."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle

from ops.people import Person
from orders.orders import order_id_for
from payment.gateway import declines


@dataclass(frozen=True)
class Product:
    """A product as the catalog gets it, and how many pieces are in stock."""

    product_id: str
    name: str
    category: str
    unit_price: int
    stock: int


ESPRESSO = Product("espresso", "Espresso beans, 1 kg", "coffee", 1999, stock=1000)
MUG = Product("mug", "Coffee mug", "cups", 1250, stock=1000)
MATCHA = Product("matcha", "Matcha, 100 g", "tea", 2450, stock=0)
PRODUCTS = (ESPRESSO, MUG, MATCHA)
CURRENCY = "USD"

SHIPPING = {
    "firstName": "Demo",
    "lastName": "Shopper",
    "email": "shopper@example.com",
    "address": "1 Example Street, Example Town",
}


@dataclass(frozen=True)
class Plan:
    """What to order, and how that may end."""

    story: str
    ends: frozenset[str]
    products: tuple[Product, ...] = (ESPRESSO,)
    declined: bool = False
    cancelled: bool = False
    by_basket: bool = False


@dataclass
class Order:
    """An order of the demo, as far as it is known. Times are in seconds of the monotonic clock."""

    number: int
    plan: Plan
    shopper: Person
    key: str
    order_id: str
    """Empty until it is placed, if a basket becomes it."""
    status: str = ""
    total: str = ""
    placed_at: float = 0.0
    seconds: float = 0.0

    @property
    def pieces(self) -> dict[str, int]:
        """How many of each product."""
        return {product.product_id: (self.number + i) % 3 + 1 for i, product in enumerate(self.plan.products)}

    @property
    def ended(self) -> bool:
        return self.status in self.plan.ends


CONFIRMED = Plan("goes well", frozenset({"CONFIRMED"}))
SEVERAL = Plan("several", CONFIRMED.ends, products=(ESPRESSO, MUG))
DECLINED = Plan("declined", frozenset({"PAYMENT_FAILED"}), declined=True)
FROM_BASKET = Plan(  # its id, by which the gateway decides, is drawn at random
    "basket", CONFIRMED.ends | DECLINED.ends, products=(MUG, ESPRESSO), by_basket=True
)
NO_STOCK = Plan("sold out", frozenset({"INVENTORY_FAILED"}), products=(MATCHA,))
REGRETTED = Plan("cancelled", frozenset({"CANCELLED"}), cancelled=True)
NEITHER = Plan(  # the veto that comes first names the status
    "both fail", DECLINED.ends | NO_STOCK.ends, products=(MATCHA,), declined=True
)
PLANS = (  # of two shoppers in turn: each has one basket, and checks it out once
    *(CONFIRMED, DECLINED, FROM_BASKET, NO_STOCK, SEVERAL),
    *(REGRETTED, CONFIRMED, NEITHER, CONFIRMED, FROM_BASKET),
    *(CONFIRMED, DECLINED, CONFIRMED, NO_STOCK, SEVERAL),
    *(REGRETTED, CONFIRMED, NEITHER, CONFIRMED, CONFIRMED),
)


def orders_of(shoppers: Iterable[Person], failure_rate: int) -> list[Order]:
    """New orders, not placed yet, of each shopper in turn. `failure_rate` is the gateway's, in percent.

    A gateway that declines all, or none, leaves out the plans that it cannot meet.
    """
    never = {0: True, 100: False}.get(failure_rate)
    possible = [plan for plan in PLANS if plan.declined is not never]
    return [
        Order(number, plan, shopper, *_fitting_key(shopper, plan, failure_rate))
        for number, (plan, shopper) in enumerate(zip(possible, cycle(shoppers)), start=1)
    ]


def _fitting_key(shopper: Person, plan: Plan, failure_rate: int) -> tuple[str, str]:
    """An Idempotency-Key and the id of its order, by which the simulated gateway will decide as planned."""
    while True:
        key = str(uuid.uuid4())
        if plan.by_basket:
            return key, ""
        order_id = order_id_for(shopper.sub, key)
        if declines(order_id, failure_rate) == plan.declined:
            return key, order_id
