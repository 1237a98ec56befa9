"""What every consumer of the bus has: a contract check, idempotency, logs and traces with the order's id."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyItemAlreadyExistsError
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import STATUS_CONSTANTS, DataRecord

from eventflow import telemetry
from eventflow.contracts import Fact, Received
from eventflow.keys import REMEMBERED_SECONDS
from eventflow.receiving import Consume, receive
from eventflow.store import dynamodb


class WrittenOnce(DynamoDBPersistenceLayer):
    """Powertools' record of an event, read before the event is handled and written after: the read costs a tenth of the
    write that it replaces, which says "in progress".

    What that one guards is that two deliveries are not handled at once. Here they are, where they come at the same
    moment, and the conditional writes under it let one of them through (docs/decisions.md, "The record of an event is
    written once").
    """

    def _put_record(self, data_record: DataRecord) -> None:
        # not consistent, which would cost twice as much: who reads too early is one of two at once
        item = self.client.get_item(TableName=self.table_name, Key=self._get_key(data_record.idempotency_key)).get(
            "Item"
        )
        found = self._item_to_data_record(item) if item else None
        if found and found.status == STATUS_CONSTANTS["COMPLETED"]:
            raise IdempotencyItemAlreadyExistsError(old_data_record=found)

    def _delete_record(self, data_record: DataRecord) -> None:
        """A delivery that failed has written none, and must not touch that of another one."""


def subscriber(*facts: type[Fact]) -> Callable[[Consume], telemetry.Handler]:
    """Make a function that takes a `Received` of one of `facts` the Lambda handler of an EventBridge rule.

    It runs once per event of a service: the idempotency key is the event's identity as it was read, which is the
    producer's eventId, or EventBridge's id where the producer gave none; with source and type, so that a producer who
    copied another's metadata is heard. Raising brings the event again (twice, by Lambda), then puts it into the
    service's failed-events queue. An event that breaks its contract raises before anything is written.

    Two deliveries that come at the same moment are both handled: what the function does must be guarded by a
    conditional write, or be known by a key to whom it is asked of.
    """

    def decorate(consume: Consume) -> telemetry.Handler:
        config = IdempotencyConfig(expires_after_seconds=REMEMBERED_SECONDS)

        @idempotent_function(  # type: ignore[untyped-decorator]
            data_keyword_argument="identity",  # not the event: Powertools copies it, and fails on one that is deep
            persistence_store=WrittenOnce(os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb),
            config=config,
            key_prefix=consume.__module__.partition(".")[0],
        )
        def once(*, identity: list[str], received: Received[Fact]) -> None:
            consume(received)

        @telemetry.instrumented
        @functools.wraps(consume)
        def handler(event: Any, context: Any) -> None:
            received = receive(event, *facts)
            config.register_lambda_context(context)
            known_by = received.fact.known_by(received.event_id)
            once(identity=[received.source, received.detail_type, *known_by], received=received)

        return handler

    return decorate
