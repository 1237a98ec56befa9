"""`Rows` in DynamoDB: the condition that guards a decision, and the event, are in the write itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.config import Config

from eventflow import aws, telemetry
from eventflow.attributes import Attributes, from_attributes, to_attributes
from eventflow.outbox import Announcement
from eventflow.transition import Busy, LostRace, Stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

S = TypeVar("S")

# A call that hangs is given up while the function still has time to try again: botocore would wait for a minute.
dynamodb: DynamoDBClient = aws.client(
    "dynamodb",
    config=Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2}),
)
"""The one client, made while Lambda starts the sandbox; low-level, for boto3's resource slows that start."""


COUNTED = frozenset({"OrderCreated", "OrderConfirmed", "OrderCancelled", "PaymentRefunded", "InventoryFailed"})
"""The facts that the dashboard draws. A metric costs $0.30 a month, whether anybody looks at it or not."""


def count_written(announcement: Announcement | None) -> None:
    """Count the event that a write has just announced, if the dashboard draws it."""
    if announcement and announcement.detail_type in COUNTED:
        telemetry.count(announcement.detail_type)


def transact(writes: list[Any]) -> list[dict[str, Any]]:
    """Make all these writes, or none. One reason per write why its condition refused it; no reasons: they are made.

    The SDK gives the request a token, so that one whose answer was lost and which it repeats is made once. Raises Busy,
    also where that one is still under way: asked for again it meets its own row, and is refused by that.
    """
    try:
        dynamodb.transact_write_items(TransactItems=writes)
    except dynamodb.exceptions.TransactionInProgressException:
        raise Busy from None
    except dynamodb.exceptions.TransactionCanceledException as cancelled:
        reasons: list[Any] = list(cancelled.response["CancellationReasons"])
        codes = {reason["Code"] for reason in reasons} - {"None"}
        if codes & PASSING:
            raise Busy from None
        if codes != {REFUSED}:
            raise
        return reasons
    return []


REFUSED = "ConditionalCheckFailed"
"""The reason of a write that its own condition refused."""

PASSING = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
"""Reasons that pass by themselves. The SDK repeats no transaction that was cancelled."""


class Table(Generic[S]):
    """`Rows` in a DynamoDB table, whose partition key attribute is `key`; it is one of the state's fields.

    Of a table with a sort key, `at` is its name and the one value that these rows have.
    """

    def __init__(self, name: str, key: str, kind: type[S], at: tuple[str, str] | None = None) -> None:
        self.name = name
        self._key = key
        self._kind = kind
        self._at: Attributes = {at[0]: {"S": at[1]}} if at else {}

    def read(self, key: str) -> Stored[S] | None:
        found = dynamodb.get_item(TableName=self.name, Key={self._key: {"S": key}}, ConsistentRead=True)
        return self.stored(found.get("Item"))

    def write(self, key: str, state: S, revision: int, announcement: Announcement | None) -> None:
        try:
            dynamodb.put_item(**self.put(state, revision, announcement))
        except dynamodb.exceptions.TransactionConflictException:
            raise Busy from None
        except dynamodb.exceptions.ConditionalCheckFailedException as refused:
            there: Any = refused.response.get("Item")
            current = self.stored(there)
            # its own event in the row: it was made, its answer was lost, and the SDK repeated it
            if not (announcement and current and current.event_id == announcement.id):
                raise LostRace(current) from None
        count_written(announcement)

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
        event = item.get("event", {}).get("M", {})
        telemetry.goes_on_from(event.get("trace", {}).get("S"))
        return Stored(from_attributes(item, self._kind), int(item["revision"]["N"]), event.get("id", {}).get("S"))

    def read_many(self, keys: Iterable[str], *, consistent: bool = True) -> dict[str, S]:
        """The states of those rows that are there, by key. At most 100, which is what one request takes.

        Not `consistent`, they may be as they were a moment ago, and cost half as much.
        """
        keyed = [{self._key: {"S": key}, **self._at} for key in dict.fromkeys(keys)]
        wanted: Any = {self.name: {"Keys": keyed, "ConsistentRead": consistent}}
        found: list[Attributes] = []
        while wanted:
            answer: Any = dynamodb.batch_get_item(RequestItems=wanted)
            found += answer["Responses"][self.name]
            wanted = answer["UnprocessedKeys"]
        return {item[self._key]["S"]: from_attributes(item, self._kind) for item in found}

    def page(
        self,
        index: str | None,
        limit: int,
        *,
        partition: tuple[str, str] | None = None,
        between: tuple[str, str, str] | None = None,
        after: Attributes | None = None,
        descending: bool = False,
        of_keys: bool = False,
    ) -> tuple[list[S], bool]:
        """Up to `limit` states of an index, or of the table itself, and whether there are more.

        `partition` is (attribute, value); without it all of it is scanned, in no order. `between` is (sort key,
        from, to), both included. `after` is the key of the last one of the page before. `of_keys`: the index has no
        more than keys, and the rows, 100 at most, are read by them.
        """
        request: Any = {"TableName": self.name, "Limit": limit}
        if index:
            request["IndexName"] = index
        if after:
            request["ExclusiveStartKey"] = after
        if partition is None:
            found: Any = dynamodb.scan(**request)
        else:
            names, values = {"#p": partition[0]}, {":p": {"S": partition[1]}}
            condition = "#p = :p"
            if between:
                names["#s"] = between[0]
                values |= {":from": {"S": between[1]}, ":to": {"S": between[2]}}
                condition += " AND #s BETWEEN :from AND :to"
            if after:
                request["ExclusiveStartKey"] = {**after, partition[0]: values[":p"]}
            found = dynamodb.query(
                **request,
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ScanIndexForward=not descending,
            )
        more = "LastEvaluatedKey" in found
        if of_keys:
            keys = [item[self._key]["S"] for item in found["Items"]]
            rows = self.read_many(keys) if keys else {}
            return [rows[key] for key in keys if key in rows], more
        return [from_attributes(item, self._kind) for item in found["Items"]], more

    def every(self, index: str, attribute: str, value: str) -> Iterator[S]:
        """All states of a partition of an index, which has whole rows; read as far as they are asked for."""
        request: Any = {
            "TableName": self.name,
            "IndexName": index,
            "KeyConditionExpression": "#p = :p",
            "ExpressionAttributeNames": {"#p": attribute},
            "ExpressionAttributeValues": {":p": {"S": value}},
        }
        while request:
            found = dynamodb.query(**request)
            yield from (from_attributes(item, self._kind) for item in found["Items"])
            last = found.get("LastEvaluatedKey")
            request = {**request, "ExclusiveStartKey": last} if last else None
