"""The saga in memory: the services' real decisions, on tables, a bus and a gateway that misbehave as AWS's may.

Whatever the world does next is drawn from a list of numbers: which delivery, whether it is delivered again, what runs
between a read and the write that follows, where a crash strikes. When the list is used up, the world behaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from eventflow import clock
from eventflow.contracts import Received, read_event
from eventflow.events import (
    InventoryReserved,
    Line,
    OrderCancelled,
    OrderCreated,
    PaymentSucceeded,
    ShortLine,
    StepFailed,
)
from eventflow.outbox import Announcement
from eventflow.prices import Quote
from eventflow.transition import LostRace, Stored, transition
from inventory import stock
from inventory.stock import OutOfStock, Reservation
from orders import orders
from orders.orders import Order
from payment import payments
from payment.gateway import Approved, Declined, Money
from payment.payments import Payment

S = TypeVar("S")


class Crash(Exception):
    """The function died here. What it had written stays written; its event comes again."""


class Choices:
    """What the world does, as numbers below `n`; 0 is what a well-behaved world does."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = iter(numbers)

    def below(self, n: int) -> int:
        return next(self._numbers, 0) % n

    def one_in(self, n: int) -> bool:
        return self.below(n) == n - 1


@dataclass
class MemoryRows(Generic[S]):
    """`Rows` in memory. Others may run between a read and a write, and a crash may follow a write."""

    world: World
    announced: Callable[[Announcement], None]
    kept: dict[str, Stored[S]] = field(default_factory=dict)

    def read(self, key: str) -> Stored[S] | None:
        found = self.kept.get(key)
        self.world.let_others_run()
        return found

    def write(self, key: str, state: S, revision: int, announcement: Announcement | None) -> None:
        current = self.kept.get(key)
        if (current.revision if current else 0) != revision - 1:
            raise LostRace(current)
        self.commit(state)
        self.kept[key] = Stored(state, revision)
        if announcement:
            self.announced(announcement)
        self.world.maybe_crash()

    def commit(self, state: S) -> None:
        """What else is in the write."""


class MemoryWarehouse(MemoryRows[Reservation]):
    def commit(self, state: Reservation) -> None:
        levels = self.world.stock
        short = tuple(
            ShortLine(product_id=product, quantity=-by, available_qty=levels.get(product, 0))
            for product, by in state.stock_moves.items()
            if levels.get(product, 0) + by < 0
        )
        if short:
            raise OutOfStock(short)
        for product, by in state.stock_moves.items():
            levels[product] += by


@dataclass
class MemoryGateway:
    """A provider that remembers keys, as providers do, and counts what it did for each order."""

    world: World
    charged: dict[str, str] = field(default_factory=dict)
    """Order by idempotency key."""
    refunded: dict[str, str] = field(default_factory=dict)
    """Payment by idempotency key."""

    def charge(self, order_id: str, total: Money | None, *, idempotency_key: str) -> Approved | Declined:
        self.world.let_others_run()
        if order_id in self.world.declined:
            return Declined("payment declined")
        self.charged[idempotency_key] = order_id
        self.world.maybe_crash()
        self.world.let_others_run()
        return Approved(f"payment of {order_id}")

    def refund(self, payment_id: str, total: Money | None, *, idempotency_key: str) -> None:
        self.refunded[idempotency_key] = payment_id
        self.world.maybe_crash()
        self.world.let_others_run()


Delivery = Callable[[], None]


@dataclass
class World:
    stock: dict[str, int]
    choices: Choices
    declined: set[str]
    """Orders that the gateway declines."""
    cancelled: set[str]
    """Orders that the shopper cancels, some time after placing them."""
    vetoed: set[str]
    """Orders that a service which EventFlow does not know vetoes."""
    pending: list[Delivery] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)
    depth: int = 0

    def __post_init__(self) -> None:
        self.orders: MemoryRows[Order] = MemoryRows(self, self._publish)
        self.payments: MemoryRows[Payment] = MemoryRows(self, self._publish)
        self.reservations = MemoryWarehouse(self, self._publish)
        self.gateway = MemoryGateway(self)

    # What shoppers do

    def place(self, order_id: str, lines: tuple[Line, ...]) -> None:
        quote = Quote(items=lines, total_price=0, currency="USD")

        def decide(existing: Order | None) -> Any:
            if existing is not None:
                orders.refuse_another_request(existing, "ada", lines)
                return None
            return orders.accept(order_id, "ada", quote, now=clock.now())

        self.pending.append(lambda: void(transition(self.orders, order_id, decide, probably_new=True)))

    def _cancel(self, order_id: str) -> None:
        def decide(order: Order | None) -> Any:
            return orders.cancel(order, "ada", clock.now()) if order else None

        transition(self.orders, order_id, decide)

    # How time passes

    def run(self) -> None:
        while self.pending:
            self._deliver_one()

    def let_others_run(self) -> None:
        if self.pending and self.depth < 3 and self.choices.one_in(3):
            self._deliver_one()

    def maybe_crash(self) -> None:
        if self.choices.one_in(5):
            raise Crash

    def _deliver_one(self) -> None:
        delivery = self.pending.pop(self.choices.below(len(self.pending)))
        self.depth += 1
        try:
            delivery()
        except Crash:
            self.pending.append(delivery)
        else:
            if self.choices.one_in(6):
                self.pending.append(delivery)
        finally:
            self.depth -= 1
        assert min(self.stock.values()) >= 0, f"stock below zero: {self.stock}"

    # The rules of the bus

    def _publish(self, announcement: Announcement) -> None:
        self.announcements.append(announcement)
        event = {
            "id": "delivery",
            "source": announcement.source,
            "detail-type": announcement.detail_type,
            "detail": msgspec.json.decode(announcement.detail),
        }
        match announcement.detail_type:
            case "OrderCreated":
                created = read_event(event, OrderCreated)
                self.pending += [
                    lambda: payments.charge(self.payments, self.gateway, created.fact, created),
                    lambda: stock.reserve(self.reservations, created.fact, created),
                ]
                order_id = created.fact.order_id
                if order_id in self.cancelled:
                    self.pending.append(lambda: self._cancel(order_id))
                if order_id in self.vetoed:
                    veto = foreign_event("FraudCheckFailed", {"orderId": order_id})
                    self.pending.append(lambda: self._advance(veto))
            case "OrderCancelled":
                cancelled = read_event(event, OrderCancelled)
                self.pending += [
                    lambda: payments.undo(self.payments, self.gateway, cancelled.fact, cancelled),
                    lambda: stock.release(self.reservations, cancelled.fact, cancelled),
                ]
            case "PaymentSucceeded" | "InventoryReserved" | "PaymentFailed" | "InventoryFailed":
                self.pending.append(lambda: self._advance(event))

    def _advance(self, event: dict[str, Any]) -> None:
        received: Received[PaymentSucceeded | InventoryReserved | StepFailed] = read_event(
            event, PaymentSucceeded, InventoryReserved, StepFailed
        )
        step = received.fact

        def decide(order: Order | None) -> Any:
            if isinstance(step, StepFailed):
                return orders.step_failed(order, step, received.detail_type, clock.now())
            return orders.step_done(order, step, clock.now())

        transition(self.orders, step.order_id, decide, cause=received)


def foreign_event(detail_type: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"{detail_type} {detail}", "source": "elsewhere", "detail-type": detail_type, "detail": detail}


def void(_: object) -> None:
    pass
