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
    order = event["detail"]
    wanted = pieces(order)
    print(json.dumps({"orderId": order["orderId"], "pieces": wanted, "vetoed": wanted > MOST_PIECES}))
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


def pieces(order: dict[str, Any]) -> int:
    """Of an OrderCreated 1.0 (one product) or 2.0 (several)."""
    return sum(line["quantity"] for line in order.get("items", [order]))


def veto(event: dict[str, Any], reason: str) -> dict[str, Any]:
    """The detail of a FraudCheckFailed, led to by this OrderCreated."""
    order = event["detail"]
    cause = order.get("metadata", {}).get("eventId", event["id"])
    now = time.time_ns() // 1_000_000
    return {
        "orderId": order["orderId"],
        "userId": order["userId"],
        "reason": reason,
        "timestamp": datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds"),
        "version": "1.0",
        "metadata": {
            "eventId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"FraudCheckFailed {cause}")),
            "occurredAt": now,
            "correlationId": order["orderId"],
            "causationId": cause,
        },
    }
