"""What the failed-events queues of a stack hold: which event, who failed on it, and why. To look changes nothing."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError
from rich.console import Console
from rich.text import Text

from ops import OpsError
from ops.plain import plain
from ops.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import MessageTypeDef as Message

Event = Mapping[str, Any]

HOLD_SECONDS = 120
"""For how long at least nobody is handed a message that we hold: longer than any consumer takes. We give it back
before; only a command that is killed leaves it hidden for so long."""

LONGEST_HOLD_SECONDS = 12 * 60 * 60
IN_FLIGHT = 120_000
"""As long as SQS hides a message, and about as many of a queue as it hides at once; then it hands out no more (SQS
Developer Guide, "Standard queue quotas")."""

PER_MESSAGE_SECONDS = 0.05
"""What a look takes for each message, before its own pace is known: half a second for ten."""

GIVERS_BACK = 8
"""So many calls at once give messages back, of which each takes ten."""

PERSONAL = "shipping"
"""The field of an event's detail that says who a shopper is and where."""

LONGEST_TEXT = 400
"""In the terminal, where the exception or the id of a stranger may fill a page."""


@dataclass(frozen=True)
class FailedQueue:
    """`feeder` is the ARN of the queue whose dead letters come here, where there is one."""

    service: str
    url: str
    feeder: str = ""


@dataclass(frozen=True)
class FailedEvent:
    """An event that somebody gave up on. Of a message that cannot be read there is no `event` and no `consumer`."""

    queue: FailedQueue
    message_id: str
    failed_at: datetime
    event: Event = field(default_factory=dict)
    consumer: str = ""
    """ARN of the function (with its alias), the state machine or the queue that it was meant for."""
    error: str = ""
    reason: str = ""
    attempt: str = ""
    """The request id or the execution that gave up."""

    @property
    def detail_type(self) -> str:
        return _text(self.event, "detail-type")

    @property
    def event_id(self) -> str:
        return _text(self.event, "detail", "metadata", "eventId") or _text(self.event, "id")

    @property
    def order(self) -> str:
        """Its id; or of an event that is about no order, nothing."""
        places = [("metadata", "correlationId"), ("orderId",), ("checkoutId",), ("body", "OrderId")]
        return next(filter(None, (_text(self.event, "detail", *place) for place in places)), "")

    @property
    def why(self) -> str:
        return f"{self.error}: {self.reason}" if self.error and self.reason else self.error or self.reason


