"""The saga in memory: the services' real decisions, on tables, a bus and a gateway that misbehave as AWS's may.

Whatever the world does next is drawn from a list of numbers: which delivery, whether it is delivered again (later, or
while it is handled), what runs before a write, where a crash strikes, whose answer is late or lost, when somebody sends
again what failed, and whether under another eventId. When the list is used up, the world behaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from eventflow import clock
from eventflow.contracts import Fact, Received, read_event
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
from payment.gateway import KEY_KEPT_MS, Answer, Approved, CalledOff, Declined, Money
from payment.payments import Payment
from payment.payments import Status as Paying

S = TypeVar("S")
F = TypeVar("F", bound=Fact)

AGAIN = " again"
"""Ends the eventId of an event that its producer sent once more, under another."""


class Crash(Exception):
    """The function died here, or waited too long for an answer. What was done stays done; its event comes again."""


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
    """`Rows` in memory. Others may run before a write; a crash may follow it; and its answer may be lost: then the SDK
    repeats the write and is told what is there by then.
    """

    world: World
    announced: Callable[[Announcement], None]
    kept: dict[str, Stored[S]] = field(default_factory=dict)

    def read(self, key: str) -> Stored[S] | None:
        return self.kept.get(key)

    def write(self, key: str, state: S, revision: int, announcement: Announcement | None) -> None:
        self.world.let_others_run()
        current = self.kept.get(key)
        if (current.revision if current else 0) != revision - 1:
            raise LostRace(current)
        self.commit(state)
        event_id = announcement.id if announcement else None
        self.kept[key] = Stored(state, revision, event_id)
        if announcement:
            self.announced(announcement)
        match self.world.choices.below(6):
            case 5:
                raise Crash
            case 4:
                self.world.let_others_run()
                there = self.kept[key]
                if not (event_id and there.event_id == event_id):
                    raise LostRace(there)

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
    """A provider. It remembers a key for as long as providers do, and payments and promises without an end.

    A request may not reach it, and its answer may be late, or lost: others run meanwhile, on the same order perhaps.
    """

    world: World
    answers: dict[str, tuple[Answer, int]] = field(default_factory=dict)
    """By idempotency key, with the time."""
    charged: dict[str, Approved] = field(default_factory=dict)
    """The last payment, by idempotency key."""
    payments: dict[str, str] = field(default_factory=dict)
    """Order by payment."""
    promised: set[str] = field(default_factory=set)
    """Idempotency keys that were called off with nothing charged."""
    refunded: dict[str, str] = field(default_factory=dict)
    """Payment by idempotency key."""

    def charge(self, order_id: str, total: Money | None, *, idempotency_key: str) -> Answer:
        paying = self.world.payments.kept[order_id].state.status
        assert paying is Paying.CHARGING, f"a charge is asked for that is known to be {paying}"
        assert total == self.world.total(order_id)
        self._ask()
        answer, at = self.answers.get(idempotency_key, (None, 0))
        if answer is None or self.world.now - at >= KEY_KEPT_MS:
            answer = self._charge(order_id, idempotency_key)
            self.answers[idempotency_key] = answer, self.world.now
        self._answer()
        return answer

    def _charge(self, order_id: str, key: str) -> Answer:
        if key in self.promised:
            return CalledOff()
        if order_id in self.world.declined:
            return Declined("payment declined")
        payment = self.charged[key] = Approved(f"payment {len(self.payments)}")
        self.payments[payment.payment_id] = order_id
        return payment

    def call_off(self, idempotency_key: str) -> Approved | None:
        self._ask()
        found = self.charged.get(idempotency_key)
        if not found:
            self.promised.add(idempotency_key)
        self._answer()
        return found

    def refund(self, payment_id: str, total: Money | None, *, idempotency_key: str) -> None:
        assert total == self.world.total(self.payments[payment_id])
        self._ask()
        self.refunded[idempotency_key] = payment_id
        self._answer()

    def _ask(self) -> None:
        self.world.maybe_crash()
        self.world.let_others_run()

    def _answer(self) -> None:
        self.world.let_others_run()
        self.world.maybe_crash()


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
    now: int = 1_760_000_000_000
    """Milliseconds since 1970."""

    def __post_init__(self) -> None:
        self.orders: MemoryRows[Order] = MemoryRows(self, self._publish)
        self.payments: MemoryRows[Payment] = MemoryRows(self, self._publish)
        self.reservations = MemoryWarehouse(self, self._publish)
        self.gateway = MemoryGateway(self)

    # What shoppers do

    def place(self, order_id: str, lines: tuple[Line, ...]) -> None:
        total = sum(1_999 * line.quantity for line in lines)
        quote = Quote(items=lines, total_price=total, currency="USD")

        def decide(existing: Order | None) -> Any:
            if existing is not None:
                orders.refuse_another_request(existing, "ada", lines)
                return None
            return orders.accept(order_id, "ada", quote, now=clock.now())

        self.pending.append(lambda: void(transition(self.orders, order_id, decide, probably_new=True)))

    def total(self, order_id: str) -> Money:
        """What the order costs."""
        order = self.orders.kept[order_id].state
        assert order.currency
        return Money(order.total_price, order.currency)

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
        if self.choices.one_in(6):
            self.pending.append(delivery)  # so that two consumers may have it at once
        self.depth += 1
        try:
            delivery()
        except Crash:
            self.pending.append(delivery)
            # what failed waits in a queue, until somebody sends it again; no invocation lasts as long
            if self.depth == 1 and self.choices.one_in(4):
                self.now += KEY_KEPT_MS
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
                    lambda: payments.charge(self.payments, self.gateway, created.fact, self._sent(created), self.now),
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

    def _sent(self, event: Received[F]) -> Received[F]:
        """As its producer sent it; one delivery in six was sent as a new one, which makes it another event."""
        return msgspec.structs.replace(event, event_id=f"{event.event_id}{AGAIN}") if self.choices.one_in(6) else event

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
