"""`Rows` in DynamoDB: the condition that guards a decision, and the event, are in the write itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import boto3

from eventflow import telemetry
from eventflow.attributes import Attributes, from_attributes, to_attributes
from eventflow.outbox import Announcement
from eventflow.transition import LostRace, Stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

S = TypeVar("S")

dynamodb: DynamoDBClient = boto3.client("dynamodb")
"""The one client, made while Lambda starts the sandbox; low-level, for boto3's resource slows that start."""


class Table(Generic[S]):
    """`Rows` in a DynamoDB table, whose partition key attribute is `key`; it is one of the state's fields."""

    def __init__(self, name: str, key: str, kind: type[S]) -> None:
        self.name = name
        self._key = key
        self._kind = kind

    def read(self, key: str) -> Stored[S] | None:
        found = dynamodb.get_item(TableName=self.name, Key={self._key: {"S": key}}, ConsistentRead=True)
        return self.stored(found.get("Item"))

    def write(self, key: str, state: S, revision: int, announcement: Announcement | None) -> None:
        try:
            dynamodb.put_item(**self.put(state, revision, announcement))
        except dynamodb.exceptions.ConditionalCheckFailedException as refused:
            there: Any = refused.response.get("Item")
            raise LostRace(self.stored(there)) from None
        if announcement:
            telemetry.count(announcement.detail_type)

    def put(self, state: S, revision: int, announcement: Announcement | None) -> dict[str, Any]:
        """The arguments of the conditional Put that `write` makes, for a transaction that makes it with others."""
        row = {**to_attributes(state), "revision": {"N": str(revision)}}
        if announcement:
            row["event"] = {"M": to_attributes(announcement)}
        condition: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({self._key})"}
        if revision > 1:
            condition = {
                "ConditionExpression": "revision = :seen",
                "ExpressionAttributeValues": {":seen": {"N": str(revision - 1)}},
            }
        return {
            "TableName": self.name,
            "Item": row,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **condition,
        }

    def stored(self, item: Attributes | None) -> Stored[S] | None:
        """An item of this table, read."""
        if not item:
            return None
        return Stored(from_attributes(item, self._kind), int(item["revision"]["N"]))

    def page(
        self, index: str, partition: tuple[str, str], limit: int, after: Attributes | None = None
    ) -> tuple[list[S], bool]:
        """Up to `limit` states of an index's partition (attribute, value), highest sort key first.

        `after` is the key of the last one of the page before. The second result says whether there are more.
        """
        name, value = partition
        query: Any = {
            "TableName": self.name,
            "IndexName": index,
            "KeyConditionExpression": "#partition = :value",
            "ExpressionAttributeNames": {"#partition": name},
            "ExpressionAttributeValues": {":value": {"S": value}},
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if after:
            query["ExclusiveStartKey"] = {**after, name: {"S": value}}
        found = dynamodb.query(**query)
        return [from_attributes(item, self._kind) for item in found["Items"]], "LastEvaluatedKey" in found
