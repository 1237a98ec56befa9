"""A basket: every decision that the basket service takes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from eventflow.contracts import Currency, MinorUnits, OrderId, ProductId, Quantity, UserId
from eventflow.events import MAX_LINES, BasketCheckedOut, Pieces, Shipping
from eventflow.prices import MixedCurrencies, Price, Quote, UnknownProduct, quote
from eventflow.transition import Change

_CHECKOUT_IDS = uuid.UUID("2f0f0a53-6f86-4b6d-8ad8-2f6c0f9c0c11")
"""Namespace of the ids that are derived from Idempotency-Keys."""


class Basket(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    user_id: UserId
    items: tuple[Pieces, ...] = ()
    """In the order in which they were put."""
    checkout_ids: tuple[OrderId, ...] = ()
    """The latest checkouts, so that one which is asked for again neither fails nor takes what was put in since."""


CHECKOUTS_REMEMBERED = 20
"""A repetition that comes later than this many checkouts is refused by orders, by the id that it was given."""


class QuantityRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    quantity: Quantity


class CheckoutRequest(Shipping, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to send it to. Nothing else is taken, card data least of all."""

    def shipping(self) -> Shipping:
        return msgspec.convert(msgspec.to_builtins(self), Shipping)


class ShownLine(Pieces, frozen=True, kw_only=True):
    """A line of the basket as the shopper sees it; without a price where the product is no longer sold."""

    name: str | None = None
    unit_price: MinorUnits | None = None
    line_total: MinorUnits | None = None


class ShownBasket(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The basket as the shopper sees it."""

    items: tuple[ShownLine, ...]
    total_price: MinorUnits | None
    """None where it cannot be one order: a product is no longer sold, or there are several currencies."""
    currency: Currency | None = None


class BasketFull(Exception):
    """The basket holds as many products as one order may."""


class NothingToCheckOut(Exception):
    """The basket is empty."""


def checkout_id_for(caller: UserId, key: str) -> OrderId:
    """The id of the checkout that this caller's Idempotency-Key stands for, and of the order that comes of it."""
    return str(uuid.uuid5(_CHECKOUT_IDS, f"{caller}\n{key}"))


def put(basket: Basket | None, user_id: UserId, pieces: Pieces) -> Change[Basket] | None:
    """Have so many of a product in the basket. Raises BasketFull."""
    basket = basket or Basket(user_id=user_id)
    if pieces in basket.items:
        return None
    there = [each.product_id for each in basket.items]
    if pieces.product_id in there:
        items = tuple(pieces if each.product_id == pieces.product_id else each for each in basket.items)
    else:
        items = (*basket.items, pieces)
    assert MAX_LINES.max_length is not None
    if len(items) > MAX_LINES.max_length:
        raise BasketFull(f"a basket holds {MAX_LINES.max_length} products at most")
    return Change(msgspec.structs.replace(basket, items=items))


def take_out(basket: Basket | None, product_id: ProductId) -> Change[Basket] | None:
    """Have none of a product in the basket."""
    if basket is None or product_id not in {each.product_id for each in basket.items}:
        return None
    kept = tuple(each for each in basket.items if each.product_id != product_id)
    return Change(msgspec.structs.replace(basket, items=kept))


def empty(basket: Basket | None) -> Change[Basket] | None:
    if basket is None or not basket.items:
        return None
    return Change(msgspec.structs.replace(basket, items=()))


def shown(basket: Basket | None, prices: Mapping[ProductId, Price]) -> ShownBasket:
    """The basket at these prices."""
    items = basket.items if basket else ()
    lines = tuple(_shown_line(each, prices.get(each.product_id)) for each in items)
    if not items:
        return ShownBasket(items=lines, total_price=0)
    try:
        whole = quote(items, prices)
    except (UnknownProduct, MixedCurrencies):
        return ShownBasket(items=lines, total_price=None)
    return ShownBasket(items=lines, total_price=whole.total_price, currency=whole.currency)


def _shown_line(pieces: Pieces, price: Price | None) -> ShownLine:
    if price is None or not price.sold:
        return ShownLine(product_id=pieces.product_id, quantity=pieces.quantity)
    return ShownLine(
        product_id=pieces.product_id,
        quantity=pieces.quantity,
        name=price.name,
        unit_price=price.unit_price,
        line_total=price.unit_price * pieces.quantity,
    )


def check_out(basket: Basket, checkout_id: OrderId, priced: Quote, shipping: Shipping) -> Change[Basket]:
    """Empty the basket, and announce what was in it: one write, so that two checkouts at once are one order."""
    return Change(
        msgspec.structs.replace(
            basket, items=(), checkout_ids=(*basket.checkout_ids, checkout_id)[-CHECKOUTS_REMEMBERED:]
        ),
        BasketCheckedOut(
            checkout_id=checkout_id,
            user_id=basket.user_id,
            items=priced.items,
            total_price=priced.total_price,
            currency=priced.currency,
            shipping=shipping,
        ),
    )


def to_check_out(basket: Basket | None, checkout_id: OrderId) -> Basket | None:
    """The basket, if there is something to check out; None if this checkout is done. Raises NothingToCheckOut."""
    if basket is not None and checkout_id in basket.checkout_ids:
        return None
    if basket is None or not basket.items:
        raise NothingToCheckOut("the basket is empty")
    return basket
