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

from eventflow import telemetry
from eventflow.contracts import Fact, Received
from eventflow.keys import REMEMBERED_SECONDS
from eventflow.receiving import Consume, receive
from eventflow.store import dynamodb


def subscriber(*facts: type[Fact]) -> Callable[[Consume], telemetry.Handler]:
    """Make a function that takes a `Received` of one of `facts` the Lambda handler of an EventBridge rule.

    It runs once per event of a service: the idempotency key is the event's identity as it was read, which is the
    producer's eventId, or EventBridge's id where the producer gave none; with source and type, so that a producer who
    copied another's metadata is heard. Raising brings the event again (twice, by Lambda), then puts it into the
    service's failed-events queue. An event that breaks its contract raises before anything is written.
    """

    def decorate(consume: Consume) -> telemetry.Handler:
        config = IdempotencyConfig(expires_after_seconds=REMEMBERED_SECONDS)

        @idempotent_function(  # type: ignore[untyped-decorator]
            data_keyword_argument="identity",  # not the event: Powertools copies it, and fails on one that is deep
            persistence_store=DynamoDBPersistenceLayer(os.environ["IDEMPOTENCY_TABLE"], boto3_client=dynamodb),
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
