"""A basket: every decision that the basket service takes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from eventflow.contracts import Currency, MinorUnits, OrderId, ProductId, Quantity, UserId
from eventflow.events import MAX_LINES, BasketCheckedOut, Pieces, Shipping
from eventflow.prices import MixedCurrencies, Price, Quote, UnknownProduct, quote
from eventflow.transition import Change


class Basket(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    user_id: UserId
    items: tuple[Pieces, ...] = ()
    """In the order in which they were put."""


class QuantityRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    quantity: Quantity


class CheckoutRequest(Shipping, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to send it, and the total that the shopper saw. Nothing else is accepted, no card data either."""

    expected_total: MinorUnits | UnsetType = UNSET
    """The total that the shopper saw, in the smallest unit. If it is another one now, the answer is 409."""

    def shipping(self) -> Shipping:
        return msgspec.convert(msgspec.to_builtins(self), Shipping)


class ShownLine(Pieces, frozen=True, kw_only=True):
    """A line of the basket as the shopper sees it; without a price where the product is no longer sold."""

    name: str | None = None
    """What people call the product."""
    unit_price: MinorUnits | None = None
    """The price of one piece, in the currency's smallest unit."""
    line_total: MinorUnits | None = None
    """The price of all its pieces, in the currency's smallest unit."""


class ShownBasket(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The basket as the shopper sees it."""

    items: tuple[ShownLine, ...]
    """In the order in which they were put."""
    total_price: MinorUnits | None
    """The sum of its lines, in the currency's smallest unit. Null where it cannot be one order: a product is no longer
    sold, or there are several currencies.
    """
    currency: Currency | None = None


class CheckedOut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The order that the basket becomes."""

    order_id: OrderId


class CurrentTotal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the basket costs now."""

    total_price: MinorUnits
    """The sum of the basket's lines, in the currency's smallest unit."""
    currency: Currency

    @classmethod
    def of(cls, quote: Quote) -> CurrentTotal:
        return cls(total_price=quote.total_price, currency=quote.currency)


class BasketFull(Exception):
    """The basket holds as many products as one order may."""


class NothingToCheckOut(Exception):
    """The basket is empty."""


class TotalChanged(Exception):
    """The basket has another total than the shopper expects. The answer has its total now."""

    def __init__(self, expected: MinorUnits, quote: Quote) -> None:
        super().__init__(f"the basket's total is now {quote.total_price} {quote.currency}, not {expected}")
        self.quote = quote


REFUSALS = (NothingToCheckOut, TotalChanged, UnknownProduct, MixedCurrencies)
"""Why a basket is not checked out."""


def put(basket: Basket | None, user_id: UserId, pieces: Pieces) -> Change[Basket] | None:
    """Set the quantity of a product in the basket. Raises BasketFull."""
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
    """Take a product out of the basket."""
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


def check_out(
    basket: Basket | None, order_id: OrderId, request: CheckoutRequest, prices: Mapping[ProductId, Price]
) -> Change[Basket]:
    """Empty the basket, and announce what was in it: one write, so that two checkouts at once are one order.

    Raises one of REFUSALS.
    """
    if basket is None or not basket.items:
        raise NothingToCheckOut("the basket is empty")
    priced = quote(basket.items, prices)
    if request.expected_total not in (UNSET, priced.total_price):
        raise TotalChanged(request.expected_total, priced)
    return Change(
        msgspec.structs.replace(basket, items=()),
        BasketCheckedOut(
            checkout_id=order_id,
            user_id=basket.user_id,
            items=priced.items,
            total_price=priced.total_price,
            currency=priced.currency,
            shipping=request.shipping(),
        ),
    )
