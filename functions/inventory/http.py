"""The way into the inventory service for operators: HTTP."""

from __future__ import annotations

import os
from typing import Any

from eventflow import clock, telemetry
from eventflow.api import Answer, Api, not_found
from eventflow.contracts import ProductId
from eventflow.keys import AlreadyUsed, KeyReused, Use
from eventflow.once import Keys
from inventory.stock import Adjustment, BelowZero, ShownStockLevel, StockLevel
from inventory.warehouse import StockLevels

LEVELS = StockLevels(os.environ["INVENTORY_TABLE"], Keys(os.environ["IDEMPOTENCY_TABLE"]))

api = Api(domain_problems={BelowZero: 409, KeyReused: 422})


@api.router.get("/inventory/<product_id>")
def read(product_id: str) -> Answer[ShownStockLevel]:
    """Read how many pieces of a product may still be sold."""
    api.require_operator()
    return _answer(LEVELS.read(api.checked("productId", product_id, ProductId)), product_id)


@api.router.post("/inventory/<product_id>/adjustments")
def adjust(product_id: str) -> Answer[ShownStockLevel]:
    """Move the stock of a product, once for each Idempotency-Key."""
    api.require_operator()
    key = api.require_idempotency_key()
    product_id, wanted = api.checked("productId", product_id, ProductId), api.body(Adjustment)
    # the stock is not one operator's own: a delivery's number is the same for all operators
    use = Use.of("adjustment", product_id, key, wanted, answer=product_id, now=clock.now())
    about: dict[str, Any] = {
        "productId": product_id,
        "by": wanted.by,
        "reason": wanted.reason,
        "operator": api.caller.user_id,
    }
    try:
        LEVELS.adjust(product_id, wanted.by, use)
        telemetry.logger.info("stock adjusted", **about)
    except AlreadyUsed:
        telemetry.logger.info("stock was adjusted before", **about)
    return _answer(LEVELS.read(product_id), product_id)


def _answer(level: StockLevel | None, product_id: str) -> Answer[ShownStockLevel]:
    if level is None:
        raise not_found(f"stock of product {product_id}")
    return api.answer(level.shown())


handler = api.handler
