"""What catalog announces."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from eventflow.contracts import Currency, Fact, MinorUnits, ProductId

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, description="What people call the product.")]
Category = Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="What kind of product it is.")]


class ProductFact(Fact, frozen=True, kw_only=True):
    """A fact about a product, whole: a reader needs no earlier one, and drops those of a lower revision."""

    SOURCE: ClassVar[str] = "eventflow.catalog"

    product_id: ProductId
    name: Name
    category: Category
    unit_price: MinorUnits
    """The price of one piece, in the currency's smallest unit."""
    currency: Currency
    revision: Annotated[int, msgspec.Meta(ge=1)]
    """Counts the product's changes."""


class ProductChanged(ProductFact, frozen=True, kw_only=True):
    """A product is new, or differs from what it was."""


class ProductRemoved(ProductFact, frozen=True, kw_only=True):
    """A product is no longer sold."""
