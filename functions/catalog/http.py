"""The way into the catalog service: HTTP, open to anyone for reading."""

from __future__ import annotations

import os
import uuid

import msgspec
from msgspec import UNSET

from catalog import products
from catalog.products import (
    AlreadyThere,
    NewProductRequest,
    NoSuchProduct,
    Outdated,
    Product,
    ProductRequest,
    ShownProduct,
)
from eventflow.api import Answer, Api, Created, NoContent, Page, Problem
from eventflow.attributes import to_attributes
from eventflow.contracts import ProductId
from eventflow.events.catalog import Category
from eventflow.store import Table
from eventflow.transition import transition

PRODUCTS = Table(os.environ["PRODUCTS_TABLE"], "productId", Product)

api = Api(domain_problems={AlreadyThere: 409, NoSuchProduct: 404, Outdated: 412})


class Position(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The last product of a page."""

    listed_in: Category
    product_id: ProductId


@api.router.get("/products")
def browse() -> Answer[Page[ShownProduct]]:
    """List the products that are sold, by category and id."""
    category = api.query("category")
    after = api.cursor(Position)
    page, more = PRODUCTS.page(
        "byCategory",
        api.limit(),
        partition=("listedIn", api.checked("category", category, Category)) if category else None,
        after=to_attributes(after) if after else None,
    )
    last = page[-1] if more else None
    position = Position(last.category, last.product_id) if last else None
    return api.page([product.shown() for product in page], position)


@api.router.get("/products/<product_id>")
def read(product_id: str) -> Answer[ShownProduct]:
    """Read a product."""
    stored = PRODUCTS.read(api.checked("productId", product_id, ProductId))
    if stored is None or not stored.state.listed_in:
        raise NoSuchProduct(f"product {product_id} does not exist")
    return api.answer(stored.state.shown(), _etag(stored.state))


@api.router.post("/products")
def create() -> Created[ShownProduct]:
    """Sell a new product, or sell one again."""
    api.require_operator()
    request = api.body(NewProductRequest)
    product_id = str(uuid.uuid4()) if request.product_id is UNSET else request.product_id
    product = transition(
        PRODUCTS, product_id, lambda seen: products.create(seen, product_id, request), probably_new=True
    )
    assert product
    return api.created(product.shown(), f"/products/{product_id}", _etag(product))


@api.router.put("/products/<product_id>")
def replace(product_id: str) -> Answer[ShownProduct]:
    """Change a product, as its ETag says that you saw it."""
    api.require_operator()
    key = api.checked("productId", product_id, ProductId)
    request, etag = api.body(ProductRequest), _if_match()
    product = transition(PRODUCTS, key, lambda seen: products.replace(seen, key, request, etag))
    assert product
    return api.answer(product.shown(), _etag(product))


@api.router.delete("/products/<product_id>")
def remove(product_id: str) -> NoContent:
    """Sell a product no longer."""
    api.require_operator()
    key = api.checked("productId", product_id, ProductId)
    etag = api.header("If-Match") or "*"
    transition(PRODUCTS, key, lambda seen: products.remove(seen, key, etag))
    return NoContent(None)


def _if_match() -> str:
    etag = api.header("If-Match")
    if not etag:
        raise Problem(428, "Precondition required", "send If-Match with the product's ETag, as GET gave it", "If-Match")
    return etag


def _etag(product: Product) -> dict[str, str]:
    return {"ETag": product.etag}


handler = api.handler
