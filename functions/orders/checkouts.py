"""The way into the orders service for baskets: checkouts, which come in bursts, through a queue."""

from __future__ import annotations

import os

from eventflow import clock
from eventflow.contracts import Received
from eventflow.events import BasketCheckedOut
from eventflow.prices import Quote
from eventflow.queue import queue_subscriber
from eventflow.store import Table
from eventflow.transition import Change, transition
from orders import orders
from orders.orders import Order

ORDERS = Table(os.environ["ORDERS_TABLE"], "orderId", Order)


@queue_subscriber(BasketCheckedOut)
def handler(received: Received[BasketCheckedOut]) -> None:
    checkout = received.fact
    prices_shown = Quote(items=checkout.items, total_price=checkout.total_price, currency=checkout.currency)

    def decide(existing: Order | None) -> Change[Order] | None:
        if existing is not None:
            orders.refuse_another_request(existing, checkout.user_id, checkout.items)
            return None
        return orders.accept(
            checkout.checkout_id,
            checkout.user_id,
            prices_shown,
            now=clock.now(),
            created_at=clock.iso(received.occurred_at),
            shipping=checkout.shipping,
        )

    transition(ORDERS, checkout.checkout_id, decide, cause=received, probably_new=True)
