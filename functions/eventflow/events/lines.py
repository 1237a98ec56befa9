"""Products and pieces, and the facts that are about an order's lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from eventflow.contracts import Fact, MinorUnits, OrderId, ProductId, Quantity, UserId


class Pieces(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A quantity of one product."""

    product_id: ProductId
    quantity: Quantity


class Line(Pieces, frozen=True, kw_only=True):
    """A quantity of one product, at a price."""

    unit_price: MinorUnits | None = None
    """The price of one piece, in the currency's smallest unit."""


class ShortLine(Pieces, frozen=True, kw_only=True):
    """A quantity of one product for which there was not enough stock."""

    available_qty: Annotated[int, msgspec.Meta(ge=0)]
    """How many pieces there were."""


MAX_LINES = msgspec.Meta(min_length=1, max_length=50, description="One line for each product.")
"""A reservation is one DynamoDB transaction, which takes 100 items."""

Lines = Annotated[tuple[Line, ...], MAX_LINES]


def refuse_repeated_products(product_ids: Sequence[str]) -> None:
    """Raise ValueError unless each product stands once: one transaction writes one item once."""
    for index, product_id in enumerate(product_ids):
        if product_id in product_ids[:index]:
            raise ValueError(f"product {product_id} is there twice - at `$.items[{index}].productId`")


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
