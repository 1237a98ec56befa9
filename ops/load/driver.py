"""Places orders at a rate that no answer slows down, and follows them to their ends."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from eventflow import clock
from ops.api import ErrorAnswer
from ops.load.figures import percentile
from ops.load.shop import Shop
from orders.orders import order_id_for

ENDS = ("CONFIRMED", "PAYMENT_FAILED", "INVENTORY_FAILED", "CANCELLED")

LOOK_EVERY = 1.0
"""Seconds between two looks at the orders that have not ended."""

SAY_EVERY = 5.0
"""Seconds between two lines of progress, without a terminal."""

CLOCKS_APART = timedelta(minutes=1)
"""By how much this machine's clock may differ from the cloud's."""

INDEX_LAG = timedelta(seconds=10)
"""By how much a list may be behind the orders: it is looked through again from so long before."""


@dataclass
class Order:
    """One of the run. Times are in seconds from the run's start."""

    order_id: str
    product: str
    due_at: float
    """When it was to be placed: from then on its latency counts, whether or not a connection was free."""
    answered_at: float | None = None
    status: int = 0
    """Of the answer to its request; 0 where none came."""
    problem: str = ""
    ended: str = ""
    """Its status, once that is one of ENDS."""
    saga_seconds: float | None = None
    """From created to its last change, both by the cloud's clock."""

    @property
    def accepted(self) -> bool:
        return self.status == HTTPStatus.CREATED

    @property
    def latency(self) -> float | None:
        """Seconds from when it was due to its answer."""
        return None if self.answered_at is None else self.answered_at - self.due_at


@dataclass
class Drive:
    """An open loop: requests start when they are due, however slow the answers are, up to `in_flight` at once. One that
    finds no place waits for it, and that wait is part of its latency.
    """

    shop: Shop
    rate: float
    number: int
    in_flight: int
    console: Console
    orders: list[Order] = field(default_factory=list)
    _started: float = 0.0
    _told: float = 0.0
    _placed: threading.Event = field(default_factory=threading.Event)
    """All requests were answered."""
    _given_up: threading.Event = field(default_factory=threading.Event)

    def run(self) -> list[Order]:
        """All orders, with what became of them. An order that has not ended after the stack's patience stays open."""
        began = clock.iso(clock.now() - int(CLOCKS_APART.total_seconds() * 1000))
        pool = self.shop.connections(self.in_flight)
        self._started = time.monotonic()
        with (
            self.console.status("") if self.console.is_terminal else nullcontext() as status,
            ThreadPoolExecutor(self.in_flight) as clients,
            ThreadPoolExecutor(1) as follower,
        ):
            following = follower.submit(self._follow, began, status)
            try:
                for number in range(self.number):
                    due_at = number / self.rate
                    self._until(due_at)
                    shopper = self.shop.shoppers[number % len(self.shop.shoppers)]
                    key = str(uuid.uuid4())
                    product = self.shop.products[number % len(self.shop.products)]
                    order = Order(order_id_for(shopper.sub, key), product, due_at)
                    self.orders.append(order)
                    clients.submit(self._place, pool, order, shopper, key)
                clients.shutdown(wait=True)
            except BaseException:
                clients.shutdown(wait=False, cancel_futures=True)
                self._given_up.set()
                raise
            finally:
                self._placed.set()
            following.result()
        return self.orders

    def _until(self, due_at: float) -> None:
        """Wait until this many seconds after the start."""
        if (ahead := self._started + due_at - time.monotonic()) > 0:
            time.sleep(ahead)

    def _place(self, pool: Any, order: Order, shopper: Any, key: str) -> None:
        answer = self.shop.place(pool, shopper, key, order.product)
        order.answered_at = time.monotonic() - self._started
        order.status, order.problem = answer.status, "" if answer.status == 201 else str(answer.body.get("title", ""))

    # What becomes of them

    def _follow(self, began: str, status: Status | None) -> None:
        """Look at the orders that have not ended, until all have, or none has for as long as the stack's patience."""
        oldest, last_end = began, time.monotonic()
        while not self._given_up.is_set():
            over = self._placed.wait(LOOK_EVERY)
            ended = sum(bool(order.ended) for order in self.orders)
            trouble = ""
            try:
                oldest = self._look(oldest)
            except ErrorAnswer as error:  # it may be throttled, as the orders are; what cannot be seen stays open
                trouble = f"; the list says {error.status}"
            now = sum(bool(order.ended) for order in self.orders)
            if now != ended or not over:
                last_end = time.monotonic()
            self._tell(now, trouble, status)
            if over and all(order.ended or not order.accepted for order in self.orders):
                return
            if time.monotonic() - last_end > self.shop.at.patience.order:
                self._look(began)
                return
            if over:
                time.sleep(self.shop.at.patience.poll)

    def _look(self, since: str) -> str:
        """Note which orders have ended. Returns from when on to look next: a little before the oldest one that is open,
        or before the newest, if none is.
        """
        ours = {order.order_id: order for order in list(self.orders)}
        found = self.shop.orders_since(since)
        for order_id, seen in found.items():
            order = ours.get(order_id)
            if order and not order.ended and seen["status"] in ENDS:
                order.ended = seen["status"]
                order.saga_seconds = (_at(seen["updatedAt"]) - _at(seen["createdAt"])).total_seconds()
        still_open = [seen["createdAt"] for seen in found.values() if seen["status"] not in ENDS]
        bound = min(still_open) if still_open else max((seen["createdAt"] for seen in found.values()), default=since)
        return max(since, clock.iso_of(_at(bound) - INDEX_LAG))

    def _tell(self, ended: int, trouble: str, status: Status | None) -> None:
        seconds = time.monotonic() - self._started
        answered = [order for order in list(self.orders) if order.answered_at is not None]
        latencies = sorted(order.latency * 1000 for order in answered if order.latency is not None)
        refused = sum(not order.accepted for order in answered)
        text = (
            f"  {seconds:4.0f} s: {len(self.orders)} of {self.number} placed, "
            f"{len(self.orders) - len(answered)} in flight, {ended} ended, {refused} not accepted"
        )
        if latencies:
            text += f"; latency p50 {percentile(latencies, 50):.0f} ms, p99 {percentile(latencies, 99):.0f} ms"
        text += trouble
        if status:
            status.update(Text(text))
        elif seconds - self._told >= SAY_EVERY:
            self._told = seconds
            self.console.print(Text(text), soft_wrap=True)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
