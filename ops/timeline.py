"""Reads the timeline of one saga out of the table in which its stack keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventflow import clock
from eventflow.attributes import from_attributes
from ops import OpsError
from ops.stack import Stack
from timeline import sagas
from timeline.sagas import Timeline, Vocabulary

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def timeline_of(saga_id: str, stack: Stack, dynamodb: DynamoDBClient) -> Timeline:
    """Raises OpsError if the stack has none of this id."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=stack.table("TimelineTable"),
        KeyConditionExpression="sagaId = :saga",
        ExpressionAttributeValues={":saga": {"S": sagas.key_of(saga_id)}},
        ConsistentRead=True,
        ScanIndexForward=False,  # of a saga that is too long, the summary and how it ended
        PaginationConfig={"MaxItems": sagas.MOST_EVENTS + 1},
    )
    saga = sagas.read(from_attributes(item, dict[str, Any]) for page in pages for item in page["Items"])
    if saga is None:
        raise OpsError(
            f"{stack.name} has no timeline of {saga_id!r}: is that an order's whole id? One of this moment appears "
            f"within seconds, one from before the timeline was there by: make replay SINCE=7d RULE={stack.name}"
        )
    vocabulary = Vocabulary.of(
        stack.parameters["GoodOutcomes"], stack.parameters["BadOutcomes"], stack.parameters["Compensations"]
    )
    return sagas.told(saga, vocabulary, clock.now(), int(stack.parameters["StuckAfterSeconds"]) * 1000)
