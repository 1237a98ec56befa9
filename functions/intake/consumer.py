"""The way into the intake service for the partner: its events on the bus."""

from __future__ import annotations

import os

from eventflow.contracts import Received
from eventflow.events import PartnerOrderPlaced, PartnerOrderReceived
from eventflow.store import Table
from eventflow.subscriber import subscriber
from eventflow.transition import transition
from intake import partner_orders

PARTNER_ORDERS = Table(os.environ["PARTNER_ORDERS_TABLE"], "orderId", PartnerOrderReceived)


@subscriber(PartnerOrderPlaced)
def handler(received: Received[PartnerOrderPlaced]) -> None:
    order = received.fact.body
    transition(
        PARTNER_ORDERS,
        order.order_id,
        lambda existing: partner_orders.receive(existing, order),
        cause=received,
        probably_new=True,
    )
