"""An order and its status: every decision that the orders service takes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from eventflow import clock
from eventflow.contracts import Currency, MinorUnits, OrderId, ProductId, Quantity, UserId
from eventflow.events import (
    MAX_LINES,
    InventoryReserved,
    Line,
    OrderCancelled,
    OrderConfirmed,
    OrderCreated,
    PaymentSucceeded,
    Pieces,
    Shipping,
    StepFailed,
    refuse_repeated_products,
)
from eventflow.keys import KeyReused
from eventflow.prices import Quote
from eventflow.transition import Change

_ORDER_IDS = uuid.UUID("6f1c1a3e-0f3b-4b57-9f0e-6d6a1c1f2b7d")
"""Namespace of the ids that are derived from Idempotency-Keys. Changing it makes every retried request a new order."""


class Status(StrEnum):
    PENDING = "PENDING"
    """Accepted, nothing known."""
    PAID = "PAID"
    """Charged; stock outstanding."""
    RESERVED = "RESERVED"
    """Stock reserved; payment outstanding."""
    CONFIRMED = "CONFIRMED"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    INVENTORY_FAILED = "INVENTORY_FAILED"
    CANCELLED = "CANCELLED"
    """Vetoed by another service, or by the shopper."""

    @property
    def is_off(self) -> bool:
        return self in (Status.PAYMENT_FAILED, Status.INVENTORY_FAILED, Status.CANCELLED)

    @property
    def is_last(self) -> bool:
        """Whether the saga has come to its end, though CONFIRMED may still be called off."""
        return self is Status.CONFIRMED or self.is_off


class _OrderFields(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    order_id: OrderId
    user_id: UserId
    items: tuple[Line, ...]
    """What is ordered, a line for each product."""
    status: Status
    """How far it has come."""
    created_at: str
    """When it was accepted, in ISO-8601, UTC, to the millisecond: it sorts as time does."""
    total_price: MinorUnits | None = None
    """The sum of its lines, in the currency's smallest unit."""
    currency: Currency | None = None
    shipping: Shipping | None = None
    """Personal data, of a basket's order: kept here, announced nowhere."""
    reason: str | None = None
    """Why it is off."""


class ShownOrder(_OrderFields, frozen=True, kw_only=True):
    """An order as people see it: times in ISO-8601."""

    updated_at: str | None = None
    """When it last changed, in ISO-8601."""


