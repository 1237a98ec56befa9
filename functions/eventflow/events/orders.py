"""What orders announces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from eventflow.contracts import Currency, MinorUnits, OlderShape, OrderId, ProductId, Quantity, UserId
from eventflow.events.lines import Line, Lines, OrderFact, PerProductFact, refuse_repeated_products


class OrderCreatedV1(OlderShape, frozen=True, kw_only=True):
    order_id: OrderId
    user_id: UserId
    product_id: ProductId
    quantity: Quantity
    unit_price: MinorUnits | None = None
    """The price of one piece, in the currency's smallest unit."""
    total_price: MinorUnits | None = None
    """The price of all pieces, in the currency's smallest unit."""
    currency: Currency | None = None

    def newest(self) -> OrderCreated:
        line = Line(product_id=self.product_id, quantity=self.quantity, unit_price=self.unit_price)
        return OrderCreated(
            order_id=self.order_id,
            user_id=self.user_id,
            items=(line,),
            total_price=self.total_price,
            currency=self.currency,
        )


class OrderCreated(PerProductFact, frozen=True, kw_only=True):
    """An order was accepted. Prices are there when the shop knew them."""

    SOURCE: ClassVar[str] = "eventflow.orders"
    OLDER: ClassVar[Mapping[int, type[OlderShape]]] = {1: OrderCreatedV1}

    items: Lines
    total_price: MinorUnits | None = None
    """The sum of its lines, in the currency's smallest unit."""
    currency: Currency | None = None

    def __post_init__(self) -> None:
        refuse_repeated_products([line.product_id for line in self.items])


class OrderConfirmed(OrderFact, frozen=True, kw_only=True):
    """Paid and reserved: the order stands."""

    SOURCE: ClassVar[str] = "eventflow.orders"


class OrderCancelled(OrderFact, frozen=True, kw_only=True):
    """The order is off; each service that did something for it undoes it."""

    SOURCE: ClassVar[str] = "eventflow.orders"

    reason: str
    """Why it is off, in a few words; the type of the veto, if that gave no reason."""
