"""Consumers of a queue that a rule fills: for events that come in bursts."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from eventflow import telemetry
from eventflow.contracts import Fact
from eventflow.receiving import Consume, receive


def queue_subscriber(*facts: type[Fact]) -> Callable[[Consume], telemetry.Handler]:
    """Make a function that takes a `Received` of one of `facts` the Lambda handler of an SQS event source mapping.

    Raising brings that message again and no other (ReportBatchItemFailures); after `maxReceiveCount` receives it is in
    the queue's dead-letter queue. If all of a batch raise, so does the handler (BatchProcessingError).
    Otherwise Lambda would count no error, and a deployment that handles nothing would not be rolled back. There is no
    record of handled messages: the function's writes must be conditional.
    """

    def decorate(consume: Consume) -> telemetry.Handler:
        processor = BatchProcessor(EventType.SQS)

        def handle(record: SQSRecord) -> None:
            telemetry.forget()
            with telemetry.taking_part_in(record.attributes.aws_trace_header):
                try:
                    consume(receive(json.loads(record.body), *facts))
                except Exception:
                    telemetry.logger.exception("not handled", messageId=record.message_id)
                    raise

        @telemetry.instrumented
        @functools.wraps(consume)
        def handler(event: Any, context: Any) -> Any:
            return process_partial_response(event, handle, processor, context)

        return handler

    return decorate
