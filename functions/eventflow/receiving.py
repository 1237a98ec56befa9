"""How an event comes in, by any of its ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventflow import telemetry
from eventflow.contracts import Fact, MalformedEvent, Received, read_event

Consume = Callable[[Received[Any]], None]
"""What a service does with an event. Raising means: not done, bring it again."""


def receive(event: Any, *facts: type[Fact]) -> Received[Fact]:
    """Read a delivered event, and mark logs and trace from here on with what it is about. Raises MalformedEvent."""
    try:
        received = read_event(event, *facts)
    except MalformedEvent:
        telemetry.follow(_order_of(event))
        raise
    telemetry.follow(
        received.fact.correlation_id,
        detailType=received.detail_type,
        eventId=received.event_id,
        causationId=received.causation_id,
    )
    telemetry.logger.info("received")
    return received


def _order_of(event: Any) -> str | None:
    """The order that a malformed event names, if it does: so that its log is found."""
    detail = event.get("detail") if isinstance(event, dict) else None
    order_id = detail.get("orderId") if isinstance(detail, dict) else None
    return str(order_id) if type(order_id) in (str, int) else None
