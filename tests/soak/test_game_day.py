"""Random orders, while functions are killed at random; then a redrive, and the rules of the simulator on what is there.

ORDERS (2,000) and MINUTES (20 in total) limit it. What only the simulator can see is not looked at: what was
published and told, which answers were lost on the way, and the provider's own books.
"""

import os
import random
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from urllib.error import URLError

import pytest

from ..simulation import rules
from ..simulation.clients import Answer
from ..simulation.people import Asked, is_definite
from ..system.faults import kill
from ..system.on_call import failed, redrive
from ..system.shop import ENDED, Shop
from ..system.waiting import eventually

ORDERS = int(os.environ.get("ORDERS") or 2_000)
MINUTES = float(os.environ.get("MINUTES") or 20)
SEED = os.environ.get("SEED") or "0"

AT_ONCE = 4
KILLED_EVERY_SECONDS = 2.0


class Crowd:
    """Shoppers, and what they asked for: as `simulation.people` keeps it."""

    def __init__(self, shop: Shop, stocked: dict[str, int]) -> None:
        self.shop, self.stocked = shop, stocked
        self.asked: list[Asked] = []

    def ask(self, path: str, body: Any, key: str | None) -> Asked:
        """Until an answer says what became of it: a function may be killed while it answers."""
        asked = Asked("POST", path, body, self.shop.people.shopper.sub, key)
        self.asked.append(asked)
        deadline = time.monotonic() + 60
        while not asked.definite and time.monotonic() < deadline:
            try:
                answer = self.shop.call("POST", path, body, key=key)
                asked.answers.append(Answer(answer.status, answer.body, answer.headers))
            except (URLError, OSError):
                asked.answers.append(Answer(0, None))
        return asked

    def shops(self, number: int) -> None:
        """One order, of which every fifth is called off; chance is drawn from the number."""
        dice = random.Random(f"{SEED} {number}")
        products = dice.sample(sorted(self.stocked), dice.randint(1, 2))
        lines = [{"productId": product, "quantity": dice.randint(1, 3)} for product in products]
        key = str(uuid.UUID(int=dice.getrandbits(128), version=4))
        order = self.ask("/orders", lines[0] if len(lines) == 1 else {"items": lines}, key)
        if order.last.status == 201 and dice.random() < 0.2:
            self.ask(f"/orders/{order.last.body['orderId']}/cancel", None, None)


def rows(shop: Shop) -> dict[str, dict[str, Any]]:
    """Of the tables that the rules look at, as DynamoDB has them, by key."""
    found = {}
    dynamodb = shop.cloud.client("dynamodb")
    for table, key in (
        ("OrdersTable", "orderId"),
        ("PaymentsTable", "orderId"),
        ("ReservationsTable", "orderId"),
        ("InventoryTable", "productId"),
        ("IdempotencyTable", "id"),
    ):
        pages = dynamodb.get_paginator("scan").paginate(TableName=shop.resources[table], ConsistentRead=True)
        found[table] = {row[key]["S"]: row for page in pages for row in page["Items"]}
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


def unended(shop: Shop) -> int:
    return sum(row["status"]["S"] not in ENDED for row in rows(shop)["OrdersTable"].values())


def test_whatever_is_killed_each_order_ends_right(shop):
    # given
    deadline = time.monotonic() + MINUTES * 60
    crowd = Crowd(shop, {shop.stocked(pieces): pieces for pieces in (ORDERS, ORDERS, ORDERS // 4)})

    # when
    with functions_killed(shop) as killed, ThreadPoolExecutor(AT_ONCE) as pool:
        for number, _ in enumerate(pool.map(crowd.shops, range(ORDERS)), start=1):
            if number % 50 == 0:
                print(f"{number:,} of {ORDERS:,} orders asked for", flush=True)
            if time.monotonic() > deadline:
                pool.shutdown(cancel_futures=True)
                pytest.fail(
                    f"{MINUTES} minutes are over after {number} orders: ORDERS= or MINUTES= bounds it otherwise"
                )
    while open_orders := unended(shop):
        given_up = failed(shop)
        print(f"{open_orders:,} orders are open, {len(given_up)} messages are in failed queues", flush=True)
        assert time.monotonic() < deadline, f"{open_orders} orders do not end; make failed lists {given_up[:3]}"
        if given_up:
            redrive(shop)
        time.sleep(1)
    while failed(shop):
        redrive(shop)
        assert time.monotonic() < deadline, failed(shop)

    # then
    assert all(is_definite(asked.last) for asked in crowd.asked), [it for it in crowd.asked if not it.definite][:3]

    def broken() -> list[str]:
        state = rules.State(rows(shop))
        return [
            *rules.accepted_is_there_once_and_ends(state, crowd),
            *rules.no_answer_is_contradicted(state, crowd),
            *rules.payment_reservation_and_order_agree(state),
            *rules.stock_adds_up(state, crowd),
        ]

    eventually(broken, lambda found: not found, seconds=60)
    ends = [row["status"]["S"] for row in rows(shop)["OrdersTable"].values()]
    print(f"{len(ends):,} orders ended: {', '.join(f'{ends.count(it):,} {it}' for it in ENDED)}; {len(killed)} kills")
    assert killed
