"""Random orders, while functions are killed at random; then a redrive, and the rules of the simulator on what is there.

ORDERS (2,000) and MINUTES (20) limit it: the first that is reached; what was done by then is checked. What only the
simulator can see is not looked at: what was told, which answers were lost on the way, and the provider's own books.
"""

import os
import random
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.error import URLError

from ops.people import Person

from ..simulation import rules
from ..simulation.clients import Answer
from ..simulation.people import SHIPPING, Asked
from ..system.faults import kill
from ..system.on_call import failed, redrive
from ..system.shop import ENDED, Shop

ORDERS = int(os.environ.get("ORDERS") or 2_000)
MINUTES = float(os.environ.get("MINUTES") or 20)
SEED = os.environ.get("SEED") or "0"

AT_ONCE = 4
PATIENCE_SECONDS = 120
"""For one answer."""
SETTLES_SECONDS = 600
"""After the last request, until all has ended."""
AGREES_SECONDS = 60
"""Then, until what follows an order's end is done as well."""
KILLED_EVERY_SECONDS = 0.5


class Crowd:
    """Shoppers and an operator, and what they asked for: as `simulation.people` keeps it."""

    def __init__(self, shop: Shop, stocked: dict[str, int]) -> None:
        self.shop, self.stocked = shop, stocked
        self.asked: list[Asked] = []

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None, by: Person | None = None) -> Asked:
        asked = Asked(method, path, body, (by or self.shop.people.shopper).sub, key)
        self.asked.append(asked)
        self._until_answered(asked)
        return asked

    def ask_again(self) -> None:
        """What had no answer that says what became of it, now that nothing is killed."""
        for asked in self.asked:
            self._until_answered(asked)

    def _until_answered(self, asked: Asked) -> None:
        """Until an answer says what became of it: a function may be killed while it answers."""
        people = self.shop.people
        who = people.operator if asked.by == people.operator.sub else people.shopper
        headers = {"If-Match": "*"} if asked.path.startswith("/products/") else None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not asked.definite and time.monotonic() < deadline:
            try:
                answer = self.shop.call(asked.method, asked.path, asked.body, key=asked.key, by=who, headers=headers)
                asked.answers.append(Answer(answer.status, answer.body, answer.headers))
            except (URLError, OSError):
                asked.answers.append(Answer(0, None))

    def acts(self, number: int) -> None:
        """One order, or a checkout of the basket that all tabs share; at times a price changes, or an order is called
        off. Chance is drawn from the number.
        """
        dice = random.Random(f"{SEED} {number}")
        products = dice.sample(sorted(self.stocked), dice.randint(1, 2))
        lines = [{"productId": product, "quantity": dice.randint(1, 3)} for product in products]
        key = str(uuid.UUID(int=dice.getrandbits(128), version=4))
        if dice.random() < 0.05:
            product = {"name": "A test's product", "category": "tests", "currency": "USD"}
            product |= {"unitPrice": dice.randint(1000, 3000)}
            self.ask("PUT", f"/products/{products[0]}", product, by=self.shop.people.operator)
        if dice.random() < 0.2:
            for line in lines:
                self.ask("PUT", f"/basket/items/{line['productId']}", {"quantity": line["quantity"]})
            self.ask("POST", "/basket/checkout", SHIPPING, key)
            return
        order = self.ask("POST", "/orders", lines[0] if len(lines) == 1 else {"items": lines}, key)
        if order.last.status == 201 and dice.random() < 0.2:
            self.ask("POST", f"/orders/{order.last.body['orderId']}/cancel")


KEYS = {
    "OrdersTable": "orderId",
    "PaymentsTable": "orderId",
    "ReservationsTable": "orderId",
    "InventoryTable": "productId",
    "ProductsTable": "productId",
    "BasketPricesTable": "productId",
    "OrdersPricesTable": "productId",
    "IdempotencyTable": "id",
}
"""Of the tables that the rules look at."""


def rows(shop: Shop, *tables: str) -> dict[str, dict[str, Any]]:
    """As DynamoDB has them, by key."""
    found = {}
    dynamodb = shop.cloud.client("dynamodb")
    for table in tables:
        pages = dynamodb.get_paginator("scan").paginate(TableName=shop.resources[table], ConsistentRead=True)
        found[table] = {row[KEYS[table]]["S"]: row for page in pages for row in page["Items"]}
    return found


@contextmanager
def functions_killed(shop: Shop) -> Iterator[list[str]]:
    """While this lasts, all sandboxes of one function after the other are killed. Yields which were."""
    stop, dice = threading.Event(), random.Random(SEED)
    killed: list[str] = []

    def go_round() -> None:
        functions = sorted(name for name in shop.resources if name.endswith("Function"))
        while not stop.wait(KILLED_EVERY_SECONDS):
            name = dice.choice(functions)
            with suppress(subprocess.CalledProcessError):  # none of its sandboxes is there
                kill(shop, name)
                killed.append(name)

    thread = threading.Thread(target=go_round)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def orders_by_status(shop: Shop) -> Counter[str]:
    return Counter(row["status"]["S"] for row in rows(shop, "OrdersTable")["OrdersTable"].values())


def until_at_rest(shop: Shop) -> list[str]:
    """Redrive until each order has ended and no queue holds anything; what is left when patience ends."""
    deadline = time.monotonic() + SETTLES_SECONDS
    while True:
        open_orders = sum(number for status, number in orders_by_status(shop).items() if status not in ENDED)
        given_up = failed(shop)
        print(f"{open_orders:,} orders are open, {len(given_up)} messages are in failed queues", flush=True)
        if not (open_orders or given_up):
            return []
        if time.monotonic() > deadline:
            return [f"{len(given_up)} messages are still in failed queues: {given_up[:3]}"] if given_up else []
        if given_up:
            redrive(shop, ends=(0, 1))  # 1: what was killed while it told a shopper is claimed for half a minute
        time.sleep(1)


def test_whatever_is_killed_each_order_ends_right(shop):
    # given
    deadline = time.monotonic() + MINUTES * 60
    crowd = Crowd(shop, {shop.stocked(pieces): pieces for pieces in (ORDERS, ORDERS, ORDERS // 4)})

    # when
    with functions_killed(shop) as killed, ThreadPoolExecutor(AT_ONCE) as pool:
        for number, _ in enumerate(pool.map(crowd.acts, range(ORDERS)), start=1):
            if number % 50 == 0:
                print(f"{number:,} of {ORDERS:,} shoppers have come, {len(killed)} kills", flush=True)
            if time.monotonic() > deadline:
                pool.shutdown(cancel_futures=True)
                print(f"{MINUTES:g} minutes are over: {number:,} of {ORDERS:,} have come. What they did is checked.")
                break
    crowd.ask_again()
    left = until_at_rest(shop)

    # then
    def broken() -> list[str]:
        state = rules.State(rows(shop, *KEYS))
        return [*left, *rules.seen_from_outside(state, crowd, shop.ear.everything())]

    unanswered = [asked for asked in crowd.asked if not asked.definite]
    deadline = time.monotonic() + AGREES_SECONDS
    while (wrong := broken()) and time.monotonic() < deadline:
        time.sleep(1)
    ends = orders_by_status(shop)
    print(
        f"{ends.total():,} orders: {', '.join(f'{number:,} {status}' for status, number in ends.items())}; "
        f"{sum(it.path == '/basket/checkout' for it in crowd.asked):,} checkouts, {len(killed)} kills"
    )
    assert not wrong
    assert not unanswered, unanswered[:3]
    assert killed