class Order(_OrderFields, frozen=True, kw_only=True):
    updated_at: int | None = None
    """Milliseconds since 1970: text like `created_at` would be 16 bytes more, and rows are near a write unit's end."""

    def shown(self) -> ShownOrder:
        updated_at = None if self.updated_at is None else clock.iso(self.updated_at)
        return ShownOrder(**{**msgspec.structs.asdict(self), "updated_at": updated_at})


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a shopper asks for: {productId, quantity}, or {items: [...]} for several products. Never a price."""

    class Item(Pieces, frozen=True, kw_only=True, forbid_unknown_fields=True):
        pass

    user_id: UserId | UnsetType = UNSET
    """The shopper of the order, if that is not the caller."""
    product_id: ProductId | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET
    items: Annotated[tuple[Item, ...], MAX_LINES] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.items is not UNSET:
            if self.product_id is not UNSET or self.quantity is not UNSET:
                raise ValueError("give either productId and quantity, or items - at `$.items`")
            refuse_repeated_products([item.product_id for item in self.items])
        elif self.product_id is UNSET:
            raise ValueError("Object missing required field `productId`")
        elif self.quantity is UNSET:
            raise ValueError("Object missing required field `quantity`")

    @property
    def pieces(self) -> tuple[Pieces, ...]:
        if self.items is not UNSET:
            return self.items
        assert self.product_id is not UNSET
        assert self.quantity is not UNSET
        return (Pieces(product_id=self.product_id, quantity=self.quantity),)


class UnknownOrder(Exception):
    """An event names an order that is not here."""


def order_id_for(caller: str, key: str) -> OrderId:
    """The id of the order that this caller's Idempotency-Key stands for.

    Derived, so that a repeated request meets the first one's row, with no table of keys.
    """
    return str(uuid.uuid5(_ORDER_IDS, f"{caller}\n{key}"))


def accept(
    order_id: OrderId,
    user_id: UserId,
    quote: Quote,
    *,
    now: int,
    created_at: str | None = None,
    shipping: Shipping | None = None,
) -> Change[Order]:
    """A new order, at the prices quoted. It was created when its basket was checked out, if it was."""
    order = Order(
        order_id=order_id,
        user_id=user_id,
        items=quote.items,
        total_price=quote.total_price,
        currency=quote.currency,
        shipping=shipping,
        status=Status.PENDING,
        created_at=created_at or clock.iso(now),
        updated_at=now,
    )
    created = OrderCreated(
        order_id=order_id,
        user_id=user_id,
        items=quote.items,
        total_price=quote.total_price,
        currency=quote.currency,
    )
    return Change(order, created)


def refuse_another_request(existing: Order, user_id: UserId, wanted: Sequence[Pieces]) -> None:
    """Raise KeyReused unless this is what was ordered under this id; prices may have changed since."""
    ordered = [(line.product_id, line.quantity) for line in existing.items]
    if (existing.user_id, ordered) != (user_id, [(each.product_id, each.quantity) for each in wanted]):
        raise KeyReused("this Idempotency-Key was used for an order of other content")


_AFTER = {
    (Status.PENDING, PaymentSucceeded): Status.PAID,
    (Status.PENDING, InventoryReserved): Status.RESERVED,
    (Status.PAID, InventoryReserved): Status.CONFIRMED,
    (Status.RESERVED, PaymentSucceeded): Status.CONFIRMED,
}
"""What a step done makes of an order. Anything else is a repetition, or comes too late to matter."""


def step_done(order: Order | None, step: PaymentSucceeded | InventoryReserved, now: int) -> Change[Order] | None:
    """A service did its part. Raises UnknownOrder."""
    order = _known(order, step.order_id)
    status = _AFTER.get((order.status, type(step)))
    if status is None:
        return None
    confirmed = OrderConfirmed(order_id=order.order_id, user_id=order.user_id)
    return Change(_changed(order, status, now), confirmed if status is Status.CONFIRMED else None)


REASON_LENGTH = 500
"""The part of a foreign reason that is kept: it goes into the order's row and its event, which have limits."""

_VETOES = {"PaymentFailed": Status.PAYMENT_FAILED, "InventoryFailed": Status.INVENTORY_FAILED}


def step_failed(order: Order | None, failure: StepFailed, detail_type: str, now: int) -> Change[Order] | None:
    """A service vetoes the order. Nobody knows who may veto, so nobody waits for it: a confirmed order is vetoed too.

    Raises UnknownOrder.
    """
    order = _known(order, failure.order_id)
    reason = failure.reason[:REASON_LENGTH] or detail_type
    return _call_off(order, _VETOES.get(detail_type, Status.CANCELLED), reason, now)


def cancel(order: Order, caller: UserId, now: int) -> Change[Order] | None:
    """Its shopper cancels, or an operator; an order that is off already stays as it is."""
    by = "the shopper" if caller == order.user_id else "an operator"
    return _call_off(order, Status.CANCELLED, f"cancelled by {by}", now)


def _call_off(order: Order, status: Status, reason: str, now: int) -> Change[Order] | None:
    if order.status.is_off:
        return None
    return Change(
        _changed(order, status, now, reason),
        OrderCancelled(order_id=order.order_id, user_id=order.user_id, reason=reason),
    )


def _changed(order: Order, status: Status, now: int, reason: str | None = None) -> Order:
    return msgspec.structs.replace(order, status=status, reason=reason, updated_at=now)


def _known(order: Order | None, order_id: OrderId) -> Order:
    if order is None:
        raise UnknownOrder(f"order {order_id} does not exist")
    return order
