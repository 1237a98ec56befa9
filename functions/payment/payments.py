"""A payment: every decision that the payment service takes, and the order in which it acts on them.

A charge cannot be part of a database write, so it stands between two: the intent, which a cancellation can see and
meet, and the result. To undo a charge of which the result is not known is to ask the gateway to call it off.

    (no row) --OrderCreated--> CHARGING --approved--> SUCCEEDED --OrderCancelled--> REFUNDING --> REFUNDED
                                  |    '-declined, or too old--> FAILED
                            OrderCancelled
                                  '--> CANCELLING --charged, after all--> REFUNDING --> REFUNDED
                                            '------called off, or declined--> CANCELLED
    (no row) --OrderCancelled--> CANCELLED          a tombstone: the order that comes late is not charged

Two may be on one of these ways at once, and the last steps may come days later, when an event is redriven. The first
write wins, so each fact is announced once; the refund has one idempotency key. A payment that has no place on any of
these ways is kept in the row as a stray, and the event ends in the failed-events queue: see StrayPayment.
"""

from __future__ import annotations

import uuid
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
from eventflow.transition import Change, Remembered, Rows, transition
from payment.gateway import KEY_KEPT_MS, Answer, Approved, CalledOff, Declined, Gateway, Money


class Status(StrEnum):
    CHARGING = "CHARGING"
    """The gateway is being asked, or was when we crashed."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    """Cancelled while the gateway was being asked. It is not charged from here on, but called off."""
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"
    CANCELLED = "CANCELLED"
    """Cancelled with nothing charged."""


OUT_OF_REACH = "the payment provider could not be reached in time"
"""The reason if the gateway could not be asked until it was too late."""

ASKED_FOR_MS = KEY_KEPT_MS - 60 * 60 * 1000
"""How old an intent may be and still be charged. An hour less than the gateway keeps its key: the charge must also
arrive before the key is gone.
"""


class Payment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    order_id: OrderId
    user_id: UserId
    status: Status
    idempotency_key: str | None = None
    """What the gateway knows the charge by: `key_of` the eventId of the first OrderCreated that was seen."""
    payment_id: str | None = None
    amount: MinorUnits | None = None
    currency: Currency | None = None
    intended_at: int | None = None
    """Milliseconds since 1970; only while CHARGING, and not in what earlier releases wrote."""
    strays: tuple[str, ...] = ()
    """Ids of payments that the gateway made when none was due, or in addition to `payment_id`."""

    @property
    def total(self) -> Money | None:
        if self.amount is None or self.currency is None:
            return None
        return Money(self.amount, self.currency)


class StrayPayment(Exception):
    """The gateway made a payment that this order has no use for. A person must look, and refund it at the provider.

    The row keeps its id, so that each delivery of the order's events raises again and the event ends in the queue.
    """

    def __init__(self, payment: Payment) -> None:
        taken = ", ".join(payment.strays)
        super().__init__(
            f"order {payment.order_id} is {payment.status}, but the payment provider also took {taken}: "
            "refund this at the provider"
        )


def charge(rows: Rows[Payment], gateway: Gateway, order: OrderCreated, cause: Received[Fact], now: int) -> None:
    """Do: charge for the order, once, unless it was cancelled before. `now` is in milliseconds since 1970.

    Picks up where a crash left off: by asking the gateway again with the same key, while the gateway knows the key.
    An intent that is older is called off; if that finds no payment, the payment has failed. Raises StrayPayment, and
    what the gateway raises.
    """
    rows = Remembered(rows)
    payment = transition(
        rows, order.order_id, lambda seen: intend_charge(seen, order, key_of(cause.event_id), now), probably_new=True
    )
    if payment and payment.status is Status.CHARGING:
        assert payment.idempotency_key is not None
        answer: Answer
        if may_be_charged(payment, now):
            answer = gateway.charge(order.order_id, payment.total, idempotency_key=payment.idempotency_key)
        else:
            answer = gateway.call_off(payment.idempotency_key) or CalledOff()
        payment = transition(rows, order.order_id, lambda seen: charged(seen, order, answer), cause=cause)
    _finish(rows, gateway, payment, cause)


def undo(rows: Rows[Payment], gateway: Gateway, order: OrderCancelled, cause: Received[Fact]) -> None:
    """Undo: refund the charge, once, and make sure that nothing is charged later.

    Raises StrayPayment, and what the gateway raises.
    """
    payment = transition(rows, order.order_id, lambda seen: cancel(seen, order))
    _finish(rows, gateway, payment, cause)


def _finish(rows: Rows[Payment], gateway: Gateway, payment: Payment | None, cause: Received[Fact]) -> None:
    if payment and payment.status is Status.CANCELLING:
        assert payment.idempotency_key is not None
        found = gateway.call_off(payment.idempotency_key)
        payment = transition(rows, payment.order_id, lambda seen: called_off(seen, found), cause=cause)
    if payment and payment.status is Status.REFUNDING:
        assert payment.payment_id is not None
        gateway.refund(payment.payment_id, payment.total, idempotency_key=f"{payment.idempotency_key}:refund")
        payment = transition(rows, payment.order_id, refunded, cause=cause)
    if payment and payment.strays:
        raise StrayPayment(payment)


def key_of(event_id: str) -> str:
    """The idempotency key of an event's charge. Providers take no long one (Stripe: 255 characters), events do."""
    return event_id if len(event_id) <= 64 else str(uuid.uuid5(uuid.NAMESPACE_OID, event_id))


