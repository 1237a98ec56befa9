"""What inventory announces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from eventflow.contracts import OlderShape, OrderId, ProductId, Quantity, UserId
from eventflow.events.lines import MAX_LINES, Lines, OrderFact, PerProductFact, ShortLine


class InventoryReserved(OrderFact, frozen=True, kw_only=True):
    """Every line of the order is taken out of stock."""

    SOURCE: ClassVar[str] = "eventflow.inventory"

    items: Lines


class InventoryReleased(OrderFact, frozen=True, kw_only=True):
    """The reserved stock is available again."""

    SOURCE: ClassVar[str] = "eventflow.inventory"

    items: Lines


class InventoryFailedV1(OlderShape, frozen=True, kw_only=True):
    order_id: OrderId
    user_id: UserId
    product_id: ProductId
    quantity: Quantity
    available_qty: Annotated[int, msgspec.Meta(ge=0)]
    """How many pieces there were."""
    reason: str
    """Why, in a few words."""

    def newest(self) -> InventoryFailed:
        line = ShortLine(product_id=self.product_id, quantity=self.quantity, available_qty=self.available_qty)
        return InventoryFailed(order_id=self.order_id, user_id=self.user_id, items=(line,), reason=self.reason)


class InventoryFailed(PerProductFact, frozen=True, kw_only=True):
    """There was not enough stock for these lines of the order; no line is reserved."""

    SOURCE: ClassVar[str] = "eventflow.inventory"
    OLDER: ClassVar[Mapping[int, type[OlderShape]]] = {1: InventoryFailedV1}

    items: Annotated[tuple[ShortLine, ...], MAX_LINES]
    """The lines that there was not enough stock of."""
    reason: str
    """Why, in a few words."""
