"""What was told about each order: no more than the time of the newest of it."""

from __future__ import annotations

from typing import Any

import msgspec

from eventflow.attributes import from_attributes, to_attributes
from eventflow.contracts import OrderId
from eventflow.store import dynamodb

REMEMBERED_SECONDS = 45 * 24 * 60 * 60
"""From when it occurred on. An event may come again for 29 days from the archive, and then lie 14 in a failed queue."""


class LastTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A row of the table."""

    order_id: OrderId
    occurred_at: int
    """Of the newest event that was told, in milliseconds since 1970."""
    expires_at: int
    """Seconds since 1970. DynamoDB deletes the row some time after that."""


class Memory:
    """In the table of this name."""

    def __init__(self, table: str) -> None:
        self._table = table

    def newer(self, order_id: OrderId, occurred_at: int) -> int | None:
        """When that occurred which was told already and is newer than this. None: tell this; it is noted.

        An equal time passes, so what was noted and then could not be told is told when its event comes again.
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