def intend_charge(payment: Payment | None, order: OrderCreated, key: str, now: int) -> Change[Payment] | None:
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
            intended_at=now,
        )
    )


def may_be_charged(payment: Payment, now: int) -> bool:
    """Whether the gateway still knows the intent's key, if it has seen it. Of an intent without a time nobody knows."""
    return payment.intended_at is not None and now - payment.intended_at < ASKED_FOR_MS


def charged(payment: Payment | None, order: OrderCreated, answer: Answer) -> Change[Payment] | None:
    """The result, once the gateway has answered. Of an order that was cancelled meanwhile, the call-off finds it."""
    assert payment is not None, "the intent was written before, and no row is ever deleted"
    if payment.status is Status.CANCELLING:
        return None
    if payment.status is not Status.CHARGING:
        return _kept_if_stray(payment, answer)
    if isinstance(answer, Approved):
        return _paid(payment, answer, Status.SUCCEEDED)
    declined = tuple(Pieces(product_id=line.product_id, quantity=line.quantity) for line in order.items)
    reason = answer.reason if isinstance(answer, Declined) else OUT_OF_REACH
    failed = PaymentFailed(order_id=order.order_id, user_id=order.user_id, items=declined, reason=reason)
    return Change(_now(payment, Status.FAILED), failed)


_CANCELLED = {Status.CHARGING: Status.CANCELLING, Status.SUCCEEDED: Status.REFUNDING}


def cancel(payment: Payment | None, order: OrderCancelled) -> Change[Payment] | None:
    """The order is off."""
    if payment is None:
        return Change(Payment(order_id=order.order_id, user_id=order.user_id, status=Status.CANCELLED))
    status = _CANCELLED.get(payment.status)
    return Change(_now(payment, status)) if status else None


def called_off(payment: Payment | None, found: Approved | None) -> Change[Payment] | None:
    """The charge of a cancelled order was called off: `found` is its payment, or there will never be one.

    A payment is announced before it is refunded, so that people who follow the order see what will be undone.
    """
    assert payment is not None, "it was CANCELLING before, and no row is ever deleted"
    if payment.status is not Status.CANCELLING:
        return _kept_if_stray(payment, found)
    if found is None:
        return Change(_now(payment, Status.CANCELLED))
    return _paid(payment, found, Status.REFUNDING)


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


def _paid(payment: Payment, answer: Approved, status: Status) -> Change[Payment]:
    fact = PaymentSucceeded(
        order_id=payment.order_id,
        user_id=payment.user_id,
        payment_id=answer.payment_id,
        amount=payment.amount,
        currency=payment.currency,
    )
    return Change(msgspec.structs.replace(_now(payment, status), payment_id=answer.payment_id), fact)


def _kept_if_stray(payment: Payment, answer: Answer | None) -> Change[Payment] | None:
    """Another was faster, and the row has its result. That is the same payment, unless something went wrong."""
    if not isinstance(answer, Approved) or answer.payment_id in (payment.payment_id, *payment.strays):
        return None
    return Change(msgspec.structs.replace(payment, strays=(*payment.strays, answer.payment_id)))


def _now(payment: Payment, status: Status) -> Payment:
    return msgspec.structs.replace(payment, status=status, intended_at=None)
