"""A service's own price list: a copy of catalog's events, and the price of a basket or an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from eventflow.contracts import Currency, MinorUnits, ProductId
from eventflow.events import Line, Pieces, ProductChanged, ProductRemoved
from eventflow.transition import Change


class Price(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is known of a product, as of its revision `as_of`."""

    product_id: ProductId
    name: str
    unit_price: MinorUnits
    currency: Currency
    as_of: int
    sold: bool = True


class UnknownProduct(Exception):
    """A product that is not, or no longer, sold."""


class MixedCurrencies(Exception):
    """Products of several currencies cannot be one order."""


class Quote(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Lines at their prices, and what they come to."""

    items: tuple[Line, ...]
    total_price: MinorUnits
    currency: Currency


def updated(price: Price | None, product: ProductChanged | ProductRemoved) -> Change[Price] | None:
    """The price list's entry as the product's event has it, unless it knows a later one."""
    if price is not None and price.as_of >= product.revision:
        return None
    return Change(
        Price(
            product_id=product.product_id,
            name=product.name,
            unit_price=product.unit_price,
            currency=product.currency,
            as_of=product.revision,
            sold=isinstance(product, ProductChanged),
        )
    )


def quote(wanted: Sequence[Pieces], prices: Mapping[ProductId, Price]) -> Quote:
    """What `wanted` costs. Raises UnknownProduct, MixedCurrencies."""
    unknown = [each.product_id for each in wanted if each.product_id not in prices or not prices[each.product_id].sold]
    if unknown:
        raise UnknownProduct(f"not sold: {', '.join(unknown)}")
    currencies = {prices[each.product_id].currency for each in wanted}
    if len(currencies) > 1:
        raise MixedCurrencies(f"one order takes one currency, not {' and '.join(sorted(currencies))}")
    lines = tuple(
        Line(product_id=each.product_id, quantity=each.quantity, unit_price=prices[each.product_id].unit_price)
        for each in wanted
    )
    return Quote(
        items=lines,
        total_price=sum(prices[line.product_id].unit_price * line.quantity for line in lines),
        currency=currencies.pop(),
    )
