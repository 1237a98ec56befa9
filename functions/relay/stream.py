"""The way into relay: the streams of the tables whose rows carry events."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from eventflow import aws, telemetry
from relay.publish import announced, batches, entry

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef as Entry

BUS = os.environ["EVENT_BUS"]
ATTEMPTS = 4

events: EventBridgeClient = aws.client("events")


class NotPublished(Exception):
    """EventBridge would not take these events. The stream brings them again, until it does."""


@telemetry.instrumented
def handler(stream: Mapping[str, Any], context: object) -> None:
    """Publish what the records announce.

    Raises NotPublished if any of it will not go: the whole batch then comes again, and what had gone is published
    twice, under the eventId that its consumers know it by.
    """
    for batch in batches(entry(announcement, BUS) for announcement in announced(stream["Records"])):
        with ExitStack() as segments:
            put([_traced(item, segments) for item in batch])


def _traced(item: Entry, segments: ExitStack) -> Entry:
    """The entry, under a segment of relay's in its own trace."""
    header = segments.enter_context(telemetry.handing_on(item.get("TraceHeader"), DetailType=item["DetailType"]))
    return {**item, "TraceHeader": header} if header else item


def put(batch: list[Entry]) -> None:
    """Put up to ten entries on the bus, those that EventBridge refuses several times. Raises NotPublished."""
    for attempt in range(1, ATTEMPTS + 1):
        results = events.put_events(Entries=batch)["Entries"]
        refused = [(item, result) for item, result in zip(batch, results, strict=True) if "ErrorCode" in result]
        if not refused:
            telemetry.logger.debug("published", events=[item["DetailType"] for item in batch])
            return
        batch = [item for item, _ in refused]
        if attempt < ATTEMPTS:
            time.sleep(random.uniform(0, 0.1 * 2**attempt))
    item, result = refused[0]
    raise NotPublished(
        f"{len(refused)} event(s), {item['DetailType']} the first: {result['ErrorCode']} {result.get('ErrorMessage')}"
    )
