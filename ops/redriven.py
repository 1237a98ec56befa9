"""Tells the bus of a failed event that is handled now, so that the order's timeline shows what was fixed and when."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from eventflow import clock
from eventflow.contracts import Metadata
from eventflow.events import EventRedriven
from ops.failed import FailedEvent, called
from ops.redrive import NotTold, Tell

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef as Entry

    from ops.stack import Stack

HANDLED = "handled"


def bus_of(stack: Stack) -> str:
    """The bus of EventFlow's stack, or that an add-on's stack is attached to; or nothing."""
    return stack.outputs.get("EventBusName") or stack.parameters.get("EventBusName", "")


def telling(bus: str, events: EventBridgeClient, names: Mapping[str, str]) -> Tell:
    """`names` are logical by physical names."""

    def tell(failed: FailedEvent, by: str) -> None:
        entry = entry_about(failed, by, names, clock.now())
        if entry is None:
            return
        answer = events.put_events(Entries=[{**entry, "EventBusName": bus}])
        if answer["FailedEntryCount"]:
            (refused,) = answer["Entries"]
            raise NotTold(f"{refused.get('ErrorCode')}: {refused.get('ErrorMessage')}")

    return tell


def entry_about(failed: FailedEvent, by: str, names: Mapping[str, str], now: int) -> Entry | None:
    """An entry of PutEvents without its bus. None if the event is on no timeline: it has no correlation id,
    and what the timeline's own state machine had given up. `now` is in milliseconds since 1970.

    The eventId is derived from the message, so that consumers and the timeline know the same one again.
    """
    if not failed.order or ":states:" in by:
        return None
    redriven = EventRedriven(
        order_id=failed.order, service=failed.queue.service, function=called(by, names), outcome=HANDLED
    )
    version, fields = redriven.on_the_wire()
    metadata = Metadata(
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:eventflow:redriven:{failed.message_id}")),
        occurred_at=now,
        correlation_id=redriven.correlation_id,
        causation_id=failed.event_id or None,
    )
    detail = {**fields, "timestamp": clock.iso(now), "version": version, "metadata": metadata}
    return {
        "Time": datetime.fromtimestamp(now / 1000, UTC),
        "Source": redriven.SOURCE,
        "DetailType": redriven.detail_type(),
        "Detail": msgspec.json.encode(detail).decode(),
    }
