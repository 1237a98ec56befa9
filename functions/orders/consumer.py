"""The way into the orders service for the saga: what became of each step."""

from __future__ import annotations

import os

from eventflow import clock
from eventflow.contracts import Received
from eventflow.events import InventoryReserved, PaymentSucceeded, StepFailed
from eventflow.store import Table
from eventflow.subscriber import subscriber
from eventflow.transition import Change, transition
from orders import orders
from orders.measures import Watched
from orders.orders import Order

ORDERS = Table(os.environ["ORDERS_TABLE"], "orderId", Order)


@subscriber(PaymentSucceeded, InventoryReserved, StepFailed)
def handler(received: Received[PaymentSucceeded | InventoryReserved | StepFailed]) -> None:
    step = received.fact

    @Watched
    def decide(order: Order | None) -> Change[Order] | None:
        match step:
            case StepFailed():
                return orders.step_failed(order, step, received.detail_type, clock.now())
            case _:
                return orders.step_done(order, step, clock.now())

    transition(ORDERS, step.order_id, decide, cause=received)
    decide.count_end()
