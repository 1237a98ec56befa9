"""Vetoes orders of more pieces than anyone honest buys at once.

It knows only the events of EventFlow. Its detail-type makes the event a veto: orders takes any `...Failed` that has an
orderId. It has no state, so there is no dual write, and it may publish itself: an event that comes again leads to the
same veto, with the same eventId.
"""

import json
import os
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import boto3

MOST_PIECES = 10

events = boto3.client("events")


def handler(event: dict[str, Any], context: object) -> None:
    """Raises if the veto could not be published; the event then comes again, and ends in the failed-events queue."""
    wanted = pieces(event)
    order_id = read(event, str, "detail", "orderId")
    print(json.dumps({"orderId": order_id, "pieces": wanted, "vetoed": wanted > MOST_PIECES}))
    if wanted <= MOST_PIECES:
        return
    answer = events.put_events(
        Entries=[
            {
                "EventBusName": os.environ["EVENT_BUS"],
                "Source": "example.fraud-detection",
                "DetailType": "FraudCheckFailed",
                "Detail": json.dumps(veto(event, f"{wanted} pieces, {MOST_PIECES} at most")),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"the veto was not published: {answer['Entries'][0]}")


def pieces(event: dict[str, Any]) -> int:
    """Of an OrderCreated 1.0 (one product) or 2.0 (several)."""
    if "items" not in read(event, dict, "detail"):
        return read(event, int, "detail", "quantity")
    lines = range(len(read(event, list, "detail", "items")))
    return sum(read(event, int, "detail", "items", line, "quantity") for line in lines)


def read(event: dict[str, Any], kind: type, *path: str | int) -> Any:
    """What the event has there. Raises ValueError that names the path: the reason in the failed-events queue."""
    found: Any = event
    where = "$"
    for step in path:
        where += f"[{step}]" if isinstance(step, int) else f".{step}"
        try:
            found = found[step]
        except (LookupError, TypeError):
            raise ValueError(f"missing - at `{where}`") from None
    if type(found) is not kind:  # to isinstance, True is an int
        raise ValueError(f"Expected `{kind.__name__}`, got `{type(found).__name__}` - at `{where}`")
    return found


def veto(event: dict[str, Any], reason: str) -> dict[str, Any]:
    """The detail of a FraudCheckFailed, led to by this OrderCreated."""
    order_id = read(event, str, "detail", "orderId")
    # an event of another producer has no metadata
    known_by = ("detail", "metadata", "eventId") if "metadata" in event["detail"] else ("id",)
    cause = read(event, str, *known_by)
    now = time.time_ns() // 1_000_000
    return {
        "orderId": order_id,
        "userId": read(event, str, "detail", "userId"),
        "reason": reason,
        "timestamp": datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds"),
        "version": "1.0",
        "metadata": {
            # `!a`, as JSON may hold half a character ("\ud800"), of which no id can be made
            "eventId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"FraudCheckFailed {cause!a}")),
            "occurredAt": now,
            "correlationId": order_id,
            "causationId": cause,
        },
    }
