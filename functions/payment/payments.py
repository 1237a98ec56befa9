"""A payment: every decision that the payment service takes, and the order in which it acts on them.

A charge cannot be part of a database write, so it stands between two: the intent, which a cancellation can see and
meet, and the result.

    (no row) --OrderCreated--> CHARGING --approved--> SUCCEEDED --OrderCancelled--> REFUNDING --> REFUNDED
                                  |    '-declined--> FAILED
                            OrderCancelled
                                  '--> CANCELLING --approved--> REFUNDING --> REFUNDED
                                            '------declined--> CANCELLED
    (no row) --OrderCancelled--> CANCELLED          a tombstone: the order that comes late is not charged
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from eventflow.contracts import Currency, Fact, MinorUnits, OrderId, Received, UserId
from eventflow.events import (
    OrderCancelled,
    OrderCreated,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    Pieces,
)
from eventflow.transition import Change, Rows, transition
from payment.gateway import Approved, Declined, Gateway, Money


class Status(StrEnum):
    CHARGING = "CHARGING"
    """The gateway is being asked, or was when we crashed."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    """Cancelled while the gateway was being asked: whoever asked refunds what it finds charged."""
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"
    CANCELLED = "CANCELLED"
    """Cancelled with nothing charged."""


class Payment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    order_id: OrderId
    user_id: UserId
    status: Status
    idempotency_key: str | None = None
    """What the gateway knows the charge by: the eventId of the first OrderCreated that was seen."""
    payment_id: str | None = None
    amount: MinorUnits | None = None
    currency: Currency | None = None

    @property
    def total(self) -> Money | None:
        if self.amount is None or self.currency is None:
            return None
        return Money(self.amount, self.currency)


def charge(rows: Rows[Payment], gateway: Gateway, order: OrderCreated, cause: Received[Fact]) -> None:
    """Do: charge for the order, once, unless it was cancelled before.

    Picks up where a crash left off, by asking the gateway again with the same key.
    """
    payment = transition(
        rows, order.order_id, lambda seen: intend_charge(seen, order, cause.event_id), probably_new=True
    )
    if payment and payment.status in (Status.CHARGING, Status.CANCELLING):
        assert payment.idempotency_key is not None
        answer = gateway.charge(order.order_id, payment.total, idempotency_key=payment.idempotency_key)
        payment = transition(rows, order.order_id, lambda seen: charged(seen, order, answer), cause=cause)
    _refund_if_due(rows, gateway, payment, cause)


def undo(rows: Rows[Payment], gateway: Gateway, order: OrderCancelled, cause: Received[Fact]) -> None:
    """Undo: refund what was charged, once, and see to it that nothing is charged later."""
    payment = transition(rows, order.order_id, lambda seen: call_off(seen, order))
    _refund_if_due(rows, gateway, payment, cause)


def _refund_if_due(rows: Rows[Payment], gateway: Gateway, payment: Payment | None, cause: Received[Fact]) -> None:
    if payment and payment.status is Status.REFUNDING:
        assert payment.payment_id is not None
        gateway.refund(payment.payment_id, payment.total, idempotency_key=f"{payment.idempotency_key}:refund")
        transition(rows, payment.order_id, refunded, cause=cause)


def intend_charge(payment: Payment | None, order: OrderCreated, key: str) -> Change[Payment] | None:
    """The intent, written before the gateway is asked."""
    if payment is not None:
        return None
    return Change(
        Payment(
            order_id=order.order_id,
            user_id=order.user_id,
            status=Status.CHARGING,
            idempotency_key=key,
            amount=order.total_price,
            currency=order.currency,
        )
    )


def charged(payment: Payment | None, order: OrderCreated, answer: Approved | Declined) -> Change[Payment] | None:
    """The result, once the gateway has answered."""
    if payment is None or payment.status not in (Status.CHARGING, Status.CANCELLING):
        return None
    cancelled = payment.status is Status.CANCELLING
    if isinstance(answer, Declined):
        if cancelled:
            return Change(_now(payment, Status.CANCELLED))
        declined = tuple(Pieces(product_id=line.product_id, quantity=line.quantity) for line in order.items)
        failed = PaymentFailed(order_id=order.order_id, user_id=order.user_id, items=declined, reason=answer.reason)
        return Change(_now(payment, Status.FAILED), failed)
    payment = msgspec.structs.replace(payment, payment_id=answer.payment_id)
    if cancelled:
        return Change(_now(payment, Status.REFUNDING))
    succeeded = PaymentSucceeded(
        order_id=payment.order_id,
        user_id=payment.user_id,
        payment_id=answer.payment_id,
        amount=payment.amount,
        currency=payment.currency,
    )
    return Change(_now(payment, Status.SUCCEEDED), succeeded)


_CALLED_OFF = {Status.CHARGING: Status.CANCELLING, Status.SUCCEEDED: Status.REFUNDING}


def call_off(payment: Payment | None, order: OrderCancelled) -> Change[Payment] | None:
    """The order is off."""
    if payment is None:
        return Change(Payment(order_id=order.order_id, user_id=order.user_id, status=Status.CANCELLED))
    status = _CALLED_OFF.get(payment.status)
    return Change(_now(payment, status)) if status else None


def refunded(payment: Payment | None) -> Change[Payment] | None:
    """The money is back."""
    if payment is None or payment.status is not Status.REFUNDING:
        return None
    assert payment.payment_id is not None
    fact = PaymentRefunded(
        order_id=payment.order_id,
        user_id=payment.user_id,
        payment_id=payment.payment_id,
        amount=payment.amount,
        currency=payment.currency,
    )
    return Change(_now(payment, Status.REFUNDED), fact)


def _now(payment: Payment, status: Status) -> Payment:
    return msgspec.structs.replace(payment, status=status)
