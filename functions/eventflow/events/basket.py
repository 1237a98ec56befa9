"""What basket announces."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from eventflow.contracts import Currency, Fact, MinorUnits, OrderId, UserId
from eventflow.events.lines import Lines, refuse_repeated_products

ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
EMail = Annotated[str, msgspec.Meta(pattern=r"^[^@\s]+@[^@\s]+$(?!\n)", max_length=254)]


class Shipping(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where to send an order. Personal data: only BasketCheckedOut has it, and only orders gets it."""

    first_name: ShortText
    """The addressee's first name."""
    last_name: ShortText
    """The addressee's last name."""
    email: EMail
    """Where the addressee can be written to."""
    address: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """Street, place and country, as a carrier prints it."""

    def __repr__(self) -> str:
        return "Shipping(...)"  # whatever prints or logs an object that holds it tells nothing


class BasketCheckedOut(Fact, frozen=True, kw_only=True):
    """A shopper orders the contents of the basket, at the prices of this moment."""

    SOURCE: ClassVar[str] = "eventflow.basket"

    checkout_id: OrderId
    """Also the id of the order that comes of it."""
    user_id: UserId
    items: Lines
    total_price: MinorUnits
    """The sum of its lines, in the currency's smallest unit."""
    currency: Currency
    shipping: Shipping
    """Where to send the order."""

    def __post_init__(self) -> None:
        refuse_repeated_products([line.product_id for line in self.items])

    @property
    def correlation_id(self) -> str:
        return self.checkout_id
