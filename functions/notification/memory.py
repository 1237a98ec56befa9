"""What was told about each order: only the time of the newest message, and who is sending it."""

from __future__ import annotations

from typing import Any

import msgspec

from eventflow import clock
from eventflow.attributes import from_attributes, to_attributes
from eventflow.contracts import OrderId
from eventflow.store import dynamodb

REMEMBERED_SECONDS = 45 * 24 * 60 * 60
"""Counted from when the event occurred. The archive may bring it for 29 days; then it may wait 14 in a failed queue."""


CLAIMED_MS = 30_000
"""Longer than the function may run, and shorter than the minute after which Lambda tries again."""


class BeingTold(Exception):
    """Another delivery of this event is at work on it, or was killed at it. Nothing was written; it comes again."""


class LastTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A row of the table."""

    order_id: OrderId
    occurred_at: int
    """When the newest event that was told occurred, in milliseconds since 1970."""
    expires_at: int
    """Seconds since 1970. DynamoDB deletes the row some time after that."""
    event_id: str = ""
    """Of that event. Rows of releases before have none, nor a claim."""
    claimed_until: int = 0
    """Milliseconds since 1970. Until then nobody else tells this one."""


class Memory:
    """In the table of this name."""

    def __init__(self, table: str) -> None:
        self._table = table

    def claim(self, order_id: OrderId, event_id: str, occurred_at: int) -> int | None:
        """Returns when a newer event occurred that was told already. None: tell this one; its time is written.

        An equal time passes, so what was written and then could not be told is told when its event comes again: after
        CLAIMED_MS, because another delivery may be telling it right now. Raises BeingTold.
        """
        now = clock.now()
        told = LastTold(
            order_id=order_id,
            occurred_at=occurred_at,
            expires_at=occurred_at // 1000 + REMEMBERED_SECONDS,
            event_id=event_id,
            claimed_until=now + CLAIMED_MS,
        )
        row = to_attributes(told)
        try:
            dynamodb.put_item(
                TableName=self._table,
                Item=row,
                ConditionExpression=(
                    "attribute_not_exists(orderId) OR occurredAt < :occurredAt OR (occurredAt = :occurredAt AND "
                    "(attribute_not_exists(claimedUntil) OR eventId <> :eventId OR claimedUntil < :now))"
                ),
                ExpressionAttributeValues={
                    ":occurredAt": row["occurredAt"],
                    ":eventId": row["eventId"],
                    ":now": {"N": str(now)},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException as refused:
            there: Any = refused.response.get("Item")
            newest = from_attributes(there, LastTold).occurred_at
            if newest == occurred_at:
                raise BeingTold(f"event {event_id} of order {order_id} is being told: try again in a minute") from None
            return newest
        return None
