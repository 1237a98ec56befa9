"""How an event comes in, whichever way it came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventflow import telemetry
from eventflow.contracts import Fact, Received, read_event

Consume = Callable[[Received[Any]], None]
"""What a service does with an event. Raising means: not done, bring it again."""


def receive(event: Any, *facts: type[Fact]) -> Received[Fact]:
    """Read a delivered event, and mark logs and trace from here on with what it is about. Raises MalformedEvent."""
    received = read_event(event, *facts)
    telemetry.follow(
        received.fact.correlation_id,
        detailType=received.detail_type,
        eventId=received.event_id,
        causationId=received.causation_id,
    )
    telemetry.logger.info("received")
    return received
