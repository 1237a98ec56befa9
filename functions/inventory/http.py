"""The way into the inventory service for operators: HTTP."""

from __future__ import annotations

import os

from eventflow.api import Api, Response, not_found
from eventflow.contracts import ProductId
from inventory.stock import StockLevel, StockRequest
from inventory.warehouse import StockLevels

LEVELS = StockLevels(os.environ["INVENTORY_TABLE"])

api = Api()


@api.router.get("/inventory/<product_id>")
def read(product_id: str) -> Response[str]:
    api.require_operator()
    level = LEVELS.read(api.checked("productId", product_id, ProductId))
    if level is None:
        raise not_found(f"stock of product {product_id}")
    return api.answer(level)


@api.router.put("/inventory/<product_id>")
def write(product_id: str) -> Response[str]:
    api.require_operator()
    level = StockLevel(
        product_id=api.checked("productId", product_id, ProductId),
        available_qty=api.body(StockRequest).available_qty,
    )
    LEVELS.write(level)
    return api.answer(level)


handler = api.handler
