"""The way into the intake service for operators: HTTP."""

from __future__ import annotations

import os

from eventflow import telemetry
from eventflow.api import Answer, Api, not_found
from eventflow.contracts import OrderId
from eventflow.events import PartnerOrderReceived
from eventflow.store import Table

PARTNER_ORDERS = Table(os.environ["PARTNER_ORDERS_TABLE"], "orderId", PartnerOrderReceived)

api = Api()


@api.router.get("/partner-orders/<order_id>")
def read(order_id: str) -> Answer[PartnerOrderReceived]:
    """Read a partner's order, as it was taken from the bus."""
    api.require_operator()
    key = api.checked("orderId", order_id, OrderId)
    telemetry.follow(key)
    stored = PARTNER_ORDERS.read(key)
    if stored is None:
        raise not_found(f"partner order {order_id}")
    return api.answer(stored.state)


handler = api.handler
