"""The messages to shoppers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from eventflow.events import OrderCancelled, OrderConfirmed, OrderCreated, PaymentRefunded

Told = OrderCreated | OrderConfirmed | OrderCancelled | PaymentRefunded


@dataclass(frozen=True)
class Message:
    subject: str
    """At most 100 characters of ASCII, which is what SNS takes for an e-mail's subject."""
    body: str


def message_about(fact: Told, occurred_at: int) -> Message:
    """`occurred_at` is in milliseconds since 1970."""
    subject, body = _told(fact)
    when = datetime.fromtimestamp(occurred_at // 1000, UTC)
    return Message(subject, f"{body} That was on {when.day} {when:%B %Y at %H:%M:%S} UTC.")


def _told(fact: Told) -> tuple[str, str]:
    order = f"order {fact.order_id}"
    match fact:
        case OrderCreated():
            pieces = sum(line.quantity for line in fact.items)
            return "We have your order", f"Thank you! Your {order} of {pieces} piece(s) is being processed."
        case OrderConfirmed():
            return "Your order is confirmed", f"Your {order} is paid and reserved for you."
        case OrderCancelled():
            return "Your order was cancelled", f"Your {order} was cancelled: {fact.reason}."
        case PaymentRefunded():
            return "Your money is on its way back", f"The payment for your {order} was refunded."
