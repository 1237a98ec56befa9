"""Events with something wrong in them, put on the deployed bus: each is in its consumers' queues, with the reason, and
in the timeline.

tests/unit/test_mutated_events.py has far more of them, and those that are handled. The example, which is deployed by
test_fraud_detection.py, is sent some there.
"""

import json
import random
import uuid
from typing import Any

from eventflow.contracts import MalformedEvent, read_event
from ops.reading import taken_by

from ..mutations import CONSUMERS, MISSING, RULES, SENT, Event, Path, changed, everything_wrong
from .waiting import eventually


def is_carried(it: Any) -> bool:
    """A failure's record has to fit on the bus, too; what happens to larger ones: docs/how-it-works.md."""
    return it is MISSING or len(json.dumps(it)) < 10_000


def listening(event: Event) -> list[str]:
    return [name for name in CONSUMERS if any(rule.lets_through(event) for rule in RULES[name])]


def refuses(function: str, event: Event) -> bool:
    try:
        read_event(event, *taken_by(CONSUMERS[function].module.handler))
    except MalformedEvent:
        return True
    return False


def malformed(function: str, right: Event) -> tuple[Event, Path]:
    """The sample, wrong in one place, so that the function is sent it, and nobody who is can read it."""
    everything = [
        (path, it) for path, it in everything_wrong(right) if path[0] == "detail" and len(path) > 1 and is_carried(it)
    ]
    random.Random(f"{function} {right['detail-type']}").shuffle(everything)
    for path, it in everything:
        event = changed(right, path, it)
        if isinstance(event["detail"].get("orderId"), str) and path != ("detail", "orderId"):
            event["detail"]["orderId"] = str(uuid.uuid4())
        event["detail"]["mark"] = str(uuid.uuid4())
        if path[:2] != ("detail", "metadata") and "metadata" in right["detail"]:
            event["detail"]["metadata"]["eventId"] = event["detail"]["mark"]
        heard = listening(event)
        if function in heard and all(refuses(each, event) for each in heard):
            return event, path
    raise AssertionError(f"nothing makes {right['detail-type']} one that {function} cannot read")


def names(reason: str, path: Path) -> bool:
    """Whether it tells of the field, or of what the field is in."""
    if path[-1] == "version" and "missing required field" in reason:
        return True  # it was read as another version, which has other fields
    return any(part in reason for part in path[1:] if isinstance(part, str))


def taken_out(shop: Any, queue: str, ids: set[str]) -> list[tuple[str, dict[str, Any]]]:
    """Of the messages in the queue, those about these events: each message's id and body."""
    sqs, url = shop.cloud.client("sqs"), shop.resources[queue]
    taken = []
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=2).get("Messages", [])
    for message in messages:
        body = json.loads(message["Body"])
        if body.get("requestPayload", body).get("id") in ids:
            taken.append((message["MessageId"], body))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return taken


def reason_of(record: dict[str, Any]) -> str:
    return str(record["responsePayload"]["errorMessage"])


def test_what_is_malformed_is_in_the_queue_of_everyone_who_was_sent_it_with_the_field_that_is_wrong(shop, timeline):
    # given, for each consumer, events of every kind that it hears, each wrong in one place
    sent: dict[str, tuple[Path, Event]] = {}
    for function in CONSUMERS:
        for event, path in (malformed(function, right) for right in SENT[function]):
            sent[shop.put_event(event["source"], event["detail-type"], event["detail"])] = path, event
    awaited = {(id_, function) for id_, (_, event) in sent.items() for function in listening(event)}
    assert {function for _, function in awaited} == CONSUMERS.keys()

    # when they have been tried as often as they are
    reasons: dict[tuple[str, str], str] = {}

    def left() -> set[tuple[str, str]]:
        for queue in (name for name in shop.resources if name.endswith("FailedEvents")):
            for _, record in taken_out(shop, queue, set(sent)):
                function = record["requestContext"]["functionArn"].split(":")[6]
                (name,) = (it for it in CONSUMERS if shop.resources[it] == function)
                reasons[record["requestPayload"]["id"], name] = reason_of(record)
        for message, body in taken_out(shop, "FailedCheckouts", set(sent)):
            lines = [it for it in shop.log("OrdersCheckoutsFunction", message) if it["message"] == "not handled"]
            reasons[body["id"], "OrdersCheckoutsFunction"] = "".join(str(it["exception"]) for it in lines)
        return awaited - reasons.keys()

    eventually(left, lambda it: not it, seconds=90)

    # then each is there because of the field that is wrong
    assert reasons.keys() == awaited
    unnamed = [
        (sent[id_][0], function, why[:300]) for (id_, function), why in reasons.items() if not names(why, sent[id_][0])
    ]
    assert unnamed == []

    # and the timeline, which does not read them, keeps them all, or has given them up with a reason
    given_up: set[str] = set()

    def lost() -> set[str]:
        records = [record for _, record in taken_out(timeline, "TimelineFailedEvents", set(sent))]
        given_up.update(record["requestPayload"]["id"] for record in records if reason_of(record))
        details = "".join(row.get("detail", "") for rows in timeline.kept().values() for row in rows)
        return {id_ for id_, (_, event) in sent.items() if event["detail"]["mark"] not in details} - given_up

    eventually(lost, lambda it: not it)
