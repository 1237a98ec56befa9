"""What was told about each order: no more than the newest of it, and who is at work on that."""

from __future__ import annotations

from typing import Any

import msgspec

from eventflow import clock
from eventflow.attributes import from_attributes, to_attributes
from eventflow.contracts import OrderId
from eventflow.store import dynamodb

REMEMBERED_SECONDS = 45 * 24 * 60 * 60
"""From when it occurred on. An event may come again for 29 days from the archive, and then lie 14 in a failed queue."""


CLAIMED_MS = 30_000
"""Longer than the function may run, and shorter than the minute after which Lambda tries again."""


class BeingTold(Exception):
    """Another delivery of this event is at work on it, or was killed at it. Nothing was written; it comes again."""


class LastTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A row of the table."""

    order_id: OrderId
    occurred_at: int
    """Of the newest event that was told, in milliseconds since 1970."""
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
        """When that occurred which was told already and is newer than this. None: tell this; it is noted.

        An equal time passes, so what was noted and then could not be told is told when its event comes again: after
        CLAIMED_MS, for it may as well be another delivery's that is being told right now. Raises BeingTold.
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
