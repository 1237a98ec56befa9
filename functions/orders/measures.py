"""Business metrics of orders: how long they take, and why they are cancelled.

(That they are placed, confirmed and cancelled the kernel counts already, as it counts every event that is announced.)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from eventflow import clock, telemetry
from eventflow.transition import Change
from orders.orders import Order


class Watched:
    """A decision that remembers its last answer, which after a `transition` is the one that was committed."""

    def __init__(self, decide: Callable[[Order | None], Change[Order] | None]) -> None:
        self._decide = decide
        self._before: Order | None = None
        self._change: Change[Order] | None = None

    def __call__(self, order: Order | None) -> Change[Order] | None:
        self._before, self._change = order, self._decide(order)
        return self._change

    def count_end(self) -> None:
        """To be called when the transition is made. Counts nothing where it was not the order's end."""
        if self._change is None or not (order := self._change.state).status.is_last:
            return
        if order.status.is_off:
            telemetry.count_one("Cancelled", status=order.status)
        if self._before is None or not self._before.status.is_last:  # after that its shopper took a while to regret it
            created_at = datetime.fromisoformat(order.created_at).timestamp() * 1000
            telemetry.measure("SagaDuration", clock.now() - created_at)
