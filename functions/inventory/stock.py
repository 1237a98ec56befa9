"""Stock and reservations: every decision that the inventory service takes.

(no row) --OrderCreated--> RESERVED --OrderCancelled--> RELEASED
                  '------> REFUSED
(no row) --OrderCancelled--> CANCELLED          a tombstone: the order that comes late reserves nothing
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from eventflow import clock
from eventflow.contracts import Fact, OrderId, ProductId, Received, UserId
from eventflow.events import (
    InventoryFailed,
    InventoryReleased,
    InventoryReserved,
    Line,
    OrderCancelled,
    OrderCreated,
    ShortLine,
)
from eventflow.transition import Change, Rows, transition


class Status(StrEnum):
    RESERVED = "RESERVED"
    REFUSED = "REFUSED"
    """There was not enough stock."""
    RELEASED = "RELEASED"
    CANCELLED = "CANCELLED"
    """Cancelled with nothing reserved."""


class Reservation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The stock that is reserved for an order. Committing one moves its `stock_moves` in the same transaction."""

    order_id: OrderId
    user_id: UserId
    status: Status
    items: tuple[Line, ...] = ()

    @property
    def stock_moves(self) -> dict[ProductId, int]:
        """By how much entering this state changes each product's stock."""
        sign = {Status.RESERVED: -1, Status.RELEASED: 1}.get(self.status, 0)
        return {line.product_id: sign * line.quantity for line in self.items if sign}


class ShownStockLevel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """How many pieces of a product may still be sold: all adjustments minus what is reserved for orders."""

    product_id: ProductId
    available_qty: int
    """How many pieces may still be sold."""
    updated_at: str | None = None
    """When it last changed, in ISO-8601."""


class StockLevel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A stock level as it is kept."""

    product_id: ProductId
    available_qty: int
    updated_at: int | None = None
    """Milliseconds since 1970."""

    def shown(self) -> ShownStockLevel:
        updated_at = None if self.updated_at is None else clock.iso(self.updated_at)
        return ShownStockLevel(product_id=self.product_id, available_qty=self.available_qty, updated_at=updated_at)


class Adjustment(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A delivery, a return, a loss: stock is changed by a number of pieces, and never set.

    Someone who sets it has read it before, and would sell again what was sold since then.
    """

    by: Annotated[int, msgspec.Meta(ge=-1_000_000_000, le=1_000_000_000)]
    """How many pieces come in; below 0, how many go out."""
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """Why; it is logged."""

    def __post_init__(self) -> None:
        if not self.by:
            raise ValueError("Expected more or less than 0 - at `$.by`")


class BelowZero(Exception):
    """An adjustment would take more than there is. Nothing was written."""


class OutOfStock(Exception):
    """A reservation's lines for which there is not enough stock. Nothing was written."""

    def __init__(self, short: tuple[ShortLine, ...]) -> None:
        super().__init__(", ".join(f"{line.product_id}: {line.available_qty} of {line.quantity}" for line in short))
        self.short = short


def reserve(rows: Rows[Reservation], order: OrderCreated, cause: Received[Fact]) -> None:
    """Do: reserve every line of the order, or none if there is not enough stock.

    `rows.write` raises OutOfStock: enough stock is part of the write's condition, so nobody reads it first.
    """
    try:
        transition(rows, order.order_id, lambda seen: set_aside(seen, order), cause=cause, probably_new=True)
    except OutOfStock as out:
        short = out.short
        transition(rows, order.order_id, lambda seen: refuse(seen, order, short), cause=cause, probably_new=True)


def release(rows: Rows[Reservation], order: OrderCancelled, cause: Received[Fact]) -> None:
    """Undo: release the reservation, once, and make sure that nothing is reserved later."""
    transition(rows, order.order_id, lambda seen: put_back(seen, order), cause=cause)


def set_aside(reservation: Reservation | None, order: OrderCreated) -> Change[Reservation] | None:
    if reservation is not None:
        return None
    return Change(
        _reservation(order, Status.RESERVED, order.items),
        InventoryReserved(order_id=order.order_id, user_id=order.user_id, items=order.items),
    )


def refuse(
    reservation: Reservation | None, order: OrderCreated, short: tuple[ShortLine, ...]
) -> Change[Reservation] | None:
    if reservation is not None:
        return None
    return Change(
        _reservation(order, Status.REFUSED, order.items),
        InventoryFailed(order_id=order.order_id, user_id=order.user_id, items=short, reason="out of stock"),
    )


def put_back(reservation: Reservation | None, order: OrderCancelled) -> Change[Reservation] | None:
    if reservation is None:
        return Change(_reservation(order, Status.CANCELLED))
    if reservation.status is not Status.RESERVED:
        return None
    return Change(
        msgspec.structs.replace(reservation, status=Status.RELEASED),
        InventoryReleased(order_id=reservation.order_id, user_id=reservation.user_id, items=reservation.items),
    )


def _reservation(order: OrderCreated | OrderCancelled, status: Status, items: tuple[Line, ...] = ()) -> Reservation:
    return Reservation(order_id=order.order_id, user_id=order.user_id, status=status, items=items)
