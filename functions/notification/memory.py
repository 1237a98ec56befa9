"""What was told about each order: only the time of the newest message."""

from __future__ import annotations

from typing import Any

import msgspec

from eventflow.attributes import from_attributes, to_attributes
from eventflow.contracts import OrderId
from eventflow.store import dynamodb

REMEMBERED_SECONDS = 45 * 24 * 60 * 60
"""Counted from when the event occurred. The archive may bring it for 29 days; then it may wait 14 in a failed queue."""


class LastTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of the table."""

    order_id: OrderId
    occurred_at: int
    """When the newest event that was told occurred, in milliseconds since 1970."""
    expires_at: int
    """Seconds since 1970. DynamoDB deletes the row some time after that."""


class Memory:
    """In the table of this name."""

    def __init__(self, table: str) -> None:
        self._table = table

    def newer(self, order_id: OrderId, occurred_at: int) -> int | None:
        """Returns when a newer event occurred that was told already. None: tell this one; its time is written.

        An equal time passes: if telling fails after the write, the event comes again and is told then.
        """
        expires_at = occurred_at // 1000 + REMEMBERED_SECONDS
        told = LastTold(order_id=order_id, occurred_at=occurred_at, expires_at=expires_at)
        row = to_attributes(told)
        try:
            dynamodb.put_item(
                TableName=self._table,
                Item=row,
                ConditionExpression="attribute_not_exists(orderId) OR occurredAt <= :occurredAt",
                ExpressionAttributeValues={":occurredAt": row["occurredAt"]},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException as refused:
            there: Any = refused.response.get("Item")
            return from_attributes(there, LastTold).occurred_at
        return None
