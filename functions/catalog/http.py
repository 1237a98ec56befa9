"""The way into the catalog service: HTTP, open to anyone for reading."""

from __future__ import annotations

import os
import uuid
from typing import Any

import msgspec
from msgspec import UNSET

from catalog import products
from catalog.products import AlreadyThere, NewProductRequest, NoSuchProduct, Outdated, Product, ProductRequest
from eventflow.api import Api, Problem, Response
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
def browse() -> Response[str]:
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
    return api.page([_shown(product) for product in page], position)


@api.router.get("/products/<product_id>")
def read(product_id: str) -> Response[str]:
    stored = PRODUCTS.read(api.checked("productId", product_id, ProductId))
    if stored is None or not stored.state.listed_in:
        raise NoSuchProduct(f"product {product_id} does not exist")
    return _answer(stored.state)


@api.router.post("/products")
def create() -> Response[str]:
    api.require_operator()
    request = api.body(NewProductRequest)
    product_id = str(uuid.uuid4()) if request.product_id is UNSET else request.product_id
    product = transition(
        PRODUCTS, product_id, lambda seen: products.create(seen, product_id, request), probably_new=True
    )
    return _answer(product, status=201, headers=api.location(f"/products/{product_id}"))


@api.router.put("/products/<product_id>")
def replace(product_id: str) -> Response[str]:
    api.require_operator()
    key = api.checked("productId", product_id, ProductId)
    request, etag = api.body(ProductRequest), _if_match()
    return _answer(transition(PRODUCTS, key, lambda seen: products.replace(seen, key, request, etag)))


@api.router.delete("/products/<product_id>")
def remove(product_id: str) -> Response[str]:
    api.require_operator()
    key = api.checked("productId", product_id, ProductId)
    etag = api.header("If-Match") or "*"
    transition(PRODUCTS, key, lambda seen: products.remove(seen, key, etag))
    return api.answer(None, status=204)


def _if_match() -> str:
    etag = api.header("If-Match")
    if not etag:
        raise Problem(428, "Precondition required", "send If-Match with the product's ETag, as GET gave it", "If-Match")
    return etag


def _answer(product: Product | None, status: int = 200, headers: dict[str, str] | None = None) -> Response[str]:
    assert product is not None
    return api.answer(_shown(product), status, {"ETag": product.etag, **(headers or {})})


def _shown(product: Product) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(product)
    del shown["listedIn"]
    return shown


handler = api.handler
