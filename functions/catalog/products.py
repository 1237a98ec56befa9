"""A product: every decision that the catalog service takes."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from eventflow.contracts import Currency, MinorUnits, ProductId
from eventflow.events import ProductChanged, ProductRemoved
from eventflow.events.catalog import Category, Name
from eventflow.transition import Change

NewProductId = Annotated[str, msgspec.Meta(pattern=r"^(?!\.{1,2}$)[A-Za-z0-9._:-]{1,64}$(?!\n)")]
"""A ProductId, but not `.` or `..`: in a path these mean another place."""
UnitPrice = Annotated[MinorUnits, msgspec.Meta(le=1_000_000_000)]


class ProductRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What an operator says of a product."""

    name: Name
    category: Category
    unit_price: UnitPrice
    """The price of one piece, in the currency's smallest unit."""
    currency: Currency
    description: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    """What there is to say of it."""
    image_url: Annotated[str, msgspec.Meta(pattern=r"^https://[^\s]{1,2000}$(?!\n)")] | UnsetType = UNSET
    """Where its picture is, by https."""


class NewProductRequest(ProductRequest, frozen=True, kw_only=True):
    product_id: NewProductId | UnsetType = UNSET
    """Its id, if the operator minds what it is."""


class ShownProduct(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A product as people see it."""

    product_id: ProductId
    name: Name
    category: Category
    unit_price: UnitPrice
    """The price of one piece, in the currency's smallest unit."""
    currency: Currency
    description: str = ""
    """What there is to say of it."""
    image_url: str | None = None
    """Where its picture is, by https."""
    revision: int
    """Counts its changes; also its ETag."""


class Product(ShownProduct, frozen=True, kw_only=True):
    """A product, or what is left of it: a removed one keeps its revision, so that no later event has a lower one."""

    listed_in: Category | None = None
    """Its category while it is sold: what the index of products holds, and a removed one is not in."""

    @property
    def etag(self) -> str:
        return f'"{self.revision}"'

    def shown(self) -> ShownProduct:
        return msgspec.convert(self, ShownProduct, from_attributes=True)


class AlreadyThere(Exception):
    """There is a product of this id."""


class NoSuchProduct(Exception):
    """There is no product of this id."""


class Outdated(Exception):
    """The product was changed by someone else since the caller read it."""


def create(existing: Product | None, product_id: ProductId, request: ProductRequest) -> Change[Product]:
    """Start to sell a product, or sell one again. Raises AlreadyThere."""
    if existing is not None and existing.listed_in:
        raise AlreadyThere(f"product {product_id} exists; PUT changes it")
    return _changed(product_id, request, existing.revision + 1 if existing else 1)


def replace(existing: Product | None, product_id: ProductId, request: ProductRequest, etag: str) -> Change[Product]:
    """Change a product that is still as the caller saw it. Raises NoSuchProduct, Outdated."""
    product = _as_seen(existing, product_id, etag)
    return _changed(product_id, request, product.revision + 1)


def remove(existing: Product | None, product_id: ProductId, etag: str) -> Change[Product] | None:
    """Sell a product no longer. Raises NoSuchProduct, Outdated."""
    product = _as_seen(existing, product_id, etag)
    gone = msgspec.structs.replace(product, listed_in=None, revision=product.revision + 1)
    return Change(
        gone,
        ProductRemoved(
            product_id=gone.product_id,
            name=gone.name,
            category=gone.category,
            unit_price=gone.unit_price,
            currency=gone.currency,
            revision=gone.revision,
        ),
    )


def _as_seen(existing: Product | None, product_id: ProductId, etag: str) -> Product:
    if existing is None or not existing.listed_in:
        raise NoSuchProduct(f"product {product_id} does not exist")
    if etag not in ("*", existing.etag):
        raise Outdated(f"product {product_id} is {existing.etag} by now, not {etag}: read it again")
    return existing


def _changed(product_id: ProductId, request: ProductRequest, revision: int) -> Change[Product]:
    product = Product(
        product_id=product_id,
        name=request.name,
        category=request.category,
        unit_price=request.unit_price,
        currency=request.currency,
        description=request.description,
        image_url=None if request.image_url is UNSET else request.image_url,
        revision=revision,
        listed_in=request.category,
    )
    return Change(
        product,
        ProductChanged(
            product_id=product_id,
            name=product.name,
            category=product.category,
            unit_price=product.unit_price,
            currency=product.currency,
            revision=revision,
        ),
    )
