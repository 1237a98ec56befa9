"""Receives everything on the bus, as an add-on would: a rule for all events, into a queue of the tests."""

import json
from dataclasses import dataclass, field
from typing import Any

from local.cloud import Cloud

Event = dict[str, Any]


@dataclass
class Ear:
    sqs: Any
    queue_url: str
    heard: list[Event] = field(default_factory=list)

    @classmethod
    def at(cls, cloud: Cloud, bus: str) -> "Ear":
        sqs, events = cloud.client("sqs"), cloud.client("events")
        url = sqs.create_queue(QueueName=f"ear-of-{bus}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="ear", EventBusName=bus, EventPattern='{"source": [{"exists": true}]}')
        events.put_targets(Rule="ear", EventBusName=bus, Targets=[{"Id": "ear", "Arn": arn}])
        return cls(sqs, url)

    def everything(self) -> list[Event]:
        """In the order in which it was heard."""
        while messages := self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            self.heard += [json.loads(message["Body"]) for message in messages]
            receipts = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
            self.sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=receipts)
        return self.heard

    def about(self, order_id: str) -> list[Event]:
        """Every event that has this order's id."""
        return [
            event
            for event in self.everything()
            if isinstance(event["detail"], dict) and event["detail"].get("orderId") == order_id
        ]

    def types_about(self, order_id: str) -> list[str]:
        return [event["detail-type"] for event in self.about(order_id)]
