"""The event a row carries: written in the same conditional write as the state it announces, published by relay."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from eventflow import clock
from eventflow.contracts import Fact, Metadata, Received
from eventflow.trace import current_trace, traceparent

MAX_DETAIL_BYTES = 200 * 1024
"""Step Functions takes 256 KiB of input, a DynamoDB row 400 KB, and both hold more than the detail."""


class EventTooLarge(ValueError):
    """An event's detail exceeds MAX_DETAIL_BYTES. Nothing was written."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An event that waits in its row to be published."""

    id: str
    """The eventId: relay publishes a row's announcement when this differs from the row's previous one."""
    source: str
    detail_type: str
    occurred_at: int
    """Milliseconds since 1970."""
    detail: str
    """JSON, as it goes on the bus."""
    trace: str | None = None
    """X-Ray header of the request that wrote the row: relay hands it on, so that an order is one trace."""


def announce(fact: Fact, cause: Received[Fact] | None = None) -> Announcement:
    """`fact`, occurring now and led to by `cause`, as the event that its row is to carry.

    Raises EventTooLarge.
    """
    event_id = str(uuid.uuid4())
    occurred_at = clock.now()
    trace = current_trace()
    version, fields = fact.on_the_wire()
    metadata = Metadata(
        event_id=event_id,
        occurred_at=occurred_at,
        correlation_id=fact.correlation_id,
        causation_id=cause.event_id if cause else None,
        traceparent=traceparent(trace) if trace else None,
    )
    detail: dict[str, Any] = {
        **fields,
        "timestamp": clock.iso(occurred_at),
        "version": version,
        "metadata": metadata,
    }
    encoded = msgspec.json.encode(detail)
    if len(encoded) > MAX_DETAIL_BYTES:
        raise EventTooLarge(
            f"{fact.detail_type()} of {fact.correlation_id}: {len(encoded)} bytes, {MAX_DETAIL_BYTES} at most"
        )
    return Announcement(
        id=event_id,
        source=fact.SOURCE,
        detail_type=fact.detail_type(),
        occurred_at=occurred_at,
        detail=encoded.decode(),
        trace=trace,
    )
