"""The way into the payment service: an order was created, or cancelled."""

from __future__ import annotations

import os

from eventflow import clock
from eventflow.contracts import Received
from eventflow.events import OrderCancelled, OrderCreated
from eventflow.store import Table
from eventflow.subscriber import subscriber
from payment import payments
from payment.gateway import Kept, SimulatedGateway
from payment.payments import Payment

PAYMENTS = Table(os.environ["PAYMENTS_TABLE"], "orderId", Payment)
GATEWAY = SimulatedGateway(
    Table(os.environ["SIMULATED_GATEWAY_TABLE"], "idempotencyKey", Kept),
    failure_rate=int(os.environ["PAYMENT_FAILURE_RATE"]),
)


@subscriber(OrderCreated, OrderCancelled)
def handler(received: Received[OrderCreated | OrderCancelled]) -> None:
    match received.fact:
        case OrderCreated() as order:
            payments.charge(PAYMENTS, GATEWAY, order, received, clock.now())
        case OrderCancelled() as order:
            payments.undo(PAYMENTS, GATEWAY, order, received)
