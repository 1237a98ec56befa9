"""The published language: every event on the bus, in its newest shape and, where it has one, its older shape.

An order of one product is version 1.0 on the wire, as the first consumers know it, for good; an order of several
is 2.0. Code knows the newest shape alone: reading upcasts, publishing picks the version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from eventflow.contracts import (
    Currency,
    Fact,
    MinorUnits,
    OlderShape,
    OrderId,
    ProductId,
    Quantity,
    UserId,
)


class Pieces(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """So many of one product."""

    product_id: ProductId
    quantity: Quantity


class Line(Pieces, frozen=True, kw_only=True):
    """So many of one product, at a price."""

    unit_price: MinorUnits | None = None


class ShortLine(Pieces, frozen=True, kw_only=True):
    """So many of one product as stock did not suffice for."""

    available_qty: Annotated[int, msgspec.Meta(ge=0)]


MAX_LINES = msgspec.Meta(min_length=1, max_length=50)
"""A reservation is one DynamoDB transaction, which takes 100 items."""

Lines = Annotated[tuple[Line, ...], MAX_LINES]


def refuse_repeated_products(product_ids: Sequence[str]) -> None:
    """Raise ValueError unless each product stands once: one transaction writes one item once."""
    for index, product_id in enumerate(product_ids):
        if product_id in product_ids[:index]:
            raise ValueError(f"product {product_id} stands twice - at `$.items[{index}].productId`")


class OrderFact(Fact, frozen=True, kw_only=True):
    """A fact about an order."""

    order_id: OrderId
    user_id: UserId


class PerProductFact(OrderFact, frozen=True, kw_only=True):
    """A fact about an order's lines: flat (1.0) where there is one line, `items` (2.0) where there are more."""

    VERSION: ClassVar[str] = "2.0"

    def on_the_wire(self) -> tuple[str, dict[str, Any]]:
        fields: dict[str, Any] = msgspec.to_builtins(self)
        if len(fields["items"]) > 1:
            return self.VERSION, fields
        (line,) = fields.pop("items")
        return "1.0", {**fields, **line}


# Orders


class OrderCreatedV1(OlderShape, frozen=True, kw_only=True):
    order_id: OrderId
    user_id: UserId
    product_id: ProductId
    quantity: Quantity
    unit_price: MinorUnits | None = None
    total_price: MinorUnits | None = None
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
    currency: Currency | None = None

    def __post_init__(self) -> None:
        refuse_repeated_products([line.product_id for line in self.items])


class OrderConfirmed(OrderFact, frozen=True, kw_only=True):
    """Paid and reserved: the order stands."""

    SOURCE: ClassVar[str] = "eventflow.orders"


class OrderCancelled(OrderFact, frozen=True, kw_only=True):
    """The order is off; whoever did something for it undoes it."""

    SOURCE: ClassVar[str] = "eventflow.orders"

    reason: str


# Payment


class PaymentSucceeded(OrderFact, frozen=True, kw_only=True):
    """The order is charged. `amount` is absent where the order had no prices."""

    SOURCE: ClassVar[str] = "eventflow.payment"

    payment_id: str
    amount: MinorUnits | None = None
    currency: Currency | None = None


class PaymentRefunded(OrderFact, frozen=True, kw_only=True):
    """A charge was given back."""

    SOURCE: ClassVar[str] = "eventflow.payment"

    payment_id: str
    amount: MinorUnits | None = None
    currency: Currency | None = None


class PaymentFailedV1(OlderShape, frozen=True, kw_only=True):
    order_id: OrderId
    user_id: UserId
    product_id: ProductId
    quantity: Quantity
    reason: str

    def newest(self) -> PaymentFailed:
        line = Pieces(product_id=self.product_id, quantity=self.quantity)
        return PaymentFailed(order_id=self.order_id, user_id=self.user_id, items=(line,), reason=self.reason)


class PaymentFailed(PerProductFact, frozen=True, kw_only=True):
    """The gateway declined the charge; nothing was taken."""

    SOURCE: ClassVar[str] = "eventflow.payment"
    OLDER: ClassVar[Mapping[int, type[OlderShape]]] = {1: PaymentFailedV1}

    items: Annotated[tuple[Pieces, ...], MAX_LINES]
    reason: str


# Inventory


class InventoryReserved(OrderFact, frozen=True, kw_only=True):
    """Every line of the order is taken out of stock."""

    SOURCE: ClassVar[str] = "eventflow.inventory"

    items: Lines


class InventoryReleased(OrderFact, frozen=True, kw_only=True):
    """What was reserved is back in stock."""

    SOURCE: ClassVar[str] = "eventflow.inventory"

    items: Lines


class InventoryFailedV1(OlderShape, frozen=True, kw_only=True):
    order_id: OrderId
    user_id: UserId
    product_id: ProductId
    quantity: Quantity
    available_qty: Annotated[int, msgspec.Meta(ge=0)]
    reason: str

    def newest(self) -> InventoryFailed:
        line = ShortLine(product_id=self.product_id, quantity=self.quantity, available_qty=self.available_qty)
        return InventoryFailed(order_id=self.order_id, user_id=self.user_id, items=(line,), reason=self.reason)


class InventoryFailed(PerProductFact, frozen=True, kw_only=True):
    """Stock did not suffice for these lines of the order; nothing of it is reserved."""

    SOURCE: ClassVar[str] = "eventflow.inventory"
    OLDER: ClassVar[Mapping[int, type[OlderShape]]] = {1: InventoryFailedV1}

    items: Annotated[tuple[ShortLine, ...], MAX_LINES]
    reason: str


# Anyone


class StepFailedV1(OlderShape, frozen=True, kw_only=True):
    order_id: OrderId
    reason: str = ""

    def newest(self) -> StepFailed:
        return StepFailed(order_id=self.order_id, reason=self.reason)


class StepFailed(Fact, frozen=True, kw_only=True):
    """What orders reads of any event whose detail-type ends in `Failed`: a service vetoes the order.

    Read by suffix, so that a new service takes part in the saga with no change to an existing one.
    """

    VERSION: ClassVar[str] = "2.0"
    OLDER: ClassVar[Mapping[int, type[OlderShape]]] = {1: StepFailedV1}

    order_id: OrderId
    reason: str = ""

    @classmethod
    def is_announced_by(cls, source: str, detail_type: str) -> bool:
        return detail_type.endswith("Failed")
