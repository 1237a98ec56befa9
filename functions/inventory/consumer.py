"""The way into the inventory service for the saga: an order was created, or cancelled."""

from __future__ import annotations

import os

from eventflow.contracts import Received
from eventflow.events import OrderCancelled, OrderCreated
from eventflow.subscriber import subscriber
from inventory import stock
from inventory.warehouse import Warehouse

WAREHOUSE = Warehouse(os.environ["RESERVATIONS_TABLE"], os.environ["INVENTORY_TABLE"])


@subscriber(OrderCreated, OrderCancelled)
def handler(received: Received[OrderCreated | OrderCancelled]) -> None:
    match received.fact:
        case OrderCreated() as order:
            stock.reserve(WAREHOUSE, order, received)
        case OrderCancelled() as order:
            stock.release(WAREHOUSE, order, received)