def _text(value: Any, *path: str) -> str:
    """What stands there, if it is text or a whole number: an event that failed may have any shape."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return str(value) if type(value) in (str, int) else ""


# Which queues


def failed_queues(stacks: Iterable[Stack], sqs: SQSClient, service: str = "") -> list[FailedQueue]:
    """Those of every service, or of one. Raises OpsError if there is no such service."""
    queues = [queue for stack in stacks for queue in _failed_queues_of(stack, sqs)]
    chosen = [queue for queue in queues if service in ("", queue.service)]
    if not chosen:
        known = ", ".join(sorted({queue.service for queue in queues}))
        raise OpsError(f"there is no failed-events queue of {service or 'any service'}; there is: {known or 'none'}")
    return chosen


def _failed_queues_of(stack: Stack, sqs: SQSClient) -> Iterator[FailedQueue]:
    """Those named so, and those that another queue of the stack leaves to what was received too often."""
    feeders = {}
    for url in stack.queues.values():
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn", "RedrivePolicy"])["Attributes"]
        if "RedrivePolicy" in attributes:
            dead_letters = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
            feeders[dead_letters.rpartition(":")[2]] = attributes["QueueArn"]
    for logical, url in sorted(stack.queues.items()):
        feeder = feeders.get(url.rpartition("/")[2], "")
        if feeder or logical.endswith("FailedEvents"):
            yield FailedQueue(_service(logical), url, feeder)


def _service(queue: str) -> str:
    """`payment` of PaymentFailedEvents, `checkouts` of FailedCheckouts."""
    name = queue.removesuffix("FailedEvents").removeprefix("Failed")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()


# What a message says


def read(message: Message, queue: FailedQueue) -> FailedEvent:
    """What came by whichever of three ways: Lambda's or a state machine's record of what it failed on, EventBridge's
    letter that it could not deliver, or a copy of what a queue's consumer was handed too often.
    """
    failed_at = datetime.fromtimestamp(int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000, UTC)
    attributes = {name: it.get("StringValue", "") for name, it in message.get("MessageAttributes", {}).items()}
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = None
    told: dict[str, Any]
    match body:
        case dict() if "TARGET_ARN" in attributes:
            told = {
                "event": body,
                "consumer": attributes["TARGET_ARN"],
                "error": attributes.get("ERROR_CODE", ""),
                "reason": attributes.get("ERROR_MESSAGE", ""),
            }
        case {"requestContext": {"functionArn": str(consumer)} as context, "requestPayload": dict(event), **rest}:
            response = rest.get("responsePayload")
            told = {
                "event": event,
                "consumer": consumer,
                "error": _text(response, "errorType") or _text(context, "condition"),
                "reason": _text(response, "errorMessage"),
                "attempt": _text(context, "requestId"),
            }
        case dict() if queue.feeder:
            told = {"event": body, "consumer": queue.feeder, "reason": "handed out too often; its log says why"}
        case _:
            told = {"error": "Unreadable", "reason": "it is neither an event nor the record of one"}
    told["reason"] = without_personal_data(told["reason"], told.get("event", {}))
    return FailedEvent(queue, message["MessageId"], failed_at, **told)


def without_personal_data(reason: str, event: Event) -> str:
    """An exception may cite what it could not read."""
    detail = event.get("detail")
    for value in _leaves(detail.get(PERSONAL) if isinstance(detail, Mapping) else None):
        reason = reason.replace(value, "…")
    return reason


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str() if value:
            yield value
        case dict() | list():
            for part in value.values() if isinstance(value, dict) else value:
                yield from _leaves(part)


# Looking


class Hand:
    """Messages taken out of a queue's sight: until they are removed, or given back when the `with` block ends.

    They stay hidden until all that the queue holds can have been taken, at the pace of the hand so far. Otherwise the
    first of many would come back while the last are not yet seen, and again and again.
    """

    def __init__(self, queue: FailedQueue, sqs: SQSClient) -> None:
        self.queue = queue
        self.about = messages_in(queue, sqs)
        """How many messages the queue held when this began; SQS counts roughly."""
        self._sqs = sqs
        self._receipts: dict[str, str] = {}
        self._seen: set[str] = set()
        self._began = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        held = list(self._receipts.values())
        tens = [held[start : start + 10] for start in range(0, len(held), 10)]
        with ThreadPoolExecutor(GIVERS_BACK) as pool:
            list(pool.map(self._give_back, tens))

    def _give_back(self, receipts: list[str]) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
            for number, receipt in enumerate(receipts)
        ]
        with suppress(ClientError):  # then they come back by themselves
            self._sqs.change_message_visibility_batch(QueueUrl=self.queue.url, Entries=entries)  # type: ignore[arg-type]

    def take(self, most: int = 10, work_seconds: int = HOLD_SECONDS) -> list[FailedEvent]:
        """Up to so many, to be worked on for so long in all. None: the queue is empty, or SQS hides no more of it.

        It waits a second for them, for only then does SQS ask all of its servers. In spite of all, a message may come
        that this hand has taken before.
        """
        answer = self._sqs.receive_message(
            QueueUrl=self.queue.url,
            MaxNumberOfMessages=most,
            VisibilityTimeout=min(work_seconds + self._seconds_left(), LONGEST_HOLD_SECONDS),
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        self._receipts |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
        self._seen |= {message["MessageId"] for message in messages}
        return [read(message, self.queue) for message in messages]

    def _seconds_left(self) -> int:
        """Until the rest has been taken, at the pace so far."""
        seen = len(self._seen)
        pace = max(PER_MESSAGE_SECONDS, (monotonic() - self._began) / seen if seen else 0)
        return math.ceil(max(self.about - seen, 0) * pace)

    def remove(self, message_id: str) -> None:
        self._sqs.delete_message(QueueUrl=self.queue.url, ReceiptHandle=self._receipts[message_id])
        del self._receipts[message_id]


@dataclass
class Sight:
    """How far a look has come, by queue. `tell` is told of it in words, by several threads."""

    tell: Callable[[str], object] = lambda text: None
    seen: Counter[FailedQueue] = field(default_factory=Counter)
    about: Counter[FailedQueue] = field(default_factory=Counter)
    missed: Counter[FailedQueue] = field(default_factory=Counter)
    """The queues of which it may not have seen all, and about how many messages it did not see."""

    def show(self) -> None:
        seen = self.seen.total()
        self.tell(f"Looking into the queues: {seen:,} of about {max(seen, self.about.total()):,} messages")


def look(
    queues: Sequence[FailedQueue], sqs: SQSClient, order: str = "", sight: Sight | None = None
) -> list[FailedEvent]:
    """All that the queues hold, or what is about one order, oldest first. What was not seen is in `sight.missed`."""
    watched = sight or Sight()
    with ThreadPoolExecutor(len(queues)) as pool:
        found = [failed for each in pool.map(lambda queue: _look(queue, sqs, watched), queues) for failed in each]
    return sorted((it for it in found if order in ("", it.order)), key=lambda it: (it.failed_at, it.message_id))


def messages_in(queue: FailedQueue, sqs: SQSClient) -> int:
    """About how many, those included that somebody holds."""
    names: list[QueueAttributeNameType] = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)
    return sum(int(answer["Attributes"].get(name, "0")) for name in names)


def held_by_others(queues: Iterable[FailedQueue], sqs: SQSClient) -> int:
    """About how many messages nobody can see, for someone is looking at them or was killed while doing so."""
    name: QueueAttributeNameType = "ApproximateNumberOfMessagesNotVisible"
    found = [sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=[name]) for queue in queues]
    return sum(int(answer["Attributes"][name]) for answer in found)


def _look(queue: FailedQueue, sqs: SQSClient, sight: Sight) -> list[FailedEvent]:
    found: dict[str, FailedEvent] = {}
    with Hand(queue, sqs) as hand:
        sight.about[queue] = hand.about
        while taken := hand.take():
            found |= {failed.message_id: failed for failed in taken}
            if len(found) == sight.seen[queue]:  # nothing new: they come back before all are seen
                break
            sight.seen[queue] = len(found)
            sight.show()
        if taken or len(found) >= IN_FLIGHT:
            sight.missed[queue] = max(0, messages_in(queue, sqs) - len(found))
        if len(found) > IN_FLIGHT / 100:
            sight.tell(f"Giving back {len(found):,} messages of {queue.service}")
    return list(found.values())


# Showing


def heading(failed: FailedEvent) -> str:
    about = f", order {failed.order}" if failed.order else ""
    return in_a_line(f"{failed.queue.service}: {failed.detail_type or 'a message'}{about}")


def in_a_line(text: str) -> str:
    line = plain(" ".join(text.split()))
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


def show(found: Sequence[FailedEvent], names: Mapping[str, str], console: Console) -> None:
    """`names` are what consumers are called in their template, by physical name."""
    for failed in found:
        console.print(Text(f"{failed.failed_at:%Y-%m-%d %H:%M:%S} UTC  {heading(failed)}"), soft_wrap=True)
        consumer = called(failed.consumer, names)
        console.print(Text(f"    {consumer}: {in_a_line(failed.why)}"), soft_wrap=True)
        named = f"event {in_a_line(failed.event_id)}, " if failed.event_id else ""
        console.print(Text(f"    {named}message {failed.message_id}"), soft_wrap=True)
    services = Counter(failed.queue.service for failed in found)
    counted = ", ".join(f"{service} {number}" for service, number in sorted(services.items()))
    console.print(f"{len(found)} failed: {counted}" if found else "Nothing has failed.", soft_wrap=True)


def as_json(found: Sequence[FailedEvent], names: Mapping[str, str]) -> str:
    return json.dumps(
        [
            {
                "failedAt": failed.failed_at.isoformat(timespec="milliseconds"),
                "service": failed.queue.service,
                "consumer": called(failed.consumer, names),
                "consumerArn": failed.consumer,
                "detailType": failed.detail_type,
                "orderId": failed.order or None,
                "eventId": failed.event_id,
                "error": failed.error,
                "reason": failed.reason,
                "messageId": failed.message_id,
            }
            for failed in found
        ],
        indent=2,
    )


def called(consumer: str, names: Mapping[str, str]) -> str:
    """A consumer's name in its template; of one that is in none, what its ARN says."""
    physical = physical_name(consumer)
    return plain(names.get(physical, physical) or "nobody")


def physical_name(arn: str) -> str:
    """Of a function, without its alias; of a queue; of a state machine."""
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 else parts[-1]


def names_of(stacks: Iterable[Stack]) -> dict[str, str]:
    """Logical id by physical name of whatever may consume an event."""
    names: dict[str, str] = {}
    for stack in stacks:
        names |= {physical: logical for logical, physical in stack.functions.items()}
        names |= {physical_name(arn): logical for logical, arn in stack.state_machines.items()}
        names |= {url.rpartition("/")[2]: logical for logical, url in stack.queues.items()}
    return names
