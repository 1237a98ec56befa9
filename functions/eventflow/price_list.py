"""Fills a price list from catalog's events. Each service that has one runs this on its own table."""

from __future__ import annotations

import os

from eventflow.contracts import Received
from eventflow.events import ProductChanged, ProductRemoved
from eventflow.prices import Price, updated
from eventflow.projection import projection
from eventflow.store import Table
from eventflow.transition import transition

PRICES = Table(os.environ["PRICES_TABLE"], "productId", Price)


@projection(ProductChanged, ProductRemoved)
def handler(received: Received[ProductChanged | ProductRemoved]) -> None:
    product = received.fact
    transition(PRICES, product.product_id, lambda price: updated(price, product))
