"""The way into the notification service: what shoppers care to hear about."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eventflow import aws, clock, telemetry
from eventflow.contracts import Received
from eventflow.events import OrderCancelled, OrderConfirmed, OrderCreated, PaymentRefunded
from eventflow.subscriber import subscriber
from notification.memory import Memory
from notification.messages import Told, message_about

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

TOPIC_ARN = os.environ["TOPIC_ARN"]
"""Empty where no address is set: then the log line is all."""

MEMORY = Memory(os.environ["NOTIFICATIONS_TABLE"])

sns: SNSClient | None = aws.client("sns") if TOPIC_ARN else None


@subscriber(OrderCreated, OrderConfirmed, OrderCancelled, PaymentRefunded)
def handler(received: Received[Told]) -> None:
    message = message_about(received.fact, received.occurred_at)
    newer = MEMORY.claim(received.fact.order_id, received.event_id, received.occurred_at)
    if newer is not None:
        telemetry.logger.info(
            "older than what was told",
            userId=received.fact.user_id,
            occurredAt=clock.iso(received.occurred_at),
            toldUpTo=clock.iso(newer),
        )
        return
    if sns:
        sns.publish(TopicArn=TOPIC_ARN, Subject=message.subject, Message=message.body)
    telemetry.conclude("told the shopper", subject=message.subject)
