"""What payment announces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from eventflow.contracts import Currency, MinorUnits, OlderShape, OrderId, ProductId, Quantity, UserId
from eventflow.events.lines import MAX_LINES, OrderFact, PerProductFact, Pieces


class PaymentSucceeded(OrderFact, frozen=True, kw_only=True):
    """The order is charged. `amount` is absent where the order had no prices."""

    SOURCE: ClassVar[str] = "eventflow.payment"

    payment_id: str
    """The gateway's id of the charge."""
    amount: MinorUnits | None = None
    """What was charged, in the currency's smallest unit."""
    currency: Currency | None = None


class PaymentRefunded(OrderFact, frozen=True, kw_only=True):
    """A charge was given back."""

    SOURCE: ClassVar[str] = "eventflow.payment"

    payment_id: str
    """The gateway's id of the charge."""
    amount: MinorUnits | None = None
    """What was given back, in the currency's smallest unit."""
    currency: Currency | None = None


class PaymentFailedV1(OlderShape, frozen=True, kw_only=True):
    order_id: OrderId
    user_id: UserId
    product_id: ProductId
    quantity: Quantity
    reason: str
    """Why, in a few words."""

    def newest(self) -> PaymentFailed:
        line = Pieces(product_id=self.product_id, quantity=self.quantity)
        return PaymentFailed(order_id=self.order_id, user_id=self.user_id, items=(line,), reason=self.reason)


class PaymentFailed(PerProductFact, frozen=True, kw_only=True):
    """The gateway declined the charge, or could not be reached in time; nothing was taken."""

    SOURCE: ClassVar[str] = "eventflow.payment"
    OLDER: ClassVar[Mapping[int, type[OlderShape]]] = {1: PaymentFailedV1}

    items: Annotated[tuple[Pieces, ...], MAX_LINES]
    reason: str
    """Why, in a few words."""
