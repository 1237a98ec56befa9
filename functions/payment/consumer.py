"""The way into the payment service: an order was created, or cancelled."""

from __future__ import annotations

import os

from eventflow.contracts import Received
from eventflow.events import OrderCancelled, OrderCreated
from eventflow.store import Table
from eventflow.subscriber import subscriber
from payment import payments
from payment.gateway import SimulatedGateway
from payment.payments import Payment

PAYMENTS = Table(os.environ["PAYMENTS_TABLE"], "orderId", Payment)
GATEWAY = SimulatedGateway(failure_rate=int(os.environ["PAYMENT_FAILURE_RATE"]))


@subscriber(OrderCreated, OrderCancelled)
def handler(received: Received[OrderCreated | OrderCancelled]) -> None:
    match received.fact:
        case OrderCreated() as order:
            payments.charge(PAYMENTS, GATEWAY, order, received)
        case OrderCancelled() as order:
            payments.undo(PAYMENTS, GATEWAY, order, received)
